/** Declared effects: which arguments are paths, SQL, messages, URLs, commands. Compiled once for each tool. */
import type { Basis } from '../model/decision.ts';
import { accessOf, FILE_OPERATIONS } from '../model/effect.ts';
import type { ArgumentPath, Effect, EffectDeclaration, FileOperation } from '../model/effect.ts';
import type { FunctionParameters } from '../model/call.ts';
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

const escapeToken = (token: string): string =>
  token.includes('~') || token.includes('/') ? token.replaceAll('~', '~0').replaceAll('/', '~1') : token;

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

/**
 * A query object (`{text, values}`, `{sql}`) carries its text inside; anything unreadable keeps a text that parses never,
 * and so does an object with two texts: which of them a driver takes is the driver's secret.
 */
const sqlText = (value: unknown): string => {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null && isOwnData(value)) {
    const { text, sql } = value as { text?: unknown; sql?: unknown };
    if (typeof text === 'string' && sql === undefined) return text;
    if (typeof sql === 'string' && text === undefined) return sql;
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
 * element, except where the value itself may be an array (an argv, a list of recipients). False when the argument is not
 * there.
 */
const visit = (value: unknown, site: Site, step: number, pointer: string, found: Effect[]): boolean => {
  if (value === undefined || value === null) return false;
  const token = site.steps[step];
  if (token === undefined) {
    const effect = site.make(value, pointer);
    if (Array.isArray(value) && effect?.kind !== 'command' && effect?.kind !== 'email') {
      for (const [index, item] of value.entries()) visit(item, site, step, `${pointer}/${String(index)}`, found);
    } else if (effect !== undefined) found.push(effect);
    return true;
  }
  if (typeof value !== 'object' || !isOwnData(value)) {
    // The declaration looks inside what is no plain data: the argument is not where it says, or could still change.
    const effect = site.make(undefined, pointer);
    if (effect !== undefined) found.push(effect);
    return true;
  }
  let isThere = false;
  if (token === '*') {
    const entries = Object.entries(value);
    isThere = entries.length === 0;
    for (const [key, item] of entries) {
      if (visit(item, site, step + 1, `${pointer}/${escapeToken(key)}`, found)) isThere = true;
    }
  } else if (Object.hasOwn(value, token)) {
    const item = (value as Record<string, unknown>)[token];
    isThere = visit(item, site, step + 1, `${pointer}/${escapeToken(token)}`, found);
  }
  if (step === site.steps.length - 1) return isThere;
  // `a.b` may also be the name of one argument.
  const whole = site.steps.slice(step).join('.');
  if (!Object.hasOwn(value, whole)) return isThere;
  const item = (value as Record<string, unknown>)[whole];
  return visit(item, site, site.steps.length, `${pointer}/${escapeToken(whole)}`, found) || isThere;
};

/** Arrays and plain objects: what the private copy of the arguments froze. */
const isOwnData = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null;
};

/** A declared argument of an object tool that its schema does not have would never be judged: most likely a misspelling. */
export const requireDeclaredArguments = (
  tool: string,
  declaration: EffectDeclaration,
  known: ReadonlySet<string>,
): void => {
  for (const { steps } of sitesOf(tool, declaration)) {
    const [first] = steps;
    if (first === undefined || first === '*' || known.has(first) || known.has(steps.join('.'))) continue;
    throw new TapPassConfigError(
      `Expected the effects of \`${tool}\` to name arguments of its schema (${[...known].join(', ')}), got ${JSON.stringify(first)}`,
      { code: 'TAPPASS_CONFIG_EFFECTS' },
    );
  }
};

/** Puts the effects of one site of a declaration into `found`. */
type Look = (args: unknown, found: Effect[]) => boolean;

/**
 * Compiles a declaration. A function takes its arguments by position: `parameters` says which name is which, and any other
 * name is looked for inside the arguments, which is how `({path}) => …` is called.
 */
export const compileDeclaration = (
  tool: string,
  declaration: EffectDeclaration,
  parameters?: FunctionParameters,
): DeriveEffects => {
  const sites = sitesOf(tool, declaration);
  const looks = sites.map((site) => (parameters === undefined ? lookAt(site) : lookAmong(site, parameters)));
  return (args) => {
    const found: Effect[] = [];
    let isThere = looks.length === 0;
    for (const look of looks) if (look(args, found)) isThere = true;
    // Nothing of what was declared is there: the tool has another name for it, or a default of its own. Either way it
    // does what it was declared to do, to something that nobody can see.
    if (!isThere) for (const site of sites) addUnseen(site, found);
    return { effects: found, basis: 'declared' };
  };
};

const addUnseen = (site: Site, found: Effect[]): void => {
  const effect = site.make(undefined, site.steps.map((step) => `/${escapeToken(step)}`).join(''));
  if (effect !== undefined) found.push(effect.kind === 'file' ? { ...effect, path: '' } : effect);
};

const lookAt = (site: Site): Look =>
  site.steps.length === 0 ? whole(site, '') : (args, found) => visit(args, site, 0, '', found);

/** The call as a whole has its effect also when it is made without an argument. */
const whole =
  (site: Site, pointer: string): Look =>
  (args, found) => {
    const effect = site.make(args, pointer);
    if (effect !== undefined) found.push(effect);
    return true;
  };

const lookAmong = (site: Site, { list, complete }: FunctionParameters): Look => {
  const [first] = site.steps;
  if (first === undefined)
    return wholeCall(
      site,
      list.map(({ name }) => name),
    );
  if (first === '*' || /^\d+$/u.test(first)) return lookAt(site);
  const named = list.findLastIndex(({ name }) => name === first);
  if (named !== -1) {
    const inner = { ...site, steps: site.steps.slice(1) };
    const { rest = false } = list[named] ?? {};
    return (args, found) => {
      const items = args as readonly unknown[];
      const end = rest ? items.length : Math.min(named + 1, items.length);
      let isThere = false;
      for (let index = named; index < end; index += 1) {
        if (visit(items[index], inner, 0, `/${String(index)}`, found)) isThere = true;
      }
      return isThere;
    };
  }
  // Parameters that are read in full and take nothing of this name apart can only hold it as a member.
  const takers = new Set(list.flatMap(({ inside }, index) => (inside.includes(first) ? [index] : [])));
  return (args, found) => {
    const items = args as readonly unknown[];
    const before = found.length;
    let isThere = false;
    for (const [index, item] of items.entries()) {
      const holds = typeof item === 'object' && item !== null && Object.hasOwn(item, first);
      isThere ||= holds;
      if (holds || takers.has(index) || (index === 0 && takers.size === 0)) {
        visit(item, site, 0, `/${String(index)}`, found);
      }
    }
    // An argument that nothing names may be the one: the first alone is known to be where the name would be.
    const isUnplaced = complete ? items.length > list.length && list.at(-1)?.rest !== true : items.length > 1;
    if (isThere || found.length > before) return true;
    if (!isUnplaced || list.length + items.length === 0) return false;
    const effect = site.make(undefined, '/0');
    if (effect !== undefined) found.push(effect);
    return true;
  };
};

/** A message is one object, or spread over the positions; a command is the call itself. */
const wholeCall = (site: Site, parameterNames: readonly string[]): Look => {
  const spread = whole(site, '');
  const alone = whole(site, '/0');
  return (args, found) => {
    const items = args as readonly unknown[];
    if (items.length <= 1) return alone(items[0], found);
    const before = found.length;
    spread(args, found);
    const effect = found[before];
    if (effect?.kind === 'email') found[before] = { ...effect, parameterNames };
    return true;
  };
};
