/** Profiles compiled for made-up hosts: what tests of rules share. */
import { compileProfile, type CompileOptions, type CompileResult } from '../../src/kernel/compile.ts';
import { loadProfile } from '../../src/kernel/profile-files.ts';
import type { Profile } from '../../src/kernel/profile.ts';

export const repository = new URL('../..', import.meta.url).pathname.replace(/\/$/u, '');

export const optionsFor = (overrides: Partial<CompileOptions> = {}): CompileOptions => ({
  variables: {
    workspace: `${repository}/test`,
    node: process.execPath,
    home: '/nonexistent-home',
    runtime: [`${repository}/src`],
  },
  host: { architecture: 'x64', landlockAbi: 7, seccomp: true, pidNamespace: false },
  searchPath: ['/usr/local/bin', '/usr/bin', '/bin'],
  ...overrides,
});

export const compileNamed = (
  name: string,
  overrides: Partial<CompileOptions> = {},
): Extract<CompileResult, { readonly compiled: unknown }> => compileOrThrow(loadProfile(name).profile, overrides);

export const compileOrThrow = (
  profile: Profile,
  overrides: Partial<CompileOptions> = {},
): Extract<CompileResult, { readonly compiled: unknown }> => {
  const result = compileProfile(profile, optionsFor(overrides));
  if ('missing' in result) throw new Error(`missing: ${JSON.stringify(result.missing)}`);
  return result;
};
