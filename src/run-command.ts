/**
 * Door: an untrusted program under a tier. It is contained: Landlock, seccomp, no Linux capabilities, limits, a private
 * TMPDIR and HOME, and namespaces where the host permits. When it ends, all that it started has ended too.
 */
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import {
  requireArgv,
  requireConnect,
  requireDirectory,
  requireEnvironment,
  requireLimits,
  requireNames,
  requireTier,
  requireTimeout,
  requireWorkspace,
} from './command-options.ts';
import type { AllowDegraded, CommandLimits, NetworkOptions } from './command-options.ts';
import { reasonOf, reportOf, tierDenied } from './command-report.ts';
import type { CommandReport } from './command-report.ts';
import { capture } from './kernel/capture.ts';
import { compileProfile } from './kernel/compile.ts';
import type { CompiledProfile } from './kernel/compiled.ts';
import { launchConfined } from './kernel/confined.ts';
import { scrubEnvironment } from './kernel/environment.ts';
import { hostAbilities } from './kernel/host.ts';
import { LaunchRefused } from './kernel/launcher.ts';
import type { LaunchEnd, Launched } from './kernel/launcher.ts';
import type { Identity } from './kernel/orders.ts';
import { claimPrivateDirectories } from './kernel/private-directory.ts';
import type { PrivateDirectories } from './kernel/private-directory.ts';
import { loadProfile } from './kernel/profile-files.ts';
import { cleanPath, locateProgram } from './kernel/program.ts';
import type { Tier } from './model/tier.ts';

export interface RunCommandOptions {
  /** Default `worker`. */
  readonly tier?: Tier;
  /** A profile of your own, by path, instead of the tier's. */
  readonly profile?: string;
  /** Default: TAPPASS_WORKSPACE, else the current directory. */
  readonly workspace?: string;
  /** Where the command starts: inside the workspace, and the workspace by default. */
  readonly cwd?: string;
  /** Further programs (names or absolute paths) that may be started. */
  readonly commands?: readonly string[];
  /** Added to what the profile passes on, unscrubbed: it is yours to give. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: empty. */
  readonly stdin?: string | Uint8Array | Readable;
  /** Milliseconds until SIGTERM to every process of the command, default 120 000; SIGKILL a second later. */
  readonly timeoutMs?: number;
  readonly limits?: CommandLimits;
  readonly network?: NetworkOptions;
  readonly signal?: AbortSignal;
  /** Sees all output as it comes, also what is beyond `limits.outputBytes`. */
  readonly onStdout?: (chunk: Buffer) => void;
  readonly onStderr?: (chunk: Buffer) => void;
  readonly allowDegraded?: AllowDegraded;
}

export interface CommandUsage {
  readonly durationMs: number;
  readonly userMs: number;
  readonly systemMs: number;
  /** Of the largest process. */
  readonly peakMemoryMb: number;
  /** Processes that outlived the command and were killed. */
  readonly leftovers: number;
}

export interface CommandResult {
  /** `refused`: it was not started; `reason` says why. */
  readonly status: 'exited' | 'signalled' | 'timeout' | 'limit' | 'refused';
  readonly exitCode?: number;
  readonly signal?: NodeJS.Signals;
  readonly reason?: string;
  readonly stdout: string;
  readonly stderr: string;
  /** Output beyond `limits.outputBytes` was dropped; a mark at its end says how much. */
  readonly truncated: boolean;
  readonly report: CommandReport;
  readonly usage: CommandUsage;
}

const STANDARD_TIMEOUT_MS = 120_000;
const GRACE_MS = 1000;
const STANDARD_OUTPUT_BYTES = 10 * 1024 * 1024;

/**
 * Runs `argv` and resolves when nothing of it is left. Rejects for misuse (TapPassConfigError) and where the host cannot
 * enforce the tier (TrustTierDenied, naming the layers): there is no run without the sandbox.
 */
export const runCommand = async (argv: readonly string[], options: RunCommandOptions = {}): Promise<CommandResult> => {
  const prepared = prepareCommand(argv, options);
  try {
    return await run(prepared, options);
  } finally {
    await prepared.directories.release();
  }
};

export interface PreparedCommand {
  readonly tier: Tier;
  readonly argv: readonly string[];
  readonly workspace: string;
  readonly cwd: string;
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly connect: readonly (string | number)[];
  readonly directories: PrivateDirectories;
  readonly identity: Identity | undefined;
  readonly allowDegraded: AllowDegraded;
  /** Compiled on demand: a program that cannot be found is refused before a profile is asked about it. */
  compile(program: string): CompiledProfile;
}

/** Checks everything and claims the private directories, which the caller releases. Throws for misuse. */
export const prepareCommand = (argv: readonly string[], options: RunCommandOptions): PreparedCommand => {
  const words = requireArgv(argv);
  const tier = requireTier(options.tier ?? 'worker');
  const workspace = requireWorkspace(options.workspace);
  const cwd = requireDirectory(options.cwd, workspace);
  const commands = requireNames('commands', options.commands);
  const env = requireEnvironment(options.env);
  const limits = requireLimits(options.limits);
  const timeoutMs = requireTimeout(options.timeoutMs, STANDARD_TIMEOUT_MS);
  const connect = requireConnect(options.network);
  const allowDegraded = requireNames('allowDegraded', options.allowDegraded);
  const { profile } = loadProfile(options.profile ?? tier);
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
    compile: (program) => {
      const result = compileProfile(profile, {
        variables: { workspace, tmp: directories.root, node: process.execPath, home: homedir() },
        host: hostAbilities(),
        searchPath: path.split(':'),
        ...(tier === 'observer' ? { program } : {}),
        commands,
        connect,
        limits,
        allowDegraded,
      });
      if ('missing' in result) throw tierDenied(tier, result.missing);
      return result.compiled;
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

export const environmentFor = (prepared: PreparedCommand, profile: CompiledProfile): Record<string, string> => ({
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

const run = async (prepared: PreparedCommand, options: RunCommandOptions): Promise<CommandResult> => {
  const begun = performance.now();
  const refused = (reason: string, report: CommandReport): CommandResult => ({
    status: 'refused',
    reason,
    stdout: '',
    stderr: '',
    truncated: false,
    report,
    usage: { durationMs: performance.now() - begun, userMs: 0, systemMs: 0, peakMemoryMb: 0, leftovers: 0 },
  });
  const found = locateProgram(prepared.argv[0] ?? '', prepared.path, prepared.cwd);
  const nothing: CommandReport = { tier: prepared.tier, profile: undefined, layers: [], degraded: [] };
  if ('fault' in found) return refused(found.fault, nothing);
  const profile = prepared.compile(found.path);
  if (profile.commands !== undefined && !profile.commands.includes(found.real)) {
    return refused(notListed(prepared, found.path), nothing);
  }
  if (options.signal?.aborted === true) return refused('the signal was aborted before the start', nothing);

  let launched: Launched;
  try {
    launched = await launchConfined({
      profile,
      program: found.path,
      args: prepared.argv,
      environment: environmentFor(prepared, profile),
      directory: prepared.cwd,
      sealed: profile.tier === 'observer',
      ...(prepared.identity === undefined ? {} : { identity: prepared.identity }),
    });
  } catch (error) {
    if (error instanceof LaunchRefused) throw tierDenied(prepared.tier, [{ layer: 'launcher', reason: error.message }]);
    throw error;
  }
  const stop = watchOver(launched, prepared.timeoutMs, options.signal);
  const most = profile.limits.outputBytes ?? STANDARD_OUTPUT_BYTES;
  feed(launched, options.stdin);
  try {
    const [stdout, stderr] = await Promise.all([
      capture(launched.stdout, most, options.onStdout),
      capture(launched.stderr, most, options.onStderr),
    ]);
    const end = await launched.ended;
    const report = reportOf(prepared, profile, end);
    if (end.kind === 'failed') return refused(reasonOf(prepared, profile, end), report);
    return {
      ...outcomeOf(end, stop.cause()),
      stdout: stdout.text,
      stderr: stderr.text,
      truncated: stdout.droppedBytes + stderr.droppedBytes > 0,
      report,
      usage: { durationMs: performance.now() - begun, ...end.usage, leftovers: end.leftovers },
    };
  } finally {
    stop.clear();
    launched.kill();
  }
};

const notListed = (prepared: PreparedCommand, program: string): string =>
  prepared.tier === 'observer'
    ? `${program} cannot be started under tier observer`
    : `${program} is not among the commands that tier ${prepared.tier} may start; pass \`commands: [${JSON.stringify(prepared.argv[0])}]\` to allow it` +
      (program.startsWith(prepared.workspace) ? ", or run a script by its interpreter: ['sh', 'script.sh']" : '');

type Cause = 'timeout' | 'aborted' | undefined;

/** SIGTERM to the whole tree, then SIGKILL: at the deadline, and when the caller aborts. */
const watchOver = (
  launched: Launched,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): { readonly cause: () => Cause; readonly clear: () => void } => {
  let cause: Cause;
  let grace: NodeJS.Timeout | undefined;
  const end = (why: Cause): void => {
    if (cause !== undefined) return;
    cause = why;
    launched.signal('SIGTERM');
    grace = setTimeout(() => launched.kill(), GRACE_MS);
  };
  const deadline = setTimeout(() => end('timeout'), timeoutMs);
  const onAbort = (): void => end('aborted');
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return {
    cause: () => cause,
    clear: () => {
      clearTimeout(deadline);
      clearTimeout(grace);
      signal?.removeEventListener('abort', onAbort);
    },
  };
};

type Ended = Extract<LaunchEnd, { kind: 'ended' }>;

const LIMIT_REASONS: Readonly<Record<'memory' | 'pids' | 'cpu', string>> = {
  memory: 'its processes together used more memory than `limits.memoryMb`',
  pids: 'it had more processes than `limits.pids`',
  cpu: 'its processes together used more processor time than `limits.cpuSeconds`',
};

const outcomeOf = (
  end: Ended,
  cause: Cause,
): Pick<CommandResult, 'status'> & Partial<Pick<CommandResult, 'exitCode' | 'signal' | 'reason'>> => {
  const how = {
    ...(end.exitCode === undefined ? {} : { exitCode: end.exitCode }),
    ...(end.signal === undefined ? {} : { signal: end.signal }),
  };
  if (end.reason === 'memory' || end.reason === 'pids' || end.reason === 'cpu') {
    return { status: 'limit', ...how, reason: LIMIT_REASONS[end.reason] };
  }
  if (end.signal === 'SIGXCPU') return { status: 'limit', ...how, reason: LIMIT_REASONS.cpu };
  if (end.signal === 'SIGXFSZ') {
    return { status: 'limit', ...how, reason: 'it wrote a file longer than `limits.fileSizeMb`' };
  }
  if (cause === 'timeout') return { status: 'timeout', ...how, reason: 'it ran longer than `timeoutMs`' };
  if (cause === 'aborted') return { status: 'signalled', ...how, reason: 'the signal was aborted' };
  if (end.signal === 'SIGSYS') {
    return { status: 'signalled', ...how, reason: 'it made a system call for which the filter kills' };
  }
  return { status: end.signal === undefined ? 'exited' : 'signalled', ...how };
};

/** A command may end without reading what it was given: that is no error. */
const feed = ({ stdin }: Launched, input: RunCommandOptions['stdin']): void => {
  if (stdin === undefined) return;
  stdin.on('error', () => stdin.destroy());
  if (input === undefined) stdin.end();
  else if (typeof input === 'string' || input instanceof Uint8Array) stdin.end(input);
  else {
    input.pipe(stdin);
    finished(input).catch(() => stdin.destroy());
  }
};
