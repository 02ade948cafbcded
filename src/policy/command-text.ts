/**
 * Shows that a shell text is no more than a list of programs with literal arguments. Two readers must agree: a small
 * lexer that knows only what every POSIX shell reads alike, and a full grammar of bash. Whatever expands, substitutes,
 * redirects, assigns, defines or runs in the background is not simple, and nothing is concluded about it.
 */
import { parse, type Command, type Redirection, type Statement, type Word } from 'unbash';

export type Argv = readonly string[];

const LONGEST_TEXT = 8 * 1024;

/** The programs with their arguments, in order; `undefined` when the text is not simple. */
export const parseSimpleCommands = (text: string): readonly Argv[] | undefined => {
  if (text.length > LONGEST_TEXT) return undefined;
  const lexed = lexSimple(text);
  if (lexed === undefined || lexed.length === 0) return undefined;
  const parsed = grammarReading(text);
  return parsed !== undefined && sameCommands(lexed, parsed) ? lexed : undefined;
};

const sameCommands = (left: readonly Argv[], right: readonly Argv[]): boolean =>
  left.length === right.length &&
  left.every((argv, index) => {
    const other = right[index];
    return other !== undefined && argv.length === other.length && argv.every((word, at) => word === other[at]);
  });

// One token at a time: blank, end, harmless redirection, word. Words: bare characters that mean nothing to any shell, quoted text without anything that expands.
const TOKEN =
  /([ \t]+)|(\n|;|&&|\|\|?)|((?:2>&1|1?>&2|[12]?>>?[ \t]*\/dev\/null|<[ \t]*\/dev\/null)(?=[\s;|&]|$))|((?:[^\s\p{Cc}$`"'\\*?[\]{}()<>|;&!]+|'(?:[^'\p{Cc}]|[\t\n])*'|"(?:[^"$`\\!\p{Cc}]|[\t\n])*")+)/uy;

const lexSimple = (text: string): readonly Argv[] | undefined => {
  const commands: string[][] = [];
  let current: string[] = [];
  let mayEnd = true;
  TOKEN.lastIndex = 0;
  let after = 'blank';
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (match === null) return undefined;
    const end = match[2];
    const harmless = match[3];
    const word = match[4];
    if (end !== undefined) {
      // An empty command is only fine between lines: `;;`, `&& &&` and a leading `|` are not.
      if (current.length > 0) commands.push(current);
      else if (end !== '\n') return undefined;
      mayEnd = end === '\n' || end === ';' || (mayEnd && current.length === 0);
      current = [];
      after = 'end';
    } else if (harmless !== undefined) {
      if (current.length === 0 || after === 'word') return undefined;
      after = 'harmless';
    } else if (word !== undefined) {
      if (after === 'word' || after === 'harmless') return undefined;
      const literal = literalOf(word, current.length === 0);
      if (literal === undefined) return undefined;
      current.push(literal);
      mayEnd = true;
      after = 'word';
    } else after = 'blank';
  }
  if (current.length > 0) commands.push(current);
  else if (!mayEnd) return undefined;
  return commands;
};

const literalOf = (word: string, first: boolean): string | undefined => {
  // Tilde, comment, zsh's `=command`, assignment, job.
  if (/^[~#=]|[:=]~/u.test(word) || (first && /[=~%]/u.test(word))) return undefined;
  if (!/['"]/u.test(word)) return word;
  return word.replaceAll(/'([^']*)'|"([^"]*)"/gu, (_, single?: string, double?: string) => single ?? double ?? '');
};

const grammarReading = (text: string): readonly Argv[] | undefined => {
  const commands: Argv[] = [];
  try {
    const script = parse(text);
    if ((script.errors?.length ?? 0) > 0) return undefined;
    for (const { background, command } of script.commands) {
      if (background === true || !readNode(command, commands)) return undefined;
    }
  } catch {
    return undefined;
  }
  return commands;
};

const readNode = (node: Statement['command'], into: Argv[]): boolean => {
  if (node.type === 'AndOr') return node.commands.every((one) => readNode(one, into));
  if (node.type === 'Pipeline') {
    return (
      node.prefixes.length === 0 &&
      node.operators.every((operator) => operator === '|') &&
      node.commands.every((one) => readNode(one, into))
    );
  }
  // Groups, loops, functions, tests, redirected compounds: whatever else a grammar may add is not simple either.
  if (node.type !== 'Command') return false;
  const argv = readCommand(node);
  if (argv !== undefined) into.push(argv);
  return argv !== undefined;
};

const readCommand = (command: Command): Argv | undefined => {
  if (command.name === undefined || command.prefix.length > 0) return undefined;
  const argv: string[] = [];
  for (const part of [command.name, ...command.suffix]) {
    if (part.type === 'Word') {
      if (!isLiteral(part)) return undefined;
      argv.push(part.value);
    } else if (part.type === 'Assignment' || !isHarmless(part)) return undefined;
  }
  return argv;
};

/** The parts of a word are made when they are asked for, which costs more than all the rest: not for a bare word. */
const isLiteral = (word: Word): boolean =>
  /^[\w@%+:,./^=-]*$/u.test(word.text) ||
  (word.parts ?? []).every(
    (part) =>
      part.type === 'Literal' ||
      part.type === 'SingleQuoted' ||
      (part.type === 'DoubleQuoted' && part.parts.every(({ type }) => type === 'Literal')),
  );

const isHarmless = (redirection: Redirection): boolean => {
  if (redirection.type !== 'Redirect') return false;
  const target = redirection.target?.value;
  return redirection.operator === '>&' ? target === '1' || target === '2' : target === '/dev/null';
};
