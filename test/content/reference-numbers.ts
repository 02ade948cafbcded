/**
 * The same search for numbers as in `src/content`, as plainly as it can be written: texts and regular expressions for
 * every group. Slow; what it finds is what the quick one must find.
 */
import { ALNUM, DASH, DIGIT, DOT, HEX, UNDERSCORE } from '../../src/content/characters.ts';
import { TOPIC } from '../../src/content/pii-context.ts';
import { matchMac } from '../../src/content/pii-addresses.ts';
import type { TextView } from '../../src/content/text-view.ts';
import { kind, joinGroups, luhn, readChain, shapeAt, type Group } from './reference-chains.ts';
import { matchIdentityDigits, matchIdentityToken } from './reference-identities.ts';
import { matchPhone } from './reference-phone.ts';

const octet = (text: string, start: number, end: number): boolean =>
  end > start && end - start <= 3 && Number(text.slice(start, end)) <= 255 && !(end - start > 1 && text[start] === '0');

const prefixLength = (text: string, end: number, most: number): number => {
  if (text[end] !== '/') return end;
  let at = end + 1;
  while (at < text.length && at < end + 5 && (kind(text, at) & DIGIT) !== 0) at += 1;
  const length = at - end - 1;
  if (length === 0 || length > 3 || Number(text.slice(end + 1, at)) > most || (kind(text, at) & ALNUM) !== 0)
    return end;
  return at;
};

/** The end of an IPv4 address that begins at `start`, or -1. */
const ipv4End = (text: string, start: number): number => {
  let at = start;
  for (let part = 0; part < 4; part += 1) {
    const from = at;
    while (at < text.length && at - from < 4 && (kind(text, at) & DIGIT) !== 0) at += 1;
    if (!octet(text, from, at)) return -1;
    if (part === 3) return (kind(text, at) & ALNUM) === 0 ? at : -1;
    if (text[at] !== '.') return -1;
    at += 1;
  }
  return -1;
};

/** `start` is the first digit of a run of digits. */
const matchIpv4 = (view: TextView, start: number): number => {
  const { text } = view;
  if (start > 0) {
    const before = kind(text, start - 1);
    if ((before & (ALNUM | DOT | UNDERSCORE)) !== 0) return -1;
    // Product/1.2.3.4 and v1.2.3.4-beta are versions.
    if (text[start - 1] === '/' && start > 1 && (kind(text, start - 2) & ALNUM) !== 0) return -1;
  }
  const end = ipv4End(text, start);
  if (end === -1) return -1;
  if (view.topics.near(TOPIC.version, start, end, 16)) return -1;
  const whole = prefixLength(text, end, 32);
  view.emit({ start, end: whole, kind: 'pii', type: 'IP_ADDRESS', rule: 'ipv4', score: 0.85 });
  return whole;
};

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

const isCard = (digits: string): boolean =>
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

const matchCard = (view: TextView, groups: readonly Group[], from: number): number => {
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
    const named = view.topics.near(TOPIC.card, first.start, first.end, 64);
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
const isSsn = (digits: string): boolean =>
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

const matchSsn = (view: TextView, groups: readonly Group[], from: number): number => {
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
    const named = view.topics.near(TOPIC.ssn, first.start, last.end, 40, 12);
    if (named || shape.length === 3) return emit(shape.length, 0.85);
  }
  return 0;
};

const isFree = (text: string, start: number): boolean =>
  start === 0 || (kind(text, start - 1) & (ALNUM | UNDERSCORE)) === 0;

/** Walks all digits of the text. */
export const matchNumbers = (view: TextView): void => {
  const { text } = view;
  const { length } = text;
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 48 || code > 57) continue;
    const tokenStart = view.runStart(at, ALNUM, 24);
    const tokenEnd = view.runEnd(at, ALNUM);
    const digitsEnd = view.runEnd(at, DIGIT);
    if (text[tokenEnd] === '-' && tokenEnd - tokenStart === 2)
      matchMac(view, view.runStart(tokenStart, HEX | DASH, 15) + 2);
    if (tokenStart !== at || tokenEnd !== digitsEnd) {
      const next = matchIdentityToken(view, tokenStart, tokenEnd);
      // `1234x56` (an extension) still is a telephone's tail: the chain may begin here when only its end is glued.
      if (tokenStart !== at || next !== tokenEnd || !/^x\d{1,6}$/iu.test(text.slice(digitsEnd, tokenEnd))) {
        at = Math.max(next, tokenEnd) - 1;
        continue;
      }
    }
    at = matchChain(view, at) - 1;
  }
};

const matchChain = (view: TextView, start: number): number => {
  const { text } = view;
  const groups = readChain(text, start);
  let index = 0;
  let digits = 0;
  for (const group of groups) digits += group.end - group.start;
  // The shortest of all is a telephone of six digits; an IPv4 address may have four, in as many groups.
  if (digits < 6 && groups.length < 4) return (groups.at(-1) as Group).end;
  while (index < groups.length) {
    const group = groups[index] as Group;
    if (group.end - group.start <= 3 && text[group.end] === '.' && ipv4End(text, group.start) !== -1) {
      const end = matchIpv4(view, group.start);
      if (end !== -1) {
        while (index < groups.length && (groups[index] as Group).start < end) index += 1;
        continue;
      }
    }
    if (!isFree(text, group.start)) {
      index += 1;
      continue;
    }
    index +=
      matchCard(view, groups, index) ||
      matchSsn(view, groups, index) ||
      matchIdentityDigits(view, groups, index) ||
      matchPhone(view, groups, index) ||
      1;
  }
  return (groups.at(-1) as Group).end;
};
