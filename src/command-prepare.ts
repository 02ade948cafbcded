/** What `runCommand` and `tappass run` have in common: checked options, private directories, the profile, the program. */
import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { journalDirectories } from './audit/journal.ts';
import {
  requireArgv,
  requireAudit,
  requireConnect,
  requireDirectory,
  requireEnvironment,
  requireLimits,
  requireNames,
  requireTier,
  requireTimeout,
  requireWorkspace,
} from './command-options.ts';
import type { AllowDegraded, AuditOption, CommandLimits, NetworkOptions } from './command-options.ts';
import { OWN_FOLDER } from './journals.ts';
import { tierDenied } from './tier-denied.ts';
import { compileProfile } from './kernel/compile.ts';
import type { CompiledProfile } from './kernel/compiled.ts';
import { launchConfined } from './kernel/confined.ts';
import { scrubEnvironment } from './kernel/environment.ts';
import { hostAbilities } from './kernel/host.ts';
import type { MissingLayer } from './kernel/layers.ts';
import { LaunchRefused } from './kernel/launcher.ts';
import type { Launched, LaunchOptions } from './kernel/launcher.ts';
import type { Identity } from './kernel/orders.ts';
import { isDirectory, realOrUndefined } from './kernel/paths.ts';
import { claimPrivateDirectories } from './kernel/private-directory.ts';
import type { PrivateDirectories } from './kernel/private-directory.ts';
import { currentProfile } from './kernel/profile-current.ts';
import { cleanPath, locateProgram } from './kernel/program.ts';
import type { EventSink } from './model/event.ts';
import type { Tier } from './model/tier.ts';

export interface ConfinedOptions {
  /** Default `worker`. */
  readonly tier?: Tier | undefined;
  /** A profile of your own, by path, instead of the tier's. */
  readonly profile?: string | undefined;
  /** Default: TAPPASS_WORKSPACE, else the current directory. */
  readonly workspace?: string | undefined;
  /** Where the command starts: inside the workspace, and the workspace by default. */
  readonly cwd?: string | undefined;
  /** Further programs (names or absolute paths) that may be started. */
  readonly commands?: readonly string[] | undefined;
  /** Added to what the profile passes on, unscrubbed: it is yours to give. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds until SIGTERM to every process of the command; SIGKILL a second later. */
  readonly timeoutMs?: number | undefined;
  readonly limits?: CommandLimits | undefined;
  readonly network?: NetworkOptions | undefined;
  readonly allowDegraded?: AllowDegraded | undefined;
  /** Told of each layer that is missing and accepted, before the command starts. Default: nobody. */
  readonly audit?: AuditOption | undefined;
}

/** Covered by the profile itself: naming them would compile it anew for each. */
const SYSTEM_PROGRAM = /^\/(?:usr|bin|sbin)\//u;

export interface PreparedCommand {
  readonly tier: Tier;
  readonly argv: readonly string[];
  readonly workspace: string;
  readonly cwd: string;
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
  /** `undefined`: as long as it takes. */
  readonly timeoutMs: number | undefined;
  readonly connect: readonly (string | number)[];
  readonly directories: PrivateDirectories;
  readonly identity: Identity | undefined;
  readonly allowDegraded: AllowDegraded;
  /** The caller has set a limit on memory or processes, beyond those that every tier has. */
  readonly bounded: boolean;
  readonly openSink: (() => EventSink) | undefined;
  /** Compiled on demand: a program that cannot be found is refused before a profile is asked about it. */
  compile(program: string): Pick<ResolvedProgram, 'profile' | 'degraded'>;
}

/** Checks everything and claims the private directories, which the caller releases. Throws for misuse. */
export const prepareCommand = (argv: readonly string[], options: ConfinedOptions): PreparedCommand => {
  const words = requireArgv(argv);
  const tier = requireTier(options.tier ?? 'worker');
  const workspace = requireWorkspace(options.workspace);
  const cwd = requireDirectory(options.cwd, workspace);
  const commands = requireNames('commands', options.commands);
  const env = requireEnvironment(options.env);
  const limits = requireLimits(options.limits);
  const timeoutMs = requireTimeout(options.timeoutMs);
  const connect = requireConnect(options.network);
  const allowDegraded = requireNames('allowDegraded', options.allowDegraded);
  const openSink = requireAudit(options.audit);
  const { profile } = currentProfile(options.profile ?? tier);
  const path = cleanPath(process.env['PATH'], workspace);
  const identity = identityFor(workspace);
  const directories = claimPrivateDirectories(identity);
  return {
    tier: profile.tier ?? tier,
    argv: words,
    workspace,
    cwd,
    path,
    env,
    timeoutMs,
    connect,
    directories,
    identity,
    allowDegraded,
    openSink,
    bounded: limits.memoryMb !== undefined || limits.pids !== undefined,
    compile: (program) => {
      const result = compileProfile(profile, {
        variables: { workspace, tmp: directories.root, node: process.execPath, home: homedir() },
        host: hostAbilities(),
        searchPath: path.split(':'),
        ...(tier === 'observer' || (tier === 'standard' && !SYSTEM_PROGRAM.test(program)) ? { program } : {}),
        commands,
        connect,
        limits,
        allowDegraded,
      });
      if ('missing' in result) throw tierDenied(tier, result.missing);
      return { profile: result.compiled, degraded: result.explanation.degraded };
    },
  };
};

/**
 * Root that works in somebody else's directory becomes that user. In a directory of root's it stays uid 0, without Linux
 * capabilities: what root *owns* is then kept out of reach by Landlock alone.
 */
const identityFor = (workspace: string): Identity | undefined => {
  if (process.geteuid?.() !== 0) return undefined;
  const { uid, gid } = statSync(workspace);
  return uid === 0 ? undefined : { uid, gid };
};

const environmentFor = (prepared: PreparedCommand, profile: CompiledProfile): Record<string, string> => ({
  ...scrubEnvironment(process.env, profile.environment),
  PATH: profile.searchPath.join(':') || prepared.path,
  HOME: prepared.directories.home,
  TMPDIR: prepared.directories.temporary,
  TMP: prepared.directories.temporary,
  TEMP: prepared.directories.temporary,
  PWD: prepared.cwd,
  TAPPASS_SANDBOX: prepared.tier,
  ...prepared.env,
});

/** `kind`: nothing of that name; something that cannot be started; something that this tier does not start. */
export interface Refusal {
  readonly kind: 'missing' | 'unusable' | 'not-listed';
  readonly reason: string;
}

export interface ResolvedProgram {
  readonly program: string;
  readonly profile: CompiledProfile;
  /** What this host lacks and the caller has accepted. */
  readonly degraded: readonly MissingLayer[];
}

/** Finds the program and compiles the profile for it. Throws TrustTierDenied where the host cannot enforce it. */
export const resolveCommand = (prepared: PreparedCommand): ResolvedProgram | Refusal => {
  const found = locateProgram(prepared.argv[0] ?? '', prepared.path, prepared.cwd);
  if ('fault' in found) return { kind: found.missing ? 'missing' : 'unusable', reason: found.fault };
  const compiled = prepared.compile(found.path);
  const { commands } = compiled.profile;
  return commands === undefined || commands.includes(found.real)
    ? { program: found.path, ...compiled }
    : { kind: 'not-listed', reason: notListed(prepared, found.path) };
};

const notListed = (prepared: PreparedCommand, program: string): string =>
  prepared.tier === 'observer'
    ? `${program} cannot be started under tier observer`
    : `${program} is not among the commands that tier ${prepared.tier} may start; pass \`commands: [${JSON.stringify(prepared.argv[0])}]\` to allow it` +
      (program.startsWith(prepared.workspace) ? ", or run a script by its interpreter: ['sh', 'script.sh']" : '');

const MOST_READ_ONLY = 64;

/**
 * Where this runtime keeps its record: what a command must not change even where it may write. Our own folder is none
 * when it is a link: an earlier command could have made it, to what the next one has to write.
 */
const journalPlaces = (workspace: string): readonly string[] => {
  const own = join(workspace, OWN_FOLDER);
  const places = new Set(realOrUndefined(own) === own && isDirectory(own) ? [own] : []);
  for (const folder of journalDirectories()) {
    const real = realOrUndefined(folder);
    if (real !== undefined && isDirectory(real)) places.add(real);
  }
  return [...places].slice(0, MOST_READ_ONLY);
};

/** Throws TrustTierDenied when not even the launcher could be started: there is no run without it. */
export const start = async (
  prepared: PreparedCommand,
  { program, profile, degraded }: ResolvedProgram,
  stdio?: LaunchOptions['stdio'],
): Promise<Launched> => {
  const sink = degraded.length > 0 ? prepared.openSink?.() : undefined;
  if (sink !== undefined) {
    sink.append({
      type: 'notice',
      reason: `${program} runs under tier ${prepared.tier} without ${degraded.map(({ layer }) => layer).join(', ')}`,
      tier: prepared.tier,
      profile: profile.name,
      digest: profile.digest,
      degraded,
    });
    await sink.settled();
  }
  try {
    return await launchConfined({
      profile,
      program,
      args: prepared.argv,
      environment: environmentFor(prepared, profile),
      directory: prepared.cwd,
      sealed: profile.tier === 'observer',
      bounded: prepared.bounded,
      readOnly: journalPlaces(prepared.workspace),
      ...(prepared.identity === undefined ? {} : { identity: prepared.identity }),
      ...(stdio === undefined ? {} : { stdio }),
    });
  } catch (error) {
    if (error instanceof LaunchRefused) throw tierDenied(prepared.tier, [{ layer: 'launcher', reason: error.message }]);
    throw error;
  }
};
