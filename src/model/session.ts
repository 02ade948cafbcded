/** The correlation ids of a stretch of work; ambient, inherited by everything called inside it. */
import type { Flags } from './flags.ts';
import type { Subject } from './call.ts';

/** Carried by every event and every governance error. */
export interface CorrelationIds {
  readonly sessionId: string;
  readonly taskId: string;
  readonly agentUuid: string;
  readonly pipelineUuid: string;
  /** `null` when no `auditBaseUrl` is known: there is no page to link to. */
  readonly auditUrl: string | null;
}

export interface Session extends CorrelationIds {
  readonly subject?: Subject;
  /** The flags of the scope, already merged with those of the sessions around it. */
  readonly flags: Partial<Flags>;
}
