/**
 * No text makes the scanner run away. The same amount of text is scanned as eight short texts and as one long one, and
 * the processor time of this thread is compared (a linear scanner needs as much for both, a quadratic one eight times
 * as much for the long one), so neither a slow nor a busy machine changes the outcome.
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

const SHORT = 8_192;
const TIMES = 8;

/** The kernel may count processor time in steps of this many microseconds: shorter work says nothing. */
const TICK = 4_000;

/** Microseconds that this thread spent at work. */
const spent = (work: () => void): number => {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
};

const prose = 'The quick results of this report were read by nobody in particular. '.repeat((SHORT * TIMES) / 64);
/** What plain text of the same length costs, once the machine is warm. */
const plain = Math.min(...Array.from({ length: 9 }, () => spent(() => scanner.scanText(prose))));
/** How much dearer than plain text a hostile one may be: found where it is worst to be near 100. */
const DEAREST = 400;

test.each(UNITS)('repeating %j costs in proportion', (unit) => {
  const text = (length: number): string => unit.repeat(Math.ceil(length / unit.length));
  const short = text(SHORT);
  const long = text(SHORT * TIMES);
  scanner.scanText(short);
  let ratio = Number.POSITIVE_INFINITY;
  let dearness = Number.POSITIVE_INFINITY;
  // Collecting garbage falls upon either: the best of some attempts counts.
  for (let attempt = 0; attempt < 5 && (ratio >= 4 || dearness >= DEAREST); attempt += 1) {
    const inPieces = spent(() => {
      for (let time = 0; time < TIMES; time += 1) scanner.scanText(short);
    });
    const whole = spent(() => scanner.scanText(long));
    ratio = Math.min(ratio, whole / Math.max(TICK, inPieces));
    dearness = Math.min(dearness, whole / Math.max(300, plain));
  }
  expect(ratio).toBeLessThan(4);
  expect(dearness).toBeLessThan(DEAREST);
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
