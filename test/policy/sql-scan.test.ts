import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { prepareSqlNow } from '../../src/check-sql.ts';
import { judgeSql } from '../../src/policy/sql.ts';
import { backslashReading, scanSql, SQL_LIMITS } from '../../src/policy/sql-scan.ts';

beforeAll(prepareSqlNow);

const repeat = (times: number, text: string): string => text.repeat(times);

/** One family of nesting for each way PostgreSQL's grammar recurses. */
const BOMBS: Readonly<Record<string, (depth: number) => string>> = {
  brackets: (n) => `SELECT ${repeat(n, '(')}1${repeat(n, ')')}`,
  calls: (n) => `SELECT ${repeat(n, 'abs(')}1${repeat(n, ')')}`,
  subqueries: (n) => `SELECT ${repeat(n, '(SELECT ')}1${repeat(n, ')')}`,
  'FROM subqueries': (n) => `SELECT 1 ${repeat(n, 'FROM (SELECT 1 ')}${repeat(n, ') x')}`,
  'WITH queries': (n) => `${repeat(n, 'WITH a AS (')}SELECT 1${repeat(n, ') SELECT 1')}`,
  arrays: (n) => `SELECT ARRAY${repeat(n, '[')}1${repeat(n, ']')}`,
  rows: (n) => `SELECT ${repeat(n, 'ROW(')}1${repeat(n, ')')}`,
  sums: (n) => `SELECT ${repeat(n, '1+')}1`,
  'spaced sums': (n) => `SELECT ${repeat(n, '1 + ')}1`,
  concatenations: (n) => `SELECT ''${repeat(n, `||''`)}`,
  signs: (n) => `SELECT ${repeat(n, '- ')}1`,
  'runs of signs': (n) => `SELECT 1 ${repeat(n, '+-')}1`,
  negations: (n) => `SELECT ${repeat(n, 'NOT ')}true`,
  cases: (n) => `SELECT ${repeat(n, 'CASE WHEN ')}true${repeat(n, ' THEN 1 END')}`,
  unions: (n) => `SELECT 1${repeat(n, ' UNION SELECT 1')}`,
  casts: (n) => `SELECT 1${repeat(n, '::int')}`,
  tests: (n) => `SELECT 1${repeat(n, ' IS NULL')}`,
  collations: (n) => `SELECT a${repeat(n, ' COLLATE "x"')}`,
  'time zones': (n) => `SELECT a${repeat(n, ' AT TIME ZONE b')}`,
  joins: (n) => `SELECT 1 FROM a${repeat(n, ' JOIN b ON true')}`,
  'cross joins': (n) => `SELECT 1 FROM a${repeat(n, ' CROSS JOIN b')}`,
  'open brackets': (n) => `SELECT ${repeat(n, '(')}`,
  'brackets in a row of sums': (n) => `SELECT ${repeat(n >> 4, `(${repeat(16, '1+')}`)}1${repeat(n >> 4, ')')}`,
  'fields of fields': (n) => `SELECT ${repeat(n, '(')}a${repeat(n, ').b')}`,
};

describe('what would overflow the parser is denied before it is parsed', () => {
  test.each(Object.entries(BOMBS))('%s', (_, bomb) => {
    for (const depth of [100_000, 30_000, 10_000]) {
      expect(judgeSql(bomb(depth), 'read_only')).toMatchObject({ allowed: false, code: 'sql.too-complex' });
    }
    // At every depth an answer comes, and shallow text is read.
    for (const depth of [5000, 3000, 1000, 300])
      expect(judgeSql(bomb(depth), 'read_only').allowed).toBeTypeOf('boolean');
    expect(judgeSql(bomb(16), 'read_only').code).not.toBe('sql.too-complex');
  });
  test('a text of a megabyte and ten thousand brackets are denied with what to do', () => {
    const long = judgeSql(`SELECT '${repeat(1_000_000, 'x')}'`, 'read_only');
    expect(long.reason).toContain(`at most ${SQL_LIMITS.characters}`);
    expect(judgeSql(`SELECT ${repeat(10_000, '(')}1${repeat(10_000, ')')}`, 'read_only').reason).toContain('levels');
  });
  test('nested comments and runs of operators, which cost quadratic time, are denied', () => {
    expect(scanSql(`SELECT 1 ${repeat(40_000, '/*')}`).refusal).toContain('comments');
    expect(scanSql(`SELECT 1 ${repeat(2000, '@')} 1`).refusal).toContain('operator');
    expect(scanSql(`SELECT 1 ${repeat(20, '/*')}${repeat(20, '*/')}`).refusal).toBeUndefined();
  });
  test('the parser goes on judging after hundreds of texts that it could not take', () => {
    const evil = Object.values(BOMBS).flatMap((bomb) => [2000, 2500, 4000].map((depth) => bomb(depth)));
    for (let round = 0; round < 5; round++) for (const text of evil) judgeSql(`${text} -- ${round}`, 'read_only');
    expect(judgeSql('SELECT 1 AS still_here', 'read_only').allowed).toBe(true);
    expect(judgeSql('DELETE FROM still_here', 'read_only')).toMatchObject({ code: 'sql.verb-denied' });
  });
});

describe('honest text is not denied for what it quotes', () => {
  const quoted = `${repeat(5000, '(')}${repeat(3000, '/*')}${repeat(500, '+')} CASE CASE NOT`;
  test.each([
    ['a string', `SELECT '${quoted}'`],
    ['a doubled quote', `SELECT '''${quoted}'''`],
    ['an escape string', `SELECT E'\\'${quoted}'`],
    ['a dollar quote', `SELECT $$${quoted}$$`],
    ['a tagged dollar quote', `SELECT $tag$ $$ ' ${quoted}$tag$`],
    ['a quoted name', `SELECT 1 AS "${quoted.slice(0, 60)}", '${quoted}'`],
    ['a line comment', `SELECT 1 -- ${quoted}\n`],
    ['a block comment', `SELECT 1 /* ${quoted.replaceAll('/*', '')} */`],
    ['a parameter beside a dollar', `SELECT $1, a$b$c FROM t WHERE x = '${quoted}'`],
    ['a word that ends in e before a string', `SELECT DATE '2024-01-01', name, 'a\\b', '${quoted}'`],
  ])('%s', (_, text) => {
    expect(judgeSql(text, 'read_only').reason).toBeUndefined();
  });
  test('long lists, wide conditions and many statements pass', () => {
    expect(
      judgeSql(`INSERT INTO t VALUES (1, 'a')${repeat(5000, `, (-2, 'b' || 'c')`)}`, 'safe_write').reason,
    ).toBeUndefined();
    expect(judgeSql(`SELECT * FROM t WHERE a = 1${repeat(1500, ' OR a = 2')}`, 'read_only').reason).toBeUndefined();
    expect(judgeSql(`SELECT * FROM t WHERE a IN (1${repeat(20_000, ', 2')})`, 'read_only').reason).toBeUndefined();
    expect(judgeSql(repeat(1000, 'SELECT 1; '), 'read_only').reason).toBeUndefined();
    expect(
      judgeSql(`SELECT 1${repeat(200, ', CASE WHEN a > 1 THEN (b + c) END')}`, 'read_only').reason,
    ).toBeUndefined();
  });
});

describe('a backslash before a quote', () => {
  test('is read both ways, and both readings must be harmless', () => {
    const attack = String.raw`SELECT '\'' ; DROP TABLE users --'`;
    expect(judgeSql(attack, 'read_only')).toMatchObject({ allowed: false, code: 'sql.ambiguous' });
    // Prefixes, continued strings and what else such a server reads differently do not hide the second statement.
    for (const before of ["x'41'", "b'1'", "n'a'", "'a'\n'b'", "'a' -- c\n 'b'", "E'a'\n'b'", '$$a$$', 'a$b$']) {
      const hidden = `SELECT ${before}, ${attack.slice('SELECT '.length)}`;
      expect(judgeSql(hidden, 'read_only').allowed).toBe(false);
    }
    expect(judgeSql(String.raw`SELECT '\'' ; SELECT 2 --'`, 'read_only').allowed).toBe(true);
    expect(judgeSql(String.raw`SELECT x'41', 'a' || '\'' ; SELECT 2 --'`, 'read_only').allowed).toBe(true);
    expect(judgeSql(String.raw`SELECT * FROM t WHERE a LIKE '10\%' ESCAPE '\'`, 'read_only').allowed).toBe(true);
  });
  test('the other reading is what such a server reads', () => {
    expect(backslashReading(String.raw`SELECT '\'' ; x --'`)?.replaceAll(/\s+/gu, ' ')).toBe(
      String.raw`SELECT E'\'' ; x --'`,
    );
    expect(backslashReading(String.raw`SELECT '\'`)).toBeUndefined();
    expect(backslashReading(String.raw`SELECT E'\'', "\'", $$\'$$`)).toBe(String.raw`SELECT E'\'', "\'", $$\'$$`);
  });
});

test('any text gets an answer, in time that grows with its length', () => {
  const piece = fc.constantFrom(
    '(',
    ')',
    "'",
    '"',
    '$$',
    '$a$',
    '/*',
    '*/',
    '--',
    '\n',
    'E',
    '\\',
    '+',
    'CASE ',
    'END ',
    'SELECT ',
    ';',
    ',',
    'é',
    '\u00a0',
    '1',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
      const text = pieces.join('');
      expect(scanSql(text).ambiguous.every((at) => text[at] === "'")).toBe(true);
      backslashReading(text);
    }),
    { numRuns: 2000 },
  );
});
