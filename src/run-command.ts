/**
 * Door: an untrusted program under a tier. It is contained: Landlock, seccomp, no Linux capabilities, limits, a private
 * TMPDIR and HOME, and namespaces where the host permits. When it ends, all that it started has ended too.
 */
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { refusalOf, reportOf } from './command-report.ts';
import type { CommandReport } from './command-report.ts';
import { prepareCommand, resolveCommand, start } from './command-prepare.ts';
import type { ConfinedOptions, PreparedCommand } from './command-prepare.ts';
import { capture } from './kernel/capture.ts';
import { endingOf, watchOver } from './kernel/ending.ts';
import type { Ending } from './kernel/ending.ts';
import type { Launched } from './kernel/launcher.ts';
import { type OptionRules, requireOptions } from './model/options.ts';

const OPTIONS: OptionRules<RunCommandOptions> = {
  tier: true,
  profile: true,
  workspace: true,
  cwd: true,
  commands: true,
  env: true,
  timeoutMs: true,
  limits: true,
  network: true,
  allowDegraded: true,
  audit: true,
  stdin: true,
  signal: true,
  onStdout: true,
  onStderr: true,
};

export interface RunCommandOptions extends ConfinedOptions {
  /** Default: empty. */
  readonly stdin?: string | Uint8Array | Readable;
  /** Milliseconds until SIGTERM to every process of the command, default 120 000; SIGKILL a second later. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal;
  /** Sees all output as it comes, also what is beyond `limits.outputBytes`. A throw ends the command and rejects. */
  readonly onStdout?: (chunk: Buffer) => void;
  readonly onStderr?: (chunk: Buffer) => void;
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
  readonly status: Ending['status'] | 'refused';
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
const PIPE_MS = 5000;
const STANDARD_OUTPUT_BYTES = 10 * 1024 * 1024;

/**
 * Runs `argv` and resolves when nothing of it is left. Rejects for misuse (TapPassConfigError) and where the host cannot
 * enforce the tier (TrustTierDenied, naming the layers): there is no run without the sandbox.
 */
export const runCommand = async (argv: readonly string[], options: RunCommandOptions = {}): Promise<CommandResult> => {
  requireOptions('runCommand', options, OPTIONS);
  const prepared = prepareCommand(argv, { ...options, timeoutMs: options.timeoutMs ?? STANDARD_TIMEOUT_MS });
  try {
    return await run(prepared, options);
  } finally {
    await prepared.directories.release();
  }
};

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
  const nothing: CommandReport = { tier: prepared.tier, profile: undefined, layers: [], degraded: [] };
  const command = resolveCommand(prepared);
  if ('reason' in command) return refused(command.reason, nothing);
  if (options.signal?.aborted === true) return refused('the signal was aborted before the start', nothing);
  const { profile } = command;
  const launched = await start(prepared, command);
  const stop = watchOver(launched, prepared.timeoutMs, options.signal);
  const most = profile.limits.outputBytes ?? STANDARD_OUTPUT_BYTES;
  feed(launched, options.stdin);
  const late = giveUpOn(launched);
  try {
    const [stdout, stderr] = await Promise.all([
      capture(launched.stdout, most, options.onStdout),
      capture(launched.stderr, most, options.onStderr),
    ]);
    const end = await launched.ended;
    const report = reportOf(prepared, command, end);
    if (end.kind === 'failed') return refused(refusalOf(prepared, profile, end), report);
    return {
      ...endingOf(end, stop.cause()),
      stdout: stdout.text,
      stderr: stderr.text,
      truncated: stdout.droppedBytes + stderr.droppedBytes > 0,
      report,
      usage: { durationMs: performance.now() - begun, ...end.usage, leftovers: end.leftovers },
    };
  } finally {
    stop.clear();
    launched.kill();
    await launched.ended;
    late.clear();
  }
};

/**
 * A tier that has Unix sockets can hand its end of a pipe to a process outside, and the pipe then never ends. What has
 * come when the command is long over is all there is.
 */
const giveUpOn = ({ ended, stdout, stderr }: Launched): { readonly clear: () => void } => {
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  void ended.then(() => {
    if (over) return;
    timer = setTimeout(() => {
      stdout?.destroy();
      stderr?.destroy();
    }, PIPE_MS);
  });
  return {
    clear: () => {
      over = true;
      clearTimeout(timer);
    },
  };
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
