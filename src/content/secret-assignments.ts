/** `password=…`, `"api_key": "…"`, `<Token>…</Token>`, `--secret …`, `my password is …`: a name, an operator, a value. */
import { DASH, DOT, KINDS, SPACE, WORD } from './characters.ts';
import { secretNameAt } from './secret-names.ts';
import { isSecretValue } from './secret-values.ts';
import type { TextView } from './text-view.ts';

/** Words inside names; where one stands, the whole name around it is judged. */
export const NAME_WORDS: readonly string[] = [
  'passw',
  'pwd',
  'passphrase',
  'passcode',
  'pass',
  'passwort',
  'secret',
  'token',
  'key',
  'auth',
  'credential',
  'creds',
  'access',
  'cookie',
  'jwt',
  'connection string',
  'senha',
  'otp',
  'salt',
  'api',
];

const NAME_ALPHABET = WORD | DASH | DOT;
const LONGEST_NAME = 64;
/** So much of a value is looked at to judge it. */
const LONGEST_JUDGED = 256;

const isSpace = (units: Uint16Array, index: number): boolean =>
  ((KINDS[units[index] as number] as number) & SPACE) !== 0;
const isBlank = (code: number): boolean => code === 32 || code === 9;
const isQuote = (code: number): boolean => code === 34 || code === 39 || code === 96;
const BACKSLASH = 92;
const NEWLINE = 10;

const skipSpaces = (units: Uint16Array, from: number, limit: number): number => {
  let index = from;
  while (index < from + limit && isSpace(units, index)) index += 1;
  return index;
};

/** How many times `code` stands from `from` on, at most `limit`. */
const repeats = (units: Uint16Array, from: number, code: number, limit: number): number => {
  let count = 0;
  while (count < limit && units[from + count] === code) count += 1;
  return count;
};

/** The length of the operator at `index`, or 0: `=` `==` `=>` `:` `::=` `?=` `??=` `+=` `.=` `>` `||` `||=` `<-`. */
const signsAt = (units: Uint16Array, index: number): number => {
  const code = units[index] as number;
  if (code === 61) {
    const count = repeats(units, index, 61, 3);
    return units[index + count] === 62 ? count + 1 : count;
  }
  if (code === 58) {
    const count = repeats(units, index, 58, 3);
    return count + repeats(units, index + count, 61, 4 - count);
  }
  if (code === 63) {
    const count = repeats(units, index, 63, 2);
    return units[index + count] === 61 ? count + 1 : 0;
  }
  if (code === 62) return 1;
  const next = units[index + 1] as number;
  if (code === 43 || code === 46) return next === 61 ? 2 : 0;
  if (code === 60) return next === 45 ? 2 : 0;
  if (code !== 124 || next !== 124) return 0;
  return units[index + 2] === 61 ? 3 : 2;
};

/** May a declared type begin at `index`? After one word comes `=`, `[`, `*`, a space and `=`, or the second of two words. */
const maybeTyped = (units: Uint16Array, index: number): boolean => {
  let from = index;
  if (units[from] === 58) from += units[from + 1] === 32 ? 2 : 1;
  let at = from;
  while (at < from + 13 && ((KINDS[units[at] as number] as number) & WORD) !== 0) at += 1;
  if (at === from) return false;
  const code = units[at] as number;
  if (code === 61 || code === 91 || code === 42) return true;
  return code === 32 && (units[at + 1] === 61 || units[at + 1] === 99);
};

const TYPED = /^(?:: ?)?(?:string|str|String|const char\*?|char\*?|\w{1,12}\[\]) ?= ?/u;
const LONGEST_TYPED = 32;
const BE = /^(?:is|was|are)(?: now| set to)?:? /iu;

/** Where the operator after a name ends, negative when it is loose (a space, `is`, a comma: it needs a convincing value), or 0. */
const operatorEnd = (view: TextView, from: number): number => {
  const { units } = view;
  let index = from;
  for (; index < from + 4; index += 1) {
    const code = units[index] as number;
    if (!isQuote(code) && code !== BACKSLASH && code !== 93) break;
  }
  const closed = index > from;
  const blanks = index + 12;
  while (index < blanks && isBlank(units[index] as number)) index += 1;
  const first = units[index] as number;
  // A declared type between name and operator: `var token string = "…"`, `password: str = "…"`.
  if (maybeTyped(units, index)) {
    const typed = TYPED.exec(view.text.slice(index, index + LONGEST_TYPED));
    if (typed !== null) return index + typed[0].length;
  }
  // <add key="Password" value="…"/>
  if (closed) {
    const attribute = isQuote(units[index - 1] as number) ? index : index - 1;
    if (units[attribute] === 32 && /^ value ?= ?/u.test(view.text.slice(attribute, index + 9)))
      return view.text.indexOf('=', index) + 1;
  }
  const signs = signsAt(units, index);
  if (signs > 0) return index + signs;
  if (closed && first === 44) return -(index + 1);
  // i, w, a
  const letter = first | 32;
  if (letter !== 105 && letter !== 119 && letter !== 97) return 0;
  const words = BE.exec(view.text.slice(index, index + 16));
  return words === null ? 0 : -(index + words[0].length);
};

interface Value {
  readonly start: number;
  readonly end: number;
  readonly quoted: boolean;
}

/** What ends a value that stands without quotes, besides spaces. */
const ENDS_VALUE = new Uint8Array(128);
for (const sign of '"\'`,;<>|&)}]') ENDS_VALUE[sign.charCodeAt(0)] = 1;
/** After a backslash: `\\n`, `\\r`, `\\t` and quotes end a value as well. */
const isEscapedEnd = (code: number): boolean =>
  code === 110 || code === 114 || code === 116 || code === 34 || code === 39;

/** The end of the value that stands without quotes at `start`. */
const plainEnd = ({ units, length }: TextView, start: number): number => {
  let end = start;
  for (; end < length; end += 1) {
    const code = units[end] as number;
    if (((KINDS[code] as number) & SPACE) !== 0 || (code < 128 && ENDS_VALUE[code] === 1)) break;
    if (code === BACKSLASH && isEscapedEnd(units[end + 1] as number)) break;
  }
  return end;
};

/** The value between quotes; one that is not closed on its line ends at the next space or quote. */
const quotedValue = ({ units, length }: TextView, start: number, quote: number, escaped: boolean): Value => {
  for (let index = start; index < length; index += 1) {
    const code = units[index] as number;
    if (code === quote) {
      const end = escaped && units[index - 1] === BACKSLASH ? index - 1 : index;
      return { start, end, quoted: true };
    }
    if (code === NEWLINE) break;
    if (code === BACKSLASH && !escaped) index += 1;
  }
  let end = start;
  while (end < length && !isSpace(units, end) && !isQuote(units[end] as number)) end += 1;
  return { start, end, quoted: false };
};

/** b'…', f"…", @"…", u'…', r"…" */
const isLiteralPrefix = (code: number): boolean => {
  const letter = code | 32;
  return code === 64 || letter === 98 || letter === 102 || letter === 114 || letter === 117;
};

const hasNewline = (units: Uint16Array, from: number, end: number): boolean => {
  for (let index = from; index < end; index += 1) if (units[index] === NEWLINE) return true;
  return false;
};

const readValue = (view: TextView, from: number): Value | undefined => {
  const { units } = view;
  let start = skipSpaces(units, from, 40);
  if (units[start] === BACKSLASH && units[start + 1] === 110) start = skipSpaces(units, start + 2, 40);
  const escaped = units[start] === BACKSLASH && isQuote(units[start + 1] as number);
  let opening = escaped ? start + 1 : start;
  if (isLiteralPrefix(units[opening] as number) && isQuote(units[opening + 1] as number)) opening += 1;
  const quote = units[opening] as number;
  if (isQuote(quote)) return quotedValue(view, opening + 1, quote, escaped);
  if (start >= view.valueStart && start < view.valueEnd) return { start, end: view.valueEnd, quoted: false };
  const end = plainEnd(view, start);
  view.valueStart = start;
  view.valueEnd = end;
  const last = units[end - 1] as number;
  // The next line is no value of this one when it is a name itself.
  if ((last === 61 || last === 58) && hasNewline(units, from, start)) return undefined;
  return { start, end, quoted: false };
};

/** A hit on one of `NAME_WORDS` at `wordStart`, ending before `wordEnd`. */
export const matchAssignment = (view: TextView, wordStart: number, wordEnd: number): void => {
  if (wordEnd <= view.takenUntil) return;
  const { units } = view;
  const nameEnd = view.runEnd(wordEnd - 1, NAME_ALPHABET);
  if (nameEnd - wordEnd > LONGEST_NAME) return;
  const nameStart = view.runStart(wordStart, NAME_ALPHABET, LONGEST_NAME);
  // Another word of the same name: nothing new.
  if (nameStart === view.nameStart && nameEnd === view.nameEnd) return;
  view.nameStart = nameStart;
  view.nameEnd = nameEnd;
  const operator = operatorEnd(view, nameEnd);
  if (operator === 0) {
    matchOption(view, nameStart, nameEnd);
    return;
  }
  // Two words: `API key: …`, `secret access key = …`.
  const twoWords = nameStart > 1 && isBlank(units[nameStart - 1] as number);
  const strength = secretNameAt(units, twoWords ? view.runStart(nameStart - 1, WORD, 16) : nameStart, nameEnd);
  if (strength === undefined) return;
  view.takenUntil = nameEnd;
  const loose = operator < 0;
  const value = readValue(view, Math.abs(operator));
  if (value === undefined || value.end <= value.start) return;
  const judged = Math.min(value.end, value.start + LONGEST_JUDGED);
  const believed = loose && strength === 'secret' ? 'weak' : strength;
  const length = judged - value.start;
  if (view.judge(length) ? !isSecretValue(view, value.start, judged, believed, value.quoted && !loose) : length < 8) {
    matchScheme(view, value.start);
    return;
  }
  if (loose && !value.quoted && !/\d|[^\w.,;:!?'"()-]/u.test(view.text.slice(value.start, judged))) return;
  const end = loose && value.end === judged ? trimmedEnd(units, value.start, judged) : value.end;
  view.takenUntil = end;
  emit(view, value.start, end, 'assignment');
};

/** Without the punctuation of the sentence around it. */
const trimmedEnd = (units: Uint16Array, from: number, to: number): number => {
  let end = to;
  while (end > from && '.,;:!?)'.includes(String.fromCharCode(units[end - 1] as number))) end -= 1;
  return end;
};

const SCHEME = /^(?:Bearer|Basic|Token|Digest|Api-?Key|Api-Token|Negotiate|SSWS|GenieKey)\s{1,4}/iu;

const SCHEME_STARTS = new Uint8Array(128);
for (const sign of 'aAbBdDgGnNsStT') SCHEME_STARTS[sign.charCodeAt(0)] = 1;

/** `Authorization: Bearer …`, `token: Basic …`: the word after the operator is the scheme, the next one the secret. */
const matchScheme = (view: TextView, from: number): void => {
  if (SCHEME_STARTS[view.units[from] as number] !== 1) return;
  const scheme = SCHEME.exec(view.text.slice(from, from + 16));
  if (scheme === null) return;
  const value = readValue(view, from + scheme[0].length);
  if (value === undefined) return;
  if (isSecretValue(view, value.start, value.end, 'secret', true)) emit(view, value.start, value.end, 'authorization');
};

/** `--password hunter22`, `-passphrase x9…`: an option and its value. */
const matchOption = (view: TextView, nameStart: number, nameEnd: number): void => {
  const { units } = view;
  if (units[nameStart] !== 45 || units[nameEnd] !== 32) return;
  const strength = secretNameAt(units, nameStart, nameEnd);
  if (strength === undefined) return;
  const value = readValue(view, nameEnd);
  if (value === undefined || units[value.start] === 45) return;
  if (isSecretValue(view, value.start, value.end, strength, true)) emit(view, value.start, value.end, 'option');
};

const emit = (view: TextView, start: number, end: number, rule: string): void =>
  view.emit({ start, end, kind: 'secret', type: 'SECRET', rule, score: 0.8 });
