/**
 * Digit groups with single separators between them: how cards, telephones and identity numbers are written. A chain is
 * read into one set of arrays that is used again for the next: texts that are dense in numbers make no garbage.
 */
import { DIGIT, KINDS, UPPER } from './characters.ts';
import type { TextView } from './text-view.ts';

/** Longest chain looked at as a whole; a longer one is cut, and its groups are looked at in the next. */
const LONGEST_CHAIN = 24;
/** No number that is looked for has a longer group: of wider ones only so many digits are kept. */
const WIDEST = 20;

/** What may stand between groups. A gap of up to three of these is one number, four bits for each. */
export const SPACE_GAP = 1;
export const DASH_GAP = 2;
export const DOT_GAP = 3;
export const OPEN_GAP = 4;
export const CLOSE_GAP = 5;
export const SLASH_GAP = 6;
export const NO_BREAK_GAP = 7;
/** space - . ( ) / no-break space, the hyphens of Unicode, en dash, narrow no-break space */
const GAP_SIGNS = '\0 -.()/\u00A0\u2010\u2011\u2012\u2013\u202F';

const gapOf = (code: number): number => {
  if (code < 48) {
    if (code === 32) return SPACE_GAP;
    if (code === 45) return DASH_GAP;
    if (code === 46) return DOT_GAP;
    if (code === 47) return SLASH_GAP;
    return code === 40 ? OPEN_GAP : code === 41 ? CLOSE_GAP : 0;
  }
  if (code < 160) return 0;
  if (code === 160) return NO_BREAK_GAP;
  return code >= 0x2010 && code <= 0x2013 ? code - 0x2008 : code === 0x202f ? 12 : 0;
};

/** May this stand between groups? */
export const isGap = (code: number): boolean => gapOf(code) !== 0;

const gapNumber = (gap: string): number =>
  Array.from(gap).reduce((sum, sign, at) => sum | (GAP_SIGNS.indexOf(sign) << (4 * at)), 0);

/** Gaps that telephones have: besides one separator, an area code in parentheses, a dash between spaces. */
const DIALLED = new Uint8Array(1 << 12);
for (const gap of [' ', '-', '.', '/', '\u00A0', '\u2010', '\u2011', '\u2012', '\u2013', '\u202F', ')', ') ', ')-'])
  DIALLED[gapNumber(gap)] = 1;
for (const gap of ['(', ' (', '-(', ' - ']) DIALLED[gapNumber(gap)] = 1;

/** Widths of groups are put side by side into one number, the first in the lowest bits: so many of so many bits. */
const PACKED = 6;
const WIDTH_BITS = 5;
const WIDEST_PACKED = 31;
const ALL_PACKED = (1 << (PACKED * WIDTH_BITS)) - 1;

/** The widths of some groups, at most seven, to be compared at once. */
export interface Shape {
  readonly groups: number;
  readonly packed: number;
  readonly mask: number;
  readonly seventh: number;
}

export const shapeOf = (widths: readonly number[]): Shape => {
  const first = widths.slice(0, PACKED);
  return {
    groups: widths.length,
    packed: first.reduce((sum, width, at) => sum | (width << (at * WIDTH_BITS)), 0),
    mask: first.reduce((sum, _, at) => sum | (WIDEST_PACKED << (at * WIDTH_BITS)), 0),
    seventh: widths[PACKED] ?? 0,
  };
};

const UNKNOWN = 0;
const YES = 1;
const NO = 2;

/** Runs of digits; group `i` is `[starts[i], ends[i])` of the text, its digits are `digits[firsts[i]]` and on. */
export class NumberChain {
  count = 0;
  readonly starts = new Int32Array(LONGEST_CHAIN);
  readonly ends = new Int32Array(LONGEST_CHAIN);
  readonly widths = new Int32Array(LONGEST_CHAIN);
  /** The gap before a group, 0 before the first. */
  readonly gaps = new Int32Array(LONGEST_CHAIN);
  readonly firsts = new Int32Array(LONGEST_CHAIN + 1);
  /** Values 0 … 9, of all groups in a row. */
  readonly digits = new Uint8Array(LONGEST_CHAIN * WIDEST);
  /** Digits that are dialled of some groups: room for one telephone number. */
  readonly dialled = new Uint8Array(LONGEST_CHAIN);
  /** The widths of the groups from this one on, as in `Shape`. */
  readonly #packed = new Int32Array(LONGEST_CHAIN);
  /** How many groups from this one on have one and the same sign between them. */
  readonly #alike = new Int32Array(LONGEST_CHAIN);
  #follows = UNKNOWN;

  /** Reads the chain whose first digit is at `start`. Returns how many digits it has. */
  read(units: Uint16Array, start: number): number {
    const { digits } = this;
    let at = start;
    let gap = 0;
    let total = 0;
    let kept = 0;
    let count = 0;
    for (;;) {
      const from = at;
      this.firsts[count] = kept;
      for (; ; at += 1) {
        const value = (units[at] as number) - 48;
        if (value < 0 || value > 9) break;
        if (at - from < WIDEST) {
          digits[kept] = value;
          kept += 1;
        }
      }
      this.starts[count] = from;
      this.ends[count] = at;
      this.widths[count] = at - from;
      this.gaps[count] = gap;
      total += at - from;
      count += 1;
      if (count === LONGEST_CHAIN) break;
      gap = 0;
      let next = at;
      let code = units[next] as number;
      for (let shift = 0; shift < 12; shift += 4) {
        const sign = gapOf(code);
        if (sign === 0) break;
        gap |= sign << shift;
        next += 1;
        code = units[next] as number;
      }
      if (gap === 0 || !(code >= 48 && code <= 57)) break;
      at = next;
    }
    this.firsts[count] = kept;
    this.count = count;
    this.#pack();
    this.#follows = UNKNOWN;
    return total;
  }

  width(index: number): number {
    return index < this.count ? (this.widths[index] as number) : 0;
  }

  gap(index: number): number {
    return index < this.count ? (this.gaps[index] as number) : 0;
  }

  isDialled(index: number): boolean {
    return DIALLED[this.gaps[index] as number] === 1;
  }

  end(): number {
    return this.ends[this.count - 1] as number;
  }

  /** How many groups from `from` on begin before `end`; at least one. */
  until(from: number, end: number): number {
    let count = 1;
    while (from + count < this.count && (this.starts[from + count] as number) < end) count += 1;
    return count;
  }

  /** Do the groups from `from` on have this shape, with one and the same separator out of `gaps` (bits `1 << gap`)? */
  hasShape(from: number, shape: Shape, gaps: number): boolean {
    const { groups } = shape;
    if (((this.#packed[from] as number) & shape.mask) !== shape.packed) return false;
    if (groups === 1) return true;
    if ((this.#alike[from] as number) < groups || (gaps & (1 << (this.gaps[from + 1] as number))) === 0) return false;
    return groups <= PACKED || (this.widths[from + PACKED] as number) === shape.seventh;
  }

  /** Widths and gaps in a row, read from the last group to the first. */
  #pack(): void {
    let packed = 0;
    let alike = 1;
    for (let index = this.count - 1; index >= 0; index -= 1) {
      packed = ((packed << WIDTH_BITS) | Math.min(this.widths[index] as number, WIDEST_PACKED)) & ALL_PACKED;
      this.#packed[index] = packed;
      const gap = index + 1 < this.count ? (this.gaps[index + 1] as number) : 0;
      if (gap === 0 || gap > 15) alike = 1;
      else alike = index + 2 < this.count && this.gaps[index + 2] === gap ? alike + 1 : 2;
      this.#alike[index] = alike;
    }
  }

  /** Does the chain go on after a code of letters and digits (`DE89 0044 …`, `GB29 NWBK 6016 …`)? */
  followsCode(view: TextView): boolean {
    if (this.#follows === UNKNOWN) this.#follows = followsCode(view, this.starts[0] as number) ? YES : NO;
    return this.#follows === YES;
  }
}

/** Separators as the bits that `hasShape` takes. */
export const gapBits = (gaps: string): number =>
  Array.from(gaps).reduce((bits, gap) => bits | (1 << GAP_SIGNS.indexOf(gap)), 0);

const CODE = /(?:\b[A-Z]{2}\d{2}(?: [A-Z]{4})?|[A-Z]\d+|\d[A-Z]+)$/u;

const followsCode = (view: TextView, start: number): boolean =>
  start > 1 &&
  view.units[start - 1] === 32 &&
  ((KINDS[view.units[start - 2] as number] as number) & (DIGIT | UPPER)) !== 0 &&
  CODE.test(view.text.slice(Math.max(0, start - 12), start - 1));
