/** Door-internal: the two events of a call, as the journal takes them: what was asked and decided, and how it ended. */
import { hash } from 'node:crypto';
import { lineWriter } from './audit/append.ts';
import type { Request } from './call.ts';
import { higher } from './content/classify.ts';
import { UNREADABLE } from './judge.ts';
import type { Verdict } from './judge.ts';
import { canonicalize, trustCanonicalJson } from './model/canonical.ts';
import type { Classification, Decision, Detection, Step } from './model/decision.ts';
import { unreachable } from './model/decision.ts';
import type { Effect, ResolvedPath } from './model/effect.ts';
import type { CallDecided, CallEnded, CallOutcome, StepTiming } from './model/event.ts';
import { asJson, asRecord } from './tools/receive.ts';

/**
 * An event while it is being made: one literal of the fields that every event has, so that all of them share one shape,
 * then the ones that this event has besides. Spreading parts together costs more than writing the line.
 */
type Draft<Entry> = { -readonly [Field in keyof Entry]: Entry[Field] };

/** Of the fields that name a call, those that not every call has. */
const addRarer = (entry: Draft<CallDecided> | Draft<CallEnded>, { subject, parentCallId }: Request): void => {
  if (subject.user !== undefined) entry.user = subject.user;
  if (subject.org !== undefined) entry.org = subject.org;
  if (parentCallId !== undefined) entry.parent_call_id = parentCallId;
};

const inOrder = ({ beneath, exists, real }: ResolvedPath): ResolvedPath =>
  beneath === undefined ? { exists, real } : { beneath, exists, real };

/** What the journal says of an effect: facts for replay, not the whole message or statement, which are in `args`. */
const effectFacts = (effect: Effect, recipients: Verdict['recipients']): unknown => {
  switch (effect.kind) {
    case 'file': {
      const { kind, operation, pointer, resolved, fault } = effect;
      if (fault !== undefined || resolved === undefined) {
        return { kind, operation, pointer, ...(resolved && { resolved }), ...(fault !== undefined && { fault }) };
      }
      // Keys in the order of the canonical text: sorting them again for every call would cost a microsecond.
      return { kind, operation, pointer, resolved: inOrder(resolved) };
    }
    case 'sql':
      return { kind: effect.kind, pointer: effect.pointer, dialect: effect.dialect };
    case 'email':
      return { kind: effect.kind, pointer: effect.pointer, recipients: recipients.get(effect.pointer) ?? NONE };
    case 'network':
    case 'command':
      return { kind: effect.kind, pointer: effect.pointer };
    default:
      return unreachable(effect);
  }
};

const NONE: readonly never[] = Object.freeze([]);

/** Masks what the content flags look for: everything found is masked here, also what a flag lets through to the tool. */
type Mask = <T>(value: T) => T;

const maskFor =
  ({ rules }: Request): Mask =>
  <T>(value: T): T => {
    let masked: unknown = value;
    for (const { scanner } of rules) masked = scanner.record(masked).value;
    return masked as T;
  };

/** What cannot be looked through (a detector of the program threw) is not written down, but the event is. */
const maskedOr = <T>(request: Request, value: T, otherwise: T): T => {
  try {
    return maskFor(request)(value);
  } catch {
    return otherwise;
  }
};

const maskedText = (request: Request, text: string): string => maskedOr(request, text, '[could not be looked through]');

/** What JSON carries as text (a pattern, a URL) is looked through as the text that will stand there. */
const recordable = (request: Request, masked: unknown): unknown =>
  request.isJson || masked === UNREADABLE ? asJson(masked) : maskFor(request)(asRecord(masked, digestOf));

const digestOf = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');

/** The arguments as they are written down; the second is true where only their beginning is. */
const recordedArguments = (
  request: Request,
  argsText: string,
  masked: unknown,
): readonly [args: unknown, isTruncated: boolean] => {
  const most = request.tool.layers[0].limits.recordedBytes;
  const text = masked === request.asked && request.isJson ? argsText : canonicalize(recordable(request, masked));
  if (text.length <= most) return [trustCanonicalJson(text), false];
  // Cut after masking: half a secret at the cut would no longer look like one.
  return [text.slice(0, Math.min(most, 1024)).toWellFormed(), true];
};

export const decidedEntry = (verdict: Verdict): CallDecided => {
  const { request, decision, steps, recipients, recorded: masked } = verdict;
  const { ids } = request;
  const rules = request.rules[0];
  if (rules === undefined) throw new TypeError('Expected at least one layer of rules');
  const argsText = canonicalize(request.isJson ? request.asked : asJson(request.asked));
  const [args, isTruncated] = recordedArguments(request, argsText, masked);
  const { effects, rewrites } = decision;
  const entry: Draft<CallDecided> = {
    type: 'call-decided',
    session_id: ids.sessionId,
    task_id: ids.taskId,
    agent_uuid: ids.agentUuid,
    pipeline_uuid: ids.pipelineUuid,
    audit_url: ids.auditUrl,
    agent: request.subject.agent,
    tool: request.tool.shape.name,
    call_id: request.callId,
    outcome: decision.outcome,
    args,
    args_sha256: lineWriter().digest(argsText),
    effects: decision.basis,
    effect_list: effects.length === 0 ? NONE : effects.map((effect) => effectFacts(effect, recipients)),
    blocked: !decision.allowed,
    flags: rules.flags,
    detections: decision.allowed ? decision.detections : maskedOr(request, decision.detections, NONE),
    classification: decision.classification,
    steps,
  };
  addRarer(entry, request);
  if (isTruncated) entry.args_truncated = true;
  if (rewrites.length > 0) entry.rewrites = rewrites.map(rewriteFields);
  if (decision.blockedBy !== undefined) {
    entry.blocked_by = decision.blockedBy;
    // Also where the arguments are clean: a schema words its own issues.
    entry.reason = maskedText(request, decision.reason ?? '');
    entry.reason_code = decision.code ?? '';
  }
  const { wouldBlock } = decision;
  if (wouldBlock !== undefined) {
    entry.would_block = {
      blocked_by: wouldBlock.blockedBy,
      reason: wouldBlock.reason,
      reason_code: wouldBlock.code,
    };
  }
  if (decision.flagged) entry.flagged = true;
  if (rules.ignored.length > 0) entry.ignored_flags = rules.ignored;
  return masked === request.asked || masked === UNREADABLE ? entry : maskedEntry(entry, request);
};

/** Where the arguments held something to mask, what was derived from them may hold it too. */
const maskedEntry = (entry: CallDecided, request: Request): CallDecided => {
  const mask = maskFor(request);
  const { effect_list, would_block, rewrites = NONE, detections } = entry;
  return {
    ...entry,
    ...mask({ effect_list, rewrites, detections }),
    ...(would_block !== undefined && { would_block: { ...would_block, reason: mask(would_block.reason) } }),
  };
};

const rewriteFields = ({ pointer, value }: { readonly pointer: string; readonly value: unknown }) => ({
  pointer,
  value: asJson(value),
});

export interface Ending {
  readonly outcome: CallOutcome;
  /** What the body threw. */
  readonly error?: unknown;
  /** The result was withheld. */
  readonly withheld?: { readonly blockedBy: Step; readonly reason: string };
  readonly detections?: readonly Detection[];
  readonly classification?: Classification;
  /** By `performance.now()`. */
  readonly endedAt: number;
  readonly steps: readonly StepTiming[];
}

const MAX_MESSAGE = 2000;

const errorFields = (error: unknown, mask: Mask): { name: string; message: string } => {
  try {
    const name = error instanceof Error ? error.name : typeof error;
    const message = error instanceof Error ? error.message : typeof error === 'string' ? error : '';
    // Masked whole, then cut: half a secret no longer looks like one.
    return {
      name: mask(name).slice(0, 200).toWellFormed(),
      message: mask(message).slice(0, MAX_MESSAGE).toWellFormed(),
    };
  } catch {
    return { name: 'unreadable', message: '' };
  }
};

/** To the microsecond: what is below is noise, and would only make lines longer. */
export const milliseconds = (duration: number): number => Math.round(duration * 1000) / 1000;

export const endedEntry = (request: Request, decision: Decision, ending: Ending): CallEnded => {
  const { ids } = request;
  const entry: Draft<CallEnded> = {
    type: 'call-ended',
    session_id: ids.sessionId,
    task_id: ids.taskId,
    agent_uuid: ids.agentUuid,
    pipeline_uuid: ids.pipelineUuid,
    audit_url: ids.auditUrl,
    agent: request.subject.agent,
    tool: request.tool.shape.name,
    call_id: request.callId,
    outcome: ending.outcome,
    blocked: !decision.allowed || ending.withheld !== undefined,
    detections: ending.detections ?? NONE,
    classification: higher(ending.classification ?? 'PUBLIC', decision.classification),
    duration_ms: milliseconds(ending.endedAt - request.startedAt),
    steps: ending.steps,
  };
  addRarer(entry, request);
  if (decision.blockedBy !== undefined) {
    entry.blocked_by = decision.blockedBy;
    entry.reason = maskedText(request, decision.reason ?? '');
  }
  if (ending.withheld !== undefined) {
    entry.blocked_by = ending.withheld.blockedBy;
    entry.reason = ending.withheld.reason;
  }
  if ('error' in ending) entry.error = errorFields(ending.error, maskFor(request));
  return entry;
};
