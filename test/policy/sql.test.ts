import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { checkSql, prepareSqlNow } from '../../src/check-sql.ts';
import { govern } from '../../src/govern.ts';
import { TapPassConfigError } from '../../src/model/errors.ts';
import { DB_LEVELS } from '../../src/model/flags.ts';
import type { DbFlag } from '../../src/model/flags.ts';
import { decideSql, judgeSql } from '../../src/policy/sql.ts';
import { governPool, sqlTools } from '../../src/sql-tools.ts';
import { MUST_ALLOW, MUST_ALLOW_WRITES, MUST_DENY } from './sql-corpus.ts';

beforeAll(prepareSqlNow);

const allowed = (text: string, level: DbFlag): boolean => judgeSql(text, level).allowed;

const NOT_POSTGRES = 'other dialects and what does not parse';

describe.each(Object.entries(MUST_DENY))('%s', (title, { both, readOnly = [] }) => {
  test('each is denied for what it does, not because it does not parse', () => {
    const unparsed = [...both, ...readOnly].filter((text) => judgeSql(text, 'read_only').code === 'sql.syntax');
    expect(unparsed.length > 0).toBe(title === NOT_POSTGRES);
  });
  test.each(both)('denied at both levels: %s', (text) => {
    expect(judgeSql(text, 'read_only')).toMatchObject({ allowed: false, reason: expect.any(String) });
    expect(judgeSql(text, 'safe_write')).toMatchObject({ allowed: false, reason: expect.any(String) });
  });
  for (const text of readOnly) {
    test(`denied under read_only only: ${text}`, () => {
      expect(allowed(text, 'read_only')).toBe(false);
      expect(judgeSql(text, 'safe_write').reason).toBeUndefined();
    });
  }
});

describe('every-day statements', () => {
  test.each(MUST_ALLOW)('read_only lets pass: %s', (text) => {
    expect(judgeSql(text, 'read_only').reason).toBeUndefined();
    expect(judgeSql(text, 'safe_write').reason).toBeUndefined();
  });
  test.each(MUST_ALLOW_WRITES)('safe_write lets pass, read_only does not: %s', (text) => {
    expect(judgeSql(text, 'safe_write').reason).toBeUndefined();
    expect(allowed(text, 'read_only')).toBe(false);
  });
});

describe('what is said about a text', () => {
  test('each statement has its verb, access, tables and functions', async () => {
    const { statements } = await checkSql(
      'SELECT lower(u.name) FROM public.users u; SELECT * FROM users, o; DROP TABLE a.b',
      'safe_write',
    );
    expect(statements).toEqual([
      { verb: 'SELECT', access: 'read', relations: ['public.users'], functions: ['lower'], allowed: true },
      { verb: 'SELECT', access: 'read', relations: ['users', 'o'], functions: [], allowed: true },
      expect.objectContaining({ verb: 'DROP', access: 'define', relations: ['a.b'], allowed: false }),
    ]);
  });
  test('a WITH name hides a table only where it can be seen', () => {
    const of = (text: string): readonly string[] => judgeSql(text, 'read_only').statements[0]?.relations ?? [];
    expect(of('WITH a AS (SELECT 1) SELECT * FROM a')).toEqual([]);
    expect(of('WITH a AS (SELECT * FROM a) SELECT * FROM a')).toEqual(['a']);
    expect(of('WITH RECURSIVE a AS (SELECT 1 UNION SELECT * FROM a) SELECT * FROM a')).toEqual([]);
    expect(of('SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) x, a')).toEqual(['a']);
  });
  test('the worst of several statements wins, and the reason says which', () => {
    const { allowed, reason } = judgeSql('SELECT 1; SELECT 2; DELETE FROM users', 'read_only');
    expect(allowed).toBe(false);
    expect(reason).toContain('statement 3 of 3: DELETE on users');
  });
  test('a statement has the access of the worst thing inside it', () => {
    const [statement] = judgeSql('WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d', 'read_only').statements;
    expect(statement).toMatchObject({ verb: 'SELECT', access: 'delete', allowed: false });
  });
  test('no reason, detection or statement quotes a literal', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{12}$/u), fc.integer({ min: 0, max: 7 }), (secret, kind) => {
        const text = [
          `DELETE FROM users WHERE token = '${secret}'`,
          `SELECT pg_read_file('${secret}')`,
          `SELECT '${secret}`,
          `SELECT 'x' '${secret}'`,
          `SELECT $$${secret}$$ FROM DROP`,
          `COPY t TO PROGRAM '${secret}'`,
          `SET x = '${secret}'`,
          `SELECT f(E'${secret}\\'') -- ${secret}`,
        ][kind] as string;
        expect(JSON.stringify(judgeSql(text, 'safe_write'))).not.toContain(secret);
      }),
    );
  });
  test('a decision cannot be changed by who received it', () => {
    const text = 'SELECT 1 AS shared';
    const first = judgeSql(text, 'read_only');
    expect(() => Object.assign(first, { allowed: false })).toThrow(TypeError);
    expect(() => (first.statements as unknown[]).push(1)).toThrow(TypeError);
    expect(allowed(text, 'read_only')).toBe(true);
  });
});

describe('UPDATE of every row', () => {
  const massUpdates = (text: string): number =>
    judgeSql(text, 'safe_write').detections.filter(({ type }) => type === 'mass_update').length;
  test.each([
    'UPDATE users SET a = 1',
    'UPDATE users SET a = 1 WHERE true',
    'UPDATE users SET a = 1 WHERE 1 = 1 OR false',
    "UPDATE users SET a = 1 WHERE NOT ('x' = 'y')",
    'WITH u AS (UPDATE users SET a = 1 RETURNING *) SELECT * FROM u',
    'MERGE INTO users USING t ON true WHEN MATCHED THEN UPDATE SET a = 1',
  ])('is allowed and reported: %s', (text) => {
    expect(allowed(text, 'safe_write')).toBe(true);
    expect(massUpdates(text)).toBe(1);
  });
  test.each([
    'UPDATE users SET a = 1 WHERE id = 1',
    'UPDATE users SET a = 1 WHERE $1',
    'EXPLAIN UPDATE users SET a = 1',
  ])('is not reported: %s', (text) => {
    expect(massUpdates(text)).toBe(0);
  });
});

describe('levels, dialects and options', () => {
  test('block denies everything and still says what it would have been', () => {
    const decision = judgeSql('SELECT * FROM users', 'block');
    expect(decision).toMatchObject({ allowed: false, code: 'sql.blocked' });
    expect(decision.statements[0]).toMatchObject({ verb: 'SELECT', relations: ['users'], allowed: false });
  });
  test('allow lets everything pass, even what does not parse', () => {
    expect(judgeSql('DROP TABLE users', 'allow')).toMatchObject({ allowed: true });
    expect(judgeSql('gibberish', 'allow')).toMatchObject({ allowed: true, statements: [] });
  });
  test('an unusable level, dialect or text is denied', async () => {
    const oracle = { dialect: 'oracle' as 'mysql' };
    await expect(checkSql('SELECT 1', 'read-only' as DbFlag)).resolves.toMatchObject({ allowed: false });
    await expect(checkSql('SELECT 1', 'read_only', oracle)).resolves.toMatchObject({ allowed: false });
    await expect(checkSql(undefined as unknown as string, 'read_only')).resolves.toMatchObject({ allowed: false });
    await expect(checkSql('SELECT 1', 'read_only')).resolves.toMatchObject({ allowed: true });
  });
  test('a function or type of the program passes when it is declared, under the name it is declared by', () => {
    const options = { harmlessFunctions: ['my_function', 'app.score', 'app.status'] };
    const passes = (text: string): boolean => judgeSql(text, 'read_only', options).allowed;
    expect(passes('SELECT my_function(1), app.score(x), y::app.status FROM t')).toBe(true);
    expect(passes('SELECT evil.my_function(1)')).toBe(false);
    expect(passes('SELECT score(1)')).toBe(false);
    expect(allowed('SELECT my_function(1)', 'read_only')).toBe(false);
  });
  test.each([
    ['pg_read_file', "SELECT pg_read_file('/etc/passwd')", 'reads or writes files of the server'],
    ['pg_catalog.pg_terminate_backend', 'SELECT pg_terminate_backend(1)', 'signals or controls the server'],
    ['lo_import', "SELECT x.lo_import FROM unnest(ARRAY['/etc/passwd']) x", 'reads or writes large objects'],
    ['dblink', "SELECT * FROM public.dblink('', 'DELETE FROM users') AS t(a int)", 'runs SQL text'],
    ['ext.dblink_exec', "SELECT ext.dblink_exec('DELETE FROM users')", 'runs SQL text'],
    ['crosstab', "SELECT * FROM crosstab('DELETE FROM users') AS t(a int)", 'runs SQL text'],
    ['set_config', "SELECT set_config('role', 'postgres', false)", 'changes settings of the session'],
    ['nextval', "SELECT nextval('s')", 'changes a sequence'],
    ['pg_sleep', 'SELECT (5).pg_sleep', 'waits'],
  ])('nobody can declare %s harmless', (name, text, why) => {
    const options = { harmlessFunctions: ['my_function', name] };
    expect(judgeSql(text, 'read_only', options)).toMatchObject({
      allowed: false,
      code: 'sql.config',
      reason: `Expected \`harmlessFunctions\` to name functions without effects, got ${name}, which ${why}: remove it`,
    });
    expect(judgeSql('SELECT 1', 'read_only', options).allowed).toBe(false);
    expect(() => sqlTools(options)).toThrow(TapPassConfigError);
    expect(() => governPool({}, 'db=read_only', options)).toThrow(TapPassConfigError);
    expect(() => govern([], { harmlessFunctions: [name] })).toThrow(TapPassConfigError);
    // A function of the program's with the same name, in a schema of the program's, is another one.
    const own = { harmlessFunctions: ['app.set_config', 'app.pg_sleep'] };
    expect(judgeSql('SELECT app.set_config(1), app.pg_sleep(2)', 'read_only', own).allowed).toBe(true);
  });
  test('what the catalogue of a connection says is believed, also where it shadows a function of PostgreSQL', () => {
    const catalogue = {
      harmless: new Set(['score', 'public.score']),
      volatile: new Set(['purge', 'lower', 'total']),
      volatileAttributes: new Set(['purge']),
      volatileOperators: new Set(['<=>']),
    };
    const passes = (text: string): boolean => judgeSql(text, 'read_only', { catalogue }).allowed;
    expect(passes('SELECT score(1), public.score(2), upper(name) FROM users')).toBe(true);
    expect(passes('SELECT lower(name) FROM users')).toBe(false);
    expect(passes('SELECT pg_catalog.lower(name) FROM users')).toBe(true);
    expect(passes('SELECT purge()')).toBe(false);
    expect(passes('SELECT t.purge FROM t')).toBe(false);
    expect(passes('SELECT t.total FROM t')).toBe(true);
    expect(passes('SELECT a <=> b FROM t')).toBe(false);
    expect(passes('SELECT a + b FROM t')).toBe(true);
  });
  test('the ruling carries the step, a code and the reason', () => {
    const effect = { kind: 'sql', pointer: '/sql', text: 'DROP TABLE users', dialect: 'postgres' } as const;
    expect(decideSql(effect, 'safe_write')).toMatchObject({
      step: 'check_db',
      outcome: 'deny',
      code: 'sql.verb-denied',
      reason: 'DROP on users is not allowed by db=safe_write, which allows reading, INSERT and UPDATE',
    });
    expect(decideSql({ ...effect, text: 'SELECT 1' }, 'read_only')).toEqual({ step: 'check_db', outcome: 'allow' });
    expect(decideSql(effect, 'allow')).toEqual({ step: 'check_db', outcome: 'allow' });
    expect(decideSql({ ...effect, text: 'UPDATE t SET a = 1' }, 'safe_write')).toMatchObject({
      outcome: 'allow',
      detections: [{ type: 'mass_update' }],
    });
  });
  test('whatever is asked, an answer comes, and no level allows more than the next', () => {
    const fragments =
      `SELECT |1|(|)|'|"|$$|;|--|/*|*/|DELETE FROM t| WITH a AS (|\\|E|\n|+|U&|[|::|.pg_sleep|EXPLAIN |\0|😀|\ud800`.split(
        '|',
      );
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...fragments), { maxLength: 30 }), (parts) => {
        const text = parts.join('');
        const [allow, safeWrite, readOnly, block] = DB_LEVELS.map((level) => allowed(text, level));
        expect([allow, block]).toEqual([true, false]);
        expect(readOnly === true && safeWrite === false).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});
