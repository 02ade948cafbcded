/** Which layers a profile needs and this host lacks. */
import type { LandlockGap } from './landlock.ts';
import type { Layer, Profile } from './profile.ts';
import type { Architecture } from './seccomp.ts';

/** What this host can enforce, as `probe.ts` found out. */
export interface HostAbilities {
  readonly architecture: Architecture;
  /** 0: no Landlock. */
  readonly landlockAbi: number;
  /** Why the kernel could not even be asked. */
  readonly unasked?: string;
  readonly seccomp: boolean;
  /** A new process can be started in a pid namespace of its own. */
  readonly pidNamespace: boolean;
}

/** As much of what is compiled as the layers depend on. */
export interface LayerOptions {
  readonly host: HostAbilities;
  readonly inProcess?: boolean;
}

export interface MissingLayer {
  readonly layer: Layer;
  readonly reason: string;
}

export const needsPidNamespace = (profile: Profile, options: LayerOptions, gaps: readonly LandlockGap[]): boolean =>
  gaps.includes('scope') &&
  options.inProcess !== true &&
  options.host.pidNamespace &&
  profile.required.some(({ layer }) => layer === 'landlock-scope');

export const missingLayers = (
  profile: Profile,
  options: LayerOptions,
  connect: 'any' | readonly number[],
  gaps: readonly LandlockGap[],
): readonly MissingLayer[] => {
  const { host } = options;
  const needs = new Set(profile.required.map(({ layer }) => layer));
  const missing: MissingLayer[] = [];
  if (host.landlockAbi < 1 && needs.has('landlock')) {
    missing.push({
      layer: 'landlock',
      reason: host.unasked ?? 'this kernel does not offer Landlock (5.13 or later, with landlock in lsm=)',
    });
  }
  if (!host.seccomp && needs.has('seccomp')) {
    missing.push({ layer: 'seccomp', reason: 'this kernel does not let a program filter its system calls' });
  }
  if (gaps.includes('ports') && connect !== 'any' && connect.length > 0) {
    missing.push({ layer: 'landlock-net', reason: 'TCP ports can be restricted from Landlock ABI 4 (Linux 6.7) on' });
  }
  if (gaps.includes('scope') && needs.has('landlock-scope') && !needsPidNamespace(profile, options, gaps)) {
    missing.push({
      layer: 'landlock-scope',
      reason: 'signals to other processes can be refused from Landlock ABI 6 (Linux 6.12) on, or in a pid namespace',
    });
  }
  return missing;
};

/** How each gap of an older ABI is closed. */
export const COVERED_BY: Readonly<Record<LandlockGap, string>> = {
  truncate: 'the filter refuses truncate() and O_TRUNC on files that are opened for reading',
  ports: 'the filter refuses sockets; a profile that lists ports is refused',
  scope: 'a pid namespace, or the profile is refused; Unix sockets are refused by the filter',
  'unix-paths': 'the filter refuses Unix sockets',
};
