/** Payment cards and US social security numbers. */
import { isRepeated, luhn, numberOf, type Digits } from './checksums.ts';
import { gapBits, shapeOf, type NumberChain, type Shape } from './number-chains.ts';
import { TOPIC } from './pii-context.ts';
import type { TextView } from './text-view.ts';

/** Issuer ranges (ISO/IEC 7812 as published by the networks), by the first four digits, with the lengths they use. */
const ISSUERS: readonly (readonly [from: number, to: number, lengths: readonly number[]])[] = [
  [4000, 4999, [13, 16, 19]],
  [5100, 5599, [16]],
  [2200, 2799, [16]],
  [3400, 3499, [15]],
  [3700, 3799, [15]],
  [3000, 3099, [14, 16]],
  [3600, 3699, [14, 16]],
  [3800, 3999, [14, 16]],
  [2131, 2131, [15]],
  [1800, 1800, [15]],
  [3500, 3599, [16, 17, 18, 19]],
  [5000, 5099, [12, 13, 14, 15, 16, 17, 18, 19]],
  [5600, 6999, [12, 13, 14, 15, 16, 17, 18, 19]],
  [9792, 9792, [16, 17, 18, 19]],
  [8100, 8299, [16, 17, 18, 19]],
  [1000, 1999, [15]],
];

/** For the first four digits of a card, the lengths it may have: bit `length`. */
const LENGTHS_BY_PREFIX = (() => {
  const table = new Uint32Array(10_000);
  for (const [from, to, lengths] of ISSUERS) {
    const bits = lengths.reduce((sum, length) => sum | (1 << length), 0);
    for (let prefix = from; prefix <= to; prefix += 1) table[prefix] = (table[prefix] ?? 0) | bits;
  }
  return table;
})();

const isIssued = (digits: Digits, from: number, length: number): boolean =>
  ((LENGTHS_BY_PREFIX[numberOf(digits, from, 4)] as number) & (1 << length)) !== 0;

const isChecked = (digits: Digits, from: number, length: number): boolean =>
  luhn(digits, from, length) && !isRepeated(digits, from, length);

/** How cards are printed: one run, or groups with the same space or dash between them. */
const CARD_SHAPES = [
  [4, 4, 4, 4],
  [4, 6, 5],
  [4, 6, 4],
  [4, 4, 4, 4, 3],
  [4, 4, 5],
  [4, 4, 4, 1],
  [6, 13],
  [4, 4, 4, 3],
].map((widths) => ({ shape: shapeOf(widths), length: widths.reduce((sum, width) => sum + width, 0) }));
const CARD_GAPS = gapBits(' -.\u00A0');

const emitCard = (view: TextView, chain: NumberChain, from: number, count: number, score: number): number => {
  const start = chain.starts[from] as number;
  const end = chain.ends[from + count - 1] as number;
  view.emit({ start, end, kind: 'pii', type: 'CREDIT_CARD', rule: 'card-luhn', score });
  return count;
};

/** Returns how many groups were taken. */
export const matchCard = (view: TextView, chain: NumberChain, from: number): number => {
  const width = chain.widths[from] as number;
  const first = chain.firsts[from] as number;
  const { digits } = chain;
  if (width >= 12 && width <= 19) {
    // Twelve, thirteen and more than sixteen digits are ids far more often: they need a word, or the networks of 4.
    const usual = (width >= 14 && width <= 16) || digits[first] === 4;
    const start = chain.starts[from] as number;
    const possible =
      (usual && isIssued(digits, first, width)) || view.topics.near(TOPIC.card, start, start + width, 64);
    return possible && isChecked(digits, first, width) ? emitCard(view, chain, from, 1, 0.9) : 0;
  }
  if (width !== 4 && width !== 6) return 0;
  const second = chain.width(from + 1);
  if (second !== 4 && second !== 6 && second !== 13) return 0;
  for (let index = 0; index < CARD_SHAPES.length; index += 1) {
    const { shape, length } = CARD_SHAPES[index] as (typeof CARD_SHAPES)[number];
    if (!chain.hasShape(from, shape, CARD_GAPS)) continue;
    if (isIssued(digits, first, length) && isChecked(digits, first, length))
      return emitCard(view, chain, from, shape.groups, 0.92);
  }
  return 0;
};

/** Printed in advertisements, or typed without thinking. */
const NO_SSN = new Set([78_051_120, 219_099_999, 123_456_789]);

/** SSA rules since 2011: no area 000, 666 or 900–999, no group 00, no serial 0000; and the numbers of advertisements. */
const isSsn = (digits: Digits, from: number): boolean => {
  const number = numberOf(digits, from, 9);
  const area = Math.floor(number / 1_000_000);
  if (area === 0 || area === 666 || area >= 900) return false;
  if (number % 10_000 === 0 || Math.floor(number / 10_000) % 100 === 0) return false;
  return !NO_SSN.has(number) && !isRepeated(digits, from, 9);
};

const SSN_SHAPES = [[3, 2, 4], [9], [3, 6], [5, 4]].map(shapeOf);
const SSN_GAPS = gapBits(' -.');

/** Returns how many groups were taken. */
export const matchSsn = (view: TextView, chain: NumberChain, from: number): number => {
  const width = chain.widths[from] as number;
  if (width !== 9 && (width !== 3 || (chain.width(from + 1) | 4) !== 6) && (width !== 5 || chain.width(from + 1) !== 4))
    return 0;
  for (let index = 0; index < SSN_SHAPES.length; index += 1) {
    const shape = SSN_SHAPES[index] as Shape;
    if (!chain.hasShape(from, shape, SSN_GAPS)) continue;
    const { groups } = shape;
    if (!isSsn(chain.digits, chain.firsts[from] as number)) return 0;
    const start = chain.starts[from] as number;
    const end = chain.ends[from + groups - 1] as number;
    if (groups !== 3 && !view.topics.near(TOPIC.ssn, start, end, 40, 12)) return 0;
    view.emit({ start, end, kind: 'pii', type: 'SSN', rule: 'ssn', score: 0.85 });
    return groups;
  }
  return 0;
};
