/** `password=…`, `"api_key": "…"`, `<Token>…</Token>`, `--secret …`, `my password is …`: a name, an operator, a value. */
import { DASH, DOT, KINDS, SPACE, WORD } from './characters.ts';
import { secretName } from './secret-names.ts';
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
const LONGEST_VALUE = 65_536;
/** So much of a value is looked at to judge it. */
const LONGEST_JUDGED = 256;

const at = (text: string, index: number): string => text.charAt(index);
const isSpace = (text: string, index: number): boolean => ((KINDS[text.charCodeAt(index)] ?? 0) & SPACE) !== 0;
const isBlank = (text: string, index: number): boolean => text[index] === ' ' || text[index] === '\t';
const isQuote = (character: string): boolean => character === '"' || character === "'" || character === '`';

/** Skips at most `limit` characters that `skip` accepts. */
const skipWhile = (
  text: string,
  from: number,
  limit: number,
  skip: (text: string, index: number) => boolean,
): number => {
  let index = from;
  while (index < text.length && index < from + limit && skip(text, index)) index += 1;
  return index;
};

/** Where the operator after a name ends, or -1. `loose` operators (a space, `is`, a comma) need a convincing value. */
const operatorEnd = (text: string, from: number): { readonly end: number; readonly loose: boolean } | undefined => {
  let index = skipWhile(text, from, 4, (all, i) => isQuote(at(all, i)) || at(all, i) === '\\' || at(all, i) === ']');
  const closed = index > from;
  index = skipWhile(text, index, 12, isBlank);
  const rest = text.slice(index, index + 4);
  // A declared type between name and operator: `var token string = "…"`, `password: str = "…"`.
  const typed = /^(?:: ?)?(?:string|str|String|const char\*?|char\*?|\w{1,12}\[\]) ?= ?/u.exec(
    text.slice(index, index + 32),
  );
  if (typed !== null) return { end: index + typed[0].length, loose: false };
  // <add key="Password" value="…"/>
  const attribute = /^ value ?= ?/u.exec(
    text.slice(closed && isQuote(at(text, index - 1)) ? index : index - 1, index + 9),
  );
  if (closed && attribute !== null) return { end: text.indexOf('=', index) + 1, loose: false };
  const operator = /^(?:={1,3}>?|:{1,3}={0,3}|\?{1,2}=|\+=|\.=|>|\|\|=?|<-)/u.exec(rest);
  if (operator !== null) return { end: index + operator[0].length, loose: false };
  if (rest.startsWith(',') && closed) return { end: index + 1, loose: true };
  const words = /^(?:is|was|are)(?: now| set to)?:? /iu.exec(text.slice(index, index + 16));
  if (words !== null) return { end: index + words[0].length, loose: true };
  return undefined;
};

interface Value {
  readonly start: number;
  readonly end: number;
  readonly quoted: boolean;
}

const readValue = (view: TextView, from: number): Value | undefined => {
  const { text } = view;
  let start = skipWhile(text, from, 40, isSpace);
  if (text.startsWith('\\n', start)) start = skipWhile(text, start + 2, 40, isSpace);
  const broken = text.slice(from, start).includes('\n');
  const escaped = at(text, start) === '\\' && isQuote(at(text, start + 1));
  if (escaped) start += 1;
  // Prefixes of string literals: b'…', f"…", @"…", u'…'
  if (/[bfru@]/iu.test(at(text, start)) && isQuote(at(text, start + 1))) start += 1;
  const quote = at(text, start);
  if (isQuote(quote)) {
    start += 1;
    const limit = Math.min(text.length, start + LONGEST_VALUE);
    for (let index = start; index < limit; index += 1) {
      const character = at(text, index);
      if (character === quote)
        return { start, end: escaped && at(text, index - 1) === '\\' ? index - 1 : index, quoted: true };
      if (character === '\n') break;
      if (character === '\\' && !escaped) index += 1;
    }
    return {
      start,
      end: skipWhile(text, start, LONGEST_VALUE, (all, i) => !isSpace(all, i) && !isQuote(at(all, i))),
      quoted: false,
    };
  }
  if (start >= view.valueStart && start < view.valueEnd) return { start, end: view.valueEnd, quoted: false };
  let end = start;
  const limit = Math.min(text.length, start + LONGEST_VALUE);
  while (end < limit && !isSpace(text, end) && !'"\'`,;<>|&)}]'.includes(at(text, end))) {
    if (at(text, end) === '\\' && /[nrt"']/u.test(at(text, end + 1))) break;
    end += 1;
  }
  view.valueStart = start;
  view.valueEnd = end;
  if (broken && /[=:]$/u.test(text.slice(end - 1, end))) return undefined;
  return { start, end, quoted: false };
};

/** A hit on one of `NAME_WORDS` at `wordStart`, ending before `wordEnd`. */
export const matchAssignment = (view: TextView, wordStart: number, wordEnd: number): void => {
  if (wordEnd <= view.takenUntil) return;
  const { text } = view;
  const nameEnd = view.runEnd(wordEnd - 1, NAME_ALPHABET);
  if (nameEnd - wordEnd > LONGEST_NAME) return;
  const operator = operatorEnd(text, nameEnd);
  const nameStart = view.runStart(wordStart, NAME_ALPHABET, LONGEST_NAME);
  const name = text.slice(nameStart, nameEnd);
  if (operator === undefined) {
    matchOption(view, name, nameEnd);
    return;
  }
  // Two words: `API key: …`, `secret access key = …`.
  const before = nameStart > 1 && isBlank(text, nameStart - 1) ? view.runStart(nameStart - 1, WORD, 16) : nameStart;
  const strength = secretName(before < nameStart ? `${text.slice(before, nameStart - 1)} ${name}` : name);
  if (strength === undefined) return;
  view.takenUntil = nameEnd;
  const value = readValue(view, operator.end);
  if (value === undefined || value.end <= value.start) return;
  const literal = text.slice(value.start, Math.min(value.end, value.start + LONGEST_JUDGED));
  const believed = operator.loose && strength === 'secret' ? 'weak' : strength;
  if (view.judge() ? !isSecretValue(literal, believed, value.quoted && !operator.loose) : literal.length < 8) {
    matchScheme(view, value.start);
    return;
  }
  if (operator.loose && !value.quoted && !/\d|[^\w.,;:!?'"()-]/u.test(literal)) return;
  const end =
    operator.loose && value.end - value.start === literal.length ? value.start + trimmedLength(literal) : value.end;
  view.takenUntil = end;
  emit(view, value.start, end, 'assignment');
};

/** Without the punctuation of the sentence around it. */
const trimmedLength = (text: string): number => {
  let { length } = text;
  while (length > 0 && '.,;:!?)'.includes(text.charAt(length - 1))) length -= 1;
  return length;
};

/** `Authorization: Bearer …`, `token: Basic …`: the word after the operator is the scheme, the next one the secret. */
const matchScheme = (view: TextView, from: number): void => {
  const scheme = /^(?:Bearer|Basic|Token|Digest|Api-?Key|Api-Token|Negotiate|SSWS|GenieKey)\s{1,4}/iu.exec(
    view.text.slice(from, from + 16),
  );
  if (scheme === null) return;
  const value = readValue(view, from + scheme[0].length);
  if (value === undefined) return;
  if (isSecretValue(view.text.slice(value.start, value.end), 'secret', true))
    emit(view, value.start, value.end, 'authorization');
};

/** `--password hunter22`, `-passphrase x9…`: an option and its value. */
const matchOption = (view: TextView, name: string, nameEnd: number): void => {
  if (!name.startsWith('-') || view.text[nameEnd] !== ' ') return;
  const strength = secretName(name);
  if (strength === undefined) return;
  const value = readValue(view, nameEnd);
  if (value === undefined || view.text[value.start] === '-') return;
  if (isSecretValue(view.text.slice(value.start, value.end), strength, true))
    emit(view, value.start, value.end, 'option');
};

const emit = (view: TextView, start: number, end: number, rule: string): void =>
  view.emit({ start, end, kind: 'secret', type: 'SECRET', rule, score: 0.8 });
