/** What `safe_write` promises beyond the text: no row is lost on behalf of an INSERT or UPDATE, whoever removes it. */
import { PGlite } from '@electric-sql/pglite';
import * as pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { govern } from '../src/govern.ts';
import type { Grant } from '../src/model/grant.ts';
import { grantFor } from '../src/model/grant.ts';
import { sqlTools } from '../src/sql-tools.ts';
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
  server = await servePglite(db);
  pool = new pg.Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres', max: 1 });
}, START_MS);

afterAll(async () => {
  await pool.end();
  await server.close();
  await db.close();
});

const trigger = (table: string, when: string, body: string): string => `
  CREATE FUNCTION on_${table}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN ${body} RETURN NEW; END';
  CREATE ${when} ON ${table} ${when.includes('CONSTRAINT') ? 'DEFERRABLE INITIALLY DEFERRED' : ''} FOR EACH ROW EXECUTE FUNCTION on_${table}();`;

beforeEach(async () => {
  await db.exec(`
    DROP SCHEMA public CASCADE; CREATE SCHEMA public;
    CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept VALUES (1), (2), (3);
    CREATE TABLE plain (id int PRIMARY KEY, n int); INSERT INTO plain VALUES (1, 1);
    CREATE TABLE deleting (id int); CREATE TABLE emptying (id int); CREATE TABLE dropping (id int);
    CREATE TABLE late (id int); CREATE TABLE ruled (id int); CREATE TABLE scratching (id int);
    CREATE TABLE replacing (id int); CREATE TABLE remaking (id int); CREATE TABLE making (id int); CREATE TABLE refreshing (id int); CREATE TABLE doomed (id int);
    CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM kept;
    ${trigger('deleting', 'TRIGGER t AFTER INSERT', 'DELETE FROM kept WHERE id = 1;')}
    ${trigger('emptying', 'TRIGGER t BEFORE INSERT', 'TRUNCATE kept;')}
    ${trigger('dropping', 'TRIGGER t BEFORE INSERT', 'DROP TABLE doomed;')}
    ${trigger('late', 'CONSTRAINT TRIGGER t AFTER INSERT', 'DELETE FROM kept WHERE id = 2;')}
    ${trigger('replacing', 'TRIGGER t AFTER INSERT', 'DELETE FROM kept; INSERT INTO kept SELECT generate_series(11, 19);')}
    ${trigger('scratching', 'TRIGGER t BEFORE INSERT', 'CREATE TEMP TABLE scratch (a int) ON COMMIT DROP; INSERT INTO scratch VALUES (1); DELETE FROM scratch;')}
    ${trigger('making', 'TRIGGER t AFTER INSERT', 'CREATE TABLE made (a int); INSERT INTO made VALUES (1); DROP TABLE made;')}
    ${trigger('remaking', 'TRIGGER t AFTER INSERT', 'CREATE TABLE made (a int); DROP TABLE made; DROP TABLE doomed;')}
    ${trigger('refreshing', 'TRIGGER t AFTER INSERT', 'REFRESH MATERIALIZED VIEW summary;')}
    CREATE RULE r AS ON INSERT TO ruled DO ALSO DELETE FROM kept;
    CREATE VIEW seen AS SELECT id FROM kept;
    CREATE RULE s AS ON UPDATE TO seen DO INSTEAD DELETE FROM kept WHERE id = OLD.id;
    CREATE TABLE moving (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
    CREATE TABLE low PARTITION OF moving FOR VALUES FROM (0) TO (100);
    CREATE TABLE high PARTITION OF moving FOR VALUES FROM (100) TO (200);
    CREATE TABLE following (id int REFERENCES low ON DELETE CASCADE);
    INSERT INTO moving VALUES (1, 1), (2, 2); INSERT INTO following VALUES (1);
  `);
});

const count = async (table: string): Promise<number> =>
  (await db.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`)).rows[0]?.n ?? -1;

const LOSING: readonly (readonly [string, string, string])[] = [
  ['a trigger that deletes', 'INSERT INTO deleting VALUES (1)', 'kept'],
  ['a trigger that truncates', 'INSERT INTO emptying VALUES (1)', 'kept'],
  ['a trigger that drops', 'INSERT INTO dropping VALUES (1)', 'doomed'],
  ['a trigger that drops what it makes, and more', 'INSERT INTO remaking VALUES (1)', 'doomed'],
  ['a trigger that waits for the commit', 'INSERT INTO late VALUES (1)', 'kept'],
  ['a trigger that deletes and adds more', 'INSERT INTO replacing VALUES (1)', 'kept'],
  ['a rule beside an INSERT', 'INSERT INTO ruled VALUES (1)', 'kept'],
  ['a rule in place of an UPDATE', 'UPDATE seen SET id = 9 WHERE id = 1', 'kept'],
  ['a cascade behind a row that changes its partition', 'UPDATE moving SET id = 101 WHERE id = 1', 'following'],
];
const KEEPING: readonly string[] = [
  'INSERT INTO plain VALUES (2, 2)',
  'INSERT INTO plain VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET n = excluded.n',
  'UPDATE plain SET n = 4',
  'UPDATE moving SET id = 102 WHERE id = 2',
  'INSERT INTO scratching VALUES (1)',
  'INSERT INTO refreshing VALUES (1)',
  'INSERT INTO making VALUES (1)',
  'MERGE INTO plain p USING kept k ON p.id = k.id WHEN MATCHED THEN UPDATE SET n = 7 WHEN NOT MATCHED THEN INSERT VALUES (k.id, 0)',
];

describe.each([
  ['PGlite', () => db],
  ['a pg pool', () => pool],
])('safe_write on %s', (_, connect) => {
  test.each(LOSING)('undoes what %s would lose', async (_title, sql, table) => {
    const before = await count(table);
    const [query] = sqlTools({ connection: connect() });
    await expect(query.execute({ sql })).rejects.toMatchObject({
      code: 'TAPPASS_SQL_REFUSED',
      message: expect.stringContaining('would have removed rows'),
    });
    expect(await count(table)).toBe(before);
  });
  test.each(LOSING)('without it %s loses rows', async (_title, sql, table) => {
    const [query] = sqlTools({ connection: connect(), level: 'allow' });
    await query.execute({ sql });
    if (table === 'doomed') await expect(count(table)).rejects.toThrow('does not exist');
    else if (sql.includes('replacing')) expect(await count('kept WHERE id < 10')).toBe(0);
    else expect(await count(table)).toBeLessThan(table === 'following' ? 1 : 3);
  });
  test.each(KEEPING)('lets pass: %s', async (sql) => {
    const [query] = sqlTools({ connection: connect() });
    await expect(query.execute({ sql })).resolves.toMatchObject({ truncated: false });
  });
  test('what was lost before, by others on the same connection, is not held against a statement', async () => {
    const [any] = sqlTools({ connection: connect(), level: 'allow' });
    await any.execute({ sql: 'DELETE FROM kept WHERE id = 3' });
    const [query] = sqlTools({ connection: connect() });
    await expect(query.execute({ sql: 'INSERT INTO plain VALUES (7, 7)' })).resolves.toMatchObject({
      truncated: false,
    });
  });
});

test('a server that does not count is not written to', async () => {
  await db.exec('SET track_counts = off');
  const [query] = sqlTools({ connection: db });
  await expect(query.execute({ sql: 'UPDATE plain SET n = 8' })).rejects.toThrow('track_counts = off');
  await expect(query.execute({ sql: 'SELECT n FROM plain' })).resolves.toMatchObject({ rows: [{ n: 1 }] });
  await db.exec('RESET track_counts');
});

test('a trigger that stops the counting before it deletes is undone with the statement', async () => {
  await db.exec(`CREATE TABLE watched (id int); CREATE TABLE victim AS SELECT 1 AS id;
    CREATE FUNCTION hide() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM set_config('track_counts', 'off', true); DELETE FROM victim; RETURN NEW; END $$;
    CREATE TRIGGER hides AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION hide()`);
  const count = async (): Promise<unknown> => (await db.query('SELECT count(*)::int AS n FROM victim')).rows;
  const [query] = sqlTools({ connection: db });
  await expect(query.execute({ sql: 'INSERT INTO watched VALUES (1)' })).rejects.toThrow(/refused/iu);
  expect(await count()).toEqual([{ n: 1 }]);
  const [any] = sqlTools({ connection: db, level: 'allow' });
  await any.execute({ sql: 'INSERT INTO watched VALUES (1)' });
  expect(await count()).toEqual([{ n: 0 }]);
});

describe('the grants of a governed call', () => {
  const governed = (flags: string) => govern([...sqlTools({ connection: db })], { flags, audit: false })[0];
  const CASCADE = { sql: 'UPDATE moving SET id = 101 WHERE id = 1' };
  test('stand in place of the level of the tool', async () => {
    await expect(governed('db=safe_write').execute({ sql: 'DELETE FROM kept' })).rejects.toMatchObject({
      blockedBy: 'check_db',
    });
    expect(await count('kept')).toBe(3);
    await governed('db=allow').execute({ sql: 'DELETE FROM kept' });
    expect(await count('kept')).toBe(0);
  });
  test('carry what safe_write promised, and what observe lets happen', async () => {
    await expect(governed('db=safe_write').execute(CASCADE)).rejects.toMatchObject({ code: 'TAPPASS_SQL_REFUSED' });
    expect(await count('following')).toBe(1);
    await governed('db=safe_write, mode=observe').execute(CASCADE);
    expect(await count('following')).toBe(0);
  });
  test('are for one text, cannot be written by hand, and end', async () => {
    const [query] = sqlTools({ connection: db });
    const effect = { kind: 'sql', pointer: '/sql', text: 'DELETE FROM kept', dialect: 'postgres' } as const;
    const execute = (sql: string, grant: Grant | undefined): unknown =>
      query.execute({ sql }, { callId: 'c', ...(grant !== undefined && { grants: [grant] }) });
    const valid = grantFor({ allowed: true }, effect, 'c', Date.now() + 60_000);
    await expect(execute('DELETE FROM kept WHERE true', valid)).rejects.toMatchObject({ blockedBy: 'check_db' });
    await expect(execute(effect.text, undefined)).rejects.toMatchObject({ blockedBy: 'check_db' });
    const forged = { effect, callId: 'c', expiresAt: Date.now() + 60_000, keepsRows: false };
    await expect(execute(effect.text, forged)).rejects.toMatchObject({ code: 'TAPPASS_NO_GRANT' });
    const expired = grantFor({ allowed: true }, effect, 'c', Date.now() - 1);
    await expect(execute(effect.text, expired)).rejects.toMatchObject({ code: 'TAPPASS_NO_GRANT' });
    expect(await count('kept')).toBe(3);
    await expect(execute(effect.text, valid)).resolves.toMatchObject({ rowCount: 3 });
  });
});
