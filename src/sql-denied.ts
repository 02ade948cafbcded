/** Door-internal: a database denial outside a governed call, as the error that a governed call would throw. */
import { randomUUID } from 'node:crypto';
import { PolicyBlockError, TapPassConfigError } from './model/errors.ts';
import type { SqlDecision } from './model/sql.ts';
import { harmlessFault } from './policy/sql-names.ts';
import { currentSession } from './session.ts';

export const sqlDenied = (
  { code, reason }: SqlDecision,
  tool: string,
  callId: string = randomUUID(),
): PolicyBlockError =>
  new PolicyBlockError(
    {
      blockedBy: 'check_db',
      reason: reason ?? 'the SQL is not allowed',
      reasonCode: code ?? 'sql.denied',
      classification: 'INTERNAL',
      tool,
      callId,
    },
    currentSession() ?? {
      sessionId: randomUUID(),
      taskId: randomUUID(),
      agentUuid: '',
      pipelineUuid: '',
      auditUrl: null,
    },
  );

/** Throws `TapPassConfigError` when a function that is known to have effects is declared harmless. */
export const requireHarmless = (harmlessFunctions: readonly string[] | undefined): void => {
  const fault = harmlessFault(harmlessFunctions);
  if (fault !== undefined) throw new TapPassConfigError(fault);
};
