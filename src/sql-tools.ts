/** The door to database tools: `sqlTools` for agents, `governPool` for programs that hand a `pg` pool to their own tools. */
import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { openSqlBroker } from './broker/sql.ts';
import type { SqlBroker } from './broker/sql.ts';
import type { SqlResult, SqlRow } from './broker/sql-limits.ts';
import type { SqlEffect } from './model/effect.ts';
import { DB_LEVELS, type DbFlag } from './model/flags.ts';
import { grantFor } from './model/grant.ts';
import type { Grant } from './model/grant.ts';
import { COUNT, oneOf, requireOptions, TEXTS, type OptionRules } from './model/options.ts';
import type { SqlDecision, SqlOptions } from './model/sql.ts';
import { prepareSqlNow } from './check-sql.ts';
import { judgeSql } from './policy/sql.ts';
import { harmlessFault } from './policy/sql-names.ts';
import { requireHarmless, sqlDenied } from './sql-denied.ts';
import { defineTool } from './tools/define.ts';
import type { Tool, ToolContext } from './tools/define.ts';

export { governPool } from './govern-pool.ts';
export type { GovernPoolOptions } from './govern-pool.ts';

export interface SqlToolsOptions {
  /**
   * A `pg` Pool (best: each statement has its own transaction on its own client) or Client, a PGlite, or a
   * `DatabaseSync` of `node:sqlite`. Default: a new, empty PGlite in memory, which needs nothing installed.
   */
  readonly connection?: unknown;
  /**
   * What the tools allow by themselves (default `safe_write`), whatever `govern()` allows. A call that brings a grant in
   * its context was judged already.
   */
  readonly level?: DbFlag;
  /** Functions (and types) of the program's own that have no effects. */
  readonly harmlessFunctions?: readonly string[];
  /** Most rows of one result (default 1000). */
  readonly maxRows?: number;
  /** Most bytes of the rows of one result (default 1 MiB). */
  readonly maxBytes?: number;
  /** Longest run of one statement in milliseconds (default 30 000). */
  readonly timeoutMs?: number;
  /** Begins the names of the tools (default none): `shop_` makes `shop_query`. */
  readonly prefix?: string;
}

const OPTIONS: OptionRules<SqlToolsOptions> = {
  connection: true,
  level: oneOf(DB_LEVELS),
  harmlessFunctions: TEXTS,
  maxRows: COUNT,
  maxBytes: COUNT,
  timeoutMs: COUNT,
  prefix: true,
};

const input = z.object({
  sql: z.string().describe('One SQL statement. Values belong in `params`, as $1, $2 … (SQLite: ?)'),
  params: z.array(z.unknown()).optional().describe('The values of the parameters, in order'),
});

/** What a call of a governed tool may bring along: the grants that were made for its effects. */
type GrantedContext = ToolContext & { readonly grants?: readonly Grant[] };

interface Prepared {
  readonly grant: Grant<SqlEffect>;
  readonly readOnly: boolean;
  readonly keepsRows: boolean;
  readonly cursor: boolean;
}

/** How long a grant made here lives beyond the statement's own time, in milliseconds. */
const GRANT_SLACK_MS = 5000;

/** Loaded when it is needed: 27 MB that most programs do without. */
const embedded = async (): Promise<unknown> => {
  const { PGlite } = await import('@electric-sql/pglite');
  return PGlite.create();
};

/** The broker and the judge of one connection. */
const createRunner = ({
  connection,
  level = 'safe_write',
  harmlessFunctions = [],
  timeoutMs = 30_000,
}: SqlToolsOptions) => {
  let broker: Promise<SqlBroker> | undefined;
  const opened = (): Promise<SqlBroker> => (broker ??= (async () => openSqlBroker(connection ?? (await embedded())))());
  const judge = async (text: string, at: DbFlag): Promise<SqlDecision> => {
    prepareSqlNow();
    const broker = await opened();
    const { dialect } = broker;
    const catalogue = await broker.catalogue();
    const options: SqlOptions = { harmlessFunctions, ...(catalogue !== undefined && { catalogue }) };
    // The connection itself knows more than the text: its tables, functions and triggers.
    if (broker.judge !== undefined && (at === 'read_only' || at === 'safe_write'))
      return broker.judge(text, at, options);
    return judgeSql(text, at, { ...options, dialect });
  };
  /** Judged on what the connection's own catalogue says; the grant of a governed call replaces the level, not the walls. */
  const prepare = async (tool: string, text: string, context: GrantedContext | undefined): Promise<Prepared> => {
    const { dialect } = await opened();
    const given = context?.grants?.find(
      (grant): grant is Grant<SqlEffect> => grant.effect.kind === 'sql' && grant.effect.text === text,
    );
    const decision = await judge(text, given === undefined ? level : 'allow');
    if (!decision.allowed) throw sqlDenied(decision, tool, context?.callId);
    const effect: SqlEffect = { kind: 'sql', pointer: '/sql', text, dialect };
    const grant =
      given ??
      grantFor(
        decision,
        effect,
        context?.callId ?? randomUUID(),
        Date.now() + timeoutMs + GRANT_SLACK_MS,
        level === 'safe_write',
      );
    if (grant === undefined) throw sqlDenied(decision, tool, context?.callId);
    const { statements } = decision;
    const readOnly = statements.length > 0 && statements.every(({ access }) => access === 'read');
    const [only] = statements;
    return {
      grant,
      readOnly,
      keepsRows: grant.keepsRows,
      cursor: readOnly && statements.length === 1 && only?.verb === 'SELECT',
    };
  };
  return { opened, prepare, timeoutMs };
};

export type SqlQueryTool = Tool<string, typeof input, Promise<SqlResult>>;
export type SqlStreamTool = Tool<string, typeof input, AsyncGenerator<SqlRow>>;

/**
 * Tools over one database: `query` answers with at most `maxRows` rows, `query_stream` hands out row after row. A statement
 * that only reads runs in a READ ONLY transaction (SQLite: under an authorizer), whatever the level; under `safe_write`
 * PostgreSQL undoes a statement on whose behalf a trigger, rule or cascade loses rows (`TAPPASS_SQL_REFUSED`).
 *
 * @example
 * const [query] = govern(sqlTools({ connection: new pg.Pool() }), { flags: 'db=read_only' });
 */
export const sqlTools = (options: SqlToolsOptions = {}): readonly [SqlQueryTool, SqlStreamTool] => {
  requireOptions('sqlTools', options, OPTIONS);
  const { maxRows = 1000, maxBytes = 1024 * 1024, prefix = '', harmlessFunctions = [] } = options;
  const { opened, prepare, timeoutMs } = createRunner(options);
  const dialect = isSqliteLike(options.connection) ? 'sqlite' : 'postgres';
  if (dialect === 'postgres') requireHarmless(harmlessFunctions);
  const effects = { sql: 'sql', dialect } as const;
  const query = defineTool({
    name: `${prefix}query`,
    description: `Runs one ${dialect} statement and returns {rows, rowCount, truncated}.`,
    input,
    effects,
    execute: async ({ sql, params = [] }, context?: GrantedContext) => {
      const { grant, ...request } = await prepare(`${prefix}query`, sql, context);
      const broker = await opened();
      const signal = context?.signal === undefined ? {} : { signal: context.signal };
      return broker.query(grant, {
        params,
        ...request,
        harmlessFunctions,
        maxRows,
        maxBytes,
        timeoutMs,
        ...signal,
      });
    },
  });
  const stream = defineTool({
    name: `${prefix}query_stream`,
    description: `Runs one ${dialect} statement and hands out its rows one by one.`,
    input,
    effects,
    async *execute({ sql, params = [] }, context?: GrantedContext): AsyncGenerator<SqlRow> {
      const { grant, ...request } = await prepare(`${prefix}query_stream`, sql, context);
      const broker = await opened();
      const signal = context?.signal === undefined ? {} : { signal: context.signal };
      yield* broker.stream(grant, { params, ...request, harmlessFunctions, timeoutMs, ...signal });
    },
  });
  return [query, stream];
};

const isSqliteLike = (connection: unknown): boolean =>
  typeof connection === 'object' && connection !== null && 'setAuthorizer' in connection;

/**
 * The functions and types of a PostgreSQL database that its catalogue shows to be IMMUTABLE or STABLE, for
 * `harmlessFunctions` of `checkSql`, `sqlTools` and tools' declarations. PostgreSQL refuses writes inside these, unless
 * they call a VOLATILE function in turn.
 */
export const harmlessFunctionsOf = async (connection: unknown): Promise<readonly string[]> => {
  const catalogue = await openSqlBroker(connection).catalogue();
  // `crosstab` is STABLE, and runs SQL text.
  return [...(catalogue?.harmless ?? [])].filter((name) => harmlessFault([name]) === undefined).sort();
};
