/** Does the name of a variable, field, header or option say that its value is a secret? */
import { ALNUM, DIGIT, KINDS, LOWER, UPPER } from './characters.ts';
import type { NameStrength } from './secret-values.ts';
import { ABOUT, PASSWORD, PUBLIC, STRONG, STRONG_PAIRS, WEAK } from './secret-words.ts';

/** Not what is said first: `first pass`, `multi-pass`. */
const BEFORE_PASS = ['by', 'did', 'first', 'second', 'render', 'multi'];

const IS_PASSWORD = 1;
const IS_STRONG = 2;
const IS_WEAK = 4;
const IS_ABOUT = 8;
const IS_PUBLIC = 16;
const IS_PASS = 32;
const IS_BEFORE_PASS = 64;
const IS_PAIR = 128;

/** Letters, digits, and 0 for the space between the words of a pair. */
const SYMBOLS = 37;
const symbolOf = (code: number): number => (code <= 57 ? code - 47 : (code | 32) - 86);

/**
 * All words above as one tree: `next[state * SYMBOLS + symbol]`, 0 where no word goes on; `meanings[state]` is what the
 * word that ends there means. Names are read through it without making texts of their words.
 */
const ROOT = 1;
const { next, meanings } = (() => {
  const entries = new Map<string, number>();
  const mean = (words: Iterable<string>, meaning: number): void => {
    for (const word of words) entries.set(word, (entries.get(word) ?? 0) | meaning);
  };
  mean(PASSWORD, IS_PASSWORD);
  mean(STRONG, IS_STRONG);
  mean(STRONG_PAIRS, IS_PAIR);
  mean(WEAK, IS_WEAK);
  mean(ABOUT, IS_ABOUT);
  mean(PUBLIC, IS_PUBLIC);
  mean(['pass', 'pw'], IS_PASS);
  mean(BEFORE_PASS, IS_BEFORE_PASS);
  const plain = [...entries].filter(([word]) => /^[a-z0-9 ]+$/u.test(word));
  const states = 2 + plain.reduce((sum, [word]) => sum + word.length, 0);
  const tree = new Uint16Array(states * SYMBOLS);
  const ends = new Uint8Array(states);
  let last = ROOT;
  for (const [word, meaning] of plain) {
    let state = ROOT;
    for (const sign of word) {
      const place = state * SYMBOLS + (sign === ' ' ? 0 : symbolOf(sign.charCodeAt(0)));
      if (tree[place] === 0) tree[place] = last += 1;
      state = tree[place] as number;
    }
    ends[state] = (ends[state] ?? 0) | meaning;
  }
  return { next: tree, meanings: ends };
})();

const endsWith = (units: Uint16Array, end: number, from: number, suffix: string): boolean => {
  if (end - suffix.length < from) return false;
  for (let back = 1; back <= suffix.length; back += 1)
    if (((units[end - back] as number) | 32) !== suffix.charCodeAt(suffix.length - back)) return false;
  return true;
};

const RANKS: readonly (NameStrength | undefined)[] = [undefined, 'weak', 'secret', 'password'];

/** What a word says by itself, and with the one before it: 0 nothing … 3 password. */
const rankOf = (
  units: Uint16Array,
  from: number,
  end: number,
  meaning: number,
  pair: number,
  joined: number,
): number => {
  if ((meaning & IS_PASSWORD) !== 0) return 3;
  const last = (units[end - 1] as number) | 32;
  // d, e: the last letters of the three.
  if (
    (last === 100 && (endsWith(units, end, from, 'password') || endsWith(units, end, from, 'passwd'))) ||
    (last === 101 && endsWith(units, end, from, 'passphrase'))
  )
    return 3;
  if (((meaning | joined) & IS_STRONG) !== 0 || (pair & IS_PAIR) !== 0) return 2;
  if (last === 116 && endsWith(units, end, from, 'secret')) return 2;
  if (last === 121 && endsWith(units, end, from, 'apikey')) return 2;
  if ((meaning & IS_WEAK) !== 0 || (last === 110 && endsWith(units, end, from, 'token'))) return 1;
  return 0;
};

/** Reads the name `[from, to)`, which is ASCII: `clientSecret`, `CLIENT_SECRET` and `client-secret` are two words. */
const judge = (units: Uint16Array, from: number, to: number): NameStrength | undefined => {
  let rank = 0;
  /** The meaning of the word before, where the tree stands after it, and whether the last word so far is a `pass`. */
  let before = 0;
  let stood = 0;
  let pass = false;
  let at = from;
  while (at < to) {
    let bits = KINDS[units[at] as number] as number;
    if ((bits & ALNUM) === 0) {
      at += 1;
      continue;
    }
    const start = at;
    let state = ROOT;
    let pair = next[stood * SYMBOLS] as number;
    let joined = stood;
    // As they were behind the last letter: digits at the end of a word are no part of it.
    let end = start;
    let ended = 0;
    let endedPair = 0;
    let endedJoined = 0;
    let beforeBits = 0;
    while (at < to) {
      const code = units[at] as number;
      bits = KINDS[code] as number;
      if ((bits & ALNUM) === 0) break;
      if ((bits & UPPER) !== 0 && at > start) {
        if ((beforeBits & (LOWER | DIGIT)) !== 0) break;
        const after = at + 1 < to ? (KINDS[units[at + 1] as number] as number) : 0;
        if ((beforeBits & UPPER) !== 0 && (after & LOWER) !== 0) break;
      }
      const symbol = symbolOf(code);
      state = next[state * SYMBOLS + symbol] as number;
      pair = next[pair * SYMBOLS + symbol] as number;
      joined = next[joined * SYMBOLS + symbol] as number;
      at += 1;
      beforeBits = bits;
      if ((bits & DIGIT) === 0) {
        end = at;
        ended = state;
        endedPair = pair;
        endedJoined = joined;
      }
    }
    if (end === start) continue;
    const meaning = meanings[ended] as number;
    if ((meaning & IS_ABOUT) !== 0) rank = 0;
    const found = rankOf(units, start, end, meaning, meanings[endedPair] as number, meanings[endedJoined] as number);
    if (found === 3 || (found > rank && (before & IS_PUBLIC) === 0)) rank = found;
    pass = (meaning & IS_PASS) !== 0 && (before & IS_BEFORE_PASS) === 0;
    before = meaning;
    stood = ended;
  }
  return pass ? 'password' : RANKS[rank];
};

/** `contraseña` is read as `contrasena`, full-width letters as plain ones; a letter that stays strange ends a word. */
const withoutAccents = (name: string): string => name.normalize('NFKD').replaceAll(/[\p{Mn}\p{Cf}]/gu, '');

const LONGEST_NAME = 96;

/** The name `[from, to)` of a text. */
export const secretNameAt = (units: Uint16Array, from: number, to: number): NameStrength | undefined =>
  judge(units, Math.max(from, to - LONGEST_NAME), to);

const scratch = new Uint16Array(LONGEST_NAME);
/** The end of the name, as much as is looked at. Returns whether all of it is ASCII. */
const readEnd = (name: string): boolean => {
  const from = Math.max(0, name.length - LONGEST_NAME);
  let seen = 0;
  for (let at = from; at < name.length; at += 1) seen |= scratch[at - from] = name.charCodeAt(at);
  return seen < 0x80;
};

/** The same few names stand before all values of a table; so many of them are kept, with what they say. */
const KEPT = 4_096;
const known = new Map<string, NameStrength | undefined>();

/** `undefined`: the name says nothing, or speaks about a secret rather than holding one. */
export const secretName = (name: string): NameStrength | undefined => {
  const strength = known.get(name);
  if (strength !== undefined || known.has(name)) return strength;
  const said = read(name);
  if (name.length > LONGEST_NAME) return said;
  if (known.size >= KEPT) known.clear();
  known.set(name, said);
  return said;
};

const read = (name: string): NameStrength | undefined => {
  const plain = readEnd(name) ? name : withoutAccents(name);
  if (plain !== name) readEnd(plain);
  return judge(scratch, 0, Math.min(LONGEST_NAME, plain.length));
};
