/** Numbers that authorities give to people: by their check digits where they have some, else by what is said of them. */
import { ALNUM, DIGIT, KINDS, SPACE } from './characters.ts';
import { mod97 } from './checksums.ts';
import { joinGroups, type Group } from './number-chains.ts';
import type { TextView } from './text-view.ts';

const kind = (text: string, index: number): number => KINDS[text.charCodeAt(index)] ?? 0;

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
  if (mod97(upper.slice(4) + upper.slice(0, 4)) !== 1) return false;
  return emit(view, start, at, 'IBAN', 'iban-mod97', 0.95);
};

/** A token of letters and digits that stands free. */
export const matchIdentityToken = (view: TextView, start: number, end: number): void => {
  const { text } = view;
  const length = end - start;
  if (length < 4 || length > 34) return;
  if (/^[A-Za-z]{2}\d\d/u.test(text.slice(start, start + 4)) && matchIban(view, start)) return;
  if (start > 0 && (kind(text, start - 1) & ALNUM) !== 0) return;
  const { topics } = view;
  const token = text.slice(start, end);
  const digits = token.replaceAll(/\D/gu, '').length;
  if (digits < 4) return;
  if (length >= 6 && length <= 12 && topics.near('passport', start, end, 40)) {
    emit(view, start, end, 'PASSPORT', 'passport-context', 0.75);
  } else if (
    length >= 6 &&
    length <= 19 &&
    digits >= 5 &&
    topics.near('license', start, end, 32) &&
    !topics.near('version', start, end, 32)
  ) {
    emit(view, start, end, 'DRIVERS_LICENSE', 'license-context', 0.7);
  }
};

/** Groups of digits alone; returns how many groups were taken. */
export const matchIdentityDigits = (view: TextView, groups: readonly Group[], from: number): number => {
  const { text, topics } = view;
  const first = groups[from] as Group;
  const length = first.end - first.start;
  if (length >= 7 && length <= 9 && topics.near('passport', first.start, first.end, 40)) {
    emit(view, first.start, first.end, 'PASSPORT', 'passport-context', 0.75);
    return 1;
  }
  if (topics.near('license', first.start, first.end, 32) && !topics.near('version', first.start, first.end, 32)) {
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

const MONTH =
  'jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?';
const DATE = new RegExp(
  `\\d{4}[-/.]\\d{1,2}[-/.]\\d{1,2}|\\d{1,2}[-/. ]\\d{1,2}[-/. ](?:\\d{4}|\\d{2})|\\d{1,2}(?:st|nd|rd|th)? (?:of )?(?:${MONTH}),? \\d{4}|(?:${MONTH})\\.? \\d{1,2}(?:st|nd|rd|th)?,? \\d{4}|(?:19|20)\\d{6}`,
  'iu',
);
/** How far behind the word the date may stand. */
const BIRTH_WINDOW = 40;

/** A word about birth ends at `end`: the next date is a date of birth. */
export const matchBirth = (view: TextView, end: number): void => {
  if (end < view.birthUntil) return;
  const ahead = view.text.slice(end, end + BIRTH_WINDOW);
  const date = DATE.exec(ahead);
  if (date === null) return;
  const start = end + date.index;
  const to = start + date[0].length;
  if ((kind(view.text, to) & DIGIT) !== 0 || (kind(view.text, start - 1) & (DIGIT | SPACE)) === DIGIT) return;
  view.birthUntil = to;
  emit(view, start, to, 'DATE_OF_BIRTH', 'birth-context', 0.8);
};
