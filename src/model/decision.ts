/** What was decided about a call, by which step, and what must be done for an allow to stand. */
import type { Effect } from './effect.ts';

/** The canonical step names (`blocked_by`), in the order in which the steps judge a call. */
export const STEPS = [
  'filter_tools',
  'check_integrity',
  'check_files',
  'check_db',
  'check_email',
  'check_exfiltration',
  'check_command',
  'detect_pii',
  'detect_secrets',
  'detect_injection',
  'rate_limit',
  'budget_enforcement',
  'content_safety',
] as const;
export type Step = (typeof STEPS)[number];

/** Other spellings in use for the same steps; accepted in configuration and audit filters, never written. */
export const STEP_ALIASES: Readonly<Record<string, Step>> = {
  check_tools: 'filter_tools',
  check_budget: 'budget_enforcement',
  check_pii: 'detect_pii',
  check_secrets: 'detect_secrets',
  check_rate_limit: 'rate_limit',
};

export const OUTCOMES = ['allow', 'deny', 'ask'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const CLASSIFICATIONS = ['PUBLIC', 'INTERNAL', 'CONFIDENTIAL', 'RESTRICTED'] as const;
export type Classification = (typeof CLASSIFICATIONS)[number];

/** Something noticed. Under `lockdown` each one blocks; under every mode each one is recorded. */
export interface Detection {
  readonly step: Step;
  /** A stable word such as `mass_update`, `EMAIL`, `outside_workspace`. */
  readonly type: string;
  /** For people; never a secret, a literal or a host path outside the workspace. */
  readonly detail?: string;
  /** Where: a JSON pointer into `args`, `result` or `error`. */
  readonly at?: string;
  readonly count?: number;
}

/** The value at `pointer` of the arguments is replaced before the body runs (a mirrored message, a masked text). */
export interface Rewrite {
  readonly pointer: string;
  readonly value: unknown;
}

/** What one decider says about one effect (or about the call as a whole). A throw while making it is a deny. */
export interface Ruling {
  readonly step: Step;
  readonly outcome: 'allow' | 'deny';
  /** Stable, dotted: `file.outside-workspace`, `sql.verb-denied`. Required for a deny. */
  readonly code?: string;
  /** For people and the model; the text behind `Request blocked by <step> — `. Required for a deny. */
  readonly reason?: string;
  readonly detections?: readonly Detection[];
  readonly rewrites?: readonly Rewrite[];
  /** Stands under every mode, `observe` included: the call cannot be made (arguments that cannot be copied, …). */
  readonly hard?: true;
}

export const allowRuling = (step: Step, extra?: Omit<Ruling, 'step' | 'outcome'>): Ruling => ({
  step,
  outcome: 'allow',
  ...extra,
});

export const denyRuling = (step: Step, code: string, reason: string, detections?: readonly Detection[]): Ruling => ({
  step,
  outcome: 'deny',
  code,
  reason,
  detections: detections ?? [{ step, type: code, detail: reason }],
});

/** A block that `observe` or `warn` let pass. */
export interface SuppressedBlock {
  readonly blockedBy: Step;
  readonly code: string;
  readonly reason: string;
}

/** How the effects of a call came to be known. */
export type Basis = 'declared' | 'inferred' | 'unknown';

export interface Decision {
  readonly outcome: Outcome;
  readonly allowed: boolean;
  readonly blockedBy?: Step;
  readonly code?: string;
  readonly reason?: string;
  readonly wouldBlock?: SuppressedBlock;
  readonly flagged: boolean;
  readonly detections: readonly Detection[];
  readonly rewrites: readonly Rewrite[];
  readonly effects: readonly Effect[];
  readonly basis: Basis;
  readonly classification: Classification;
}

/** Exhaustiveness: a member that a switch forgot does not compile, and denies if it ever runs. */
export const unreachable = (value: never): never => {
  throw new TypeError(`Expected every case to be handled, got ${JSON.stringify(value)}`);
};
