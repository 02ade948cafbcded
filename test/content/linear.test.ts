/**
 * No text makes the scanner run away. Time is compared with itself: eight times the text may take thirty times as long
 * (a linear scanner takes eight, a quadratic one sixty-four), so a slow or busy machine changes nothing.
 */
import { expect, test } from 'vitest';
import { createContentScanner } from '../../src/content/scanner.ts';

const scanner = createContentScanner({ pii: 'mask', names: true, addresses: true });

/** Every kind of rule, woken as often as a text can wake it. */
const UNITS = [
  'a',
  '1',
  '1 ',
  '12-',
  '00-',
  '1.',
  '1.1.1.1 ',
  '(1)',
  'x1',
  'A1',
  'AB12',
  'GB56',
  '123-45-6789 ',
  '415-555-0132 ',
  '+1',
  '+14155550132 ',
  '4111-',
  '4111 1111 1111 1111 ',
  '1234567890',
  'GB56 HXDO 8816 7774 6561 1',
  '00:',
  'aa:bb:',
  '::',
  '@',
  'a@',
  'a@b.',
  'a.b@c.d ',
  '://',
  '://a:',
  '://a:b@',
  '://a@@@',
  'eyJ',
  'eyJ.',
  'sk.eyJ',
  'ghp_',
  'sk-',
  'xoxb-',
  'glpat-',
  's.',
  '|',
  '1|',
  '_mmk',
  '.atlasv1.',
  'q~',
  '1Q~',
  ':A',
  'AKIA',
  'sig=',
  'kind: secret\n data:\n',
  'hooks.slack.com/',
  '-----BEGIN PRIVATE KEY-----',
  '-----BEGIN PRIVATE KEY-----\nMIIE',
  '-----END',
  'curl -u a:',
  ' -u ',
  'Authorization: Bearer ',
  'key',
  'key=',
  'key="',
  "key='",
  'key=\\"',
  'key: ',
  '"key":"',
  'key value=',
  'token, ',
  'password',
  'password="\\',
  'password is ',
  '%41',
  '\\u0041',
  '&#65;',
  'é',
  'ａ',
  '\u200B',
  '\u0430',
  '\u{1D400}',
  'YWFh',
  'cGFzc3dvcmQ9aHVudGVyMjI=',
  '616263',
  'YWFh\n',
  'Born 1',
  'dob 1/',
  'phone 1',
  'passport A1',
  'license 12',
  'Mr. A',
  '1 A street',
  '1 Aaaaaa Aaaaa street ',
  '{"a":[',
  ' ',
  '\n',
];

const best = (text: string, runs: number): number => {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run += 1) {
    const start = performance.now();
    scanner.scanText(text);
    least = Math.min(least, performance.now() - start);
  }
  return least;
};

test.each(UNITS)('repeating %j costs in proportion', (unit) => {
  const text = (length: number): string => unit.repeat(Math.ceil(length / unit.length));
  const short = text(16_384);
  const long = text(131_072);
  let ratio = Number.POSITIVE_INFINITY;
  // A pause of the machine in the one long run would look like a slow rule: the best of some attempts counts.
  for (let attempt = 0; attempt < 4 && ratio > 30; attempt += 1)
    ratio = Math.min(ratio, best(long, 1) / Math.max(0.05, best(short, 3)));
  expect(ratio).toBeLessThan(30);
});

test('deep, wide and many-keyed values end as well', () => {
  let deep: unknown = 'bob@example.com';
  for (let level = 0; level < 900; level += 1) deep = { deep };
  expect(scanner.transform(deep).findings).toHaveLength(1);
  let tooDeep: unknown = 'x';
  for (let level = 0; level < 5_000; level += 1) tooDeep = [tooDeep];
  expect(() => scanner.transform(tooDeep)).toThrow(RangeError);
  const keys = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`bob${index}@example.com`, index]));
  const masked = scanner.transform(keys).value as object;
  expect(Object.keys(masked)).toHaveLength(5_000);
  expect(JSON.stringify(masked)).not.toContain('@example');
});
