/** Chains of digit groups as texts, for the plain reference of the tests. */
import { DIGIT, KINDS } from '../../src/content/characters.ts';

export const kind = (text: string, index: number): number => KINDS[text.charCodeAt(index)] ?? 0;

/** Luhn (ISO/IEC 7812-1): cards, Swedish and South African numbers, Canadian SIN. */
export const luhn = (digits: string): boolean => {
  let sum = 0;
  for (let at = 0; at < digits.length; at += 1) {
    let value = digits.charCodeAt(digits.length - 1 - at) - 48;
    if (at % 2 === 1) value = value > 4 ? value * 2 - 9 : value * 2;
    sum += value;
  }
  return sum % 10 === 0;
};

/** A run of digits, and the text between it and the run before. */
export interface Group {
  readonly start: number;
  readonly end: number;
  readonly gap: string;
  /** May the gap stand inside a telephone number? */
  readonly dialled: boolean;
}

/** Besides one space, dash, dot or slash: an area code in parentheses, a dash between spaces. */
const DIALLED = new Set([
  ' ',
  '-',
  '.',
  '/',
  '\u00A0',
  '\u2010',
  '\u2011',
  '\u2012',
  '\u2013',
  '\u202f',
  ')',
  ') ',
  ')-',
  '(',
  ' (',
  '-(',
  ' - ',
]);

/** Longest chain looked at as a whole; a longer one is cut, and its groups are looked at in the next. */
const LONGEST_CHAIN = 24;

const isGap = (text: string, index: number): boolean => {
  const code = text.charCodeAt(index);
  // space - . ( ) / no-break space, en dash and the hyphens of Unicode
  return (
    code === 32 ||
    code === 45 ||
    code === 46 ||
    code === 40 ||
    code === 41 ||
    code === 47 ||
    code === 160 ||
    (code >= 0x2010 && code <= 0x2013) ||
    code === 0x202f
  );
};

export const readChain = (text: string, start: number): readonly Group[] => {
  const groups: Group[] = [];
  let at = start;
  let gap = '';
  while (groups.length < LONGEST_CHAIN) {
    const from = at;
    while (at < text.length && (kind(text, at) & DIGIT) !== 0) at += 1;
    groups.push({ start: from, end: at, gap, dialled: DIALLED.has(gap) });
    let next = at;
    while (next < text.length && next - at < 3 && isGap(text, next)) next += 1;
    if (next === at || (kind(text, next) & DIGIT) === 0) break;
    gap = text.slice(at, next);
    at = next;
  }
  return groups;
};

export const joinGroups = (text: string, groups: readonly Group[], from: number, count: number): string => {
  let joined = '';
  for (let index = from; index < from + count; index += 1)
    joined += text.slice((groups[index] as Group).start, (groups[index] as Group).end);
  return joined;
};

/** Do the groups from `from` on have these lengths, with one and the same separator out of `gaps`? */
export const shapeAt = (groups: readonly Group[], from: number, shape: readonly number[], gaps: string): boolean => {
  if (from + shape.length > groups.length) return false;
  const separator = groups[from + 1]?.gap ?? '';
  for (let index = 0; index < shape.length; index += 1) {
    const group = groups[from + index] as Group;
    if (group.end - group.start !== shape[index]) return false;
    if (index > 0 && (group.gap !== separator || group.gap.length !== 1 || !gaps.includes(group.gap))) return false;
  }
  return true;
};

const CODE = /(?:\b[A-Z]{2}\d{2}(?: [A-Z]{4})?|[A-Z]\d+|\d[A-Z]+)$/u;

/** Digits that follow a code of letters and digits (`DE89 0044 …`, `GB29 NWBK 6016 …`) are its continuation. */
export const followsCode = (text: string, start: number): boolean =>
  start > 1 && text[start - 1] === ' ' && CODE.test(text.slice(Math.max(0, start - 12), start - 1));
