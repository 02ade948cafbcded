/**
 * What the levels promise, held against the engine itself: thousands of random statements are judged, and those that pass
 * are run in PGlite. `TAPPASS_FUZZ` multiplies their number, `TAPPASS_SEED` chooses others.
 */
import { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { prepareSqlNow } from '../../src/check-sql.ts';
import { judgeSql } from '../../src/policy/sql.ts';
import { HARMLESS_FUNCTIONS } from '../../src/policy/sql/functions.ts';
import { ANALYTICS, ANALYTICS_SCHEMA } from './sql-analytics.ts';
import { FUZZ_SCHEMA, fuzzSql } from './sql-fuzzer.ts';

vi.setConfig({ testTimeout: 240_000 });

const FACTOR = Number(process.env['TAPPASS_FUZZ'] ?? 1);
const SEED = Number(process.env['TAPPASS_SEED'] ?? 20_260_101);

/** PGlite compiles 27 MB of WebAssembly, which takes its time on a busy machine. */
const START_MS = 240_000;

let db: PGlite;

beforeAll(async () => {
  prepareSqlNow();
  db = await PGlite.create();
  await db.exec(FUZZ_SCHEMA);
}, START_MS);
afterAll(async () => {
  await db.close();
});

/** Every row of every table, the sequences, the objects, the settings that statements could set. */
const STATE = `
  SELECT md5(concat(
    (SELECT json_agg(u ORDER BY id) FROM users u), (SELECT json_agg(o ORDER BY id) FROM orders o),
    (SELECT json_agg(l ORDER BY id) FROM log l), (SELECT concat(last_value, is_called) FROM s1),
    (SELECT json_agg(c.oid ORDER BY oid) FROM pg_class c), (SELECT count(*) FROM pg_proc),
    (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),
    current_setting('fuzz.x', true), current_setting('fuzz.y', true))) AS state`;
const COUNTS = `
  SELECT (SELECT count(*) FROM users)::int AS users, (SELECT count(*) FROM orders)::int AS orders,
    (SELECT count(*) FROM log)::int AS log, (SELECT count(*) FROM pg_class)::int AS relations`;

const one = async (sql: string): Promise<Record<string, unknown>> =>
  (await db.query<Record<string, unknown>>(sql)).rows[0] ?? {};

type Outcome = 'ran' | { readonly code: string };

/** Runs a statement so that an error does not end the transaction around it. */
const attempt = async (sql: string): Promise<Outcome> => {
  await db.exec('SAVEPOINT each');
  try {
    await db.exec(sql);
    await db.exec('RELEASE each');
    return 'ran';
  } catch (error) {
    await db.exec('ROLLBACK TO each; RELEASE each');
    return { code: String((error as { code?: unknown }).code) };
  }
};

const statements = (count: number, seed: number): readonly string[] => {
  const next = fuzzSql(seed);
  return Array.from({ length: count }, next);
};

/** The statements of `texts` that change something, found by halving. */
const changers = async (texts: readonly string[], before: string): Promise<readonly string[]> => {
  await db.exec('BEGIN');
  for (const text of texts) await attempt(text);
  const { state } = await one(STATE);
  await db.exec('ROLLBACK');
  // A rollback brings back neither sequences nor session locks.
  await db.exec("SELECT setval('s1', 1, false), pg_advisory_unlock_all()");
  if (state === before) return [];
  if (texts.length <= 1) return texts;
  const middle = texts.length >> 1;
  return [...(await changers(texts.slice(0, middle), before)), ...(await changers(texts.slice(middle), before))];
};

test('what read_only allows never raises 25006 in a READ ONLY transaction, and mostly runs', async () => {
  const passed = statements(1500 * FACTOR, SEED).filter((text) => judgeSql(text, 'read_only').allowed);
  const outcomes = new Map<string, number>();
  const wrong: string[] = [];
  await db.exec('BEGIN READ ONLY');
  for (const text of passed) {
    const outcome = await attempt(text);
    const key = outcome === 'ran' ? outcome : outcome.code;
    outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
    if (key === '25006') wrong.push(text);
  }
  await db.exec('ROLLBACK');
  expect(wrong).toEqual([]);
  expect(passed.length).toBeGreaterThan(400 * FACTOR);
  expect(outcomes.get('ran') ?? 0).toBeGreaterThan(passed.length * 0.7);
});

test('what read_only allows changes nothing where writing is possible', async () => {
  await db.exec("SELECT setval('s1', 1, false)");
  const before = String((await one(STATE))['state']);
  const passed = statements(1000 * FACTOR, SEED + 1).filter((text) => judgeSql(text, 'read_only').allowed);
  expect(passed.length).toBeGreaterThan(250 * FACTOR);
  expect(await changers(passed, before)).toEqual([]);
  // The same eyes see what is denied.
  const denied = ["SELECT nextval('s1')", 'SELECT purge()', 'SELECT lo_create(0)', 'SELECT pg_advisory_lock(1)'];
  expect(await changers(denied, before)).toEqual(denied);
  expect(denied.filter((text) => judgeSql(text, 'read_only').allowed)).toEqual([]);
});

/** Runs each text; those after which a table has fewer rows, or is gone. */
const reducers = async (
  texts: readonly string[],
): Promise<{ readonly ran: number; readonly reducing: readonly string[] }> => {
  const reducing: string[] = [];
  let ran = 0;
  await db.exec('BEGIN');
  let before = await one(COUNTS);
  for (const text of texts) {
    await db.exec('SAVEPOINT before_one');
    if ((await attempt(text)) === 'ran') ran++;
    let after: Record<string, unknown> | undefined;
    try {
      after = await one(COUNTS);
    } catch {
      after = undefined;
    }
    const now = after;
    const fewer = now === undefined || Object.keys(before).some((table) => Number(now[table]) < Number(before[table]));
    if (fewer) {
      reducing.push(text);
      await db.exec('ROLLBACK TO before_one');
    } else before = now;
    await db.exec('RELEASE before_one');
  }
  await db.exec('ROLLBACK');
  return { ran, reducing };
};

test('what safe_write allows never reduces a row count, drops or truncates', async () => {
  const all = statements(1000 * FACTOR, SEED + 2);
  const passed = all.filter((text) => judgeSql(text, 'safe_write').allowed);
  const { ran, reducing } = await reducers(passed);
  expect(reducing).toEqual([]);
  expect(ran).toBeGreaterThan(300 * FACTOR);
  // The same eyes see what is denied.
  const denied = all.filter((text) => !judgeSql(text, 'safe_write').allowed).slice(0, 150);
  expect((await reducers(denied)).reducing.length).toBeGreaterThan(10);
});

test("every function of PostgreSQL's own that is called harmless can be called where nothing may be written", async () => {
  const harmless = new Set(HARMLESS_FUNCTIONS.split(/\s+/u));
  await db.exec("SELECT setval('s1', 1, false)");
  const { rows } = await db.query<{ readonly name: string; readonly types: readonly string[] }>(
    `SELECT proname AS name, array(SELECT format_type(t, NULL) FROM unnest(proargtypes) t) AS types
     FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
       AND NOT (proargtypes::oid[] && ARRAY['internal'::regtype::oid, 'cstring'::regtype])
       AND prorettype NOT IN ('internal'::regtype, 'trigger'::regtype, 'event_trigger'::regtype)`,
  );
  const SAMPLES: Readonly<Record<string, string>> = {
    text: "'users'",
    name: "'users'",
    oid: "'users'::regclass::oid",
    regclass: "'users'",
    integer: '1',
    bigint: '1',
    smallint: '1::smallint',
    boolean: 'true',
    jsonb: `'{"a": 1}'::jsonb`,
    json: `'{"a": 1}'::json`,
    anyelement: '1',
    anyarray: 'ARRAY[1]',
    'double precision': '0.5',
    numeric: '1.5',
    'timestamp with time zone': 'now()',
    tsquery: "'a'::tsquery",
  };
  const calls = rows
    .filter(({ name }) => harmless.has(name))
    .map(({ name, types }) => `SELECT ${name}(${types.map((type) => SAMPLES[type] ?? `NULL::${type}`).join(', ')})`)
    .filter((call) => !call.includes('NULL::any') && !call.includes('NULL::"any"'));
  const wrong: string[] = [];
  const before = String((await one(STATE))['state']);
  await db.exec('BEGIN READ ONLY');
  for (const call of calls) {
    const outcome = await attempt(call);
    if (outcome !== 'ran' && outcome.code === '25006') wrong.push(call);
  }
  await db.exec('ROLLBACK');
  expect(wrong).toEqual([]);
  expect(calls.length).toBeGreaterThan(2000);
  expect(await changers(calls, before)).toEqual([]);
});

test('every-day analytics run where nothing may be written', async () => {
  await db.exec(`CREATE SCHEMA analytics; SET search_path = analytics; ${ANALYTICS_SCHEMA}`);
  const failed: string[] = [];
  for (const text of Object.values(ANALYTICS).flat()) {
    await db.exec('BEGIN READ ONLY');
    await db.exec(text).catch((error: unknown) => failed.push(`${text}: ${String(error)}`));
    await db.exec('ROLLBACK');
  }
  await db.exec('RESET search_path');
  expect(failed).toEqual([]);
});
