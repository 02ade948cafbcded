/** Telephone numbers: international by their calling code, national by their shape, anything else by what is said of it. */
import { ALNUM, DIGIT, KINDS } from './characters.ts';
import { isRepeated, numberOf, type Digits } from './checksums.ts';
import {
  CLOSE_GAP,
  DASH_GAP,
  DOT_GAP,
  NO_BREAK_GAP,
  OPEN_GAP,
  SLASH_GAP,
  SPACE_GAP,
  type NumberChain,
} from './number-chains.ts';
import { TOPIC, topicBits } from './pii-context.ts';
import type { TextView } from './text-view.ts';

const kind = (units: Uint16Array, index: number): number => KINDS[units[index] as number] as number;

/** Country calling codes (ITU-T E.164, list of 2016 with its amendments): one, two and three digits. */
const TWO = /^(?:2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])$/u;
const THREE =
  /^(?:21[1-368]|22\d|23\d|24\d|25[0-8]|26\d|29[017-9]|35\d|37\d|38[0-35-79]|42[013]|50\d|59\d|67[02-9]|68\d|69[0-2]|8(?:00|08|50|52|53|55|56|70|78|80|81|82|83|86|88)|96[0-8]|97[0-79]|99[2-68])/u;

/** For the first three digits of an international number: does it begin with a calling code? */
const CALLING_CODES = Uint8Array.from({ length: 1_000 }, (_, number) => {
  const text = String(number).padStart(3, '0');
  return /^[17]/u.test(text) || TWO.test(text.slice(0, 2)) || THREE.test(text) ? 1 : 0;
});
const hasCallingCode = (digits: Digits, at: number): boolean => CALLING_CODES[numberOf(digits, at, 3)] === 1;

/** Tells whether `+digits` can be a number there; given by the door, which has libphonenumber. */
export type PhoneCheck = (international: string) => boolean;

const MOST_GROUPS = 8;
const MOST_DIGITS = 16;

/** Are the first three groups a date, with the same separator between them? */
const isDate = (chain: NumberChain, from: number): boolean => {
  if (chain.width(from + 1) > 2) return false;
  const gap = chain.gap(from + 1);
  if (gap !== chain.gap(from + 2)) return false;
  if (gap !== DASH_GAP && gap !== SLASH_GAP && gap !== DOT_GAP && gap !== SPACE_GAP) return false;
  const [a, b, c] = [chain.width(from), chain.width(from + 1), chain.width(from + 2)];
  const part = (index: number, width: number): number =>
    numberOf(chain.digits, chain.firsts[from + index] as number, width);
  const isYear = (year: number): boolean => year >= 1900 && year <= 2099;
  const isSmall = (number: number, most: number): boolean => number >= 1 && number <= most;
  if (a === 4 && b <= 2 && c <= 2) return isYear(part(0, a)) && isSmall(part(1, b), 12) && isSmall(part(2, c), 31);
  if (c !== 4 || a > 2 || b > 2 || !isYear(part(2, c))) return false;
  const [first, second] = [part(0, a), part(1, b)];
  return (isSmall(first, 31) && isSmall(second, 12)) || (isSmall(first, 12) && isSmall(second, 31));
};

const EXTENSION = /^ ?(?:x|ext\.? ?|extension )\d{1,6}(?!\d)/iu;

const emit = (view: TextView, chain: NumberChain, from: number, count: number, rule: string, score: number): number => {
  const { units } = view;
  let start = chain.starts[from] as number;
  if (units[start - 1] === 40) start -= 1;
  if (units[start - 1] === 43) start -= 1;
  let end = chain.ends[from + count - 1] as number;
  const next = (units[units[end] === 32 ? end + 1 : end] as number) | 32;
  // e or x
  if (next === 101 || next === 120) end += EXTENSION.exec(view.text.slice(end, end + 18))?.[0].length ?? 0;
  view.emit({ start, end, kind: 'pii', type: 'PHONE_NUMBER', rule, score });
  return count;
};

/** Nothing that belongs to the number follows, unless it is an extension. */
const isFree = (units: Uint16Array, end: number): boolean =>
  (kind(units, end) & ALNUM) === 0 || (((units[end] as number) | 32) === 120 && (kind(units, end + 1) & DIGIT) !== 0);

/** Groups from `from` on that may be one number: at most 16 digits, no gap that telephones do not have. */
const groupsOf = (chain: NumberChain, from: number): number => {
  let digits = 0;
  let count = 0;
  while (count < MOST_GROUPS && from + count < chain.count) {
    if (count > 0 && !chain.isDialled(from + count)) break;
    digits += chain.widths[from + count] as number;
    if (digits > MOST_DIGITS) break;
    count += 1;
  }
  return count;
};

/** Groups that go on after other digits or a code, with nothing but a space between. */
const continues = (view: TextView, chain: NumberChain, from: number): boolean =>
  (from > 0 && chain.gap(from) === SPACE_GAP) || chain.followsCode(view);

/** Returns how many groups were taken. */
export const matchPhone = (view: TextView, chain: NumberChain, from: number): number => {
  const { units } = view;
  const start = chain.starts[from] as number;
  const before = units[start - 1] as number;
  if (before === 43 || (before === 40 && units[start - 2] === 43)) return matchInternational(view, chain, from, 0);
  const width = chain.widths[from] as number;
  const first = chain.digits[chain.firsts[from] as number];
  const twice = first === 0 && width > 1 && chain.digits[(chain.firsts[from] as number) + 1] === 0;
  if (twice && width <= 5) {
    const gapped = width === 2 && from + 1 < chain.count;
    const code = units[gapped ? (chain.starts[from + 1] as number) : start + 2] as number;
    if (code >= 49 && code <= 57 && !continues(view, chain, from)) {
      const taken = matchInternational(view, chain, from, 2);
      if (taken > 0) return taken;
    }
  }
  if (!isTalkedOf(view, start, chain.end()))
    return !twice && maybeNational(chain, from, width) ? matchNational(view, chain, from, false) : 0;
  const spoken = isSpokenOf(view, start, start + width);
  const shaped =
    (first === 0 && !twice) ||
    width === 3 ||
    width === 1 ||
    width >= 10 ||
    (width === 2 && chain.width(from + 1) === 3);
  const last = from + groupsOf(chain, from) - 1;
  return spoken || shaped || (last >= from && isNamedBehind(view, chain, last))
    ? matchNational(view, chain, from, spoken)
    : 0;
};

const TALK = topicBits(['phone', 'line']);

/** Is a telephone spoken of so near to these groups that any of them could be meant? */
const isTalkedOf = (view: TextView, start: number, end: number): boolean =>
  view.topics.isAny(TALK) &&
  (view.topics.near(TOPIC.phone, start, end, 32, 12) || view.topics.near(TOPIC.line, start, end, 3, 24));

/** May a shape of `isNational` begin here? */
const maybeNational = (chain: NumberChain, from: number, width: number): boolean => {
  if (chain.digits[chain.firsts[from] as number] === 0 || width === 11) return true;
  if (width > 3 || chain.width(from + 1) !== 3) return false;
  const third = chain.width(from + 2);
  return width === 3 ? third === 4 || third === 2 : third === 3;
};

/** With `skipped` digits of `00` in front, or none after a plus. */
const matchInternational = (view: TextView, chain: NumberChain, from: number, skipped: number): number => {
  const { units, phoneCheck } = view;
  const { dialled } = chain;
  const most = groupsOf(chain, from);
  let length = 0;
  for (let index = from; index < from + most; index += 1) {
    if (isTrunkZero(units, chain, index)) continue;
    const first = chain.firsts[index] as number;
    for (let at = first; at < first + chain.width(index); at += 1) {
      dialled[length] = chain.digits[at] as number;
      length += 1;
    }
  }
  if (length < 8 + skipped || !hasCallingCode(dialled, skipped)) return 0;
  for (let count = most; count > 0; count -= 1) {
    const last = from + count - 1;
    const digits = length - skipped;
    if (!isTrunkZero(units, chain, last)) length -= chain.width(last);
    if (digits < 8) return 0;
    if (digits > 15 || !isFree(units, chain.ends[last] as number)) continue;
    if (
      phoneCheck === undefined ||
      (count === 1 && digits >= 9) ||
      phoneCheck(`+${dialled.subarray(skipped, skipped + digits).join('')}`)
    )
      return emit(view, chain, from, count, 'phone-international', 0.9);
  }
  return 0;
};

/** `+46 (0)8 …`: the trunk zero in parentheses is written, and not dialled. */
const isTrunkZero = (units: Uint16Array, chain: NumberChain, index: number): boolean =>
  chain.width(index) === 1 &&
  chain.digits[chain.firsts[index] as number] === 0 &&
  (units[(chain.starts[index] as number) - 1] as number) === 40 &&
  (units[chain.ends[index] as number] as number) === 41;

const matchNational = (view: TextView, chain: NumberChain, from: number, spoken: boolean): number => {
  const { units } = view;
  const most = groupsOf(chain, from);
  let length = 0;
  for (let index = from; index < from + most; index += 1) length += chain.widths[index] as number;
  const least = spoken ? 6 : 9;
  if (length < least) return 0;
  const barred = isBarred(view, chain, from);
  const date = most >= 3 && isDate(chain, from);
  for (let count = most; count > 0 && length >= least; count -= 1) {
    const total = length;
    const last = from + count - 1;
    length -= chain.widths[last] as number;
    if (total > 14 || (date && count >= 3) || !isFree(units, chain.ends[last] as number)) continue;
    if (!barred && isNational(chain, from, count, total)) return emit(view, chain, from, count, 'phone-national', 0.7);
    if ((spoken || isNamedBehind(view, chain, last)) && isDiallable(chain, from, count, total))
      return emit(view, chain, from, count, 'phone-context', 0.65);
  }
  return 0;
};

/** What stands before the number says that it is something else: a version, an amount, a code that goes on. */
const isBarred = (view: TextView, chain: NumberChain, from: number): boolean => {
  const before = view.units[(chain.starts[from] as number) - 1] as number;
  // . - / $ #
  if (before === 46 || before === 45 || before === 47 || before === 36 || before === 35) return true;
  const zero = chain.digits[chain.firsts[from] as number] === 0;
  return (zero && from > 0 && chain.gap(from) === SPACE_GAP) || chain.followsCode(view);
};

/** The widths of all groups as one number: 3-3-4 is 334. Widths of ten and more have a number of their own. */
const shapeOf = (chain: NumberChain, from: number, count: number): number => {
  let shape = 0;
  for (let index = from; index < from + count; index += 1) {
    const width = chain.widths[index] as number;
    shape = shape * 10 + (width > 9 ? 1_000_000 : width);
  }
  return shape;
};

const haveGap = (chain: NumberChain, from: number, to: number, gap: number): boolean => {
  for (let index = from; index < to; index += 1) if (chain.gaps[index] !== gap) return false;
  return true;
};

const hasParenthesis = (gap: number): boolean =>
  (gap & 15) === OPEN_GAP || ((gap >> 4) & 15) === OPEN_GAP || ((gap >> 8) & 15) === OPEN_GAP;

/** The widths of one run that stands for itself: a mobile or area code after the trunk zero, a Chinese mobile. */
const isNationalRun = (digits: Digits, at: number, length: number): boolean => {
  const [first, second] = [digits[at] as number, digits[at + 1] as number];
  if (length === 11) return (first === 0 && second >= 2) || (first === 1 && second >= 3);
  return length === 10 && first === 0 && second >= 4;
};

/** Shapes that hardly anything else has: the North American plan, and trunk zeros with several groups. */
const isNational = (chain: NumberChain, from: number, count: number, length: number): boolean => {
  if (length < 9 || length > 12) return false;
  const { digits } = chain;
  const at = chain.firsts[from] as number;
  const first = digits[at] as number;
  if (count === 1) return isNationalRun(digits, at, length);
  if (first !== 0 && count !== 3 && count !== 4) return false;
  const second = digits[at + 1] as number;
  const shape = shapeOf(chain, from, count);
  if (shape === 324) return false;
  const to = from + count;
  const gap = chain.gap(from + 1);
  if (shape === 3322) return first >= 2 && haveGap(chain, from + 2, to, gap);
  if (shape === 2334) return gap === DASH_GAP && haveGap(chain, from + 2, to, gap) && hasCallingCode(digits, at);
  if (first === 0 && second !== 0 && (length === 10 || length === 11) && hasParenthesis(gap)) return true;
  if (shape === 334) return first >= 2 && (digits[at + 3] as number) >= 2 && chain.gap(from + 2) <= 15;
  if (shape === 1334)
    return first === 1 && second >= 2 && (digits[at + 4] as number) >= 2 && chain.gap(from + 2) === chain.gap(from + 3);
  if (shape === 22222 && first === 0) return second !== 0 && haveGap(chain, from + 2, to, gap);
  if (first !== 0 || second === 0 || length > 11) return false;
  if (count === 2) return gap === DASH_GAP || gap === SLASH_GAP || (gap & 15) === CLOSE_GAP;
  if (count > 5) return false;
  for (let index = from + 1; index < to; index += 1) if (!isNationalGap(chain.gaps[index] as number)) return false;
  return true;
};

/** A space, dash, dot or no-break space; a closing parenthesis, with or without a space. */
const isNationalGap = (gap: number): boolean =>
  gap === SPACE_GAP ||
  gap === DASH_GAP ||
  gap === DOT_GAP ||
  gap === NO_BREAK_GAP ||
  gap === CLOSE_GAP ||
  gap === (CLOSE_GAP | (SPACE_GAP << 4));

/** Does the text say just before that a telephone number follows? */
const isSpokenOf = (view: TextView, start: number, end: number): boolean =>
  view.topics.near(TOPIC.phone, start, end, 32, 12) || view.topics.near(TOPIC.line, start, end, 3, 24);

/** `… office`, `… (fax)`: said just behind. */
const isNamedBehind = (view: TextView, chain: NumberChain, last: number): boolean => {
  const start = chain.starts[last] as number;
  const end = chain.ends[last] as number;
  return view.topics.near(TOPIC.phone, start, end, 0, 10) || view.topics.near(TOPIC.line, start, end, 0, 8);
};

const isDiallable = (chain: NumberChain, from: number, count: number, length: number): boolean =>
  length >= (count === 1 ? 7 : 6) &&
  length <= 13 &&
  count <= 6 &&
  !isRepeated(chain.digits, chain.firsts[from] as number, length);
