/** Door: sandbox profiles by name or path, what they mean on this host, and files that are reloaded when they change. */
import { tmpdir, homedir } from 'node:os';
import { tierDenied } from './tier-denied.ts';
import { compileProfile } from './kernel/compile.ts';
import { hostAbilities } from './kernel/host.ts';
import { nameFileRights } from './kernel/landlock.ts';
import { builtInProfiles, loadProfile } from './kernel/profile-files.ts';
import type { Profile } from './kernel/profile.ts';
import { cleanPath } from './kernel/program.ts';
import type { SyscallRule } from './kernel/seccomp.ts';
import type { Tier } from './model/tier.ts';

export { watchProfile } from './kernel/profile-watch.ts';
export type { WatchedProfile } from './kernel/profile-watch.ts';
export type { ProfileNotice } from './kernel/profile-current.ts';

export interface ProfileSummary {
  readonly name: string;
  readonly tier: Tier | undefined;
  readonly description: string;
}

export const listProfiles = (): readonly ProfileSummary[] =>
  builtInProfiles().map((name) => {
    const { tier, description } = loadProfile(name).profile;
    return { name, tier, description };
  });

/** The profile joined with all that it extends, and the files it was read from. */
export const showProfile = (nameOrPath: string): { readonly profile: Profile; readonly files: readonly string[] } =>
  loadProfile(nameOrPath);

export interface ExplainOptions {
  /** Default: TAPPASS_WORKSPACE, else the current directory. */
  readonly workspace?: string;
  /** A program, by name or path, as `runCommand` would start it. */
  readonly program?: string;
  readonly commands?: readonly string[];
  readonly connect?: readonly (string | number)[];
  readonly allowDegraded?: readonly string[];
}

/** One right that holds, where it comes from and why. Everything in it is JSON. */
export interface EffectiveRight {
  readonly path: string;
  readonly rights: string;
  readonly why: string;
  /** The line's own path, where the grant is what is left of it around something protected. */
  readonly partOf?: string;
  readonly onlyWith?: 'a /proc of its own';
}

export interface ExplainedProfile {
  readonly name: string;
  readonly tier: Tier;
  readonly description: string;
  readonly digest: string;
  readonly landlock: {
    readonly abi: number;
    readonly refusedUnlessGranted: string;
    readonly files: readonly EffectiveRight[];
    readonly connect: 'any' | readonly number[];
    /** Signals and abstract sockets stay among the sandbox's own processes. */
    readonly scoped: boolean;
  };
  readonly protected: readonly { readonly path: string; readonly why: string }[];
  readonly commands:
    | 'any'
    | readonly { readonly name: string; readonly path: string; readonly files: readonly string[] }[];
  readonly notInstalled: readonly string[];
  readonly seccomp: {
    readonly otherwise: string;
    readonly instructions: number;
    readonly rules: readonly SyscallRule[];
    /** In a process that runs already, where it differs. */
    readonly inProcess: readonly SyscallRule[];
  };
  readonly covered: readonly { readonly gap: string; readonly by: string }[];
  readonly limits: Readonly<Record<string, number>>;
  readonly environment: Profile['environment'];
  readonly namespaces: Profile['namespaces'];
  readonly required: Profile['required'];
  readonly degraded: readonly { readonly layer: string; readonly reason: string }[];
  /** Not granted, because the search for files by name had to stop before them. */
  readonly unsearched: readonly string[];
}

/** Throws TapPassConfigError for a wrong profile or option, TrustTierDenied where this host cannot enforce it. */
export const explainProfile = (nameOrPath: string, options: ExplainOptions = {}): ExplainedProfile => {
  const { profile } = loadProfile(nameOrPath);
  const workspace = options.workspace ?? process.env['TAPPASS_WORKSPACE'] ?? process.cwd();
  const host = hostAbilities();
  const result = compileProfile(profile, {
    // The private folder does not exist yet: any folder beneath the one that will hold it stands for it.
    variables: {
      workspace,
      tmp: tmpdir(),
      node: process.execPath,
      home: homedir(),
      runtime: [import.meta.dirname],
    },
    host,
    searchPath: cleanPath(process.env['PATH'], workspace).split(':'),
    ...(options.program !== undefined && { program: options.program }),
    ...(options.commands !== undefined && { commands: options.commands }),
    ...(options.connect !== undefined && { connect: options.connect }),
    ...(options.allowDegraded !== undefined && { allowDegraded: options.allowDegraded }),
  });
  if ('missing' in result) throw tierDenied(profile.tier ?? 'standard', result.missing);
  const { compiled, explanation } = result;
  const access = new Map(
    [...compiled.landlock.paths, ...compiled.landlock.pathsWithOwnProc].map((rule) => [rule.path, rule.access]),
  );
  return {
    name: compiled.name,
    tier: compiled.tier,
    description: profile.description,
    digest: compiled.digest,
    landlock: {
      abi: host.landlockAbi,
      refusedUnlessGranted: nameFileRights(compiled.landlock.handledFs),
      files: explanation.grants.map(({ path, why, of, ownProc }) => ({
        path,
        rights: nameFileRights(access.get(path) ?? 0n),
        why,
        ...(of !== undefined && { partOf: of }),
        ...(ownProc === true && { onlyWith: 'a /proc of its own' as const }),
      })),
      connect: explanation.connect,
      scoped: compiled.landlock.scoped !== 0n,
    },
    protected: profile.protected.map(({ path, named, why }) => ({ path: path ?? `\${HOME}/…/${String(named)}`, why })),
    commands:
      compiled.commands === undefined
        ? 'any'
        : explanation.commands.map(({ name, found, files }) => ({ name, path: found, files })),
    notInstalled: explanation.notFound,
    seccomp: {
      otherwise: explanation.fallback,
      instructions: compiled.seccomp.length / 8,
      rules: explanation.rules,
      inProcess: explanation.runningRules.filter((rule) => !explanation.rules.includes(rule)),
    },
    covered: explanation.covered,
    limits: { ...compiled.limits },
    environment: profile.environment,
    namespaces: profile.namespaces,
    required: profile.required,
    degraded: explanation.degraded,
    unsearched: explanation.unsearched,
  };
};
