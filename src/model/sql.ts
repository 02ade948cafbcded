/** What is said about SQL: statement by statement, without any literal of the text. */
import type { Detection } from './decision.ts';

/**
 * What a statement does to the database, weakest first. `read`: nothing changes. `write`: rows are added or changed, or
 * locked. `delete`: rows can be lost. `define`: tables and other objects are made, changed or dropped. `control`: the
 * session, transactions, permissions or the server; programs and files.
 */
export const SQL_ACCESSES = ['read', 'write', 'delete', 'define', 'control'] as const;
export type SqlAccess = (typeof SQL_ACCESSES)[number];

export interface SqlStatement {
  /** The first word of the statement: `SELECT`, `DROP` … */
  readonly verb: string;
  /** The strongest access of the statement and of everything inside it. */
  readonly access: SqlAccess;
  /** Tables and views as they are named, unquoted: `users`, `public.users`. */
  readonly relations: readonly string[];
  readonly functions: readonly string[];
  readonly allowed: boolean;
  readonly reason?: string;
}

export interface SqlDecision {
  readonly allowed: boolean;
  /** Stable: `sql.verb-denied` … Present for a denial. */
  readonly code?: string;
  readonly reason?: string;
  readonly detections: readonly Detection[];
  /** Empty when the text could not be read. */
  readonly statements: readonly SqlStatement[];
}

/** What one connection's catalogue says about functions and operators that are not PostgreSQL's own. */
export interface SqlCatalogue {
  /** Functions and types whose every overload is IMMUTABLE or STABLE: `name` and `schema.name`. */
  readonly harmless: ReadonlySet<string>;
  /** Functions with a VOLATILE overload, also where one of PostgreSQL's own has the same name. */
  readonly volatile: ReadonlySet<string>;
  /** Those of them that one argument suffices for, so that `x.name` calls them. */
  readonly volatileAttributes: ReadonlySet<string>;
  /** Operators that are carried out by a VOLATILE function. */
  readonly volatileOperators: ReadonlySet<string>;
}

export interface SqlOptions {
  /**
   * Functions (and types) of the program's own that have no effects, as PostgreSQL stores their names: lower case
   * unless quoted, with the schema where the statements write it. Default none: an unknown function is denied. A name
   * that is known to have effects (`pg_read_file`, `dblink`, `set_config` …) is an error, and everything is denied.
   */
  readonly harmlessFunctions?: readonly string[];
  readonly catalogue?: SqlCatalogue;
}
