/** Texts as units: the same characters, nothing of the text before, and no difference to what is found. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createContentScanner } from '../../src/content/scanner.ts';
import { replaceSpans, type Span } from '../../src/content/spans.ts';
import { PAD, giveUnits, readUnits, takeUnits, textOfUnits } from '../../src/content/units.ts';
import { SOURCES, textOf } from '../bench/worst-texts.ts';

const character = fc.oneof(
  { weight: 6, arbitrary: fc.string({ minLength: 1, maxLength: 1 }) },
  { weight: 1, arbitrary: fc.constantFrom('é', '９', '\u200B', '\u{1D7D8}', '\ud800', '\udc00', '\0') },
);
/** Short texts and such of several chunks, with or without strange characters at any place. */
const texts = fc
  .tuple(fc.array(character, { maxLength: 40 }), fc.constantFrom(0, 1, 30, 16_383, 16_384, 40_000))
  .map(([characters, length]) => `${'plain '.repeat(length / 6)}${characters.join('')}${'more'.repeat(length / 8)}`);

test('units are the code units of the text, with zeros behind, whatever was read before', () => {
  fc.assert(
    fc.property(texts, texts, (before, text) => {
      for (const one of [before, text]) {
        const units = takeUnits(one.length);
        try {
          const ascii = readUnits(one, units);
          expect(ascii).toBe(!/[\u0080-\u{10ffff}]/u.test(one));
          const read = Array.from(units.subarray(0, one.length), (code) => String.fromCharCode(code)).join('');
          expect(read === one).toBe(true);
          expect(units.subarray(one.length, one.length + PAD).every((code) => code === 0)).toBe(true);
          expect(textOfUnits(units, one.length) === one.toWellFormed()).toBe(true);
        } finally {
          giveUnits();
        }
      }
    }),
  );
});

test('a text inside another has room of its own', () => {
  const outer = takeUnits(8);
  readUnits('outside!', outer);
  const inner = takeUnits(6);
  readUnits('inside', inner);
  giveUnits();
  expect(textOfUnits(outer, 8)).toBe('outside!');
  giveUnits();
});

test('what is found in a text does not depend on what was scanned before', () => {
  const options = { pii: 'mask', names: true, addresses: true } as const;
  const mix = fc.tuple(fc.array(fc.constantFrom(...SOURCES), { minLength: 1, maxLength: 4 }), fc.nat(), fc.nat(600));
  fc.assert(
    fc.property(mix, mix, (one, other) => {
      const [text, before] = [one, other].map(([sources, seed, length]) => textOf(sources, length, seed)) as [
        string,
        string,
      ];
      const scanner = createContentScanner(options);
      const first = scanner.transformText(text);
      scanner.transformText(`${before} ${text} 123-45-6789 password=hunter22x`.repeat(3));
      scanner.transformText(before);
      expect(scanner.transformText(text)).toEqual(first);
    }),
    { numRuns: 300 },
  );
});

/** The next place that is not in the middle of a pair: nobody finds half of a character. */
const whole = (text: string, at: number): number =>
  /^[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(at - 1, at + 1)) ? at + 1 : at;

test('many masks are written as few are', () => {
  const types = fc.constantFrom('SECRET', 'EMAIL', 'A', 'ÄÖ', '\u{1F600}');
  const step = fc.tuple(fc.nat(3), fc.nat(9), types, fc.constantFrom<Span['kind']>('secret', 'pii'));
  fc.assert(
    fc.property(
      fc.array(character, { minLength: 200, maxLength: 400 }),
      fc.array(step, { minLength: 25, maxLength: 60 }),
      (characters, steps) => {
        const text = characters.join('');
        const spans: Span[] = [];
        let at = 0;
        for (const [gap, length, type, kind] of steps) {
          const start = whole(text, at + gap);
          at = whole(text, start + length);
          if (at <= text.length) spans.push({ start, end: at, kind, type, rule: 'x', score: 1 });
        }
        let plain = '';
        let from = 0;
        for (const { start, end, kind, type } of spans) {
          plain += text.slice(from, start) + (kind === 'secret' ? '[REDACTED]' : `[MASKED_${type}]`);
          from = end;
        }
        expect(replaceSpans(text, spans) === plain + text.slice(from)).toBe(true);
      },
    ),
  );
});

test('a text that grows as it is folded is read whole, whatever room the texts before it left', () => {
  const scanner = createContentScanner({ pii: 'mask' });
  for (const length of [10, 400, 1_000, 9_000, 70_000, 400, 1_200_000, 700]) {
    const text = `${'…ﬃ'.repeat(length / 2)} ssn ４６０-89-9847`;
    expect(scanner.scanText(text).at(-1)).toMatchObject({ type: 'SSN', start: text.length - 11, end: text.length });
    scanner.scanText('plain '.repeat(length));
  }
});
