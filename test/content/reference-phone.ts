/** Telephone numbers by texts and regular expressions, for the plain reference of the tests. */
import { ALNUM } from '../../src/content/characters.ts';
import { TOPIC } from '../../src/content/pii-context.ts';
import type { TextView } from '../../src/content/text-view.ts';
import { followsCode, joinGroups, kind, type Group } from './reference-chains.ts';

/** Country calling codes (ITU-T E.164, list of 2016 with its amendments): one, two and three digits. */
const ONE = new Set('17');
const TWO = new Set(
  '20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98'.split(
    ' ',
  ),
);
const THREE =
  /^(?:21[1-368]|22\d|23\d|24\d|25[0-8]|26\d|29[017-9]|35\d|37\d|38[0-35-79]|42[013]|50\d|59\d|67[02-9]|68\d|69[0-2]|8(?:00|08|50|52|53|55|56|70|78|80|81|82|83|86|88)|96[0-8]|97[0-79]|99[2-68])/u;

const hasCallingCode = (digits: string): boolean =>
  ONE.has(digits.charAt(0)) || TWO.has(digits.slice(0, 2)) || THREE.test(digits);

const MOST_GROUPS = 8;

const isDate = (text: string, groups: readonly Group[], from: number, count: number): boolean => {
  if (count < 3) return false;
  const [a, b, c] = [0, 1, 2].map((offset) => {
    const group = groups[from + offset] as Group;
    return text.slice(group.start, group.end);
  }) as [string, string, string];
  const gap = groups[from + 1]?.gap;
  if (gap !== groups[from + 2]?.gap || (gap !== '-' && gap !== '/' && gap !== '.' && gap !== ' ')) return false;
  const small = (part: string, most: number): boolean => part.length <= 2 && Number(part) >= 1 && Number(part) <= most;
  const year = /^(?:19|20)\d\d$/u;
  if (year.test(a) && small(b, 12) && small(c, 31)) return true;
  return year.test(c) && ((small(a, 31) && small(b, 12)) || (small(a, 12) && small(b, 31)));
};

const emit = (
  view: TextView,
  groups: readonly Group[],
  from: number,
  count: number,
  rule: string,
  score: number,
): number => {
  const { text } = view;
  let { start } = groups[from] as Group;
  if (text[start - 1] === '(') start -= 1;
  if (text[start - 1] === '+') start -= 1;
  let { end } = groups[from + count - 1] as Group;
  const extension = /^ ?(?:x|ext\.? ?|extension )\d{1,6}(?!\d)/iu.exec(text.slice(end, end + 18));
  if (extension !== null) end += extension[0].length;
  view.emit({ start, end, kind: 'pii', type: 'PHONE_NUMBER', rule, score });
  return count;
};

/** Groups from `from` on that may be one number: at most 15 digits, no gap that telephones do not have. */
const windows = (groups: readonly Group[], from: number): number => {
  let digits = 0;
  let count = 0;
  while (from + count < groups.length && count < MOST_GROUPS) {
    const group = groups[from + count] as Group;
    if (count > 0 && !group.dialled) break;
    digits += group.end - group.start;
    if (digits > 16) break;
    count += 1;
  }
  return count;
};

const free = (text: string, end: number): boolean =>
  (kind(text, end) & ALNUM) === 0 || /^x\d/iu.test(text.slice(end, end + 2));

export const matchPhone = (view: TextView, groups: readonly Group[], from: number): number => {
  const { text } = view;
  const first = groups[from] as Group;
  const most = windows(groups, from);
  if (most === 0) return 0;
  const plus = text[first.start - 1] === '+' || (text[first.start - 1] === '(' && text[first.start - 2] === '+');
  const dialled = first.end - first.start > 2 ? first.start + 2 : (groups[from + 1]?.start ?? first.end);
  const zeroes =
    !plus &&
    text.startsWith('00', first.start) &&
    first.end - first.start <= 5 &&
    /[1-9]/u.test(text.charAt(dialled)) &&
    !continues(text, groups, from);
  if (plus || zeroes) {
    for (let count = most; count > 0; count -= 1) {
      if (!free(text, (groups[from + count - 1] as Group).end)) continue;
      const digits = withoutTrunk(text, groups, from, count).slice(zeroes ? 2 : 0);
      if (digits.length < 8 || digits.length > 15 || !hasCallingCode(digits)) continue;
      if (view.phoneCheck === undefined || view.phoneCheck(`+${digits}`) || (count === 1 && digits.length >= 9)) {
        return emit(view, groups, from, count, 'phone-international', 0.9);
      }
    }
    if (plus) return 0;
  }
  const spoken = isSpokenOf(view, first);
  const width = first.end - first.start;
  const second = groups[from + 1];
  const shaped =
    (text[first.start] === '0' && text[first.start + 1] !== '0') ||
    width === 3 ||
    width === 1 ||
    width >= 10 ||
    (width === 2 && second !== undefined && second.end - second.start === 3);
  if (!spoken && !shaped && !isNamedBehind(view, groups[from + most - 1] as Group)) return 0;
  let length = 0;
  for (let index = from; index < from + most; index += 1)
    length += (groups[index] as Group).end - (groups[index] as Group).start;
  for (let count = most; count > 0 && length >= (spoken ? 6 : 9); count -= 1) {
    const last = groups[from + count - 1] as Group;
    const total = length;
    length -= last.end - last.start;
    if (total > 14 || !free(text, last.end) || isDate(text, groups, from, count)) continue;
    const digits = joinGroups(text, groups, from, count);
    if (isNational(text, groups, from, count, digits)) return emit(view, groups, from, count, 'phone-national', 0.7);
    if ((spoken || isNamedBehind(view, last)) && isDiallable(digits, count))
      return emit(view, groups, from, count, 'phone-context', 0.65);
  }
  return 0;
};

/** `+46 (0)8 …`: the trunk zero in parentheses is written, and not dialled. */
const withoutTrunk = (text: string, groups: readonly Group[], from: number, count: number): string => {
  let digits = '';
  for (let index = from; index < from + count; index += 1) {
    const group = groups[index] as Group;
    const part = text.slice(group.start, group.end);
    if (part === '0' && text[group.start - 1] === '(' && text[group.end] === ')') continue;
    digits += part;
  }
  return digits;
};

const lengths = (groups: readonly Group[], from: number, count: number): string => {
  let shape = '';
  for (let index = from; index < from + count; index += 1)
    shape += (groups[index] as Group).end - (groups[index] as Group).start;
  return shape;
};

/** Groups that go on after other digits or a code, with nothing but a space between. */
const continues = (text: string, groups: readonly Group[], from: number): boolean =>
  followsCode(text, (groups[0] as Group).start) || (from > 0 && groups[from]?.gap === ' ');

/** Shapes that hardly anything else has: the North American plan, and trunk zeros with several groups. */
const isNational = (text: string, groups: readonly Group[], from: number, count: number, digits: string): boolean => {
  const shape = lengths(groups, from, count);
  const gap = groups[from + 1]?.gap ?? '';
  const before = text[(groups[from] as Group).start - 1];
  if (before === '.' || before === '-' || before === '/' || before === '$' || before === '#') return false;
  if (
    followsCode(text, (groups[0] as Group).start) ||
    (digits.startsWith('0') && continues(text, groups, from)) ||
    shape === '324'
  )
    return false;
  const even = groups.slice(from + 2, from + count).every((group) => group.gap === gap);
  if (shape === '3322') return even && /^[2-9]/u.test(digits);
  if (shape === '2334') return even && gap === '-' && hasCallingCode(digits);
  if (count === 1) return /^(?:0[2-9]\d{9}|0[4-9]\d{8}|1[3-9]\d{9})$/u.test(digits);
  if (gap.includes('(') && /^0[1-9]\d{8,9}$/u.test(digits)) return true;
  if (shape === '334') return /^[2-9]\d\d[2-9]/u.test(digits) && (groups[from + 2]?.gap ?? '').length <= 1;
  if (shape === '1334') return /^1[2-9]\d\d[2-9]/u.test(digits) && groups[from + 2]?.gap === groups[from + 3]?.gap;
  if (shape === '22222' && digits.startsWith('0'))
    return digits[1] !== '0' && groups.slice(from + 2, from + 5).every((group) => group.gap === gap);
  if (!/^0[1-9]/u.test(digits) || digits.length < 9 || digits.length > 11) return false;
  if (count >= 3 && count <= 5)
    return groups.slice(from + 1, from + count).every((group) => /^[ \-.\u00A0]$|^\) ?$/u.test(group.gap));
  return count === 2 && (gap === '-' || gap === '/' || gap.startsWith(')')) && digits.length >= 9;
};

/** Does the text say just before that a telephone number follows? */
const isSpokenOf = (view: TextView, first: Group): boolean =>
  view.topics.near(TOPIC.phone, first.start, first.end, 32, 12) ||
  view.topics.near(TOPIC.line, first.start, first.end, 3, 24);

/** `… office`, `… (fax)`: said just behind. */
const isNamedBehind = (view: TextView, last: Group): boolean =>
  view.topics.near(TOPIC.phone, last.start, last.end, 0, 10) ||
  view.topics.near(TOPIC.line, last.start, last.end, 0, 8);

const isDiallable = (digits: string, count: number): boolean =>
  digits.length >= (count === 1 ? 7 : 6) && digits.length <= 13 && count <= 6 && !/^(\d)\1+$/u.test(digits);
