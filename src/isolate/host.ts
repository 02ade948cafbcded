/**
 * Parent side of one isolate host: sends it guests, believes nothing it says, kills it from outside. However it dies,
 * each guest on it gets exactly one end.
 */
import { encodeFrame, FrameFault, FrameReader } from './channel.ts';
import { MAX_FRAME_BYTES } from './limits.ts';
import { busyThreads, MemoryWatch, overweight, ResidentMemory } from './memory-watch.ts';
import { parseHostMessage, type HostMessage, type LogLevel, type ReplyMessage, type RunMessage } from './message.ts';
import type { StartedHost } from './start-host.ts';

/** How long after a guest's deadline the host may take to say so itself before it is killed. */
const GRACE_MS = 250;
/** Where it can say so only of a guest that waits: its end is the same either way. */
const SINGLE_GRACE_MS = 20;
/** A host says within this time, in milliseconds, that something of an ended guest is still there. */
const HAUNT_MS = 500;
/** How long a host may take to load, lock itself and make its first isolate; a tenth of a second is usual. */
const START_MS = 30_000;
export interface HostEnd {
  readonly status: 'ok' | 'error' | 'timeout' | 'memory' | 'crashed';
  readonly json?: string;
  readonly cpuMs?: number;
  /** Why, where the guest did not say it: for `crashed`, `memory`, `timeout`. */
  readonly reason?: string;
}

export interface HostRun {
  readonly message: Omit<RunMessage, 'type' | 'run'>;
  onLog(level: LogLevel, text: string): void;
  onDropped(): void;
  /** A tool call; `false` when a sound host would never have sent it. */
  onCall(call: number, tool: string, args: string): boolean;
  onEnd(end: HostEnd): void;
}

interface Active {
  readonly run: HostRun;
  /** When the host is killed for it: milliseconds of the monotonic clock. */
  readonly dueAt: number;
  lastCall: number;
}

export interface HostEvents {
  /** After each end, and when the host becomes ready or dies. */
  onChange(host: IsolateHost): void;
}

export class IsolateHost {
  readonly isSingle: boolean;
  readonly #started: StartedHost;
  readonly #startDeadline: NodeJS.Timeout;
  readonly #events: HostEvents;
  readonly #reader = new FrameReader(MAX_FRAME_BYTES);
  readonly #memory = new MemoryWatch();
  readonly #active = new Map<number, Active>();
  /** Runs that this side ended: what the host still says of them is late, not false. */
  readonly #abandoned = new Set<number>();
  #lastRun = 0;
  #ready = false;
  #pid: number | undefined;
  #resident: ResidentMemory | undefined;
  #retired = false;
  #resting = false;
  /** Something of a guest that has ended may still be there. */
  #haunted = false;
  #lastEnd = 0;
  #dead = false;
  #stderr = '';
  #how: string | undefined;
  #missing: string | undefined;
  #cause:
    | { readonly status: 'timeout' | 'memory' | 'crashed'; readonly runs: readonly number[]; readonly reason: string }
    | undefined;
  /** When it last became idle: milliseconds of the monotonic clock. */
  idleSince = 0;

  /** `single`: it has one guest at a time (see `HostManner`). */
  constructor(started: StartedHost, events: HostEvents, single: boolean) {
    this.isSingle = single;
    this.#started = started;
    this.#events = events;
    if (started.onOutput === undefined) started.output.on('data', (chunk: Buffer) => this.#receive(chunk));
    else started.onOutput((chunk) => this.#receive(chunk));
    started.errors.on('data', (chunk: Buffer) => {
      if (this.#stderr.length < 4096) this.#stderr += chunk.toString('latin1').slice(0, 4096);
    });
    // Why a pipe broke is told by how the process ended.
    for (const pipe of [started.input, started.output, started.errors]) pipe.on('error', () => this.#killProcess());
    void started.ended.then((how) => this.#die(how));
    this.#startDeadline = setTimeout(() => this.kill(`it was not ready within ${START_MS} ms`), START_MS).unref();
    this.#send({ ...(started.lock ?? { type: 'run-unlocked' }), single });
  }

  get isReady(): boolean {
    return this.#ready && !this.#dead && !this.#retired && !this.#resting;
  }
  get isDead(): boolean {
    return this.#dead;
  }
  get isRetired(): boolean {
    return this.#retired;
  }
  get active(): number {
    return this.#active.size;
  }
  get served(): number {
    return this.#lastRun;
  }
  get pid(): number | undefined {
    return this.#pid;
  }
  /** False where the program accepted a host that the kernel does not hold. */
  get isLocked(): boolean {
    return this.#started.lock !== undefined;
  }
  /** The layer whose absence kept the host from locking itself. */
  get missing(): string | undefined {
    return this.#missing;
  }
  /** How a host died, and its last words. */
  get lastWords(): string {
    return `${this.#how ?? ''} ${this.#stderr.trim().slice(0, 1000)}`.trim();
  }

  /** Sends a guest; returns the way to talk to it. */
  start(run: HostRun): {
    readonly locked: boolean;
    reply(reply: Omit<ReplyMessage, 'type' | 'run'>): void;
    stop(): void;
    fault(reason: string): void;
  } {
    const id = (this.#lastRun += 1);
    const now = performance.now();
    // A single host is deaf while it throws away what the guest before left behind.
    const grace = this.isSingle && now - this.#lastEnd > HAUNT_MS ? SINGLE_GRACE_MS : GRACE_MS;
    this.#active.set(id, { run, dueAt: now + run.message.timeoutMs + grace, lastCall: 0 });
    this.#send({ type: 'run', run: id, ...run.message });
    this.#setRef(true);
    return {
      locked: this.isLocked,
      reply: (reply) => {
        if (this.#active.has(id)) this.#send({ type: 'reply', run: id, ...reply });
      },
      stop: () => {
        if (!this.#active.has(id)) return;
        this.#send({ type: 'stop', run: id });
        this.#haunt();
        this.#end(id, { status: 'error' });
      },
      fault: (reason) => this.kill(reason),
    };
  }

  /** Takes no more guests; is killed when the last one has ended. */
  retire(): void {
    this.#retired = true;
    if (this.#active.size === 0) this.#killProcess();
  }

  /**
   * What ends by force may be deep in native code that cannot be stopped: nobody else is put beside it, or blamed for it.
   * Said before its end, for whoever waits for a place hears of that.
   */
  #haunt(): void {
    this.#haunted = true;
    this.retire();
  }

  /** Ends the host and every guest on it. */
  kill(reason: string): void {
    if (!this.#dead) this.#doom('crashed', [], reason);
  }

  /** Called by a clock: deadlines that the host let pass, and its memory against what its guests may have. */
  check(): void {
    const now = performance.now();
    const isDue = [...this.#active.values()].some(({ dueAt }) => now >= dueAt);
    // Where this program was busy, an end may have come in time and be unread: pipes are read before that.
    if (isDue) setImmediate(() => this.#endOverdue(now));
    else if (this.#active.size > 0) this.#checkMemory();
  }

  #endOverdue(now: number): void {
    const late = [...this.#active].filter(([, { dueAt }]) => now >= dueAt);
    const overdue = late[0]?.[1].run.message.timeoutMs;
    if (overdue === undefined) return;
    const runs = late.map(([run]) => run);
    this.#doom('timeout', runs, `a guest passed its deadline of ${overdue} ms`);
  }

  /** In MB, by run. */
  #limits(): Map<number, number> {
    const limits = new Map<number, number>();
    for (const [id, { run }] of this.#active) limits.set(id, run.message.memoryMb);
    return limits;
  }

  #checkMemory(): void {
    const limits = this.#limits();
    if (this.isSingle) {
      const reason = overweight(this.residentMb(), limits);
      if (reason !== undefined) this.#doom('memory', [...limits.keys()], reason);
      return;
    }
    const verdict = this.#memory.tick({
      residentMb: this.residentMb(),
      busy: () => busyThreads(this.#pid),
      limits,
      isHaunted: this.#haunted,
      served: this.#lastRun,
    });
    if (verdict.kind === 'ask') {
      // Whatever comes of it: nobody else is put beside a guest that overeats.
      this.retire();
      this.#send({ type: 'weigh', cull: verdict.cull });
    } else if (verdict.kind === 'kill') this.#doom('memory', verdict.guilty, verdict.reason);
  }

  /** Resident memory in MB; 0 where it cannot be had. */
  residentMb(): number {
    return this.#resident?.mb ?? 0;
  }

  #receive(chunk: Buffer): void {
    if (this.#dead) return;
    try {
      for (const text of this.#reader.read(chunk)) {
        const message = parseHostMessage(JSON.parse(text));
        if (message === undefined) throw new FrameFault('Expected a message of the protocol');
        this.#take(message);
        if (this.#dead) return;
      }
    } catch (error) {
      this.kill(error instanceof FrameFault ? `a faulty frame: ${error.message}` : 'a frame that is no JSON');
    }
  }

  #take(message: HostMessage): void {
    if (message.type === 'ready' || message.type === 'unlocked') {
      if (this.#ready) throw new FrameFault('Expected to become ready once');
      if (message.type === 'unlocked') {
        this.#missing = message.missing;
        this.kill('it could not lock itself');
        return;
      }
      this.#ready = true;
      clearTimeout(this.#startDeadline);
      this.#pid = message.pid;
      this.#resident = new ResidentMemory(message.pid);
      this.#setRef(this.#active.size > 0);
      this.#events.onChange(this);
      return;
    }
    if (message.type === 'memory') {
      this.#doom(
        'memory',
        message.runs.filter((run) => this.#active.has(run)),
        'V8 could not get the memory it asked for',
      );
      return;
    }
    if (message.type === 'weighed') {
      if (!this.#memory.answered(message)) throw new FrameFault('Expected an answer to a question');
      return;
    }
    if (message.type === 'haunted') {
      this.#haunt();
      return;
    }
    const active = this.#active.get(message.run);
    if (active === undefined) {
      if (this.#abandoned.has(message.run)) return;
      throw new FrameFault('Expected a run that is under way');
    }
    switch (message.type) {
      case 'log':
        active.run.onLog(message.level, message.text);
        return;
      case 'dropped':
        active.run.onDropped();
        return;
      case 'call':
        if (message.call !== active.lastCall + 1) throw new FrameFault('Expected tool calls to be counted one by one');
        active.lastCall = message.call;
        if (!active.run.onCall(message.call, message.tool, message.args))
          throw new FrameFault('Expected a call that the guest may make');
        return;
      case 'end':
        if (message.status === 'timeout' || message.status === 'memory') this.#haunt();
        this.#end(message.run, message);
        return;
      default:
        message satisfies never;
    }
  }

  #send(message: unknown): void {
    const { input, writeNow } = this.#started;
    if (this.#dead || !input.writable) return;
    const frame = encodeFrame(message);
    const rest = writeNow?.(frame) ?? frame;
    if (rest.length > 0) input.write(rest);
  }

  #end(id: number, end: HostEnd): void {
    const active = this.#active.get(id);
    if (active === undefined) return;
    this.#active.delete(id);
    this.#lastEnd = performance.now();
    if (!('json' in end) && end.status !== 'ok') this.#abandoned.add(id);
    active.run.onEnd(end);
    if (this.#active.size === 0) this.idleSince = this.#lastEnd;
    if (!this.#retired && !this.#dead) {
      this.#restSoon();
      return;
    }
    if (this.#active.size === 0) {
      this.#setRef(!this.#ready);
      if (this.#retired) this.#killProcess();
    }
    this.#events.onChange(this);
  }

  /**
   * What need not be done before somebody hears of an end, and must be before another guest comes: an allocator keeps what
   * it was given back, so that the host may be too heavy without the guest that has ended, and another would be blamed.
   */
  #restSoon(): void {
    if (this.#resting) return;
    this.#resting = true;
    setImmediate(() => {
      this.#resting = false;
      if (this.#active.size === 0) this.#setRef(!this.#ready);
      if (!this.#dead && overweight(this.residentMb(), this.#limits()) !== undefined) {
        this.#haunted = true;
        this.retire();
      }
      this.#events.onChange(this);
    });
  }

  /** Kills, and says what `runs` die of; every other guest ends as crashed. */
  #doom(status: 'timeout' | 'memory' | 'crashed', runs: readonly number[], reason: string): void {
    this.#cause ??= { status, runs, reason };
    this.#die(reason);
    this.#killProcess();
  }

  #die(how: string): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#how = how;
    clearTimeout(this.#startDeadline);
    this.#resident?.close();
    const outOfMemory = /out of memory|heap limit|Allocation failed|is_heap_oom/iu.test(this.#stderr);
    const runs = [...this.#active.keys()];
    const cause = this.#cause ?? {
      status: outOfMemory ? ('memory' as const) : ('crashed' as const),
      runs: this.isSingle || this.#isAlone() ? runs : [],
      reason: outOfMemory ? 'V8 ran out of memory and took its host with it' : how,
    };
    for (const run of runs) {
      const guilty = cause.runs.includes(run);
      const reason = guilty ? cause.reason : `the isolate host died: ${cause.reason}`;
      this.#end(run, { status: guilty ? cause.status : 'crashed', reason });
    }
    for (const pipe of [this.#started.input, this.#started.output, this.#started.errors]) pipe.destroy();
    this.#events.onChange(this);
  }

  /** One guest, and nothing that another may have left behind. */
  #isAlone(): boolean {
    if (this.#active.size !== 1 || this.#haunted) return false;
    return this.#lastRun === 1 || performance.now() - this.#lastEnd > HAUNT_MS;
  }

  #killProcess(): void {
    this.#retired = true;
    this.#started.kill();
  }

  /** An idle host must not keep the program alive. */
  #setRef(held: boolean): void {
    if (!this.#dead) this.#started.hold(held);
  }
}
