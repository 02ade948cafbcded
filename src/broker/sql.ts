/** Performs database statements that were granted, within limits, on a connection that the program brought. */
import { TapPassError } from '../model/errors.ts';
import type { SqlDialect, SqlEffect } from '../model/effect.ts';
import { isGranted } from '../model/grant.ts';
import type { Grant } from '../model/grant.ts';
import type { SqlCatalogue, SqlDecision, SqlOptions } from '../model/sql.ts';
import { collect } from './sql-limits.ts';
import type { SqlResult, SqlRow } from './sql-limits.ts';
import { postgresBackend } from './sql-postgres.ts';
import { isPglite, isPostgres } from './sql-session.ts';
import { isSqlite, sqliteBackend } from './sql-sqlite.ts';

export interface SqlRequest {
  readonly params?: readonly unknown[];
  /** The statement was judged to only read: it runs where the database itself refuses writes. */
  readonly readOnly: boolean;
  /** The statement was judged to lose no rows: it is undone when the database loses some on its behalf (default false). */
  readonly keepsRows?: boolean;
  /** A single SELECT, which can be read piece by piece. */
  readonly cursor: boolean;
  /** What the program declared; the wall of SQLite knows functions by name only. */
  readonly harmlessFunctions?: readonly string[];
  /** Default 30 000. Bounds a statement that never ends; PGlite and SQLite, which run in this thread, cannot be interrupted. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface SqlRequestLimits {
  /** Most rows that are handed out (default 1000); the rest is not fetched. */
  readonly maxRows?: number;
  /** Most bytes of rows, roughly as JSON (default 1 MiB). */
  readonly maxBytes?: number;
}

/** What each kind of connection does for the broker. */
export interface SqlBackend {
  readonly dialect: SqlDialect;
  /** Runs one statement and hands out its rows in batches. Whoever stops reading ends the statement. */
  batches(
    text: string,
    request: Required<Omit<SqlRequest, 'signal'>> & { readonly signal?: AbortSignal },
  ): AsyncGenerator<SqlBatch>;
  catalogue(): Promise<SqlCatalogue | undefined>;
  /** Judges on the connection itself, where the engine can compile without running. */
  readonly judge?: SqlConnectionJudge;
}

export type SqlConnectionJudge = (text: string, level: 'read_only' | 'safe_write', options: SqlOptions) => SqlDecision;

export interface SqlBatch {
  readonly rows: readonly SqlRow[];
  /** Rows changed, as the database counts them, when it says so. */
  readonly affected?: number;
}

export interface SqlBroker {
  readonly dialect: SqlDialect;
  /** Throws `TapPassError` without a valid grant, and what the database throws. */
  query(grant: Grant<SqlEffect>, request: SqlRequest & SqlRequestLimits): Promise<SqlResult>;
  /** Row by row, without a limit on rows: the reader decides when to stop. */
  stream(grant: Grant<SqlEffect>, request: SqlRequest): AsyncGenerator<SqlRow>;
  catalogue(): Promise<SqlCatalogue | undefined>;
  readonly judge?: SqlConnectionJudge;
}

const backendFor = (connection: unknown): SqlBackend => {
  if (isSqlite(connection)) return sqliteBackend(connection);
  if (isPglite(connection) || isPostgres(connection)) return postgresBackend(connection);
  throw new TapPassError(
    `Expected \`connection\` to be a pg Pool or Client, a PGlite or a DatabaseSync of node:sqlite, got ${typeof connection}`,
    { code: 'TAPPASS_CONFIG' },
  );
};

const DEFAULTS = { params: [], keepsRows: false, harmlessFunctions: [], timeoutMs: 30_000 } as const;

/** How long a catalogue is believed, in milliseconds (60 000): functions are added rarely. */
const CATALOGUE_MS = 60_000;

/** Wraps a `pg` Pool (best) or Client, a PGlite or a `DatabaseSync`. The broker never closes it. */
export const openSqlBroker = (connection: unknown): SqlBroker => {
  const backend = backendFor(connection);
  const require = (grant: Grant<SqlEffect>): string => {
    if (!isGranted(grant, Date.now()) || grant.effect.kind !== 'sql') {
      throw new TapPassError('Refused: the database broker was asked without a valid grant for SQL', {
        code: 'TAPPASS_NO_GRANT',
      });
    }
    return grant.effect.text;
  };
  let known: { readonly at: number; readonly catalogue: Promise<SqlCatalogue | undefined> } | undefined;
  return {
    dialect: backend.dialect,
    ...(backend.judge !== undefined && { judge: backend.judge }),
    query(grant, { maxRows = 1000, maxBytes = 1024 * 1024, ...request }) {
      const text = require(grant);
      return collect(backend.batches(text, { ...DEFAULTS, ...request }), { maxRows, maxBytes });
    },
    async *stream(grant, request) {
      const text = require(grant);
      for await (const { rows } of backend.batches(text, { ...DEFAULTS, ...request })) yield* rows;
    },
    catalogue() {
      const now = Date.now();
      if (known === undefined || now - known.at > CATALOGUE_MS) {
        const catalogue = backend.catalogue();
        known = { at: now, catalogue };
        // A failure is not remembered: the next call asks again.
        catalogue.catch(() => {
          known = undefined;
        });
      }
      return known.catalogue;
    },
  };
};
