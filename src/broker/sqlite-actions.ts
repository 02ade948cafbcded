/** What SQLite's authorizer is told while a statement is compiled, and what each level makes of it. */
import { constants } from 'node:sqlite';
import type { SqlAccess, SqlOptions } from '../model/sql.ts';

export interface SqliteFault {
  readonly code: string;
  readonly reason: string;
}

/** What one statement asked the authorizer for. */
export interface SqliteActions {
  access: SqlAccess;
  verb: string | undefined;
  readonly relations: Set<string>;
  readonly functions: Set<string>;
  fault: SqliteFault | undefined;
}

export type SqliteLevel = 'read_only' | 'safe_write';

export const newActions = (): SqliteActions => ({
  access: 'read',
  verb: undefined,
  relations: new Set(),
  functions: new Set(),
  fault: undefined,
});

/** Pragmas that only report when they have no argument; with one, most of them set. */
const REPORTING = new Set(
  (
    'application_id auto_vacuum cache_size collation_list compile_options database_list encoding foreign_keys ' +
    'freelist_count function_list journal_mode max_page_count module_list page_count page_size pragma_list ' +
    'query_only schema_version synchronous table_list user_version'
  ).split(' '),
);
/** Pragmas whose argument only names what they report on. */
const DESCRIBING = new Set(
  (
    'foreign_key_check foreign_key_list index_info index_list index_xinfo integrity_check quick_check ' +
    'table_info table_list table_xinfo'
  ).split(' '),
);

/** Functions of SQLite's own that load code, write, or work on pointers given as numbers. */
const DENIED_FUNCTIONS = new Set([
  'load_extension',
  'optimize',
  'fts3_tokenizer',
  'sqlite_log',
  'edit',
  'readfile',
  'writefile',
]);

const OTHER_ACTIONS: Readonly<Record<number, readonly [verb: string, access: SqlAccess]>> = {
  [constants.SQLITE_TRANSACTION]: ['TRANSACTION', 'control'],
  [constants.SQLITE_SAVEPOINT]: ['SAVEPOINT', 'control'],
  [constants.SQLITE_ATTACH]: ['ATTACH', 'control'],
  [constants.SQLITE_DETACH]: ['DETACH', 'control'],
  [constants.SQLITE_REINDEX]: ['REINDEX', 'control'],
  [constants.SQLITE_ANALYZE]: ['ANALYZE', 'control'],
  [constants.SQLITE_ALTER_TABLE]: ['ALTER', 'define'],
};

const TEXTS: Readonly<Record<SqliteLevel, string>> = {
  read_only: 'db=read_only, which allows statements that only read',
  safe_write: 'db=safe_write, which allows reading, INSERT and UPDATE',
};

const deny = (actions: SqliteActions, code: string, reason: string): number => {
  actions.fault ??= { code: `sql.${code}`, reason };
  return constants.SQLITE_DENY;
};

const ORDER: readonly SqlAccess[] = ['read', 'write', 'delete', 'define', 'control'];

const does = (actions: SqliteActions, level: SqliteLevel, access: SqlAccess, verb: string, on?: string): number => {
  if (actions.verb === undefined || actions.verb === 'SELECT') actions.verb = verb;
  if (ORDER.indexOf(access) > ORDER.indexOf(actions.access)) actions.access = access;
  if (access === 'read' || (access === 'write' && level === 'safe_write')) return constants.SQLITE_OK;
  return deny(
    actions,
    'verb-denied',
    `${verb}${on === undefined ? '' : ` on ${on}`} is not allowed by ${TEXTS[level]}`,
  );
};

export type SqliteAuthorizer = (code: number, first: string | null, second: string | null) => number;

/** The answer to each question of the authorizer: an allowlist, so that an action which is new is denied. */
export const authorizerFor = (
  actions: SqliteActions,
  level: SqliteLevel,
  { harmlessFunctions = [] }: SqlOptions,
  builtins: ReadonlySet<string>,
): SqliteAuthorizer => {
  const own = new Set(harmlessFunctions.map((name) => name.toLowerCase()));
  const writes = (verb: string, table: string | null): number => {
    const name = table ?? '';
    actions.relations.add(name);
    if (name.toLowerCase().startsWith('sqlite_')) {
      actions.access = 'define';
      return deny(actions, 'catalogue-write', `the statement changes the schema or a system table (${name})`);
    }
    return does(actions, level, verb === 'DELETE' ? 'delete' : 'write', verb, name);
  };
  /** `SELECT * FROM pragma_optimize` is a pragma too, of which the authorizer hears when it runs. */
  const reads = (table: string): number => {
    const pragma = /^pragma_(.*)$/iu.exec(table)?.[1]?.toLowerCase();
    if (pragma === undefined || REPORTING.has(pragma) || DESCRIBING.has(pragma)) return constants.SQLITE_OK;
    return deny(actions, 'verb-denied', `PRAGMA ${pragma} is not allowed by ${TEXTS[level]}`);
  };
  return (code, first, second) => {
    switch (code) {
      case constants.SQLITE_SELECT:
      case constants.SQLITE_RECURSIVE:
        actions.verb ??= 'SELECT';
        return constants.SQLITE_OK;
      case constants.SQLITE_READ:
        if (first !== null) actions.relations.add(first);
        return reads(first ?? '');
      case constants.SQLITE_INSERT:
        return writes('INSERT', first);
      case constants.SQLITE_UPDATE:
        return writes('UPDATE', first);
      case constants.SQLITE_DELETE:
        return writes('DELETE', first);
      case constants.SQLITE_FUNCTION: {
        const name = (second ?? '').toLowerCase();
        actions.functions.add(name);
        // Ours come first: what loads code or writes stays denied, whoever calls it harmless.
        if (!DENIED_FUNCTIONS.has(name) && (own.has(name) || builtins.has(name))) return constants.SQLITE_OK;
        const what = DENIED_FUNCTIONS.has(name) ? 'has effects' : 'is not known to be harmless';
        return deny(actions, 'function-denied', `the function ${name} ${what}`);
      }
      case constants.SQLITE_PRAGMA: {
        const name = (first ?? '').toLowerCase();
        actions.verb ??= 'PRAGMA';
        if (second === null ? REPORTING.has(name) || DESCRIBING.has(name) : DESCRIBING.has(name)) {
          return constants.SQLITE_OK;
        }
        actions.access = 'control';
        return deny(actions, 'verb-denied', `PRAGMA ${name} is not allowed by ${TEXTS[level]}`);
      }
      default: {
        const [verb, access] = OTHER_ACTIONS[code] ?? [code >= 10 && code <= 17 ? 'DROP' : 'CREATE', 'define'];
        return does(actions, level, access, verb);
      }
    }
  };
};
