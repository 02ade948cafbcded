/** Numbers of authorities by texts and regular expressions, for the plain reference of the tests. */
import { ALNUM, DASH, UNDERSCORE } from '../../src/content/characters.ts';
import { digitsOf } from '../../src/content/checksums.ts';
import { DIGIT_RULES, isBelgian, isCpf } from '../../src/content/identity-numbers.ts';
import { TOKEN_RULES, isHetu, type Rule } from '../../src/content/identity-rules.ts';
import { TOPIC } from '../../src/content/pii-context.ts';
import type { TextView } from '../../src/content/text-view.ts';
import { followsCode, joinGroups, kind, shapeAt, type Group } from './reference-chains.ts';

const emit = (view: TextView, start: number, end: number, type: string, rule: string, score: number): true => {
  view.emit({ start, end, kind: 'pii', type, rule, score });
  return true;
};

/** Lengths of the IBAN registry (SWIFT, release 99). */
const IBAN_LENGTHS: Readonly<Record<string, number>> = Object.fromEntries(
  'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

const ibanRest = (compact: string): number => {
  let rest = 0;
  for (const character of compact.slice(4) + compact.slice(0, 4))
    rest = Number(`${rest}${Number.parseInt(character, 36)}`) % 97;
  return rest;
};

/** ISO 13616: country, two check digits, and as many characters as that country has; spaces and dashes between groups. */
const matchIban = (view: TextView, start: number): boolean => {
  const { text } = view;
  const length = IBAN_LENGTHS[text.slice(start, start + 2).toUpperCase()];
  if (length === undefined) return false;
  let compact = '';
  let at = start;
  while (compact.length < length && at < text.length) {
    if ((kind(text, at) & ALNUM) !== 0) compact += text.charAt(at);
    else if (compact.length < 4 || !/[ \-\u00A0]/u.test(text.charAt(at)) || (kind(text, at - 1) & ALNUM) === 0) break;
    at += 1;
  }
  if (compact.length !== length || (kind(text, at) & ALNUM) !== 0) return false;
  const upper = compact.toUpperCase();
  if (ibanRest(upper) !== 1) return false;
  return emit(view, start, at, 'IBAN', 'iban-mod97', 0.95);
};

/** Longest of the tokens above, with the dashes that some are written with. */
const LONGEST_TOKEN = 34;
const LONGEST_DASHED = 20;

/** A token of letters and digits around a digit. Returns where the search goes on. */
export const matchIdentityToken = (view: TextView, start: number, end: number): number => {
  const { text, topics } = view;
  if (end - start > LONGEST_TOKEN + 8) return end;
  const dashed = view.runEnd(start, ALNUM | DASH);
  if (dashed > end && dashed - start <= LONGEST_DASHED && matchToken(view, start, dashed)) return dashed;
  if (/^[A-Za-z]{2}\d\d/u.test(text.slice(start, start + 4)) && matchIban(view, start)) return end;
  if (matchToken(view, start, end)) return end;
  const length = end - start;
  if (length < 6 || length > 19 || text.slice(start, end).replaceAll(/\D/gu, '').length < 4) return end;
  if (length <= 12 && topics.near(TOPIC.passport, start, end, 40, 24)) {
    emit(view, start, end, 'PASSPORT', 'passport-context', 0.75);
  } else if (isLicence(view, start, end)) {
    emit(view, start, end, 'DRIVERS_LICENSE', 'license-context', 0.7);
  }
  return end;
};

const isLicence = (view: TextView, start: number, end: number): boolean =>
  view.topics.near(TOPIC.license, start, end, 32) && !view.topics.near(TOPIC.version, start, end, 32);

const spokenOf = (view: TextView, rule: Rule, start: number, end: number): boolean =>
  rule.needs === undefined || rule.needs.some((topic) => view.topics.near(TOPIC[topic], start, end, 48));

/** Only the rules whose pattern a token of that length can fit. */
const TOKENS_BY_LENGTH: readonly (typeof TOKEN_RULES)[] = Array.from({ length: LONGEST_TOKEN + 1 }, (_, length) =>
  TOKEN_RULES.filter(({ shapes }) => shapes.some((shape) => shape.length === length)),
);

const matchToken = (view: TextView, start: number, end: number): boolean => {
  if (start > 0 && (kind(view.text, start - 1) & (ALNUM | UNDERSCORE)) !== 0) return false;
  if ((kind(view.text, end) & (ALNUM | UNDERSCORE)) !== 0) return false;
  if (end - start < 9 || end - start > LONGEST_TOKEN) return false;
  const token = view.text.slice(start, end);
  const compact = token.includes('-') ? token.replaceAll('-', '') : token;
  const upper = compact.toUpperCase();
  for (const rule of TOKENS_BY_LENGTH[compact.length] ?? []) {
    const subject = rule.type === 'CRYPTO_ADDRESS' ? compact : upper;
    if (rule.pattern.test(subject) && rule.proves(subject) && spokenOf(view, rule, start, end)) {
      return emit(view, start, end, rule.type, rule.rule, 0.8);
    }
  }
  if (
    token.length === 11 &&
    /^\d{6}[-+A-FU-Y]\d{3}[0-9A-Y]$/u.test(token.toUpperCase()) &&
    isHetu(token.toUpperCase())
  ) {
    return emit(view, start, end, 'NATIONAL_ID', 'fi-hetu', 0.85);
  }
  return false;
};

/** By the lengths of the first two groups; a rule of one group stands under a second length of 0. */
const RULES_BY_SHAPE: ReadonlyMap<number, typeof DIGIT_RULES> = Map.groupBy(
  DIGIT_RULES,
  ({ shape: [first = 0, second = 0] }) => first * 64 + second,
);
const NO_RULES: typeof DIGIT_RULES = [];

const groupsUntil = (groups: readonly Group[], from: number, end: number): number => {
  let count = 1;
  while (from + count < groups.length && (groups[from + count] as Group).start < end) count += 1;
  return count;
};

/** Groups of digits alone; returns how many groups were taken. */
export const matchIdentityDigits = (view: TextView, groups: readonly Group[], from: number): number => {
  const { text, topics } = view;
  const first = groups[from] as Group;
  const length = first.end - first.start;
  const dashed = view.runEnd(first.start, ALNUM | DASH);
  if (dashed > first.end && dashed - first.start <= LONGEST_DASHED && matchToken(view, first.start, dashed))
    return groupsUntil(groups, from, dashed);
  const next = groups[from + 1];
  const several = next === undefined ? NO_RULES : (RULES_BY_SHAPE.get(length * 64 + next.end - next.start) ?? NO_RULES);
  const alone = RULES_BY_SHAPE.get(length * 64) ?? NO_RULES;
  for (const rule of several === NO_RULES ? alone : [...several, ...alone]) {
    if (!shapeAt(groups, from, rule.shape, rule.gaps ?? ' -.\u00A0')) continue;
    if (followsCode(text, (groups[0] as Group).start) || text[first.start - 1] === '.') break;
    const last = groups[from + rule.shape.length - 1] as Group;
    if ((kind(text, last.end) & ALNUM) !== 0 || topics.near(TOPIC.phone, first.start, last.end, 24)) continue;
    if (
      !rule.proves(digitsOf(joinGroups(text, groups, from, rule.shape.length)), 0) ||
      !spokenOf(view, rule, first.start, last.end)
    )
      continue;
    emit(view, first.start, last.end, rule.type, rule.rule, 0.75);
    return rule.shape.length;
  }
  const shaped = matchShaped(view, first);
  if (shaped !== -1) return groupsUntil(groups, from, shaped);
  if (length >= 6 && length <= 9 && topics.near(TOPIC.passport, first.start, first.end, 40, 24)) {
    emit(view, first.start, first.end, 'PASSPORT', 'passport-context', 0.75);
    return 1;
  }
  if (isLicence(view, first.start, first.end)) {
    let count = 1;
    while (from + count < groups.length && count < 4 && (groups[from + count] as Group).gap === '-') count += 1;
    const digits = joinGroups(text, groups, from, count);
    if (digits.length >= 7 && digits.length <= 16) {
      emit(view, first.start, (groups[from + count - 1] as Group).end, 'DRIVERS_LICENSE', 'license-context', 0.7);
      return count;
    }
  }
  return 0;
};

/** Numbers with letters or signs of their own between the groups. */
const NINO = /(?<![A-Z])(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] \d\d \d\d \d\d [A-D](?![A-Z])/uy;
const CPF = /\d{3}\.\d{3}\.\d{3}-\d\d(?!\d)/uy;
const BELGIAN = /\d\d\.\d\d\.\d\d-\d{3}\.\d\d(?!\d)/uy;

/** The end of such a number, or -1. */
const matchShaped = (view: TextView, { start, end }: Group): number => {
  const { text } = view;
  if (end - start === 2 && text[start - 1] === ' ') {
    NINO.lastIndex = start - 3;
    if (start >= 3 && NINO.test(text)) {
      emit(view, start - 3, start + 10, 'NATIONAL_ID', 'uk-nino', 0.85);
      return start + 10;
    }
  }
  if (end - start === 2) {
    BELGIAN.lastIndex = start;
    if (BELGIAN.test(text) && isBelgian(digitsOf(text.slice(start, start + 15)), 0)) {
      emit(view, start, start + 15, 'NATIONAL_ID', 'be-national', 0.85);
      return start + 15;
    }
  }
  if (end - start === 3 && text[end] === '.') {
    CPF.lastIndex = start;
    if (CPF.test(text) && isCpf(digitsOf(text.slice(start, start + 14)), 0)) {
      emit(view, start, start + 14, 'NATIONAL_ID', 'br-cpf', 0.85);
      return start + 14;
    }
  }
  return -1;
};
