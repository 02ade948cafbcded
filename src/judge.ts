/**
 * Door-internal: steps 2 and 3 of a call, derive and decide. Never throws: whatever throws inside a decision is a deny.
 */
import { hash } from 'node:crypto';
import type { Budget, Reservation } from './budget.ts';
import type { GovernedTool, Request, Validated } from './call.ts';
import { classify } from './content/classify.ts';
import type { DeriveEffects } from './effect/declare.ts';
import type { Layer, Rules } from './layer.ts';
import { canonicalize } from './model/canonical.ts';
import type { Findings } from './model/content.ts';
import type { Decision, Detection, Rewrite, Ruling } from './model/decision.ts';
import { allowRuling, denyRuling } from './model/decision.ts';
import type { Effect } from './model/effect.ts';
import type { StepTiming } from './model/event.ts';
import { decideContent } from './policy/content.ts';
import { addressPointers } from './policy/email-collect.ts';
import { settle } from './policy/mode.ts';
import { integrityFault } from './tools/integrity.ts';
import { asJson } from './tools/receive.ts';
import { applyRewrites, valueAt } from './tools/rewrite.ts';

/** Room taken in a budget for the call, to be settled when it has ended. */
export interface Held {
  readonly budget: Budget;
  readonly reservation: Reservation;
}

/** A request that was judged: what may run, and with which arguments. */
export interface Verdict {
  readonly request: Request;
  readonly decision: Decision;
  /** After validation and rewriting: what the body gets. */
  readonly args: unknown;
  readonly integrity: string | undefined;
  readonly steps: readonly StepTiming[];
  readonly held: readonly Held[];
  /** By pointer of its effect: everybody a message would have gone to. */
  readonly recipients: ReadonlyMap<string, readonly string[]>;
  /** The arguments as the caller passed them, masked for the journal; the same reference when nothing was found. */
  readonly recorded: unknown;
}

const NO_EFFECTS: readonly Effect[] = Object.freeze([]);
const NO_RECIPIENTS: ReadonlyMap<string, readonly string[]> = new Map();
const NOTHING_HELD: readonly Held[] = Object.freeze([]);

const faultRuling = (fault: NonNullable<Request['fault']>): Ruling => ({
  ...denyRuling('check_integrity', fault.code, fault.at === '' ? fault.expected : `${fault.expected}, at ${fault.at}`),
  hard: true,
});

const faultOfFaces = ({ faces, snapshot }: GovernedTool): string | undefined => {
  for (const face of faces) {
    const fault = integrityFault(face, snapshot);
    if (fault !== undefined) return fault;
  }
  return undefined;
};

const INTACT = allowRuling('check_integrity');

/** One layer's judging of one call, step by step. */
interface Judgement {
  readonly decision: Decision;
  readonly args: unknown;
  readonly integrity: string | undefined;
  readonly held: Held | undefined;
}

/** Where the arguments name what the call addresses: never altered by masking, and no finding of personal data. */
const addressedAt = (effects: readonly Effect[], args: unknown): readonly string[] =>
  effects.flatMap((effect) =>
    effect.kind === 'email'
      ? addressPointers(valueAt(args, effect.pointer), effect.pointer, effect.parameterNames)
      : [effect.pointer],
  );

const isBeneath = (pointer: string, of: readonly string[]): boolean =>
  of.some((place) => pointer === place || pointer.startsWith(`${place}/`));

interface ContentJudgement {
  readonly rulings: readonly Ruling[];
  readonly findings: Findings;
  readonly rewrites: readonly Rewrite[];
}

const CLEAN: ContentJudgement = { rulings: [], findings: [], rewrites: [] };
const PUBLIC = classify([]);

const contentRulings = (rules: Rules, effects: readonly Effect[], args: unknown): ContentJudgement => {
  const exempt = effects.length === 0 ? [] : addressedAt(effects, args);
  const { findings, rewrites } = rules.scanner.rewrites(args, { exempt });
  if (findings.length === 0) return { rulings: [], findings, rewrites };
  const counted = findings.filter(({ kind, pointer }) => kind === 'secret' || !isBeneath(pointer, exempt));
  const { pii, secrets } = rules.flags;
  return { rulings: decideContent({ findings: counted, pii, secrets, rewrites }), findings, rewrites };
};

const costOf = (tool: GovernedTool, args: unknown): number => {
  const { cost } = tool.shape;
  const dollars: unknown = typeof cost === 'function' ? (cost as (input: unknown) => unknown)(args) : (cost ?? 0);
  if (typeof dollars === 'number' && dollars >= 0 && Number.isFinite(dollars)) return dollars;
  throw new TypeError(`Expected the cost of \`${tool.shape.name}\` to be a number of dollars, from 0`);
};

const repeatRuling = (request: Request, layer: Layer): Ruling | undefined => {
  if (layer.repeatGuard === undefined) return undefined;
  const digest = hash('sha256', canonicalize(request.isJson ? request.asked : asJson(request.asked)), 'hex');
  const sessionId = request.scope?.session.sessionId ?? layer.id;
  const detection = layer.repeatGuard({ sessionId, tool: request.tool.shape.name, digest }, Date.now());
  return detection === undefined ? undefined : allowRuling('rate_limit', { detections: [detection] });
};

class LayerJudge {
  readonly #request: Request;
  readonly #rules: Rules;
  readonly #layer: Layer;
  readonly #derive: DeriveEffects;
  readonly #rulings: Ruling[] = [];
  readonly #effects: Effect[] = [];
  readonly #steps: StepTiming[];
  readonly #recipients: Map<string, readonly string[]>;
  #at = performance.now();

  constructor(
    request: Request,
    index: number,
    rules: Rules,
    steps: StepTiming[],
    recipients: Map<string, readonly string[]>,
  ) {
    const { layers, derives } = request.tool;
    this.#request = request;
    this.#layer = layers[index] ?? layers[0];
    this.#derive = derives[index] ?? derives[0];
    this.#rules = rules;
    this.#steps = steps;
    this.#recipients = recipients;
  }

  #took(step: string, outcome: string): void {
    const now = performance.now();
    this.#steps.push({ step, duration_ms: Math.round((now - this.#at) * 1000) / 1000, outcome });
    this.#at = now;
  }

  #judgeEffect(found: Effect): void {
    const { effect, ruling, recipients } = this.#rules.effects(found);
    this.#effects.push(effect);
    this.#rulings.push(ruling);
    if (recipients !== undefined) this.#recipients.set(effect.pointer, recipients);
    this.#took(ruling.step, ruling.outcome);
  }

  judge(args: unknown, isClean: boolean, dryRun: boolean): Judgement {
    const { tool } = this.#request;
    const { mode } = this.#rules.flags;
    const { effects: derived, basis } = this.#derive(args);
    this.#took('derive', basis);
    const filter = this.#rules.filterTools(tool.shape.name);
    this.#rulings.push(filter);
    const integrity = faultOfFaces(tool);
    if (integrity === undefined) this.#rulings.push(INTACT);
    else this.#rulings.push(denyRuling('check_integrity', 'tool.changed', `${tool.shape.name}: ${integrity}`));
    this.#took('filter_tools', filter.outcome);
    for (const effect of derived) this.#judgeEffect(effect);

    let addressed = args;
    for (const { outcome, rewrites } of this.#rulings) {
      if (outcome === 'allow' && rewrites !== undefined) addressed = applyRewrites(addressed, rewrites);
    }
    // What the rewrites put in is the policy's own: clean arguments stay clean.
    const content = isClean ? CLEAN : contentRulings(this.#rules, this.#effects, addressed);
    this.#rulings.push(...content.rulings);
    const { classification } = content === CLEAN ? PUBLIC : classify(content.findings);
    this.#took('detect_content', content.findings.length === 0 ? 'clean' : 'found');
    const repeated = dryRun ? undefined : repeatRuling(this.#request, this.#layer);
    if (repeated !== undefined) this.#rulings.push(repeated);

    const judged = { rulings: this.#rulings, effects: this.#effects, basis, classification };
    let decision = settle(mode, judged);
    const masked =
      content.rewrites.length > 0 && decision.allowed ? applyRewrites(addressed, content.rewrites) : addressed;
    // Last, so that nothing that can throw comes after room was taken.
    let held: Held | undefined;
    const { budget } = this.#rules;
    if (decision.allowed && budget !== undefined && !dryRun) {
      held = this.#reserve(budget, addressed);
      decision = settle(mode, judged);
    }
    return { decision, args: masked, integrity, held };
  }

  #reserve(budget: Budget, args: unknown): Held | undefined {
    const request = this.#request;
    const usd = costOf(request.tool, args);
    const session = request.scope?.session.sessionId ?? this.#layer.id;
    const { rulings, reservation } = budget.reserve(request.subject, session, { usd }, Date.now());
    this.#rulings.push(...rulings);
    this.#took('budget_enforcement', reservation === undefined ? 'deny' : 'allow');
    return reservation === undefined ? undefined : { budget, reservation };
  }
}

/** A decision that could not be made is a deny under every mode; what broke is for the program, not for the model. */
const brokenDecision = (request: Request, error: unknown): Decision => {
  const name = error instanceof Error ? error.name : typeof error;
  const reason = `the decision could not be made (${name}), and what cannot be decided is denied`;
  const ruling: Ruling = { ...denyRuling('check_integrity', 'decision.threw', reason), hard: true };
  const { basis } = request.tool;
  return settle('enforce', { rulings: [ruling], effects: NO_EFFECTS, basis, classification: 'INTERNAL' });
};

/** Stands in the journal for arguments that nobody could look through. */
export const UNREADABLE = '[arguments that could not be looked through]';

const maskedOrNot = ({ rules, asked }: Request): unknown => {
  try {
    return rules.reduce<unknown>((value, { scanner }) => scanner.record(value).value, asked);
  } catch {
    return UNREADABLE;
  }
};

export const giveBack = (held: readonly Held[]): void => {
  for (const { budget, reservation } of held) budget.settle(reservation, {});
};

/** `dryRun`: nothing is reserved in a budget, and nothing counts as a call. */
export const judge = (request: Request, validated: Validated, dryRun = false): Verdict => {
  const steps: StepTiming[] = [...request.steps];
  const base = { request, steps, held: NOTHING_HELD, recipients: NO_RECIPIENTS, integrity: undefined };
  if ('fault' in validated) {
    const rulings = [faultRuling(validated.fault)];
    const { basis } = request.tool;
    const decision = settle('enforce', { rulings, effects: NO_EFFECTS, basis, classification: 'PUBLIC' });
    return { ...base, decision, args: undefined, recorded: maskedOrNot(request) };
  }
  const held: Held[] = [];
  const recipients = new Map<string, readonly string[]>();
  let { args } = validated;
  let recorded = request.asked;
  try {
    let decision: Decision | undefined;
    let integrity: string | undefined;
    for (const [index, rules] of request.rules.entries()) {
      const looked = rules.scanner.record(recorded);
      recorded = looked.value;
      // Only what this very scan saw is known to be clean: not what a schema made of it, nor what a layer masked.
      const isClean = looked.findings.length === 0 && args === request.asked && recorded === request.asked;
      const judgement = new LayerJudge(request, index, rules, steps, recipients).judge(args, isClean, dryRun);
      ({ args } = judgement);
      if (judgement.held !== undefined) held.push(judgement.held);
      decision = decision === undefined ? judgement.decision : combine(decision, judgement.decision);
      integrity ??= judgement.integrity;
      if (!decision.allowed) break;
    }
    if (decision === undefined) throw new TypeError('Expected at least one layer of rules');
    if (!decision.allowed) giveBack(held);
    return { ...base, decision, args, integrity, recipients, recorded, held: decision.allowed ? held : NOTHING_HELD };
  } catch (error) {
    giveBack(held);
    // What could not be looked through is not written down either.
    return { ...base, decision: brokenDecision(request, error), args, recorded: UNREADABLE };
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
