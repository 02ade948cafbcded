/** The quick search for numbers finds exactly what a plain and slow one finds, and its parts agree with other makers'. */
import { isIPv4, isIPv6 } from 'node:net';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileKeywords, eachKeyword } from '../../src/content/keywords.ts';
import { digitsOf, isRepeated, luhn, mod11_10, mod97Step, verhoeff } from '../../src/content/checksums.ts';
import { DIGIT_RULES } from '../../src/content/identity-numbers.ts';
import { TOKEN_RULES } from '../../src/content/identity-rules.ts';
import { TOPICS, TOPIC_WORDS, topicBits, type Topic } from '../../src/content/pii-context.ts';
import { matchNumbers } from '../../src/content/pii-numbers.ts';
import { TOPIC_TRIGGERS } from '../../src/content/pii.ts';
import { createContentScanner } from '../../src/content/scanner.ts';
import { secretName } from '../../src/content/secret-names.ts';
import type { Span } from '../../src/content/spans.ts';
import { TextView } from '../../src/content/text-view.ts';
import { SOURCES, seeded, textOf } from '../bench/worst-texts.ts';
import { matchNumbers as plainNumbers } from './reference-numbers.ts';

const DIGITS = '0123456789'.split('');
const CAPITALS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('');

const topics = compileKeywords(TOPIC_TRIGGERS.map(({ word }) => word));

const found = (text: string, label: number, search: (view: TextView) => void): readonly Span[] => {
  const spans: Span[] = [];
  const phoneCheck = (digits: string): boolean => digits.length % 5 !== 0;
  const view = new TextView(text, (span) => spans.push(span), { names: false, addresses: false, phoneCheck }, label);
  eachKeyword(topics, view.units, text.length, (keyword, end) => {
    const trigger = TOPIC_TRIGGERS[keyword];
    trigger?.match(view, end - trigger.word.length, end);
  });
  search(view);
  return spans;
};

const sources = fc.array(fc.constantFrom(...SOURCES), { minLength: 1, maxLength: 5 });
/** Digits, what stands between them, and some letters: shapes that nobody thought of. */
const noise = fc
  .array(fc.constantFrom(...DIGITS, ...DIGITS, ' ', '-', '.', '/', '(', ') ', '+', 'x', 'A', 'd', ' tel ', ':'), {
    maxLength: 60,
  })
  .map((parts) => parts.join(''));

test('what the quick search finds is what the plain one finds', () => {
  fc.assert(
    fc.property(
      sources,
      fc.integer({ min: 1, max: 500 }),
      fc.nat(),
      noise,
      fc.option(fc.constantFrom(...TOPICS), { nil: undefined, freq: 4 }),
      (mixed, length, seed, extra, topic) => {
        const half = textOf(mixed, length, seed);
        const label = topicBits(topic === undefined ? [] : [topic]);
        for (const text of [half, half + extra, extra + half])
          expect(found(text, label, matchNumbers)).toEqual(found(text, label, plainNumbers));
      },
    ),
    { numRuns: 2_500 },
  );
});

test('a chain of more groups than are looked at together hides nothing that the plain search sees', () => {
  for (const piece of [
    '1-',
    '12 ',
    '123-45-6789 ',
    '415 555 0132 ',
    '4111 1111 1111 1111 ',
    '9.9.9.9.',
    '123456789012345678901 ',
  ]) {
    const text = piece.repeat(40);
    expect(found(text, 0, matchNumbers)).toEqual(found(text, 0, plainNumbers));
  }
});

test('every token that a rule can match has one of the shapes of that rule', () => {
  const token = fc.string({
    unit: fc.constantFrom(...DIGITS, ...CAPITALS),
    minLength: 8,
    maxLength: 36,
  });
  fc.assert(
    fc.property(token, fc.nat(), (text, pick) => {
      const rule = TOKEN_RULES[pick % TOKEN_RULES.length];
      const shape = rule?.shapes[pick % rule.shapes.length] ?? '';
      // A text of that shape, so that patterns match often enough; and the text as it is.
      const shaped = Array.from(shape, (sign, at) => {
        const character = text[at % text.length] ?? 'A';
        if (sign === '9') return /\d/u.test(character) ? character : '1';
        return sign === 'A' && /\d/u.test(character) ? 'T' : character;
      }).join('');
      for (const subject of [text, shaped]) {
        for (const { pattern, shapes } of TOKEN_RULES) {
          if (!pattern.test(subject)) continue;
          const fits = shapes.some(
            (one) =>
              one.length === subject.length &&
              Array.from(one).every((sign, at) => sign === '?' || /\d/u.test(subject[at] ?? '') === (sign === '9')),
          );
          expect(fits).toBe(true);
        }
      }
    }),
    { numRuns: 5_000, examples: [['R000000SE0HC', 0]] },
  );
});

test('every number that a rule proves is masked beside the word that it needs, and its rule is silent without it', () => {
  const scanner = createContentScanner({ pii: 'mask' });
  const random = seeded(7);
  for (const { rule, shape, gaps = ' ', proves, needs } of DIGIT_RULES) {
    const length = shape.reduce((sum, width) => sum + width, 0);
    let number = '';
    // A date and two check digits are the rarest: one number of some ten thousand.
    for (let tries = 0; tries < 400_000 && number === ''; tries += 1) {
      const text = Array.from({ length }, () => Math.floor(random() * 10)).join('');
      if (proves(digitsOf(text), 0)) number = text;
    }
    expect({ rule, length: number.length }).toEqual({ rule, length });
    let at = 0;
    const grouped = shape.map((width) => number.slice(at, (at += width))).join(gaps.charAt(0));
    const word = needs === undefined ? 'it is' : TOPIC_WORDS[needs[0] as Topic][0];
    expect(scanner.transformText(`${word} ${grouped}.`).text, `${rule} ${grouped}`).not.toContain(grouped);
    // Some rules have a stricter form that needs no word.
    const strict = DIGIT_RULES.some(
      (other) =>
        other.rule === rule &&
        other.needs === undefined &&
        other.gaps === undefined &&
        other.shape.join() === shape.join(),
    );
    if (needs !== undefined && !strict)
      expect(scanner.scanText(`it is ${grouped}.`).map((finding) => finding.rule)).not.toContain(rule);
  }
});

test('check digits agree with long division and with published examples', () => {
  const digits = fc.string({ unit: fc.constantFrom(...DIGITS), minLength: 2, maxLength: 18 });
  fc.assert(
    fc.property(digits, (text) => {
      let rest = 0;
      for (const character of text) rest = mod97Step(rest, character.charCodeAt(0));
      expect(rest).toBe(Number(BigInt(text) % 97n));
      const doubled = Array.from(text)
        .toReversed()
        .map((digit, at) => (at % 2 === 1 ? String(Number(digit) * 2) : digit))
        .join('');
      const sum = Array.from(doubled).reduce((total, digit) => total + Number(digit), 0);
      expect(luhn(digitsOf(text), 0, text.length)).toBe(sum % 10 === 0);
      expect(isRepeated(digitsOf(text), 0, text.length)).toBe(new Set(text).size === 1);
    }),
  );
  // Wikipedia's examples, and every other last digit.
  for (let last = 0; last < 10; last += 1) {
    expect(verhoeff(digitsOf(`236${last}`), 0, 4)).toBe(last === 3);
    expect(mod11_10(digitsOf(`079${last}`), 0, 4)).toBe(last === 2);
  }
});

test('addresses are those of node', () => {
  const scanner = createContentScanner({ pii: 'mask' });
  const whole = (text: string): boolean =>
    scanner
      .scanText(`at ${text} now`)
      .some(({ type, start, end }) => type === 'IP_ADDRESS' && start === 3 && end === 3 + text.length);
  const group = fc.oneof(fc.constantFrom('', '0', 'db8', 'ffff', '1', '12345'), fc.stringMatching(/^[0-9a-f]{1,4}$/u));
  const six = fc.array(group, { minLength: 3, maxLength: 9 }).map((groups) => groups.join(':'));
  const octet = fc.oneof(fc.integer({ min: 0, max: 300 }).map(String), fc.constantFrom('00', '01', ''));
  const four = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
  const embedded = fc
    .tuple(fc.constantFrom('::ffff:', '64:ff9b::', '1:2:3:4:5:6:', '::'), four)
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(six, four, embedded), (text) => {
      expect(whole(text)).toBe((isIPv4(text) || isIPv6(text)) && text !== '::');
    }),
    { numRuns: 3_000 },
  );
});

test('a name says the same in whichever way its words are put together', () => {
  const word = fc.constantFrom(
    'api',
    'key',
    'secret',
    'token',
    'password',
    'pass',
    'first',
    'user',
    'id',
    'public',
    'access',
    'client',
    'reset',
    'http',
    'foo',
  );
  const title = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
      const said = secretName(words.join('_'));
      for (const form of [
        words.join('-'),
        words.join('.'),
        words.join('__').toUpperCase(),
        words.map(title).join(''),
        words.map((one, at) => (at === 0 ? one : title(one))).join(''),
        words.map((one) => `${one}2`).join('_'),
        `--${words.join('-')}`,
        Array.from(words.join('_'), (c) => (c === '_' ? c : String.fromCharCode(c.charCodeAt(0) + 0xfee0))).join(''),
      ])
        expect(secretName(form)).toBe(said);
    }),
  );
});

test('detectors and telephone checks that scan by themselves do not disturb the scan they are part of', () => {
  const inner = createContentScanner({ pii: 'mask' });
  const other = btoa('nothing here but a number, 123-45-6780, and an end').repeat(3);
  const busy = createContentScanner({
    pii: 'mask',
    phoneCheck: () => inner.scanText('1-2-3-4 5 6 7 8 415-555-0132').length > 0,
    detectors: [
      {
        type: 'CODE',
        find: (text) => {
          inner.scanText(other);
          return Array.from(text.matchAll(/CODE-\d+/gu), ({ index, 0: { length } }) => ({
            start: index,
            end: index + length,
          }));
        },
      },
    ],
  });
  const plain = createContentScanner({
    pii: 'mask',
    detectors: [
      {
        type: 'CODE',
        find: (text) =>
          Array.from(text.matchAll(/CODE-\d+/gu), ({ index, 0: { length } }) => ({
            start: index,
            end: index + length,
          })),
      },
    ],
  });
  for (const text of [
    btoa('before it CODE-12345 and CODE-777 after it'),
    '+1 415 555 0132 460-89-9847 +44 20 7946 0958',
    'CODE-1',
  ])
    expect(busy.transformText(`x ${text} y`)).toEqual(plain.transformText(`x ${text} y`));
});
