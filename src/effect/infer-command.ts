/** A program in one argument and what it is given in another. */

const ARGUMENTS_KEY = /^(?:(?:cmd|command|program)_?)?(?:args?|arguments|argv|params|parameters|options|flags)$/iu;

const isTextList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

export interface SplitCommand {
  readonly commands: readonly (string | readonly string[])[];
  /** The keys that are accounted for. */
  readonly used: readonly string[];
}

/** `{command: 'git', args: ['status']}`: one argv. `undefined` where nothing is split. */
export const splitCommand = (
  record: Readonly<Record<string, unknown>>,
  isCommand: (key: string) => boolean,
): SplitCommand | undefined => {
  const keys = Object.keys(record);
  const key = keys.find((name) => typeof record[name] === 'string' && isCommand(name));
  const rest = keys.find((name) => name !== key && ARGUMENTS_KEY.test(name));
  if (key === undefined || rest === undefined) return undefined;
  const command = String(record[key]);
  const args: unknown = record[rest];
  const used = [key, rest];
  if (typeof args === 'string') return { commands: [`${command} ${args}`], used };
  if (!isTextList(args)) return undefined;
  const argv = [command, ...args];
  // Tools that hand such a pair to a shell join it with spaces.
  const isPlain = argv.every((word) => /^[\w@%+=:,./-]+$/u.test(word));
  return { commands: isPlain ? [argv] : [argv, argv.join(' ')], used };
};
