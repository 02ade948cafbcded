/**
 * Profile + variables + what the host can enforce → CompiledProfile. A right that Landlock's ABI lacks is covered by the
 * system-call filter where that is possible; else the answer names the missing layer, and there is no profile to run.
 */
import { createHash } from 'node:crypto';
import { findCommands, type ResolvedCommand } from './commands.ts';
import type { CompiledLimits, CompiledProfile } from './compiled.ts';
import { grantFiles } from './file-grants.ts';
import { filtersOf, sourceOf } from './filters.ts';
import { stampOf, type ExplainedGrant } from './grants.ts';
import { compileLandlock, gapsOf, type LandlockGap } from './landlock.ts';
import { COVERED_BY, missingLayers, needsPidNamespace, type HostAbilities, type MissingLayer } from './layers.ts';
import { profileFault, type Profile } from './profile.ts';
import type { SyscallPolicy, SyscallRule } from './seccomp.ts';
import { resolveVariables, type ProfileVariables } from './variables.ts';

export interface CompileOptions {
  readonly variables: ProfileVariables;
  readonly host: HostAbilities;
  /** Where commands are looked up: the folders of PATH. */
  readonly searchPath: readonly string[];
  /** The program that is started: a name or an absolute path. May be started even where the profile lists no command. */
  readonly program?: string;
  /** Further commands: names or absolute paths. */
  readonly commands?: readonly string[];
  /** TCP ports: `5432`, `'127.0.0.1:5432'`. The host part is not enforced; Landlock knows ports only. */
  readonly connect?: readonly (string | number)[];
  readonly limits?: CompiledLimits;
  /** Layers whose absence is accepted; reports and events name them. */
  readonly allowDegraded?: readonly string[];
  /** True for `secure()`: no namespace can be added to a process that runs. */
  readonly inProcess?: boolean;
}

export interface Explanation {
  readonly grants: readonly ExplainedGrant[];
  readonly commands: readonly ResolvedCommand[];
  /** Commands of the profile that are not installed here. */
  readonly notFound: readonly string[];
  readonly connect: 'any' | readonly number[];
  readonly rules: readonly SyscallRule[];
  readonly runningRules: readonly SyscallRule[];
  readonly fallback: SyscallPolicy['fallback'];
  /** What the ABI lacks and how it was closed. */
  readonly covered: readonly { readonly gap: LandlockGap; readonly by: string }[];
  readonly degraded: readonly MissingLayer[];
  /** Folders left out because a search by name had to stop before them. */
  readonly unsearched: readonly string[];
}

export type CompileResult =
  | { readonly compiled: CompiledProfile; readonly explanation: Explanation }
  | { readonly missing: readonly MissingLayer[] };

const caches = new WeakMap<Profile, Map<string, CacheEntry>>();
const MOST_CACHED = 64;

interface CacheEntry {
  readonly result: CompileResult;
  readonly stamps: ReadonlyMap<string, string>;
  /** A search by name looked into more folders than can be watched: it is made again after this time (ms). */
  readonly expires: number;
}

const SEARCH_LASTS_MS = 30_000;

/**
 * Throws TapPassConfigError where the profile, a variable or an option is wrong. Repeated calls with equal options return
 * the same object as long as no folder that was expanded around something protected has changed.
 */
export const compileProfile = (profile: Profile, options: CompileOptions): CompileResult => {
  const cache = caches.get(profile) ?? new Map<string, CacheEntry>();
  caches.set(profile, cache);
  const key = JSON.stringify(options);
  const known = cache.get(key);
  if (
    known !== undefined &&
    Date.now() < known.expires &&
    [...known.stamps].every(([folder, stamp]) => stampOf(folder) === stamp)
  ) {
    return known.result;
  }
  if (cache.size >= MOST_CACHED) cache.clear();
  const entry = compile(profile, options);
  cache.set(key, entry);
  return entry.result;
};

const compile = (profile: Profile, options: CompileOptions): CacheEntry => {
  const tier = requireTier(profile);
  const variables = resolveVariables(options.variables);
  const connect = connectPorts(profile, options.connect);
  const abi = options.host.landlockAbi;
  const gaps = gapsOf(abi);
  const missing = missingLayers(profile, options, connect, gaps);
  const degraded = missing.filter(({ layer }) => (options.allowDegraded ?? []).includes(layer));
  if (missing.length > degraded.length) {
    return {
      result: { missing: missing.filter((layer) => !degraded.includes(layer)) },
      stamps: new Map(),
      expires: Infinity,
    };
  }

  const found = findCommands(profile, options);
  const files = grantFiles(profile, variables, found.commands);
  const landlock = compileLandlock({ grants: files.grants, connect }, abi);
  const filters = filtersOf(profile.name, sourceOf(profile, options.host.architecture, connect, gaps));
  const body = {
    name: profile.name,
    tier,
    landlock,
    limits: definedOf({ ...profile.limits, ...options.limits }),
    environment: [...new Set(profile.environment.flatMap(({ names }) => names))],
    namespaces: [...new Set(profile.namespaces.map((namespace) => namespace.name))],
    required: [
      ...new Set<string>(
        profile.required.map(({ layer }) => layer).filter((layer) => !degraded.some((d) => d.layer === layer)),
      ),
      ...(connect !== 'any' && connect.length > 0 && !degraded.some(({ layer }) => layer === 'landlock-net')
        ? ['landlock-net']
        : []),
      ...(needsPidNamespace(profile, options, gaps) ? ['namespace-pid'] : []),
    ],
    ...(found.executable === undefined ? {} : { commands: found.executable }),
    searchPath: found.searchPath,
  };
  let digest: string | undefined;
  const compiled: CompiledProfile = {
    ...body,
    // Nobody needs both: a command has the one, `secure()` the other.
    get seccomp() {
      return filters.newProcess();
    },
    get seccompInProcess() {
      return filters.running();
    },
    get digest() {
      return (digest ??= digestOf(body, filters.source));
    },
  };
  const explanation: Explanation = {
    grants: files.grants,
    commands: found.commands,
    notFound: found.notFound,
    connect,
    get rules() {
      return filters.rules();
    },
    get runningRules() {
      return filters.runningRules();
    },
    fallback: profile.syscalls.fallback,
    covered: gaps.map((gap) => ({ gap, by: COVERED_BY[gap] })),
    degraded,
    unsearched: files.unsearched,
  };
  return {
    result: { compiled, explanation },
    stamps: new Map(files.listed.map((folder) => [folder, stampOf(folder)])),
    expires: files.searched ? Date.now() + SEARCH_LASTS_MS : Infinity,
  };
};

const requireTier = (profile: Profile): CompiledProfile['tier'] => {
  if (profile.tier === undefined) {
    throw profileFault(
      `Expected a profile with a tier, got \`${profile.name}\`, which is only there to be extended`,
      'TAPPASS_PROFILE_ABSTRACT',
    );
  }
  const fault = tierFault(profile);
  if (fault !== undefined) {
    throw profileFault(
      `Expected the profile \`${profile.name}\` to stay within tier \`${profile.tier}\`, got ${fault}`,
      'TAPPASS_PROFILE_EXCEEDS_TIER',
    );
  }
  return profile.tier;
};

/** What is written to them goes nowhere. */
const STATELESS_DEVICES = ['/dev/null', '/dev/zero', '/dev/full'];

/** The sentence of each tier, as a check on whatever a profile says about itself. */
const tierFault = (profile: Profile): string | undefined => {
  if (profile.tier === 'standard') return undefined;
  if (profile.commands === 'any') return '`commands: any`';
  if (profile.network.connect === 'any') return '`network.connect: any`';
  if (profile.tier === 'worker') return undefined;
  if (profile.commands.length > 0) return '`commands`: an observer starts no program';
  if (profile.network.connect.length > 0) return '`network.connect`: an observer has no network';
  const starting = profile.files.find(({ rights }) => rights.includes('execute'));
  if (starting !== undefined) return `a line that lets ${starting.path} be executed: an observer starts no program`;
  const writing = profile.files.find(
    ({ path, rights }) =>
      !STATELESS_DEVICES.includes(path) && rights.some((right) => right === 'write' || right === 'create'),
  );
  return writing === undefined ? undefined : `a line that writes to ${writing.path}: an observer writes nothing`;
};

const connectPorts = (profile: Profile, asked: CompileOptions['connect']): 'any' | readonly number[] => {
  if (asked === undefined || asked.length === 0) return profile.network.connect;
  if (profile.tier === 'observer') {
    throw profileFault(
      'Expected no `network.connect` for tier `observer`, which has no network; use tier `worker`',
      'TAPPASS_PROFILE_NETWORK',
    );
  }
  const ports = asked.map((target) => {
    const text = String(target);
    const port = Number(/^(?:.*:)?(\d{1,5})$/u.exec(text)?.[1]);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw profileFault(
        `Expected \`network.connect\` to list host:port or a port from 1 to 65535, got ${JSON.stringify(target)}`,
        'TAPPASS_PROFILE_NETWORK',
      );
    }
    return port;
  });
  return [...new Set([...(profile.network.connect === 'any' ? [] : profile.network.connect), ...ports])];
};

const definedOf = (limits: Readonly<Record<string, number | undefined>>): CompiledLimits =>
  Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));

const digestOf = (body: object, filters: string): string =>
  createHash('sha256')
    .update(JSON.stringify(body, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)))
    .update(filters)
    .digest('hex');
