import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createContentScanner } from '../../src/content/scanner.ts';
import {
  TextWindow,
  createContentStream,
  transformAsyncIterable,
  transformIterable,
  transformResult,
} from '../../src/content/stream.ts';

const scanner = createContentScanner({ pii: 'mask' });
const GITHUB = `ghp_${'aB3dE6gH9j'.repeat(4).slice(0, 36)}`;
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

const cut = (text: string, borders: readonly number[]): string[] => {
  const at = [0, ...borders.map((border) => border % (text.length + 1)), text.length].sort((a, b) => a - b);
  return at.slice(1).map((end, index) => text.slice(at[index], end));
};

const through = (pieces: readonly string[]): string => {
  const window = new TextWindow(scanner);
  return pieces.map((piece) => window.push(piece)).join('') + window.end();
};

test('wherever a text is cut, what comes out is what comes out of the whole', () => {
  const words = fc.array(fc.constantFrom('the', 'quick', 'fox', 'and', '17', 'path/to/x.ts', '{"a":', '\n', 'word. '), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(words, fc.constantFrom(...PLANTS)), { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(), { maxLength: 40 }),
      (parts, borders) => {
        const text = parts.map(([before, plant]) => `${before.join(' ')} ${plant} `).join('');
        const out = through(cut(text, borders));
        expect(out).not.toMatch(NEVER);
        expect(out).toBe(scanner.transformText(text).text);
      },
    ),
    { numRuns: 150 },
  );
});

test('one character at a time hides nothing, and plain text loses nothing', () => {
  const plain = 'A plain story about nobody in particular, told slowly. '.repeat(30);
  const text = `${plain}${PLANTS.join(' and ')} ${plain}`;
  const out = through(text.split(''));
  expect(out).not.toMatch(NEVER);
  expect(out.startsWith(plain)).toBe(true);
  expect(out.endsWith(` ${plain}`)).toBe(true);
});

test('no more is held back than the window and the last word', () => {
  const window = new TextWindow(scanner, { window: 100 });
  let given = 0;
  let pushed = 0;
  for (let index = 0; index < 200; index += 1) {
    pushed += 10;
    given += window.push('some words').length;
    pushed += 1;
    given += window.push(' ').length;
    expect(pushed - given).toBeLessThanOrEqual(100 + 20);
  }
});

test('a key longer than anything that is held is masked to its end', () => {
  const body = 'MIIEpAIBAAKCAQEA7bq3\n'.repeat(8_000);
  const text = `before -----BEGIN PRIVATE KEY-----\n${body}-----END PRIVATE KEY----- after`;
  const pieces = text.match(/[\s\S]{1,4096}/gu) ?? [];
  const out = through(pieces);
  expect(out).not.toContain('MIIEpAIB');
  expect(out.startsWith('before [REDACTED]')).toBe(true);
  expect(out.endsWith(' after')).toBe(true);
});

test('a generator gives masked pieces, a masked return value, and is closed when the reader stops', async () => {
  let closed = false;
  async function* source(): AsyncGenerator<unknown, unknown> {
    try {
      yield 'mail alice.lid';
      yield 'dell@example.com';
      yield { whole: 'alice.liddell@example.com' };
      yield 1;
      return 'bye alice.liddell@example.com';
    } finally {
      closed = true;
    }
  }
  const values: unknown[] = [];
  const wrapped = transformAsyncIterable(source(), scanner);
  let step = await wrapped.next();
  for (; step.done !== true; step = await wrapped.next()) values.push(step.value);
  expect(values).toEqual(['mail [MASKED_EMAIL]', { whole: '[MASKED_EMAIL]' }, 1]);
  expect(step.value).toBe('bye [MASKED_EMAIL]');
  closed = false;
  for await (const value of transformAsyncIterable(source(), scanner)) if (typeof value === 'object') break;
  expect(closed).toBe(true);
});

test('snapshots are judged one by one', () => {
  const source = ['mail', 'mail alice.liddell@example.com', 'mail alice.liddell@example.com now'];
  expect([...transformIterable(source, scanner, { texts: 'snapshots' })]).toEqual([
    'mail',
    'mail [MASKED_EMAIL]',
    'mail [MASKED_EMAIL] now',
  ]);
});

test('what a stream throws is masked, and keeps its class', async () => {
  async function* source(): AsyncGenerator<string> {
    yield 'one';
    throw new TypeError(`bad ${GITHUB}`);
  }
  const wrapped = transformAsyncIterable(source(), scanner);
  const failure = await wrapped.next().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(TypeError);
  expect((failure as TypeError).message).toBe('bad [REDACTED]');
});

test('bytes that are cut inside a character are masked as text; other bytes pass unchanged', async () => {
  const bytes = Buffer.from(`grüße ${GITHUB} ünd alice.liddell@example.com`);
  const pieces = Array.from(bytes, (byte) => Buffer.from([byte]));
  const out: Uint8Array[] = [];
  for (const piece of transformIterable(pieces, scanner)) out.push(piece as Uint8Array);
  expect(Buffer.concat(out).toString()).toBe('grüße [REDACTED] ünd [MASKED_EMAIL]');
  const binary = [Buffer.from([0xe2, 0x82]), Buffer.from([0x89, 0x50, 0xff, 0x00]), Buffer.from([0xc3])];
  expect(Buffer.concat([...transformIterable(binary, scanner)] as Buffer[])).toEqual(Buffer.concat(binary));
});

test('results are wrapped by what they are', async () => {
  const readable = new ReadableStream<unknown>({
    start: (controller) => {
      controller.enqueue('alice.liddell@');
      controller.enqueue('example.com');
      controller.close();
    },
  });
  const values: unknown[] = [];
  for await (const value of transformResult(readable, scanner) as AsyncIterable<unknown>) values.push(value);
  expect(values).toEqual(['[MASKED_EMAIL]']);
  expect(transformResult(['alice.liddell@example.com'], scanner)).toEqual(['[MASKED_EMAIL]']);
  expect(transformResult('alice.liddell@example.com', scanner)).toBe('[MASKED_EMAIL]');
  expect(createContentStream(scanner)).toBeInstanceOf(TransformStream);
});
