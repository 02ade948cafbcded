/** Secrets and personal data planted in every position of arguments, results and errors: none is left. */
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createContentScanner } from '../../src/content/scanner.ts';
import { TOKEN_ROWS } from '../../src/content/secret-tokens.ts';
import { DIGIT, KINDS } from '../../src/content/characters.ts';

const scanner = createContentScanner({ pii: 'mask', secrets: 'redact' });
const flagging = createContentScanner({ pii: 'flag', secrets: 'flag' });

/** A token of each published format, from a seed: its alphabet, its length, at least one digit and two cases where allowed. */
const sampleOf = ([prefix, , alphabet, min, max]: (typeof TOKEN_ROWS)[number], seed: number): string => {
  const letters: string[] = [];
  for (let code = 33; code < 127; code += 1) {
    // No punctuation at the end of the token, and none that would end it.
    if (((KINDS[code] ?? 0) & alphabet & 31) !== 0 && (code !== 49 || seed === 0))
      letters.push(String.fromCharCode(code));
  }
  let state = seed * 7_919 + prefix.length * 104_729 + 1;
  let text = prefix;
  for (let index = 0; index < Math.max(min, Math.min(max ?? min, min)); index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    // Notion's begin with eleven digits.
    const digit = index === 0 || index === 3 || (prefix === 'ntn_' && index < 11);
    text += digit && (alphabet & DIGIT) !== 0 ? '7' : (letters[(state >>> 8) % letters.length] ?? 'a');
  }
  return text;
};

const tokens = fc
  .tuple(fc.constantFrom(...TOKEN_ROWS), fc.nat({ max: 10_000 }))
  .map(([row, seed]) => sampleOf(row, seed));
const personal = fc.constantFrom(
  'alice.liddell@example.com',
  '4012 8888 8888 1881',
  '460-89-9847',
  'GB56HXDO88167774656119',
  '+1 415 555 0132',
);
const planted = fc.oneof(tokens, personal);
const before = fc.constantFrom('', ' ', '\n', '"', "'", '(', ', ', ': ', '= ', 'see ', '\u200B', 'ключ ', '密钥');
/** Nothing that would belong to the word before it. */
const after = fc.constantFrom('', ' ', '\n', '"', "'", ')', ', ', ': ', ' is it', '\u200B ', '密钥');

const places: readonly ((text: string) => unknown)[] = [
  (text) => text,
  (text) => [[{ deep: [text] }]],
  (text) => ({ [text]: 1 }),
  (text) => ({ note: `before ${text} after` }),
  (text) => new Map([['k', { text }]]),
  (text) => new Map([[text, 1]]),
  (text) => new Set([text]),
  (text) => new Error(text),
  (text) => new Error('outer', { cause: new TypeError(`inner ${text}`) }),
  (text) => new AggregateError([new Error(text)], 'several'),
  (text) => Object.assign(new Error('x'), { response: { body: text } }),
  (text) => JSON.stringify({ text }),
  (text) => JSON.stringify(JSON.stringify({ text })),
];

const show = (value: unknown): string =>
  inspect(value, { depth: null, maxStringLength: null, maxArrayLength: null, breakLength: Infinity, showHidden: true });

test('nothing planted is left after transform, nor in the copy for the journal', () => {
  fc.assert(
    fc.property(planted, before, after, fc.constantFrom(...places), (secret, left, right, place) => {
      const value = place(`${left}${secret}${right}`);
      expect(show(scanner.transform(value).value)).not.toContain(secret);
      expect(show(flagging.record(value).value)).not.toContain(secret);
      expect(JSON.stringify(scanner.scan(value))).not.toContain(secret);
    }),
    { numRuns: 1_500 },
  );
});

test('and not after one level of encoding either', () => {
  const encodings: readonly ((text: string) => string)[] = [
    (text) => btoa(`the value is ${text} indeed`),
    (text) => btoa(`the value is ${text} indeed`).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''),
    (text) => Buffer.from(`the value is ${text} indeed`).toString('hex'),
    // Other scripts before it, a path or a name in front.
    (text) => Buffer.from(`пароль, ключ: ${text} вот и всё`).toString('base64'),
    (text) => Buffer.from(`пароль, ключ: ${text} вот и всё`).toString('hex'),
    (text) => `data/some/path/${btoa(`the value is ${text} and so it goes on to the end`)}`,
    (text) => `0x${Buffer.from(`the value is ${text} indeed`).toString('hex')}`,
    (text) =>
      `https://example.com/?q=${Array.from(`${text} `, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`).join('')}`,
    (text) => Array.from(text, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
    (text) => Array.from(text, (c) => `&#${c.charCodeAt(0)};`).join(''),
    (text) => Array.from(text, (c) => String.fromCharCode(c === ' ' ? 32 : c.charCodeAt(0) + 0xfee0)).join(''),
    (text) => Array.from(text).join('\u200B'),
    // Each character in another way.
    (text) =>
      Array.from(text, (c, at) => {
        const code = c.charCodeAt(0);
        const hex = code.toString(16).padStart(2, '0');
        const wide = c === ' ' ? c : String.fromCharCode(code + 0xfee0);
        return [wide, `%${hex}`, `${c}\u200B`, `\\u00${hex}`, `&#${code};`][at % 5];
      }).join(''),
  ];
  fc.assert(
    fc.property(planted, fc.constantFrom(...encodings), (secret, encode) => {
      const encoded = encode(secret);
      const { text, findings } = scanner.transformText(`data ${encoded} end`);
      expect(findings.length).toBeGreaterThan(0);
      expect(text).not.toContain(encoded);
      expect(text).toMatch(/\[(?:REDACTED|MASKED_)/u);
    }),
    { numRuns: 1_200 },
  );
});
