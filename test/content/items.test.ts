/** Streams of texts and bytes: wherever they are cut, and however long what is in them, nothing slips through a border. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ItemWindow } from '../../src/content/items.ts';
import { wasRead } from '../../src/content/pieces.ts';
import { createContentScanner } from '../../src/content/scanner.ts';
import type { Findings } from '../../src/model/content.ts';

const scanner = createContentScanner({ pii: 'mask' });
const GITHUB = ['ghp', 'aB3dE6gH9j'.repeat(4).slice(0, 36)].join('_');
const PEM = `-----BEGIN RSA PRIVATE KEY-----\n${`${'MIIEpAIBAAKCAQEA7bq3'.repeat(3)}\n`.repeat(24)}-----END RSA PRIVATE KEY-----`;
const PLANTS = [
  GITHUB,
  'AKIAZZ7F3JQ2LMNOPQR4',
  'alice.liddell@example.com',
  '4012 8888 8888 1881',
  '+1 415 555 0132',
  'password = "correct-horse-7"',
  PEM,
  `eyJhbGciOiJIUzI1NiJ9.${'eyJzdWIiOiIxMjM0NTY3ODkwIn0'.repeat(9)}.c2lnbmF0dXJlc2lnbmF0dXJl`,
];
const NEVER = /aB3dE6gH9j|AKIAZZ7|liddell|8888|0132|correct-horse|MIIEpAIB|eyJhbGci/u;

const cut = <T extends { readonly length: number; slice: (from: number, to?: number) => T }>(
  whole: T,
  borders: readonly number[],
): T[] => {
  const at = [0, ...borders.map((border) => border % (whole.length + 1)), whole.length].sort((a, b) => a - b);
  return at.slice(1).map((end, index) => whole.slice(at[index] ?? 0, end));
};

const through = (pieces: readonly unknown[]): { readonly out: readonly unknown[]; readonly findings: Findings } => {
  const findings: Findings[number][] = [];
  const window = new ItemWindow(scanner, (found) => void findings.push(...found));
  return { out: [...pieces.flatMap((piece) => window.push(piece)), ...window.end()], findings };
};

const words = fc.array(fc.constantFrom('the', 'quick', 'fox', 'and', '17', 'path/to/x.ts', '{"a":', '\n', 'word. '), {
  maxLength: 60,
});
const planted = fc
  .array(fc.tuple(words, fc.constantFrom(...PLANTS)), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.map(([before, plant]) => `${before.join(' ')} ${plant} `).join(''));
const borders = fc.array(fc.nat(), { maxLength: 40 });

describe('wherever it is cut, nothing slips through, and no item is lost', () => {
  test('text', () => {
    fc.assert(
      fc.property(planted, borders, (text, at) => {
        const pieces = cut(text, at);
        const { out, findings } = through(pieces);
        expect(out).toHaveLength(pieces.length);
        expect(out.join('')).not.toMatch(NEVER);
        expect(findings.length).toBeGreaterThan(0);
      }),
      { numRuns: 150 },
    );
  });

  test('bytes, characters included', () => {
    fc.assert(
      fc.property(planted, borders, (text, at) => {
        const pieces = cut(Buffer.from(`größe ${text}`), at);
        const { out } = through(pieces);
        expect(Buffer.concat(out as Buffer[]).toString()).not.toMatch(NEVER);
        expect(Buffer.concat(out as Buffer[]).toString()).toMatch(/^größe /u);
      }),
      { numRuns: 100 },
    );
  });

  test('text without anything in it comes out as it went in, in the same pieces', () => {
    fc.assert(
      fc.property(words, borders, (list, at) => {
        const pieces = cut(list.join(' '), at);
        expect(through(pieces)).toEqual({ out: pieces, findings: [] });
      }),
    );
  });
});

test('one character at a time: what stands around is kept, and each finding is told once', () => {
  const plain = 'A plain story about nobody in particular, told slowly. '.repeat(30);
  const { out, findings } = through(`${plain}${PLANTS.join(' and ')} ${plain}`.split(''));
  const text = out.join('');
  expect(text).not.toMatch(NEVER);
  expect(text.startsWith(plain)).toBe(true);
  expect(text.endsWith(` ${plain}`)).toBe(true);
  expect(findings.map(({ type }) => type).toSorted()).toEqual([
    'CREDIT_CARD',
    'EMAIL',
    'PHONE_NUMBER',
    ...Array<string>(5).fill('SECRET'),
  ]);
});

test('no more is held back than the window, the last word and the last item', () => {
  const window = new ItemWindow(scanner, () => undefined);
  let held = 0;
  for (let index = 0; index < 200; index += 1) {
    held += 'some words '.length;
    for (const item of window.push('some words ')) held -= String(item).length;
    expect(held).toBeLessThanOrEqual(256 + 2 * 'some words '.length);
  }
});

test('a key longer than anything that is held is masked to its end', () => {
  const body = 'MIIEpAIBAAKCAQEA7bq3\n'.repeat(8_000);
  const text = `before -----BEGIN PRIVATE KEY-----\n${body}-----END PRIVATE KEY----- after`;
  const out = through(text.match(/[\s\S]{1,4096}/gu) ?? []).out.join('');
  expect(out).not.toContain('MIIEpAIB');
  expect(out.startsWith('before [REDACTED]')).toBe(true);
  expect(out.endsWith(' after')).toBe(true);
});

test('bytes that are no text go on as they are', () => {
  const pieces = [Buffer.from([0xe2, 0x82]), Buffer.from([0x89, 0x50, 0xff, 0x00]), Buffer.from([0xc3])];
  expect(through(pieces).out).toEqual(pieces);
});

test('what is held is looked at once a window, not once a piece', () => {
  const text = `-----BEGIN PRIVATE KEY-----\n${'MIIEpAIBAAKCAQEA7bq3\n'.repeat(400)}`;
  let looks = 0;
  const counting = {
    ...scanner,
    inspect: (given: string) => {
      looks += given.length > 1 ? 1 : 0;
      return scanner.inspect(given);
    },
  };
  const window = new ItemWindow(counting, () => undefined);
  for (const piece of text) window.push(piece);
  window.end();
  // Once for each of the first 1 024 characters, then for every 256.
  expect(looks).toBeLessThan(1_024 + text.length / 256 + 8);
});

describe('nothing is given on before its end is known', () => {
  const long = `q${'w3Er5t'.repeat(60)} with a space ${'z8Y'.repeat(90)}`;
  const own = createContentScanner({ pii: 'mask', registeredSecrets: [long] });
  const wide = (text: string): string =>
    Array.from(text, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0)).join('');
  const armoured = `-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2.0.22 (GNU/Linux)\nComment: Alice <a@b.example>\n\n${`${'lQOYBFaB3dE6gH9jK1mN2pQ4rS5tU7'.repeat(2)}\n`.repeat(60)}-----END PGP PRIVATE KEY BLOCK-----`;
  const quoted = Array.from(GITHUB, (c) => `\\\\\\\\\\u00${c.charCodeAt(0).toString(16)}`).join('');
  const whole = `-----BEGIN PRIVATE KEY-----\n${'MIIEpAIBAAKCAQEA7bq3\n'.repeat(5_000)}-----END PRIVATE KEY-----`;

  /** By name: what stands in the stream, and what must never come out of it. */
  const texts: Readonly<Record<string, readonly [text: string, never: RegExp]>> = {
    'the password of a URL, three hundred characters long': [
      `postgres://svc:${'aB3dE6gH9j'.repeat(30)}@db/x`,
      /aB3dE6gH9j/u,
    ],
    'a registered secret, longer than the window, with spaces': [long, /w3Er5tw3|z8Yz8Y/u],
    'a token that was quoted many times': [quoted, /u0067|67/u],
    'a PGP key with headers': [armoured, /lQOYBF/u],
    'a PGP key with more headers than are looked at': [
      armoured.replace('Comment:', `${'Comment: a line of words that says nothing\n'.repeat(40)}Comment:`),
      /lQOYBF/u,
    ],
    'a token with signs of no width in it': [Array.from(GITHUB).join('\uFEFF'), /a\uFEFFB/u],
    'a key in base64': [btoa(whole), new RegExp(btoa('MIIEpAIBAAKCAQEA7bq3\n').slice(4, 24), 'u')],
    'a key in hexadecimal': [Buffer.from(whole).toString('hex'), /4d494945/u],
  };

  test.each(Object.entries(texts))('%s', (_, [text, never]) => {
    for (const size of [1, 5, 50, 333, 1_460]) {
      if (size < 50 && text.length > 20_000) continue;
      const findings: Findings[number][] = [];
      const window = new ItemWindow(own, (found) => void findings.push(...found));
      const stream = `${'what is before. '.repeat(30)}${text} ${'what is after. '.repeat(60)}`;
      let out = '';
      for (let at = 0; at < stream.length; at += size)
        for (const item of window.push(stream.slice(at, at + size))) out += String(item);
      for (const item of window.end()) out += String(item);
      expect(out).not.toMatch(never);
      expect(findings.length).toBeGreaterThan(0);
    }
  });

  test('a token in hexadecimal without end, cut inside its bytes', () => {
    const text = `${'616263 '.replaceAll(' ', '').repeat(11_000)}${Buffer.from(` ${GITHUB} `).toString('hex')}`;
    for (const size of [71, 95, 301]) {
      const window = new ItemWindow(own, () => undefined);
      let out = '';
      for (let at = 0; at < text.length; at += size)
        for (const item of window.push(text.slice(at, at + size))) out += String(item);
      for (const item of window.end()) out += String(item);
      expect(out).not.toContain(Buffer.from(GITHUB.slice(8, 30)).toString('hex'));
    }
  });

  test('what is disguised in bytes, wherever characters are cut', () => {
    const bytes = Buffer.from(`Всё хорошо, ключ: ${wide(GITHUB)} вот. ${'и так далее. '.repeat(40)}`);
    for (const size of [1, 2, 7, 100, 333]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      const out = Buffer.concat(through(pieces).out as Buffer[]).toString();
      expect(out).toBe(bytes.toString().replace(wide(GITHUB), '[REDACTED]'));
    }
  });
});

test('a mask takes whole characters, and leaves those beside it whole', () => {
  for (const text of ['write to “alice@example.com”, please', '邮箱 alice@example.com。谢谢', 'é4012 8888 8888 1881é'])
    for (const size of [1, 3, 1_000]) {
      const bytes = Buffer.from(text);
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      const out = Buffer.concat(through(pieces).out as Buffer[]).toString();
      expect(out).toBe(scanner.transformText(text).text);
    }
});

test('bytes that their maker writes over come out as they came in', () => {
  const window = new ItemWindow(scanner, () => undefined);
  const one = Buffer.alloc(300);
  const out: unknown[] = [];
  for (const letter of 'abcde') out.push(...window.push(one.fill(letter)));
  out.push(...window.end());
  expect(out.map((bytes) => String(bytes)[0]).join('')).toBe('abcde');
});

test('bytes that were read count as read no more when they are others', () => {
  const [bytes] = through([Buffer.from('plain text')]).out as [Buffer];
  expect(wasRead(bytes)).toBe(true);
  bytes.fill(0);
  expect(through([bytes]).out).toEqual([bytes]);
  expect(wasRead(bytes)).toBe(false);
});

test('a secret is told of although personal data begins at the same place', () => {
  const key = `AIza${'aB3dE6gH9j'.repeat(4).slice(0, 35)}`;
  const { findings } = through([key, '@example.com']);
  expect(findings.map(({ kind }) => kind)).toContain('secret');
});

test('a finding that a piece shows as well is one', () => {
  expect(through(['write to ali', 'ce@example.com now']).findings).toMatchObject([{ type: 'EMAIL' }]);
});
