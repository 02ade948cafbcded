/**
 * Parent side: whether a host holds more memory than its guests may, and whose fault it is. The kernel's count tells that
 * there is too much, never who has it; V8 cannot be asked about a guest while it runs, and does not count all of it. So
 * the host lets guests go, all of which would die with it anyway: who takes more memory along than it may have is guilty,
 * and who is left alone with it is. An isolate is thrown away by whichever thread is last to leave it: the count is taken
 * only when the kernel says that no other thread is at work. What all this does not settle is nobody's fault. Nothing
 * here protects one guest from the lies of a host that another has broken into: it could as well forge their results.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { OVERSHOOT } from './limits.ts';
import type { WeighedMessage } from './message.ts';

/** What a host needs beside its guests' own limits, in MB: Node, V8's code, the reserve of isolates. */
const HOST_ROOM_MB = 160;
/** How long one question may take, in milliseconds. */
const PATIENCE_MS = 3000;
/** Meanwhile the host may grow by half of what it was allowed, and no further. */
const GROWTH = 1.5;

export interface Weighed {
  readonly residentMb: number;
  /** Threads at work; `undefined` where that cannot be known. */
  readonly busy: () => readonly string[] | undefined;
  /** By run, in MB. */
  readonly limits: ReadonlyMap<number, number>;
  /** A guest that ended here may still hold memory. */
  readonly isHaunted: boolean;
  /** Guests that the host has had, with those it has now. */
  readonly served: number;
}

export type Verdict =
  | { readonly kind: 'fine' }
  | { readonly kind: 'ask'; readonly cull: boolean }
  | { readonly kind: 'kill'; readonly guilty: readonly number[]; readonly reason: string };

type Answer = Omit<WeighedMessage, 'type'>;

const FINE: Verdict = { kind: 'fine' };

export class MemoryWatch {
  /** What was allowed when the host was asked, in MB; `undefined` while it need not answer. */
  #allowed: number | undefined;
  #found = 0;
  #askedAt = 0;
  #culling = false;
  #answer: Answer | undefined;
  /** The last look at a host whose answer had come. */
  #seen: { readonly residentMb: number; readonly busy: string } | undefined;
  /** What the host held when its guests had come to rest, in MB. */
  #still: number | undefined;

  /** Called by a clock. */
  tick(host: Weighed): Verdict {
    if (this.#allowed === undefined) {
      const allowed = allowedMb(host);
      if (host.residentMb <= allowed) return FINE;
      this.#allowed = allowed;
      this.#found = host.residentMb;
      return this.#ask(false);
    }
    if (this.#answer !== undefined && this.#isSettled(host, this.#answer)) return this.#judge(host, this.#answer);
    if (performance.now() - this.#askedAt < PATIENCE_MS && host.residentMb <= this.#allowed * GROWTH) return FINE;
    // It never had another guest: then there is nobody else to ask about.
    return this.#kill(host.served === 1 ? [...host.limits.keys()] : []);
  }

  /** Takes the answer; false where none was due. */
  answered(answer: Answer): boolean {
    if (this.#allowed === undefined || this.#answer !== undefined) return false;
    this.#answer = answer;
    return true;
  }

  /** Nothing is being thrown away any more: nobody is at work, or, twice in a row, only the one that may be. */
  #isSettled(host: Weighed, { isStill }: Answer): boolean {
    const busy = host.busy();
    const before = this.#seen;
    this.#seen = busy?.length === 1 ? { residentMb: host.residentMb, busy: busy.join() } : undefined;
    if (busy?.length === 0) return true;
    if (isStill || this.#seen === undefined || before === undefined) return false;
    return before.busy === this.#seen.busy && host.residentMb >= before.residentMb;
  }

  #judge(host: Weighed, { gone, left, isStill }: Answer): Verdict {
    const isOver = host.residentMb > (this.#allowed ?? 0);
    if (!isOver && !this.#culling) {
      this.#allowed = undefined;
      return FINE;
    }
    if (host.isHaunted) return this.#kill([]);
    const [last] = gone;
    const took = (this.#still ?? 0) - host.residentMb;
    if (last !== undefined && gone.length === 1 && took > (host.limits.get(last) ?? Infinity) * OVERSHOOT) {
      return this.#kill(gone);
    }
    const remaining = left.filter((run) => host.limits.has(run));
    if (!isOver || remaining.length === 0) return this.#kill([]);
    if (remaining.length === 1) return this.#kill(remaining);
    if (this.#culling && !isStill) return this.#kill([]);
    if (isStill) this.#still = host.residentMb;
    return this.#ask(true);
  }

  #kill(guilty: readonly number[]): Verdict {
    return { kind: 'kill', guilty, reason: tooMuch(this.#found, this.#allowed ?? 0) };
  }

  #ask(cull: boolean): Verdict {
    this.#askedAt = performance.now();
    this.#culling = cull;
    this.#answer = undefined;
    this.#seen = undefined;
    return { kind: 'ask', cull };
  }
}

/** Why a host of these guests, whoever of them it is, holds too much; `undefined` when it does not. */
export const overweight = (found: number, limits: ReadonlyMap<number, number>): string | undefined => {
  const allowed = allowedMb({ limits });
  return found > allowed ? tooMuch(found, allowed) : undefined;
};

const tooMuch = (found: number, allowed: number): string =>
  `the host held ${Math.round(found)} MB, more than the ${Math.round(allowed)} MB of its guests`;

const allowedMb = ({ limits }: Pick<Weighed, 'limits'>): number => {
  let allowed = HOST_ROOM_MB;
  for (const limit of limits.values()) allowed += limit * OVERSHOOT;
  return allowed;
};

/** Resident memory of a process as the kernel counts it. The file is kept open: it is read for each guest. */
export class ResidentMemory {
  #statm: number | undefined;
  readonly #text = Buffer.alloc(128);

  constructor(pid: number) {
    try {
      this.#statm = openSync(`/proc/${pid}/statm`, 'r');
    } catch {
      // It cannot be had: no /proc, or the process is gone.
    }
  }

  /** In MB; 0 where it cannot be had. */
  get mb(): number {
    if (this.#statm === undefined) return 0;
    try {
      const length = readSync(this.#statm, this.#text, 0, this.#text.length, 0);
      const pages = Number(this.#text.toString('latin1', 0, length).split(' ')[1]);
      return (pages * 4096) / 1e6;
    } catch {
      return 0;
    }
  }

  close(): void {
    if (this.#statm !== undefined) closeSync(this.#statm);
    this.#statm = undefined;
  }
}

/** Threads that run, or would if they had a core or a page (proc_pid_stat(5): R and D); the first, which asks, is left out. */
export const busyThreads = (pid: number | undefined): readonly string[] | undefined => {
  if (pid === undefined) return undefined;
  try {
    return readdirSync(`/proc/${pid}/task`).filter((thread) => {
      if (thread === String(pid)) return false;
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
      return 'RD'.includes(stat.charAt(stat.lastIndexOf(')') + 2));
    });
  } catch {
    return undefined;
  }
};
