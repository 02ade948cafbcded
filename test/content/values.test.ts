/** Values judged where they stand in a text are judged as the plain rules judge them by themselves. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isSecretValue, type NameStrength } from '../../src/content/secret-values.ts';
import { readable } from '../../src/content/units.ts';
import { isSecretValue as plainSecretValue } from './reference-values.ts';

const WORDS = [
  'changeme',
  'example',
  'your-',
  'my_secret',
  '<here>',
  '-here',
  'EXAMPLE',
  '...',
  '-goes-',
  '_placeholder',
  '${',
  '{{',
  '%(',
  '[A B]',
  'process.env.',
  'null',
  'n/a',
  'none',
  'String',
  'env:',
  'op://',
  'arn:',
  'https://',
  'http://a',
  'vault:',
  'abcdefgh',
  'HIJKLMNO',
  'qrstuvwx',
  '01234567',
  '1234567890',
  'xxxxxxxx',
  'XxX',
  '****',
  '-----',
  'function ',
  'new ',
  'a.b(',
  'x->y',
  'a::b',
  '/usr/lib',
  '../',
  'jackson-2.11',
  'v1.2.3',
  '2026-11-21',
  'rc1',
  'Gost28147-89',
  '123e4567-e89b-12d3-a456-426614174000',
  'hunter22',
  'aB3dE5gH7j',
  'sudAYxqVIhaWXi',
  'correct horse',
  '\u00A0',
  'é',
  'ſ',
];
const part = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 2, arbitrary: fc.string({ maxLength: 12 }) },
  { weight: 2, arbitrary: fc.stringMatching(/^[A-Za-z0-9+/=_.-]{0,20}$/u) },
);
const value = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));

test('a value is a secret exactly when the plain rules say so, whatever stands around it', () => {
  const strengths: readonly NameStrength[] = ['password', 'secret', 'weak'];
  fc.assert(
    fc.property(value, part, part, fc.boolean(), (text, before, behind, quoted) => {
      const source = readable(before + text + behind);
      for (const strength of strengths)
        expect(isSecretValue(source, before.length, before.length + text.length, strength, quoted)).toBe(
          plainSecretValue(text, strength, quoted),
        );
    }),
    { numRuns: 4_000 },
  );
});
