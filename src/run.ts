/**
 * Door-internal: steps 4 to 7 of a call, for each kind of body. A body that throws, never settles, returns a thenable or
 * is a generator ends in exactly one `call-ended`.
 */
import type { GovernedTool, Request } from './call.ts';
import { openRequest, validate } from './call.ts';
import { higher } from './content/classify.ts';
import { createContentStream } from './content/stream.ts';
import { release, StreamRelease } from './fulfil.ts';
import type { Released } from './fulfil.ts';
import { giveBack, judge } from './judge.ts';
import type { Verdict } from './judge.ts';
import { PolicyBlockError, RedactionApplied, ToolIntegrityViolation } from './model/errors.ts';
import { unreachable } from './model/decision.ts';
import type { Decision } from './model/decision.ts';
import type { CallOutcome } from './model/event.ts';
import { grantFor } from './model/grant.ts';
import type { ToolContext } from './tools/define.ts';
import { recordDecided, recorded, recordEnded } from './record.ts';

const since = (start: number): number => Math.round((performance.now() - start) * 1000) / 1000;

/** A call that is running: ends once, whatever happens in which order. */
interface Run {
  readonly verdict: Verdict;
  readonly recordMs: number;
  readonly runsFrom: number;
}

const denial = ({ request, decision, integrity }: Verdict): Error => {
  if (integrity !== undefined && decision.code === 'tool.changed') {
    return new ToolIntegrityViolation(request.tool.shape.name, integrity, request.ids);
  }
  return new PolicyBlockError(
    {
      blockedBy: decision.blockedBy ?? 'check_integrity',
      reason: decision.reason ?? 'denied without a reason',
      reasonCode: decision.code ?? 'denied',
      classification: decision.classification,
      tool: request.tool.shape.name,
      callId: request.callId,
    },
    request.ids,
  );
};

const refuseWhenCancelled = (request: Request): void => {
  for (const signal of request.signals) signal.throwIfAborted();
};

/** Records the decision; throws for a denial and for a journal that cannot be written. */
const admit = (verdict: Verdict, durable: boolean): Run => {
  const started = performance.now();
  try {
    recordDecided(verdict, durable);
  } catch (error) {
    giveBack(verdict.held);
    throw error;
  }
  const recordMs = since(started);
  if (!verdict.decision.allowed) {
    recordEnded(verdict, { outcome: 'denied', steps: [{ step: 'record', duration_ms: recordMs }] });
    throw denial(verdict);
  }
  return { verdict, recordMs, runsFrom: performance.now() };
};

interface Ended {
  readonly thrown?: { readonly error: unknown };
  readonly released?: Released;
}

const end = (run: Run, outcome: CallOutcome, { thrown, released }: Ended = {}): void => {
  if (outcome === 'returned') settleCost(run.verdict, released?.value);
  recordEnded(run.verdict, {
    outcome,
    ...(thrown !== undefined && { error: thrown.error }),
    ...(released?.withheld !== undefined && { withheld: released.withheld }),
    ...(released !== undefined && { detections: released.detections, classification: released.classification }),
    steps: [
      { step: 'record', duration_ms: run.recordMs },
      { step: 'run', duration_ms: since(run.runsFrom) },
    ],
  });
};

/** What it came to, where the price depends on the result; a price that cannot be told stays as it was reserved. */
const settleCost = ({ request, args, held }: Verdict, result: unknown): void => {
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

const startBody = ({ request, args, decision }: Verdict): unknown => {
  const { shape, original } = request.tool;
  if (shape.kind === 'function') return Reflect.apply(shape.body, request.self, args as unknown[]);
  const context = request.context.length > 0 ? request.context : [contextOf(request, decision)];
  return Reflect.apply(shape.body, original, [args, ...context]);
};

/** How long the permission of a call lasts, in milliseconds: far longer than a call, not for ever. */
const GRANT_MS = 3_600_000;

const contextOf = (request: Request, decision: Decision): ToolContext => ({
  callId: request.callId,
  // Made when a body asks: most never do.
  get grants() {
    const expiresAt = Date.now() + GRANT_MS;
    return decision.effects.flatMap((effect) => grantFor(decision, effect, request.callId, expiresAt) ?? []);
  },
  ...firstSignal(request),
});

const firstSignal = ({ signals }: Request): { readonly signal?: AbortSignal } => {
  const [first, ...more] = signals;
  if (first === undefined) return {};
  return { signal: more.length === 0 ? first : AbortSignal.any([first, ...more]) };
};

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  (typeof value === 'object' || typeof value === 'function') &&
  value !== null &&
  typeof (value as { then?: unknown }).then === 'function';

const CANCELLED = Symbol('cancelled');

/** The value of `pending`, or `CANCELLED` as soon as a signal fires: a tool that never settles must not hold its caller. */
const settledOrCancelled = (pending: PromiseLike<unknown>, signals: readonly AbortSignal[]): Promise<unknown> => {
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

const reasonOf = (signals: readonly AbortSignal[]): unknown => signals.find((signal) => signal.aborted)?.reason;

/** Step 6: what goes back to the caller, masked or withheld as the flags say; then step 7. */
const finish = (run: Run, result: unknown): unknown => {
  const released = release(run.verdict, result);
  end(run, 'returned', { released });
  return handOver(run, released);
};

const handOver = ({ verdict }: Run, released: Released): unknown => {
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

/** What the body threw goes back masked like a result; where that is withheld, the block goes back in its place. */
const fail = (run: Run, error: unknown): never => {
  const released = release(run.verdict, error);
  end(run, 'threw', { thrown: { error }, released });
  if (released.withheld !== undefined) handOver(run, released);
  throw released.value;
};

const finishLater = async (run: Run, pending: PromiseLike<unknown>): Promise<unknown> => {
  const { signals } = run.verdict.request;
  let result: unknown;
  try {
    result = await settledOrCancelled(pending, signals);
  } catch (error) {
    return fail(run, error);
  }
  if (result === CANCELLED) {
    end(run, 'cancelled');
    throw reasonOf(signals);
  }
  return dispatch(run, result);
};

const isGenerator = (value: unknown): value is Generator =>
  Object.prototype.toString.call(value) === '[object Generator]';

const isAsyncGenerator = (value: unknown): value is AsyncGenerator =>
  Object.prototype.toString.call(value) === '[object AsyncGenerator]';

/** A body of any kind may hand back a generator: its work is done while it is read, so the call ends when it does. */
const dispatch = (run: Run, result: unknown): unknown => {
  if (isGenerator(result)) return driveGenerator(run, result);
  if (isAsyncGenerator(result)) return driveAsyncGenerator(run, result);
  if (result instanceof ReadableStream) return driveReadable(run, result);
  return finish(run, result);
};

/** A web stream is masked piece by piece; what must not go on errors it. The call ends when the stream does. */
const driveReadable = (run: Run, body: ReadableStream<unknown>): ReadableStream<unknown> => {
  const stream = new StreamRelease(run.verdict);
  let ended = false;
  const finishOnce = (): void => {
    if (!ended) end(run, 'returned', { released: stream.released });
    ended = true;
  };
  const guard = new TransformStream<unknown, unknown>({
    transform: (value: unknown, controller: TransformStreamDefaultController) => {
      // What was found was found before its text was given on, so the flag is up when that text arrives here.
      if (stream.released.withheld === undefined) controller.enqueue(value);
      else refuse(controller);
    },
    flush: finishOnce,
    cancel: finishOnce,
    // `cancel` is newer than the types of Node's streams.
  });
  const refuse = (controller: TransformStreamDefaultController): void => {
    finishOnce();
    try {
      handOver(run, stream.released);
    } catch (error) {
      controller.error(error);
    }
  };
  return run.verdict.request.rules
    .reduce<ReadableStream<unknown>>(
      (readable, { scanner }, index) =>
        readable.pipeThrough(createContentStream(scanner, { found: (findings) => stream.note(findings, index) })),
      body,
    )
    .pipeThrough(guard);
};

const callSync = (request: Request): unknown => {
  refuseWhenCancelled(request);
  const validated = validate(request);
  if (validated instanceof Promise) throw new TypeError('Expected a synchronous validation');
  const run = admit(judge(request, validated), true);
  let result: unknown;
  let thenable: boolean;
  try {
    result = startBody(run.verdict);
    thenable = isThenable(result);
  } catch (error) {
    return fail(run, error);
  }
  return thenable ? finishLater(run, result as PromiseLike<unknown>) : dispatch(run, result);
};

const callAsync = async (request: Request): Promise<unknown> => {
  refuseWhenCancelled(request);
  const verdict = judge(request, await validate(request));
  const run = admit(verdict, false);
  await recorded(request);
  let result: unknown;
  try {
    result = startBody(verdict);
  } catch (error) {
    return fail(run, error);
  }
  return finishLater(run, result as PromiseLike<unknown>);
};

/** Throws the block of a stream whose next part must not go on. */
const refuseWithheld = (run: Run, stream: StreamRelease): void => {
  if (stream.released.withheld !== undefined) handOver(run, stream.released);
};

/** The value that a generator returns, with what was found in all that it yielded. */
const finishStream = (run: Run, stream: StreamRelease, result: unknown): unknown => {
  const last = release(run.verdict, result);
  const { detections, classification, withheld } = stream.released;
  const released: Released = {
    ...last,
    detections: [...detections, ...last.detections],
    classification: higher(classification, last.classification),
    ...(withheld !== undefined && { withheld }),
  };
  end(run, 'returned', { released });
  return handOver(run, released);
};

type Thrown = { readonly error: unknown } | undefined;

function* driveGenerator(run: Run, body: Iterator<unknown, unknown, unknown>): Generator {
  const stream = new StreamRelease(run.verdict);
  let ended = false;
  try {
    let step = body.next();
    for (;;) {
      let sent: unknown;
      let thrown: Thrown;
      const items = step.done === true ? stream.end() : stream.next(step.value);
      refuseWithheld(run, stream);
      for (const item of items) {
        try {
          sent = yield item;
        } catch (error) {
          thrown = { error };
        }
      }
      if (step.done === true) break;
      if (thrown === undefined) step = body.next(sent);
      else if (body.throw === undefined) throw thrown.error;
      else step = body.throw(thrown.error);
    }
    ended = true;
    return finishStream(run, stream, step.value);
  } catch (error) {
    if (ended) throw error;
    ended = true;
    return failStream(run, stream, body, error);
  } finally {
    if (!ended) {
      body.return?.();
      end(run, 'returned', { released: stream.released });
    }
  }
}

/** A withheld part ends the call as a block; anything else that is thrown is the body's own. */
const failStream = (run: Run, stream: StreamRelease, body: Iterator<unknown>, error: unknown): never => {
  if (stream.released.withheld === undefined) return fail(run, error);
  body.return?.();
  end(run, 'returned', { released: stream.released });
  throw error;
};

async function* driveAsyncGenerator(run: Run, body: AsyncIterator<unknown, unknown, unknown>): AsyncGenerator {
  const { signals } = run.verdict.request;
  const stream = new StreamRelease(run.verdict);
  let ended = false;
  const take = async (
    pending: Promise<IteratorResult<unknown, unknown>>,
  ): Promise<IteratorResult<unknown, unknown>> => {
    const step = await settledOrCancelled(pending, signals);
    if (step === CANCELLED) {
      ended = true;
      end(run, 'cancelled', { released: stream.released });
      throw reasonOf(signals);
    }
    return step as IteratorResult<unknown, unknown>;
  };
  try {
    let step = await take(body.next());
    for (;;) {
      let sent: unknown;
      let thrown: Thrown;
      const items = step.done === true ? stream.end() : stream.next(step.value);
      refuseWithheld(run, stream);
      for (const item of items) {
        try {
          sent = yield item;
        } catch (error) {
          thrown = { error };
        }
      }
      if (step.done === true) break;
      if (thrown === undefined) step = await take(body.next(sent));
      else if (body.throw === undefined) throw thrown.error;
      else step = await take(body.throw(thrown.error));
    }
    ended = true;
    return finishStream(run, stream, step.value);
  } catch (error) {
    if (ended) throw error;
    ended = true;
    if (stream.released.withheld === undefined) return fail(run, error);
    await body.return?.();
    end(run, 'returned', { released: stream.released });
    throw error;
  } finally {
    if (!ended) {
      await body.return?.();
      end(run, 'returned', { released: stream.released });
    }
  }
}

/** The body of a generator runs when it is first read; so do the decision and its record. */
function* callGenerator(request: Request): Generator {
  refuseWhenCancelled(request);
  const validated = validate(request);
  if (validated instanceof Promise) throw new TypeError('Expected a synchronous validation');
  const run = admit(judge(request, validated), true);
  return yield* driveGenerator(run, startBody(run.verdict) as Generator);
}

async function* callAsyncGenerator(request: Request): AsyncGenerator {
  refuseWhenCancelled(request);
  const verdict = judge(request, await validate(request));
  const run = admit(verdict, false);
  await recorded(request);
  return yield* driveAsyncGenerator(run, startBody(verdict) as AsyncGenerator);
}

/** One call of a governed tool. */
export const callTool = (tool: GovernedTool, self: unknown, argv: readonly unknown[]): unknown => {
  const request = openRequest(tool, self, argv);
  switch (tool.shape.bodyKind) {
    case 'async':
      return callAsync(request);
    case 'generator':
      return callGenerator(request);
    case 'async-generator':
      return callAsyncGenerator(request);
    case 'sync':
      return callSync(request);
    default:
      return unreachable(tool.shape.bodyKind);
  }
};

/** What would be decided, by the same path, without a record and without running anything. */
export const checkCall = async (tool: GovernedTool, argv: readonly unknown[]): Promise<Verdict['decision']> => {
  const request = openRequest(tool, undefined, argv);
  return judge(request, await validate(request), true).decision;
};
