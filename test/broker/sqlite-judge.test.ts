import { DatabaseSync } from 'node:sqlite';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { judgeOnConnection, sqliteJudge } from '../../src/broker/sqlite-judge.ts';
import { checkSql, prepareSqlNow } from '../../src/check-sql.ts';
import type { DbFlag } from '../../src/model/flags.ts';
import { judgeSql } from '../../src/policy/sql.ts';

beforeAll(prepareSqlNow);

const judge = (text: string, level: DbFlag) => judgeSql(text, level, { dialect: 'sqlite' });

describe('denied at both levels', () => {
  test.each([
    'DELETE FROM users',
    'DROP TABLE users',
    'CREATE TABLE t (a)',
    'ALTER TABLE users ADD x',
    'CREATE TRIGGER x AFTER INSERT ON users BEGIN DELETE FROM users; END',
    "VACUUM INTO '/tmp/x'",
    'VACUUM',
    'REINDEX',
    'ANALYZE',
    "ATTACH 'x' AS y",
    'DETACH y',
    'BEGIN',
    'COMMIT',
    'SAVEPOINT a',
    'PRAGMA query_only = 0',
    'PRAGMA writable_schema(1)',
    'PRAGMA journal_mode = DELETE',
    "SELECT load_extension('x')",
    "SELECT fts3_tokenizer('x')",
    'SELECT my_function(1)',
    'SELECT 1; DROP TABLE users',
    'SELECT 1; DELETE FROM users; SELECT 2',
    "SELECT [a'b] FROM t; DROP TABLE users --'",
    'REPLACE INTO users VALUES (1)',
    'INSERT OR REPLACE INTO users VALUES (1)',
    'UPDATE OR REPLACE users SET id = 1 WHERE id = 2',
    'WITH x AS (SELECT 1) REPLACE INTO users SELECT * FROM x',
    "WITH x AS (SELECT $a(')) REPLACE INTO t SELECT 1 --')",
    'WITH x AS (SELECT 1) DELETE FROM users',
    "UPDATE sqlite_master SET sql = ''",
    "INSERT INTO sqlite_sequence VALUES ('users', 1)",
    'EXPLAIN DELETE FROM users',
    'SELECT 1\0; DROP TABLE users',
    'not sql',
    '',
    '-- nothing',
  ])('%s', (text) => {
    expect(judge(text, 'read_only')).toMatchObject({ allowed: false, reason: expect.any(String) });
    expect(judge(text, 'safe_write')).toMatchObject({ allowed: false });
  });
});

describe('every-day statements, without knowing the schema', () => {
  test.each([
    'SELECT * FROM users WHERE id = ?',
    'SELECT u.name, count(*) AS n FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.name HAVING n > 3 ORDER BY n DESC',
    'SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY created_at) AS rn FROM orders',
    "SELECT json_extract(data, '$.a'), strftime('%Y', created_at), replace(a, 'x', 'y') FROM events",
    'WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT * FROM t',
    'SELECT id FROM (SELECT * FROM x) y WHERE y.id > 3 AND EXISTS (SELECT 1 FROM z WHERE z.k = y.id)',
    'SELECT a.id, b.id, name FROM a, b WHERE a.id = b.a_id ORDER BY name',
    "SELECT 'DROP TABLE users; DELETE' AS x -- DELETE\n FROM t",
    'EXPLAIN QUERY PLAN SELECT * FROM users',
    'PRAGMA table_info(users)',
    'PRAGMA user_version',
    "SELECT * FROM pragma_table_info('users')",
    'SELECT name FROM sqlite_master',
    'SELECT * FROM t WHERE a = :name AND b = ?1 AND c = @z',
    '; ; SELECT 1; SELECT 2;',
  ])('read_only lets pass: %s', (text) => {
    expect(judge(text, 'read_only').reason).toBeUndefined();
  });
  test.each([
    "INSERT INTO users (name, email) VALUES ('a', ?)",
    'INSERT INTO users VALUES (1, 2, 3)',
    'INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b = excluded.b',
    'INSERT INTO t (a) SELECT b FROM u RETURNING a',
    'UPDATE users SET name = ? WHERE id = 1',
  ])('safe_write lets pass, read_only does not: %s', (text) => {
    expect(judge(text, 'safe_write').reason).toBeUndefined();
    expect(judge(text, 'read_only').allowed).toBe(false);
  });
});

test('statements are told apart by SQLite itself, and described one by one', async () => {
  const { statements } = await checkSql("SELECT ';' FROM a; UPDATE b SET c = 1", 'safe_write', { dialect: 'sqlite' });
  expect(statements).toEqual([
    { verb: 'SELECT', access: 'read', relations: ['a'], functions: [], allowed: true },
    { verb: 'UPDATE', access: 'write', relations: ['b'], functions: [], allowed: true },
  ]);
});

test('a function of the program passes when it is declared', () => {
  const options = { dialect: 'sqlite', harmlessFunctions: ['my_function'] };
  expect(judgeSql('SELECT my_function(a, 2) FROM t', 'read_only', options).allowed).toBe(true);
  expect(judgeSql('SELECT other(a) FROM t', 'read_only', options).allowed).toBe(false);
  const wrong = { dialect: 'sqlite', harmlessFunctions: ['load_extension'] };
  expect(judgeSql("SELECT load_extension('evil')", 'read_only', wrong).allowed).toBe(false);
});

test.each([
  ['CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE, b)', 'INSERT INTO t VALUES (1, 2)'],
  ['CREATE TABLE t (a INTEGER PRIMARY KEY ON CONFLICT /* */ REPLACE, b)', 'UPDATE t SET a = 1'],
  ['CREATE TABLE t (a, b, UNIQUE (a) ON CONFLICT REPLACE)', 'INSERT INTO T VALUES (1, 2)'],
  [
    'CREATE TABLE o (a UNIQUE); CREATE TABLE t (a, b); CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT OR REPLACE INTO o VALUES (1); END',
    'INSERT INTO t VALUES (1, 2)',
  ],
  [
    'CREATE TABLE o (a UNIQUE); CREATE TABLE t (a, b); CREATE TRIGGER x AFTER INSERT ON t BEGIN REPLACE INTO o VALUES (1); END',
    'INSERT INTO t VALUES (1, 2)',
  ],
])('with the schema, a table that replaces its rows is seen: %s', (schema, text) => {
  expect(sqliteJudge({}, schema)(text, 'safe_write')).toMatchObject({
    allowed: false,
    reason: 'the schema of t deletes rows by REPLACE',
  });
  expect(sqliteJudge({}, schema)('SELECT * FROM t', 'read_only').allowed).toBe(true);
  expect(sqliteJudge({}, "CREATE TABLE t (a, b DEFAULT 'on conflict replace')")(text, 'safe_write').allowed).toBe(true);
});

const FULL_TEXT =
  "CREATE VIRTUAL TABLE ft USING fts5(a, content=''); INSERT INTO ft(rowid, a) VALUES (1, 'x'), (2, 'x')";

test.each([
  "INSERT INTO ft(ft) VALUES ('delete-all')",
  `INSERT INTO ft("FT") VALUES ('delete-all')`,
  "INSERT INTO 'ft' ([ft]) VALUES ('delete-all')",
  "INSERT INTO main.ft (ft, rowid, a) VALUES ('delete', 1, 'x')",
  "INSERT INTO ft AS z (ft) VALUES ('delete-all')",
  "WITH x AS (SELECT 1) INSERT INTO ft (rowid, ft) SELECT 1, 'delete-all'",
])('a command to a full-text table is no INSERT: %s', (text) => {
  const db = new DatabaseSync(':memory:');
  db.exec(FULL_TEXT);
  const found = (): number => db.prepare("SELECT * FROM ft WHERE ft MATCH 'x'").all().length;
  for (const judge of [sqliteJudge({}), sqliteJudge({}, FULL_TEXT)])
    expect(judge(text, 'safe_write').allowed).toBe(false);
  expect(found()).toBe(2);
  if (!text.includes('rowid')) {
    db.exec(text);
    expect(found()).toBe(0);
  }
  expect(sqliteJudge({}, FULL_TEXT)("INSERT INTO ft (rowid, a) VALUES (3, 'ft')", 'safe_write').reason).toBeUndefined();
  db.close();
});

test('ROLLBACK as a conflict clause undoes what the program wrote, and is denied', () => {
  const db = new DatabaseSync(':memory:');
  db.exec('CREATE TABLE t (a UNIQUE); BEGIN; INSERT INTO t VALUES (1)');
  for (const text of ['INSERT OR ROLLBACK INTO t VALUES (1)', 'UPDATE OR/**/ROLLBACK t SET a = 1']) {
    expect(judgeOnConnection(db, text, 'safe_write', {})).toMatchObject({
      reason: 'ROLLBACK undoes what was written before',
    });
    expect(judgeOnConnection(db, text.replace('ROLLBACK', 'ABORT'), 'safe_write', {}).allowed).toBe(true);
  }
  expect(() => db.exec('INSERT OR ROLLBACK INTO t VALUES (1)')).toThrow('UNIQUE');
  expect(db.prepare('SELECT * FROM t').all()).toEqual([]);
  db.close();
});

test('a pragma that is read like a table is a pragma', () => {
  const allowed = (text: string): boolean => judgeSql(text, 'read_only', { dialect: 'sqlite' }).allowed;
  for (const text of ['SELECT * FROM pragma_optimize', "SELECT * FROM t, PRAGMA_optimize('0xfffe')"])
    expect(allowed(text)).toBe(false);
  for (const text of ["SELECT * FROM pragma_table_info('t')", 'SELECT * FROM pragma_database_list'])
    expect(allowed(text)).toBe(true);
});

test('with the schema, triggers that delete are seen', () => {
  const schema = 'CREATE TABLE t (a); CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM t; END';
  expect(sqliteJudge({}, schema)('INSERT INTO t VALUES (1)', 'safe_write').allowed).toBe(false);
  expect(sqliteJudge({}, 'CREATE TABLE t (a)')('INSERT INTO t VALUES (1)', 'safe_write').allowed).toBe(true);
});

test('what the levels allow does to a real database what they promise', () => {
  const verb = fc.constantFrom(
    'SELECT * FROM t',
    'SELECT count(*) FROM t WHERE a > 1',
    'DELETE FROM t',
    'UPDATE t SET b = 5 WHERE a = 1',
    'UPDATE OR REPLACE t SET a = 1',
    'INSERT INTO t VALUES (77, 1)',
    'INSERT OR REPLACE INTO t VALUES (1, 2)',
    'REPLACE INTO t VALUES (1, 2)',
    'WITH x AS (SELECT 1) SELECT * FROM x',
    'WITH x AS (SELECT 9) DELETE FROM t',
    'DROP TABLE t',
    'PRAGMA user_version = 9',
    'PRAGMA table_info(t)',
    "SELECT ';' || '--' || \"a\" FROM [t]",
  );
  const glue = fc.constantFrom('; ', ';', ' ; -- x\n', ' /* ; */ ; ', " -- '\n; ");
  const texts = fc.array(fc.tuple(verb, glue), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(texts, (parts) => {
      const text = parts.flat().join('');
      const db = new DatabaseSync(':memory:');
      db.exec('CREATE TABLE t (a INTEGER PRIMARY KEY, b UNIQUE); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)');
      const state = (): string =>
        JSON.stringify([db.prepare('SELECT * FROM t').all(), db.prepare('PRAGMA user_version').get()]);
      const before = state();
      const reads = judge(text, 'read_only').allowed;
      const writes = judge(text, 'safe_write').allowed;
      try {
        if (writes) db.exec(text);
      } catch {
        // A conflict: nothing was written.
      }
      const rows = Number(db.prepare('SELECT count(*) AS n FROM t').get()?.['n']);
      expect({ rows: rows >= 3, same: !reads || state() === before }).toEqual({ rows: true, same: true });
      db.close();
    }),
    { numRuns: 300 },
  );
});
