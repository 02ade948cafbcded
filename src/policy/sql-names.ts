/** How functions, types, views and operators are judged by name. */
import type { SqlOptions } from '../model/sql.ts';
import {
  DENIAL_REASONS,
  DENIED_FUNCTIONS,
  DENIED_VIEWS,
  HARMLESS_FUNCTIONS,
  SYSTEM_TYPES,
  WRITING_FUNCTIONS,
} from './sql/functions.ts';

export type FunctionVerdict = 'harmless' | 'writes' | 'unknown' | { readonly denied: string };

const words = (text: string): readonly string[] => text.split(/\s+/u).filter((word) => word !== '');

const VOLATILE = 'has effects';
const harmless = new Set(words(HARMLESS_FUNCTIONS));
const writing = new Set(words(WRITING_FUNCTIONS));
const denied = new Map<string, string>();
const attributes = new Map<string, string>();
const extensions = new Map<string, string>();
for (const entry of words(DENIED_FUNCTIONS)) {
  const [name = '', mark = ''] = entry.split(':');
  const reason = DENIAL_REASONS[Number.parseInt(mark, 10)] ?? VOLATILE;
  denied.set(name, reason);
  if (mark.endsWith('.')) attributes.set(name, reason);
}
const systemTypes = new Set(words(SYSTEM_TYPES));
const deniedViews = new Set(words(DENIED_VIEWS));

/**
 * Functions of PostgreSQL's own extensions with the effects that `DENIAL_REASONS` name (contrib of PostgreSQL 18: dblink,
 * tablefunc, xml2, adminpack, lo, file_fdw's kin), in whichever schema they are installed.
 */
for (const [reason, names] of [
  [
    'runs SQL text',
    'dblink dblink_connect dblink_connect_u dblink_exec dblink_open dblink_fetch dblink_close dblink_send_query ' +
      'dblink_get_result dblink_disconnect dblink_cancel_query crosstab crosstab2 crosstab3 crosstab4 connectby xpath_table',
  ],
  [
    'reads or writes files of the server',
    'pg_file_read pg_file_write pg_file_rename pg_file_unlink pg_file_sync pg_file_length pg_logdir_ls pg_read_server_files',
  ],
  ['reads or writes large objects', 'lo_manage lo_oid'],
  ['changes statistics', 'pg_stat_statements_reset pg_stat_kcache_reset pg_buffercache_evict'],
] as const) {
  for (const name of words(names)) extensions.set(name, reason);
}

/** A name of one, two or three parts, without the database. */
export interface SqlName {
  readonly schema?: string;
  readonly name: string;
  /** For display and for `harmlessFunctions`. */
  readonly text: string;
}

export const nameOf = (parts: readonly string[]): SqlName => {
  const name = parts[parts.length - 1] ?? '';
  const schema = parts[parts.length - 2];
  return schema === undefined ? { name, text: name } : { schema, name, text: `${schema}.${name}` };
};

export interface Names {
  function(name: SqlName): FunctionVerdict;
  /** The reason when `x.name` may call a function with effects. */
  attribute(name: string, mayWrite: boolean): string | undefined;
  type(name: SqlName): boolean;
  operator(name: SqlName): boolean;
}

/** Everything known of a name, so that most functions take one look. A denial stands, whoever calls it harmless. */
const verdicts = new Map<string, FunctionVerdict>();
// `tsquery(x)` is a cast where no function has the name.
for (const name of [...systemTypes, ...harmless]) verdicts.set(name, 'harmless');
for (const name of writing) verdicts.set(name, 'writes');
for (const [name, reason] of [...denied, ...extensions]) verdicts.set(name, Object.freeze({ denied: reason }));

const verdictOf = ({ schema, name }: SqlName): FunctionVerdict | undefined =>
  schema === undefined || schema === 'pg_catalog' || extensions.has(name) ? verdicts.get(name) : undefined;

/** The first of `harmlessFunctions` that is known to have effects, and what to do. */
export const harmlessFault = (harmlessFunctions: readonly string[] = []): string | undefined => {
  for (const text of harmlessFunctions) {
    const verdict = verdictOf(nameOf(text.split('.')));
    if (verdict === undefined || verdict === 'harmless' || verdict === 'unknown') continue;
    const reason = verdict === 'writes' ? 'changes a sequence' : verdict.denied;
    return `Expected \`harmlessFunctions\` to name functions without effects, got ${text}, which ${reason}: remove it`;
  }
  return undefined;
};

export const namesFor = ({ harmlessFunctions = [], catalogue }: SqlOptions): Names => {
  const own = new Set(harmlessFunctions);
  return {
    function(name) {
      const known = verdictOf(name);
      if (known === 'writes' || typeof known === 'object') return known;
      if (own.has(name.text)) return 'harmless';
      if (catalogue === undefined || name.schema === 'pg_catalog') return known ?? 'unknown';
      if (catalogue.volatile.has(name.text)) return { denied: VOLATILE };
      return known ?? (catalogue.harmless.has(name.text) ? 'harmless' : 'unknown');
    },
    attribute(name, mayWrite) {
      if (writing.has(name)) return mayWrite ? undefined : 'changes a sequence';
      const reason = attributes.get(name) ?? extensions.get(name);
      if (reason !== undefined || own.has(name)) return reason;
      return catalogue?.volatileAttributes.has(name) === true ? VOLATILE : undefined;
    },
    type(name) {
      if (own.has(name.text)) return true;
      if (catalogue?.harmless.has(name.text) === true) return true;
      if (name.schema === 'information_schema') return systemTypes.has(name.text);
      if (name.schema !== undefined && name.schema !== 'pg_catalog') return false;
      // `_int4` is the array of `int4`.
      return systemTypes.has(name.name) || (name.name.startsWith('_') && systemTypes.has(name.name.slice(1)));
    },
    operator(name) {
      if (own.has(name.text)) return true;
      if (name.schema === undefined) return catalogue?.volatileOperators.has(name.name) !== true;
      return name.schema === 'pg_catalog';
    },
  };
};

/** Views of the catalogue that read files of the server. */
export const isDeniedView = ({ schema, name }: SqlName): boolean =>
  (schema === undefined || schema === 'pg_catalog') && deniedViews.has(name);

/** Unqualified names that begin with `pg_` resolve to the catalogue first, whatever the search path. */
export const isSystemRelation = ({ schema, name }: SqlName): boolean =>
  schema === undefined
    ? name.startsWith('pg_')
    : schema === 'pg_catalog' || schema === 'information_schema' || schema.startsWith('pg_toast');
