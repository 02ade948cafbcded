/** What counts as a secret, and beside each what does not. */
import { describe, expect, test } from 'vitest';
import { createContentScanner } from '../../src/content/scanner.ts';

const scanner = createContentScanner();
const masked = (value: unknown): unknown => scanner.transform(value).value;

const SECRETS: readonly (readonly [string, string])[] = [
  ['password=hunter2x', 'password=[REDACTED]'],
  ['"api_key": "f3a9c1d77b2e4f60"', '"api_key": "[REDACTED]"'],
  ['my password is tr0ub4dor.', 'my password is [REDACTED].'],
  ['mysql --password hunter22', 'mysql --password [REDACTED]'],
  ['Authorization: Bearer f3a9c1d77b2e4f60aa', 'Authorization: Bearer [REDACTED]'],
  ['sent Basic YWxpY2U6aHVudGVyMng=', 'sent Basic [REDACTED]'],
  ['postgres://app:s3cr3t-w0rd@db/app', 'postgres://app:[REDACTED]@db/app'],
  ['curl -u alice:tr0ub4dor https://x.example', 'curl -u alice:[REDACTED] https://x.example'],
  ['<add key="Password" value="Cl3artext" />', '<add key="Password" value="[REDACTED]" />'],
  ['{\\"token\\":\\"f3a9c1d77b2e4f60\\"}', '{\\"token\\":\\"[REDACTED]\\"}'],
  ['export GITHUB_TOKEN=f3a9c1d77b2e4f60aa', 'export GITHUB_TOKEN=[REDACTED]'],
  [
    '-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDndJt7NaG8T64\\n-----END PRIVATE KEY-----',
    '[REDACTED]',
  ],
  [`-----BEGIN EC PRIVATE KEY-----\n${'MIGlAgEBBDEA1yi+kzpV'.repeat(6)}`, '[REDACTED]'],
  [`eyJhbGciOiJIUzI1NiJ9.${'eyJzdWIiOiIx'.repeat(2_000)}.${'c2ln'.repeat(20)} end`, '[REDACTED] end'],
];

test.each(SECRETS)('%j is redacted', (text, expected) => {
  expect(masked(text)).toBe(expected);
});

const ORDINARY: readonly string[] = [
  'the password is required',
  'password: string; token: string | undefined',
  'const token = await getToken(user)',
  'api_key=${API_KEY}',
  'password=<your password>',
  'secret: process.env.SECRET',
  'key: value, monkey: banana, keyboard: qwerty12345',
  'max_tokens=4096 prompt_tokens: 1234567890',
  'nextPageToken: CAUQAA9x8s7d6f5g',
  'https://example.com/path?q=search#part',
  'postgres://localhost:5432/app',
  'commit 3f786850e387550fdab836ed7e6dc881de23001b',
  'id 7c9e6679-7425-40de-944b-e07fc1f90ae7',
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk',
  'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
  'AKIAIOSFODNN7EXAMPLE',
  '-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----',
  'task-list: sk-short, s.name, pat.ient, API-version',
];

test.each(ORDINARY)('%j is left alone', (text) => {
  expect(masked(text)).toBe(text);
});

describe('in values', () => {
  test('what stands behind a name, beside a name, or before it as an option', () => {
    expect(
      masked({
        clientSecret: 'f3a9c1d77b2e',
        pin: 1234,
        password: 123_456,
        argv: ['--password', 'hunter2x'],
        pair: ['X-Api-Key', 'k3y-93jf84hf83'],
      }),
    ).toEqual({
      clientSecret: '[REDACTED]',
      pin: 1234,
      password: '[REDACTED]',
      argv: ['--password', '[REDACTED]'],
      pair: ['X-Api-Key', '[REDACTED]'],
    });
    const plain = {
      secretName: 'f3a9c1d77b2e',
      fields: ['password', 'email'],
      tokenCount: 123_456_789,
      keys: ['id', 'password', 'name'],
    };
    expect(masked(plain)).toBe(plain);
  });

  test('bytes in an ArrayBuffer, and UTF-16', () => {
    const text = 'password=hunter2x';
    const buffer = new TextEncoder().encode(text).buffer;
    expect(new TextDecoder().decode(masked(buffer) as ArrayBuffer)).toBe('password=[REDACTED]');
    expect(String(masked(Buffer.from(`\uFEFF${text}`, 'utf16le')))).toContain('[REDACTED]');
  });

  test('masking what is masked changes nothing', () => {
    for (const [text] of SECRETS) {
      const once = masked(text);
      expect(masked(once)).toBe(once);
    }
  });
});

test.each(['password=VALUE end', 'password="VALUE" end'])('however long it is: %s', (text) => {
  const value = 'aB3dE6gH9j'.repeat(20_000);
  expect(masked(text.replace('VALUE', value))).toBe(text.replace('VALUE', '[REDACTED]'));
});

test('a secret that is only flagged does not keep personal data beside it from being masked', () => {
  const mixed = createContentScanner({ secrets: 'flag', pii: 'mask' });
  const { text, findings } = mixed.transformText('password="alice.liddell@example.com"');
  expect(text).toBe('password="[MASKED_EMAIL]"');
  expect(findings.map(({ kind }) => kind)).toEqual(['secret', 'pii']);
});

test('a name says what it holds in other widths, with accents and with nothing between its letters', () => {
  for (const name of ['password', 'ｐａｓｓｗｏｒｄ', 'pass\u200Bword', 'contraseña', 'dbPassword2', 'X-API-KEY'])
    expect(createContentScanner().transform({ [name]: 'hunter2-xyz' }).value).toEqual({ [name]: '[REDACTED]' });
  for (const name of ['passwordLength', 'primary_key', 'compassion', 'パスport'])
    expect(createContentScanner().transform({ [name]: 'hunter2-xyz' }).value).toEqual({ [name]: 'hunter2-xyz' });
});

test('tokens whose length is published count only at that length', () => {
  const scanner = createContentScanner();
  const body = 'aB3dE6gH9jkLmN5pQ7rS'.repeat(5);
  for (const [prefix, length] of [
    ['gsk_', 52],
    ['sk_live_', 24],
    ['ntn_12345678901', 35],
    ['cfat_', 48],
  ] as const) {
    expect(scanner.scanText(`see ${prefix}${body.slice(0, length)} here`)).toHaveLength(1);
    expect(scanner.scanText(`see ${prefix}${body.slice(0, length - 9)} here`)).toHaveLength(0);
  }
});

describe('tokens with nothing between them', () => {
  const body = 'aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA3bC6';
  const tokens = [`ghp_${body}`, 'AKIAZZ7F3JQ2LMNOPQR4', `npm_${body}`, `sk-ant-${body}`, `xoxb-1234-${body}`];

  test.each(tokens.flatMap((first) => tokens.map((second) => [first, second] as const)))('%s%s', (first, second) => {
    const text = String(masked(`see ${first}${second}, and here`));
    for (const token of [first, second]) expect(text).not.toContain(token.slice(-12));
    expect(text).toMatch(/^see .*, and here$/u);
  });

  test.each([
    'max_re_entry_count_of_the_connection_pool',
    'XAKIAZZ7F3JQ2LMNOPQR4',
    `word${tokens[0]}`,
    'monkey-0123456789abcdef',
  ])('%s is none', (text) => {
    expect(masked(text)).toBe(text);
  });
});
