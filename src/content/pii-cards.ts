/** Payment cards and US social security numbers. */
import { luhn } from './checksums.ts';
import { joinGroups, shapeAt, type Group } from './number-chains.ts';
import type { TextView } from './text-view.ts';

/** Issuer ranges (ISO/IEC 7812 as published by the networks) with the lengths they use. */
const ISSUERS: readonly (readonly [prefix: RegExp, lengths: readonly number[]])[] = [
  [/^4/u, [13, 16, 19]],
  [/^(?:5[1-5]|2[2-7])/u, [16]],
  [/^3[47]/u, [15]],
  [/^(?:30|36|38|39)/u, [14, 16]],
  [/^(?:2131|1800)/u, [15]],
  [/^35/u, [16, 17, 18, 19]],
  [/^(?:50|5[6-9]|6)/u, [12, 13, 14, 15, 16, 17, 18, 19]],
  [/^(?:9792|8[12])/u, [16, 17, 18, 19]],
  [/^1/u, [15]],
];

export const isCard = (digits: string): boolean =>
  digits.length >= 12 &&
  digits.length <= 19 &&
  ISSUERS.some(([prefix, lengths]) => lengths.includes(digits.length) && prefix.test(digits)) &&
  luhn(digits) &&
  !/^(\d)\1+$/u.test(digits);

/** How cards are printed: one run, or groups with the same space or dash between them. */
const CARD_SHAPES: readonly (readonly number[])[] = [
  [4, 4, 4, 4],
  [4, 6, 5],
  [4, 6, 4],
  [4, 4, 4, 4, 3],
  [4, 4, 5],
  [4, 4, 4, 1],
  [6, 13],
  [4, 4, 4, 3],
];

export const matchCard = (view: TextView, groups: readonly Group[], from: number): number => {
  const first = groups[from] as Group;
  const length = first.end - first.start;
  const emit = (count: number, score: number): number => {
    const last = groups[from + count - 1] as Group;
    view.emit({ start: first.start, end: last.end, kind: 'pii', type: 'CREDIT_CARD', rule: 'card-luhn', score });
    return count;
  };
  if (length >= 12 && length <= 19) {
    const digits = view.text.slice(first.start, first.end);
    // Twelve, thirteen and more than sixteen digits are ids far more often: they need a word, or the networks of 4.
    const usual = (length >= 14 && length <= 16) || digits.startsWith('4');
    const named = view.topics.near('card', first.start, first.end, 64);
    if (named ? luhn(digits) && !/^(\d)\1+$/u.test(digits) : usual && isCard(digits)) return emit(1, 0.9);
  }
  if (length === 4 || length === 6) {
    for (const shape of CARD_SHAPES) {
      if (shapeAt(groups, from, shape, ' -.\u00A0') && isCard(joinGroups(view.text, groups, from, shape.length)))
        return emit(shape.length, 0.92);
    }
  }
  return 0;
};

/** SSA rules since 2011: no area 000, 666 or 900–999, no group 00, no serial 0000; and the numbers of advertisements. */
export const isSsn = (digits: string): boolean =>
  digits.length === 9 &&
  !/^(?:000|666|9)/u.test(digits) &&
  !digits.startsWith('00', 3) &&
  !digits.endsWith('0000') &&
  digits !== '078051120' &&
  digits !== '219099999' &&
  digits !== '123456789' &&
  digits !== '987654321' &&
  !/^(\d)\1+$/u.test(digits);

const SSN_SHAPES: readonly (readonly number[])[] = [[3, 2, 4], [9], [3, 6], [5, 4]];

export const matchSsn = (view: TextView, groups: readonly Group[], from: number): number => {
  const first = groups[from] as Group;
  const emit = (count: number, score: number): number => {
    const last = groups[from + count - 1] as Group;
    view.emit({ start: first.start, end: last.end, kind: 'pii', type: 'SSN', rule: 'ssn', score });
    return count;
  };
  const length = first.end - first.start;
  if (length !== 3 && length !== 5 && length !== 9) return 0;
  for (const shape of SSN_SHAPES) {
    if (!shapeAt(groups, from, shape, ' -.')) continue;
    const last = groups[from + shape.length - 1] as Group;
    if (!isSsn(joinGroups(view.text, groups, from, shape.length))) continue;
    const named = view.topics.near('ssn', first.start, last.end, 40, 12);
    if (named || shape.length === 3) return emit(shape.length, 0.85);
  }
  return 0;
};
