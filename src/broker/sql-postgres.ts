/** PostgreSQL: one statement in one transaction with the second wall of its level, rows fetched piece by piece. */
import { TapPassError } from '../model/errors.ts';
import type { SqlCatalogue } from '../model/sql.ts';
import type { SqlBackend } from './sql.ts';
import { areCounted, LOSSES, lostBetween } from './sql-losses.ts';
import { openSession } from './sql-session.ts';
import type { PgAnswer, PgSession } from './sql-session.ts';

/** Rows of one round trip. */
const BATCH = 200;

/**
 * What a server may have set otherwise. Strings are read as the parser read them; PostgreSQL's own names come before
 * those of other schemas, and temporary tables after all; a statement ends.
 */
const settings = (readOnly: boolean, timeoutMs: number): string => `
  ${readOnly ? 'SET TRANSACTION READ ONLY;' : ''}
  SET LOCAL standard_conforming_strings = on;
  SET LOCAL statement_timeout = ${Math.max(1, Math.ceil(timeoutMs))};
  SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', 'pg_catalog',
    NULLIF(pg_catalog.current_setting('search_path'), ''), 'pg_temp'), true);`;

const abortError = (signal: AbortSignal): Error =>
  signal.reason instanceof Error ? signal.reason : new DOMException('The statement was cancelled', 'AbortError');

type Perform = (session: PgSession, text: string, params: readonly unknown[]) => Promise<PgAnswer>;

const plainly: Perform = (session, text, params) => session.query(text, params);

const refused = (reason: string): TapPassError =>
  new TapPassError(`Refused: ${reason}`, { code: 'TAPPASS_SQL_REFUSED' });

const UNCOUNTED = 'the server counts no changes (track_counts = off), so db=safe_write cannot be kept: turn it on';

/** The second wall of `safe_write`: text alone does not show the triggers, rules and cascades that delete. */
const keepingRows: Perform = async (session, text, params) => {
  const before = await session.query(LOSSES, []);
  if (!areCounted(before.rows)) throw refused(UNCOUNTED);
  const answer = await session.query(text, params);
  // Triggers that wait for the commit run now.
  await session.control('SET CONSTRAINTS ALL IMMEDIATE');
  const after = await session.query(LOSSES, []);
  // What a trigger switched off, it also hid.
  if (!areCounted(after.rows)) throw refused(UNCOUNTED);
  const lost = lostBetween(before.rows, after.rows);
  if (lost.length === 0) return answer;
  throw refused(
    `a trigger, rule or foreign key would have removed rows of ${lost.slice(0, 3).join(', ')}, which db=safe_write ` +
      'does not allow; the statement was undone',
  );
};

export const postgresBackend = (connection: Parameters<typeof openSession>[0]): SqlBackend => {
  const inTransaction = async function* <T>(
    readOnly: boolean,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    body: (session: PgSession) => AsyncGenerator<T>,
  ): AsyncGenerator<T> {
    signal?.throwIfAborted();
    const session = await openSession(connection);
    const onAbort = (): void => {
      session.cancel().catch(() => undefined);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    let commit = false;
    // A reader that has enough returns early: what was written stands, as it does when all rows are read.
    let failed = false;
    try {
      await session.control(settings(readOnly, timeoutMs));
      yield* body(session);
    } catch (error) {
      failed = true;
      throw signal?.aborted === true ? abortError(signal) : error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      commit = !readOnly && !failed && signal?.aborted !== true;
      await session.end(commit);
    }
    signal?.throwIfAborted();
  };

  return {
    dialect: 'postgres',
    batches(text, { params, readOnly, keepsRows, cursor, timeoutMs, signal }) {
      return inTransaction(readOnly, timeoutMs, signal, async function* run(session) {
        if (!cursor) {
          yield await (keepsRows && !readOnly ? keepingRows : plainly)(session, text, params);
          return;
        }
        await session.query(`DECLARE tappass_rows NO SCROLL CURSOR FOR ${text}`, params);
        for (;;) {
          signal?.throwIfAborted();
          const { rows } = await session.query(`FETCH ${BATCH} FROM tappass_rows`, []);
          if (rows.length > 0) yield { rows };
          if (rows.length < BATCH) return;
        }
      });
    },
    async catalogue() {
      const rows: Record<string, unknown>[] = [];
      const read = inTransaction(true, 10_000, undefined, async function* run(session) {
        yield await session.query(CATALOGUE, []);
      });
      for await (const answer of read) rows.push(...answer.rows);
      return catalogueOf(rows);
    },
  };
};

/**
 * A domain is sure when it stands on one of PostgreSQL's own types and every function of its checks is named in their
 * stored trees and not VOLATILE.
 */
const UNSURE_DOMAIN = `(
  NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type b WHERE b.oid = t.typbasetype AND b.typtype = 'b'
              AND b.typnamespace = 'pg_catalog'::pg_catalog.regnamespace)
  OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c' AND (
    k.conbin::pg_catalog.text ~ '{(COERCETODOMAIN|ROWCOMPARE|MINMAX|SUBLINK|SUBPLAN|NEXTVALUEEXPR) '
    OR EXISTS (SELECT 1 FROM pg_catalog.regexp_matches(k.conbin::pg_catalog.text, ':(?:op)?funcid ([0-9]+)', 'g') f(ids)
      WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_proc p WHERE p.oid = f.ids[1]::pg_catalog.oid AND p.provolatile <> 'v')))))`;

/**
 * Everything outside `pg_catalog` that a statement can call by name: functions by the worst of their overloads, types by
 * the casts and domain checks that a cast to them can run, operators by their functions.
 */
const CATALOGUE = `
  SELECT 'function' AS kind, n.nspname AS schema, p.proname AS name,
    -- An aggregate is IMMUTABLE by itself, whatever its functions are.
    pg_catalog.bool_or(p.provolatile = 'v' OR p.prokind = 'p' OR EXISTS (
      SELECT 1 FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc s ON s.oid IN (a.aggtransfn, a.aggfinalfn,
        a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
      WHERE a.aggfnoid = p.oid AND s.provolatile = 'v')) AS volatile,
    pg_catalog.bool_or(p.provolatile = 'v' AND 1 BETWEEN p.pronargs - p.pronargdefaults AND p.pronargs) AS attribute
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname <> 'pg_catalog' GROUP BY 2, 3
  UNION ALL
  SELECT 'type', n.nspname, t.typname,
    CASE t.typtype WHEN 'd' THEN ${UNSURE_DOMAIN} ELSE t.typtype NOT IN ('e', 'c', 'r', 'm') END
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc
               WHERE c.casttarget = t.oid AND p.provolatile = 'v'), false
  FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND t.typname NOT LIKE '\\_%'
  UNION ALL
  SELECT 'operator', n.nspname, o.oprname, pg_catalog.bool_or(p.provolatile = 'v'), false
  FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
  JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
  WHERE n.nspname <> 'pg_catalog' GROUP BY 2, 3`;

const catalogueOf = (rows: readonly Readonly<Record<string, unknown>>[]): SqlCatalogue => {
  const harmless = new Set<string>();
  const volatile = new Set<string>();
  const volatileAttributes = new Set<string>();
  const volatileOperators = new Set<string>();
  for (const row of rows) {
    const name = String(row['name']);
    const both = [name, `${String(row['schema'])}.${name}`];
    if (row['volatile'] !== true) for (const known of row['kind'] === 'operator' ? [] : both) harmless.add(known);
    else if (row['kind'] === 'operator') volatileOperators.add(name);
    else if (row['kind'] === 'function') for (const known of both) volatile.add(known);
    if (row['attribute'] === true) volatileAttributes.add(name);
  }
  // A name that is volatile in one schema is volatile wherever the schema is not written.
  for (const name of volatile) harmless.delete(name);
  return { harmless, volatile, volatileAttributes, volatileOperators };
};
