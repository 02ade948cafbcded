/**
 * The text of a journal line: the canonical JSON (RFC 8785) of the event without `hash`, which is what is hashed; on
 * disk its last brace is replaced by `,"hash":"<SHA-256>"}` and a line feed, so that a verifier hashes the very bytes it
 * reads.
 *
 * The two events of every call have serialisers of their own with the keys already in order; whatever is unusual about
 * an entry goes the general way, and a property test holds the two to the same text.
 */
import { canonicalize, needsEscape, quote, quoteWord } from '../model/canonical.ts';
import type { CallDecided, CallEnded, JournalEntry, StepTiming } from '../model/event.ts';

/** Fields that only the journal may write: an entry that brings one would forge its place in the chain. */
const RESERVED = ['seq', 'time', 'prev_hash', 'hash', 'signature'] as const;

export const lineText = (entry: JournalEntry, seq: number, time: string, prevHash: string): string => {
  switch (entry.type) {
    case 'call-decided':
      return decidedText(entry, seq, time, prevHash) ?? generalText(entry, seq, time, prevHash);
    case 'call-ended':
      return endedText(entry, seq, time, prevHash) ?? generalText(entry, seq, time, prevHash);
    case 'journal-opened':
    case 'journal-closed':
    case 'checkpoint':
    case 'lock-down':
    case 'notice':
    default:
      return generalText(entry, seq, time, prevHash);
  }
};

/** Types of the journal's own lines: an entry of one would end or sign a file in the journal's name. */
const OWN_TYPES: ReadonlySet<string> = new Set(['journal-opened', 'journal-closed', 'checkpoint']);

/** Any entry, the slow and certain way. */
export const generalText = (entry: JournalEntry, seq: number, time: string, prevHash: string): string => {
  // Read once: an accessor must not be one thing when it is looked at and another when it is written.
  const fields = { ...entry };
  const taken = RESERVED.find((field) => field in fields);
  if (taken !== undefined) {
    throw new TypeError(`Expected an entry without \`${taken}\`, which only the journal writes. Rename the field.`);
  }
  if (OWN_TYPES.has(fields.type)) {
    throw new TypeError(`Expected an entry of another type than \`${fields.type}\`, which only the journal writes.`);
  }
  return canonicalize({ ...fields, seq, time, prev_hash: prevHash });
};

const REQUIRED_OF_DECIDED = 19;
const REQUIRED_OF_ENDED = 15;

const decidedText = (entry: CallDecided, seq: number, time: string, prevHash: string): string | undefined => {
  const { agent, agent_uuid, call_id, classification, outcome, pipeline_uuid, session_id, task_id, tool } = entry;
  const { args_sha256, args_truncated, blocked_by, effects, flagged, ignored_flags, org, parent_call_id } = entry;
  const { reason, reason_code, rewrites, user, would_block } = entry;
  const present =
    count(args_truncated) +
    count(blocked_by) +
    count(flagged) +
    count(ignored_flags) +
    count(org) +
    count(parent_call_id) +
    count(reason) +
    count(reason_code) +
    count(rewrites) +
    count(user) +
    count(would_block);
  // One key more is a field that this function does not know; one less, a field that is missing.
  if (Object.keys(entry).length !== REQUIRED_OF_DECIDED + present) return undefined;
  if (!lastSha256.isVerbatim(args_sha256) || !lastBasis.isVerbatim(effects)) return undefined;
  if (!areVerbatim(agent, agent_uuid, call_id, classification, outcome, pipeline_uuid, session_id, task_id, tool)) {
    return undefined;
  }
  return (
    `{"agent":"${agent}","agent_uuid":"${agent_uuid}","args":${canonicalize(entry.args)},"args_sha256":"${args_sha256}"` +
    optional(',"args_truncated":', args_truncated) +
    blockedText(entry) +
    optional(',"blocked_by":', blocked_by) +
    `,"call_id":"${call_id}","classification":"${classification}","detections":${list(entry.detections)},"effect_list":${facts(entry.effect_list)},"effects":"${effects}"` +
    optional(',"flagged":', flagged) +
    `,"flags":${frozen(entry.flags)}` +
    optional(',"ignored_flags":', ignored_flags) +
    optional(',"org":', org) +
    `,"outcome":"${outcome}"` +
    optional(',"parent_call_id":', parent_call_id) +
    `,"pipeline_uuid":"${pipeline_uuid}","prev_hash":"${prevHash}"` +
    optional(',"reason":', reason) +
    optional(',"reason_code":', reason_code) +
    (rewrites === undefined ? '' : `,"rewrites":${replacements(rewrites)}`) +
    `,"seq":${seq},"session_id":"${session_id}","steps":${steps(entry.steps)},"task_id":"${task_id}","time":"${time}","tool":"${tool}","type":"call-decided"` +
    optional(',"user":', user) +
    `${optional(',"would_block":', would_block)}}`
  );
};

const endedText = (entry: CallEnded, seq: number, time: string, prevHash: string): string | undefined => {
  const { agent, agent_uuid, call_id, classification, outcome, pipeline_uuid, session_id, task_id, tool } = entry;
  const { blocked_by, error, org, parent_call_id, reason, usage, user } = entry;
  const present =
    count(blocked_by) + count(error) + count(org) + count(parent_call_id) + count(reason) + count(usage) + count(user);
  if (Object.keys(entry).length !== REQUIRED_OF_ENDED + present) return undefined;
  if (!areVerbatim(agent, agent_uuid, call_id, classification, outcome, pipeline_uuid, session_id, task_id, tool)) {
    return undefined;
  }
  return (
    `{"agent":"${agent}","agent_uuid":"${agent_uuid}"` +
    blockedText(entry) +
    optional(',"blocked_by":', blocked_by) +
    `,"call_id":"${call_id}","classification":"${classification}","detections":${list(entry.detections)},"duration_ms":${canonicalize(entry.duration_ms)}` +
    optional(',"error":', error) +
    optional(',"org":', org) +
    `,"outcome":"${outcome}"` +
    optional(',"parent_call_id":', parent_call_id) +
    `,"pipeline_uuid":"${pipeline_uuid}","prev_hash":"${prevHash}"` +
    optional(',"reason":', reason) +
    `,"seq":${seq},"session_id":"${session_id}","steps":${steps(entry.steps)},"task_id":"${task_id}","time":"${time}","tool":"${tool}","type":"call-ended"` +
    optional(',"usage":', usage) +
    `${optional(',"user":', user)}}`
  );
};

/**
 * Remembers the last text that could stand between quotes as it is: the two events of a call share their ids, and the
 * calls of a session most of them. Texts stand verbatim in the templates above because every piece of a string is paid for
 * again when it is flattened to be hashed.
 */
class LastVerbatim {
  #last = '';
  isVerbatim(text: unknown): boolean {
    if (text === this.#last) return true;
    if (typeof text !== 'string' || needsEscape(text)) return false;
    this.#last = text;
    return true;
  }
}

const lastAgent = new LastVerbatim();
const lastAgentId = new LastVerbatim();
const lastBasis = new LastVerbatim();
const lastCallId = new LastVerbatim();
const lastClassification = new LastVerbatim();
const lastOutcome = new LastVerbatim();
const lastPipeline = new LastVerbatim();
const lastRealPath = new LastVerbatim();
const lastSession = new LastVerbatim();
const lastSha256 = new LastVerbatim();
const lastTask = new LastVerbatim();
const lastTool = new LastVerbatim();

/** Takes texts, not the entry: what was looked at must be what is written, also where a field is an accessor. */
const areVerbatim = (
  agent: string,
  agentId: string,
  callId: string,
  classification: string,
  outcome: string,
  pipeline: string,
  session: string,
  task: string,
  tool: string,
): boolean =>
  lastAgent.isVerbatim(agent) &&
  lastAgentId.isVerbatim(agentId) &&
  lastCallId.isVerbatim(callId) &&
  lastClassification.isVerbatim(classification) &&
  lastOutcome.isVerbatim(outcome) &&
  lastPipeline.isVerbatim(pipeline) &&
  lastSession.isVerbatim(session) &&
  lastTask.isVerbatim(task) &&
  lastTool.isVerbatim(tool);

const count = (value: unknown): 0 | 1 => (value === undefined ? 0 : 1);

const optional = (key: string, value: unknown): string => (value === undefined ? '' : key + canonicalize(value));
const list = (items: readonly unknown[]): string =>
  Array.isArray(items) && items.length === 0 ? '[]' : canonicalize(items);

const blockedText = ({ audit_url, blocked }: CallDecided | CallEnded): string =>
  audit_url === null && Object.is(blocked, false)
    ? ',"audit_url":null,"blocked":false'
    : `,"audit_url":${canonicalize(audit_url)},"blocked":${canonicalize(blocked)}`;

/** The part of a step's text behind its time: few words, which come again and again. Bounded as `quoteWord` is. */
const stepTails = new Map<string, Map<string | undefined, string>>();
let keptTails = 0;

const stepTail = (step: string, outcome: string | undefined): string => {
  const known = stepTails.get(step)?.get(outcome);
  if (known !== undefined) return known;
  const made = `${outcome === undefined ? '' : `,"outcome":${quoteWord(outcome)}`},"step":${quoteWord(step)}}`;
  if (keptTails < MAX_TAILS && made.length < MAX_TAIL_LENGTH) {
    const ofStep = stepTails.get(step) ?? new Map<string | undefined, string>();
    stepTails.set(step, ofStep.set(outcome, made));
    keptTails += 1;
  }
  return made;
};
const MAX_TAILS = 1024;
const MAX_TAIL_LENGTH = 200;

const steps = (timings: readonly StepTiming[]): string => {
  if (!Array.isArray(timings)) return canonicalize(timings);
  let all = '[';
  for (const timing of timings as readonly StepTiming[]) {
    const { step, duration_ms, outcome } = timing;
    const known = typeof step === 'string' && Number.isFinite(duration_ms);
    const keys = Object.keys(timing).length;
    if (all.length > 1) all += ',';
    const isPlain = (outcome === undefined && keys === 2) || (typeof outcome === 'string' && keys === 3);
    all += known && isPlain ? `{"duration_ms":${duration_ms}${stepTail(step, outcome)}` : canonicalize(timing);
  }
  return `${all}]`;
};

/** One effect is a file's, as a rule, with its keys in this very order; anything else goes the general way. */
const facts = (effects: readonly unknown[]): string => {
  if (!Array.isArray(effects) || effects.length !== 1) return list(effects);
  const first: unknown = effects[0];
  if (typeof first !== 'object' || first === null) return list(effects);
  const { kind, operation, pointer, resolved } = first as Readonly<Record<string, unknown>>;
  if (kind !== 'file' || typeof operation !== 'string' || typeof pointer !== 'string') return list(effects);
  if (Object.keys(first).length !== 4 || typeof resolved !== 'object' || resolved === null) {
    return list(effects);
  }
  const { beneath, exists, real } = resolved as Readonly<Record<string, unknown>>;
  if (typeof beneath !== 'string' || typeof exists !== 'boolean' || typeof real !== 'string') return list(effects);
  if (Object.keys(resolved).length !== 3) return list(effects);
  return `[{"kind":"file","operation":${quoteWord(operation)},"pointer":${quoteWord(pointer)},"resolved":{"beneath":${quote(beneath)},"exists":${exists},"real":${path(real)}}}]`;
};

const replacements = (rewrites: NonNullable<CallDecided['rewrites']>): string => {
  if (!Array.isArray(rewrites) || rewrites.length !== 1) return canonicalize(rewrites);
  const first: unknown = rewrites[0];
  if (typeof first !== 'object' || first === null) return canonicalize(rewrites);
  const { pointer, value } = first as Readonly<Record<string, unknown>>;
  return typeof pointer === 'string' && typeof value === 'string' && Object.keys(first).length === 2
    ? `[{"pointer":${quoteWord(pointer)},"value":${path(value)}}]`
    : canonicalize(rewrites);
};

/** A path stands in an event twice: as where it leads, and as what the body got. */
const path = (text: string): string => (lastRealPath.isVerbatim(text) ? `"${text}"` : quote(text));

/**
 * Texts of objects that cannot change: the flags of a program are the same object at every call. Frozen all the way
 * down only when every member is a primitive, which is what is checked before a text is kept.
 */
const texts = new WeakMap<object, string>();

const frozen = (value: object): string => {
  const known = texts.get(value);
  if (known !== undefined) return known;
  const made = canonicalize(value);
  if (Object.isFrozen(value) && isFlat(value)) texts.set(value, made);
  return made;
};

/** Members that are data properties holding primitives: a frozen accessor can still answer differently each time. */
const isFlat = (value: object): boolean =>
  Object.values(Object.getOwnPropertyDescriptors(value)).every(
    (property) => 'value' in property && (typeof property.value !== 'object' || property.value === null),
  );
