import { PGlite } from '@electric-sql/pglite';
import * as pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { governPool } from '../src/sql-tools.ts';
import { servePglite } from './broker/pglite-server.ts';
import type { PgliteServer } from './broker/pglite-server.ts';

vi.setConfig({ testTimeout: 120_000 });

/** PGlite compiles 27 MB of WebAssembly, which takes its time on a busy machine. */
const START_MS = 240_000;

let db: PGlite;
let server: PgliteServer;
let raw: pg.Pool;

beforeAll(async () => {
  db = await PGlite.create();
  await db.exec(`
    CREATE TABLE users (id int);
    INSERT INTO users VALUES (1), (2), (3);
    CREATE FUNCTION purge() RETURNS void LANGUAGE sql AS 'DELETE FROM users';
  `);
  server = await servePglite(db);
  raw = new pg.Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres', max: 1 });
}, START_MS);

afterAll(async () => {
  await raw.end();
  await server.close();
  await db.close();
});

const rows = async (): Promise<number> => (await db.query('SELECT * FROM users')).rows.length;
const DELETE = 'DELETE FROM users';
const blocked = expect.objectContaining({ blockedBy: 'check_db' });

describe('whichever way a pool is asked', () => {
  test('the raw pool would do it', async () => {
    await raw.query('BEGIN');
    await raw.query(DELETE);
    expect(await rows()).toBe(0);
    await raw.query('ROLLBACK');
    expect(await rows()).toBe(3);
  });
  test('a denied statement is not sent, an allowed one is', async () => {
    const pool = governPool(raw, 'db=safe_write');
    await expect(pool.query('SELECT count(*)::int AS n FROM users')).resolves.toMatchObject({ rows: [{ n: 3 }] });
    await expect(pool.query({ text: 'SELECT $1::int AS n', values: [4] })).resolves.toMatchObject({ rows: [{ n: 4 }] });
    await expect(pool.query({ text: 'SELECT 1 AS n', rowMode: 'array' } as pg.QueryArrayConfig)).resolves.toMatchObject(
      { rows: [[1]] },
    );
    await expect(pool.query(DELETE)).rejects.toEqual(blocked);
    await expect(pool.query(DELETE, [])).rejects.toEqual(blocked);
    await expect(pool.query({ text: DELETE })).rejects.toEqual(blocked);
    await expect(pool.query({ name: 'p', text: DELETE })).rejects.toEqual(blocked);
    await expect(pool.query({ name: 'p' } as pg.QueryConfig)).rejects.toEqual(blocked);
    await expect(pool.query('SELECT 1; DELETE FROM users')).rejects.toEqual(blocked);
    await expect(pool.query(undefined as unknown as string)).rejects.toEqual(blocked);
    expect(await rows()).toBe(3);
  });
  test('callbacks are called back', async () => {
    const pool = governPool(raw, 'db=read_only');
    const ask = (...args: readonly unknown[]): Promise<{ readonly error: unknown; readonly result: unknown }> =>
      new Promise((resolve) => {
        (pool.query as (...args: unknown[]) => void)(...args, (error: unknown, result: unknown) =>
          resolve({ error, result }),
        );
      });
    expect((await ask('SELECT 1 AS a')).result).toMatchObject({ rows: [{ a: 1 }] });
    expect((await ask('SELECT $1::int AS a', [5])).result).toMatchObject({ rows: [{ a: 5 }] });
    expect((await ask(DELETE)).error).toEqual(blocked);
    expect((await ask({ text: DELETE }, [])).error).toEqual(blocked);
    expect((await ask('SELECT no_such_column')).error).toBeInstanceOf(Error);
    expect(await rows()).toBe(3);
  });
  test('clients, in both forms, are governed too', async () => {
    const pool = governPool(raw, 'db=read_only');
    const client = await pool.connect();
    await expect(client.query(DELETE)).rejects.toEqual(blocked);
    await client.query('BEGIN');
    await expect(client.query('SELECT count(*)::int AS n FROM users')).resolves.toMatchObject({ rows: [{ n: 3 }] });
    await client.query('ROLLBACK');
    client.release();
    await new Promise<void>((resolve, reject) => {
      pool.connect((_, other, release) => {
        if (other === undefined) return reject(new Error('no client'));
        return other.query(DELETE, [], (error) => {
          release();
          if (error !== null && 'blockedBy' in error) resolve();
          else reject(new Error('not blocked'));
        });
      });
    });
    expect(await rows()).toBe(3);
  });
  test('a cursor is judged by its text, which cannot be changed afterwards', async () => {
    const client = await governPool(raw, 'db=safe_write').connect();
    const evil = new pg.Query({ text: DELETE });
    expect(() => client.query(evil as unknown as string)).toThrow('DELETE on users');
    const honest = new pg.Query('SELECT 1 AS a');
    const seen = new Promise((resolve) => {
      (honest as unknown as { on: (name: string, listener: (row: unknown) => void) => void }).on('row', resolve);
    });
    (client.query as (query: unknown) => unknown)(honest);
    expect(() => {
      (honest as unknown as { text: string }).text = DELETE;
    }).toThrow(TypeError);
    expect(await seen).toEqual({ a: 1 });
    client.release();
    expect(await rows()).toBe(3);
  });
  test('a text that changes between two looks is read once', async () => {
    let looks = 0;
    const shifty = {
      get text() {
        return looks++ === 0 ? 'SELECT 1 AS a' : DELETE;
      },
    };
    await expect(governPool(raw, 'db=safe_write').query(shifty)).resolves.toMatchObject({ rows: [{ a: 1 }] });
    expect(await rows()).toBe(3);
  });
  test('listeners get governed clients', async () => {
    const own = new pg.Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres', max: 1 });
    const pool = governPool(own, 'db=safe_write');
    const denial = new Promise((resolve) => {
      pool.on('connect', (client) => {
        client.query(DELETE).catch(resolve);
      });
    });
    await pool.query('SELECT 1');
    expect(await denial).toEqual(blocked);
    await own.end();
    expect(await rows()).toBe(3);
  });
  test('nothing else of the pool or a client can be reached', async () => {
    const pool = governPool(raw, 'db=safe_write') as unknown as Record<string, unknown>;
    for (const member of [
      'options',
      'Client',
      '_clients',
      '_idle',
      'newClient',
      'constructor',
      '__proto__',
      '_pendingQueue',
      'emit',
    ]) {
      expect(() => pool[member]).toThrow('not available');
    }
    expect(() => {
      pool['query'] = () => undefined;
    }).toThrow('not available');
    expect(Object.getPrototypeOf(pool)).toBeNull();
    expect(pool['totalCount']).toBe(1);
    const client = (await (pool as unknown as pg.Pool).connect()) as unknown as Record<string, unknown>;
    for (const member of ['connection', '_connection', 'connect', 'activeQuery', 'constructor', '_pool']) {
      expect(() => client[member]).toThrow('not available');
    }
    (client['release'] as () => void)();
  });
});

describe('the wall behind', () => {
  test('read_only clients cannot write, even where the decision was wrong, and are clean afterwards', async () => {
    const options = { harmlessFunctions: ['purge'] };
    await expect(governPool(raw, 'db=read_only', options).query('SELECT purge()')).rejects.toMatchObject({
      code: '25006',
    });
    expect(await rows()).toBe(3);
    const client = await governPool(raw, 'db=read_only', options).connect();
    await client.query('BEGIN');
    await expect(client.query('SELECT purge()')).rejects.toMatchObject({ code: '25006' });
    await expect(client.query('BEGIN READ WRITE')).rejects.toEqual(blocked);
    client.release();
    await expect(raw.query('SHOW default_transaction_read_only')).resolves.toMatchObject({
      rows: [{ default_transaction_read_only: 'off' }],
    });
    await raw.query('BEGIN');
    await raw.query('SELECT purge()');
    expect(await rows()).toBe(0);
    await raw.query('ROLLBACK');
  });
});

describe('flags', () => {
  test.each(['db=block', 'db=read-only', 'nonsense'])('%j lets nothing pass', async (flags) => {
    await expect(governPool(raw, flags).query('SELECT 1')).rejects.toEqual(blocked);
  });
  test.each(['db=read_only', '', 'db=allow'])('%j lets a SELECT pass', async (flags) => {
    await expect(governPool(raw, flags).query('SELECT 1')).resolves.toBeDefined();
  });
  test('each decision is told', async () => {
    const told: boolean[] = [];
    const pool = governPool(raw, { db: 'read_only' }, { onDecision: ({ allowed }) => told.push(allowed) });
    await pool.query('SELECT 1');
    await pool.query(DELETE).catch(() => undefined);
    expect(told).toEqual([true, false]);
  });
});
