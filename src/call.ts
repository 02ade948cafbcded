/**
 * Door-internal: step 1 of a call, receive: the private copy of its arguments, checked against the tool's schema, with
 * everything that was true when it was made.
 */
import { randomBytes } from 'node:crypto';
import { parentCallId } from './call-context.ts';
import type { DeriveEffects } from './effect/declare.ts';
import type { Layer, Rules } from './layer.ts';
import type { Subject } from './model/call.ts';
import type { Basis } from './model/decision.ts';
import type { StepTiming } from './model/event.ts';
import type { ParsedFlags } from './model/flags.ts';
import type { CorrelationIds } from './model/session.ts';
import { ambientAuditBaseUrl, auditUrlOf, currentScope, uuidOf } from './session.ts';
import type { Scope } from './session.ts';
import type { ToolSnapshot } from './tools/integrity.ts';
import { adopt } from './tools/adopt.ts';
import { receive } from './tools/receive.ts';
import type { ArgumentFault } from './tools/receive.ts';
import type { ToolShape } from './tools/shape.ts';
import { callFlagsOf } from './with-flags.ts';

/** A tool under its layers of governance, outermost first. */
export interface GovernedTool {
  readonly shape: ToolShape;
  /** What the program gave to `govern()`. */
  readonly original: object;
  /** The original and every governed copy of it: a change to any of them is a change of the tool. */
  readonly faces: readonly object[];
  readonly snapshot: ToolSnapshot;
  /** One for each of `layers`: an outer declaration does not change what an inner layer was told. */
  readonly derives: readonly [DeriveEffects, ...DeriveEffects[]];
  /** What is known before any call; a single call may turn out to be better or worse known. */
  readonly basis: Basis;
  readonly layers: readonly [Layer, ...Layer[]];
}

/** A call that was received: its private copy of the arguments, and everything that was true when it was made. */
export interface Request {
  readonly tool: GovernedTool;
  readonly self: unknown;
  /** Arguments behind the input of an object tool: the framework's context, passed on unread. */
  readonly context: readonly unknown[];
  readonly callId: string;
  readonly parentCallId: string | undefined;
  readonly scope: Scope | undefined;
  readonly call: ParsedFlags | undefined;
  readonly subject: Subject;
  readonly ids: CorrelationIds;
  readonly rules: readonly Rules[];
  readonly signals: readonly AbortSignal[];
  /** As the caller passed them. */
  readonly asked: unknown;
  /** True when `asked` is JSON already. */
  readonly isJson: boolean;
  readonly fault: ArgumentFault | { readonly code: string; readonly at: string; readonly expected: string } | undefined;
  readonly startedAt: number;
  readonly steps: readonly StepTiming[];
}

const processId = randomBytes(8).toString('hex');
let calls = 0;

/** Unique in the world for as long as 64 random bits are: the process, then a count. */
const nextCallId = (): string => `${processId}-${(calls += 1).toString(36)}`;

const since = (start: number): number => Math.round((performance.now() - start) * 1000) / 1000;

/** Read once: looking into the environment costs as much as a whole decision. */
const auditBaseUrl = ambientAuditBaseUrl();

const idsOf = (callId: string, scope: Scope | undefined, rules: Rules, subject: Subject): CorrelationIds => {
  const session = scope?.session;
  const sessionId = session?.sessionId ?? `call-${callId}`;
  return {
    sessionId,
    taskId: session?.taskId ?? `task-${callId}`,
    agentUuid: agentUuidOf(subject.agent),
    pipelineUuid: rules.pipelineUuid,
    auditUrl: session === undefined ? auditUrlOf(auditBaseUrl, sessionId) : session.auditUrl,
  };
};

const agentUuids = new Map<string, string>();

const agentUuidOf = (agent: string): string => {
  let uuid = agentUuids.get(agent);
  if (uuid === undefined) {
    uuid = uuidOf(`agent:${agent}`);
    // Agents are few; names that come from outside must not fill the memory.
    if (agentUuids.size < 10_000) agentUuids.set(agent, uuid);
  }
  return uuid;
};

const ANYBODY: Subject = Object.freeze({ agent: 'agent' });

const subjectOf = (tool: GovernedTool, scope: Scope | undefined): Subject => {
  if (scope?.session?.subject !== undefined) return scope.session.subject;
  for (const layer of tool.layers) if (layer.subject !== undefined) return layer.subject;
  return ANYBODY;
};

const signalsOf = (
  tool: GovernedTool,
  scope: Scope | undefined,
  context: readonly unknown[],
): readonly AbortSignal[] => {
  let signals: AbortSignal[] | undefined;
  for (const layer of tool.layers) if (layer.signal !== undefined) (signals ??= []).push(layer.signal);
  if (scope?.signal !== undefined) (signals ??= []).push(scope.signal);
  const [options] = context;
  if (typeof options === 'object' && options !== null) {
    for (const name of ['abortSignal', 'signal'] as const) {
      const signal = signalAt(options, name);
      if (signal !== undefined) (signals ??= []).push(signal);
    }
  }
  return signals ?? NO_SIGNALS;
};

/** A context that cannot be read, or only looks like a signal, has none. */
const signalAt = (options: object, name: 'abortSignal' | 'signal'): AbortSignal | undefined => {
  try {
    const signal = (options as Readonly<Record<string, unknown>>)[name];
    return signal instanceof AbortSignal && typeof signal.aborted === 'boolean' ? signal : undefined;
  } catch {
    return undefined;
  }
};

const NO_SIGNALS: readonly AbortSignal[] = Object.freeze([]);

/** Step 1. Never throws: what cannot be received is a fault, and a fault is denied. */
export const openRequest = (tool: GovernedTool, self: unknown, argv: readonly unknown[]): Request => {
  const startedAt = performance.now();
  const scope = currentScope();
  const call = callFlagsOf(argv.at(-1));
  const passed = call === undefined ? argv : argv.slice(0, -1);
  const isFunction = tool.shape.kind === 'function';
  const context = isFunction ? NO_CONTEXT : passed.slice(1);
  const received = receive(isFunction ? passed : passed[0], tool.layers[0].limits);
  const rules = tool.layers.map((layer) => layer.rulesFor(scope, call));
  const callId = nextCallId();
  const subject = subjectOf(tool, scope);
  const fault = 'fault' in received ? received.fault : undefined;
  return {
    tool,
    self,
    context,
    callId,
    parentCallId: parentCallId(),
    scope,
    call,
    subject,
    ids: idsOf(callId, scope, rules[0] as Rules, subject),
    rules,
    signals: signalsOf(tool, scope, context),
    asked: 'fault' in received ? null : received.value,
    isJson: 'fault' in received || received.isJson,
    fault,
    startedAt,
    steps: [{ step: 'receive', duration_ms: since(startedAt) }],
  };
};

const NO_CONTEXT: readonly unknown[] = Object.freeze([]);

export type Validated = { readonly args: unknown } | { readonly fault: NonNullable<Request['fault']> };

/** Issues of a schema name what it expected; values never appear in a reason, so messages are cut to their first line. */
const issuesText = (issues: readonly { readonly message: string; readonly path?: unknown }[]): string =>
  issues
    .slice(0, 3)
    .map(({ message, path }) => {
      const where = Array.isArray(path) ? path.map(segmentText).join('.') : '';
      const text = message.split('\n', 1)[0]?.slice(0, 200) ?? '';
      return where === '' ? text : `${where}: ${text}`;
    })
    .join('; ');

const segmentText = (segment: unknown): string =>
  String(typeof segment === 'object' && segment !== null && 'key' in segment ? segment.key : segment);

const invalid = (expected: string): Validated => ({ fault: { code: 'arguments.invalid', at: '', expected } });

interface ValidationResult {
  readonly value?: unknown;
  readonly issues?: readonly { readonly message: string; readonly path?: unknown }[] | undefined;
}

/** What is neither a value nor a list of issues is no answer, and without an answer nothing runs. */
const validatedFrom = (request: Request, result: unknown): Validated => {
  if (typeof result !== 'object' || result === null) return invalid(NO_ANSWER);
  const { issues } = result as ValidationResult;
  if (issues !== undefined) return invalid(`the arguments do not fit the schema: ${issuesText(issues)}`);
  if (!('value' in result)) return invalid(NO_ANSWER);
  return { args: adopt(result.value, request.asked, request.tool.layers[0].limits) };
};

const NO_ANSWER = 'the schema of this tool gave neither a value nor issues';
const THREW = 'the schema of this tool threw while it validated the arguments';

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';

/** Applies the tool's schema. A schema that answers later is only for bodies that may wait. */
export const validate = (request: Request): Validated | Promise<Validated> => {
  const { shape } = request.tool;
  if (request.fault !== undefined) return { fault: request.fault };
  if (shape.validate === undefined) return { args: request.asked };
  try {
    const result: unknown = shape.validate(request.asked);
    // Promises of another realm or another make are no less late.
    if (!isThenable(result)) return validatedFrom(request, result);
    if (shape.bodyKind === 'async' || shape.bodyKind === 'async-generator') {
      return Promise.resolve(result)
        .then((late) => validatedFrom(request, late))
        .catch(() => invalid(THREW));
    }
    Promise.resolve(result).catch(() => undefined);
    return invalid('the schema of this tool validates asynchronously: make its `execute` an async function');
  } catch {
    return invalid(THREW);
  }
};
