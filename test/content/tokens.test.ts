/** Tokens that say themselves what they are: every row of the table finds what its issuer publishes, and not what is one sign short. */
import { describe, expect, test } from 'vitest';
import { KINDS } from '../../src/content/characters.ts';
import { createContentScanner } from '../../src/content/scanner.ts';
import { TOKEN_ROWS } from '../../src/content/secret-tokens.ts';
import { seeded } from '../bench/worst-texts.ts';

const scanner = createContentScanner();
const rulesIn = (text: string): readonly string[] => scanner.inspect(text).spans.map(({ rule }) => rule);
const random = seeded(7);

/** Letters and digits of `alphabet` only: what is in most of all alphabets, and what any token has. */
const bodyOf = (alphabet: number, length: number): string => {
  const signs = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)).filter(
    (sign) => /[a-zA-Z0-9]/u.test(sign) && ((KINDS[sign.charCodeAt(0)] ?? 0) & alphabet) !== 0,
  );
  return Array.from({ length }, () => signs[Math.floor(random() * signs.length)] ?? '').join('');
};

/** What a format asks for besides an alphabet and a length: Slack's begin with a number, Notion's with a longer one. */
const startOf = (prefix: string): string => (prefix.startsWith('xox') ? '1' : prefix === 'ntn_' ? '12345678901' : '');

/** The shortest that is a token by this row, or by another whose prefix this one begins with: `tskey-`, `tskey-auth-`. */
const leastOf = (prefix: string, rule: string): number =>
  Math.min(
    ...TOKEN_ROWS.filter(([other, itsRule]) => itsRule === rule && prefix.startsWith(other)).map(
      ([other, , , least]) => least - (prefix.length - other.length),
    ),
  );

describe.each(TOKEN_ROWS.map(([prefix, rule, alphabet, least]) => ({ prefix, rule, alphabet, least })))(
  '$prefix…, $rule',
  ({ prefix, rule, alphabet, least }) => {
    test('is found, and what is one sign too short is none', () => {
      const start = startOf(prefix);
      const token = (length: number): string => prefix + start + bodyOf(alphabet, length - start.length);
      expect(rulesIn(`see ${token(least)} there`)).toContain(rule);
      expect(rulesIn(`see ${token(leastOf(prefix, rule) - 1)} there`)).not.toContain(rule);
    });
  },
);

const hex = '0f1e2d3c4b5a69788796a5b4c3d2e1f0';
const jumbled = 'aB3dE6gH9jK1mN2pQ4rS5tU7vW8xY0zA2bC4dE6fG8hJ1kL3mN5pQ7rS9tU';

/** Beside each what is nearly the same, and not it. */
const SHAPES: readonly (readonly [rule: string, found: string, not: string])[] = [
  ['telegram-token', `123456789:A${jumbled.slice(0, 34)}`, `1234:A${jumbled.slice(0, 34)}`],
  [
    'webhook-url',
    `https://hooks.slack.com/services/T0A1B2C3D/B4E5F6G7H/${jumbled.slice(0, 24)}`,
    'https://hooks.slack.com/services/XXXX',
  ],
  [
    'webhook-url',
    `https://discord.com/api/webhooks/123456789012345678/${jumbled}${jumbled.slice(0, 9)}`,
    'https://discord.com/api/webhooks/123456789012345678',
  ],
  [
    'terraform-token',
    `${jumbled.slice(0, 14)}.atlasv1.${jumbled}${jumbled.slice(0, 8)}`,
    `${jumbled.slice(0, 13)}.atlasv1.${jumbled}${jumbled.slice(0, 8)}`,
  ],
  [
    'maxmind-key',
    `${jumbled.slice(0, 6)}_${jumbled.slice(6, 35)}_mmk`,
    `${jumbled.slice(0, 6)}_${jumbled.slice(6, 34)}_mmk`,
  ],
  ['facebook-token', `123456789012345|${jumbled.slice(0, 27)}`, `12345678901|${jumbled.slice(0, 27)}`],
  ['entra-secret', `aB38Q~${jumbled.slice(0, 34)}`, `aB3xQ~${jumbled.slice(0, 34)}`],
  [
    'signature',
    `https://x.blob.core.windows.net/a?sig=${jumbled.slice(0, 43)}%3D`,
    'https://x.blob.core.windows.net/a?sig=short',
  ],
  ['aws-key-id', 'AKIAZZ7F3JQ2LMNOPQR4', 'AKIAZZ7F3JQ2LMNOPQR'],
  [
    'kubernetes-secret',
    'kind: Secret\ndata:\n  db: cGFzc3dvcmQxMjM=\n',
    'kind: ConfigMap\ndata:\n  db: cGFzc3dvcmQxMjM=\n',
  ],
  ['curl-user', 'curl -u alice:tr0ub4dor https://x.example', 'chown -u alice:tr0ub4dor file'],
  ['url-password', 'amqp://app:s3cr3t-w0rd@queue/x', 'amqp://app@queue/x'],
  [
    'private-key',
    `-----BEGIN PRIVATE KEY-----\n${hex.repeat(3)}\n-----END PRIVATE KEY-----`,
    `-----BEGIN PUBLIC KEY-----\n${hex.repeat(3)}\n-----END PUBLIC KEY-----`,
  ],
];

test.each(SHAPES)('%s: %j, and not %j', (rule, found, not) => {
  expect(rulesIn(found)).toContain(rule);
  expect(rulesIn(not)).not.toContain(rule);
});
