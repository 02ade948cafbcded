/** Values as in `src/content/secret-values.ts`, by texts and regular expressions, for the tests. */
import { ALNUM, DIGIT, KINDS, LOWER, SPACE, UPPER, WORD } from '../../src/content/characters.ts';
import type { NameStrength } from '../../src/content/secret-values.ts';

const entropyOf = (text: string): number => {
  const counts = new Map<string, number>();
  for (let at = 0; at < text.length; at += 1) counts.set(text.charAt(at), (counts.get(text.charAt(at)) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
};

const FILLER = new Set('xX*.-_0#?•…'.split('').map((character) => character.charCodeAt(0)));

/** `xxxxxxxx`, `********`, `00000000`, `....`, and runs of eight and more x inside: nothing that could be used. */
const isFiller = (text: string, from: number, end: number): boolean => {
  const first = text.charCodeAt(from);
  let same = true;
  let exes = 0;
  let filler = true;
  for (let at = from; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code !== first) same = false;
    if (!FILLER.has(code)) filler = false;
    exes = code === 120 || code === 88 ? exes + 1 : 0;
    if (exes >= 8) return true;
  }
  return filler || (same && FILLER.has(first));
};

const PLACEHOLDER =
  /^(?:\$\{?\w|\$\(|\{\{?|<[\w\s.-]{1,60}>?|%[\w(]|@[\w{]|#\{|\[[A-Z_ ]+\]|your?[-_ ]?|my[-_ ]?(?:secret|password|token|key|api)|example|sample|dummy|fake|placeholder|change[-_ ]?me|replace|insert|enter[-_ ]|put[-_ ]|todo|tbd|redacted|\[redacted|masked|hidden|none$|null$|nil$|undefined$|true$|false$|yes$|no$|n\/a|empty$|default$|string$|str$|number$|int$|bool|object$|optional|required|process\.env|os\.environ|getenv|env\.|import\.meta|var\.|vars\.|secrets\.|local\.|module\.|data\.|config\.|params\.|self\.|this\.|settings\.|options\.|args\.|req\.|request\.|props\.|vault:|ref\+|arn:|op:\/\/|ssm:|env:|file:)/iu;

const STAND_IN_END = /(?:EXAMPLE|[_-]here>?|\.\.\.)$/iu;
const STAND_IN = /[-_](?:goes|placeholder)\b/iu;

/** A reference to a secret, a template, a word that stands for one. */
const isPlaceholder = (value: string): boolean =>
  value.length < 3 ||
  value.startsWith('-----') ||
  /^[a-z][a-z0-9+.-]{1,20}:\/\//iu.test(value) ||
  isFiller(value, 0, value.length) ||
  PLACEHOLDER.test(value) ||
  (value.length <= 200 && (STAND_IN_END.test(value) || STAND_IN.test(value)));

/** `const x = getPassword()`, `a.b.c`, `TokenType.Bearer`: code that names a value, not the value. */
const CODE = /^(?:[a-z_$][\w$]*(?:(?:\.|::|->)[a-z_$][\w$]*)+\(?|[\w$.]+\(|new |function\b|async |await |\w+\[)/iu;

/** Only where a sign of code follows the first name: most values end here. */
const looksLikeCode = (value: string): boolean => {
  let at = 0;
  while (at < value.length && ((KINDS[value.charCodeAt(at)] as number) & WORD) !== 0) at += 1;
  const code = value.charCodeAt(at);
  // $ ( - . : [ and a space; what is not ASCII may fold into a letter
  const sign = code === 36 || code === 40 || code === 45 || code === 46 || code === 58 || code === 91 || code === 32;
  return (sign || code >= 0x80 || /^function\b/iu.test(value)) && CODE.test(value);
};

/** Words, camelCase and snake_case names, file paths: what stands beside a name and is no secret. */
const NAME = /^(?:[A-Za-z]+(?:[ _.-][A-Za-z]+)*\d{0,2}|\.{0,2}\/[\w./-]*|https?:\/\/[^\s:@]+)$/u;

const SHORTEST: Readonly<Record<NameStrength, number>> = { password: 4, secret: 8, weak: 10 };

/** `quoted`: the value stood between quotes, or is the whole value of a field. */
export const isSecretValue = (value: string, strength: NameStrength, quoted: boolean): boolean => {
  if (value.length < SHORTEST[strength]) return false;
  // The cheapest first: most values behind a weak name are words.
  if (strength === 'weak' && !isRandom(value)) return false;
  if (isPlaceholder(value)) return false;
  if (!quoted && looksLikeCode(value) && (value.length < 40 || !/\d/u.test(value) || /[()[\]]/u.test(value)))
    return false;
  if (strength === 'weak') return true;
  if (strength === 'secret') return !(NAME.test(value) && (value.length < 20 || entropyOf(value) < 3.6));
  return quoted || value.length >= 24 || !/^[A-Za-z]+[.,;:!?]?$/u.test(value);
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/iu;

const isLetter = (code: number): boolean => ((KINDS[code] as number) & (LOWER | UPPER)) !== 0;
const isDigit = (code: number): boolean => code >= 48 && code <= 57;

/** A word with a short number, a number, a version: `jackson2`, `20240131`, `v12`, `3a`, `rc1`. */
const isPart = (value: string, from: number, end: number): boolean => {
  let at = from;
  while (at < end && isLetter(value.charCodeAt(at))) at += 1;
  const letters = at - from;
  while (at < end && isDigit(value.charCodeAt(at))) at += 1;
  const digits = at - from - letters;
  const versioned = letters === 0 || (letters === 1 && value.charCodeAt(from) === 118);
  if (at === end) return digits <= 5 || versioned || (letters === 2 && value.startsWith('rc', from));
  return versioned && digits > 0 && at + 1 === end && isLetter(value.charCodeAt(at));
};

const isSeparator = (code: number): boolean =>
  // + , - . / : = _
  code === 43 || (code >= 44 && code <= 47) || code === 58 || code === 61 || code === 95;

/** `jjwt-jackson-0.11.2`, `id-Gost28147-89-None`: words and short numbers between separators. */
const isCompound = (value: string): boolean => {
  let parts = 0;
  let from = 0;
  for (let at = 0; at <= value.length; at += 1) {
    if (at < value.length && !isSeparator(value.charCodeAt(at))) continue;
    if (at > from) {
      if (!isPart(value, from, at) || (at - from >= 10 && isJumbled(value.slice(from, at)))) return false;
      parts += 1;
    }
    from = at + 1;
  }
  return parts > 1;
};

/** Letters that change case more often than words do: `sudAYxqVIhaWXi`. */
const isJumbled = (value: string): boolean => {
  if (value.length < 10) return false;
  let changes = 0;
  let shouts = 0;
  let before = 0;
  let capitals = 0;
  for (let at = 0; at < value.length; at += 1) {
    const now = (KINDS[value.charCodeAt(at)] as number) & (LOWER | UPPER);
    if ((before | now) === (LOWER | UPPER)) changes += 1;
    capitals = now === UPPER ? capitals + 1 : 0;
    if (capitals === 2) shouts += 1;
    before = now;
  }
  return changes >= value.length * 0.36 && shouts >= 2;
};

/** The alphabet, or ten digits in order: a table of characters, or an example. */
const SEQUENCE = {
  test: (value: string): boolean => FOLDED_SEQUENCE.test(value.replaceAll(/[A-Z]/gu, (letter) => letter.toLowerCase())),
};
const FOLDED_SEQUENCE = /abcdefgh|hijklmno|qrstuvwx|01234567|12345678901234/u;

/** Spaces, brackets: code and prose, not one token. */
const isForbidden = (code: number): boolean =>
  ((KINDS[code] as number) & SPACE) !== 0 ||
  code === 60 ||
  code === 62 ||
  code === 40 ||
  code === 41 ||
  code === 123 ||
  code === 125;

/** Long enough, mixed, and with more surprise in it than names and numbers have. */
const isRandom = (value: string): boolean => {
  const { length } = value;
  if (length < 10 || length > 4096) return false;
  let kinds = 0;
  let letters = 0;
  let digits = 0;
  let strange = false;
  for (let at = 0; at < length; at += 1) {
    const code = value.charCodeAt(at);
    if (isForbidden(code)) return false;
    const bits = (KINDS[code] as number) & ALNUM;
    if (bits === DIGIT) digits += 1;
    else if (bits !== 0) letters += 1;
    kinds |= bits;
    strange ||= code >= 0x80;
  }
  if (strange && /\s/u.test(value)) return false;
  if (letters === length) return length >= 12 && isJumbled(value) && !SEQUENCE.test(value) && entropyOf(value) >= 3.1;
  if (digits === length) return length >= 15 && !SEQUENCE.test(value);
  if (NAME.test(value) && !isJumbled(value)) return false;
  if (length === 36 && UUID.test(value)) return true;
  if (digits === 0 || (kinds & (LOWER | UPPER)) === 0) return false;
  if (entropyOf(value) < (length < 18 ? 3 : 3.2)) return false;
  if (/^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|^v?\d+\.\d+(?:\.|$)/u.test(value)) return false;
  return !SEQUENCE.test(value) && !isCompound(value);
};
