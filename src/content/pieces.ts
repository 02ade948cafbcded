/** Pieces of a stream as text: bytes are cut anywhere, and are what they were when they are written again. */
import { sameKind } from './copies.ts';

/** One piece of a stream, as text. */
export interface Piece {
  readonly text: string;
  /** What `text` was read from. */
  readonly bytes?: Uint8Array;
  /** Not as UTF-8, which it is not: one character for each byte. */
  readonly isLatin?: boolean;
}

/** Bytes that went through a window as text: nobody need look at them again. */
const read = new WeakSet<object>();
/** Its bytes may be others than those that were read. */
export const forget = (value: unknown): void => {
  if (typeof value === 'object' && value !== null) read.delete(value);
};
export const wasRead = (value: unknown): boolean => typeof value === 'object' && value !== null && read.has(value);

/** As many arguments as any engine takes. */
const PART = 8192;
const latinOf = (bytes: Uint8Array): string => {
  let text = '';
  for (let at = 0; at < bytes.length; at += PART) text += String.fromCharCode(...bytes.subarray(at, at + PART));
  return text;
};
const bytesOfLatin = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
};

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** As a piece, with the bytes of its own: who made them may write others into them meanwhile. */
export const pieceOf = (bytes: Uint8Array): Piece => {
  try {
    return { text: decoder.decode(bytes), bytes };
  } catch {
    return { text: latinOf(bytes), bytes, isLatin: true };
  }
};

/** How many bytes at the end begin a character of UTF-8 that goes on in the next piece. */
export const unfinishedBytes = (bytes: Uint8Array): number => {
  for (let back = 1; back <= 3 && back <= bytes.length; back += 1) {
    const byte = bytes[bytes.length - back] as number;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? back : 0;
  }
  return 0;
};

/** Where the pieces of a stream are bytes in another wrapping, they are handed on as plain bytes. */
export const bytesOf = (value: unknown): Uint8Array | undefined => {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return value instanceof DataView ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : undefined;
};

/** A piece as it goes on, its text being `kept` now. */
export const writtenAs = ({ text, bytes, isLatin }: Piece, kept: string): unknown => {
  if (bytes === undefined) return kept;
  const out = kept === text ? bytes : sameKind(bytes, isLatin === true ? bytesOfLatin(kept) : encoder.encode(kept));
  if (isLatin !== true) read.add(out);
  return out;
};
