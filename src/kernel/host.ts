/** What this host can enforce, asked once. */
import { loadAddon } from '../native/addon.ts';
import type { HostAbilities } from './layers.ts';

let known: HostAbilities | undefined;

export const hostAbilities = (): HostAbilities => (known ??= ask());

const ask = (): HostAbilities => {
  const load = loadAddon();
  const abi = 'addon' in load ? (load.addon.landlockAbi?.() ?? 0) : 0;
  return {
    architecture: process.arch === 'arm64' ? 'arm64' : 'x64',
    landlockAbi: Math.max(0, abi),
    ...('missing' in load && { unasked: load.missing }),
    seccomp: true,
    pidNamespace: process.geteuid?.() === 0,
  };
};
