/** SQLite through `node:sqlite`: the authorizer stands over every statement while it is compiled and run. */
import { DatabaseSync } from 'node:sqlite';
import { TapPassError } from '../model/errors.ts';
import type { SqlBackend } from './sql.ts';
import { replacesRows, sqliteWords } from './sqlite-lexer.ts';
import { judgeOnConnection, sqliteAccess } from './sqlite-judge.ts';
import type { SqlRow } from './sql-limits.ts';

const BATCH = 200;

export const isSqlite = (value: unknown): value is DatabaseSync => value instanceof DatabaseSync;

type Value = null | number | bigint | string | NodeJS.ArrayBufferView;

const valueOf = (param: unknown): Value => {
  if (param === undefined) return null;
  if (typeof param === 'boolean') return param ? 1 : 0;
  if (param instanceof Date) return param.toISOString();
  return typeof param === 'object' && param !== null && !ArrayBuffer.isView(param)
    ? JSON.stringify(param)
    : (param as Value);
};

const refuse = (reason: string): never => {
  throw new TapPassError(`Refused: ${reason}`, { code: 'TAPPASS_SQL_REFUSED' });
};

export const sqliteBackend = (db: DatabaseSync): SqlBackend => ({
  dialect: 'sqlite',
  async *batches(text, { params, readOnly, harmlessFunctions, timeoutMs, signal }) {
    signal?.throwIfAborted();
    if (readOnly && sqliteWords(text).some(replacesRows)) refuse('REPLACE deletes rows');
    const { authorizer, fault } = sqliteAccess('read_only', { harmlessFunctions });
    /** The wall is up only while SQLite works: between two batches the connection is the program's. */
    const walled = <T>(work: () => T): T => {
      if (!readOnly) return work();
      db.setAuthorizer(authorizer);
      try {
        return work();
      } catch (error) {
        const reason = fault()?.reason;
        if (reason === undefined) throw error;
        throw new TapPassError(`Refused: ${reason}`, { code: 'TAPPASS_SQL_REFUSED', cause: error });
      } finally {
        db.setAuthorizer(null);
      }
    };
    const statement = walled(() => db.prepare(text));
    // `prepare` compiles the first statement and says nothing of the rest.
    if (sqliteWords(text.slice(statement.sourceSQL.length)).length > 0) refuse('expected one statement, got more');
    const values = params.map(valueOf);
    if (!readOnly && statement.columns().length === 0) {
      yield { rows: [], affected: Number(statement.run(...values).changes) };
      return;
    }
    const deadline = Date.now() + timeoutMs;
    const rows = statement.iterate(...values);
    const batch = (): readonly SqlRow[] => {
      const taken: SqlRow[] = [];
      for (let next = rows.next(); next.done !== true; next = rows.next()) {
        taken.push(next.value);
        if (taken.length === BATCH) break;
      }
      return taken;
    };
    try {
      for (let taken = walled(batch); taken.length > 0; taken = taken.length < BATCH ? [] : walled(batch)) {
        yield { rows: taken };
        signal?.throwIfAborted();
        if (Date.now() > deadline) refuse(`the statement took longer than ${timeoutMs} ms`);
      }
    } finally {
      rows.return?.();
    }
  },
  catalogue: async () => undefined,
  judge: (text, level, options) => judgeOnConnection(db, text, level, options),
});
