/** What an IP address is for (IANA special-purpose registries, RFC 6890), over the spellings a resolver or a URL gives. */

/** `metadata`: hands out cloud credentials to whoever asks. `reserved`: everything that is not plainly on the internet. */
export type AddressRange = 'public' | 'loopback' | 'private' | 'link-local' | 'metadata' | 'reserved';

/** `undefined` for what is not an IP address in canonical spelling (dotted quad; RFC 4291 with or without brackets). */
export const rangeOf = (address: string): AddressRange | undefined => {
  const v4 = parseV4(address);
  if (v4 !== undefined) return rangeOfV4(v4);
  const v6 = parseV6(address);
  return v6 === undefined ? undefined : rangeOfV6(v6);
};

type Quad = readonly [number, number, number, number];

const parseV4 = (address: string): Quad | undefined => {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/u.exec(address);
  if (match === null) return undefined;
  const parts = match.slice(1);
  // A leading zero is octal to some readers.
  if (parts.some((part) => Number(part) > 255 || (part.length > 1 && part.startsWith('0')))) return undefined;
  return parts.map(Number) as unknown as Quad;
};

const rangeOfV4 = ([a, b, c, d]: Quad): AddressRange => {
  if (a === 127) return 'loopback';
  if (a === 169 && b === 254) return c === 169 && d === 254 ? 'metadata' : 'link-local';
  if (a === 100 && b === 100 && c === 100 && d === 200) return 'metadata';
  if (a === 168 && b === 63 && c === 129 && d === 16) return 'metadata';
  if (a === 10 || (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168)) return 'private';
  if (a === 100 && b >= 64 && b <= 127) return 'private';
  if (a === 0 || a >= 224) return 'reserved';
  if (a === 192 && b === 0 && (c === 0 || c === 2)) return 'reserved';
  if (a === 192 && b === 88 && c === 99) return 'reserved';
  if (a === 198 && (b === 18 || b === 19 || (b === 51 && c === 100))) return 'reserved';
  return a === 203 && b === 0 && c === 113 ? 'reserved' : 'public';
};

const parseV6 = (address: string): readonly number[] | undefined => {
  const bare = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address;
  if (!/^[0-9a-f:.]+$/iu.test(bare) || !bare.includes(':')) return undefined;
  let canonical: string;
  try {
    canonical = new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
  const [head = '', tail] = canonical.split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const left = groups(head);
  if (tail === undefined) return left;
  const right = groups(tail);
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
};

const rangeOfV6 = (groups: readonly number[]): AddressRange => {
  const [g0 = 0, g1 = 0, g2 = 0, g3 = 0, g4 = 0, g5 = 0, g6 = 0, g7 = 0] = groups;
  const zero = (...parts: readonly number[]): boolean => parts.every((part) => part === 0);
  if (zero(g0, g1, g2, g3, g4, g5, g6)) return g7 === 1 ? 'loopback' : 'reserved';
  // IPv4 inside: mapped, NAT64, 6to4. It goes where the inner address is, but never counts as public by itself.
  if (zero(g0, g1, g2, g3, g4) && g5 === 0xffff) return inner(g6, g7);
  if (g0 === 0x64 && g1 === 0xff9b && zero(g2, g3, g4, g5)) return inner(g6, g7);
  if (g0 === 0x2002) return inner(g1, g2);
  // fc00::/7, fe80::/10 and the EC2 and GCE metadata addresses inside fd00::/8.
  if (g0 === 0xfd00 && g1 === 0xec2) return 'metadata';
  if (g0 === 0xfd20 && g1 === 0xce) return 'metadata';
  if (g0 >= 0xfc00 && g0 <= 0xfdff) return 'private';
  if (g0 >= 0xfe80 && g0 <= 0xfeff) return 'link-local';
  if (g0 < 0x2000 || g0 > 0x3fff) return 'reserved';
  if (g0 === 0x2001 && (g1 < 0x200 || g1 === 0xdb8)) return 'reserved';
  return g0 === 0x3fff ? 'reserved' : 'public';
};

const inner = (high: number, low: number): AddressRange => {
  const range = rangeOfV4([Math.floor(high / 256), high % 256, Math.floor(low / 256), low % 256]);
  return range === 'public' ? 'reserved' : range;
};
