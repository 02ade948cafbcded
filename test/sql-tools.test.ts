import { DatabaseSync } from 'node:sqlite';
import { PGlite } from '@electric-sql/pglite';
import * as pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openSqlBroker } from '../src/broker/sql.ts';
import { grantFor } from '../src/model/grant.ts';
import { harmlessFunctionsOf, sqlTools } from '../src/sql-tools.ts';
import type { SqlToolsOptions } from '../src/sql-tools.ts';
import { servePglite } from './broker/pglite-server.ts';
import type { PgliteServer } from './broker/pglite-server.ts';

vi.setConfig({ testTimeout: 120_000 });

/** PGlite compiles 27 MB of WebAssembly, which takes its time on a busy machine. */
const START_MS = 240_000;

let db: PGlite;
let server: PgliteServer;
let pool: pg.Pool;

beforeAll(async () => {
  db = await PGlite.create();
  await db.exec(`
    CREATE TABLE users (id int PRIMARY KEY, name text);
    INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 1000) i;
    CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
    CREATE FUNCTION purge() RETURNS bigint LANGUAGE sql AS 'WITH d AS (DELETE FROM users RETURNING 1) SELECT count(*) FROM d';
    CREATE FUNCTION sneaky() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN purge(); END';
    CREATE SCHEMA evil;
    CREATE FUNCTION evil_step(int, int) RETURNS int LANGUAGE sql AS 'SELECT purge()::int + $1 + $2';
    CREATE AGGREGATE evil_sum(int) (SFUNC = evil_step, STYPE = int, INITCOND = '0');
    CREATE AGGREGATE good_sum(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
    CREATE FUNCTION public.upper(int) RETURNS bigint LANGUAGE sql AS 'SELECT purge()';
  `);
  server = await servePglite(db);
  pool = new pg.Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres', max: 1 });
}, START_MS);

afterAll(async () => {
  await pool.end();
  await server.close();
  await db.close();
});

const count = async (): Promise<number> => {
  const { rows } = await db.query<{ n: number }>('SELECT count(*)::int AS n FROM users');
  return rows[0]?.n ?? -1;
};

const sqlite = (): DatabaseSync => {
  const connection = new DatabaseSync(':memory:');
  connection.exec('CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)');
  const insert = connection.prepare('INSERT INTO users VALUES (?, ?)');
  for (let id = 1; id <= 1000; id++) insert.run(id, `user ${id}`);
  return connection;
};

const run = (options: SqlToolsOptions, sql: string, params: unknown[] = []) => {
  const [query] = sqlTools(options);
  return query.execute({ sql, params });
};

describe.each([
  ['PGlite', () => db, '$1'],
  ['a pg pool', () => pool, '$1'],
  ['node:sqlite', sqlite, '?'],
])('tools on %s', (_, connect, placeholder) => {
  test('answer with rows, and take parameters', async () => {
    const result = await run({ connection: connect() }, `SELECT id, name FROM users WHERE id = ${placeholder}`, [7]);
    expect(result).toEqual({ rows: [{ id: 7, name: 'user 7' }], rowCount: 1, truncated: false });
  });
  test('cut off after the most rows or bytes', async () => {
    const connection = connect();
    const few = await run({ connection, maxRows: 5 }, 'SELECT id FROM users ORDER BY id');
    expect(few).toMatchObject({ rowCount: 5, truncated: true });
    const small = await run({ connection, maxBytes: 400 }, 'SELECT name FROM users ORDER BY id');
    expect(small.truncated).toBe(true);
    expect(JSON.stringify(small.rows).length).toBeLessThan(600);
    const whole = await run({ connection, maxRows: 1000 }, 'SELECT id FROM users');
    expect(whole).toMatchObject({ rowCount: 1000, truncated: false });
  });
  test('write what the level allows, and nothing more', async () => {
    const connection = connect();
    const update = `UPDATE users SET name = 'x' WHERE id = ${placeholder}`;
    await expect(run({ connection, level: 'read_only' }, update, [1])).rejects.toMatchObject({ blockedBy: 'check_db' });
    await expect(run({ connection }, update, [1])).resolves.toMatchObject({ rowCount: 1 });
    await expect(run({ connection }, 'SELECT name FROM users WHERE id = 1')).resolves.toMatchObject({
      rows: [{ name: 'x' }],
    });
    await expect(run({ connection }, 'DELETE FROM users')).rejects.toThrow('Request blocked by check_db');
    await expect(run({ connection }, 'SELECT 1; SELECT 2')).rejects.toThrow(/statement|command/u);
    await expect(run({ connection }, 'SELECT count(*) AS n FROM users')).resolves.toMatchObject({ rows: [{}] });
  });
  test('stream row by row, and stop when the reader does', async () => {
    const [query, stream] = sqlTools({ connection: connect() });
    const seen: unknown[] = [];
    for await (const row of stream.execute({ sql: 'SELECT id FROM users ORDER BY id' })) {
      seen.push(row['id']);
      if (seen.length === 300) break;
    }
    expect(seen).toHaveLength(300);
    await expect(query.execute({ sql: 'SELECT 1 AS a' })).resolves.toMatchObject({ rows: [{ a: 1 }] });
  });
  test('refuse a call that was cancelled', async () => {
    const [query] = sqlTools({ connection: connect() });
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(query.execute({ sql: 'SELECT 1' }, { callId: 'c', signal })).rejects.toThrow('enough');
  });
  test('the broker refuses without a grant, and with one for something else', async () => {
    const broker = openSqlBroker(connect());
    const effect = { kind: 'sql', pointer: '/sql', text: 'SELECT 1 AS a', dialect: broker.dialect } as const;
    const request = { readOnly: true, cursor: false };
    const forged = { effect, callId: 'c', expiresAt: Date.now() + 1000, keepsRows: false };
    expect(() => broker.query(forged, request)).toThrow('without a valid grant');
    const expired = grantFor({ allowed: true }, effect, 'c', Date.now() - 1) as typeof forged;
    expect(() => broker.query(expired, request)).toThrow('without a valid grant');
    const grant = grantFor({ allowed: true }, effect, 'c', Date.now() + 10_000) as typeof forged;
    await expect(broker.query(grant, request)).resolves.toMatchObject({ rows: [{ a: 1 }] });
  });
});

describe('the second wall', () => {
  const walled = (connection: unknown, text: string, readOnly: boolean) => {
    const broker = openSqlBroker(connection);
    const effect = { kind: 'sql', pointer: '/sql', text, dialect: broker.dialect } as const;
    const grant = grantFor({ allowed: true }, effect, 'c', Date.now() + 60_000);
    return broker.query(grant as NonNullable<typeof grant>, { readOnly, cursor: false });
  };
  test.each([
    ['PGlite', () => db],
    ['a pg pool', () => pool],
  ])('%s refuses writes that the first one missed, and runs one statement only', async (_, connect) => {
    const before = await count();
    await expect(walled(connect(), 'SELECT purge()', true)).rejects.toMatchObject({ code: '25006' });
    await expect(walled(connect(), 'SELECT sneaky()', true)).rejects.toMatchObject({ code: '25006' });
    await expect(walled(connect(), 'COMMIT; DELETE FROM users', true)).rejects.toMatchObject({ code: '42601' });
    await expect(walled(connect(), "INSERT INTO users VALUES (0, '')", true)).rejects.toMatchObject({ code: '25006' });
    expect(await count()).toBe(before);
  });
  test('without it the same statement deletes', async () => {
    const own = await PGlite.create();
    await own.exec('CREATE TABLE t AS SELECT 1 AS a');
    await walled(own, 'DELETE FROM t', false);
    expect((await own.query('SELECT * FROM t')).rows).toEqual([]);
    await own.close();
  });
  test('strings are read as they were judged, and the setting of the connection comes back', async () => {
    await db.exec('SET standard_conforming_strings = off');
    await expect(walled(db, "SELECT 'a\\' AS x", true)).resolves.toMatchObject({ rows: [{ x: 'a\\' }] });
    expect((await db.query('SHOW standard_conforming_strings')).rows).toEqual([{ standard_conforming_strings: 'off' }]);
    await db.exec('RESET standard_conforming_strings');
  });
  test('a function in front of pg_catalog is not called', async () => {
    await db.exec(
      'CREATE OR REPLACE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT purge()::text $$',
    );
    await db.exec('SET search_path = evil, pg_catalog, public');
    await expect(walled(db, "SELECT lower('A') AS x", false)).resolves.toMatchObject({ rows: [{ x: 'a' }] });
    expect(await count()).toBe(1000);
    await db.exec('RESET search_path; DROP FUNCTION evil.lower(text)');
  });
  test('SQLite refuses what the authorizer sees', async () => {
    const connection = sqlite();
    await expect(walled(connection, 'DELETE FROM users', true)).rejects.toThrow('DELETE on users');
    await expect(walled(connection, 'SELECT 1; DELETE FROM users', true)).rejects.toThrow('one statement');
    await expect(walled(connection, 'PRAGMA user_version = 5', true)).rejects.toThrow('PRAGMA');
    await expect(walled(connection, 'SELECT count(*) AS n FROM users', true)).resolves.toMatchObject({
      rows: [{ n: 1000 }],
    });
    connection.exec('DELETE FROM users');
    expect(connection.prepare('SELECT count(*) AS n FROM users').get()).toEqual({ n: 0 });
  });
});

describe('what the catalogue of the connection says', () => {
  test('an IMMUTABLE function passes, a VOLATILE one does not', async () => {
    await expect(run({ connection: db }, 'SELECT twice(4) AS x')).resolves.toMatchObject({ rows: [{ x: 8 }] });
    await expect(run({ connection: db }, 'SELECT purge()')).rejects.toThrow('purge');
    expect(await harmlessFunctionsOf(db)).toContain('public.twice');
    expect(await harmlessFunctionsOf(db)).not.toContain('purge');
  });
  test('a domain is as VOLATILE as its checks', async () => {
    await db.exec(`
      CREATE DOMAIN email AS text CHECK (value ~ '@' AND length(value) < 100);
      CREATE DOMAIN small AS int CHECK (value IN (1, 2, 3)) CHECK (twice(value) < 7);
      CREATE FUNCTION deleting(int) RETURNS boolean LANGUAGE sql AS 'SELECT purge() IS NOT NULL';
      CREATE DOMAIN evil_domain AS int CHECK (deleting(value));
      CREATE DOMAIN evil_twice AS evil_domain;
      CREATE DOMAIN evil_inside AS int CHECK ((value + 1)::evil_domain > 0);
      CREATE DOMAIN evil_sleep AS int CHECK (value > 0 OR pg_sleep(1) IS NULL);
    `);
    const fresh = { connection: await pool.connect() };
    try {
      await expect(run(fresh, "SELECT ('a' || '@b')::email AS x, (1 + 1)::small AS y")).resolves.toMatchObject({
        rows: [{ x: 'a@b', y: 2 }],
      });
      for (const domain of ['evil_domain', 'evil_twice', 'evil_inside', 'evil_sleep']) {
        await expect(run(fresh, `SELECT (1 + 1)::${domain}`)).rejects.toThrow(`the type ${domain} is not known`);
      }
      expect(await count()).toBe(1000);
      await db.query('SELECT (1 + 1)::evil_domain');
      expect(await count()).toBe(0);
      await db.exec("INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 1000) i");
    } finally {
      fresh.connection.release();
    }
  });
  test('an aggregate is as VOLATILE as what it is made of', async () => {
    await expect(run({ connection: db }, 'SELECT good_sum(id) AS x FROM users')).resolves.toMatchObject({
      rows: [{ x: 500_500 }],
    });
    await expect(run({ connection: db }, 'SELECT evil_sum(id) FROM users')).rejects.toThrow('evil_sum');
    expect(await count()).toBe(1000);
  });
  test("a VOLATILE function with the name of one of PostgreSQL's own takes the name away", async () => {
    await expect(run({ connection: db }, 'SELECT upper(1)')).rejects.toThrow('upper');
    await expect(run({ connection: db }, "SELECT pg_catalog.upper('a') AS x")).resolves.toMatchObject({
      rows: [{ x: 'A' }],
    });
  });
});

test('SQLite: a trigger that deletes is seen on the connection, and a declared function of the program passes', async () => {
  const connection = sqlite();
  connection.exec('CREATE TABLE t (a); CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM users; END');
  await expect(run({ connection }, 'INSERT INTO t VALUES (1)')).rejects.toThrow('DELETE on users');
  await expect(run({ connection }, "INSERT INTO users VALUES (5000, 'x')")).resolves.toMatchObject({ rowCount: 1 });
  connection.function('twice', (x) => Number(x) * 2);
  await expect(run({ connection }, 'SELECT twice(2) AS x')).rejects.toThrow('check_db');
  const declared = { connection, harmlessFunctions: ['twice'] };
  await expect(run(declared, 'SELECT twice(2) AS x')).resolves.toMatchObject({ rows: [{ x: 4 }] });
});

describe('options', () => {
  test('without a connection there is an empty database in memory', async () => {
    const [query] = sqlTools({ prefix: 'scratch_' });
    expect(query.name).toBe('scratch_query');
    await expect(query.execute({ sql: 'SELECT 1 AS a' })).resolves.toMatchObject({ rows: [{ a: 1 }] });
  });
  test('a connection of another kind is refused', async () => {
    await expect(run({ connection: {} }, 'SELECT 1')).rejects.toThrow('Expected `connection` to be');
  });
});
