/**
 * What a transaction of PostgreSQL took away, whoever did it: the statement, a trigger, a rule, a cascade, a function.
 * The server's own counters say how many rows each table lost; TRUNCATE, which resets them, and DROP hold the strongest
 * lock of a table until the transaction ends. Temporary tables, materialized views and the catalogue are copies or
 * descriptions, and may shrink. Not seen: rows of foreign tables, and what other sessions are made to do.
 */

/**
 * `rows`: deleted rows of a table (a partitioned one as a whole), less those that moved between its partitions; with
 * what the session has not reported yet, so that only a difference says something. `lock`: a table, or one that is gone.
 * `newest`: what is newer did not exist. `uncounted`: the server is told to count nothing.
 */
export const LOSSES = `
  SELECT 'rows' AS kind,
    COALESCE(pg_catalog.pg_partition_root(c.oid), c.oid::pg_catalog.regclass)::pg_catalog.text AS name,
    pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) -
      CASE WHEN c.relispartition THEN pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) ELSE 0 END)::pg_catalog.float8 AS n
  FROM pg_catalog.pg_class c
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.relnamespace <> 'pg_catalog'::pg_catalog.regnamespace
    AND (pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) > 0
      OR c.relispartition AND pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) > 0)
  GROUP BY 2
  UNION ALL
  SELECT 'lock', l.relation::pg_catalog.regclass::pg_catalog.text, l.relation::pg_catalog.int8
  FROM pg_catalog.pg_locks l
  WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class c
      WHERE c.oid = l.relation AND (c.relpersistence = 't' OR c.relkind NOT IN ('r', 'p', 'f')))
  UNION ALL
  SELECT 'newest', '', pg_catalog.max(c.oid)::pg_catalog.int8 FROM pg_catalog.pg_class c
  UNION ALL
  SELECT 'uncounted', '', 1 WHERE NOT pg_catalog.current_setting('track_counts')::pg_catalog.bool`;

type Rows = readonly Readonly<Record<string, unknown>>[];

const ofKind = (rows: Rows, kind: string): ReadonlyMap<string, number> =>
  new Map(rows.filter((row) => row['kind'] === kind).map((row) => [String(row['name']), Number(row['n'])]));

/** False where nobody can say what was lost: nothing is counted, or the server did not answer the question. */
export const areCounted = (rows: Rows): boolean =>
  ofKind(rows, 'uncounted').size === 0 && ofKind(rows, 'newest').size === 1;

/** The tables that have lost rows, or were dropped or emptied, between two answers to `LOSSES`. */
export const lostBetween = (before: Rows, after: Rows): readonly string[] => {
  const deleted = ofKind(before, 'rows');
  const locked = ofKind(before, 'lock');
  const newest = ofKind(before, 'newest').get('') ?? Infinity;
  return [
    ...[...ofKind(after, 'rows')].filter(([name, n]) => !(n <= (deleted.get(name) ?? 0))),
    ...[...ofKind(after, 'lock')].filter(([name, oid]) => !locked.has(name) && !(oid > newest)),
  ].map(([name]) => name);
};
