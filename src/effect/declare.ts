/** Declared effects: which arguments are paths, SQL, messages, URLs, commands. Compiled once for each tool. */
import type { Basis } from '../model/decision.ts';
import { accessOf, FILE_OPERATIONS } from '../model/effect.ts';
import type { ArgumentPath, Effect, EffectDeclaration, FileOperation } from '../model/effect.ts';
import { TapPassConfigError } from '../model/errors.ts';

export interface DerivedEffects {
  readonly effects: readonly Effect[];
  readonly basis: Basis;
}

/** From the arguments of one call to its effects. */
export type DeriveEffects = (args: unknown) => DerivedEffects;

type Make = (value: unknown, pointer: string) => Effect | undefined;

interface Site {
  readonly steps: readonly string[];
  readonly make: Make;
}

const escapeToken = (token: string): string => token.replaceAll('~', '~0').replaceAll('/', '~1');

const stepsOf = (path: ArgumentPath, tool: string): readonly string[] => {
  const steps = path.split('.');
  if (path === '' || steps.includes('')) {
    throw new TapPassConfigError(
      `Expected the effects of \`${tool}\` to name arguments such as \`path\`, \`0\` or \`files.*.path\`, got ${JSON.stringify(path)}`,
      { code: 'TAPPASS_CONFIG_EFFECTS' },
    );
  }
  return steps;
};

/** A file path may come as text, a file URL or bytes; anything else in its place is judged as unresolvable. */
const pathText = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : value instanceof URL
      ? value.href
      : value instanceof Uint8Array
        ? new TextDecoder().decode(value)
        : `\0${typeof value}`;

const makeFile =
  (operation: FileOperation): Make =>
  (value, pointer) => ({ kind: 'file', operation, access: accessOf(operation), path: pathText(value), pointer });

/** A query object (`{text, values}`, `{sql}`) carries its text inside; anything unreadable keeps a text that parses never. */
const sqlText = (value: unknown): string => {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null) {
    const { text, sql } = value as { text?: unknown; sql?: unknown };
    if (typeof text === 'string') return text;
    if (typeof sql === 'string') return sql;
  }
  return '\0';
};

const makeCommand = ({ contained, tier }: EffectDeclaration): Make => {
  const held = {
    ...((contained === true || tier !== undefined) && { contained: true }),
    ...(tier !== undefined && { tier }),
  };
  return (value, pointer) => {
    const command = Array.isArray(value) ? value.map(String) : typeof value === 'string' ? value : `\0${typeof value}`;
    return { kind: 'command', command, pointer, ...held };
  };
};

const list = (value: true | ArgumentPath | readonly ArgumentPath[] | undefined): readonly ArgumentPath[] =>
  value === undefined || value === true ? [] : typeof value === 'string' ? [value] : value;

const KNOWN = new Set([
  'read',
  'write',
  'files',
  'sql',
  'dialect',
  'email',
  'url',
  'command',
  'contained',
  'tier',
  'none',
]);

const sitesOf = (tool: string, declaration: EffectDeclaration): readonly Site[] => {
  const unknown = Object.keys(declaration).find((key) => !KNOWN.has(key));
  if (unknown !== undefined) {
    throw new TapPassConfigError(
      `Expected the effects of \`${tool}\` to be among ${[...KNOWN].join(', ')}, got \`${unknown}\``,
      { code: 'TAPPASS_CONFIG_EFFECTS' },
    );
  }
  const sites: Site[] = [];
  const add = (paths: readonly ArgumentPath[], make: Make): void => {
    for (const path of paths) sites.push({ steps: stepsOf(path, tool), make });
  };
  add(list(declaration.read), makeFile('read'));
  add(list(declaration.write), makeFile('write'));
  for (const operation of FILE_OPERATIONS) add(list(declaration.files?.[operation]), makeFile(operation));
  const dialect = declaration.dialect ?? 'postgres';
  add(list(declaration.sql), (value, pointer) => ({ kind: 'sql', text: sqlText(value), dialect, pointer }));
  const message: Make = (value, pointer) => ({ kind: 'email', message: value, pointer });
  if (declaration.email === true) sites.push({ steps: [], make: message });
  add(list(declaration.email), message);
  add(list(declaration.url), (value, pointer) => ({
    kind: 'network',
    url: typeof value === 'string' ? value : value instanceof URL ? value.href : `\0${typeof value}`,
    pointer,
  }));
  const makes = makeCommand(declaration);
  if (declaration.command === true) sites.push({ steps: [], make: (_value, pointer) => makes([tool], pointer) });
  add(list(declaration.command), makes);
  if (sites.length === 0 && declaration.none !== true) {
    throw new TapPassConfigError(
      `Expected the effects of \`${tool}\` to name at least one argument, got none; write \`{none: true}\` for a tool that touches nothing`,
      { code: 'TAPPASS_CONFIG_EFFECTS' },
    );
  }
  return sites;
};

/**
 * An absent optional argument has no effect; an array in the place of one value (`paths: [...]`) has one for each
 * element, except where the value itself may be an array (an argv, a list of recipients).
 */
const visit = (value: unknown, site: Site, step: number, pointer: string, found: Effect[]): void => {
  if (value === undefined || value === null) return;
  const token = site.steps[step];
  if (token === undefined) {
    const effect = site.make(value, pointer);
    if (Array.isArray(value) && effect?.kind !== 'command' && effect?.kind !== 'email') {
      for (const [index, item] of value.entries()) visit(item, site, step, `${pointer}/${String(index)}`, found);
    } else if (effect !== undefined) found.push(effect);
    return;
  }
  if (typeof value !== 'object') {
    // The declaration looks inside what is no object: the argument is not where it says, so nothing about it is known.
    const effect = site.make(undefined, pointer);
    if (effect !== undefined) found.push(effect);
    return;
  }
  if (token === '*') {
    for (const [key, item] of Object.entries(value))
      visit(item, site, step + 1, `${pointer}/${escapeToken(key)}`, found);
  } else if (Object.hasOwn(value, token)) {
    visit((value as Record<string, unknown>)[token], site, step + 1, `${pointer}/${escapeToken(token)}`, found);
  }
};

/**
 * Compiles a declaration. A function takes its arguments by position: `positions` maps its parameter names to them, and
 * any other name is looked for inside the first argument, which is how `({path}) => …` is called.
 */
export const compileDeclaration = (
  tool: string,
  declaration: EffectDeclaration,
  positions?: ReadonlyMap<string, number>,
): DeriveEffects => {
  const declared = sitesOf(tool, declaration);
  const sites = positions === undefined ? declared : declared.map((site) => atPosition(site, positions));
  return (args) => {
    const found: Effect[] = [];
    for (const site of sites) visit(args, site, 0, '', found);
    return { effects: found, basis: 'declared' };
  };
};

const atPosition = (site: Site, positions: ReadonlyMap<string, number>): Site => {
  const [first, ...rest] = site.steps;
  if (first === undefined) return { ...site, steps: ['0'] };
  if (first === '*' || /^\d+$/u.test(first)) return site;
  const position = positions.get(first);
  return { ...site, steps: position === undefined ? ['0', ...site.steps] : [String(position), ...rest] };
};
