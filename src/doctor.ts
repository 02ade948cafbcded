/** Door: what this host can enforce, tier by tier, and what to do about the rest. */
import { homedir } from 'node:os';
import { compileProfile } from './kernel/compile.ts';
import { hostAbilities } from './kernel/host.ts';
import { probeHost, readFacts, type Ability } from './kernel/probe.ts';
import { loadProfile } from './kernel/profile-files.ts';
import { TIERS, type Tier } from './model/tier.ts';

export interface TierStanding {
  readonly tier: Tier;
  readonly enforceable: boolean;
  readonly missing: readonly { readonly layer: string; readonly reason: string }[];
}

export interface HostReport {
  readonly kernel: string;
  readonly architecture: string;
  readonly node: string;
  readonly landlockAbi: number;
  readonly abilities: readonly Ability[];
  readonly tiers: readonly TierStanding[];
}

/** Tries each layer in a child. Never throws for what is missing: that is its answer. */
export const examineHost = async (): Promise<HostReport> => {
  const abilities = await probeHost();
  const { release, landlock } = readFacts();
  return {
    kernel: release,
    architecture: process.arch,
    node: process.versions.node,
    landlockAbi: Math.max(0, landlock),
    abilities,
    tiers: TIERS.map((tier) => standingOf(tier, abilities)),
  };
};

const standingOf = (tier: Tier, abilities: readonly Ability[]): TierStanding => {
  // What was tried and failed counts, whatever the version numbers promise.
  const broken = abilities.filter(
    ({ role, works, name }) => role === 'needed' && !works && !name.startsWith('landlock-'),
  );
  const result = compileProfile(loadProfile(tier).profile, {
    variables: { workspace: import.meta.dirname, node: process.execPath, home: homedir() },
    host: { ...hostAbilities(), pidNamespace: abilities.some(({ name, works }) => name === 'namespace-pid' && works) },
    searchPath: [],
  });
  const missing = [
    ...broken.map(({ name, found }) => ({ layer: name, reason: found })),
    ...('missing' in result ? result.missing : []),
  ];
  return { tier, enforceable: missing.length === 0, missing };
};
