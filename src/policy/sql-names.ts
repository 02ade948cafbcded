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
for (const entry of words(DENIED_FUNCTIONS)) {
  const [name = '', mark = ''] = entry.split(':');
  const reason = DENIAL_REASONS[Number.parseInt(mark, 10)] ?? VOLATILE;
  denied.set(name, reason);
  if (mark.endsWith('.')) attributes.set(name, reason);
}
const systemTypes = new Set(words(SYSTEM_TYPES));
const deniedViews = new Set(words(DENIED_VIEWS));

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

export const namesFor = ({ harmlessFunctions = [], catalogue }: SqlOptions): Names => {
  const own = new Set(harmlessFunctions);
  return {
    function(name) {
      if (own.has(name.text)) return 'harmless';
      if (name.schema !== undefined && name.schema !== 'pg_catalog') {
        return catalogue?.harmless.has(name.text) === true ? 'harmless' : 'unknown';
      }
      const reason = denied.get(name.name);
      if (reason !== undefined) return { denied: reason };
      if (name.schema === undefined && catalogue?.volatile.has(name.name) === true) return { denied: VOLATILE };
      // `tsquery(x)` is a cast where no function has the name.
      if (harmless.has(name.name) || systemTypes.has(name.name)) return 'harmless';
      if (writing.has(name.name)) return 'writes';
      return name.schema === undefined && catalogue?.harmless.has(name.name) === true ? 'harmless' : 'unknown';
    },
    attribute(name, mayWrite) {
      if (own.has(name)) return undefined;
      if (writing.has(name)) return mayWrite ? undefined : 'changes a sequence';
      return attributes.get(name) ?? (catalogue?.volatileAttributes.has(name) === true ? VOLATILE : undefined);
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
