/** `tappass profile`: which profiles there are, what one says, and what it comes to on this host, each line with its why. */
import type { Command } from 'commander';
import { explainProfile, listProfiles, showProfile } from '../profiles.ts';
import type { ExplainedProfile } from '../profiles.ts';
import { paint, print, printJson, shown, table, UsageError } from './output.ts';

interface ExplainFlags {
  readonly json?: boolean;
  readonly workspace?: string;
  readonly program?: string;
  readonly allowCommand?: readonly string[];
  readonly allowHost?: readonly string[];
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

/** A profile or an option that cannot be used is wrong use of the command. */
const asUsage = <T>(work: () => T): T => {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error && error.name === 'TapPassConfigError') throw new UsageError(error.message);
    throw error;
  }
};

const HELP = `
Examples:
  $ tappass profile list
  $ tappass profile explain worker --workspace ./project --allow-host 127.0.0.1:5432
  $ tappass profile explain ./my-profile.json --json
  $ tappass profile show observer`;

export const registerProfile = (program: Command): void => {
  const profile = program
    .command('profile')
    .description('sandbox profiles: the kernel rules that make a tier')
    .addHelpText('after', HELP);

  profile
    .command('list')
    .description('the built-in profiles')
    .option('--json', 'print one JSON document')
    .action(({ json = false }: { json?: boolean }) => {
      const profiles = listProfiles();
      if (json) printJson(profiles);
      else {
        const rows = profiles.map(({ name, tier, description }) => [name, tier ?? '', description]);
        print(table(['profile', 'tier', ''], rows));
      }
    });

  profile
    .command('show')
    .argument('<name-or-path>', 'a built-in profile, or a file of your own')
    .description('the profile joined with all that it extends, as JSON')
    .option('--json', 'print one JSON document (the default)')
    .action((nameOrPath: string) => printJson(asUsage(() => showProfile(nameOrPath))));

  profile
    .command('explain')
    .argument('<name-or-path>', 'a built-in profile, or a file of your own')
    .description('the effective rights on this host, per layer, each with its why')
    .option('--workspace <dir>', 'the workspace (default: TAPPASS_WORKSPACE, else the current directory)')
    .option('--program <name>', 'the program that would be started')
    .option('--allow-command <name>', 'a further program that may be started (repeatable)', collect)
    .option('--allow-host <host:port>', 'a TCP port that may be connected to (repeatable)', collect)
    .option('--json', 'print one JSON document')
    .action((nameOrPath: string, flags: ExplainFlags) => {
      const explained = asUsage(() =>
        explainProfile(nameOrPath, {
          ...(flags.workspace !== undefined && { workspace: flags.workspace }),
          ...(flags.program !== undefined && { program: flags.program }),
          ...(flags.allowCommand !== undefined && { commands: flags.allowCommand }),
          ...(flags.allowHost !== undefined && { connect: flags.allowHost }),
        }),
      );
      if (flags.json === true) printJson(explained);
      else printExplained(explained);
    });
};

const section = (title: string, body: string): void => {
  print(`\n${paint('bold', title)}`);
  print(body);
};

const printExplained = (explained: ExplainedProfile): void => {
  const { landlock, seccomp } = explained;
  print(`${paint('bold', explained.name)} (tier ${explained.tier}): ${explained.description}`);
  print(paint('dim', `digest ${explained.digest}`));
  section(
    `Files, by Landlock ABI ${String(landlock.abi)}; what is not listed is refused`,
    table(['path', 'rights', 'why'], landlock.files.map(fileRow)),
  );
  section(
    'Never granted, not even inside a granted folder',
    table(
      ['path', 'why'],
      explained.protected.map(({ path, why }) => [shown(path), why]),
    ),
  );
  section('Programs that may be started', programsOf(explained));
  section('Network', networkOf(landlock.connect));
  section(
    `System calls: ${String(seccomp.instructions)} instructions; what no line names: ${seccomp.otherwise}`,
    table(['calls', 'answer', 'why'], seccomp.rules.map(ruleRow)),
  );
  if (seccomp.inProcess.length > 0) {
    section(
      'System calls, in a process that runs already',
      table(['calls', 'answer', 'why'], seccomp.inProcess.map(ruleRow)),
    );
  }
  const limits = Object.entries(explained.limits).map(([name, limit]) => `${name} ${String(limit)}`);
  section('Limits', limits.join(', ') || 'none');
  section(
    'Environment variables that are passed on',
    table(
      ['names', 'why'],
      explained.environment.map(({ names, why }) => [names.join(' '), why]),
    ),
  );
  section(
    'Layers that must hold',
    table(
      ['layer', 'why'],
      explained.required.map(({ layer, why }) => [layer, why]),
    ),
  );
  section(
    'Namespaces, added where the host permits',
    table(
      ['namespace', 'why'],
      explained.namespaces.map(({ name, why }) => [name, why]),
    ),
  );
  if (explained.covered.length > 0) {
    section(
      'What this Landlock lacks, and what covers it',
      table(
        ['gap', 'covered by'],
        explained.covered.map(({ gap, by }) => [gap, by]),
      ),
    );
  }
  for (const { layer, reason } of explained.degraded) print(paint('yellow', `degraded: ${layer}: ${reason}`));
  for (const folder of explained.unsearched) {
    print(paint('yellow', `not granted, because not searched: ${shown(folder)}`));
  }
};

const fileRow = ({ path, rights, why, partOf, onlyWith }: ExplainedProfile['landlock']['files'][number]): string[] => [
  shown(path),
  rights.toLowerCase(),
  [shown(why), partOf && `(what is left of ${shown(partOf)})`, onlyWith && `(only with ${onlyWith})`]
    .filter((part) => part !== undefined)
    .join(' '),
];

const programsOf = ({ commands, notInstalled }: ExplainedProfile): string => {
  if (commands === 'any') return 'any that may be executed above';
  const names = commands.map(({ name, path }) => (name === path ? name : `${name} (${path})`));
  const absent = notInstalled.length === 0 ? '' : paint('dim', `\nnot installed here: ${notInstalled.join(', ')}`);
  return `${names.join(', ') || 'none'}${absent}`;
};

const networkOf = (connect: ExplainedProfile['landlock']['connect']): string => {
  if (connect === 'any') return 'open: TCP and UDP, IPv4 and IPv6';
  return connect.length === 0 ? 'none' : `connections to TCP port ${connect.join(', ')}, on any host; nothing else`;
};

type Rule = ExplainedProfile['seccomp']['rules'][number];
const MOST_NAMES = 4;

const ruleRow = ({ calls, when, action, why }: Rule): string[] => [
  calls.length > MOST_NAMES
    ? `${calls.slice(0, MOST_NAMES - 1).join(' ')} and ${String(calls.length - MOST_NAMES + 1)} more`
    : calls.join(' '),
  when === undefined ? action : `${action} if ${when.map(conditionText).join(' and ')}`,
  why,
];

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

const conditionText = (condition: NonNullable<Rule['when']>[number]): string => {
  if ('anyBits' in condition) return `arg${String(condition.argument)} has any of ${hex(condition.anyBits)}`;
  const masked = condition.mask >>> 0 === 0xffffffff ? '' : ` & ${hex(condition.mask)}`;
  return `arg${String(condition.argument)}${masked} = ${hex(condition.equals)}`;
};
