/**
 * Texts as arrays of their code units. A rule reads characters far more often than anything else, and reading one out of a
 * typed array costs a third of `charCodeAt`. The arrays are used again for the next text, one for each text that is being
 * read inside another.
 */

/**
 * Zeros behind the last unit: no character that any rule looks for. Whoever walks a run needs no second look at the
 * length, and whoever looks ahead may look this far.
 */
export const PAD = 32;

/** Larger arrays are made for one text and forgotten. */
const KEPT = (1 << 20) + 65_536;
const rooms: Uint16Array[] = [];
const NO_UNITS = new Uint16Array(0);
let depth = 0;

/** The size of the room for so many of anything, so that the next text, a little longer, finds it large enough. */
export const roomSize = (length: number): number => {
  const step = length < 8_192 ? 1_024 : 65_536;
  return Math.ceil(length / step) * step;
};
/** Is room of this size kept for the next text? */
export const isKept = (size: number): boolean => size <= KEPT;

/** Room for `length` units and the zeros behind; in use until `giveUnits`. What is in it is not said. */
export const takeUnits = (length: number): Uint16Array => {
  let room = rooms[depth];
  if (room === undefined || room.length < length + PAD) {
    room = new Uint16Array(roomSize(length + PAD));
    if (isKept(room.length)) rooms[depth] = room;
    else rooms[depth] ??= NO_UNITS;
  }
  depth += 1;
  return room;
};

/** The array that was taken last is free again. */
export const giveUnits = (): void => {
  depth -= 1;
};

const encoder = new TextEncoder();
const CHUNK = 16_384;
/** Every unit is one byte of UTF-8 at the least, and three at the most. */
const bytes = new Uint8Array(CHUNK * 3);
/** Shorter texts are copied unit by unit. */
const SHORT = 24;

/** Writes the units of `text` and the zeros behind them. Returns whether all are ASCII. */
export const readUnits = (text: string, units: Uint16Array): boolean => {
  const { length } = text;
  let ascii = true;
  if (length <= SHORT) ascii = copyUnits(text, units, 0);
  else if (length <= CHUNK) ascii = readChunk(text, units, 0);
  else {
    // Where one chunk is not ASCII the next seldom is, and is not tried as if it were.
    let last = true;
    for (let from = 0; from < length; from += CHUNK) {
      const chunk = text.slice(from, from + CHUNK);
      last = last ? readChunk(chunk, units, from) : copyUnits(chunk, units, from);
      ascii &&= last;
    }
  }
  for (let at = length; at < length + PAD; at += 1) units[at] = 0;
  return ascii;
};

/** As UTF-8, which the engine makes at the speed of memory: ASCII is what has as many bytes as units. */
const readChunk = (chunk: string, units: Uint16Array, at: number): boolean => {
  const { length } = chunk;
  if (encoder.encodeInto(chunk, bytes).written !== length) return copyUnits(chunk, units, at);
  if (length < 128) for (let index = 0; index < length; index += 1) units[at + index] = bytes[index] as number;
  else units.set(bytes.subarray(0, length), at);
  return true;
};

const copyUnits = (text: string, units: Uint16Array, at: number): boolean => {
  let seen = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    seen |= code;
    units[at + index] = code;
  }
  return seen < 0x80;
};

/** UTF-16 in the byte order of every machine that Node runs on. */
const decoder = new TextDecoder('utf-16le', { ignoreBOM: true });

/** The first `length` units as a text; halves of pairs become U+FFFD. */
export const textOfUnits = (units: Uint16Array, length: number): string => decoder.decode(units.subarray(0, length));

/** A text, and the same in units. The text is asked for where a regular expression needs it: of decoded runs it is made then. */
export interface Readable {
  readonly text: string;
  readonly units: Uint16Array;
}

export const readable = (text: string): Readable => ({ text, units: unitsOf(text) });

/** Does `word` stand at `from`, in exactly this case? */
export const standsAt = (units: Uint16Array, from: number, word: string): boolean => {
  for (let at = 0; at < word.length; at += 1) if (units[from + at] !== word.charCodeAt(at)) return false;
  return true;
};

/** Units of a text of one's own, for as long as one likes. */
export const unitsOf = (text: string): Uint16Array => {
  const units = new Uint16Array(text.length + PAD);
  readUnits(text, units);
  return units;
};
