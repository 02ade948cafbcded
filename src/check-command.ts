/** Door: judges a command without running it. */
import type { CommandEffect } from './model/effect.ts';
import { DEFAULT_FLAGS } from './model/flags.ts';
import { ANY_TEXT, oneOf, requireOptions, SWITCH, TEXTS, type OptionRules } from './model/options.ts';
import { TIERS } from './model/tier.ts';
import { decideCommand, resolveCommands, type CommandFlags, type CommandOptions } from './policy/command.ts';
import { parseFlags } from './policy/flags.ts';

export interface CheckCommandOptions extends CommandOptions {
  /** Flag text; `files`, `db` and `email` are looked at. Default: the built-in defaults. */
  readonly flags?: string;
}

const OPTIONS: OptionRules<CheckCommandOptions> = {
  flags: ANY_TEXT,
  tier: oneOf(TIERS),
  commands: TEXTS,
  networkLimited: SWITCH,
};

export interface CommandDecision {
  readonly allowed: boolean;
  readonly code?: string;
  readonly reason?: string;
  /** What the command is shown to start; absent when that cannot be shown. */
  readonly commands?: readonly (readonly string[])[];
  readonly detections: readonly string[];
}

/** Whether an argv, or a text for a shell, may run under these flags, in a tier or outside of any. */
export const checkCommand = (command: string | readonly string[], given: CheckCommandOptions = {}): CommandDecision => {
  requireOptions('checkCommand', given, OPTIONS);
  const { flags, ...options } = given;
  const effect: CommandEffect = { kind: 'command', pointer: '', command };
  const judged: CommandFlags = flags === undefined ? DEFAULT_FLAGS : parseFlags(flags).flags;
  const ruling = decideCommand(effect, judged, options);
  const commands = resolveCommands(command);
  return {
    allowed: ruling.outcome === 'allow',
    ...(ruling.code === undefined ? {} : { code: ruling.code }),
    ...(ruling.reason === undefined ? {} : { reason: ruling.reason }),
    ...(commands === undefined ? {} : { commands }),
    detections: (ruling.detections ?? []).map(({ type }) => type),
  };
};
