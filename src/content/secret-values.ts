/** Is this text a secret, given that its name says so? And is it only a stand-in for one? */
import { ALNUM, DIGIT, HEX, KINDS, LOWER, SPACE, UPPER, WORD, entropyOf } from './characters.ts';
import type { Readable } from './units.ts';

/** Marks of stand-ins, as `marksOf` finds them all in one walk. */
const FILLER = 1;
const COLON_SLASHES = 2;
const GOES = 4;

const NO_FILLER = 1;
const IS_X = 2;
const MAY_MARK = 4;
const SIGNS = new Uint8Array(65_536).fill(NO_FILLER);
for (const sign of 'xX*.-_0#?•…') SIGNS[sign.charCodeAt(0)] = 0;
for (const sign of 'xX') SIGNS[sign.charCodeAt(0)] = IS_X;
for (const sign of '-_:') SIGNS[sign.charCodeAt(0)] = (SIGNS[sign.charCodeAt(0)] as number) | MAY_MARK;

const marksOf = (units: Uint16Array, from: number, end: number): number => {
  let marks = 0;
  let exes = 0;
  let seen = 0;
  for (let at = from; at < end; at += 1) {
    const sign = SIGNS[units[at] as number] as number;
    seen |= sign;
    exes = (sign & IS_X) === 0 ? 0 : exes + 1;
    if (exes === 8) return FILLER;
    if ((sign & MAY_MARK) === 0) continue;
    const next = units[at + 1] as number;
    if (units[at] === 58) {
      if (next === 47 && units[at + 2] === 47) marks |= COLON_SLASHES;
    } else if ((next | 32) === 103 || (next | 32) === 112) marks |= GOES;
  }
  return (seen & NO_FILLER) === 0 ? marks | FILLER : marks;
};

/** `xxxxxxxx`, `********`, `00000000`, `....`, and runs of eight and more x inside: nothing that could be used. */
export const isFiller = (units: Uint16Array, from: number, end: number): boolean =>
  (marksOf(units, from, end) & FILLER) !== 0;

const PLACEHOLDER =
  /^(?:\$\{?\w|\$\(|\{\{?|<[\w\s.-]{1,60}>?|%[\w(]|@[\w{]|#\{|\[[A-Z_ ]+\]|your?[-_ ]?|my[-_ ]?(?:secret|password|token|key|api)|example|sample|dummy|fake|placeholder|change[-_ ]?me|replace|insert|enter[-_ ]|put[-_ ]|todo|tbd|redacted|\[redacted|masked|hidden|none$|null$|nil$|undefined$|true$|false$|yes$|no$|n\/a|empty$|default$|string$|str$|number$|int$|bool|object$|optional|required|process\.env|os\.environ|getenv|env\.|import\.meta|var\.|vars\.|secrets\.|local\.|module\.|data\.|config\.|params\.|self\.|this\.|settings\.|options\.|args\.|req\.|request\.|props\.|vault:|ref\+|arn:|op:\/\/|ssm:|env:|file:)/iu;

/** Two letters, or a sign and whatever follows, that one of these may begin with; what is not ASCII may fold into one. */
const PLACEHOLDER_STARTS = (() => {
  const starts = new Uint8Array(128 * 128);
  for (const sign of '${<%@#[') starts.fill(1, sign.charCodeAt(0) * 128, (sign.charCodeAt(0) + 1) * 128);
  const pairs =
    'yo my ex sa du fa pl ch re in en pu to tb ma hi no nu ni un tr fa ye n/ em de st nu bo ob op re pr os ge im va se lo mo da co pa th ar va op ss fi';
  for (const pair of pairs.split(' ')) {
    for (const first of [pair.charAt(0), pair.charAt(0).toUpperCase()])
      for (const second of [pair.charAt(1), pair.charAt(1).toUpperCase()])
        starts[first.charCodeAt(0) * 128 + second.charCodeAt(0)] = 1;
  }
  return starts;
})();

const startsAsPlaceholder = (source: Readable, from: number, to: number): boolean => {
  const { units } = source;
  const first = units[from] as number;
  const second = units[from + 1] as number;
  if (first < 128 && second < 128 && PLACEHOLDER_STARTS[first * 128 + second] === 0) return false;
  return PLACEHOLDER.test(source.text.slice(from, to));
};

const SCHEME = /^[a-z][a-z0-9+.-]{1,20}:\/\//iu;
const STAND_IN_END = /(?:EXAMPLE|[_-]here>?|\.\.\.)$/iu;
const STAND_IN = /[-_](?:goes|placeholder)\b/iu;

/** A reference to a secret, a template, a word that stands for one. */
export const isPlaceholder = (source: Readable, from: number, to: number): boolean => {
  const { units } = source;
  if (to - from < 3 || startsWithDashes(units, from, to)) return true;
  const marks = marksOf(units, from, to);
  if ((marks & FILLER) !== 0) return true;
  if ((marks & COLON_SLASHES) !== 0 && SCHEME.test(source.text.slice(from, to))) return true;
  if (startsAsPlaceholder(source, from, to)) return true;
  if (to - from > 200) return false;
  // e E > .
  const last = units[to - 1] as number;
  const ends = (last | 32) === 101 || last === 62 || last === 46;
  if (ends && STAND_IN_END.test(source.text.slice(from, to))) return true;
  return (marks & GOES) !== 0 && STAND_IN.test(source.text.slice(from, to));
};

const startsWithDashes = (units: Uint16Array, from: number, to: number): boolean => {
  if (to - from < 5) return false;
  for (let at = from; at < from + 5; at += 1) if (units[at] !== 45) return false;
  return true;
};

/** `const x = getPassword()`, `a.b.c`, `TokenType.Bearer`: code that names a value, not the value. */
const CODE = /^(?:[a-z_$][\w$]*(?:(?:\.|::|->)[a-z_$][\w$]*)+\(?|[\w$.]+\(|new |function\b|async |await |\w+\[)/iu;

/** Only where a sign of code follows the first name: most values end here. */
const looksLikeCode = (source: Readable, from: number, to: number): boolean => {
  const { units } = source;
  let at = from;
  while (at < to && ((KINDS[units[at] as number] as number) & WORD) !== 0) at += 1;
  const code = at < to ? (units[at] as number) : 0;
  // $ ( - . : [ and a space; what is not ASCII may fold into a letter
  const sign = code === 36 || code === 40 || code === 45 || code === 46 || code === 58 || code === 91 || code === 32;
  const isFunction = ((units[from] as number) | 32) === 102 && /^function\b/iu.test(source.text.slice(from, to));
  return (sign || code >= 0x80 || isFunction) && CODE.test(source.text.slice(from, to));
};

/** Words, camelCase and snake_case names, file paths: what stands beside a name and is no secret. */
export const isName = (units: Uint16Array, from: number, to: number): boolean =>
  isWords(units, from, to) || isPath(units, from, to) || isPlainUrl(units, from, to);

const isLetterAt = (units: Uint16Array, at: number): boolean =>
  ((KINDS[units[at] as number] as number) & (LOWER | UPPER)) !== 0;

/** Words with single separators, and at most two digits behind the last. */
const isWords = (units: Uint16Array, from: number, to: number): boolean => {
  let at = from;
  for (;;) {
    const start = at;
    while (at < to && isLetterAt(units, at)) at += 1;
    if (at === start) return false;
    const code = units[at];
    // space - . _
    if (at < to && (code === 32 || code === 45 || code === 46 || code === 95)) at += 1;
    else break;
  }
  if (to - at > 2) return false;
  for (; at < to; at += 1) if (!isDigit(units[at] as number)) return false;
  return true;
};

const isPath = (units: Uint16Array, from: number, to: number): boolean => {
  let at = from;
  while (at < from + 2 && units[at] === 46) at += 1;
  if (at >= to || units[at] !== 47) return false;
  for (; at < to; at += 1) {
    const code = units[at] as number;
    // - . /
    if (((KINDS[code] as number) & WORD) === 0 && (code < 45 || code > 47)) return false;
  }
  return true;
};

/** Without an account, a port or a query that names one. */
const isPlainUrl = (units: Uint16Array, from: number, to: number): boolean => {
  for (let at = 0; at < 4; at += 1) if (units[from + at] !== 'http'.charCodeAt(at)) return false;
  let at = from + (units[from + 4] === 115 ? 5 : 4);
  if (units[at] !== 58 || units[at + 1] !== 47 || units[at + 2] !== 47 || at + 3 >= to) return false;
  for (at += 3; at < to; at += 1) {
    const code = units[at] as number;
    if (code === 58 || code === 64 || ((KINDS[code] as number) & SPACE) !== 0) return false;
    if (code >= 0x80 && /\s/u.test(String.fromCharCode(code))) return false;
  }
  return true;
};

/** How much the name vouches for the value: `password` is believed on sight, `key` and `token` need a random look. */
export type NameStrength = 'password' | 'secret' | 'weak';

const SHORTEST: Readonly<Record<NameStrength, number>> = { password: 4, secret: 8, weak: 10 };

/** `quoted`: the value stood between quotes, or is the whole value of a field. */
export const isSecretValue = (
  source: Readable,
  from: number,
  to: number,
  strength: NameStrength,
  quoted: boolean,
): boolean => {
  const { units } = source;
  const length = to - from;
  if (length < SHORTEST[strength]) return false;
  // The cheapest first: most values behind a weak name are words.
  if (strength === 'weak' && !isRandom(source, from, to)) return false;
  if (isPlaceholder(source, from, to)) return false;
  if (!quoted && looksLikeCode(source, from, to)) {
    const value = source.text.slice(from, to);
    if (length < 40 || !/\d/u.test(value) || /[()[\]]/u.test(value)) return false;
  }
  if (strength === 'weak') return true;
  if (strength === 'secret') return !(isName(units, from, to) && (length < 20 || entropyOf(units, from, to) < 3.6));
  return quoted || length >= 24 || !isOneWord(units, from, to);
};

/** Letters, and one sign that ends a sentence. */
const isOneWord = (units: Uint16Array, from: number, to: number): boolean => {
  let at = from;
  while (at < to && isLetterAt(units, at)) at += 1;
  if (at === from || at < to - 1) return false;
  return at === to || '.,;:!?'.includes(String.fromCharCode(units[at] as number));
};

const isDigit = (code: number): boolean => code >= 48 && code <= 57;

/** Five groups of hexadecimal digits (RFC 9562). */
const isUuid = (units: Uint16Array, from: number): boolean => {
  for (let at = 0; at < 36; at += 1) {
    const code = units[from + at] as number;
    const dash = at === 8 || at === 13 || at === 18 || at === 23;
    if (dash ? code !== 45 : ((KINDS[code] as number) & HEX) === 0) return false;
  }
  return true;
};

/** A word with a short number, a number, a version: `jackson2`, `20240131`, `v12`, `3a`, `rc1`. */
const isPart = (units: Uint16Array, from: number, end: number): boolean => {
  let at = from;
  while (at < end && isLetterAt(units, at)) at += 1;
  const letters = at - from;
  while (at < end && isDigit(units[at] as number)) at += 1;
  const digits = at - from - letters;
  const versioned = letters === 0 || (letters === 1 && units[from] === 118);
  if (at === end) return digits <= 5 || versioned || (letters === 2 && units[from] === 114 && units[from + 1] === 99);
  return versioned && digits > 0 && at + 1 === end && isLetterAt(units, at);
};

const isSeparator = (code: number): boolean =>
  // + , - . / : = _
  code === 43 || (code >= 44 && code <= 47) || code === 58 || code === 61 || code === 95;

/** `jjwt-jackson-0.11.2`, `id-Gost28147-89-None`: words and short numbers between separators. */
const isCompound = (units: Uint16Array, start: number, to: number): boolean => {
  let parts = 0;
  let from = start;
  for (let at = start; at <= to; at += 1) {
    if (at < to && !isSeparator(units[at] as number)) continue;
    if (at > from) {
      if (!isPart(units, from, at) || (at - from >= 10 && isJumbled(units, from, at))) return false;
      parts += 1;
    }
    from = at + 1;
  }
  return parts > 1;
};

/** Letters that change case more often than words do: `sudAYxqVIhaWXi`. */
export const isJumbled = (units: Uint16Array, from: number, to: number): boolean => {
  const length = to - from;
  if (length < 10) return false;
  let changes = 0;
  let shouts = 0;
  let before = 0;
  let capitals = 0;
  for (let at = from; at < to; at += 1) {
    const now = (KINDS[units[at] as number] as number) & (LOWER | UPPER);
    if ((before | now) === (LOWER | UPPER)) changes += 1;
    capitals = now === UPPER ? capitals + 1 : 0;
    if (capitals === 2) shouts += 1;
    before = now;
  }
  return changes >= length * 0.36 && shouts >= 2;
};

/**
 * The alphabet, or ten digits in order: a table of characters, or an example. `abcdefgh`, `hijklmno`, `qrstuvwx`,
 * `01234567` and `12345678901234`, in either case.
 */
export const hasSequence = (units: Uint16Array, from: number, to: number): boolean => {
  let run = 0;
  let digits = 0;
  let before = 0;
  for (let at = from; at < to; at += 1) {
    const unit = units[at] as number;
    const code = unit >= 65 && unit <= 90 ? unit | 32 : unit;
    run = code === before + 1 ? run + 1 : 1;
    if (run >= 8 && (code === 104 || code === 111 || code === 120 || code === 55)) return true;
    const next = code === before + 1 || (code === 48 && before === 57);
    digits = isDigit(code) ? (next && isDigit(before) ? digits + 1 : 1) : 0;
    if (digits >= 14 && code === 52) return true;
    before = code;
  }
  return false;
};

/** Spaces, brackets: code and prose, not one token. */
const IS_FORBIDDEN = new Uint8Array(65_536);
for (let code = 0; code < 65_536; code += 1) if (((KINDS[code] as number) & SPACE) !== 0) IS_FORBIDDEN[code] = 1;
for (const sign of '<>(){}') IS_FORBIDDEN[sign.charCodeAt(0)] = 1;

const DATE_OR_VERSION = /^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|^v?\d+\.\d+(?:\.|$)/u;

/** Long enough, mixed, and with more surprise in it than names and numbers have. */
export const isRandom = (source: Readable, from: number, to: number): boolean => {
  const { units } = source;
  const length = to - from;
  if (length < 10 || length > 4096) return false;
  let kinds = 0;
  let letters = 0;
  let digits = 0;
  let strange = 0;
  for (let at = from; at < to; at += 1) {
    const code = units[at] as number;
    if (IS_FORBIDDEN[code] === 1) return false;
    const bits = (KINDS[code] as number) & ALNUM;
    if (bits === DIGIT) digits += 1;
    else if (bits !== 0) letters += 1;
    kinds |= bits;
    strange |= code;
  }
  if (strange >= 0x80 && /\s/u.test(source.text.slice(from, to))) return false;
  if (letters === length)
    return (
      length >= 12 && isJumbled(units, from, to) && !hasSequence(units, from, to) && entropyOf(units, from, to) >= 3.1
    );
  if (digits === length) return length >= 15 && !hasSequence(units, from, to);
  if (isName(units, from, to) && !isJumbled(units, from, to)) return false;
  if (length === 36 && isUuid(units, from)) return true;
  if (digits === 0 || (kinds & (LOWER | UPPER)) === 0) return false;
  if (entropyOf(units, from, to) < (length < 18 ? 3 : 3.2)) return false;
  const first = units[from] as number;
  if ((isDigit(first) || first === 118) && DATE_OR_VERSION.test(source.text.slice(from, to))) return false;
  return !hasSequence(units, from, to) && !isCompound(units, from, to);
};
