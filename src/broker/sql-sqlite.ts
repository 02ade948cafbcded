/** SQLite through `node:sqlite`: the authorizer stands over every statement while it is compiled and run. */
import { DatabaseSync } from 'node:sqlite';
import { TapPassError } from '../model/errors.ts';
import type { SqlBackend } from './sql.ts';
import { replacesRows, sqliteWords } from './sqlite-lexer.ts';
import { sqliteAccess } from './sqlite-judge.ts';

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
  async *batches(text, { params, readOnly, timeoutMs, signal }) {
    signal?.throwIfAborted();
    if (readOnly && sqliteWords(text).some(replacesRows)) refuse('REPLACE deletes rows');
    const { authorizer, fault } = sqliteAccess(readOnly ? 'read_only' : 'safe_write');
    // SQLite compiles a statement again when the schema changed: the wall stays up until the last row.
    if (readOnly) db.setAuthorizer(authorizer);
    const deadline = Date.now() + timeoutMs;
    try {
      const statement = db.prepare(text);
      // `prepare` compiles the first statement and says nothing of the rest.
      if (sqliteWords(text.slice(statement.sourceSQL.length)).length > 0) refuse('expected one statement, got more');
      if (!readOnly && statement.columns().length === 0) {
        const { changes } = statement.run(...params.map(valueOf));
        yield { rows: [], affected: Number(changes) };
        return;
      }
      let rows: Record<string, unknown>[] = [];
      for (const row of statement.iterate(...params.map(valueOf))) {
        rows.push(row);
        if (rows.length < BATCH) continue;
        yield { rows };
        rows = [];
        signal?.throwIfAborted();
        if (Date.now() > deadline) refuse(`the statement took longer than ${timeoutMs} ms`);
      }
      if (rows.length > 0) yield { rows };
    } catch (error) {
      throw fault() === undefined
        ? error
        : new TapPassError(`Refused: ${fault()?.reason ?? ''}`, { code: 'TAPPASS_SQL_REFUSED', cause: error });
    } finally {
      if (readOnly) db.setAuthorizer(null);
    }
  },
  catalogue: async () => undefined,
});
