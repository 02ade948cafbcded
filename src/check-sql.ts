/** The door to what a database text would do: `checkSql` for people and programs, `prepareSql` for `govern()`. */
import { readFileSync as ambientReadFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { sqliteJudge } from './broker/sqlite-judge.ts';
import type { SqlDialect } from './model/effect.ts';
import type { DbFlag } from './model/flags.ts';
import { type OptionRules, requireOptions } from './model/options.ts';
import type { SqlDecision } from './model/sql.ts';
import { installPostgresParser, installSqlEngine, judgeSql } from './policy/sql.ts';
import { mysqlJudge } from './policy/sql-mysql.ts';
import type { MysqlParse } from './policy/sql-mysql.ts';
import { createSqlParser } from './policy/sql-parser.ts';
import type { PgFactory, SqlParser } from './policy/sql-parser.ts';

export type { SqlAccess, SqlDecision, SqlStatement } from './model/sql.ts';

const require = createRequire(import.meta.url);

let parser: SqlParser | undefined;

/**
 * Reads and compiles PostgreSQL's parser (1.7 MB of WebAssembly, about 15 ms), at once and only once. Called by the first
 * decision when nobody called it before; `govern()` calls it early, while the files can still be read.
 */
export const prepareSqlNow = (): void => {
  parser ??= createSqlParser(
    require('libpg-query/wasm/libpg-query.js') as PgFactory,
    ambientReadFileSync(require.resolve('libpg-query/wasm/libpg-query.wasm')),
  );
};

installPostgresParser(() => {
  prepareSqlNow();
  return parser as SqlParser;
});

installSqlEngine('sqlite', (options) => sqliteJudge(options));

/** Makes every dialect ready that can be; afterwards decisions are synchronous. Throws when a parser cannot be read. */
export const prepareSql = async (): Promise<void> => {
  prepareSqlNow();
  await prepareMysql();
};

let mysql: Promise<void> | undefined;

/** MySQL needs an optional peer: without it the dialect stays unjudgeable, and its texts are denied. */
const prepareMysql = (): Promise<void> =>
  (mysql ??= (async () => {
    const name = '@polyglot-sql/sdk';
    try {
      const { parse } = (await import(name)) as { readonly parse: MysqlParse };
      installSqlEngine('mysql', (options) => mysqlJudge(parse, options));
    } catch {
      // The denial says what to install.
    }
  })());

export interface CheckSqlOptions {
  /** Default `postgres`. */
  readonly dialect?: SqlDialect;
  /** Functions (and types) of the program's own that have no effects. Default none. */
  readonly harmlessFunctions?: readonly string[];
}

const OPTIONS: OptionRules<CheckSqlOptions> = { dialect: true, harmlessFunctions: true };

/**
 * Says what `sql` would do and whether `level` allows it, without acting. Resolves for every text: what cannot be read is
 * denied with a reason that never contains a literal of the text.
 *
 * @example
 * const decision = await checkSql('DELETE FROM users', 'safe_write');
 * // decision.allowed === false, decision.statements[0].verb === 'DELETE'
 */
export const checkSql = async (sql: string, level: DbFlag, options: CheckSqlOptions = {}): Promise<SqlDecision> => {
  requireOptions('checkSql', options, OPTIONS);
  prepareSqlNow();
  if (options.dialect === 'mysql') await prepareMysql();
  return judgeSql(sql, level, options);
};
