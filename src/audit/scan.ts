/**
 * Finds the chain's fields in the bytes of a line without parsing it: three hundred thousand lines a second leave no
 * time for JSON.parse. It follows strings and nesting, so that a key of the same name inside the arguments is not taken
 * for the line's own.
 */
import { HASH_PREFIX, TAIL_LENGTH } from './format.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

const PREFIX_BYTES = Buffer.from(HASH_PREFIX);

/** What a scan found, as offsets of values; -1 where a field is missing. Reused from line to line. */
export class LineScan {
  seq = -1;
  prevHash = '';
  type = '';
  /** After a failed read: whether the object was still open at the end, as in a line that was cut off. */
  open = false;

  /** True when the line `[start, end)` is one JSON object as far as its nesting shows, with each chain field once. */
  read(bytes: Buffer, start: number, end: number): boolean {
    this.seq = -1;
    this.prevHash = '';
    this.type = '';
    this.open = true;
    let at = start;
    let depth = 0;
    if (bytes[at] !== OPEN_BRACE) return false;
    while (at < end) {
      switch (bytes[at] as number) {
        case OPEN_BRACE:
        case OPEN_BRACKET:
          depth++;
          at++;
          if (depth === 1) at = this.#member(bytes, at, end);
          break;
        case CLOSE_BRACE:
        case CLOSE_BRACKET:
          depth--;
          at++;
          if (depth === 0) {
            this.open = false;
            return at === end;
          }
          break;
        case COMMA:
          at++;
          if (depth === 1) at = this.#member(bytes, at, end);
          break;
        case QUOTE:
          at = endOfString(bytes, at, end);
          break;
        default:
          at++;
      }
      if (at < 0) return false;
    }
    return false;
  }

  /** Reads the key at `at` of the outermost object, and its value where it is one of the chain's. -1: not a member. */
  #member(bytes: Buffer, at: number, end: number): number {
    if (bytes[at] !== QUOTE) return -1;
    const after = endOfString(bytes, at, end);
    if (after < 0 || bytes[after] !== COLON) return -1;
    const length = after - at - 2;
    if (length === 3 && isAt(bytes, at, '"seq"')) return this.#readSeq(bytes, after + 1, end);
    if (length === 9 && isAt(bytes, at, '"prev_hash"')) return this.#readPrevHash(bytes, after + 1, end);
    if (length === 4 && isAt(bytes, at, '"type"')) return this.#readType(bytes, after + 1, end);
    return after + 1;
  }

  #readSeq(bytes: Buffer, at: number, end: number): number {
    if (this.seq !== -1) return -1;
    let value = 0;
    let digit = at;
    for (; digit < end && digit < at + 16; digit++) {
      const byte = bytes[digit] as number;
      if (byte < 0x30 || byte > 0x39) break;
      value = value * 10 + (byte - 0x30);
    }
    if (digit === at || (bytes[digit] !== COMMA && bytes[digit] !== CLOSE_BRACE)) return -1;
    this.seq = value;
    return digit;
  }

  #readPrevHash(bytes: Buffer, at: number, end: number): number {
    if (this.prevHash !== '' || at + 66 > end || bytes[at] !== QUOTE || bytes[at + 65] !== QUOTE) return -1;
    this.prevHash = bytes.toString('latin1', at + 1, at + 65);
    return at + 66;
  }

  #readType(bytes: Buffer, at: number, end: number): number {
    if (this.type !== '' || bytes[at] !== QUOTE) return -1;
    const after = endOfString(bytes, at, end);
    if (after > 0) this.type = bytes.toString('latin1', at + 1, after - 1);
    return after;
  }
}

/** The hash that stands at the end of the line `[start, end)`, or `undefined` when it does not end as a line must. */
export const storedHash = (bytes: Buffer, start: number, end: number): string | undefined => {
  const at = end - TAIL_LENGTH;
  if (at <= start || bytes[end - 1] !== CLOSE_BRACE || bytes[end - 2] !== QUOTE) return undefined;
  for (let index = 0; index < PREFIX_BYTES.length; index++) {
    if (bytes[at + index] !== PREFIX_BYTES[index]) return undefined;
  }
  return bytes.toString('latin1', end - 66, end - 2);
};

/** Offset after the closing quote of the string that begins at `at`, or -1. */
const endOfString = (bytes: Buffer, at: number, end: number): number => {
  for (let index = at + 1; index < end; index++) {
    const byte = bytes[index];
    if (byte === QUOTE) return index + 1;
    if (byte === BACKSLASH) index++;
  }
  return -1;
};

const isAt = (bytes: Buffer, at: number, text: string): boolean => {
  for (let index = 0; index < text.length; index++) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false;
  }
  return true;
};
