/**
 * Judges SQLite text by compiling it, never running it: on an empty database in memory, to which the tables that the text
 * names are added as it asks for them, or on a copy of the schema that it will meet.
 */
import { DatabaseSync } from 'node:sqlite';
import type { SqlDecision, SqlOptions, SqlStatement } from '../model/sql.ts';
import type { Detection } from '../model/decision.ts';
import { authorizerFor, newActions } from './sqlite-actions.ts';
import type { SqliteActions, SqliteAuthorizer, SqliteFault, SqliteLevel } from './sqlite-actions.ts';
import { commandsTable, replacesRows, sqliteWords, undoesTransaction } from './sqlite-lexer.ts';

let builtinFunctions: ReadonlySet<string> | undefined;

/** The functions that this build of SQLite brings; a program's own are not among them. */
const builtins = (): ReadonlySet<string> => {
  if (builtinFunctions === undefined) {
    const db = new DatabaseSync(':memory:');
    const rows = db.prepare('SELECT DISTINCT name FROM pragma_function_list').all();
    builtinFunctions = new Set(rows.map((row) => String(row['name']).toLowerCase()));
    db.close();
  }
  return builtinFunctions;
};

/** An authorizer for one statement, and what it refused. */
export const sqliteAccess = (
  level: SqliteLevel,
  options: SqlOptions = {},
): { readonly authorizer: SqliteAuthorizer; readonly fault: () => SqliteFault | undefined } => {
  const actions = newActions();
  return { authorizer: authorizerFor(actions, level, options, builtins()), fault: () => actions.fault };
};

/** Longest text (default 100 000) and most tables and columns made up for one text (default 200). Bound its cost. */
const MAX_CHARACTERS = 100_000;
const MAX_GUESSES = 200;

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const attempt = <T>(run: () => T): T | undefined => {
  try {
    return run();
  } catch {
    return undefined;
  }
};

/** Adds what SQLite missed; false when it missed something else. */
const supply = (db: DatabaseSync, message: string, made: string[], text: string): boolean => {
  const done = (sql: string): boolean =>
    attempt(() => {
      db.exec(sql);
      return true;
    }) === true;
  const add = (table: string, column: string): boolean =>
    done(`ALTER TABLE ${quote(table)} ADD COLUMN ${quote(column)}`);
  const table = /^no such table: (?:\w+\.)?(.+)$/u.exec(message)?.[1];
  if (table !== undefined) {
    made.push(table);
    return done(`CREATE TABLE ${quote(table)} ("rowid_" INTEGER)`);
  }
  const [, target, from, to] = /^table (.+) has (\d+) columns but (\d+) values were supplied$/u.exec(message) ?? [];
  if (target !== undefined) {
    const names = Array.from({ length: Math.min(Number(to), 2000) - Number(from) }, (_, index) => `column_${index}`);
    return names.every((name) => add(target, name));
  }
  const [, into, named] = /^table (.+) has no column named (.+)$/u.exec(message) ?? [];
  if (into !== undefined && named !== undefined) return add(into, named);
  const column = /^no such column: (?:.+\.)?"?([^."]+)"?(?: - should.*)?$/u.exec(message)?.[1];
  if (column !== undefined) {
    const qualified = message.slice('no such column: '.length).includes('.');
    // With its table written every table may have it; without, one table after the other, so that it is not ambiguous.
    return qualified ? made.filter((known) => add(known, column)).length > 0 : made.some((known) => add(known, column));
  }
  const conflict = /on\s+conflict\s*\(([^()]*)\)/iu.exec(text)?.[1];
  if (conflict !== undefined && message.startsWith('ON CONFLICT clause does not match')) {
    return done(
      `CREATE UNIQUE INDEX unique_ ON ${quote(made[0] ?? '')} (${conflict
        .split(',')
        .map((name) => quote(name.trim().replaceAll(/^["`[]|["`\]]$/gu, '')))
        .join(',')})`,
    );
  }
  return false;
};

interface Compiled {
  readonly statement: SqlStatement;
  readonly fault?: SqliteFault;
  readonly detections: readonly Detection[];
  /** How much of the text this statement is; unknown when it does not compile. */
  readonly length?: number;
}

interface Compilation {
  readonly actions: SqliteActions;
  /** The statement as SQLite cut it out of the text. */
  readonly source?: string;
}

/** Compiles the first statement of `text`, making up the tables and columns it lacks. */
const compile = (
  db: DatabaseSync,
  text: string,
  authorizerOf: (actions: SqliteActions) => SqliteAuthorizer,
  stubs: boolean,
): Compilation => {
  const made: string[] = [];
  for (let guesses = 0; ; guesses++) {
    const actions = newActions();
    db.setAuthorizer(authorizerOf(actions));
    let message: string;
    try {
      return { actions, source: db.prepare(text).sourceSQL };
    } catch (error) {
      message = error instanceof Error ? error.message : '';
    } finally {
      db.setAuthorizer(null);
    }
    const lacks = actions.fault === undefined && stubs && guesses < MAX_GUESSES;
    if (!lacks || !supply(db, message, made, text)) return { actions };
  }
};

const faultOf = ({ actions, source }: Compilation, words: readonly string[]): SqliteFault | undefined => {
  if (actions.fault !== undefined) return actions.fault;
  if (source === undefined) return { code: 'sql.syntax', reason: 'the text does not compile as SQLite' };
  // VACUUM and others ask the authorizer nothing: what was not seen is not known.
  if (actions.verb === undefined) {
    return { code: 'sql.verb-denied', reason: `${(words[0] ?? '').toUpperCase()} is not known to be harmless` };
  }
  if (replacesRows(words)) return { code: 'sql.verb-denied', reason: 'REPLACE deletes rows' };
  if (undoesTransaction(words)) return { code: 'sql.verb-denied', reason: 'ROLLBACK undoes what was written before' };
  if (actions.access !== 'read' && commandsTable(source)) {
    return { code: 'sql.verb-denied', reason: 'a column with the name of its table takes commands that can delete' };
  }
  return undefined;
};

/**
 * A table whose schema resolves conflicts by REPLACE, or has a trigger that does, loses rows without a word to the
 * authorizer.
 */
const schemaFault = (db: DatabaseSync, { access, relations }: SqliteActions): SqliteFault | undefined => {
  if (access !== 'write') return undefined;
  const schemas = db.prepare('SELECT name FROM pragma_database_list').all();
  for (const { name } of schemas) {
    const objects = db.prepare(
      `SELECT tbl_name AS "table", sql FROM ${quote(String(name))}.sqlite_schema WHERE sql LIKE '%replace%'`,
    );
    for (const object of objects.all()) {
      const table = String(object['table']);
      const isMeant = [...relations].some((relation) => relation.toLowerCase() === table.toLowerCase());
      if (isMeant && sqliteWords(String(object['sql'])).some(resolvesByReplace)) {
        return { code: 'sql.verb-denied', reason: `the schema of ${table} deletes rows by REPLACE` };
      }
    }
  }
  return undefined;
};

const resolvesByReplace = (words: readonly string[]): boolean =>
  replacesRows(words) || words.some((word, index) => word === 'conflict' && words[index + 1] === 'replace');

const judgeFirst = (
  db: DatabaseSync,
  text: string,
  level: SqliteLevel,
  options: SqlOptions,
  stubs: boolean,
): Compiled => {
  const compilation = compile(db, text, (actions) => authorizerFor(actions, level, options, builtins()), stubs);
  const { actions, source } = compilation;
  const words = sqliteWords(source ?? text)[0] ?? [];
  const fault = faultOf(compilation, words) ?? schemaFault(db, actions);
  const first = (words[0] ?? '').toUpperCase();
  const massUpdate = actions.verb === 'UPDATE' && !words.includes('where');
  return {
    statement: {
      verb: /^[A-Z]+$/u.test(first) && first !== 'WITH' ? first : (actions.verb ?? 'UNKNOWN'),
      access: actions.verb === undefined ? 'control' : actions.access,
      relations: [...actions.relations],
      functions: [...actions.functions],
      allowed: fault === undefined,
      ...(fault !== undefined && { reason: fault.reason }),
    },
    ...(fault !== undefined && { fault }),
    detections: massUpdate ? [{ step: 'check_db', type: 'mass_update', detail: 'UPDATE changes every row' }] : [],
    ...(source !== undefined && { length: source.length }),
  };
};

const denied = (code: string, reason: string): SqlDecision => ({
  allowed: false,
  code,
  reason,
  detections: [{ step: 'check_db', type: code, detail: reason }],
  statements: [],
});

/** `$name(…)` is one variable to SQLite, whatever quotes stand in it: the words of such a text cannot be told. */
const TCL_VARIABLE = /[$@#:][\w:\u0080-\uffff]*\(/u;

const judgeOn = (
  db: DatabaseSync,
  text: string,
  level: SqliteLevel,
  options: SqlOptions,
  stubs: boolean,
): SqlDecision => {
  if (text.length > MAX_CHARACTERS) {
    return denied('sql.too-complex', `the text has more than ${MAX_CHARACTERS} characters`);
  }
  if (text.includes('\0')) return denied('sql.too-complex', 'the text contains a NUL character');
  if (TCL_VARIABLE.test(text)) return denied('sql.too-complex', 'the text has a variable with brackets');
  const compiled: Compiled[] = [];
  for (let rest = text; sqliteWords(rest).length > 0;) {
    const next = judgeFirst(db, rest, level, options, stubs);
    compiled.push(next);
    // SQLite itself says where a statement ends; behind one that does not compile nothing can be told.
    if (next.length === undefined || next.length === 0) break;
    rest = rest.slice(next.length);
  }
  if (compiled.length === 0) return denied('sql.empty', 'the text contains no statement');
  const faults = compiled.flatMap(({ fault }, index) => (fault === undefined ? [] : [{ ...fault, index }]));
  const [first] = faults;
  const where = first === undefined || compiled.length === 1 ? '' : `statement ${first.index + 1}: `;
  return {
    allowed: first === undefined,
    ...(first !== undefined && { code: first.code, reason: `${where}${first.reason}` }),
    detections: [
      ...faults.map(({ code, reason }): Detection => ({ step: 'check_db', type: code, detail: reason })),
      ...compiled.flatMap(({ detections }) => detections),
    ],
    statements: compiled.map(({ statement }) => statement),
  };
};

/** A judge of SQLite text; `schema` (CREATE statements) is what it will meet, when that is known. */
export const sqliteJudge =
  (options: SqlOptions, schema?: string) =>
  (text: string, level: SqliteLevel): SqlDecision => {
    const db = new DatabaseSync(':memory:');
    try {
      db.enableDefensive(true);
      if (schema !== undefined) db.exec(schema);
      for (const name of options.harmlessFunctions ?? []) db.function(name, { varargs: true }, () => null);
      return judgeOn(db, text, level, options, schema === undefined);
    } finally {
      db.close();
    }
  };

/** Judges by compiling, never running, on the connection that will run it: its tables, views and triggers count. */
export const judgeOnConnection = (
  db: DatabaseSync,
  text: string,
  level: SqliteLevel,
  options: SqlOptions,
): SqlDecision => judgeOn(db, text, level, options, false);
