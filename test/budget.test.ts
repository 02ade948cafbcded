import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { createBudget, createMemoryLedger, createRepeatGuard, openSqliteLedger } from '../src/budget.ts';
import type { LedgerStore } from '../src/model/budget.ts';

const directory = mkdtempSync(join(tmpdir(), 'tappass-budget-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let files = 0;
const stores: readonly (readonly [string, () => LedgerStore])[] = [
  ['memory', createMemoryLedger],
  ['SQLite', () => openSqliteLedger(join(directory, `${(files += 1)}.db`))],
];
const ann = { agent: 'ann', org: 'acme', user: 'u1' };
const bob = { agent: 'bob', org: 'acme', user: 'u2' };
const noon = Date.UTC(2026, 10, 21, 12);
const HOUR = 3_600_000;

describe.each(stores)('%s', (_name, open) => {
  test('reservations count before they are settled, and what was not spent comes back', () => {
    const budget = createBudget({ flag: 'dev', store: open() });
    const first = budget.reserve(ann, 's', { usd: 0.6 }, noon);
    expect(first.reservation).toBeDefined();
    expect(budget.reserve(ann, 's', { usd: 0.6 }, noon).rulings.at(-1)?.reason).toBe(
      'Token budget exceeded: $1.20 of $1.00 per session',
    );
    if (first.reservation !== undefined) budget.settle(first.reservation, { usd: 0.1 });
    expect(budget.reserve(ann, 's', { usd: 0.9 }, noon).reservation).toBeDefined();
    expect(budget.reserve(ann, 's', { usd: 0.000001 }, noon).reservation).toBeUndefined();
  });

  test('settling twice is settling once', () => {
    const budget = createBudget({ flag: 'custom:1:1', store: open() });
    const { reservation } = budget.reserve(ann, 's', { usd: 1 }, noon);
    if (reservation !== undefined) budget.settle(reservation, { usd: 0.5 });
    if (reservation !== undefined) budget.settle(reservation, {});
    expect(budget.reserve(ann, 's', { usd: 0.6 }, noon).reservation).toBeUndefined();
    expect(budget.reserve(ann, 's', { usd: 0.5 }, noon).reservation).toBeDefined();
  });

  test('the day is one for all sessions of an agent, and ends at midnight UTC', () => {
    const budget = createBudget({ flag: 'dev', store: open() });
    for (let session = 0; session < 5; session += 1)
      expect(budget.reserve(ann, `s${session}`, { usd: 1 }, noon).reservation).toBeDefined();
    expect(budget.reserve(ann, 's5', { usd: 1 }, noon + 11 * HOUR).rulings.at(-1)?.code).toBe('budget.day');
    expect(budget.reserve(bob, 's6', { usd: 1 }, noon).reservation).toBeDefined();
    expect(budget.reserve(ann, 's5', { usd: 1 }, noon + 12 * HOUR).reservation).toBeDefined();
  });

  test('the window slides, counts attempts in the text, and says when to come back', () => {
    const budget = createBudget({ flag: 'unlimited', store: open(), rate: { max_calls: 3, window_seconds: 60 } });
    for (let call = 0; call < 3; call += 1)
      expect(budget.reserve(ann, 's', {}, noon + call * 1_000).reservation).toBeDefined();
    expect(budget.reserve(ann, 's', {}, noon + 10_000)).toMatchObject({
      rulings: [{ reason: 'Rate limit exceeded: 4/3 calls in 60s' }, {}],
      retryAfter: 50,
    });
    expect(budget.reserve(ann, 's', {}, noon + 20_000).rulings[0]?.reason).toBe(
      'Rate limit exceeded: 5/3 calls in 60s',
    );
    expect(budget.reserve(bob, 's', {}, noon + 20_000).reservation).toBeDefined();
    expect(budget.reserve(ann, 's', {}, noon + 60_000).reservation).toBeDefined();
    expect(budget.reserve(ann, 's', {}, noon + 60_500).reservation).toBeUndefined();
  });

  test('an organisation shares one pool; a user has their own', () => {
    const pool = createBudget({ flag: 'unlimited', store: open(), rate: { max_calls: 1, scope: 'org' } });
    expect(pool.reserve(ann, 's', {}, noon).reservation).toBeDefined();
    expect(pool.reserve(bob, 's', {}, noon).reservation).toBeUndefined();
    const own = createBudget({ flag: 'unlimited', store: open(), rate: { max_calls: 1, scope: 'user' } });
    expect(own.reserve(ann, 's', {}, noon).reservation).toBeDefined();
    expect(own.reserve(bob, 's', {}, noon).reservation).toBeDefined();
    expect(own.reserve({ ...bob, agent: 'ann', user: 'u1' }, 's', {}, noon).reservation).toBeUndefined();
  });

  test('tokens are reserved and settled like dollars', () => {
    const budget = createBudget({ flag: 'unlimited', store: open(), rate: { max_tokens: 1_000 } });
    const { reservation } = budget.reserve(ann, 's', { tokens: 900 }, noon);
    expect(budget.reserve(ann, 's', { tokens: 200 }, noon).rulings[0]?.reason).toBe(
      'Token rate limit exceeded: 1,100/1,000 tokens in 3600s',
    );
    if (reservation !== undefined) budget.settle(reservation, { tokens: 100 });
    expect(budget.reserve(ann, 's', { tokens: 200 }, noon).reservation).toBeDefined();
  });

  test('work that throws leaves nothing behind', () => {
    const store = open();
    expect(() =>
      store.transact((ledger) => {
        ledger.add({ time: noon, micros: 5, tokens: 0, admitted: true }, { growing: ['a'], windows: [] });
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(store.transact((ledger) => ledger.total('a'))).toEqual({ micros: 0, tokens: 0, calls: 0, attempts: 0 });
  });
});

const DAY = 24 * HOUR;
const accountsIn = (path: string): number => {
  const database = new DatabaseSync(path);
  const row = database.prepare('SELECT (SELECT count(*) FROM account) + (SELECT count(*) FROM line) AS rows').get();
  database.close();
  return Number(row?.['rows']);
};

test('sessions and days that are long over leave the file, those that are used stay', () => {
  const path = join(directory, 'swept.db');
  const budget = createBudget({ flag: 'dev', store: openSqliteLedger(path) });
  for (let day = 0; day < 400; day += 1) {
    const { reservation } = budget.reserve(ann, `s${day}`, { usd: 0.01 }, noon + day * DAY);
    // Every tenth call never ends: its process died.
    if (reservation !== undefined && day % 10 > 0) budget.settle(reservation, { usd: 0.01 });
    const kept = budget.reserve(ann, 'kept', { usd: 0.002 }, noon + day * DAY).reservation;
    expect(kept).toBeDefined();
    if (kept !== undefined) budget.settle(kept, { usd: 0.002 });
  }
  // Two accounts for each of 90 days, two and a line for each of 40 calls that never end: not 800 accounts.
  expect(accountsIn(path)).toBeLessThan(2 * 91 + 3 * 40 + 10);
  expect(budget.reserve(ann, 'kept', { usd: 0.21 }, noon + 400 * DAY).rulings.at(-1)?.code).toBe('budget.session');
  for (let call = 0; call < 400; call += 1) budget.reserve(ann, 'last', {}, noon + 900 * DAY);
  // The account and the day of 400 calls that were never settled, and these.
  expect(accountsIn(path)).toBeLessThan(2 + 400 + 1);
});

test('a window longer than the silence still counts after it', () => {
  const rate = { max_calls: 1, window_seconds: 200 * 24 * 3_600 };
  const budget = createBudget({ flag: 'unlimited', store: openSqliteLedger(join(directory, 'long.db')), rate });
  expect(budget.reserve(ann, 's', {}, noon).reservation).toBeDefined();
  for (let call = 0; call < 20; call += 1) budget.reserve({ ...bob, agent: `b${call}` }, 's', {}, noon + 150 * DAY);
  expect(budget.reserve(ann, 's', {}, noon + 150 * DAY).reservation).toBeUndefined();
  expect(budget.reserve(ann, 's', {}, noon + 201 * DAY).reservation).toBeDefined();
});

test('a file of the version without times keeps its accounts', () => {
  const path = join(directory, 'earlier.db');
  const database = new DatabaseSync(path);
  database.exec(`CREATE TABLE account (name TEXT PRIMARY KEY, micros INTEGER NOT NULL, tokens INTEGER NOT NULL,
    calls INTEGER NOT NULL, attempts INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO account VALUES ('session/s', 900000, 0, 1, 1)`);
  database.close();
  const budget = createBudget({ flag: 'dev', store: openSqliteLedger(path) });
  const now = Date.now();
  expect(budget.reserve(ann, 's', { usd: 0.05 }, now).reservation).toBeDefined();
  expect(budget.reserve(ann, 's', { usd: 0.2 }, now).rulings.at(-1)?.code).toBe('budget.session');
});

test('two openings of one file share one budget', () => {
  const path = join(directory, 'shared.db');
  const one = createBudget({ flag: 'dev', store: openSqliteLedger(path) });
  const two = createBudget({ flag: 'dev', store: openSqliteLedger(path) });
  expect(one.reserve(ann, 's', { usd: 0.7 }, noon).reservation).toBeDefined();
  expect(two.reserve(ann, 's', { usd: 0.7 }, noon).reservation).toBeUndefined();
  expect(two.reserve(ann, 's', { usd: 0.3 }, noon).reservation).toBeDefined();
});

test('processes that spend from one file at the same time never overshoot', async () => {
  const path = join(directory, 'processes.db');
  openSqliteLedger(path).close();
  const door = resolve(import.meta.dirname, '..', 'src', 'budget.ts');
  const program = `
    const { createBudget, openSqliteLedger } = await import(${JSON.stringify(door)});
    const budget = createBudget({ flag: 'dev', store: openSqliteLedger(${JSON.stringify(path)}) });
    let admitted = 0;
    for (let call = 0; call < 60; call += 1) if (budget.reserve({ agent: 'ann' }, 's', { usd: 0.01 }, ${noon}).reservation) admitted += 1;
    process.stdout.write(String(admitted));`;
  const run = async (): Promise<number> =>
    Number((await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])).stdout);
  const admitted = await Promise.all([run(), run(), run()]);
  expect(admitted.reduce((sum, count) => sum + count, 0)).toBe(100);
});

test('the same call repeated too often is a detection; other arguments, sessions and later times are not', () => {
  const guard = createRepeatGuard({ most: 3, windowSeconds: 10 });
  const call = { sessionId: 's', tool: 't', digest: 'd' };
  for (let time = 0; time < 3; time += 1) expect(guard(call, noon + time)).toBeUndefined();
  expect(guard(call, noon + 4)).toMatchObject({ step: 'rate_limit', type: 'repeated_call' });
  expect(guard({ ...call, digest: 'e' }, noon + 5)).toBeUndefined();
  expect(guard({ ...call, sessionId: 'z' }, noon + 5)).toBeUndefined();
  expect(guard(call, noon + 20_000)).toBeUndefined();
});
