/** Secrets known by their structure rather than by a prefix: key blocks, JWTs, credentials in URLs, AWS ids, webhooks. */
import {
  ALNUM,
  BASE64URL,
  DIGIT,
  DOT,
  EQUALS,
  HEX,
  KINDS,
  PLUS_SLASH,
  TILDE,
  UPPER,
  WORD,
  entropyOf,
} from './characters.ts';
import { isFiller, isPlaceholder, isRandom } from './secret-values.ts';
import type { TextView } from './text-view.ts';
import { standsAt, unitsOf } from './units.ts';

const emit = (view: TextView, start: number, end: number, rule: string, score = 0.95): void =>
  view.emit({ start, end, kind: 'secret', type: 'SECRET', rule, score });

const kind = (units: Uint16Array, index: number): number => KINDS[units[index] as number] as number;
const bounded = (units: Uint16Array, start: number, end: number, alphabet = ALNUM): boolean =>
  (start === 0 || (kind(units, start - 1) & alphabet) === 0) && (kind(units, end) & alphabet) === 0;

const KEY_HEADER = /-----BEGIN[ A-Z0-9_-]{0,80}PRIVATE KEY(?: BLOCK)?-----/iuy;
/** What OpenPGP (RFC 9580, 6.2.2) and older PEM write before the key: any text, which ends the body where it is not known. */
const ARMOR = /(?:\r?\n[A-Za-z-]{1,40}: [^\r\n]*)+/uy;
/** Shortest body that can be a key: an Ed25519 key in PKCS#8 is 64 characters of base64. */
const SHORTEST_KEY = 60;

/** PEM (RFC 7468), OpenSSH and PGP private keys of any length; a block that is cut off counts up to where it is cut. */
export const matchKeyBlock = (view: TextView, start: number): void => {
  if (start < view.takenUntil) return;
  const { text } = view;
  KEY_HEADER.lastIndex = start;
  const header = KEY_HEADER.exec(text);
  if (header === null) return;
  ARMOR.lastIndex = start + header[0].length;
  const from = ARMOR.test(text) ? ARMOR.lastIndex : start + header[0].length;
  const marker = view.indexOf('-----END', from);
  const next = view.indexOf('-----BEGIN', from);
  const whole = marker !== -1 && (next === -1 || marker < next);
  const end = whole ? closeOf(text, marker) : bodyEnd(view.units, from);
  const body = text.slice(from, whole ? marker : end).replaceAll(/\\[nr]|[\s"'+,]/gu, '');
  view.takenUntil = end;
  if (body.length < SHORTEST_KEY || isFiller(unitsOf(body), 0, body.length)) return;
  emit(view, start, end, 'private-key', 1);
};

const closeOf = (text: string, marker: number): number => {
  const dashes = text.indexOf('-----', marker + 8);
  return dashes === -1 || dashes > marker + 100 ? marker + 8 : dashes + 5;
};

const IN_BODY = new Uint8Array(65_536);
for (const sign of '+/=\\nr:, "\'-\r\n\t ') IN_BODY[sign.charCodeAt(0)] = 1;
const bodyEnd = (units: Uint16Array, from: number): number => {
  let at = from;
  while ((kind(units, at) & ALNUM) !== 0 || IN_BODY[units[at] as number] === 1) at += 1;
  return at;
};

/** JWS and JWE in compact form (RFC 7515, 7516): `eyJ…` twice with dots, then a signature that may be cut off. */
export const matchJwt = (view: TextView, start: number): void => {
  const { units } = view;
  // y, J
  if (start < view.takenUntil || units[start] !== 101 || units[start + 1] !== 121 || units[start + 2] !== 74) return;
  if (start > 0 && (kind(units, start - 1) & ALNUM) !== 0) return;
  const end = view.runEnd(start, BASE64URL | DOT | EQUALS);
  // A run of many false beginnings is looked at eight times, not at each of them.
  view.jwtTries = end === view.jwtRun ? view.jwtTries + 1 : 0;
  view.jwtRun = end;
  if (view.jwtTries > 8) return;
  const parts = view.text.slice(start, Math.min(end, start + 8_192)).split('.', 7);
  const [header = '', payload = ''] = parts;
  if (parts.length < 2 || parts.length > 6 || header.length < 14 || payload.length < 10) return;
  if (!payload.startsWith('ey') && parts.length !== 5) return;
  view.takenUntil = end;
  emit(view, start, end, 'jwt');
};

/** Never in the authority of a URL: spaces, quotes, < > \ | ^ */
const ENDS_URL = new Uint8Array(128);
for (const sign of ' \t\n\v\f\r"\'`<>\\|^') ENDS_URL[sign.charCodeAt(0)] = 1;

/** Passwords in the authority of a URL, of any scheme: `postgres://user:password@host`. `colon` is the offset of `://`. */
export const matchUrl = (view: TextView, colon: number): void => {
  const { units } = view;
  const from = colon + 3;
  const limit = Math.min(view.length, from + 512);
  let separator = -1;
  let last = -1;
  let slashed = 0;
  for (let at = from; at < limit; at += 1) {
    const code = units[at] as number;
    if (code >= 0x80 ? /\s/u.test(String.fromCharCode(code)) : ENDS_URL[code] === 1) break;
    if (code === 58 && separator === -1 && last === -1) separator = at;
    else if (code === 64) last = at;
    // A slash ends the authority, except inside a password that forgot to encode it (an @ still has to follow at once).
    else if ((code === 47 || code === 63 || code === 35) && (last !== -1 || separator === -1)) break;
    else if (code === 40 && units[at - 1] === 93) break;
    if (code === 47 && at >= slashed) {
      const sign = view.text.slice(at, at + 64).indexOf('@');
      if (sign === -1) break;
      slashed = at + sign;
    }
  }
  if (separator === -1 || last <= separator + 1) return;
  view.userinfoAt = last;
  const user = view.text.slice(from, separator);
  const password = view.text.slice(separator + 1, last);
  if (/^(?:\$|\{|<|%[({]|\*+$|\[)/u.test(password) || /^(?:\$\{|\{)/u.test(user) || password.includes('://')) return;
  if (password.length < 4 || isFiller(units, separator + 1, last) || /^(.)\1+$/u.test(password)) return;
  if (/^(?:(?:my)?password|xxx+|secret|changeme|your[-_ ].*|replace.*|insert.*|example.*)$/iu.test(password)) return;
  emit(view, separator + 1, last, 'url-password', 0.9);
};

const KEY_ID_LENGTH = 20;
const AWS_KINDS = ['KIA', 'SIA', 'BIA', 'CCA', '3T'];
const isAwsPrefix = (units: Uint16Array, start: number): boolean =>
  units[start] === 65 &&
  AWS_KINDS.some((kindOf) => standsAt(units, start + 1, kindOf)) &&
  (kind(units, start + 3) & (UPPER | DIGIT)) !== 0;

/** AWS access key ids (IAM identifiers: four letters that name the kind, sixteen of base 32). */
export const matchAwsKeyId = (view: TextView, start: number): void => {
  const { units } = view;
  const end = start + KEY_ID_LENGTH;
  if (!isAwsPrefix(units, start)) return;
  // Alone, or before others of its kind with nothing between them.
  const run = view.runEnd(start, UPPER | DIGIT);
  if (run !== end && !((run - start) % KEY_ID_LENGTH === 0 && isAwsPrefix(units, end))) return;
  if (start > 0 && (kind(units, start - 1) & (UPPER | DIGIT)) !== 0 && start > view.tokenEnd) return;
  const id = view.text.slice(start, end);
  if (id.endsWith('EXAMPLE') || entropyOf(units, start + 4, end) < 2.4) return;
  if (!/\d/u.test(id) && !id.startsWith('AKIA')) return;
  view.tokenEnd = Math.max(end, view.tokenEnd);
  emit(view, start, end, 'aws-key-id');
};

/** Microsoft Entra client secrets: three characters, a digit, `Q~`, then 31 to 34 more. `marker` is the offset of `Q~`. */
export const matchEntraSecret = (view: TextView, marker: number): void => {
  const { units } = view;
  const start = marker - 4;
  if (start < 0 || (kind(units, marker - 1) & DIGIT) === 0) return;
  const end = view.runEnd(marker, BASE64URL | DOT | TILDE);
  if (end - marker < 33 || end - marker > 40 || !bounded(units, start, end, WORD | TILDE)) return;
  emit(view, start, end, 'entra-secret');
};

/** Telegram bot tokens: the bot's number, `:A`, 34 more. `colon` is the offset of `:A`. */
export const matchTelegramToken = (view: TextView, colon: number): void => {
  const { units } = view;
  const start = view.runStart(colon, DIGIT, 16);
  const end = view.runEnd(colon + 1, BASE64URL);
  if (colon - start < 5 || end - colon !== 36 || !bounded(units, start, end, WORD)) return;
  emit(view, start, end, 'telegram-token');
};

const PATHS: readonly (readonly [marker: string, path: RegExp])[] = [
  ['hooks.slack.com/', /hooks\.slack(?:-gov)?\.com\/(?:services|workflows|triggers)\/[A-Za-z0-9+/]{20,80}/uy],
  ['discord.com/api/webhooks/', /discord\.com\/api\/webhooks\/\d{15,21}\/[\w-]{60,72}/uy],
  ['discordapp.com/api/webhooks/', /discordapp\.com\/api\/webhooks\/\d{15,21}\/[\w-]{60,72}/uy],
  ['webhook.office.com/', /webhook\.office\.com\/webhookb2\/[\w@-]{36,80}\/IncomingWebhook\/[0-9a-z]{32}\/[\w-]{36}/uy],
];
export const WEBHOOK_MARKERS: readonly string[] = PATHS.map(([marker]) => marker);

export const matchWebhook = (view: TextView, start: number): void => {
  for (const [, path] of PATHS) {
    path.lastIndex = start;
    const found = path.exec(view.text);
    if (found !== null && !/X{4}/u.test(found[0])) emit(view, start, path.lastIndex, 'webhook-url');
  }
};

/** Tokens with their mark in the middle or at the end: HCP Terraform, MaxMind, Azure storage. */
export const matchTerraformToken = (view: TextView, marker: number): void => {
  const start = view.runStart(marker, ALNUM, 16);
  const end = view.runEnd(marker + '.atlasv1.'.length, BASE64URL | EQUALS);
  if (marker - start === 14 && end - marker >= 60) emit(view, start, end, 'terraform-token');
};
export const matchMaxMindKey = (view: TextView, marker: number): void => {
  const start = view.runStart(marker, WORD, 40);
  if (/^[A-Za-z0-9]{6}_[A-Za-z0-9]{29}$/u.test(view.text.slice(start, marker)))
    emit(view, start, marker + 4, 'maxmind-key');
};

/** `sig=` of a shared access signature: the URL is the key. */
export const matchSignature = (view: TextView, from: number): void => {
  const end = view.runEnd(from, ALNUM | EQUALS | 128 | 4096);
  if (end - from >= 40 && end - from <= 64 && !isPlaceholder(view, from, end)) emit(view, from, end, 'signature');
};

/** Facebook app tokens and other `digits|token` pairs. */
export const matchPipeToken = (view: TextView, pipe: number): void => {
  const start = view.runStart(pipe, DIGIT, 18);
  const end = view.runEnd(pipe + 1, BASE64URL);
  if (
    pipe - start >= 15 &&
    pipe - start <= 16 &&
    end - pipe >= 28 &&
    end - pipe <= 41 &&
    (kind(view.units, pipe + 1) & HEX) !== 4096
  )
    emit(view, start, end, 'facebook-token');
};

/** `curl -u user:password`, `--user user:password`. `from` is behind the option. */
const CREDENTIALS = /["']?([^\s:"'$<{]{1,64}):([^\s"'<>{}]{3,256})/uy;
export const matchCurlUser = (view: TextView, start: number, from: number): void => {
  CREDENTIALS.lastIndex = from;
  const found = CREDENTIALS.exec(view.text);
  if (found?.[2] === undefined || !view.text.slice(Math.max(0, start - 300), start).includes('curl')) return;
  if (
    /^(?:\$\{?[A-Z_]+|pass(?:word)?|xxx+|\.\.\.)$/u.test(found[2]) ||
    isFiller(view.units, CREDENTIALS.lastIndex - found[2].length, CREDENTIALS.lastIndex)
  )
    return;
  emit(view, CREDENTIALS.lastIndex - found[2].length, CREDENTIALS.lastIndex, 'curl-user', 0.85);
};

const KIND = /kind["']?:[ \t]{0,8}["']?secret\b/iuy;
const ENTRY =
  /^[ \t]+["']?[\w.-]{1,120}["']?:[ \t]{0,40}(?:[|>][-+]?\s{1,40})?["']?([A-Za-z0-9+/]{8,8000}={0,2})["']?,?[ \t\r]*$/gmu;
/** How far around `kind: Secret` its data is looked for. */
const MANIFEST = 4_000;

/** The values under `data:` of a Kubernetes Secret, in base64. */
export const matchManifest = (view: TextView, start: number): void => {
  KIND.lastIndex = start;
  if (start < view.manifestUntil || !KIND.test(view.text)) return;
  const from = Math.max(view.manifestUntil, start - MANIFEST);
  const part = view.text.slice(from, start + MANIFEST);
  view.manifestUntil = start + MANIFEST;
  const data = /^[ \t]{0,40}["']?data["']?:/mu.exec(part);
  if (data === null) return;
  for (const entry of part.slice(data.index).matchAll(ENTRY)) {
    const value = entry[1] ?? '';
    if (!/\d|[A-Z].*[a-z]|=$/u.test(value) || value.length % 4 !== 0) continue;
    const at = from + data.index + entry.index + entry[0].indexOf(value);
    emit(view, at, at + value.length, 'kubernetes-secret', 0.85);
  }
};

/** `Bearer …` and `Basic …` without the name of their header; Basic must decode to `user:password` (RFC 7617). */
export const matchCredentials = (view: TextView, start: number, from: number): void => {
  const { units } = view;
  if (start > 0 && (kind(units, start - 1) & WORD) !== 0) return;
  const end = view.runEnd(from, BASE64URL | DOT | TILDE | EQUALS | PLUS_SLASH);
  const length = Math.min(end - from, 512);
  // The second letter of the two words.
  const basic = ((units[start + 1] as number) | 32) === 97;
  if (basic ? !isUserPassword(view, from, length) : length < 16 || !isRandom(view, from, from + length)) return;
  emit(view, from, end, 'authorization', 0.9);
};

const isUserPassword = (view: TextView, from: number, length: number): boolean => {
  if (length < 8) return false;
  const encoded = view.text.slice(from, from + length);
  if (!/^[\w+/]+={0,2}$/u.test(encoded)) return false;
  try {
    return /^[^\p{Cc}:]+:[^\p{Cc}]+$/u.test(atob(encoded));
  } catch {
    return false;
  }
};
