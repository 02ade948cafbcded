import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { SecretRegistry } from '../../src/content/registered.ts';
import { unitsOf } from '../../src/content/units.ts';
import { createContentScanner, registerEnvironmentSecrets, registerSecret } from '../../src/content/scanner.ts';

const foundIn = (registry: SecretRegistry, text: string): string[] => {
  const found: string[] = [];
  registry.search(unitsOf(text), text.length, (start, end) => found.push(text.slice(start, end)));
  return found;
};

test('a registered secret is found plain, and in the base64 of anything that contains it', () => {
  const secrets = fc
    .string({ minLength: 8, maxLength: 40, unit: 'grapheme' })
    .filter((text) => text.trim().length >= 8);
  fc.assert(
    fc.property(secrets, fc.string({ maxLength: 9 }), fc.string({ maxLength: 9 }), (secret, before, after) => {
      const registry = new SecretRegistry();
      registry.add(secret);
      const around = `${before}${secret}${after}`;
      const bytes = Buffer.from(around.toWellFormed());
      for (const text of [
        around,
        bytes.toString('base64'),
        bytes.toString('base64url'),
        bytes.toString('hex'),
        encodeURIComponent(around.toWellFormed()),
        JSON.stringify(around),
      ]) {
        expect(foundIn(registry, text).length).toBeGreaterThan(0);
      }
    }),
    { numRuns: 300 },
  );
});

test('a text without it is left alone, and short values are refused', () => {
  const registry = new SecretRegistry();
  registry.add('correct-horse');
  expect(foundIn(registry, 'correct-house battery staple Correct-horse')).toEqual([]);
  expect(() => registry.add('12345')).toThrow(RangeError);
  expect(foundIn(registry, 'correct-horse')).toEqual(['correct-horse']);
});

test('variables of the environment are taken by name and look', () => {
  const taken = registerEnvironmentSecrets({
    DATABASE_PASSWORD: 'tr0ub4dor-and-3',
    API_TOKEN: 'f3a9c1d77b2e4f60',
    HOME: '/home/someone',
    PATH: '/usr/bin:/bin',
    SSH_KEY_PATH: '/home/someone/.ssh/id',
    TOKEN_TTL: '3600000000',
    NODE_ENV: 'production',
  });
  expect(taken).toEqual(['DATABASE_PASSWORD', 'API_TOKEN']);
  const scanner = createContentScanner();
  expect(scanner.transform({ out: 'it is tr0ub4dor-and-3.' }).value).toEqual({ out: 'it is [REDACTED].' });
});

test('secrets of one scanner are its own; those of the process are everyone’s', () => {
  registerSecret('of-the-whole-process');
  const own = createContentScanner({ registeredSecrets: ['only-for-this-one'] });
  const other = createContentScanner();
  expect(own.transform('only-for-this-one of-the-whole-process').value).toBe('[REDACTED] [REDACTED]');
  expect(other.transform('only-for-this-one of-the-whole-process').value).toBe('only-for-this-one [REDACTED]');
});
