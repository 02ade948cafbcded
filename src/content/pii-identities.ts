/** Numbers that authorities give to people: by their check digits where they have some, else by what is said of them. */
import { ALNUM, DASH, DIGIT, KINDS, LOWER, SPACE, UNDERSCORE, UPPER } from './characters.ts';
import { mod97Step } from './checksums.ts';
import { DIGIT_RULES, isBelgian, isCpf, type DigitRule } from './identity-numbers.ts';
import { DAYS, TOKEN_RULES, isHetu, type Rule, type TokenRule } from './identity-rules.ts';
import { DASH_GAP, DOT_GAP, gapBits, shapeOf, type NumberChain, type Shape } from './number-chains.ts';
import { TOPIC, topicBits } from './pii-context.ts';
import type { TextView } from './text-view.ts';

const kind = (units: Uint16Array, index: number): number => KINDS[units[index] as number] as number;

const emit = (view: TextView, start: number, end: number, type: string, rule: string, score: number): true => {
  view.emit({ start, end, kind: 'pii', type, rule, score });
  return true;
};

/** Two letters in either case as one number. */
const countryOf = (units: Uint16Array, at: number): number =>
  (((units[at] as number) & 31) << 5) | ((units[at + 1] as number) & 31);

/** Lengths of the IBAN registry (SWIFT, release 99). */
const IBAN_LENGTHS: ReadonlyMap<number, number> = new Map(
  'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
    .split(' ')
    .map((entry) => [((entry.charCodeAt(0) & 31) << 5) | (entry.charCodeAt(1) & 31), Number(entry.slice(2))] as const),
);

/** ISO 13616: country, two check digits, and as many characters as that country has; spaces and dashes between groups. */
const matchIban = (view: TextView, start: number): boolean => {
  const { units } = view;
  const length = IBAN_LENGTHS.get(countryOf(units, start));
  if (length === undefined) return false;
  let rest = 0;
  let count = 0;
  let at = start;
  let before = 0;
  for (; count < length; at += 1) {
    const code = units[at] as number;
    const now = (KINDS[code] as number) & ALNUM;
    if (now !== 0) {
      if (count >= 4) rest = mod97Step(rest, code);
      count += 1;
    } else if (count < 4 || (code !== 32 && code !== 45 && code !== 160) || before === 0) break;
    before = now;
  }
  if (count !== length || (kind(units, at) & ALNUM) !== 0) return false;
  for (let index = start; index < start + 4; index += 1) rest = mod97Step(rest, units[index] as number);
  return rest === 1 && emit(view, start, at, 'IBAN', 'iban-mod97', 0.95);
};

/** Longest of the tokens above, with the dashes that some are written with. */
const LONGEST_TOKEN = 34;
const LONGEST_DASHED = 20;

/** A token of letters and digits around a digit. Returns where the search goes on. */
export const matchIdentityToken = (view: TextView, start: number, end: number): number => {
  const { units, topics } = view;
  if (end - start > LONGEST_TOKEN + 8) return end;
  if (units[end] === 45) {
    const dashed = view.dashedEnd(start);
    if (dashed - start <= LONGEST_DASHED && matchToken(view, start, dashed)) return dashed;
  }
  const letters = LOWER | UPPER;
  if (
    (kind(units, start) & letters) !== 0 &&
    (kind(units, start + 1) & letters) !== 0 &&
    (kind(units, start + 2) & kind(units, start + 3) & DIGIT) !== 0 &&
    matchIban(view, start)
  )
    return end;
  if (matchToken(view, start, end)) return end;
  const length = end - start;
  if (length < 6 || length > 19 || !topics.isAny(SPOKEN_TOKENS)) return end;
  let digits = 0;
  for (let at = start; at < end; at += 1) digits += kind(units, at) & DIGIT;
  if (digits < 4) return end;
  if (length <= 12 && topics.near(TOPIC.passport, start, end, 40, 24)) {
    emit(view, start, end, 'PASSPORT', 'passport-context', 0.75);
  } else if (isLicence(view, start, end)) {
    emit(view, start, end, 'DRIVERS_LICENSE', 'license-context', 0.7);
  }
  return end;
};
const SPOKEN_TOKENS = topicBits(['passport', 'license']);

const isLicence = (view: TextView, start: number, end: number): boolean =>
  view.topics.near(TOPIC.license, start, end, 32) && !view.topics.near(TOPIC.version, start, end, 32);

const spokenOf = (view: TextView, rule: Rule, start: number, end: number): boolean =>
  rule.needs === undefined || rule.needs.some((topic) => view.topics.near(TOPIC[topic], start, end, 48));

interface Shaped {
  readonly rule: TokenRule;
  /** Bit `i`: character `i` must be a digit, must be a letter. Only the first 32 characters are asked. */
  readonly digits: number;
  readonly letters: number;
}
const bitsOf = (shape: string, sign: string): number =>
  Array.from(shape).reduce((bits, character, at) => (character === sign && at < 32 ? bits | (1 << at) : bits), 0);

/** Only the rules that a token of that length can fit. */
const TOKENS_BY_LENGTH: readonly (readonly Shaped[])[] = Array.from({ length: LONGEST_TOKEN + 2 }, (_, length) =>
  TOKEN_RULES.flatMap((rule) =>
    rule.shapes
      .filter((shape) => shape.length === length)
      .map((shape) => ({ rule, digits: bitsOf(shape, '9'), letters: bitsOf(shape, 'A') })),
  ),
);
const SIX_DIGITS = 0b11_1111;

const twoDigits = (units: Uint16Array, at: number): number =>
  ((units[at] as number) - 48) * 10 + (units[at + 1] as number) - 48;
/** A day and a month, two digits each. */
const isDay = (units: Uint16Array, at: number): boolean =>
  twoDigits(units, at) >= 1 && twoDigits(units, at) <= (DAYS[twoDigits(units, at + 2) - 1] ?? 0);

const matchToken = (view: TextView, start: number, end: number): boolean => {
  const { units } = view;
  const length = end - start;
  if (length < 9 || length > LONGEST_TOKEN) return false;
  if (start > 0 && (kind(units, start - 1) & (ALNUM | UNDERSCORE)) !== 0) return false;
  if ((kind(units, end) & (ALNUM | UNDERSCORE)) !== 0) return false;
  let digits = 0;
  let letters = 0;
  let count = 0;
  for (let at = start; at < end; at += 1) {
    const bits = kind(units, at);
    if ((bits & ALNUM) === 0) continue;
    if (count < 32) {
      if ((bits & DIGIT) !== 0) digits |= 1 << count;
      else letters |= 1 << count;
    }
    count += 1;
  }
  for (const shaped of TOKENS_BY_LENGTH[count] as readonly Shaped[]) {
    if ((shaped.digits & letters) !== 0 || (shaped.letters & digits) !== 0) continue;
    const { rule } = shaped;
    const token = view.text.slice(start, end);
    const compact = count === length ? token : token.replaceAll('-', '');
    const subject = rule.type === 'CRYPTO_ADDRESS' ? compact : compact.toUpperCase();
    if (rule.pattern.test(subject) && rule.proves(subject) && spokenOf(view, rule, start, end)) {
      return emit(view, start, end, rule.type, rule.rule, 0.8);
    }
  }
  if (length === 11 && (digits & SIX_DIGITS) === SIX_DIGITS && isDay(units, start)) {
    const upper = view.text.slice(start, end).toUpperCase();
    if (/^\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]$/u.test(upper) && isHetu(upper))
      return emit(view, start, end, 'NATIONAL_ID', 'fi-hetu', 0.85);
  }
  return false;
};

/** Rules that stand for the same groups, one after the other. */
interface Grouped {
  readonly shape: Shape;
  readonly gaps: number;
  readonly rules: (DigitRule & { readonly topics: number })[];
}
/** No group of these rules is wider. */
const WIDEST = 16;

const grouped = (rules: readonly DigitRule[]): readonly Grouped[] => {
  const groups: Grouped[] = [];
  for (const rule of rules) {
    const gaps = gapBits(rule.gaps ?? ' -.\u00A0');
    const asked = { ...rule, topics: topicBits(rule.needs ?? []) };
    const last = groups.at(-1);
    if (last !== undefined && last.gaps === gaps && last.rules[0]?.shape.join('-') === rule.shape.join('-'))
      last.rules.push(asked);
    else groups.push({ shape: shapeOf(rule.shape), gaps, rules: [asked] });
  }
  return groups;
};

/**
 * By the widths of the first two groups. Where no rule has just these two, those of one group alone, which stand under a
 * second width of 0; where some have, they are asked first.
 */
const RULES_BY_SHAPE: readonly (readonly Grouped[])[] = Array.from({ length: (WIDEST + 1) ** 2 }, (_, index) => {
  const [first, second] = [Math.floor(index / (WIDEST + 1)), index % (WIDEST + 1)];
  const starting = (next: number): readonly DigitRule[] =>
    DIGIT_RULES.filter(({ shape }) => shape[0] === first && (shape[1] ?? 0) === next);
  return grouped(second === 0 ? starting(0) : [...starting(second), ...starting(0)]);
});

/** Groups of digits alone; returns how many groups were taken. */
export const matchIdentityDigits = (view: TextView, chain: NumberChain, from: number): number => {
  const { units, topics } = view;
  const start = chain.starts[from] as number;
  const end = chain.ends[from] as number;
  const width = end - start;
  if ((kind(units, end) & (ALNUM | DASH)) !== 0) {
    const dashed = view.dashedEnd(start);
    // Without a letter only two are tokens: the Finnish one, and the Chinese one of eighteen digits.
    const lettered = dashed > chain.end() || dashed - start >= 18 || (width === 6 && dashed - start === 11);
    if (lettered && dashed - start <= LONGEST_DASHED && matchToken(view, start, dashed))
      return chain.until(from, dashed);
  }
  if (width <= WIDEST) {
    const second = chain.width(from + 1);
    const rules = RULES_BY_SHAPE[width * (WIDEST + 1) + (second > WIDEST ? 0 : second)] as readonly Grouped[];
    for (let index = 0; index < rules.length; index += 1) {
      const group = rules[index] as Grouped;
      if (!chain.hasShape(from, group.shape, group.gaps)) continue;
      if (units[start - 1] === 46 || chain.followsCode(view)) break;
      if (proveGroups(view, chain, from, group)) return group.shape.groups;
    }
  }
  const written = Math.max(matchWritten(view, chain, from), matchNino(view, start, end));
  if (written !== -1) return chain.until(from, written);
  if (width >= 6 && width <= 9 && topics.near(TOPIC.passport, start, end, 40, 24)) {
    emit(view, start, end, 'PASSPORT', 'passport-context', 0.75);
    return 1;
  }
  return isLicence(view, start, end) ? takeLicence(view, chain, from) : 0;
};

const proveGroups = (view: TextView, chain: NumberChain, from: number, { shape, rules }: Grouped): boolean => {
  const start = chain.starts[from] as number;
  const end = chain.ends[from + shape.groups - 1] as number;
  if ((kind(view.units, end) & ALNUM) !== 0 || view.topics.near(TOPIC.phone, start, end, 24)) return false;
  const first = chain.firsts[from] as number;
  for (let index = 0; index < rules.length; index += 1) {
    const rule = rules[index] as Grouped['rules'][number];
    if (rule.topics !== 0 && !(view.topics.isAny(rule.topics) && spokenOf(view, rule, start, end))) continue;
    if (rule.proves(chain.digits, first)) return emit(view, start, end, rule.type, rule.rule, 0.75);
  }
  return false;
};

/** The groups with dashes between them, four at most, as the number of a licence. */
const takeLicence = (view: TextView, chain: NumberChain, from: number): number => {
  let count = 1;
  let digits = chain.width(from);
  while (count < 4 && chain.gap(from + count) === DASH_GAP) {
    digits += chain.width(from + count);
    count += 1;
  }
  if (digits < 7 || digits > 16) return 0;
  const end = chain.ends[from + count - 1] as number;
  emit(view, chain.starts[from] as number, end, 'DRIVERS_LICENSE', 'license-context', 0.7);
  return count;
};

/** Numbers that are written with more than one sign between their groups: `529.982.247-25`, `85.07.30-033.28`. */
interface Written {
  readonly rule: string;
  readonly widths: readonly number[];
  /** Before each group but the first. */
  readonly gaps: readonly number[];
  readonly proves: DigitRule['proves'];
}
const WRITTEN: readonly Written[] = [
  { rule: 'br-cpf', widths: [3, 3, 3, 2], gaps: [DOT_GAP, DOT_GAP, DASH_GAP], proves: isCpf },
  { rule: 'be-national', widths: [2, 2, 2, 3, 2], gaps: [DOT_GAP, DOT_GAP, DASH_GAP, DOT_GAP], proves: isBelgian },
];

/** The end of such a number, or -1. */
const matchWritten = (view: TextView, chain: NumberChain, from: number): number => {
  // All of them begin with a dot, and have a dash before the fourth group.
  if (chain.gap(from + 1) !== DOT_GAP || chain.gap(from + 3) !== DASH_GAP) return -1;
  for (const { rule, widths, gaps, proves } of WRITTEN) {
    const last = from + widths.length - 1;
    if (!widths.every((width, index) => chain.width(from + index) === width)) continue;
    if (!gaps.every((gap, index) => chain.gap(from + 1 + index) === gap)) continue;
    if (!proves(chain.digits, chain.firsts[from] as number)) continue;
    emit(view, chain.starts[from] as number, chain.ends[last] as number, 'NATIONAL_ID', rule, 0.85);
    return chain.ends[last] as number;
  }
  return -1;
};

const NINO = /(?<![A-Z])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] \d\d \d\d \d\d [A-D](?![A-Z])/uy;

/** A British number whose first group of digits this is, between its letters: its end, or -1. */
const matchNino = (view: TextView, start: number, end: number): number => {
  const { units } = view;
  if (end - start !== 2 || units[start - 1] !== 32 || start < 3 || (kind(units, start - 2) & UPPER) === 0) return -1;
  NINO.lastIndex = start - 3;
  if (!NINO.test(view.text)) return -1;
  emit(view, start - 3, start + 10, 'NATIONAL_ID', 'uk-nino', 0.85);
  return start + 10;
};

const MONTH =
  'jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?';
const DATE = new RegExp(
  `\\d{4}[-/.]\\d{1,2}[-/.]\\d{1,2}|\\d{1,2}[-/. ]\\d{1,2}[-/. ](?:\\d{4}|\\d{2})|\\d{1,2}(?:st|nd|rd|th)? (?:of )?(?:${MONTH}),? \\d{4}|(?:${MONTH})\\.? \\d{1,2}(?:st|nd|rd|th)?,? \\d{4}|(?:19|20)\\d{6}`,
  'iu',
);
/** How far behind the word the date may stand. */
const BIRTH_WINDOW = 40;

const hasDigit = (units: Uint16Array, from: number, end: number): boolean => {
  for (let at = from; at < end; at += 1) {
    const code = units[at] as number;
    if (code >= 48 && code <= 57) return true;
  }
  return false;
};

/** A word about birth ends at `end`: the next date is a date of birth. */
export const matchBirth = (view: TextView, end: number): void => {
  if (end < view.birthUntil || !hasDigit(view.units, end, end + BIRTH_WINDOW)) return;
  const ahead = view.text.slice(end, end + BIRTH_WINDOW);
  const date = DATE.exec(ahead);
  if (date === null) return;
  const start = end + date.index;
  const to = start + date[0].length;
  if ((kind(view.units, to) & DIGIT) !== 0 || (kind(view.units, start - 1) & (DIGIT | SPACE)) === DIGIT) return;
  view.birthUntil = to;
  emit(view, start, to, 'DATE_OF_BIRTH', 'birth-context', 0.8);
};
