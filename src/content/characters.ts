/** Which kinds of character a code unit is, as bits, so that a rule can name its alphabet as one number. */

export const DIGIT = 1;
export const LOWER = 2;
export const UPPER = 4;
/** a–f and A–F, besides their letter bit. */
export const HEX_LOWER = 8;
export const HEX_UPPER = 16;
export const UNDERSCORE = 32;
export const DASH = 64;
/** `+` and `/`: the two of base64 that base64url replaces. */
export const PLUS_SLASH = 128;
export const DOT = 256;
export const EQUALS = 512;
export const TILDE = 1024;
export const SPACE = 2048;
export const PERCENT = 4096;

export const ALNUM = DIGIT | LOWER | UPPER;
export const WORD = ALNUM | UNDERSCORE;
export const HEX = DIGIT | HEX_LOWER | HEX_UPPER;
export const BASE64URL = WORD | DASH;
export const BASE64 = ALNUM | PLUS_SLASH;
export const BASE64_ANY = BASE64 | BASE64URL;

export const KINDS: Uint16Array = (() => {
  const kinds = new Uint16Array(65_536);
  const mark = (from: string, to: string, bits: number): void => {
    for (let code = from.charCodeAt(0); code <= to.charCodeAt(0); code += 1) kinds[code] = (kinds[code] ?? 0) | bits;
  };
  mark('0', '9', DIGIT);
  mark('a', 'z', LOWER);
  mark('A', 'Z', UPPER);
  mark('a', 'f', HEX_LOWER);
  mark('A', 'F', HEX_UPPER);
  mark('_', '_', UNDERSCORE);
  mark('-', '-', DASH);
  mark('+', '+', PLUS_SLASH);
  mark('/', '/', PLUS_SLASH);
  mark('.', '.', DOT);
  mark('=', '=', EQUALS);
  mark('~', '~', TILDE);
  mark('%', '%', PERCENT);
  for (const space of ' \t\n\r\f\v\u00A0\u2028\u2029') mark(space, space, SPACE);
  return kinds;
})();

/** The end of the run of `alphabet` that begins at `from`. */
export const runEnd = (units: Uint16Array, from: number, alphabet: number): number => {
  let at = from;
  while (((KINDS[units[at] as number] as number) & alphabet) !== 0) at += 1;
  return at;
};

/** The start of the run of `alphabet` that ends at `to`, at most `limit` characters long. */
export const runStart = (units: Uint16Array, to: number, alphabet: number, limit: number): number => {
  const first = Math.max(0, to - limit);
  let at = to;
  while (at > first && ((KINDS[units[at - 1] as number] as number) & alphabet) !== 0) at -= 1;
  return at;
};

const counts = new Uint32Array(65_536);
/** `count * log2(count)`: most logarithms that are ever asked for. */
const LOGARITHMS = Float64Array.from({ length: 4_097 }, (_, count) => (count === 0 ? 0 : count * Math.log2(count)));
const timesLog = (count: number): number => LOGARITHMS[count] ?? count * Math.log2(count);

/** Shannon entropy in bits per character: low for words and fillers, above 3 for random tokens of 16 and more. */
export const entropyOf = (units: Uint16Array, from: number, to: number): number => {
  const length = to - from;
  let sum = 0;
  for (let at = from; at < to; at += 1) {
    const code = units[at] as number;
    counts[code] = (counts[code] as number) + 1;
  }
  for (let at = from; at < to; at += 1) {
    const code = units[at] as number;
    sum += timesLog(counts[code] as number);
    counts[code] = 0;
  }
  return (timesLog(length) - sum) / length;
};
