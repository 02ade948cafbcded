/** Addresses of the wire: e-mail (RFC 5321 lengths), IPv4 and IPv6 with prefix length and zone. */
import { ALNUM, DASH, DIGIT, DOT, HEX, KINDS, PERCENT, PLUS_SLASH, UNDERSCORE, WORD } from './characters.ts';
import { TOPIC } from './pii-context.ts';
import type { TextView } from './text-view.ts';

const kind = (text: string, index: number): number => KINDS[text.charCodeAt(index)] ?? 0;

/** Letters beyond ASCII: internationalised addresses (RFC 6531). Punctuation and symbols are not letters. */
const isLetterBeyond = (text: string, index: number): boolean => {
  const code = text.charCodeAt(index);
  return (
    code >= 0xaa &&
    (code < 0x2000 || code > 0x2bff) &&
    (code < 0x3000 || code > 0x303f) &&
    code < 0xd800 &&
    code !== 0xd7 &&
    code !== 0xf7 &&
    code !== 0xbb &&
    code !== 0xbf &&
    code !== 0xab
  );
};

const LOCAL = WORD | DOT | DASH | PERCENT | PLUS_SLASH;
const inLocal = (text: string, index: number): boolean =>
  ((kind(text, index) & LOCAL) !== 0 && text[index] !== '/') || isLetterBeyond(text, index) || text[index] === "'";
const inDomain = (text: string, index: number): boolean =>
  (kind(text, index) & (ALNUM | DASH | DOT)) !== 0 || isLetterBeyond(text, index);

const LAST_LABEL = /\.(?:[\p{L}\p{M}]{2,63}|xn--[a-z0-9-]{2,59})$/iu;

/** `at` is the offset of an `@`. */
export const matchEmail = (view: TextView, at: number): void => {
  const { text } = view;
  if (at === view.userinfoAt) return;
  let start = at;
  while (start > 0 && at - start < 64 && inLocal(text, start - 1)) start -= 1;
  while (start < at && /[.'%+-]/u.test(text.charAt(start))) start += 1;
  if (start === at || text[at - 1] === '.') return;
  let end = at + 1;
  while (end < text.length && end - at < 255 && inDomain(text, end)) end += 1;
  while (end > at && (kind(text, end - 1) & (DOT | DASH)) !== 0) end -= 1;
  if (end - at < 4) return;
  const domain = text.slice(at + 1, end);
  if (domain.startsWith('.') || domain.startsWith('-') || domain.includes('..')) return;
  if (!LAST_LABEL.test(domain)) {
    // A sentence that went on without a space: `info@example.com.Then`; or a number glued behind.
    return;
  }
  view.emit({ start, end, kind: 'pii', type: 'EMAIL', rule: 'email', score: 0.9 });
};

const prefixLength = (text: string, end: number, most: number): number => {
  if (text[end] !== '/') return end;
  let at = end + 1;
  while (at < text.length && at < end + 5 && (kind(text, at) & DIGIT) !== 0) at += 1;
  const length = at - end - 1;
  if (length === 0 || length > 3 || Number(text.slice(end + 1, at)) > most || (kind(text, at) & ALNUM) !== 0)
    return end;
  return at;
};

/** The end of an IPv4 address that begins at `start`, or -1. No octet has a zero in front. */
export const ipv4End = (text: string, start: number): number => {
  let at = start;
  for (let part = 0; ; part += 1) {
    const from = at;
    let value = 0;
    let code = text.charCodeAt(at);
    while (code >= 48 && code <= 57 && at - from < 4) {
      value = value * 10 + code - 48;
      at += 1;
      code = text.charCodeAt(at);
    }
    const width = at - from;
    if (width === 0 || width > 3 || value > 255 || (width > 1 && text.charCodeAt(from) === 48)) return -1;
    if (part === 3) return (kind(text, at) & ALNUM) === 0 ? at : -1;
    if (code !== 46) return -1;
    at += 1;
  }
};

/** `start` is the first digit of a run of digits. Returns the end of the address, or -1. */
export const matchIpv4 = (view: TextView, start: number): number => {
  const { text } = view;
  if (start > 0) {
    const before = kind(text, start - 1);
    if ((before & (ALNUM | DOT | UNDERSCORE)) !== 0) return -1;
    // Product/1.2.3.4 and v1.2.3.4-beta are versions.
    if (text.charCodeAt(start - 1) === 47 && start > 1 && (kind(text, start - 2) & ALNUM) !== 0) return -1;
  }
  const end = ipv4End(text, start);
  if (end === -1 || view.topics.near(TOPIC.version, start, end, 16)) return -1;
  const whole = prefixLength(text, end, 32);
  view.emit({ start, end: whole, kind: 'pii', type: 'IP_ADDRESS', rule: 'ipv4', score: 0.85 });
  return whole;
};

const GROUP = /^[0-9a-f]{1,4}$/iu;

const isIpv6 = (address: string): boolean => {
  const halves = address.split('::');
  if (halves.length > 2) return false;
  const groups = (half: string): readonly string[] | undefined => {
    if (half === '') return [];
    const parts = half.split(':');
    const last = parts.at(-1) ?? '';
    const embedded = last.includes('.') ? ipv4End(last, 0) === last.length : undefined;
    if (embedded === false) return undefined;
    const hex = embedded === true ? parts.slice(0, -1) : parts;
    if (!hex.every((part) => GROUP.test(part))) return undefined;
    return embedded === true ? [...hex, '0', '0'] : hex;
  };
  const left = groups(halves[0] ?? '');
  if (left === undefined) return false;
  if (halves.length === 1) return left.length === 8;
  const right = groups(halves[1] ?? '');
  return right !== undefined && left.length + right.length <= 7 && left.length + right.length >= 1;
};

/** `colon` is the offset of a `:`; only the first colon of an address is looked at. */
export const matchIpv6 = (view: TextView, colon: number): void => {
  const { text } = view;
  if (colon < view.ipv6Until) return;
  const next = kind(text, colon + 1) & HEX;
  if (next === 0 && text[colon + 1] !== ':') return;
  const start = view.runStart(colon, HEX, 5);
  if (colon - start > 4) return;
  if (start === colon && text[colon + 1] !== ':') return;
  let end = colon;
  while (end < text.length && end - start < 46 && ((kind(text, end) & (HEX | DOT)) !== 0 || text[end] === ':'))
    end += 1;
  view.ipv6Until = end;
  while (end > colon && text[end - 1] === '.') end -= 1;
  if (start > 0 && (kind(text, start - 1) & (ALNUM | UNDERSCORE | DOT)) !== 0) return;
  if (start > 0 && text[start - 1] === ':') return;
  if ((kind(text, end) & (ALNUM | UNDERSCORE)) !== 0) return;
  let address = text.slice(start, end);
  if (address.endsWith(':') && !address.endsWith('::')) {
    address = address.slice(0, -1);
    end -= 1;
  }
  if (!isIpv6(address)) return;
  let whole = end;
  if (text[whole] === '%' && (kind(text, whole + 1) & ALNUM) !== 0) whole = view.runEnd(whole + 1, WORD | DOT);
  whole = prefixLength(text, whole, 128);
  view.emit({ start, end: whole, kind: 'pii', type: 'IP_ADDRESS', rule: 'ipv6', score: 0.85 });
};

/** Six pairs of hexadecimal digits with one separator (IEEE 802 EUI-48). */
export const macEnd = (text: string, start: number): number => {
  const separator = text[start + 2];
  if (separator !== ':' && separator !== '-') return -1;
  for (let pair = 0; pair < 6; pair += 1) {
    const at = start + pair * 3;
    if ((kind(text, at) & HEX) === 0 || (kind(text, at + 1) & HEX) === 0) return -1;
    if (pair < 5 && text[at + 2] !== separator) return -1;
  }
  return (kind(text, start + 17) & ALNUM) === 0 && text[start + 17] !== separator ? start + 17 : -1;
};
