/** Addresses of the wire: e-mail (RFC 5321 lengths), IPv4 and IPv6 with prefix length and zone. */
import {
  ALNUM,
  DASH,
  DIGIT,
  DOT,
  HEX,
  KINDS,
  LOWER,
  PERCENT,
  PLUS_SLASH,
  UNDERSCORE,
  UPPER,
  WORD,
} from './characters.ts';
import { TOPIC } from './pii-context.ts';
import type { TextView } from './text-view.ts';

const kind = (units: Uint16Array, index: number): number => KINDS[units[index] as number] as number;

/** Letters beyond ASCII: internationalised addresses (RFC 6531). Punctuation and symbols are not letters. */
const isLetterBeyond = (units: Uint16Array, index: number): boolean => {
  const code = units[index] as number;
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
const inLocal = (units: Uint16Array, index: number): boolean => {
  const code = units[index] as number;
  if (code >= 0x80) return isLetterBeyond(units, index);
  return code === 39 || (((KINDS[code] as number) & LOCAL) !== 0 && code !== 47);
};
const inDomain = (units: Uint16Array, index: number): boolean =>
  (kind(units, index) & (ALNUM | DASH | DOT)) !== 0 || isLetterBeyond(units, index);

/** The last label of a domain: letters, or punycode. */
const LAST_LABEL = /\.(?:[\p{L}\p{M}]{2,63}|xn--[a-z0-9-]{2,59})$/iu;

/** What a sentence may have in front of an address, and an address never begins with: . ' % + - */
const isLeading = (code: number): boolean => code === 46 || code === 39 || code === 37 || code === 43 || code === 45;

/** `at` is the offset of an `@`. */
export const matchEmail = (view: TextView, at: number): void => {
  const { units } = view;
  if (at === view.userinfoAt) return;
  let start = at;
  while (start > 0 && at - start < 64 && inLocal(units, start - 1)) start -= 1;
  while (start < at && isLeading(units[start] as number)) start += 1;
  if (start === at || units[at - 1] === 46) return;
  let end = at + 1;
  while (end - at < 255 && inDomain(units, end)) end += 1;
  while (end > at && (kind(units, end - 1) & (DOT | DASH)) !== 0) end -= 1;
  if (end - at < 4 || !isDomain(view, at + 1, end)) return;
  view.emit({ start, end, kind: 'pii', type: 'EMAIL', rule: 'email', score: 0.9 });
};

const isDomain = (view: TextView, from: number, end: number): boolean => {
  const { units } = view;
  if ((kind(units, from) & (DOT | DASH)) !== 0) return false;
  let last = -1;
  for (let at = from; at < end; at += 1) {
    if (units[at] !== 46) continue;
    if (last === at - 1) return false;
    last = at;
  }
  if (last === -1) return false;
  for (let at = last + 1; at < end; at += 1)
    if ((kind(units, at) & (LOWER | UPPER)) === 0) return LAST_LABEL.test(view.text.slice(last, end));
  return end - last > 2 && end - last <= 64;
};

const prefixLength = (units: Uint16Array, end: number, most: number): number => {
  if (units[end] !== 47) return end;
  let at = end + 1;
  let value = 0;
  while (at < end + 5 && (kind(units, at) & DIGIT) !== 0) {
    value = value * 10 + (units[at] as number) - 48;
    at += 1;
  }
  const length = at - end - 1;
  return length === 0 || length > 3 || value > most || (kind(units, at) & ALNUM) !== 0 ? end : at;
};

/** The end of an IPv4 address that begins at `start`, or -1. No octet has a zero in front. */
export const ipv4End = (units: Uint16Array, start: number): number => {
  let at = start;
  for (let part = 0; ; part += 1) {
    const from = at;
    let value = 0;
    let code = units[at] as number;
    while (code >= 48 && code <= 57 && at - from < 4) {
      value = value * 10 + code - 48;
      at += 1;
      code = units[at] as number;
    }
    const width = at - from;
    if (width === 0 || width > 3 || value > 255 || (width > 1 && units[from] === 48)) return -1;
    if (part === 3) return (kind(units, at) & ALNUM) === 0 ? at : -1;
    if (code !== 46) return -1;
    at += 1;
  }
};

/** `start` is the first digit of a run of digits. Returns the end of the address, or -1. */
export const matchIpv4 = (view: TextView, start: number): number => {
  const { units } = view;
  if (start > 0) {
    const before = kind(units, start - 1);
    if ((before & (ALNUM | DOT | UNDERSCORE)) !== 0) return -1;
    // Product/1.2.3.4 and v1.2.3.4-beta are versions.
    if (units[start - 1] === 47 && start > 1 && (kind(units, start - 2) & ALNUM) !== 0) return -1;
  }
  const end = ipv4End(units, start);
  if (end === -1 || view.topics.near(TOPIC.version, start, end, 16)) return -1;
  const whole = prefixLength(units, end, 32);
  view.emit({ start, end: whole, kind: 'pii', type: 'IP_ADDRESS', rule: 'ipv4', score: 0.85 });
  return whole;
};

/** Two to eight groups of one to four hexadecimal digits, `::` for one or more of them, an IPv4 address for the last two. */
const isIpv6 = (units: Uint16Array, from: number, end: number): boolean => {
  let groups = 0;
  let gap = false;
  let at = from;
  while (at < end) {
    if (units[at] === 58) {
      // Two colons once; one colon between groups was taken with the group before.
      if (gap || units[at + 1] !== 58 || at + 1 >= end) return false;
      gap = true;
      at += 2;
      if (at === end) break;
    }
    const start = at;
    while (at < end && at - start < 5 && (kind(units, at) & HEX) !== 0) at += 1;
    if (at < end && units[at] === 46) {
      if (ipv4End(units, start) !== end) return false;
      groups += 2;
      at = end;
      break;
    }
    if (at === start || at - start > 4) return false;
    groups += 1;
    if (at === end) break;
    if (units[at] !== 58) return false;
    if (units[at + 1] === 58 && at + 1 < end) continue;
    at += 1;
    if (at === end) return false;
  }
  return gap ? groups >= 1 && groups <= 7 : groups === 8;
};

/** `colon` is the offset of a `:`; only the first colon of an address is looked at. */
export const matchIpv6 = (view: TextView, colon: number): void => {
  const { units } = view;
  if (colon < view.ipv6Until) return;
  const doubled = units[colon + 1] === 58;
  if (!doubled && (kind(units, colon + 1) & HEX) === 0) return;
  const start = view.runStart(colon, HEX, 5);
  if (colon - start > 4 || (start === colon && !doubled)) return;
  let end = colon;
  const limit = start + 46;
  for (; end < limit; end += 1) {
    const code = units[end] as number;
    if (code !== 58 && ((KINDS[code] as number) & (HEX | DOT)) === 0) break;
  }
  view.ipv6Until = end;
  while (end > colon && units[end - 1] === 46) end -= 1;
  if (start > 0 && ((kind(units, start - 1) & (ALNUM | UNDERSCORE | DOT)) !== 0 || units[start - 1] === 58)) return;
  if ((kind(units, end) & (ALNUM | UNDERSCORE)) !== 0) return;
  if (units[end - 1] === 58 && units[end - 2] !== 58) end -= 1;
  if (!isIpv6(units, start, end)) return;
  let whole = end;
  if (units[whole] === 37 && (kind(units, whole + 1) & ALNUM) !== 0) whole = view.runEnd(whole + 1, WORD | DOT);
  whole = prefixLength(units, whole, 128);
  view.emit({ start, end: whole, kind: 'pii', type: 'IP_ADDRESS', rule: 'ipv6', score: 0.85 });
};

/** Six pairs of hexadecimal digits with one separator (IEEE 802 EUI-48). */
const macEnd = (units: Uint16Array, start: number): number => {
  const separator = units[start + 2] as number;
  if (separator !== 58 && separator !== 45) return -1;
  const end = start + 17;
  if (units[end] === separator || (kind(units, end) & ALNUM) !== 0) return -1;
  for (let at = start; at < end; at += 3) {
    if ((kind(units, at) & HEX) === 0 || (kind(units, at + 1) & HEX) === 0) return -1;
    if (at + 2 < end && units[at + 2] !== separator) return -1;
  }
  return end;
};

/** The sign between the first two pairs of a hardware address. */
export const matchMac = (view: TextView, colon: number): void => {
  const start = colon - 2;
  if (start < 0 || start < view.macUntil || (start > 0 && (kind(view.units, start - 1) & (ALNUM | DASH)) !== 0)) return;
  const end = macEnd(view.units, start);
  if (end === -1 || (start > 0 && view.units[start - 1] === 58)) return;
  view.macUntil = end;
  if (/^(?:00|ff)(?:[:-](?:00|ff)){5}$/iu.test(view.text.slice(start, end))) return;
  view.emit({ start, end, kind: 'pii', type: 'MAC_ADDRESS', rule: 'eui-48', score: 0.85 });
};
