/**
 * Numbers of people. The text is walked once from digit to digit; a chain of digit groups with single separators is cut
 * into what it holds, surest shape first.
 */
import { ALNUM, DASH, DIGIT, HEX, KINDS, UNDERSCORE } from './characters.ts';
import { readChain, type Group } from './number-chains.ts';
import { ipv4End, matchIpv4 } from './pii-addresses.ts';
import { matchCard, matchSsn } from './pii-cards.ts';
import { matchIdentityDigits, matchIdentityToken, matchMac } from './pii-identities.ts';
import { matchPhone } from './pii-phone.ts';
import type { TextView } from './text-view.ts';

const kind = (text: string, index: number): number => KINDS[text.charCodeAt(index)] ?? 0;

const isFree = (text: string, start: number): boolean =>
  start === 0 || (kind(text, start - 1) & (ALNUM | UNDERSCORE)) === 0;

/** Walks all digits of the text. */
export const matchNumbers = (view: TextView): void => {
  const { text } = view;
  const { length } = text;
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 48 || code > 57) continue;
    const tokenStart = view.runStart(at, ALNUM, 24);
    const tokenEnd = view.runEnd(at, ALNUM);
    const digitsEnd = view.runEnd(at, DIGIT);
    if (text[tokenEnd] === '-' && tokenEnd - tokenStart === 2)
      matchMac(view, view.runStart(tokenStart, HEX | DASH, 15) + 2);
    if (tokenStart !== at || tokenEnd !== digitsEnd) {
      const next = matchIdentityToken(view, tokenStart, tokenEnd);
      // `1234x56` (an extension) still is a telephone's tail: the chain may begin here when only its end is glued.
      if (tokenStart !== at || next !== tokenEnd || !/^x\d{1,6}$/iu.test(text.slice(digitsEnd, tokenEnd))) {
        at = Math.max(next, tokenEnd) - 1;
        continue;
      }
    }
    at = matchChain(view, at) - 1;
  }
};

const matchChain = (view: TextView, start: number): number => {
  const { text } = view;
  const groups = readChain(text, start);
  let index = 0;
  let digits = 0;
  for (const group of groups) digits += group.end - group.start;
  // The shortest of all is a telephone of six digits; an IPv4 address may have four, in as many groups.
  if (digits < 6 && groups.length < 4) return (groups.at(-1) as Group).end;
  while (index < groups.length) {
    const group = groups[index] as Group;
    if (group.end - group.start <= 3 && text[group.end] === '.' && ipv4End(text, group.start) !== -1) {
      const end = matchIpv4(view, group.start);
      if (end !== -1) {
        while (index < groups.length && (groups[index] as Group).start < end) index += 1;
        continue;
      }
    }
    if (!isFree(text, group.start)) {
      index += 1;
      continue;
    }
    index +=
      matchCard(view, groups, index) ||
      matchSsn(view, groups, index) ||
      matchIdentityDigits(view, groups, index) ||
      matchPhone(view, groups, index) ||
      1;
  }
  return (groups.at(-1) as Group).end;
};
