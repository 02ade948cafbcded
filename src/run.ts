/**
 * Door-internal: steps 4 to 7 of a call, for each kind of body. A body that throws, never settles, returns a thenable or
 * is a generator ends in exactly one `call-ended`.
 */
import { isNesting, withParentCall } from './call-context.ts';
import type { GovernedTool, Request } from './call.ts';
import { openRequest, validate } from './call.ts';
import { dispatch, finishLater, look } from './dispatch.ts';
import { driveAsyncGenerator, driveGenerator } from './drive.ts';
import { end, fail, reasonOf } from './ending.ts';
import type { Run } from './ending.ts';
import { giveBack, judge } from './judge.ts';
import type { Verdict } from './judge.ts';
import { PolicyBlockError, ToolIntegrityViolation } from './model/errors.ts';
import { unreachable } from './model/decision.ts';
import type { Decision } from './model/decision.ts';
import type { Mode } from './model/flags.ts';
import { grantFor } from './model/grant.ts';
import type { Grant } from './model/grant.ts';
import type { ToolContext } from './tools/define.ts';
import { milliseconds } from './call-events.ts';
import { mustWait, recordDecided, recorded, recordEnded } from './record.ts';

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
  const now = performance.now();
  const recordMs = milliseconds(now - started);
  if (!verdict.decision.allowed) {
    recordEnded(verdict, { outcome: 'denied', endedAt: now, steps: [{ step: 'record', duration_ms: recordMs }] });
    throw denial(verdict);
  }
  return { verdict, recordMs, runsFrom: now, look, isEnded: false };
};

const startBody = ({ request, args, decision }: Verdict): unknown => {
  const { shape, original } = request.tool;
  if (shape.kind === 'function') return Reflect.apply(shape.body, request.self, args as unknown[]);
  const context = request.context.length > 0 ? request.context : [new CallContext(request, decision)];
  if (isNesting(shape.body)) {
    return withParentCall(request.callId, () => Reflect.apply(shape.body, original, [args, ...context]));
  }
  return Reflect.apply(shape.body, original, [args, ...context]);
};

/** How long the permission of a call lasts, in milliseconds: far longer than a call, not for ever. */
const GRANT_MS = 3_600_000;

/** `observe` and `warn` let happen what they would block. */
const blocks = (mode: Mode): boolean => mode === 'enforce' || mode === 'lockdown';

/** Grants are made when a body asks for them: most never do, and they would cost every call. */
class CallContext implements ToolContext {
  readonly callId: string;
  declare readonly signal?: AbortSignal;
  readonly #request: Request;
  readonly #decision: Decision;

  constructor(request: Request, decision: Decision) {
    this.callId = request.callId;
    this.#request = request;
    this.#decision = decision;
    const [first, ...more] = request.signals;
    if (first !== undefined) this.signal = more.length === 0 ? first : AbortSignal.any([first, ...more]);
  }

  get grants(): readonly Grant[] {
    const expiresAt = Date.now() + GRANT_MS;
    const decision = this.#decision;
    const keepsRows = this.#request.rules.some(({ flags }) => flags.db === 'safe_write' && blocks(flags.mode));
    return decision.effects.flatMap((effect) => grantFor(decision, effect, this.callId, expiresAt, keepsRows) ?? []);
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  (typeof value === 'object' || typeof value === 'function') &&
  value !== null &&
  typeof (value as { then?: unknown }).then === 'function';

/** True when nothing has to be waited for before the body runs: every turn of the event loop costs as much as a decision. */
const isRecorded = ({ verdict: { request } }: Run): boolean => request.signals.length === 0 && !mustWait(request);

/** For bodies that may wait. What could not be made durable, or was cancelled meanwhile, does not run. */
const whenRecorded = async (run: Run): Promise<void> => {
  const { request, held } = run.verdict;
  try {
    if (mustWait(request)) await recorded(request);
  } catch (error) {
    giveBack(held);
    end(run, 'denied', { thrown: { error } });
    throw error;
  }
  if (request.signals.some(({ aborted }) => aborted)) {
    giveBack(held);
    end(run, 'cancelled');
    throw reasonOf(request.signals);
  }
};

const begin = (run: Run): unknown => {
  try {
    return startBody(run.verdict);
  } catch (error) {
    return fail(run, error);
  }
};

const callSync = (request: Request): unknown => {
  refuseWhenCancelled(request);
  const validated = validate(request);
  if (validated instanceof Promise) throw new TypeError('Expected a synchronous validation');
  const run = admit(judge(request, validated), true);
  const result = begin(run);
  let thenable: boolean;
  try {
    thenable = isThenable(result);
  } catch (error) {
    return fail(run, error);
  }
  return thenable ? finishLater(run, result as PromiseLike<unknown>) : dispatch(run, result);
};

const callAsync = async (request: Request): Promise<unknown> => {
  refuseWhenCancelled(request);
  const validated = validate(request);
  const run = admit(judge(request, validated instanceof Promise ? await validated : validated), false);
  if (!isRecorded(run)) await whenRecorded(run);
  return finishLater(run, begin(run) as PromiseLike<unknown>);
};

/** The body of a generator runs when it is first read; so do the decision and its record. */
function* callGenerator(request: Request): Generator {
  refuseWhenCancelled(request);
  const validated = validate(request);
  if (validated instanceof Promise) throw new TypeError('Expected a synchronous validation');
  const run = admit(judge(request, validated), true);
  return yield* driveGenerator(run, begin(run) as Generator);
}

async function* callAsyncGenerator(request: Request): AsyncGenerator {
  refuseWhenCancelled(request);
  const run = admit(judge(request, await validate(request)), false);
  await whenRecorded(run);
  return yield* driveAsyncGenerator(run, begin(run) as AsyncGenerator);
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
