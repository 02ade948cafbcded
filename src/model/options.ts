/** What a program passes to a door: an option that nobody reads, or that bounds nothing, may be a limit somebody believes in. */
import { TapPassConfigError } from './errors.ts';

export interface OptionRule {
  /** In words, after "to be". */
  readonly expected: string;
  readonly holds: (value: unknown) => boolean;
}

/** For each option of `T` a rule, or `true` where its reader says what is wrong with it. */
export type OptionRules<T> = Readonly<Record<keyof T, OptionRule | true>>;

const rule = (expected: string, holds: (value: unknown) => boolean): OptionRule => ({ expected, holds });
const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

export const TEXT = rule('text', isText);
/** Where an empty one says something: no flags. */
export const ANY_TEXT = rule('text', (value) => typeof value === 'string');
export const TEXTS = rule('a list of texts', (value) => Array.isArray(value) && value.every(isText));
export const SWITCH = rule('true or false', (value) => typeof value === 'boolean');
export const FUNCTION = rule('a function', (value) => typeof value === 'function');
/** What a map or a set holds, no reader of options would see. */
export const OBJECT = rule(
  'an object',
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Map) &&
    !(value instanceof Set),
);
export const FLAGS = rule('text or a record of flags', (value) => typeof value === 'string' || OBJECT.holds(value));
/** By what it can do: one of another realm (jsdom, a polyfill) cancels as well. */
export const SIGNAL = rule('an AbortSignal', (value) => {
  const { aborted, throwIfAborted, addEventListener } = Object(value) as Partial<AbortSignal>;
  return typeof aborted === 'boolean' && typeof throwIfAborted === 'function' && typeof addEventListener === 'function';
});
export const COUNT = rule('a positive integer', (value) => Number.isSafeInteger(value) && (value as number) > 0);
/** Of what may be forbidden altogether. */
export const CAP = rule('a number from 0 on', (value) => Number.isFinite(value) && (value as number) >= 0);
export const SPAN = rule('a positive number', (value) => Number.isFinite(value) && (value as number) > 0);
export const oneOf = (words: readonly string[]): OptionRule =>
  rule(`one of ${words.join(', ')}`, (value) => typeof value === 'string' && words.includes(value));

/**
 * Throws `TapPassConfigError` for the first option that has no rule or does not keep it; one that is `undefined` is not
 * given. `of` names whose options they are.
 */
export const requireOptions = (of: string, given: object, rules: Readonly<Record<string, OptionRule | true>>): void => {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(rules, name)) continue;
    throw fault(`Expected the options of \`${of}\` to be among ${Object.keys(rules).join(', ')}, got \`${name}\``);
  }
  for (const [name, known] of Object.entries(rules)) {
    if (known === true) continue;
    // As its reader will: from a getter or a prototype too.
    const value = (given as Readonly<Record<string, unknown>>)[name];
    if (value === undefined || known.holds(value)) continue;
    throw fault(`Expected the option \`${name}\` of \`${of}\` to be ${known.expected}, got ${shown(value)}`);
  }
};

/** `defaults`, and what is given over them. A limit that is `undefined` is not given: it would bound nothing. */
export const overDefaults = <T extends object>(defaults: T, given: Partial<T> = {}): T => ({
  ...defaults,
  ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
});

export const fault = (text: string): TapPassConfigError =>
  new TapPassConfigError(text, { code: 'TAPPASS_CONFIG_OPTION' });

/** Not what is in it: it may be a secret that stands in the wrong place. */
const shown = (value: unknown): string => {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value === '') return 'an empty text';
  return Array.isArray(value) ? 'another list' : `a value of type ${typeof value}`;
};
