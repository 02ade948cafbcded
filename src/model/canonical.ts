/**
 * Canonical JSON (RFC 8785): one text for one value, so that a digest of the text is a digest of the value.
 *
 * Where RFC 8785 says to stop, this says so or extends it without two values ever sharing a text that JSON itself keeps
 * apart: a lone surrogate is written as its `\udxxx` escape (as ECMAScript's own JSON.stringify does; the RFC gives up),
 * so that what a model sent can be recorded exactly; `undefined` is left out of objects and is `null` in arrays, as in
 * JSON; NaN, infinities, bigints, symbols, functions and class instances are errors. `toJSON` is never called: a value must not
 * choose what is recorded about it.
 */

/** Deeper values are refused: ten thousand levels must not overflow the stack. Twice the default argument depth and more. */
const MAX_DEPTH = 512;

/** Text of a value, made once: whoever needs it again (digest, size, record) hands this on instead of the value. */
export class CanonicalJson {
  readonly #text: string;
  /** Use `canonicalJson`; `trustCanonicalJson` where the text is already at hand. */
  constructor(text: string) {
    this.#text = text;
  }
  get text(): string {
    return this.#text;
  }
  toJSON(): unknown {
    return JSON.parse(this.#text);
  }
  /** By private field, so that no look-alike can put its own text into a record. */
  static textOf(value: object): string | undefined {
    return #text in value ? value.#text : undefined;
  }
}

export const canonicalJson = (value: unknown): CanonicalJson => new CanonicalJson(canonicalize(value));

/** The caller vouches that `text` came from `canonicalize`: it is not parsed again. */
export const trustCanonicalJson = (text: string): CanonicalJson => new CanonicalJson(text);

/** Canonical text of `value`. Throws `TypeError` with a JSON pointer for what JSON cannot hold. */
export const canonicalize = (value: unknown): string => {
  try {
    return write(value, 0);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const at = pointerTo(value);
    throw new TypeError(
      `Expected ${error.expected}${at === '' ? '' : ` at ${at}`}, got ${error.got}. Pass plain JSON data.`,
      { cause: error },
    );
  }
};

class Refusal {
  readonly expected: string;
  readonly got: string;
  constructor(expected: string, got: string) {
    this.expected = expected;
    this.got = got;
  }
}

const write = (value: unknown, depth: number): string => {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      if (!Number.isFinite(value)) throw new Refusal('a finite number', String(value));
      // ECMAScript's own shortest form is the form of RFC 8785; `-0` becomes `0` in both.
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      if (depth >= MAX_DEPTH) throw new Refusal(`at most ${MAX_DEPTH} levels`, 'deeper or circular data');
      return Array.isArray(value) ? writeArray(value, depth + 1) : writeObject(value, depth + 1);
    case 'undefined':
    case 'bigint':
    case 'symbol':
    case 'function':
    default:
      throw new Refusal('a JSON value', typeof value);
  }
};

const writeArray = (items: readonly unknown[], depth: number): string => {
  let text = '[';
  for (let index = 0; index < items.length; index++) {
    if (index > 0) text += ',';
    const item = items[index];
    text += item === undefined ? 'null' : write(item, depth);
  }
  return `${text}]`;
};

const writeObject = (value: object, depth: number): string => {
  const made = CanonicalJson.textOf(value);
  if (made !== undefined) return made;
  if (!isPlain(value)) throw new Refusal('plain data', `an instance of ${nameOf(value)}`);
  const record = value as Readonly<Record<string, unknown>>;
  let text = '';
  for (const key of sortedKeys(record)) {
    const item = record[key];
    if (item === undefined) continue;
    text += `${text === '' ? '{' : ','}${quoteWord(key)}:${write(item, depth)}`;
  }
  return text === '' ? '{}' : `${text}}`;
};

/** By UTF-16 code units, as RFC 8785 3.2.3 asks and as `<` compares. */
const sortedKeys = (record: object): readonly string[] => {
  const keys = Object.keys(record);
  for (let index = 1; index < keys.length; index++) {
    if ((keys[index - 1] as string) > (keys[index] as string)) return keys.sort();
  }
  return keys;
};

/** What JSON must escape, and surrogates, whose pairing only JSON.stringify checks. */
// oxlint-disable-next-line no-control-regex -- control characters are exactly what JSON escapes
const TO_ESCAPE = /[\u0000-\u001f"\\\ud800-\udfff]/;

/** False: the text stands between quotes as it is. */
export const needsEscape = (text: string): boolean => TO_ESCAPE.test(text);

/** A JSON string, escaped as RFC 8785 3.2.2.2 asks; JSON.stringify escapes the same characters in the same way. */
export const quote = (text: string): string => (needsEscape(text) ? JSON.stringify(text) : `"${text}"`);

/** Keys and names come again and again: their texts are kept, up to a bound that hostile keys only fill, never pass. */
const MAX_WORDS = 1024;
const MAX_WORD_LENGTH = 64;
const words = new Map<string, string>();

/** `quote`, for texts that are few and short: keys, names of tools and steps. */
export const quoteWord = (text: string): string => {
  const known = words.get(text);
  if (known !== undefined) return known;
  const made = quote(text);
  if (words.size < MAX_WORDS && text.length <= MAX_WORD_LENGTH) words.set(text, made);
  return made;
};

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
};

const nameOf = (value: object): string => {
  const type: unknown = Object.getPrototypeOf(value)?.constructor;
  return typeof type === 'function' && type.name !== '' ? type.name : 'a class';
};

/** Where writing fails, as a JSON pointer (at most 16 levels of it); walked only when there is an error to word. */
const pointerTo = (root: unknown): string => {
  let pointer = '';
  let at = root;
  for (let level = 0; level < 16 && typeof at === 'object' && at !== null; level++) {
    const entry = Object.entries(at).find(([, item]) => item !== undefined && !isWritable(item));
    if (entry === undefined) break;
    pointer += `/${entry[0].replaceAll('~', '~0').replaceAll('/', '~1')}`;
    at = entry[1];
  }
  return pointer.slice(0, 200);
};

const isWritable = (value: unknown): boolean => {
  try {
    write(value, 0);
    return true;
  } catch {
    return false;
  }
};
