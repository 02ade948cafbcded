/** What confinement says of itself, layer by layer: what was asked for beside what the kernel holds. Never a boolean. */

export const ENFORCEMENTS = ['full', 'partial', 'none'] as const;
export type Enforcement = (typeof ENFORCEMENTS)[number];

export interface LayerReport {
  /** `landlock`, `landlock-net`, `landlock-scope`, `seccomp`, `no-new-privs`, `capabilities`, `pid-namespace`, … */
  readonly layer: string;
  readonly requested: boolean;
  readonly enforced: Enforcement;
  /** How, or why not. */
  readonly detail?: string;
}
