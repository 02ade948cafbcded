/** Ledgers of spending: in memory for one process, in SQLite for all processes that open the same file. */
import { DatabaseSync } from 'node:sqlite';
import {
  NO_TOTALS,
  type Amounts,
  type Ledger,
  type LedgerLine,
  type LedgerStore,
  type Totals,
} from '../model/budget.ts';
import { requireOptions, TEXT } from '../model/options.ts';

type Sums = { -readonly [Key in keyof Totals]: Totals[Key] };

interface Line extends LedgerLine {
  amounts: Amounts;
}

interface Window {
  readonly sums: Sums;
  readonly lines: Line[];
  /** Lines before this index are forgotten; they are cut off when half of the list is. */
  first: number;
}

const count = (sums: Sums, line: LedgerLine, amounts: Amounts, sign: 1 | -1): void => {
  sums.attempts += sign;
  if (!line.admitted) return;
  sums.calls += sign;
  sums.micros += sign * amounts.micros;
  sums.tokens += sign * amounts.tokens;
};

/** Sessions and days that are over are forgotten, the longest unused first, beyond this many. */
const MOST_ACCOUNTS = 100_000;

/** Nothing outlives the process, nothing is shared. `work` is synchronous, so calls never interleave inside it. */
export const createMemoryLedger = (): LedgerStore => {
  const growing = new Map<string, Sums>();
  const windows = new Map<string, Window>();
  const open = new Map<number, { readonly line: Line; readonly sums: readonly Sums[] }>();
  const undo: (() => void)[] = [];
  let lastId = 0;

  const sumsOf = (account: string): Sums => {
    const sums = growing.get(account) ?? { ...NO_TOTALS };
    growing.delete(account);
    growing.set(account, sums);
    if (growing.size > MOST_ACCOUNTS) growing.delete(growing.keys().next().value ?? '');
    return sums;
  };
  const windowOf = (account: string): Window => {
    let window = windows.get(account);
    if (window === undefined) windows.set(account, (window = { sums: { ...NO_TOTALS }, lines: [], first: 0 }));
    return window;
  };

  const ledger: Ledger = {
    total: (account) => ({ ...(growing.get(account) ?? NO_TOTALS) }),
    window: (account, after) => {
      const window = windows.get(account);
      if (window === undefined) return NO_TOTALS;
      for (
        let line = window.lines[window.first];
        line !== undefined && line.time <= after;
        line = window.lines[window.first]
      ) {
        count(window.sums, line, line.amounts, -1);
        window.first += 1;
      }
      if (window.first * 2 > window.lines.length) {
        window.lines.splice(0, window.first);
        window.first = 0;
      }
      const oldest = window.lines[window.first]?.time;
      return oldest === undefined ? { ...window.sums } : { ...window.sums, oldest };
    },
    add: (line, accounts) => {
      lastId += 1;
      const id = lastId;
      const kept: Line = { ...line, amounts: line };
      const sums = accounts.growing.map(sumsOf);
      for (const sum of sums) count(sum, line, line, 1);
      undo.push(() => {
        for (const sum of sums) count(sum, line, line, -1);
        for (const account of accounts.windows) windows.get(account)?.lines.pop();
        open.delete(id);
      });
      for (const account of accounts.windows) {
        const window = windowOf(account);
        window.lines.push(kept);
        count(window.sums, line, line, 1);
        sums.push(window.sums);
      }
      if (line.admitted) open.set(id, { line: kept, sums });
      return id;
    },
    settle: (id, amounts) => {
      const reserved = open.get(id);
      if (reserved === undefined) return;
      const before = reserved.line.amounts;
      const put = (from: Amounts, to: Amounts): void => {
        for (const sums of reserved.sums) {
          sums.micros += to.micros - from.micros;
          sums.tokens += to.tokens - from.tokens;
        }
        reserved.line.amounts = to;
      };
      open.delete(id);
      put(before, amounts);
      undo.push(() => {
        put(amounts, before);
        open.set(id, reserved);
      });
    },
  };
  return {
    transact: (work) => {
      undo.length = 0;
      try {
        return work(ledger);
      } catch (error) {
        for (const step of undo.toReversed()) step();
        throw error;
      }
    },
    close: () => {
      growing.clear();
      windows.clear();
      open.clear();
    },
  };
};

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS account (
    name TEXT PRIMARY KEY, micros INTEGER NOT NULL, tokens INTEGER NOT NULL, calls INTEGER NOT NULL, attempts INTEGER NOT NULL,
    time INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS line (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, micros INTEGER NOT NULL, tokens INTEGER NOT NULL,
    admitted INTEGER NOT NULL, open INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS entry (
    account TEXT NOT NULL, time INTEGER NOT NULL, line INTEGER NOT NULL REFERENCES line (id), windowed INTEGER NOT NULL,
    PRIMARY KEY (account, time, line)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entry_of_line ON entry (line);
`;

/** A file of an earlier version has no times; its accounts count as used when it is opened. */
const addTimes = (database: DatabaseSync): void => {
  const known = database.prepare("SELECT 1 FROM pragma_table_info('account') WHERE name = 'time'").get();
  if (known === undefined) {
    database.exec('ALTER TABLE account ADD COLUMN time INTEGER NOT NULL DEFAULT 0');
    database.prepare('UPDATE account SET time = ?').run(Date.now());
  }
  database.exec('CREATE INDEX IF NOT EXISTS account_by_time ON account (time)');
};

const DAY_MS = 86_400_000;
/** A session or a day that nothing was added to for so long is over. */
const OVER_MS = 90 * DAY_MS;
/** A window is not longer, and a call that was never settled is not taken for running any more. */
const LONGEST_WINDOW_MS = 400 * DAY_MS;
/** Each call looks at so many of the accounts that were unused longest: twice as many as it may add. */
const SWEPT = 6;
/** Lines of one such account that are dropped at once; the rest waits for the next calls. */
const LINES_SWEPT = 64;

/** How long one process waits for another's transaction, in milliseconds; after that the call is denied by the error. */
const BUSY_MS = 5_000;

/**
 * A ledger in the SQLite file at `path`. Each transaction takes the write lock first (`BEGIN IMMEDIATE`), so that two
 * processes never both see room for one last call. A process that dies between reserve and settle leaves its reservation
 * standing: it errs towards having spent.
 */
export const openSqliteLedger = (path: string): LedgerStore => {
  requireOptions('openSqliteLedger', { path }, { path: TEXT });
  const database = new DatabaseSync(path, { timeout: BUSY_MS });
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
  database.exec(SCHEMA);
  database.exec('BEGIN IMMEDIATE');
  addTimes(database);
  database.exec('COMMIT');
  const one = (sql: string): ((...values: (string | number)[]) => Readonly<Record<string, unknown>> | undefined) => {
    const statement = database.prepare(sql);
    return (...values) => statement.get(...values);
  };
  const run = (sql: string): ((...values: (string | number)[]) => number) => {
    const statement = database.prepare(sql);
    return (...values) => Number(statement.run(...values).lastInsertRowid);
  };

  const account = one('SELECT micros, tokens, calls, attempts FROM account WHERE name = ?');
  const expired =
    one(`SELECT coalesce(sum(l.micros * l.admitted), 0) AS micros, coalesce(sum(l.tokens * l.admitted), 0) AS tokens,
    coalesce(sum(l.admitted), 0) AS calls, count(*) AS attempts
    FROM entry e JOIN line l ON l.id = e.line WHERE e.account = ? AND e.time <= ?`);
  const forget = run('DELETE FROM entry WHERE account = ? AND time <= ?');
  const sweep = run('DELETE FROM line WHERE time <= ? AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.line = line.id)');
  const change = run(`INSERT INTO account VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET
    micros = micros + excluded.micros, tokens = tokens + excluded.tokens, calls = calls + excluded.calls,
    attempts = attempts + excluded.attempts, time = max(time, excluded.time)`);
  const unused = database.prepare('SELECT name FROM account WHERE time < ? ORDER BY time LIMIT ?');
  const linesOf = database.prepare('SELECT line FROM entry WHERE account = ? LIMIT ?');
  const dropEntry = run('DELETE FROM entry WHERE account = ? AND line = ?');
  const lookLater = run('UPDATE account SET time = ? WHERE name = ?');
  const close = run('DELETE FROM account WHERE name = ?');
  const newestEntry = one('SELECT max(time) AS time FROM entry WHERE account = ?');
  const oldest = one('SELECT min(time) AS time FROM entry WHERE account = ?');
  const addLine = run('INSERT INTO line (time, micros, tokens, admitted, open) VALUES (?, ?, ?, ?, ?)');
  const addEntry = run('INSERT INTO entry VALUES (?, ?, ?, ?)');
  const lineOf = one('SELECT micros, tokens FROM line WHERE id = ? AND open = 1');
  const amend = run('UPDATE line SET micros = ?, tokens = ?, open = 0 WHERE id = ?');
  const settleAccounts = run(
    'UPDATE account SET micros = micros + ?, tokens = tokens + ? WHERE name IN (SELECT account FROM entry WHERE line = ?)',
  );
  const closeGrowing = run('DELETE FROM entry WHERE line = ? AND windowed = 0');
  const closeLine = run(
    'DELETE FROM line WHERE id = ? AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.line = line.id)',
  );

  const totalsOf = (row: Readonly<Record<string, unknown>> | undefined): Totals =>
    row === undefined
      ? NO_TOTALS
      : {
          micros: Number(row['micros']),
          tokens: Number(row['tokens']),
          calls: Number(row['calls']),
          attempts: Number(row['attempts']),
        };

  /** Accounts that still hold lines (a long window, a call that never ended) are looked at again as much later. */
  const closeUnused = (now: number): void => {
    for (const row of unused.all(now - OVER_MS, SWEPT)) {
      const name = String(row['name']);
      const newest = newestEntry(name)?.['time'];
      if (typeof newest === 'number' && newest > now - LONGEST_WINDOW_MS) {
        lookLater(now, name);
        continue;
      }
      const lines = linesOf.all(name, LINES_SWEPT);
      for (const { line } of lines) {
        dropEntry(name, Number(line));
        closeLine(Number(line));
      }
      if (lines.length < LINES_SWEPT) close(name);
    }
  };

  const ledger: Ledger = {
    total: (name) => totalsOf(account(name)),
    window: (name, after) => {
      const gone = totalsOf(expired(name, after));
      if (gone.attempts > 0) {
        change(name, -gone.micros, -gone.tokens, -gone.calls, -gone.attempts, 0);
        forget(name, after);
        sweep(after);
      }
      const first = oldest(name)?.['time'];
      const totals = totalsOf(account(name));
      return typeof first === 'number' ? { ...totals, oldest: first } : totals;
    },
    add: (line, accounts) => {
      const admitted = line.admitted ? 1 : 0;
      const id = addLine(line.time, line.micros, line.tokens, admitted, admitted);
      for (const [names, windowed] of [
        [accounts.growing, 0],
        [accounts.windows, 1],
      ] as const) {
        for (const name of names) {
          addEntry(name, line.time, id, windowed);
          change(name, line.micros * admitted, line.tokens * admitted, admitted, 1, line.time);
        }
      }
      closeUnused(line.time);
      return id;
    },
    settle: (id, amounts) => {
      const reserved = lineOf(id);
      if (reserved === undefined) return;
      settleAccounts(amounts.micros - Number(reserved['micros']), amounts.tokens - Number(reserved['tokens']), id);
      amend(amounts.micros, amounts.tokens, id);
      closeGrowing(id);
      closeLine(id);
    },
  };

  return {
    transact: (work) => {
      database.exec('BEGIN IMMEDIATE');
      try {
        const result = work(ledger);
        database.exec('COMMIT');
        return result;
      } catch (error) {
        database.exec('ROLLBACK');
        throw error;
      }
    },
    close: () => database.close(),
  };
};
