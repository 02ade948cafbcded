/** What the journal holds: snake_case, JSON values only, every field under the hash. */
import type { Basis, Classification, Detection, Outcome, Step } from './decision.ts';
import type { Flags, IgnoredFlag } from './flags.ts';

/** One step of a call and what it cost. */
export interface StepTiming {
  readonly step: string;
  readonly duration_ms: number;
  readonly outcome?: string;
}

export interface CorrelationFields {
  readonly session_id: string;
  readonly task_id: string;
  readonly agent_uuid: string;
  readonly pipeline_uuid: string;
  readonly audit_url: string | null;
}

/** How a call ended. `denied`: the body never ran. `cancelled`: its signal fired. */
export const CALL_OUTCOMES = ['returned', 'threw', 'timed_out', 'killed', 'cancelled', 'denied'] as const;
export type CallOutcome = (typeof CALL_OUTCOMES)[number];

interface CallFields extends CorrelationFields {
  readonly agent: string;
  readonly user?: string;
  readonly org?: string;
  readonly tool: string;
  readonly call_id: string;
  readonly parent_call_id?: string;
}

/** Written, and on its way to survive the process, before the body of a tool runs. */
export interface CallDecided extends CallFields {
  readonly type: 'call-decided';
  readonly outcome: Outcome;
  /** The arguments as the caller passed them, redacted where the flags say so; or their beginning when too long to record. */
  readonly args: unknown;
  readonly args_truncated?: boolean;
  /** What the policy put in the place of arguments before the body runs (a mirrored message, a resolved path). */
  readonly rewrites?: readonly { readonly pointer: string; readonly value: unknown }[];
  /** SHA-256 (hex) of the canonical JSON of the arguments as the caller passed them, never redacted. */
  readonly args_sha256: string;
  readonly effects: Basis;
  readonly effect_list: readonly unknown[];
  readonly blocked: boolean;
  readonly blocked_by?: Step;
  readonly reason?: string;
  readonly reason_code?: string;
  readonly would_block?: { readonly blocked_by: Step; readonly reason: string; readonly reason_code: string };
  readonly flagged?: boolean;
  readonly flags: Flags;
  readonly ignored_flags?: readonly IgnoredFlag[];
  readonly detections: readonly Detection[];
  readonly classification: Classification;
  readonly steps: readonly StepTiming[];
}

export interface CallEnded extends CallFields {
  readonly type: 'call-ended';
  readonly outcome: CallOutcome;
  readonly blocked: boolean;
  readonly blocked_by?: Step;
  readonly reason?: string;
  /** Name and message of what the body threw, redacted. */
  readonly error?: { readonly name: string; readonly message: string };
  readonly detections: readonly Detection[];
  readonly classification: Classification;
  readonly duration_ms: number;
  readonly steps: readonly StepTiming[];
  readonly usage?: Readonly<Record<string, number>>;
}

/** Everything else that is worth a line: a journal opened or closed, a checkpoint, a lock-down, a degraded layer. */
export interface OtherEvent {
  readonly type: 'journal-opened' | 'journal-closed' | 'checkpoint' | 'lock-down' | 'notice';
  readonly [field: string]: unknown;
}

/** What a writer hands to the journal; the journal adds seq, time, prev_hash and hash. */
export type JournalEntry = CallDecided | CallEnded | OtherEvent;

/** What a reader gets. */
export type AuditEvent = JournalEntry & {
  readonly seq: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string;
  readonly prev_hash: string;
  readonly hash: string;
};

/**
 * The writing end, as the doors see it. `append` returns when the line is where `durability` promises, or throws:
 * no record, no act.
 */
export interface EventSink {
  /** Where the records are, for a sink that keeps them in files: no governed tool may write there. */
  readonly dir?: string;
  /** `write`: what `append` took needs no waiting for. Anything else: wait for `settled`, or use `appendDurable`. */
  readonly durability?: 'write' | 'fsync';
  append(entry: JournalEntry): void;
  /** As `append`, but durable on return: for calls that cannot wait (synchronous tools). */
  appendDurable(entry: JournalEntry): void;
  /** Resolves when all that was appended so far is durable; under `write` that is already so when `append` returns. */
  settled(): Promise<void>;
}
