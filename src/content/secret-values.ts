/** Is this text a secret, given that its name says so? And is it only a stand-in for one? */
import { DIGIT, KINDS, LOWER, UPPER, entropyOf } from './characters.ts';

const FILLER = new Set('xX*.-_0#?•…'.split('').map((character) => character.charCodeAt(0)));

/** `xxxxxxxx`, `********`, `00000000`, `....`, and runs of eight and more x inside: nothing that could be used. */
export const isFiller = (text: string, from: number, end: number): boolean => {
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

/** A reference to a secret, a template, a word that stands for one. */
export const isPlaceholder = (value: string): boolean =>
  value.length < 3 ||
  value.startsWith('-----') ||
  /^[a-z][a-z0-9+.-]{1,20}:\/\//iu.test(value) ||
  isFiller(value, 0, value.length) ||
  PLACEHOLDER.test(value) ||
  (value.length <= 200 && /(?:EXAMPLE$|_here>?$|-here>?$|[-_](?:goes|placeholder)\b|\.\.\.$)/iu.test(value));

/** `const x = getPassword()`, `a.b.c`, `TokenType.Bearer`: code that names a value, not the value. */
const CODE = /^(?:[a-z_$][\w$]*(?:(?:\.|::|->)[a-z_$][\w$]*)+\(?|[\w$.]+\(|new |function\b|async |await |\w+\[)/iu;

/** Words, camelCase and snake_case names, file paths: what stands beside a name and is no secret. */
const NAME = /^(?:[A-Za-z]+(?:[ _.-][A-Za-z]+)*\d{0,2}|\.{0,2}\/[\w./-]*|https?:\/\/[^\s:@]+)$/u;

const kindsOf = (value: string): number => {
  let kinds = 0;
  for (let at = 0; at < value.length; at += 1) kinds |= KINDS[value.charCodeAt(at)] ?? 0;
  return kinds;
};

/** How much the name vouches for the value: `password` is believed on sight, `key` and `token` need a random look. */
export type NameStrength = 'password' | 'secret' | 'weak';

/** `quoted`: the value stood between quotes, or is the whole value of a field. */
export const isSecretValue = (value: string, strength: NameStrength, quoted: boolean): boolean => {
  if (isPlaceholder(value)) return false;
  if (!quoted && CODE.test(value) && (value.length < 40 || !/\d/u.test(value) || /[()[\]]/u.test(value))) return false;
  if (strength === 'weak') return isRandom(value);
  if (strength === 'secret')
    return value.length >= 8 && !(NAME.test(value) && (value.length < 20 || entropyOf(value) < 3.6));
  return value.length >= 4 && (quoted || value.length >= 24 || !/^[a-z]+[.,;:!?]?$/iu.test(value));
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/iu;

/** `jjwt-jackson-0.11.2`, `id-Gost28147-89-None`: words and short numbers between separators. */
const isCompound = (value: string): boolean => {
  const parts = value.split(/[-_.:/+=,]+/u).filter((part) => part !== '');
  return (
    parts.length > 1 &&
    parts.every((part) => /^(?:[A-Za-z]*\d{0,5}|\d{1,10}|v?\d+[A-Za-z]?|rc\d+)$/u.test(part) && !isJumbled(part))
  );
};

/** Letters that change case more often than words do: `sudAYxqVIhaWXi`. */
export const isJumbled = (value: string): boolean => {
  const changes = value.match(/[a-z](?=[A-Z])|[A-Z](?=[a-z])/gu)?.length ?? 0;
  const shouts = value.match(/[A-Z]{2,}/gu)?.length ?? 0;
  return value.length >= 10 && changes >= value.length * 0.36 && shouts >= 2;
};

/** The alphabet, or ten digits in order: a table of characters, or an example. */
const SEQUENCE = /abcdefgh|hijklmno|qrstuvwx|01234567|12345678901234/iu;

/** Long enough, mixed, and with more surprise in it than names and numbers have. */
export const isRandom = (value: string): boolean => {
  if (value.length < 10 || value.length > 4096 || /[\s<>(){}]/u.test(value)) return false;
  if (NAME.test(value) && !isJumbled(value)) return false;
  if (UUID.test(value)) return true;
  if (SEQUENCE.test(value) || isCompound(value)) return false;
  if (/^\d{15,}$/u.test(value)) return true;
  if (/^[A-Za-z]{12,}$/u.test(value)) return isJumbled(value) && entropyOf(value) >= 3.1;
  const kinds = kindsOf(value);
  if ((kinds & DIGIT) === 0 || (kinds & (LOWER | UPPER)) === 0) return false;
  if (/^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|^v?\d+\.\d+(?:\.|$)/u.test(value)) return false;
  return entropyOf(value) >= (value.length < 18 ? 3 : 3.2);
};
