/**
 * Parent side: whether a host holds more memory than its guests may, and whose fault it is. The kernel's count tells that
 * there is too much, never who has it, and V8 cannot be asked about a guest while it runs. So the host lets the others go
 * first, all of which would die with it anyway; who is left alone with the memory has it. What that does not settle is
 * nobody's fault. Nothing here protects one guest from the lies of a host that another has broken into: it could as well
 * forge their results.
 */
import { OVERSHOOT } from './limits.ts';
import type { WeighedMessage } from './message.ts';

/** What a host needs beside its guests' own limits, in MB: Node, V8's code, the reserve of isolates. */
const HOST_ROOM_MB = 160;
/** How long a host may take to answer, in milliseconds: its one thread may be busy, or the machine. */
const ANSWER_MS = 500;
/** While it does not answer it may grow by half of what it was allowed, and no further. */
const GROWTH = 1.5;

export interface Weighed {
  readonly residentMb: number;
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

const FINE: Verdict = { kind: 'fine' };

export class MemoryWatch {
  /** What was allowed when the host was asked, in MB; `undefined` while it need not answer. */
  #allowed: number | undefined;
  #found = 0;
  #askedAt = 0;
  #culling = false;

  /** Called by a clock. */
  tick(host: Weighed): Verdict {
    if (this.#allowed === undefined) {
      const allowed = allowedMb(host);
      if (host.residentMb <= allowed) return FINE;
      this.#allowed = allowed;
      this.#found = host.residentMb;
      return this.#ask(false);
    }
    if (performance.now() - this.#askedAt < ANSWER_MS && host.residentMb <= this.#allowed * GROWTH) return FINE;
    // It never had another guest: then there is nobody else to ask about.
    return this.#kill(host.served === 1 ? [...host.limits.keys()] : []);
  }

  /** Called with the answer; `undefined` where none was due. */
  weighed({ gone, left }: Pick<WeighedMessage, 'gone' | 'left'>, host: Weighed): Verdict | undefined {
    const allowed = this.#allowed;
    if (allowed === undefined) return undefined;
    if (host.residentMb <= allowed) {
      if (gone.length > 0) return this.#kill([]);
      this.#allowed = undefined;
      return FINE;
    }
    const [last, ...more] = left.filter((run) => host.limits.has(run));
    if (host.isHaunted || last === undefined) return this.#kill([]);
    if (more.length === 0) return this.#kill([last]);
    return this.#culling ? this.#kill([]) : this.#ask(true);
  }

  #kill(guilty: readonly number[]): Verdict {
    const [found, allowed] = [Math.round(this.#found), Math.round(this.#allowed ?? 0)];
    return { kind: 'kill', guilty, reason: `the host held ${found} MB, more than the ${allowed} MB of its guests` };
  }

  #ask(cull: boolean): Verdict {
    this.#askedAt = performance.now();
    this.#culling = cull;
    return { kind: 'ask', cull };
  }
}

const allowedMb = ({ limits }: Weighed): number => {
  let allowed = HOST_ROOM_MB;
  for (const limit of limits.values()) allowed += limit * OVERSHOOT;
  return allowed;
};
