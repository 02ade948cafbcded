/**
 * Whether a command may run. Inside a tier the kernel holds what a text cannot show, so the question is whether the tier
 * gives no more than the flags do. Outside, a command can do all that its user can: when any flag restricts, only
 * commands that are known to do nothing but read pass, and an allow-list is held to the letter.
 */
import { allowRuling, denyRuling, type Detection, type Ruling } from '../model/decision.ts';
import type { CommandEffect } from '../model/effect.ts';
import type { Flags } from '../model/flags.ts';
import type { Tier } from '../model/tier.ts';
import {
  isDatabaseClient,
  isLauncher,
  mentionsDatabaseClient,
  onlyReads,
  opensOthers,
  programOf,
  runsInlineCode,
  shellTextOf,
} from './command-programs.ts';
import { parseSimpleCommands, type Argv } from './command-text.ts';

export interface CommandOptions {
  /** The tier in which the command will run. `undefined`, unless the effect says `contained`: in none. */
  readonly tier?: Tier;
  /**
   * Programs that may be started, by name (found by the system) or absolute path. `undefined`: not configured. `[]`: none.
   * Launchers (`env`, `xargs`, `sudo` …) and inline code (`python -c`) stay denied: they would allow everything.
   */
  readonly commands?: readonly string[];
  /** True when the program limits where data may be sent. */
  readonly networkLimited?: boolean;
}

export type CommandFlags = Pick<Flags, 'files' | 'db' | 'email'>;

const STEP = 'check_command';

export const decideCommand = (effect: CommandEffect, flags: CommandFlags, options: CommandOptions = {}): Ruling => {
  if (hasNul(effect.command)) return denyRuling(STEP, 'command.unreadable', 'the command holds a NUL character');
  if (isEmpty(effect.command)) return denyRuling(STEP, 'command.unreadable', 'the command is empty');
  if (flags.files === 'block') {
    return denyRuling(
      STEP,
      'command.files-blocked',
      'every command reads files, and files=block allows no file operation',
    );
  }
  if (effect.contained === true || options.tier !== undefined) {
    return decideContained(flags, options.tier ?? 'standard', options.networkLimited === true);
  }
  return decideUncontained(effect, flags, options);
};

/** A tier must not give what a flag takes: its writes and its network are known. */
const decideContained = (flags: CommandFlags, tier: Tier, networkLimited: boolean): Ruling => {
  if (flags.files === 'read_only' && tier !== 'observer') {
    return denyRuling(STEP, 'command.tier-writes', `tier ${tier} can write, files=read_only cannot: use tier observer`);
  }
  if (tier === 'standard') {
    const flag = restrictingReach(flags, networkLimited);
    if (flag !== undefined) {
      return denyRuling(
        STEP,
        'command.tier-reaches',
        `tier standard can reach the network past ${flag}: use tier worker or observer`,
      );
    }
  }
  return allowRuling(STEP);
};

const decideUncontained = (effect: CommandEffect, flags: CommandFlags, options: CommandOptions): Ruling => {
  const commands = resolveCommands(effect.command);
  const restricting = restrictingFlag(flags, options.networkLimited === true);
  if (flags.db !== 'allow') {
    const client = commands?.map(([word = '']) => programOf(word)).find(isDatabaseClient);
    if (client !== undefined || (commands === undefined && mentionsDatabaseClient(textOf(effect.command)))) {
      const named = client ?? 'a database client';
      return denyRuling(STEP, 'command.database-client', `${named} would reach a database past db=${flags.db}`);
    }
  }
  if (commands === undefined) {
    if (options.commands === undefined && restricting === undefined) return allowOpaque(effect);
    const why = restricting === undefined ? 'a list of commands is set' : `${restricting} is set`;
    return denyRuling(
      STEP,
      'command.not-simple',
      `the command text cannot be shown to be a plain list of programs with literal arguments, and ${why}: run it under a tier`,
    );
  }
  if (options.commands !== undefined) {
    const unlisted = commands.find((argv) => !isListed(argv, options.commands ?? []));
    if (unlisted !== undefined) {
      return denyRuling(STEP, 'command.not-listed', `${shown(unlisted)} is not in the list of commands`);
    }
    const opening = commands.find(
      (argv) => isLauncher(programOf(argv[0] ?? '')) || runsInlineCode(argv) || opensOthers(argv),
    );
    if (opening !== undefined) {
      return denyRuling(
        STEP,
        'command.runs-others',
        `${shown(opening)} runs whatever its arguments say: run it under a tier`,
      );
    }
  }
  const acting = commands.find((argv) => !onlyReads(argv));
  if (acting === undefined) return allowRuling(STEP);
  if (restricting !== undefined) {
    return denyRuling(
      STEP,
      'command.uncontained',
      `${shown(acting)} runs outside a sandbox and could get round ${restricting}: run it under a tier`,
    );
  }
  return options.commands === undefined ? allowOpaque(effect) : allowRuling(STEP);
};

/** Every program that the command starts, as far as it can be shown; `undefined` when it cannot. */
export const resolveCommands = (command: string | readonly string[], depth = 0): readonly Argv[] | undefined => {
  const direct = typeof command === 'string' ? parseSimpleCommands(command) : [command];
  if (direct === undefined || depth > 2) return undefined;
  const resolved: Argv[] = [];
  for (const argv of direct) {
    const text = shellTextOf(argv);
    const inner = text === undefined ? [argv] : resolveCommands(text, depth + 1);
    if (inner === undefined) return undefined;
    resolved.push(...inner);
  }
  return resolved;
};

/** A name stands for what the system finds by it; a path must be listed as it is. */
const isListed = ([word = '']: Argv, list: readonly string[]): boolean =>
  list.includes(word) || (word !== programOf(word) && list.includes(programOf(word)));

const restrictingFlag = (flags: CommandFlags, networkLimited: boolean): string | undefined =>
  flags.files === 'allow' ? restrictingReach(flags, networkLimited) : `files=${flags.files}`;

const restrictingReach = ({ db, email }: CommandFlags, networkLimited: boolean): string | undefined => {
  if (db === 'read_only' || db === 'block') return `db=${db}`;
  if (email !== 'allow') return `email=${email.split(':', 1)[0] ?? ''}`;
  return networkLimited ? 'the list of allowed domains' : undefined;
};

/** No flag restricts anything, so it passes; `lockdown` blocks what it is told about. */
const allowOpaque = ({ pointer }: CommandEffect): Ruling => {
  const detection: Detection = { step: STEP, type: 'uncontained_command', at: pointer };
  return allowRuling(STEP, { detections: [detection] });
};

const textOf = (command: string | readonly string[]): string =>
  typeof command === 'string' ? command : command.join(' ');
const hasNul = (command: string | readonly string[]): boolean => textOf(command).includes('\0');
const isEmpty = (command: string | readonly string[]): boolean =>
  typeof command === 'string' ? command.trim() === '' : (command[0] ?? '').trim() === '';

/** The program alone: arguments may hold secrets. */
const shown = ([word = '']: Argv): string => `\`${word.slice(0, 60)}\``;
