/**
 * Door-internal: takes one call through its steps: receive, derive, decide, record, run, fulfil, record.
 *
 * The order is the promise. What is judged is a frozen copy; `call-decided` is in the journal before the body runs, and
 * a journal that cannot be written denies; the body gets what was judged and nothing else. Everything up to the body is
 * synchronous, so that a synchronous tool stays one and a generator tool returns its generator.
 */
import { randomBytes } from 'node:crypto';
import type { DeriveEffects } from './effect/declare.ts';
import type { Layer, Rules } from './layer.ts';
import type { Subject } from './model/call.ts';
import type { Basis, Decision, Detection, Ruling } from './model/decision.ts';
import { allowRuling, denyRuling } from './model/decision.ts';
import type { Effect } from './model/effect.ts';
import type { StepTiming } from './model/event.ts';
import type { ParsedFlags } from './model/flags.ts';
import type { CorrelationIds } from './model/session.ts';
import { settle } from './policy/mode.ts';
import { ambientAuditBaseUrl, auditUrlOf, currentScope, uuidOf } from './session.ts';
import type { Scope } from './session.ts';
import { integrityFault } from './tools/integrity.ts';
import type { ToolSnapshot } from './tools/integrity.ts';
import { receive } from './tools/receive.ts';
import type { ArgumentFault } from './tools/receive.ts';
import { applyRewrites } from './tools/rewrite.ts';
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
  readonly derive: DeriveEffects;
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

/** A request that was judged: what may run, and with which arguments. */
export interface Verdict {
  readonly request: Request;
  readonly decision: Decision;
  /** After validation and rewriting: what the body gets. */
  readonly args: unknown;
  readonly integrity: string | undefined;
  readonly steps: readonly StepTiming[];
}

const processId = randomBytes(8).toString('hex');
let calls = 0;

/** Unique in the world for as long as 64 random bits are: the process, then a count. */
const nextCallId = (): string => `${processId}-${(calls += 1).toString(36)}`;

const since = (start: number): number => Math.round((performance.now() - start) * 1000) / 1000;

const idsOf = (callId: string, scope: Scope | undefined, rules: Rules, subject: Subject): CorrelationIds => {
  const session = scope?.session;
  const sessionId = session?.sessionId ?? `call-${callId}`;
  return {
    sessionId,
    taskId: session?.taskId ?? `task-${callId}`,
    agentUuid: agentUuidOf(subject.agent),
    pipelineUuid: rules.pipelineUuid,
    auditUrl: session === undefined ? auditUrlOf(ambientAuditBaseUrl(), sessionId) : session.auditUrl,
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
    const { abortSignal, signal } = options as { abortSignal?: unknown; signal?: unknown };
    if (abortSignal instanceof AbortSignal) (signals ??= []).push(abortSignal);
    if (signal instanceof AbortSignal) (signals ??= []).push(signal);
  }
  return signals ?? NO_SIGNALS;
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
    parentCallId: scope?.parentCallId,
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

type Validated = { readonly args: unknown } | { readonly fault: NonNullable<Request['fault']> };

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

const validatedFrom = (result: ValidationResult): Validated =>
  result.issues === undefined
    ? { args: freezeDeep(result.value) }
    : invalid(`the arguments do not fit the schema: ${issuesText(result.issues)}`);

/** A schema may make new values (defaults, transforms); plain ones are frozen like the rest. */
const freezeDeep = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== Array.prototype && prototype !== null) return value;
  for (const item of Object.values(value) as unknown[]) freezeDeep(item);
  return Object.freeze(value);
};

/** Applies the tool's schema. A schema that answers later is only for bodies that may wait. */
export const validate = (request: Request): Validated | Promise<Validated> => {
  const { shape } = request.tool;
  if (request.fault !== undefined) return { fault: request.fault };
  if (shape.validate === undefined) return { args: request.asked };
  try {
    const result = shape.validate(request.asked);
    if (!(result instanceof Promise)) return validatedFrom(result as ValidationResult);
    if (shape.bodyKind === 'async' || shape.bodyKind === 'async-generator') {
      return result.then(
        (late) => validatedFrom(late as ValidationResult),
        () => invalid('the schema of this tool threw while it validated the arguments'),
      );
    }
    void result.catch(() => undefined);
    return invalid('the schema of this tool validates asynchronously: make its `execute` an async function');
  } catch {
    return invalid('the schema of this tool threw while it validated the arguments');
  }
};

const NO_EFFECTS: readonly Effect[] = Object.freeze([]);

const faultRuling = (fault: NonNullable<Request['fault']>): Ruling => ({
  ...denyRuling('check_integrity', fault.code, fault.at === '' ? fault.expected : `${fault.expected}, at ${fault.at}`),
  hard: true,
});

const faultOfFaces = ({ faces, shape, snapshot }: GovernedTool): string | undefined => {
  for (const face of faces) {
    const fault = integrityFault(face, shape, snapshot);
    if (fault !== undefined) return fault;
  }
  return undefined;
};

const INTACT = allowRuling('check_integrity');

interface Judgement {
  readonly decision: Decision;
  readonly integrity: string | undefined;
}

const judgeLayer = (request: Request, rules: Rules, args: unknown, steps: StepTiming[]): Judgement => {
  const { tool } = request;
  const rulings: Ruling[] = [];
  const effects: Effect[] = [];
  let at = performance.now();
  const took = (step: string, outcome: string): void => {
    const now = performance.now();
    steps.push({ step, duration_ms: Math.round((now - at) * 1000) / 1000, outcome });
    at = now;
  };
  const derived = tool.derive(args);
  took('derive', tool.basis);
  const filter = rules.filterTools(tool.shape.name);
  rulings.push(filter);
  took('filter_tools', filter.outcome);
  const integrity = faultOfFaces(tool);
  rulings.push(
    integrity === undefined
      ? INTACT
      : denyRuling('check_integrity', 'tool.changed', `${tool.shape.name}: ${integrity}`),
  );
  for (const found of derived) {
    const { effect, ruling } = rules.effects(found);
    effects.push(effect);
    rulings.push(ruling);
    took(ruling.step, ruling.outcome);
  }
  const { basis } = tool;
  return { decision: settle(rules.flags.mode, { rulings, effects, basis, classification: 'PUBLIC' }), integrity };
};

/** A decision that could not be made is a deny under every mode; what broke is for the program, not for the model. */
const brokenDecision = (request: Request, error: unknown): Decision => {
  const name = error instanceof Error ? error.name : typeof error;
  const ruling: Ruling = {
    ...denyRuling(
      'check_integrity',
      'decision.threw',
      `the decision could not be made (${name}), and what cannot be decided is denied`,
    ),
    hard: true,
  };
  return settle('enforce', {
    rulings: [ruling],
    effects: NO_EFFECTS,
    basis: request.tool.basis,
    classification: 'INTERNAL',
  });
};

/** Steps 2 and 3. Never throws: whatever throws inside a decision is a deny. */
export const judge = (request: Request, validated: Validated): Verdict => {
  const steps: StepTiming[] = [...request.steps];
  if ('fault' in validated) {
    const rulings = [faultRuling(validated.fault)];
    const decision = settle('enforce', {
      rulings,
      effects: NO_EFFECTS,
      basis: request.tool.basis,
      classification: 'PUBLIC',
    });
    return { request, decision, args: undefined, integrity: undefined, steps };
  }
  let { args } = validated;
  try {
    let decision: Decision | undefined;
    let integrity: string | undefined;
    for (const rules of request.rules) {
      const judgement = judgeLayer(request, rules, args, steps);
      if (judgement.decision.allowed && judgement.decision.rewrites.length > 0) {
        args = applyRewrites(args, judgement.decision.rewrites);
      }
      decision = decision === undefined ? judgement.decision : combine(decision, judgement.decision);
      integrity ??= judgement.integrity;
      if (!decision.allowed) break;
    }
    return { request, decision: decision ?? brokenDecision(request, undefined), args, integrity, steps };
  } catch (error) {
    return { request, decision: brokenDecision(request, error), args, integrity: undefined, steps };
  }
};

/** Two layers: both must allow. What the inner one saw was already rewritten by the outer one. */
const combine = (outer: Decision, inner: Decision): Decision => {
  const detections: readonly Detection[] = [...outer.detections, ...inner.detections];
  const rewrites = [...outer.rewrites, ...inner.rewrites];
  const flagged = outer.flagged || inner.flagged;
  const wouldBlock = outer.wouldBlock ?? inner.wouldBlock;
  return { ...inner, detections, rewrites, flagged, ...(wouldBlock !== undefined && { wouldBlock }) };
};
