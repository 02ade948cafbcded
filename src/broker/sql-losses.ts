/**
 * What a transaction of PostgreSQL took away, whoever did it: the statement, a trigger, a rule, a cascade, a function.
 * The server's own counters say how many rows each table lost; TRUNCATE, which resets them, and DROP hold the strongest
 * lock of a table until the transaction ends. Not seen: rows of foreign tables, and what other sessions are made to do.
 */

/**
 * One row for each table (a partitioned one as a whole): deleted rows, less those that moved between its partitions.
 * The counters include what the session has not reported yet, so only a difference says something. The row without a
 * name stands for a server that counts nothing.
 */
export const LOSSES = `
  SELECT COALESCE(pg_catalog.pg_partition_root(c.oid), c.oid::pg_catalog.regclass)::pg_catalog.text AS name,
    pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) -
      CASE WHEN c.relispartition THEN pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) ELSE 0 END)::pg_catalog.float8 AS lost
  FROM pg_catalog.pg_class c
  WHERE c.relkind = 'r' AND (pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) > 0
    OR c.relispartition AND pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) > 0)
  GROUP BY 1
  UNION ALL
  SELECT 'the table ' || l.relation, 1
  FROM pg_catalog.pg_locks l
  WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
    AND l.relation NOT IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relpersistence = 't')
  UNION ALL
  SELECT '', 1 WHERE NOT pg_catalog.current_setting('track_counts')::pg_catalog.bool`;

type Rows = readonly Readonly<Record<string, unknown>>[];

const byName = (rows: Rows): ReadonlyMap<string, number> =>
  new Map(rows.map((row) => [String(row['name']), Number(row['lost'])]));

/** False where the server is told not to count: then nobody can say what was lost. */
export const areCounted = (rows: Rows): boolean => rows.every((row) => row['name'] !== '');

/** The tables that have lost rows, or were dropped or emptied, between two answers to `LOSSES`. */
export const lostBetween = (before: Rows, after: Rows): readonly string[] => {
  const known = byName(before);
  return [...byName(after)].filter(([name, lost]) => lost > (known.get(name) ?? 0)).map(([name]) => name);
};
