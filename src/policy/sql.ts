/**
 * What a database text would do, and whether the `db` flag allows it. PostgreSQL is judged by its own grammar; other
 * dialects by engines that a door brings in. An allowlist throughout: what is not known is denied.
 */
import type { Ruling } from '../model/decision.ts';
import { allowRuling, denyRuling } from '../model/decision.ts';
import type { SqlEffect } from '../model/effect.ts';
import { DB_LEVELS } from '../model/flags.ts';
import type { DbFlag } from '../model/flags.ts';
import type { SqlDecision, SqlOptions } from '../model/sql.ts';
import { createSqlCache } from './sql-cache.ts';
import type { SqlCache } from './sql-cache.ts';
import type { SqlParser } from './sql-parser.ts';
import { denySql, postgresJudge } from './sql-postgres.ts';
import type { SqlJudge } from './sql-postgres.ts';
import type { JudgedLevel } from './sql-walk.ts';

/** How the texts of one dialect are judged. Made once for each set of options. */
export type SqlEngine = (options: SqlOptions) => SqlJudge;

const engines = new Map<string, SqlEngine>();

/** Makes a dialect judgeable. The last one installed for a dialect stands. */
export const installSqlEngine = (dialect: string, engine: SqlEngine): void => {
  engines.set(dialect, engine);
  compiled.clear();
};

/** `load` gives the parser when the first text is judged; when it throws, texts are denied and the next one tries again. */
export const installPostgresParser = (load: () => SqlParser): void => {
  let parser: SqlParser | undefined;
  installSqlEngine('postgres', (options) => postgresJudge((parser ??= load()), options));
};

interface Compiled {
  readonly judge: SqlJudge;
  readonly caches: Readonly<Record<JudgedLevel, SqlCache>>;
}

/** Most sets of options whose decisions are kept (default 64). */
const MAX_COMPILED = 64;
const compiled = new Map<string, Compiled>();
const withCatalogue = new WeakMap<object, Map<string, Compiled>>();

const compiledFor = (dialect: string, options: SqlOptions): Compiled | undefined => {
  const engine = engines.get(dialect);
  if (engine === undefined) return undefined;
  const { harmlessFunctions = [], catalogue } = options;
  let known = compiled;
  if (catalogue !== undefined) {
    known = withCatalogue.get(catalogue) ?? new Map<string, Compiled>();
    withCatalogue.set(catalogue, known);
  }
  const key = harmlessFunctions.length === 0 ? dialect : [dialect, ...harmlessFunctions].join('\n');
  let entry = known.get(key);
  if (entry === undefined) {
    if (known.size >= MAX_COMPILED) known.clear();
    const judge = engine({ ...options, harmlessFunctions: [...harmlessFunctions] });
    entry = { judge, caches: { read_only: createSqlCache(), safe_write: createSqlCache() } };
    known.set(key, entry);
  }
  return entry;
};

const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
};

const DIALECT_HELP = new Map([
  ['mysql', 'install the optional peer `@polyglot-sql/sdk`, and await `prepareSql()`'],
  ['postgres', 'await `prepareSql()` first'],
  ['sqlite', 'await `prepareSql()` first'],
]);

const judgeAt = (text: string, level: JudgedLevel, dialect: string, options: SqlOptions): SqlDecision => {
  try {
    const entry = compiledFor(dialect, options);
    if (entry === undefined) {
      const help = DIALECT_HELP.get(dialect) ?? 'expected postgres, sqlite or mysql';
      return denySql('sql.dialect', `SQL of this dialect cannot be judged: ${help}`);
    }
    const cache = entry.caches[level];
    const known = cache.get(text);
    if (known !== undefined) return known;
    const decision = deepFreeze(entry.judge(text, level));
    cache.set(text, decision);
    return decision;
  } catch {
    // A decider that throws is a deny. What was thrown may quote the text, so it is not shown.
    return denySql('sql.failed', 'the text could not be judged');
  }
};

/** The weakest denial stands for `block`: statements are listed as far as they can be read, and none is allowed. */
const blocked = (seen: SqlDecision): SqlDecision => {
  const reason = 'db=block allows no database operation';
  return {
    ...denySql('sql.blocked', reason),
    statements: seen.statements.map((statement) => ({ ...statement, allowed: false, reason })),
  };
};

const unrestricted = (seen: SqlDecision): SqlDecision => ({
  allowed: true,
  detections: seen.detections.filter(({ type }) => type === 'mass_update'),
  statements: seen.statements.map(({ verb, access, relations, functions }) => ({
    verb,
    access,
    relations,
    functions,
    allowed: true,
  })),
});

/**
 * Judges every statement of `text`. Synchronous; about 20 µs for a new text, under 2 µs for one seen before. Never throws:
 * a level, dialect or text that cannot be read is denied.
 */
export const judgeSql = (
  text: string,
  level: DbFlag,
  options: SqlOptions & { readonly dialect?: string } = {},
): SqlDecision => {
  const { dialect = 'postgres' } = options;
  if (typeof text !== 'string') return denySql('sql.not-text', 'Expected the SQL to be a string');
  if (!DB_LEVELS.includes(level)) {
    return denySql('sql.level', `Expected the level to be one of ${DB_LEVELS.join(', ')}`);
  }
  if (level === 'allow') return unrestricted(judgeAt(text, 'safe_write', dialect, options));
  if (level === 'block') return blocked(judgeAt(text, 'read_only', dialect, options));
  return judgeAt(text, level, dialect, options);
};

/** The step `check_db` for one effect. Under `allow` the text is not read. */
export const decideSql = (effect: SqlEffect, flag: DbFlag, options: SqlOptions = {}): Ruling => {
  if (flag === 'allow') return allowRuling('check_db');
  if (flag === 'block') return denyRuling('check_db', 'sql.blocked', 'db=block allows no database operation');
  const { allowed, code, reason, detections } = judgeSql(effect.text, flag, { ...options, dialect: effect.dialect });
  if (!allowed) return denyRuling('check_db', code ?? 'sql.denied', reason ?? 'the SQL is not allowed', detections);
  return allowRuling('check_db', detections.length === 0 ? {} : { detections });
};
