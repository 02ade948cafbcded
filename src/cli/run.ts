/** `tappass run`: a program under a tier, with this terminal as its own. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { TapPassConfigError } from '../model/errors.ts';
import { runAttached } from '../run-attached.ts';
import type { AttachedResult } from '../run-attached.ts';
import { UsageError } from './output.ts';
import { TIERS } from '../model/tier.ts';

interface Flags {
  readonly tier?: (typeof TIERS)[number];
  readonly profile?: string;
  readonly workspace?: string;
  readonly allowCommand: readonly string[];
  readonly allowHost: readonly string[];
  readonly allowDegraded: readonly string[];
  readonly audit?: string;
  readonly timeout?: string;
  readonly memory?: string;
  readonly pids?: string;
  readonly fileSize?: string;
  readonly cpu?: string;
  readonly env: readonly string[];
  readonly json?: boolean;
}

const list = (name: string, help: string): Option =>
  new Option(name, help).default([]).argParser((value: string, before: string[]) => [...before, value]);

export const registerRun = (program: Command): void => {
  program
    .command('run')
    .description('run a program under a tier; its exit code is passed on')
    .addOption(new Option('--tier <tier>', 'strength of the confinement').choices(TIERS).default('worker'))
    .option('--profile <path>', 'a profile of your own instead of the tier')
    .option('--workspace <dir>', 'what it may work on (default: TAPPASS_WORKSPACE, else here)')
    .addOption(list('--allow-command <name>', 'a further program it may start'))
    .addOption(
      list('--allow-host <host:port>', 'a TCP port it may connect to, on any host: the kernel knows ports only'),
    )
    .addOption(list('--allow-degraded <layer>', 'a layer that may be missing on this host'))
    .option('--audit <dir>', 'a journal that is told of layers that are missing, before the start')
    .option('--timeout <seconds>', 'SIGTERM after so long, SIGKILL a second later')
    .option('--memory <MiB>', 'resident memory of all its processes')
    .option('--pids <count>', 'processes at the same time')
    .option('--file-size <MiB>', 'largest file it may write')
    .option('--cpu <seconds>', 'processor time of all its processes')
    .addOption(list('--env <NAME[=value]>', 'pass a variable on, or set it'))
    .option('--json', 'report on stderr as JSON when it has ended')
    .argument('<command...>', 'the program and its arguments, after --')
    .action(async (argv: readonly string[], flags: Flags) => {
      process.exitCode = await run(argv, flags);
    });
};

const run = async (argv: readonly string[], flags: Flags): Promise<number> => {
  const limits = {
    memoryMb: numberOf(flags.memory),
    pids: numberOf(flags.pids),
    fileSizeMb: numberOf(flags.fileSize),
    cpuSeconds: numberOf(flags.cpu),
  };
  const result = await attached(argv, {
    tier: flags.tier,
    profile: flags.profile,
    workspace: flags.workspace,
    commands: flags.allowCommand,
    network: { connect: flags.allowHost },
    allowDegraded: flags.allowDegraded,
    ...(flags.audit === undefined ? {} : { audit: { dir: flags.audit } }),
    env: environmentOf(flags.env),
    limits,
    ...(flags.timeout === undefined ? {} : { timeoutMs: Number(flags.timeout) * 1000 }),
  });
  if (flags.json === true) process.stderr.write(`${JSON.stringify(result)}\n`);
  else if (result.reason !== undefined) process.stderr.write(`tappass: ${result.reason}\n`);
  return result.code;
};

/** A wrong option or profile is a wrong use of the command line. */
const attached = async (...args: Parameters<typeof runAttached>): Promise<AttachedResult> => {
  try {
    return await runAttached(...args);
  } catch (error) {
    throw TapPassConfigError.isInstance(error) && error.name === 'TapPassConfigError'
      ? new UsageError(error.message)
      : error;
  }
};

/** What is no number stays NaN: the door says what it expected. */
const numberOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));

const environmentOf = (entries: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    entries.flatMap((entry) => {
      const at = entry.indexOf('=');
      if (at >= 0) return [[entry.slice(0, at), entry.slice(at + 1)]];
      const value = process.env[entry];
      return value === undefined ? [] : [[entry, value]];
    }),
  );
