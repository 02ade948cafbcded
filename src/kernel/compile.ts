/**
 * Profile + variables + what the host can enforce → CompiledProfile. A right that Landlock's ABI lacks is covered by the
 * system-call filter where that is possible; else the answer names the missing layer, and there is no profile to run.
 */
import { createHash } from 'node:crypto';
import { dirname, isAbsolute, join } from 'node:path';
import { TapPassConfigError } from '../model/errors.ts';
import { resolveCommand, type ResolvedCommand } from './commands.ts';
import type { CompiledLimits, CompiledProfile } from './compiled.ts';
import {
  expandGrant,
  findNamed,
  isDirectory,
  isWithin,
  realOrUndefined,
  realPlaces,
  stampOf,
  type ExplainedGrant,
} from './grants.ts';
import { compileLandlock, gapsOf, type LandlockGap } from './landlock.ts';
import { networkRules } from './network-rules.ts';
import type { FileRight, Layer, Profile, ProfileSyscallRule } from './profile.ts';
import {
  compileSeccomp,
  type Architecture,
  type ArgumentCondition,
  type SyscallPolicy,
  type SyscallRule,
} from './seccomp.ts';
import { ARGUMENT_VALUES, SYSCALL_GROUPS } from './syscalls/groups.ts';

export interface ProfileVariables {
  /** An existing folder; resolved by realpath. Never `/`, a home folder, or around or inside a protected place. */
  readonly workspace: string;
  /** The private temporary folder of the sandbox. Absent: rules about it grant nothing. */
  readonly tmp?: string;
  /** The Node executable. */
  readonly node: string;
  /** The user's own home folder (not the sandbox's): where credentials are. */
  readonly home: string;
  /** Folders an isolate host loads its code from. */
  readonly runtime?: readonly string[];
}

/** What this host can enforce, as `probe.ts` found out. */
export interface HostAbilities {
  readonly architecture: Architecture;
  /** 0: no Landlock. */
  readonly landlockAbi: number;
  readonly seccomp: boolean;
  /** A new process can be started in a pid namespace of its own. */
  readonly pidNamespace: boolean;
}

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

export interface MissingLayer {
  readonly layer: Layer;
  readonly reason: string;
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
  const generated = [...gapRules(gaps), ...networkRules(connect, gaps)];
  const lowered = profile.syscalls.rules.map((rule) => ({ in: rule.in, rules: lowerRule(rule) }));
  const rulesOf = (variant: 'new-process' | 'running-process'): readonly SyscallRule[] => [
    ...generated,
    ...lowered.filter((rule) => rule.in === undefined || rule.in === variant).flatMap((rule) => rule.rules),
  ];
  const rules = rulesOf('new-process');
  const startsNothing = found.executable?.length === 0 || (profile.commands !== 'any' && profile.commands.length === 0);
  const runningRules = startsNothing ? [NO_MORE_PROGRAMS, ...rulesOf('running-process')] : rulesOf('running-process');
  const fallback = profile.syscalls.fallback;
  const { architecture } = options.host;
  const body = {
    name: profile.name,
    tier,
    landlock,
    seccomp: compileSeccomp({ fallback, rules }, architecture),
    seccompInProcess: compileSeccomp({ fallback, rules: runningRules }, architecture),
    limits: definedOf({ ...profile.limits, ...options.limits }),
    environment: [...new Set(profile.environment.flatMap(({ names }) => names))],
    namespaces: [...new Set(profile.namespaces.map((namespace) => namespace.name))],
    required: [
      ...new Set<string>(
        profile.required.map(({ layer }) => layer).filter((layer) => !degraded.some((d) => d.layer === layer)),
      ),
      ...(connect !== 'any' && connect.length > 0 ? ['landlock-net'] : []),
      ...(needsPidNamespace(profile, options, gaps) ? ['namespace-pid'] : []),
    ],
    ...(found.executable === undefined ? {} : { commands: found.executable }),
    searchPath: found.searchPath,
  };
  const compiled: CompiledProfile = { ...body, digest: digestOf(body) };
  const explanation: Explanation = {
    grants: files.grants,
    commands: found.commands,
    notFound: found.notFound,
    connect,
    rules,
    runningRules,
    fallback,
    covered: gaps.map((gap) => ({ gap, by: COVERED_BY[gap] })),
    degraded,
    unsearched: files.unsearched,
  };
  return {
    result: { compiled, explanation },
    stamps: new Map(files.listed.map((folder) => [folder, stampOf(folder)])),
  };
};

const invalid = (message: string, code: string): TapPassConfigError => new TapPassConfigError(message, { code });

const requireTier = (profile: Profile): CompiledProfile['tier'] => {
  if (profile.tier === undefined) {
    throw invalid(
      `Expected a profile with a tier, got \`${profile.name}\`, which is only there to be extended`,
      'TAPPASS_PROFILE_ABSTRACT',
    );
  }
  const fault = tierFault(profile);
  if (fault !== undefined) {
    throw invalid(
      `Expected the profile \`${profile.name}\` to stay within tier \`${profile.tier}\`, got ${fault}`,
      'TAPPASS_PROFILE_EXCEEDS_TIER',
    );
  }
  return profile.tier;
};

/** The sentence of each tier, as a check on whatever a profile says about itself. */
const tierFault = (profile: Profile): string | undefined => {
  if (profile.tier === 'standard') return undefined;
  if (profile.commands === 'any') return '`commands: any`';
  if (profile.network.connect === 'any') return '`network.connect: any`';
  if (profile.tier === 'worker') return undefined;
  if (profile.commands.length > 0) return '`commands`: an observer starts no program';
  if (profile.network.connect.length > 0) return '`network.connect`: an observer has no network';
  const writing = profile.files.find(
    ({ path, rights }) => !path.startsWith('/dev/') && rights.some((right) => right === 'write' || right === 'create'),
  );
  return writing === undefined ? undefined : `a line that writes to ${writing.path}: an observer writes nothing`;
};

interface ResolvedVariables {
  readonly WORKSPACE: string;
  readonly TMP: string | undefined;
  readonly NODE: string;
  readonly HOME: string;
  readonly RUNTIME: readonly string[];
}

const resolveVariables = (variables: ProfileVariables): ResolvedVariables => {
  const real = (name: string, path: string): string => {
    if (!isAbsolute(path) || path.includes('\0')) {
      throw invalid(
        `Expected \`${name}\` to be an absolute path, got ${JSON.stringify(path)}`,
        'TAPPASS_PROFILE_VARIABLE',
      );
    }
    const found = realOrUndefined(path);
    if (found === undefined) {
      throw invalid(`Expected \`${name}\` to exist, got ${path}`, 'TAPPASS_PROFILE_VARIABLE');
    }
    return found;
  };
  const workspace = real('workspace', variables.workspace);
  if (!isDirectory(workspace)) {
    throw invalid(`Expected \`workspace\` to be a folder, got ${workspace}`, 'TAPPASS_WORKSPACE_REFUSED');
  }
  return {
    WORKSPACE: workspace,
    TMP: variables.tmp === undefined ? undefined : real('tmp', variables.tmp),
    NODE: real('node', variables.node),
    HOME: realOrUndefined(variables.home) ?? variables.home,
    RUNTIME: (variables.runtime ?? []).map((folder) => real('runtime', folder)),
  };
};

const substitute = (path: string, variables: ResolvedVariables): readonly string[] => {
  const match = /^\$\{([A-Z]+)\}(.*)$/u.exec(path);
  if (match === null) return [path];
  const [, name = '', rest = ''] = match;
  const value = variables[name as keyof ResolvedVariables];
  if (value === undefined) return [];
  return (typeof value === 'string' ? [value] : value).map((folder) => (rest === '' ? folder : join(folder, rest)));
};

/** Places that are no workspace: writing there is writing to the system. */
const SYSTEM_PLACES = ['/proc', '/sys', '/dev', '/etc', '/boot', '/run'];
const SYSTEM_FOLDERS = [
  '/usr',
  '/var',
  '/opt',
  '/home',
  '/lib',
  '/bin',
  '/sbin',
  '/lib64',
  '/srv',
  '/mnt',
  '/media',
  '/tmp',
];

const requireWorkspace = (variables: ResolvedVariables, protectedPlaces: readonly string[]): void => {
  const workspace = variables.WORKSPACE;
  const refuse = (why: string): never => {
    throw invalid(
      `Expected \`workspace\` to be a folder of its own, got ${workspace}, which ${why}. Choose a narrower folder`,
      'TAPPASS_WORKSPACE_REFUSED',
    );
  };
  if (workspace === '/') refuse('is the whole system');
  if (isWithin(variables.HOME, workspace)) refuse('is, or contains, the home folder with its credentials');
  const system = [
    ...SYSTEM_PLACES.filter((place) => isWithin(workspace, place)),
    ...SYSTEM_FOLDERS.filter((place) => place === workspace),
  ];
  if (system.length > 0) refuse('belongs to the system');
  for (const place of protectedPlaces) {
    if (isWithin(workspace, place)) refuse(`is, or lies inside, the protected ${place}`);
    if (isWithin(place, workspace))
      refuse(`contains the protected ${place}, and Landlock cannot deny inside an allowed folder`);
  }
};

interface GrantedFiles {
  readonly grants: readonly ExplainedGrant[];
  readonly listed: readonly string[];
  readonly searched: boolean;
  readonly unsearched: readonly string[];
}

const grantFiles = (
  profile: Profile,
  variables: ResolvedVariables,
  commands: readonly ResolvedCommand[],
): GrantedFiles => {
  const placesOf = (path: string): readonly string[] => substitute(path, variables).flatMap(realPlaces);
  const protectedPlaces = profile.protected.flatMap(({ path }) => (path === undefined ? [] : placesOf(path)));
  const excluded = profile.excluded.flatMap(({ path }) => placesOf(path));
  requireWorkspace(variables, protectedPlaces);
  const names = profile.protected.flatMap(({ named }) => (named === undefined ? [] : [named]));
  const search = names.length === 0 ? undefined : findNamed(variables.HOME, names, variables.WORKSPACE);

  const grants: ExplainedGrant[] = [];
  const listed: string[] = [];
  const grant = (path: string, rights: readonly FileRight[], why: string, ownProc = false): void => {
    // Nearer lines win over an exclusion, never over a protection.
    // What was searched for by name is outside of the workspace, which holds its own.
    const named = isWithin(path, variables.WORKSPACE) ? [] : [...(search?.found ?? []), ...(search?.unsearched ?? [])];
    const blocked = [
      ...protectedPlaces,
      ...named,
      ...excluded.filter((place) => place !== path && isWithin(place, path)),
    ];
    const expansion = expandGrant({ path, rights, why }, blocked);
    grants.push(...expansion.grants.map((part) => (ownProc ? { ...part, ownProc } : part)));
    listed.push(...expansion.listed);
  };
  for (const rule of profile.files) {
    for (const path of substitute(rule.path, variables)) {
      // Each process has its own: resolved by whoever applies the profile.
      if (isWithin(path, '/proc/self')) {
        grants.push({ path, directory: path === '/proc/self', rights: rule.rights, why: rule.why });
        continue;
      }
      const real = realOrUndefined(path);
      if (real !== undefined) grant(real, rule.rights, rule.why, rule.ownProc);
      else if (rule.optional !== true) {
        throw invalid(
          `Expected ${path} to exist, which the profile \`${profile.name}\` grants (${rule.why}); create it, or mark the line \`optional\``,
          'TAPPASS_PROFILE_PATH',
        );
      }
    }
  }
  for (const file of [variables.WORKSPACE, ...variables.RUNTIME].flatMap(packagesAbove)) {
    grant(file, ['read'], 'Node looks for the nearest package.json upwards, and one it may not read is an error');
  }
  for (const command of commands) {
    for (const file of command.files) grant(file, ['read', 'execute'], `${command.name} may be started`);
    const prefix = installPrefix(command, variables.HOME);
    if (prefix !== undefined) grant(prefix, ['read'], `${command.name} is installed there with what it needs`);
  }
  if (profile.commands !== 'any') {
    const present = new Set(commands.map(({ name }) => name));
    for (const rule of profile.commands.filter(({ names }) => names.some((name) => present.has(name)))) {
      for (const [paths, rights] of [
        [rule.reads ?? [], ['read']],
        [rule.executes ?? [], ['read', 'execute']],
      ] as const) {
        for (const path of paths.flatMap((folder) => substitute(folder, variables))) {
          const real = realOrUndefined(path);
          if (real !== undefined) grant(real, rights, rule.why);
        }
      }
    }
  }
  return { grants, listed, searched: search !== undefined, unsearched: search?.unsearched ?? [] };
};

const packagesAbove = (folder: string): readonly string[] => {
  const parent = dirname(folder);
  if (parent === folder) return [];
  const file = join(parent, 'package.json');
  // A link could lead anywhere.
  return [...(realOrUndefined(file) === file && !isDirectory(file) ? [file] : []), ...packagesAbove(parent)];
};

/** A program outside of the system's own folders brings its libraries along: `<prefix>/bin/x` may read `<prefix>`. */
const installPrefix = (command: ResolvedCommand, home: string): string | undefined => {
  const [program = ''] = command.files;
  const folder = dirname(program);
  const prefix = dirname(folder);
  if (!folder.endsWith('/bin') || ['/', '/usr', '/usr/local'].includes(prefix)) return undefined;
  return isWithin(home, prefix) ? undefined : prefix;
};

interface FoundCommands {
  readonly commands: readonly ResolvedCommand[];
  readonly notFound: readonly string[];
  /** `undefined`: any. */
  readonly executable: readonly string[] | undefined;
  readonly searchPath: readonly string[];
}

const findCommands = (profile: Profile, options: CompileOptions): FoundCommands => {
  const extra = options.commands ?? [];
  if (profile.tier === 'observer' && extra.length > 0) {
    throw invalid(
      'Expected no `commands` for tier `observer`, which starts no program; use tier `worker`',
      'TAPPASS_PROFILE_COMMANDS',
    );
  }
  const any = profile.commands === 'any';
  const listed = profile.commands === 'any' ? [] : profile.commands.flatMap(({ names }) => names);
  const asked = [...(options.program === undefined ? [] : [options.program]), ...extra];
  const commands: ResolvedCommand[] = [];
  const notFound: string[] = [];
  for (const name of new Set([...asked, ...(any ? [] : listed)])) {
    const resolved = resolveCommand(name, options.searchPath);
    if (resolved !== undefined) commands.push(resolved);
    else if (asked.includes(name)) {
      throw invalid(
        `Expected \`${name}\` to be an executable file${isAbsolute(name) ? '' : ' on PATH'}, found none`,
        'TAPPASS_COMMAND_NOT_FOUND',
      );
    } else notFound.push(name);
  }
  return {
    commands: any ? [] : commands,
    notFound,
    executable: any ? undefined : [...new Set(commands.flatMap(({ files }) => files))],
    searchPath: any ? options.searchPath : inPathOrder(commands, options.searchPath),
  };
};

/** The caller's order, so that `node` leads to the same node inside as outside. */
const inPathOrder = (commands: readonly ResolvedCommand[], searchPath: readonly string[]): readonly string[] => {
  const folders = new Set(commands.map(({ found }) => dirname(found)));
  return [...new Set([...searchPath.filter((folder) => folders.has(folder)), ...folders])];
};

const connectPorts = (profile: Profile, asked: CompileOptions['connect']): 'any' | readonly number[] => {
  if (asked === undefined || asked.length === 0) return profile.network.connect;
  if (profile.tier === 'observer') {
    throw invalid(
      'Expected no `network.connect` for tier `observer`, which has no network; use tier `worker`',
      'TAPPASS_PROFILE_NETWORK',
    );
  }
  const ports = asked.map((target) => {
    const text = String(target);
    const port = Number(/^(?:.*:)?(\d{1,5})$/u.exec(text)?.[1]);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw invalid(
        `Expected \`network.connect\` to list host:port or a port from 1 to 65535, got ${JSON.stringify(target)}`,
        'TAPPASS_PROFILE_NETWORK',
      );
    }
    return port;
  });
  return [...new Set([...(profile.network.connect === 'any' ? [] : profile.network.connect), ...ports])];
};

const needsPidNamespace = (profile: Profile, options: CompileOptions, gaps: readonly LandlockGap[]): boolean =>
  gaps.includes('scope') &&
  options.inProcess !== true &&
  options.host.pidNamespace &&
  profile.required.some(({ layer }) => layer === 'landlock-scope');

const missingLayers = (
  profile: Profile,
  options: CompileOptions,
  connect: 'any' | readonly number[],
  gaps: readonly LandlockGap[],
): readonly MissingLayer[] => {
  const { host } = options;
  const needs = new Set(profile.required.map(({ layer }) => layer));
  const missing: MissingLayer[] = [];
  if (host.landlockAbi < 1 && needs.has('landlock')) {
    missing.push({
      layer: 'landlock',
      reason: 'this kernel does not offer Landlock (5.13 or later, with landlock in lsm=)',
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

const COVERED_BY: Readonly<Record<LandlockGap, string>> = {
  truncate: 'the filter refuses truncate() and O_TRUNC on files that are opened for reading',
  ports: 'the filter refuses sockets; a profile that lists ports is refused',
  scope: 'a pid namespace, or the profile is refused; Unix sockets are refused by the filter',
  'unix-paths': 'the filter refuses Unix sockets',
};

const gapRules = (gaps: readonly LandlockGap[]): readonly SyscallRule[] => {
  if (!gaps.includes('truncate')) return [];
  const why = 'before ABI 3 Landlock does not see truncation, and O_TRUNC with a reading mode truncates';
  const mask = requireValue('O_ACCMODE') | requireValue('O_TRUNC');
  const truncating = (call: string, argument: number): readonly SyscallRule[] =>
    [requireValue('O_RDONLY'), requireValue('O_ACCMODE')].map((mode) => ({
      calls: [call],
      when: [{ argument, mask, equals: mode | requireValue('O_TRUNC') }],
      action: 'EPERM',
      why,
    }));
  return [
    { calls: ['truncate'], action: 'EPERM', why },
    ...truncating('open', 1),
    ...truncating('openat', 2),
    {
      calls: ['openat2'],
      action: 'ENOSYS',
      why: `${why}; its flags are behind a pointer, and libraries fall back to openat`,
    },
  ];
};

const NO_MORE_PROGRAMS: SyscallRule = {
  calls: ['execve', 'execveat'],
  action: 'EPERM',
  why: 'the process that runs is the only one this profile lets run',
};

const requireValue = (name: string | number): number => {
  const known = typeof name === 'number' ? name : ARGUMENT_VALUES[name];
  if (known === undefined)
    throw invalid(`Expected a UAPI name this package knows, got ${String(name)}`, 'TAPPASS_PROFILE_INVALID');
  return known;
};

type Values = string | number | readonly (string | number)[];
const list = (values: Values): readonly (string | number)[] =>
  typeof values === 'string' || typeof values === 'number' ? [values] : values;
const joined = (values: Values): number =>
  list(values).reduce<number>((all, one) => (all | requireValue(one)) >>> 0, 0);

/** Names become numbers; several values of `equals` become several rules. */
const lowerRule = (rule: ProfileSyscallRule): readonly SyscallRule[] => {
  const calls = rule.calls.flatMap((call) => (call.startsWith('@') ? (SYSCALL_GROUPS[call.slice(1)] ?? []) : [call]));
  let alternatives: readonly (readonly ArgumentCondition[])[] = [[]];
  for (const condition of rule.when ?? []) {
    const { argument } = condition;
    const choices: readonly ArgumentCondition[] =
      condition.anyBits === undefined
        ? list(condition.equals ?? []).map((one) => ({
            argument,
            mask: condition.mask === undefined ? 0xffffffff : joined(condition.mask),
            equals: requireValue(one),
          }))
        : [{ argument, anyBits: joined(condition.anyBits) }];
    alternatives = alternatives.flatMap((before) => choices.map((choice) => [...before, choice]));
  }
  return alternatives.map((when) => ({
    calls,
    ...(when.length === 0 ? {} : { when }),
    action: rule.action,
    why: rule.why,
  }));
};

const definedOf = (limits: Readonly<Record<string, number | undefined>>): CompiledLimits =>
  Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));

const digestOf = (body: Omit<CompiledProfile, 'digest'>): string =>
  createHash('sha256')
    .update(
      JSON.stringify(body, (_, value: unknown) => {
        if (typeof value === 'bigint') return value.toString();
        return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
      }),
    )
    .digest('hex');
