/**
 * Reads address fields so that there is one reading only. Two parsers that fail differently (nodemailer's, which drops
 * what it does not understand, and a strict RFC 5322 grammar, which must consume every byte) have to agree; what only one
 * of them understands is a fault. The commonest spellings are so plain that no parser reads them in two ways, and take
 * neither.
 */
import emailAddresses from 'email-addresses';
import addressParser from 'nodemailer/lib/addressparser';
import * as punycode from 'nodemailer/lib/punycode';

export interface Mailbox {
  /** As written, without quotes. */
  readonly local: string;
  /** ASCII (IDNA), lower case, without a trailing dot; a domain literal keeps its brackets. */
  readonly domain: string;
  readonly name?: string;
}

export type Addresses =
  | { readonly mailboxes: readonly Mailbox[]; readonly plain: boolean; readonly fault?: undefined }
  | { readonly fault: string };

/** Longest address field that is read, in characters. Bounds the strict grammar, which backtracks. */
const LONGEST_FIELD = 64 * 1024;
/** Longest field that the strict grammar reads: it takes quadratic time on some inputs. */
const LONGEST_UNUSUAL_FIELD = 4 * 1024;
/** Most of such text in one message, in characters: a thousand slow fields are slow too. */
const MOST_UNUSUAL_TEXT = 16 * 1024;

/** What is left of `MOST_UNUSUAL_TEXT` for one message. */
export interface ReadingBudget {
  left: number;
}

export const readingBudget = (): ReadingBudget => ({ left: MOST_UNUSUAL_TEXT });

const ATEXT = "A-Za-z0-9#$&'*+/=?^_`{|}~-";
const PLAIN = new RegExp(`^([${ATEXT}]+(?:\\.[${ATEXT}]+)*)@([A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)*\\.?)$`, 'u');
/** One address of a list, with what letters are: the wide classes of Unicode cost ten times as much as ASCII's. */
const pieceOf = (letters: string): RegExp => {
  const word = `[${letters}.'_&/+-]+`;
  const name = String.raw`"([${letters} .,;:'_&/+()-]*)"|((?:${word}(?: +${word})*)?)`;
  return new RegExp(String.raw`[ \t]*(?:(?:${name})[ \t]*<([^<>\s]+)>|([^\s<>,;:"()[\]\\]+))[ \t]*(,|$)`, 'uy');
};
const ASCII_PIECE = pieceOf('A-Za-z0-9');
const PIECE = pieceOf(String.raw`\p{L}\p{M}\p{N}`);
const PRINTABLE_ASCII = /^[ -~]*$/u;
// C0 except tab, DEL, C1, and every separator that some reader takes for a line end or drops.
const UNPRINTABLE = /[^\P{Cc}\t]|[\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]/u;
const SPECIALS = /["(),:;<>@[\\\]]/u;
const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/u;

/** True for text that a reader could take for the end of a header line: CR, LF, NUL and every other control but tab. */
export const hasLineBreak = (text: string): boolean => /[^\P{Cc}\t]|[\u2028\u2029]/u.test(text);

/** The mailboxes of an address field, or why there is no single reading of it. An empty field has no mailboxes. */
export const parseAddresses = (text: string, budget: ReadingBudget = readingBudget()): Addresses => {
  if (text.length > LONGEST_FIELD) return { fault: `is longer than ${LONGEST_FIELD} characters` };
  const isAscii = PRINTABLE_ASCII.test(text);
  if (!isAscii && hasLineBreak(text)) return { fault: 'holds a line break' };
  if (!isAscii && UNPRINTABLE.test(text)) return { fault: 'holds a control or invisible character' };
  const trimmed = text.trim();
  if (trimmed === '') return { mailboxes: [], plain: true };
  return parsePlain(trimmed, isAscii ? ASCII_PIECE : PIECE) ?? parseUnusual(trimmed, budget);
};

/** Exactly one mailbox, as the address of an address object must be. */
export const parseMailbox = (text: string, budget?: ReadingBudget): Mailbox | undefined => {
  const read = parseAddresses(text, budget);
  return read.fault === undefined && read.mailboxes.length === 1 ? read.mailboxes[0] : undefined;
};

export const formatMailbox = ({ local, domain, name }: Mailbox): string => {
  const address = addressOf({ local, domain });
  if (name === undefined || name === '') return address;
  return `"${name.replaceAll(/["\\]/gu, '\\$&')}" <${address}>`;
};

export const addressOf = ({ local, domain }: Mailbox): string =>
  `${DOT_ATOM.test(local) ? local : `"${local.replaceAll(/["\\]/gu, '\\$&')}"`}@${domain}`;

const DOT_ATOM = /^[^\s"(),:;<>@[\\\].]+(?:\.[^\s"(),:;<>@[\\\].]+)*$/u;

/** The ASCII form that a resolver is asked for, or undefined when readers differ about it. */
export const canonicalDomain = (domain: string): string | undefined => {
  // Recipients of one message are mostly at one or two domains.
  if (domain !== lastDomain) {
    lastCanonical = readDomain(domain);
    lastDomain = domain;
  }
  return lastCanonical;
};

let lastDomain = '';
let lastCanonical: string | undefined;

const readDomain = (domain: string): string | undefined => {
  const lower = domain.toLowerCase().replace(/\.$/u, '');
  if (/^[a-z0-9.-]+$/u.test(lower) && !lower.includes('xn--')) return isHostname(lower) ? lower : undefined;
  // The URL standard maps by UTS 46; anything that is not a letter, digit, mark, dot or hyphen would be its syntax.
  if (!/^[\p{L}\p{N}\p{M}.\u3002\uff0e\uff61-]+$/u.test(lower)) return undefined;
  let mapped: string;
  try {
    mapped = new URL(`http://${lower}`).hostname;
  } catch {
    return undefined;
  }
  mapped = mapped.replace(/\.$/u, '');
  // nodemailer encodes without mapping: a domain that mapping changes has two readings.
  if (punycode.toASCII(lower.normalize('NFC')) !== mapped) return undefined;
  return isHostname(mapped) ? mapped : undefined;
};

const isHostname = (name: string): boolean =>
  name.length <= 253 && name.split('.').every((label) => LABEL.test(label)) && !/(?:^|\.)[0-9]+$/u.test(name);

/**
 * A list of `a@b`, `Name <a@b>` and `"Name, more" <a@b>` without any other character that has a meaning in the grammar.
 * Read by one sticky expression, so that nothing between two addresses can be skipped.
 */
const parsePlain = (text: string, piece: RegExp): Addresses | undefined => {
  if (text.includes('=?')) return undefined;
  const mailboxes: Mailbox[] = [];
  let plain = true;
  piece.lastIndex = 0;
  while (piece.lastIndex < text.length) {
    const match = piece.exec(text);
    if (match === null) return undefined;
    const quoted = match[1];
    const bare = match[2];
    const [angle, alone, end] = [match[3], match[4], match[5]];
    const [, local = '', host = ''] = PLAIN.exec(angle ?? alone ?? '') ?? [];
    if (local === '') return undefined;
    const domain = canonicalDomain(host);
    if (domain === undefined) return { fault: 'has a domain that cannot be read' };
    plain &&= domain === host;
    const name = (quoted ?? bare ?? '').trim();
    mailboxes.push({ local, domain, ...(name === '' ? {} : { name }) });
    if (end === ',' && piece.lastIndex === text.length) return undefined;
  }
  return { mailboxes, plain };
};

const parseUnusual = (text: string, budget: ReadingBudget): Addresses => {
  if (text.length > LONGEST_UNUSUAL_FIELD) return { fault: 'is too long for its unusual syntax' };
  budget.left -= text.length;
  if (budget.left < 0) return { fault: 'comes after too much text in unusual syntax' };
  // A decoder that runs before the parser turns an encoded word into syntax ("splitting the email atom", 2024).
  const encoded = faultOfEncodedWords(text);
  if (encoded !== undefined) return { fault: encoded };
  // The strict grammar is a recursive descent: nesting that no person writes would overflow it.
  if ((text.match(/\(/gu)?.length ?? 0) > 50) return { fault: 'has too many comments' };
  const strict = strictMailboxes(text);
  if (strict === undefined) return { fault: 'is not an RFC 5322 address list' };
  const lenient = lenientMailboxes(text);
  if (lenient === undefined || lenient.length !== strict.length) return { fault: 'is read differently by two parsers' };
  const mailboxes: Mailbox[] = [];
  for (const [index, one] of strict.entries()) {
    const other = lenient[index];
    if (other === undefined || one.local !== other.local || one.domain !== other.domain) {
      return { fault: 'is read differently by two parsers' };
    }
    if (one.local === '' || SPECIALS.test(one.local) || /[%!\s]/u.test(one.local) || one.local.includes('=?')) {
      return { fault: 'has a local part that mail servers read in different ways' };
    }
    const domain = one.domain.startsWith('[') ? one.domain.toLowerCase() : canonicalDomain(one.domain);
    if (domain === undefined) return { fault: 'has a domain that cannot be read' };
    mailboxes.push({ local: one.local, domain, ...(one.name === undefined ? {} : { name: one.name }) });
  }
  return { mailboxes, plain: false };
};

interface Split {
  readonly local: string;
  readonly domain: string;
  readonly name?: string;
}

const strictMailboxes = (text: string): readonly Split[] | undefined => {
  let list: ReturnType<typeof emailAddresses.parseAddressList>;
  try {
    list = emailAddresses.parseAddressList({ input: text, strict: true, rfc6532: true });
  } catch {
    return undefined;
  }
  if (list === null) return undefined;
  return list
    .flatMap((entry) => (entry.type === 'group' ? entry.addresses : [entry]))
    .map(({ local, domain, name }) => ({
      local: unquoted(local.trim()),
      domain: domain.replaceAll(/\s/gu, ''),
      ...(name === null || name.trim() === '' ? {} : { name: unquoted(name.trim()) }),
    }));
};

const lenientMailboxes = (text: string): readonly Split[] | undefined => {
  const split: Split[] = [];
  for (const { address } of addressParser(text, { flatten: true })) {
    if (typeof address !== 'string' || address === '') return undefined;
    const literal = /@(\[[^[\]\\]*\])$/u.exec(address);
    const at = literal === null ? address.lastIndexOf('@') : address.length - (literal[1]?.length ?? 0) - 1;
    if (at <= 0) return undefined;
    split.push({ local: unquoted(address.slice(0, at)), domain: address.slice(at + 1) });
  }
  return split;
};

const unquoted = (text: string): string =>
  text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1).replaceAll(/\\(.)/gu, '$1') : text;

const ENCODED_WORD = /=\?([^?]*)\?([^?]*)\?([^?]*)\?=/gu;
const ASCII_COMPATIBLE = /^(?:utf-8|us-ascii|iso-8859-\d+|windows-125\d)$/iu;

/** An encoded word may only carry text, never a character that means something to an address parser. */
const faultOfEncodedWords = (text: string): string | undefined => {
  for (const [, charset = '', encoding = '', body = ''] of text.matchAll(ENCODED_WORD)) {
    if (!ASCII_COMPATIBLE.test(charset.replace(/\*.*$/u, '')))
      return 'has an encoded word in a charset that is not read';
    const decoded = decodeWord(encoding, body);
    if (decoded === undefined) return 'has an encoded word that cannot be read';
    if (/[@<>,;:"\\()[\]\p{Cc}]/u.test(decoded)) return 'hides address syntax in an encoded word';
  }
  return text.replaceAll(ENCODED_WORD, '').includes('=?') ? 'has a broken encoded word' : undefined;
};

const decodeWord = (encoding: string, body: string): string | undefined => {
  if (encoding.toLowerCase() === 'b') {
    try {
      return atob(body);
    } catch {
      return undefined;
    }
  }
  if (encoding.toLowerCase() !== 'q' || /=(?![0-9A-Fa-f]{2})/u.test(body)) return undefined;
  return body.replaceAll(/=([0-9A-Fa-f]{2})/gu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
};
