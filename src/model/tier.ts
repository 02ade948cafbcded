/** The three strengths of confinement, weakest authority first. A process only ever moves towards the front. */

export const TIERS = ['observer', 'worker', 'standard'] as const;
export type Tier = (typeof TIERS)[number];

export const DEFAULT_TIER: Tier = 'standard';

/** True when `to` gives no authority that `from` does not give. */
export const narrows = (from: Tier, to: Tier): boolean => TIERS.indexOf(to) <= TIERS.indexOf(from);
