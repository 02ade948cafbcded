/** Door-internal: how a call ends: once, whatever its body does, and what goes back to the caller with it. */
import { higher } from './content/classify.ts';
import type { Released, StreamRelease } from './fulfil.ts';
import type { Verdict } from './judge.ts';
import { PolicyBlockError, RedactionApplied } from './model/errors.ts';
import type { CallOutcome } from './model/event.ts';
import { milliseconds } from './call-events.ts';
import type { Parts } from './parts.ts';
import { recordEnded } from './record.ts';

/** A call that is running. */
export interface Run {
  readonly verdict: Verdict;
  readonly recordMs: number;
  readonly runsFrom: number;
  /** It ends once: what comes later changes nothing. */
  isEnded: boolean;
  /** Of a part of a result: what its end belongs to, which is not yet the call's. */
  readonly parts?: Parts;
  /** Looks through what goes back; what cannot be read yet is governed where it stands. */
  readonly look: (run: Run, value: unknown) => Looked;
  isPaid?: boolean;
  /** Its own work is over, and parts of what it gave are not: they end it. */
  isWaiting?: boolean;
}

export interface Looked {
  readonly released: Released;
  /** What the end of the call has to wait for. */
  readonly parts?: Parts;
}

export interface Ended {
  readonly thrown?: { readonly error: unknown };
  readonly released?: Released;
}

export const end = (run: Run, outcome: CallOutcome, { thrown, released }: Ended = {}): void => {
  if (run.isEnded || run.isWaiting === true) return;
  run.isEnded = true;
  if (run.parts !== undefined) {
    run.parts.note(outcome, { ...(thrown !== undefined && { thrown }), ...(released !== undefined && { released }) });
    return;
  }
  if (outcome === 'returned') settleCost(run, released?.value);
  const endedAt = performance.now();
  recordEnded(run.verdict, {
    outcome,
    endedAt,
    ...(thrown !== undefined && { error: thrown.error }),
    ...(released?.withheld !== undefined && { withheld: released.withheld }),
    ...(released !== undefined && { detections: released.detections, classification: released.classification }),
    steps: [
      { step: 'record', duration_ms: run.recordMs },
      { step: 'run', duration_ms: milliseconds(endedAt - run.runsFrom) },
    ],
  });
};

/** What it came to, where the price depends on the result; a price that cannot be told stays as it was reserved. */
export const settleCost = (run: Run, result: unknown): void => {
  if (run.isPaid === true) return;
  run.isPaid = true;
  const { request, args, held } = run.verdict;
  const { cost } = request.tool.shape;
  if (held.length === 0 || typeof cost !== 'function') return;
  try {
    const usd: unknown = (cost as (input: unknown, result: unknown) => unknown)(args, result);
    if (typeof usd === 'number' && usd >= 0 && Number.isFinite(usd)) {
      for (const { budget, reservation } of held) budget.settle(reservation, { usd });
    }
  } catch {
    // The reservation stands: it is the most that was known before the call.
  }
};

export const CANCELLED = Symbol('cancelled');

/** The value of `pending`, or `CANCELLED` as soon as a signal fires: a tool that never settles must not hold its caller. */
export const settledOrCancelled = (
  pending: PromiseLike<unknown>,
  signals: readonly AbortSignal[],
): Promise<unknown> => {
  if (signals.length === 0) return Promise.resolve(pending);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      resolve(CANCELLED);
    };
    const stop = (): void => {
      for (const signal of signals) signal.removeEventListener('abort', onAbort);
    };
    for (const signal of signals) {
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    }
    Promise.resolve(pending)
      .then(resolve, reject)
      .finally(stop)
      .catch(() => undefined);
  });
};

export const reasonOf = (signals: readonly AbortSignal[]): unknown => signals.find((signal) => signal.aborted)?.reason;

/** Step 6: what goes back to the caller, masked or withheld as the flags say. */
export const handOver = ({ verdict }: Run, released: Released): unknown => {
  const { request } = verdict;
  if (released.withheld !== undefined) {
    const { blockedBy, reason, code } = released.withheld;
    throw new PolicyBlockError(
      {
        blockedBy,
        reason,
        reasonCode: code,
        classification: released.classification,
        tool: request.tool.shape.name,
        callId: request.callId,
      },
      request.ids,
    );
  }
  if (released.redactions.length > 0 && request.tool.layers.some(({ raiseOnRedaction }) => raiseOnRedaction)) {
    throw new RedactionApplied(released.redactions, released.value, request.ids);
  }
  return released.value;
};

/** Now, or with the last of its parts. */
export const endWith = (
  run: Run,
  outcome: CallOutcome,
  { released, parts }: Looked,
  thrown?: Ended['thrown'],
): void => {
  const ended = { released, ...(thrown !== undefined && { thrown }) };
  if (parts === undefined) end(run, outcome, ended);
  else parts.close(outcome, ended);
};

/** What the body threw goes back masked like a result; where that is withheld, the block goes back in its place. */
export const fail = (run: Run, error: unknown): never => {
  const looked = run.look(run, error);
  const { released } = looked;
  endWith(run, 'threw', looked, { error });
  if (released.withheld !== undefined) handOver(run, released);
  throw released.value;
};

/** The next values of a stream. The call ends when the stream does, so a withheld value ends both. */
export const passOn = (run: Run, stream: StreamRelease, values: readonly unknown[]): readonly unknown[] => {
  const { released } = stream;
  if (released.withheld === undefined) return values;
  end(run, 'returned', { released });
  handOver(run, released);
  return [];
};

/** The value that a generator returns, recorded with what was found in all that it yielded. */
export const finishStream = (run: Run, stream: StreamRelease, result: unknown): unknown => {
  const { released: last, parts } = run.look(run, result);
  const { detections, classification } = stream.released;
  const released: Released = {
    ...last,
    detections: [...detections, ...last.detections],
    classification: higher(classification, last.classification),
  };
  endWith(run, 'returned', { released, ...(parts !== undefined && { parts }) });
  return handOver(run, released);
};
