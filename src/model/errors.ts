/**
 * Every error that leaves the package. `code` is stable; the text says what was expected, what came and what to do.
 * Errors are recognised by brand rather than by `instanceof`, so that two copies of the package in one program agree.
 */
import type { Classification, Step } from './decision.ts';
import type { CorrelationIds } from './session.ts';
import type { Tier } from './tier.ts';

const BRAND = Symbol.for('tappass.error');

export interface TapPassErrorOptions {
  readonly code?: string;
  readonly cause?: unknown;
}

export class TapPassError extends Error {
  readonly code: string;
  constructor(message: string, { code = 'TAPPASS_ERROR', cause }: TapPassErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    Object.defineProperty(this, BRAND, { value: brandsOf(new.target) });
  }

  /** Also true for an error that another copy of this package threw. */
  static isInstance(value: unknown): value is TapPassError {
    return hasBrand(value, 'TapPassError');
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasBrand(value, this.name);
  }

  toJSON(): Record<string, unknown> {
    return { name: this.name, code: this.code, message: this.message, ...publicFields(this) };
  }
}

const brandsOf = (type: Function): readonly string[] => {
  const names: string[] = [];
  for (let at: unknown = type; typeof at === 'function' && at !== Error; at = Object.getPrototypeOf(at)) {
    names.push(at.name);
  }
  return names;
};

const hasBrand = (value: unknown, name: string): boolean => {
  if (typeof value !== 'object' || value === null) return false;
  const names: unknown = (value as Record<symbol, unknown>)[BRAND];
  return Array.isArray(names) && names.includes(name);
};

const publicFields = (error: Error): Record<string, unknown> =>
  Object.fromEntries(Object.entries(error).filter(([key]) => key !== 'name' && key !== 'code' && key !== 'message'));

/** The program around the runtime is at fault: an option, a flag, a declaration, a profile. */
export class TapPassConfigError extends TapPassError {
  constructor(message: string, options: TapPassErrorOptions = {}) {
    super(message, { code: 'TAPPASS_CONFIG', ...options });
  }
}

/** A TapPass server could not be reached. */
export class TapPassConnectionError extends TapPassError {
  constructor(message = 'Failed to connect to TapPass', options: TapPassErrorOptions = {}) {
    super(message, { code: 'TAPPASS_CONNECTION', ...options });
  }
}

/** A decision about a call, with the ids that lead to its record. */
export class GovernanceDecision extends TapPassError {
  readonly sessionId: string;
  readonly taskId: string;
  readonly agentUuid: string;
  readonly pipelineUuid: string;
  readonly auditUrl: string | null;
  constructor(message: string, ids: CorrelationIds, options: TapPassErrorOptions = {}) {
    super(message, { code: 'TAPPASS_GOVERNANCE', ...options });
    this.sessionId = ids.sessionId;
    this.taskId = ids.taskId;
    this.agentUuid = ids.agentUuid;
    this.pipelineUuid = ids.pipelineUuid;
    this.auditUrl = ids.auditUrl;
  }
}

export const blockMessage = (step: Step, reason: string): string => `Request blocked by ${step} — ${reason}`;

/** The body of the tool did not run. Never retried. */
export class PolicyBlockError extends GovernanceDecision {
  readonly blockedBy: Step;
  readonly reason: string;
  readonly reasonCode: string;
  readonly classification: Classification;
  readonly tool: string;
  readonly callId: string;
  constructor(
    block: {
      readonly blockedBy: Step;
      readonly reason: string;
      readonly reasonCode: string;
      readonly classification: Classification;
      readonly tool: string;
      readonly callId: string;
    },
    ids: CorrelationIds,
    options: TapPassErrorOptions = {},
  ) {
    super(blockMessage(block.blockedBy, block.reason), ids, { code: 'TAPPASS_POLICY_BLOCK', ...options });
    this.blockedBy = block.blockedBy;
    this.reason = block.reason;
    this.reasonCode = block.reasonCode;
    this.classification = block.classification;
    this.tool = block.tool;
    this.callId = block.callId;
  }
}

/** Something was replaced, and the program asked to be told by an error. */
export class RedactionApplied extends GovernanceDecision {
  readonly redactions: readonly { readonly type: string; readonly count: number }[];
  readonly redactedContent: unknown;
  constructor(
    redactions: readonly { readonly type: string; readonly count: number }[],
    redactedContent: unknown,
    ids: CorrelationIds,
  ) {
    const types = redactions.map(({ type }) => type).join(', ');
    super(`Redaction applied: ${types}`, ids, { code: 'TAPPASS_REDACTION' });
    this.redactions = redactions;
    this.redactedContent = redactedContent;
  }
}

export class ApprovalRequired extends GovernanceDecision {
  readonly approvalUrl: string;
  readonly resumeToken: string;
  readonly expiresAt: string;
  constructor(approval: { approvalUrl: string; resumeToken: string; expiresAt: string }, ids: CorrelationIds) {
    super(`Approval required: ${approval.approvalUrl}`, ids, { code: 'TAPPASS_APPROVAL_REQUIRED' });
    this.approvalUrl = approval.approvalUrl;
    this.resumeToken = approval.resumeToken;
    this.expiresAt = approval.expiresAt;
  }
}

/** A tier was asked for that this process cannot have: it would widen, or the host cannot enforce it. */
export class TrustTierDenied extends GovernanceDecision {
  readonly requiredTier: Tier;
  readonly actualTier: Tier | null;
  /** The kernel layers that are missing, where that is the cause. */
  readonly missing: readonly string[];
  constructor(
    message: string,
    tiers: { requiredTier: Tier; actualTier: Tier | null; missing?: readonly string[] },
    ids: CorrelationIds,
    options: TapPassErrorOptions = {},
  ) {
    super(message, ids, { code: 'TAPPASS_TRUST_TIER_DENIED', ...options });
    this.requiredTier = tiers.requiredTier;
    this.actualTier = tiers.actualTier;
    this.missing = tiers.missing ?? [];
  }
}

export class BreakGlassActive extends GovernanceDecision {
  readonly level: string;
  readonly expiresAt: string;
  constructor(level: string, expiresAt: string, ids: CorrelationIds) {
    super(`Break-glass ${level} is active until ${expiresAt}`, ids, { code: 'TAPPASS_BREAK_GLASS' });
    this.level = level;
    this.expiresAt = expiresAt;
  }
}

/** The tool is not the one that was governed: its name, description or schema changed since. */
export class ToolIntegrityViolation extends GovernanceDecision {
  readonly toolName: string;
  readonly violation: string;
  constructor(toolName: string, violation: string, ids: CorrelationIds) {
    super(blockMessage('check_integrity', `${toolName}: ${violation}`), ids, { code: 'TAPPASS_TOOL_INTEGRITY' });
    this.toolName = toolName;
    this.violation = violation;
  }
}
