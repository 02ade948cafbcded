/**
 * The place a URL leads to, read once. The URL standard forgives a lot (tabs, backslashes, `0x7f.1`, percent-encoded
 * hosts); another client forgives something else. What is not already in the one spelling that every client agrees on
 * has a fault.
 */
import { rangeOf } from './network-address.ts';

export interface Destination {
  readonly scheme: string;
  /** Lower case, ASCII, without a trailing dot; IPv6 in brackets. */
  readonly host: string;
  readonly port: number;
  readonly isAddress: boolean;
}

export type ReadUrl =
  | { readonly destination: Destination; readonly fault?: undefined }
  | { readonly fault: string; /** Where the URL standard sees it go. */ readonly seen?: string };

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, ws: 80, wss: 443 };
const LONGEST_URL = 16 * 1024;

export const readUrl = (text: string): ReadUrl => {
  if (text.length > LONGEST_URL) return { fault: `is longer than ${LONGEST_URL} characters` };
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)/u.exec(text);
  if (match === null) return withSeen('is not an absolute URL', text);
  const scheme = (match[1] ?? '').toLowerCase();
  const defaultPort = DEFAULT_PORTS[scheme];
  if (defaultPort === undefined) return { fault: `has the scheme ${scheme}, not http, https, ws or wss` };
  if (/[\s\p{Cc}\ufeff]/u.test(text)) return withSeen('holds a space or control character', text);
  if (text.includes('\\')) return withSeen('holds a backslash', text);
  const authority = match[2] ?? '';
  if (authority.includes('@')) return withSeen('holds a user name', text);
  if (authority.includes('%')) return withSeen('has a percent-encoded host', text);
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return { fault: 'is not a URL' };
  }
  const parts = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/iu.exec(authority);
  if (parts === null) return withSeen('has a host that cannot be read', text);
  const written = (parts[1] ?? '').toLowerCase();
  const host = canonicalHost(written);
  if (host === undefined || host !== url.hostname.replace(/\.$/u, '')) return withSeen('has an ambiguous host', text);
  const port = parts[2] === undefined ? defaultPort : Number(parts[2]);
  if (port < 1 || port > 65_535) return { fault: 'has a port that does not exist' };
  return { destination: { scheme, host, port, isAddress: rangeOf(host) !== undefined } };
};

/** Clients also take `//host` and a bare `host/path`: where those lead is seen as they would. */
const withSeen = (fault: string, text: string): ReadUrl => {
  const guesses = [
    text,
    ...(text.startsWith('//') ? [`http:${text}`] : []),
    ...(/^[\w[]/u.test(text) ? [`http://${text}`] : []),
  ];
  for (const guess of guesses) {
    try {
      const { hostname } = new URL(guess);
      if (hostname !== '') return { fault, seen: hostname };
    } catch {
      // Not a URL in this spelling.
    }
  }
  return { fault };
};

/** `undefined` for what two clients could take for different hosts, odd spellings of IPv4 addresses first of all. */
export const canonicalHost = (host: string): string | undefined => {
  const lower = host.toLowerCase().replace(/\.$/u, '');
  if (lower.startsWith('[')) return rangeOf(lower) === undefined ? undefined : new URL(`http://${lower}`).hostname;
  if (rangeOf(lower) !== undefined) return lower;
  if (!/^[\p{L}\p{N}\p{M}_.-]+$/u.test(lower) || lower.includes('..') || lower.startsWith('.')) return undefined;
  let mapped: string;
  try {
    mapped = new URL(`http://${lower}`).hostname;
  } catch {
    return undefined;
  }
  // A name that the URL standard turns into an address was `127.1`, `0x7f000001` or `2130706433`.
  return rangeOf(mapped) === undefined && mapped.length <= 253 ? mapped : undefined;
};
