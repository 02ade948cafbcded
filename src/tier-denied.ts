/** Door-internal: the error for a tier that this host cannot enforce, wherever that turns out. */
import { lockedTier } from './kernel/lock-state.ts';
import { TrustTierDenied } from './model/errors.ts';
import type { CorrelationIds } from './model/session.ts';
import type { Tier } from './model/tier.ts';

const NO_SESSION: CorrelationIds = { sessionId: '', taskId: '', agentUuid: '', pipelineUuid: '', auditUrl: null };

export const tierDenied = (
  tier: Tier,
  missing: readonly { readonly layer: string; readonly reason: string }[],
): TrustTierDenied =>
  new TrustTierDenied(
    `Expected this host to enforce tier \`${tier}\`, got no ${missing.map(({ layer, reason }) => `${layer} (${reason})`).join(', no ')}. ` +
      'Run `tappass doctor` for the cures, or accept the gap by name with `allowDegraded`',
    { requiredTier: tier, actualTier: lockedTier() ?? null, missing: missing.map(({ layer }) => layer) },
    NO_SESSION,
  );
