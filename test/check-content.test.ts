import { expect, test } from 'vitest';
import { checkContent } from '../src/check-content.ts';
import { classify, higher } from '../src/content/classify.ts';

test('what is found decides, by the flags; the value comes back masked', () => {
  expect(
    checkContent({ to: 'alice.liddell@example.com', text: 'call +1 415 555 0132' }, { pii: 'block' }),
  ).toMatchObject({
    allowed: false,
    reason: 'PII detected: EMAIL, PHONE_NUMBER',
    classification: 'CONFIDENTIAL',
    counts: [
      { type: 'EMAIL', count: 1 },
      { type: 'PHONE_NUMBER', count: 1 },
    ],
  });
  expect(checkContent('card 4012 8888 8888 1881')).toMatchObject({
    allowed: true,
    classification: 'RESTRICTED',
    because: 'CREDIT_CARD',
    value: 'card [MASKED_CREDIT_CARD]',
  });
  expect(checkContent('AKIAZZ7F3JQ2LMNOPQR4', { secrets: 'block' })).toMatchObject({
    allowed: false,
    reason: 'Secrets detected: aws-key-id',
  });
  expect(checkContent('nothing of note')).toMatchObject({
    allowed: true,
    classification: 'PUBLIC',
    findings: [],
    value: 'nothing of note',
  });
});

test('a detector of the program’s own is one like the others', () => {
  const detectors = [
    {
      type: 'CUSTOMER_ID',
      find: (text: string) =>
        [...text.matchAll(/\bC-\d{6}\b/gu)].map(({ index, 0: { length } }) => ({ start: index, end: index + length })),
    },
  ];
  expect(checkContent('see C-123456', { detectors })).toMatchObject({
    value: 'see [MASKED_CUSTOMER_ID]',
    classification: 'CONFIDENTIAL',
  });
  expect(checkContent('see C-12345', { detectors })).toMatchObject({ value: 'see C-12345', classification: 'PUBLIC' });
});

test('a machine’s address is internal, people in bulk are restricted, and the higher of two counts', () => {
  expect(checkContent('from 192.168.1.4').classification).toBe('INTERNAL');
  const people = Array.from({ length: 100 }, (_, index) => `p${index}@example.com`);
  expect(checkContent(people).classification).toBe('RESTRICTED');
  expect(checkContent(people.slice(0, 99)).classification).toBe('CONFIDENTIAL');
  expect(classify([], true).classification).toBe('INTERNAL');
  expect(higher('INTERNAL', 'RESTRICTED')).toBe('RESTRICTED');
});

test('names and street addresses are looked for on request only', () => {
  const text = 'Dear Alice Liddell, your parcel waits at 12 Folly Bridge Road, Oxford.';
  expect(checkContent(text).value).toBe(text);
  expect(checkContent(text, { names: true, addresses: true }).value).toBe(
    'Dear [MASKED_PERSON], your parcel waits at [MASKED_ADDRESS].',
  );
});
