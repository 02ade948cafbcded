/** Runs of base64, base64url and hexadecimal whose content is text: decoded one level, with the way back. */
import { BASE64_ANY, EQUALS, HEX, KINDS } from './characters.ts';
import type { Disguise } from '../model/content.ts';
import { PAD, giveUnits, takeUnits } from './units.ts';

/** Good until the next run is decoded. */
export interface DecodedRun {
  /** Each byte as the character of its number, zeros behind them. */
  readonly units: Uint16Array;
  readonly length: number;
  readonly disguise: Disguise;
  /** Where in the encoded text it begins that byte `index` was decoded from, */
  readonly startOf: (index: number) => number;
  /** and where it ends. */
  readonly endOf: (index: number) => number;
}

/** Shortest run that is worth decoding: 15 bytes, the shortest secret that has a shape of its own. */
export const SHORTEST_RUN = 20;
/** Bytes looked at before a run is decoded as a whole: pictures and digests are left alone here. */
const SAMPLE = 24;
/** Characters of the end of a run that hold as many bytes. */
const TAIL = 36;

const kind = (units: Uint16Array, index: number): number => KINDS[units[index] as number] as number;

const SEXTETS = (() => {
  const values = new Int8Array(128).fill(-1);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  for (let value = 0; value < 64; value += 1) values[alphabet.charCodeAt(value)] = value;
  values[45] = 62;
  values[95] = 63;
  return values;
})();

/** Of a character of a run: all of them are ASCII. */
const sextet = (code: number): number => SEXTETS[code] as number;

const isTextByte = (byte: number): boolean => (byte >= 32 && byte < 127) || byte === 9 || byte === 10 || byte === 13;

/** Does a byte of UTF-8 stand where `following` more have to follow the one before? Returns how many then, or -1. */
const nextOfUtf8 = (byte: number, following: number): number => {
  if (byte < 0x80) return following === 0 && isTextByte(byte) ? 0 : -1;
  if (byte < 0xc0) return following - 1;
  if (following > 0 || byte < 0xc2 || byte > 0xf4) return -1;
  return byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
};

/**
 * Do the first bytes from `from` on look like a text, but for one? Either as UTF-8, or as what is left of one when
 * something else is glued in front. Line breaks between full lines are skipped.
 */
const looksLikeText = (units: Uint16Array, from: number, to: number): boolean => {
  let bits = 0;
  let held = 0;
  let seen = 0;
  let strange = 0;
  let broken = 0;
  let following = 0;
  for (let at = from; at < to && seen < SAMPLE; at += 1) {
    const value = sextet(units[at] as number);
    if (value === -1) continue;
    bits = ((bits << 6) | value) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    const byte = (bits >> held) & 0xff;
    seen += 1;
    if (!isTextByte(byte) && byte < 0xc2) strange += 1;
    following = nextOfUtf8(byte, following);
    if (following === -1) {
      broken += 1;
      following = 0;
    }
    if (strange > 1 && broken > 1) return false;
  }
  return seen >= 9 && Math.min(strange, broken) <= seen * 0.08;
};

/** Does the run look like a text where it begins, or, with a path or a name glued in front, where it ends? */
const holdsText = (units: Uint16Array, from: number, to: number): boolean => {
  if (looksLikeText(units, from, to)) return true;
  const tail = to - from - TAIL;
  return tail > 0 && looksLikeText(units, from + tail - (tail % 4), to);
};

/** Where the last character of each decoded byte stands: shared by runs that are not longer, one at a time. */
const SHARED = 65_536;
const shared = new Uint32Array(SHARED);
let inUse = false;

type Found = (run: DecodedRun) => void;

/** Hands a run over, its room kept from others meanwhile: a detector may scan other texts. */
const handOver = (run: DecodedRun, found: Found): void => {
  const before = inUse;
  inUse = true;
  run.units.fill(0, run.length, run.length + PAD);
  try {
    found(run);
  } finally {
    inUse = before;
  }
};

const decodeBase64 = (units: Uint16Array, from: number, to: number, found: Found): void => {
  const size = Math.ceil(((to - from) * 3) / 4) + 1;
  const places = size <= SHARED && !inUse ? shared : new Uint32Array(size);
  const bytes = takeUnits(size);
  let bits = 0;
  let held = 0;
  let count = 0;
  for (let at = from; at < to; at += 1) {
    const value = sextet(units[at] as number);
    if (value === -1) continue;
    bits = ((bits << 6) | value) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[count] = (bits >> held) & 0xff;
    places[count] = at;
    count += 1;
  }
  try {
    handOver(
      {
        units: bytes,
        length: count,
        disguise: 'base64',
        // A byte ends within the sextet at its place, and begins in the one before.
        startOf: (index) => (index < count ? Math.max(from, (places[index] as number) - 1) : from),
        endOf: (index) => (index >= count - 1 ? to : (places[index] as number) + 1),
      },
      found,
    );
  } finally {
    giveUnits();
  }
};

/** Returns whether it was text. */
const decodeHex = (units: Uint16Array, from: number, to: number, found: Found): boolean => {
  const count = (to - from) >> 1;
  const bytes = takeUnits(count);
  try {
    let strange = 0;
    let following = 0;
    for (let index = 0; index < count; index += 1) {
      const byte = hexOf(units[from + index * 2] as number) * 16 + hexOf(units[from + index * 2 + 1] as number);
      bytes[index] = byte;
      following = nextOfUtf8(byte, following);
      if (following === -1) {
        strange += 1;
        following = 0;
      }
      if (index === SAMPLE && strange > SAMPLE * 0.1) return false;
    }
    if (strange > count * 0.1) return false;
    handOver(
      {
        units: bytes,
        length: count,
        disguise: 'hex',
        startOf: (index) => from + index * 2,
        endOf: (index) => from + index * 2 + 2,
      },
      found,
    );
    return true;
  } finally {
    giveUnits();
  }
};

/** Of a digit or a letter from a to f. */
const hexOf = (code: number): number => (code <= 57 ? code - 48 : (code | 32) - 87);

/**
 * Every run that decodes to text. The search jumps: in a stretch of `SHORTEST_RUN` characters one position tells whether a
 * run can cover it, so prose costs a fraction of its length.
 */
export const eachDecodedRun = (units: Uint16Array, length: number, found: Found): void => {
  let at = SHORTEST_RUN - 1;
  while (at < length) {
    if ((kind(units, at) & BASE64_ANY) === 0) {
      at += SHORTEST_RUN;
      continue;
    }
    let start = at;
    const floor = at - SHORTEST_RUN + 1;
    while (start > floor && (kind(units, start - 1) & BASE64_ANY) !== 0) start -= 1;
    if (start > floor || (start > 0 && (kind(units, start - 1) & BASE64_ANY) !== 0 && at - start < SHORTEST_RUN - 1)) {
      at = start + SHORTEST_RUN - 1 > at ? start + SHORTEST_RUN - 1 : at + SHORTEST_RUN;
      continue;
    }
    while (start > 0 && (kind(units, start - 1) & BASE64_ANY) !== 0) start -= 1;
    const end = endOfRun(units, at);
    decodeRun(units, start, end, found);
    at = end + SHORTEST_RUN;
  }
};

/** The end of the run, over line breaks that follow lines of one and the same length (MIME, PEM). */
const endOfRun = (units: Uint16Array, from: number): number => {
  let at = from;
  for (;;) {
    const lineStart = at;
    while ((kind(units, at) & BASE64_ANY) !== 0) at += 1;
    let next = at;
    if (units[next] === 13) next += 1;
    if (units[next] !== 10 || (at - lineStart < 40 && lineStart !== from) || (kind(units, next + 1) & BASE64_ANY) === 0)
      break;
    if (lineStart === from && at - lineStart < 40) break;
    at = next + 1;
  }
  for (let padding = 0; padding < 2 && (kind(units, at) & EQUALS) !== 0; padding += 1) at += 1;
  return at;
};

const decodeRun = (units: Uint16Array, start: number, end: number, found: Found): void => {
  // Hexadecimal from some place on: `0x…`, a name glued in front.
  const hex = hexStart(units, start, end);
  if (end - hex >= 24) {
    // Something may be glued in front, or it is cut off in the middle of a byte.
    const odd = (end - hex) % 2;
    if (!decodeHex(units, hex + odd, end, found)) decodeHex(units, hex + 1 - odd, end - 1, found);
    if (hex === start) return;
  }
  // A path or a name may be glued in front, so the run may begin at any of four phases.
  for (let phase = 0; phase < 4; phase += 1) {
    if (holdsText(units, start + phase, end)) {
      decodeBase64(units, start + phase, end, found);
      return;
    }
  }
};

/** Where the digits and letters of hexadecimal begin that end the run. */
const hexStart = (units: Uint16Array, start: number, end: number): number => {
  let at = end;
  while (at > start && (kind(units, at - 1) & HEX) !== 0) at -= 1;
  return at;
};
