/**
 * Numbers of people. The text is walked once from digit to digit; a chain of digit groups with single separators is cut
 * into what it holds, surest shape first.
 */
import { ALNUM, DASH, HEX, KINDS, UNDERSCORE } from './characters.ts';
import { NumberChain, isGap } from './number-chains.ts';
import { matchIpv4, matchMac } from './pii-addresses.ts';
import { matchCard, matchSsn } from './pii-cards.ts';
import { matchIdentityDigits, matchIdentityToken } from './pii-identities.ts';
import { matchPhone } from './pii-phone.ts';
import type { TextView } from './text-view.ts';

/** One for the process, unless it is in use: a telephone check may scan another text. */
const shared = new NumberChain();
let inUse = false;

const kind = (units: Uint16Array, index: number): number => KINDS[units[index] as number] as number;

/** Walks all digits of the text. */
export const matchNumbers = (view: TextView): void => {
  if (inUse) {
    walkDigits(view, new NumberChain());
    return;
  }
  inUse = true;
  try {
    walkDigits(view, shared);
  } finally {
    inUse = false;
  }
};

const walkDigits = (view: TextView, chain: NumberChain): void => {
  const { units } = view;
  const { length } = view;
  for (let at = 0; at < length; at += 1) {
    const code = units[at] as number;
    if (code < 48 || code > 57) continue;
    let tokenStart = at;
    const least = at - 24;
    while (tokenStart > 0 && tokenStart > least && (kind(units, tokenStart - 1) & ALNUM) !== 0) tokenStart -= 1;
    let digitsEnd = at + 1;
    let next = units[digitsEnd] as number;
    while (next >= 48 && next <= 57) next = units[(digitsEnd += 1)] as number;
    let tokenEnd = digitsEnd;
    while ((kind(units, tokenEnd) & ALNUM) !== 0) tokenEnd += 1;
    if (tokenEnd - tokenStart === 2 && units[tokenEnd] === 45)
      matchMac(view, view.runStart(tokenStart, HEX | DASH, 15) + 2);
    if (tokenStart !== at || tokenEnd !== digitsEnd) {
      const until = matchIdentityToken(view, tokenStart, tokenEnd);
      // `1234x56` (an extension) still is a telephone's tail: the chain may begin here when only its end is glued.
      if (tokenStart !== at || until !== tokenEnd || !isExtension(units, digitsEnd, tokenEnd)) {
        at = Math.max(until, tokenEnd) - 1;
        continue;
      }
    }
    // Most numbers of ordinary texts end here: a few digits that nothing goes on from.
    if (digitsEnd - at < 6 && !isGap(next)) at = digitsEnd - 1;
    else at = matchChain(view, chain, at) - 1;
  }
};

/** `x` and one to six digits. */
const isExtension = (units: Uint16Array, start: number, end: number): boolean => {
  if (((units[start] as number) | 32) !== 120 || end - start < 2 || end - start > 7) return false;
  for (let at = start + 1; at < end; at += 1) {
    const code = units[at] as number;
    if (code < 48 || code > 57) return false;
  }
  return true;
};

const isGlued = (units: Uint16Array, start: number): boolean =>
  start > 0 && (kind(units, start - 1) & (ALNUM | UNDERSCORE)) !== 0;

const matchChain = (view: TextView, chain: NumberChain, start: number): number => {
  const { units } = view;
  const digits = chain.read(units, start);
  // The shortest of all is a telephone of six digits; an IPv4 address may have four, in as many groups.
  if (digits < 6 && chain.count < 4) return chain.end();
  let index = 0;
  while (index < chain.count) {
    const from = chain.starts[index] as number;
    const end = chain.ends[index] as number;
    if (end - from <= 3 && units[end] === 46) {
      const address = matchIpv4(view, from);
      if (address !== -1) {
        index += chain.until(index, address);
        continue;
      }
    }
    if (index === 0 && isGlued(units, from)) {
      index += 1;
      continue;
    }
    index +=
      matchCard(view, chain, index) ||
      matchSsn(view, chain, index) ||
      matchIdentityDigits(view, chain, index) ||
      matchPhone(view, chain, index) ||
      1;
  }
  return chain.end();
};
