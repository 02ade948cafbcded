import { beforeAll, describe, expect, test } from 'vitest';
import { prepareSql } from '../../src/check-sql.ts';
import { judgeSql } from '../../src/policy/sql.ts';
import { ANALYTICS } from './sql-analytics.ts';
import { MUST_ALLOW, MUST_ALLOW_WRITES, MUST_DENY } from './sql-corpus.ts';
import { PUBLISHED } from './sql-published.ts';

beforeAll(prepareSql);

describe.each(PUBLISHED)('$source: $trick', ({ dialect = 'postgres', denied, writes = [] }) => {
  test.each([...denied])('denied at both levels: %s', (text) => {
    for (const level of ['read_only', 'safe_write'] as const) {
      expect(judgeSql(text, level, { dialect })).toMatchObject({
        allowed: false,
        code: expect.stringMatching(/^sql\./u),
      });
    }
  });
  for (const text of writes) {
    test(`denied under read_only only: ${text}`, () => {
      expect(judgeSql(text, 'read_only', { dialect }).allowed).toBe(false);
      expect(judgeSql(text, 'safe_write', { dialect }).reason).toBeUndefined();
    });
  }
});

describe.each(Object.entries(ANALYTICS))('every-day analytics: %s', (_, texts) => {
  test.each([...texts])('%s', (text) => {
    expect(judgeSql(text, 'read_only').reason).toBeUndefined();
    expect(judgeSql(text, 'safe_write').reason).toBeUndefined();
  });
});

test('as many statements must be allowed as must be denied', () => {
  const published = PUBLISHED.filter(({ dialect = 'postgres' }) => dialect === 'postgres');
  const denied = new Set([
    ...Object.values(MUST_DENY).flatMap(({ both, readOnly = [] }) => [...both, ...readOnly]),
    ...published.flatMap(({ denied, writes = [] }) => [...denied, ...writes]),
  ]);
  const allowed = new Set([...MUST_ALLOW, ...MUST_ALLOW_WRITES, ...Object.values(ANALYTICS).flat()]);
  expect(new Set(PUBLISHED.map(({ source }) => source)).size).toBeGreaterThanOrEqual(35);
  expect(PUBLISHED.flatMap(({ denied }) => denied).length).toBeGreaterThanOrEqual(120);
  expect(allowed.size, `${allowed.size} allowed, ${denied.size} denied`).toBeGreaterThanOrEqual(denied.size);
});
