/**
 * Isolate hosts kept ready: which guest goes where, how many hosts there are, and when one has served long enough. Half
 * of them take one guest at a time, which is quickest; the others take what is left over, side by side, so that a guest
 * that computes or waits for long keeps nobody from starting.
 */
import { availableParallelism, totalmem } from 'node:os';
import { IsolateHost, type HostRun } from './host.ts';
import { CannotLock, startLockedHost, startUnlockedHost, type StartedHost } from './start-host.ts';

export interface PoolOptions {
  /** Most hosts that take shared guests (default: two for each core, one for each 512 MB, at most 8). Half of them, rounded down, take one guest at a time. */
  readonly hosts?: number;
  /** Hosts kept from the start (default 2): while one makes new isolates, the next guest goes to the other. */
  readonly prewarm?: number;
  /** Most guests at one time on a host that takes several (default 8); a guest that waits for a tool counts. */
  readonly guestsPerHost?: number;
  /** Guests that a host serves before it is replaced (default 2000). */
  readonly runsPerHost?: number;
  /** Resident memory, in MB, above which an idle host is replaced (default 160). */
  readonly idleHostMb?: number;
  /**
   * Layers whose absence is accepted. `kernel-lock`: where this machine cannot lock a host, guests run in one that
   * isolated-vm alone holds; their results say `degraded`. Default: none, and such guests are refused.
   */
  readonly allowDegraded?: readonly 'kernel-lock'[];
  /** For tests: another way to start a host. */
  readonly startHost?: () => StartedHost;
}

export type Running = ReturnType<IsolateHost['start']>;

export class HostUnavailable extends Error {
  override readonly name = 'HostUnavailable';
}

interface Dedicated {
  readonly session: string | undefined;
  readonly ready: Promise<IsolateHost>;
}

interface Waiting {
  readonly run: HostRun;
  readonly started: (running: Running) => void;
  readonly failed: (error: Error) => void;
}

/** How often busy hosts are looked at: deadlines and memory. */
const WATCH_MS = 15;
/** The clock goes on for this many idle ticks, about a second: making a timer costs a call more than the ticks do. */
const IDLE_TICKS = 64;

/** How long a host that is kept in advance may wait, in milliseconds: its start takes the core that the first guest needs. */
const GROW_MS = 20;
/** Hosts that die before they are ready, one after the other, until the pool gives up on its guests. */
const MOST_FAILED_STARTS = 3;

export class Pool {
  readonly #options: Required<PoolOptions>;
  #shared: IsolateHost[] = [];
  readonly #dedicated = new Map<IsolateHost, Dedicated>();
  #queue: Waiting[] = [];
  #failedStarts = 0;
  #watch: NodeJS.Timeout | undefined;
  #idleTicks = 0;
  #growing: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PoolOptions = {}) {
    const most = Math.max(1, Math.min(8, 2 * availableParallelism(), Math.floor(totalmem() / (512 * 1024 * 1024))));
    this.#options = {
      hosts: options.hosts ?? most,
      prewarm: options.prewarm ?? Math.min(2, options.hosts ?? most),
      guestsPerHost: options.guestsPerHost ?? 8,
      runsPerHost: options.runsPerHost ?? 2000,
      idleHostMb: options.idleHostMb ?? 160,
      allowDegraded: options.allowDegraded ?? [],
      startHost: options.startHost ?? startLockedHost,
    };
    // The others follow when the first is ready, so that the first guest does not wait for all of them.
    if (this.#options.prewarm > 0) this.#add();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Process ids of the hosts alive now. */
  get pids(): readonly number[] {
    return [...this.#shared, ...this.#dedicated.keys()].flatMap((host) => (host.pid === undefined ? [] : [host.pid]));
  }

  /** Resolves when `count` shared hosts are ready. */
  async ready(count = Math.min(this.#options.prewarm, this.#options.hosts)): Promise<void> {
    while (!this.#closed && this.#shared.filter((host) => host.isReady).length < count) {
      if (this.#shared.length < count && this.#failedStarts < MOST_FAILED_STARTS) this.#add();
      if (this.#failedStarts >= MOST_FAILED_STARTS) throw this.#unavailable();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Puts a guest on a host, waiting for one where all are full. `signal` takes it out of the queue. */
  run(run: HostRun, signal?: AbortSignal): Promise<Running> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new HostUnavailable('the pool is closed');
      const abort = (): void => {
        this.#queue = this.#queue.filter((other) => other !== waiting);
        reject(new HostUnavailable('the call was aborted before a host took it'));
      };
      const waiting: Waiting = {
        run,
        started: (running) => {
          signal?.removeEventListener('abort', abort);
          resolve(running);
        },
        failed: reject,
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#queue.push(waiting);
      this.#failedStarts = this.#shared.length === 0 ? 0 : this.#failedStarts;
      this.#drain();
    });
  }

  /**
   * A host that no other session shares. Without a session it serves this one guest; with one, it is kept until
   * `endSession`, and serves that session's guests only.
   */
  async runDedicated(run: HostRun, session: string | undefined): Promise<Running> {
    if (this.#closed) throw new HostUnavailable('the pool is closed');
    const host = await this.#dedicatedHost(session);
    const running = host.start(run);
    if (session === undefined) host.retire();
    this.#startWatch();
    return running;
  }

  /** Nothing is sent to a host that has not locked itself: not by the second call of a session either. */
  async #dedicatedHost(session: string | undefined): Promise<IsolateHost> {
    for (;;) {
      const host = await (this.#hostOf(session) ?? this.#startDedicated(session));
      if (host.isReady) return host;
      if (host.isDead || this.#closed) throw this.#unavailable(host);
      // It rests after an end, for a turn of the loop, and may be found too heavy: then the next one is another.
      await new Promise((rested) => setImmediate(rested));
      if (this.#closed) throw new HostUnavailable('the pool was closed');
    }
  }

  /** Kills the host that was dedicated to a session, and those before it whose guests have not ended yet. */
  endSession(session: string): void {
    for (const [host, dedicated] of this.#dedicated) if (dedicated.session === session) host.kill('its session ended');
  }

  #hostOf(session: string | undefined): Promise<IsolateHost> | undefined {
    for (const [host, dedicated] of this.#dedicated) {
      if (session !== undefined && dedicated.session === session && !host.isRetired) return dedicated.ready;
    }
    return undefined;
  }

  /** Kills every host. Guests still under way end as crashed. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#watch);
    clearTimeout(this.#growing);
    for (const { failed } of this.#queue.splice(0)) failed(new HostUnavailable('the pool was closed'));
    for (const host of [...this.#shared, ...this.#dedicated.keys()]) host.kill('the pool was closed');
    this.#shared = [];
    this.#dedicated.clear();
  }

  /** Throws HostUnavailable. */
  #startHost(single: boolean, onChange: (host: IsolateHost) => void): IsolateHost {
    try {
      return new IsolateHost(this.#options.startHost(), { onChange }, single);
    } catch (error) {
      if (!(error instanceof CannotLock)) throw error;
      if (!this.#options.allowDegraded.includes('kernel-lock')) {
        throw new HostUnavailable(`this machine cannot lock an isolate host: ${error.message}`);
      }
      return new IsolateHost(startUnlockedHost(), { onChange }, single);
    }
  }

  #startDedicated(session: string | undefined): Promise<IsolateHost> {
    const { promise: ready, resolve, reject } = Promise.withResolvers<IsolateHost>();
    const started = this.#startHost(session === undefined, (host) => {
      if (host.isReady) resolve(host);
      if (!host.isDead) return;
      this.#dedicated.delete(host);
      reject(this.#unavailable(host));
    });
    this.#dedicated.set(started, { session, ready });
    return ready;
  }

  /** For so many guests that wait; `undefined` when no host can be had. */
  #add(guests = 1): IsolateHost | undefined {
    try {
      const host = this.#startHost(this.#isNextSingle(guests), (changed) => this.#changed(changed));
      this.#shared.push(host);
      return host;
    } catch (error) {
      this.#failedStarts = MOST_FAILED_STARTS;
      for (const { failed } of this.#queue.splice(0)) failed(error as Error);
      this.#refusal = error instanceof HostUnavailable ? error : new HostUnavailable(String(error));
      return undefined;
    }
  }

  #changed(host: IsolateHost): void {
    if (host.isReady) this.#failedStarts = 0;
    if (host.isDead) {
      this.#shared = this.#shared.filter((other) => other !== host);
      if (host.served === 0) {
        this.#failedStarts += 1;
        this.#lastFailure = host;
      }
      if (this.#failedStarts >= MOST_FAILED_STARTS || host.missing !== undefined) {
        for (const { failed } of this.#queue.splice(0)) failed(this.#unavailable(host));
        return;
      }
    } else if (host.active === 0 && host.isReady && this.#isWorn(host)) host.retire();
    this.#drain();
  }

  #lastFailure: IsolateHost | undefined;
  #refusal: HostUnavailable | undefined;

  #unavailable(host: IsolateHost | undefined = this.#lastFailure): HostUnavailable {
    if (this.#refusal !== undefined && host === undefined) return this.#refusal;
    if (host?.missing !== undefined) {
      return new HostUnavailable(`this machine cannot lock an isolate host: ${host.missing}`);
    }
    return new HostUnavailable(`no isolate host could be started: ${host?.lastWords ?? 'unknown reason'}`);
  }

  #isWorn(host: IsolateHost): boolean {
    // Reading /proc for every call would cost more than it tells.
    if (host.served % 50 !== 0) return false;
    return host.served >= this.#options.runsPerHost || host.residentMb() > this.#options.idleHostMb;
  }

  #drain(): void {
    if (this.#closed) return;
    for (let host = this.#pick(); host !== undefined && this.#queue.length > 0; host = this.#pick()) {
      const next = this.#queue.shift() as Waiting;
      next.started(host.start(next.run));
      this.#startWatch();
    }
    this.#grow();
  }

  /** Starts the hosts that waiting guests need now, and those that are kept in advance a little later. */
  #grow(): void {
    const { hosts, prewarm } = this.#options;
    let [usable, ready, free] = [0, 0, 0];
    // Those that take no more guests die with the last they have; until then there are at most twice as many in all.
    const most = Math.min(hosts, 2 * hosts - this.#shared.filter((host) => host.isRetired && !host.isDead).length);
    for (const host of this.#shared) {
      if (host.isRetired || host.isDead) continue;
      usable += 1;
      if (host.isReady) ready += 1;
      free += this.#room(host);
    }
    const advance = Math.min(prewarm, hosts);
    const least = Math.min(1, advance, most);
    for (; usable < least || (usable < most && free < this.#queue.length); usable += 1) {
      const added = this.#add(this.#queue.length - free);
      if (added === undefined) return;
      free += this.#room(added);
    }
    if (ready === 0 || usable >= Math.min(advance, most)) return;
    this.#growing ??= setTimeout(() => {
      this.#growing = undefined;
      if (!this.#closed) this.#add();
    }, GROW_MS).unref();
  }

  /** How many more guests it takes. */
  #room(host: IsolateHost): number {
    return (host.isSingle ? 1 : this.#options.guestsPerHost) - host.active;
  }

  /** One guest at a time, unless more guests than one wait for a host, or there are enough of that kind. */
  #isNextSingle(guests: number): boolean {
    const usable = this.#shared.filter((host) => !host.isRetired);
    const single = usable.filter((host) => host.isSingle).length;
    const most = Math.floor(this.#options.hosts / 2);
    return single < most && (guests <= 1 || usable.length - single >= this.#options.hosts - most);
  }

  /**
   * A host of one guest before the others, then the one with the fewest guests; among idle ones the one idle for
   * longest, whose reserve of isolates is full.
   */
  #pick(): IsolateHost | undefined {
    let best: IsolateHost | undefined;
    for (const host of this.#shared) {
      if (!host.isReady || this.#room(host) <= 0) continue;
      if (best === undefined || isBetter(host, best)) best = host;
    }
    return best;
  }

  #startWatch(): void {
    this.#idleTicks = 0;
    this.#watch ??= setInterval(() => {
      let busy = 0;
      for (const hosts of [this.#shared, this.#dedicated.keys()]) {
        for (const host of hosts) {
          if (host.active === 0) continue;
          busy += 1;
          host.check();
        }
      }
      this.#idleTicks = busy > 0 ? 0 : this.#idleTicks + 1;
      if (this.#idleTicks < IDLE_TICKS) return;
      clearInterval(this.#watch);
      this.#watch = undefined;
    }, WATCH_MS).unref();
  }
}

const isBetter = (host: IsolateHost, than: IsolateHost): boolean => {
  if (host.isSingle !== than.isSingle) return host.isSingle;
  return host.active === than.active ? host.idleSince < than.idleSince : host.active < than.active;
};
