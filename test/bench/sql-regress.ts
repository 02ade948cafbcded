/**
 * PostgreSQL's own regression suite against the deciders and the embedded engine. Its files are not part of this project:
 * put `src/test/regress/sql/*.sql` of PostgreSQL into `.cache/postgres-regress` (or name their folder), then
 * `node test/bench/sql-regress.ts [folder [file…]]`. Each file runs in its own process and database; what a level allows
 * is watched: by SQLSTATE 25006, by the transaction id that a change takes, by settings, by row counts, and by the wall
 * of the broker.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { openSqlBroker } from '../../src/broker/sql.ts';
import { LOSSES, lostBetween } from '../../src/broker/sql-losses.ts';
import { prepareSqlNow } from '../../src/check-sql.ts';
import { judgeSql } from '../../src/policy/sql.ts';

/** Statements at the semicolons outside of quotes; psql's own commands and COPY data are left out. */
const split = (script: string): readonly string[] => {
  const clean = script.replaceAll(/^\\.*$/gmu, '').replaceAll(/^copy .* from stdin[\s\S]*?^\\\.$/gimu, '');
  const pieces: string[] = [];
  let from = 0;
  const token = /'(?:[^']|'')*'|"[^"]*"|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|;/gu;
  for (const match of clean.matchAll(token)) {
    if (match[0] !== ';') continue;
    pieces.push(clean.slice(from, match.index).trim());
    from = match.index + 1;
  }
  return pieces.filter(
    (piece) =>
      piece !== '' &&
      !/\bcopy\b/iu.test(piece) &&
      !piece.includes(":'") &&
      !/:\w+\b(?<!::\w+)/u.test(piece.replaceAll('::', '')),
  );
};

/** Denials that are decisions: the statement does what the level forbids. */
const MEANT = new Set([
  'sql.verb-denied',
  'sql.function-denied',
  'sql.select-into',
  'sql.catalogue-write',
  'sql.relation-denied',
]);
const PLAIN = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(select|insert|update)\b/iu;

/** The suite loads these from files; without rows nothing could be lost. */
const ROWS = ['onek', 'tenk1'].map(
  (
    table,
  ) => `INSERT INTO ${table} SELECT i, 999 - i, i % 2, i % 4, i % 10, i % 20, i % 100, i % 1000, i % 2000, i % 5000,
    i % 10000, i % 2 * 2, i % 2, 'A' || i, 'B' || i, 'AAAAxx' FROM generate_series(0, 999) i`,
);

const NUMBERS = {
  statements: 0,
  plain: 0,
  allowedRead: 0,
  wrongRead: 0,
  changedByRead: 0,
  allowedWrite: 0,
  wrongWrite: 0,
  wrongWritePastTheWall: 0,
  wallRefusals: 0,
  wallRefusalsWithoutLoss: 0,
  wrongBlocks: 0,
  notJudgeable: 0,
  enginesLost: 0,
};
type Totals = { -readonly [Key in keyof typeof NUMBERS]: number };
interface Answer {
  readonly totals: Totals;
  readonly reasons: Readonly<Record<string, number>>;
  readonly findings: readonly string[];
}

const runFile = async (folder: string, name: string): Promise<Answer> => {
  prepareSqlNow();
  const totals: Totals = { ...NUMBERS };
  const reasons: Record<string, number> = {};
  const findings: string[] = [];
  let db = await PGlite.create();
  const found = (kind: string, text: string): void => {
    findings.push(`${kind} ${name}: ${text.replaceAll(/\s+/gu, ' ').slice(0, 300)}`);
  };
  const rollback = (): Promise<unknown> => db.exec('ROLLBACK').catch(() => undefined);
  const counts = async (): Promise<Map<string, number>> => {
    const { rows: tables } = await db.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
       AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`,
    );
    if (tables.length === 0) return new Map();
    const each = tables.map(
      ({ name }) => `SELECT '${name.replaceAll("'", "''")}' AS name, count(*)::int AS n FROM ${name}`,
    );
    const { rows } = await db.query<{ name: string; n: number }>(each.join(' UNION ALL '));
    return new Map(rows.map((row) => [row.name, row.n]));
  };
  /** What the broker's wall looks at. */
  const losses = async (): Promise<Record<string, unknown>[]> => (await db.query<Record<string, unknown>>(LOSSES)).rows;
  const SETTINGS = `SELECT md5(string_agg(concat(name, setting), ',' ORDER BY name)) AS hash, pg_current_xact_id_if_assigned() AS xid,
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') AS locks FROM pg_settings WHERE name NOT LIKE 'transaction%'`;

  const watchRead = async (text: string): Promise<boolean> => {
    try {
      await db.exec('BEGIN READ ONLY');
      await db.exec(text);
    } catch (error) {
      if ((error as { code?: string }).code === '25006') {
        totals.wrongRead++;
        found('WRONG ALLOW read_only', text);
      }
      return false;
    } finally {
      await rollback();
    }
    try {
      await db.exec('BEGIN');
      const before = JSON.stringify((await db.query(SETTINGS)).rows);
      await db.exec(text);
      const after = JSON.stringify((await db.query(SETTINGS)).rows);
      if (before !== after && !/txid_current|pg_current_xact_id/iu.test(text)) {
        totals.changedByRead++;
        found('CHANGES under read_only', text);
      }
    } catch {
      // It ran above, so what fails here is the watching.
    } finally {
      await rollback();
    }
    return true;
  };

  const watchWrite = async (text: string): Promise<boolean> => {
    try {
      await db.exec('BEGIN');
      const before = await counts();
      const calm = await losses();
      await db.exec(text);
      await db.exec('SET CONSTRAINTS ALL IMMEDIATE');
      const refused = lostBetween(calm, await losses()).length > 0;
      const after = await counts();
      const lost = [...before].filter(([table, rows]) => (after.get(table) ?? -1) < rows);
      if (refused) totals.wallRefusals++;
      if (refused && lost.length === 0) {
        totals.wallRefusalsWithoutLoss++;
        found('WALL refuses', text);
      }
      for (const [table, rows] of lost) {
        totals.wrongWrite++;
        found(
          `WRONG ALLOW safe_write (${refused ? 'the wall refuses' : 'PAST THE WALL'})`,
          `${table} ${rows} → ${after.get(table)}: ${text}`,
        );
        if (!refused) totals.wrongWritePastTheWall++;
      }
      return true;
    } catch {
      return false;
    } finally {
      await rollback();
    }
  };

  const judgeBlock = async (text: string): Promise<void> => {
    const catalogue = await openSqlBroker(db)
      .catalogue()
      .catch(() => undefined);
    const known = judgeSql(text, 'safe_write', catalogue === undefined ? {} : { catalogue });
    // What would not run anyway, or truly writes more than the level, is not a wrong block.
    await db.exec('BEGIN');
    const fails = await db.exec(text).then(
      () => false,
      () => true,
    );
    await rollback();
    if (fails || known.allowed || MEANT.has(known.code ?? '')) totals.notJudgeable++;
    else {
      totals.wrongBlocks++;
      const reason = (known.reason ?? '').replaceAll(/statement \d+ of \d+: /gu, '');
      reasons[reason] = (reasons[reason] ?? 0) + 1;
      found('WRONG BLOCK', `${reason}: ${text}`);
    }
  };

  const setUp = async (): Promise<void> => {
    for (const text of [...split(readFileSync(join(folder, 'test_setup.sql'), 'utf8')), ...ROWS]) {
      await db.exec(text).catch(() => undefined);
    }
  };
  const isAlive = (): Promise<boolean> =>
    db.query<{ n: number }>('SELECT 42 AS n').then(
      ({ rows }) => rows[0]?.n === 42,
      () => false,
    );
  await setUp();
  for (const text of split(readFileSync(join(folder, name), 'utf8'))) {
    // What was seen so far stands, should the next statement never end.
    if (totals.statements++ % 20 === 0) process.stdout.write(`\n${JSON.stringify({ totals, reasons, findings })}\n`);
    const plain = PLAIN.test(text);
    const read = judgeSql(text, 'read_only').allowed;
    const write = judgeSql(text, 'safe_write').allowed;
    const inTransaction = /^\s*(?:begin|start|savepoint)/iu.test(text);
    let runs = true;
    if (read && !inTransaction) {
      totals.allowedRead++;
      runs = await watchRead(text);
    } else if (write && !inTransaction) {
      totals.allowedWrite++;
      runs = await watchWrite(text);
    }
    if (plain && runs) {
      totals.plain++;
      if (!write) await judgeBlock(text);
    }
    await db.exec(text).catch(() => undefined);
    await rollback();
    if (await isAlive()) continue;
    // Some statements end the embedded engine, which then answers everything with nothing.
    found('ENGINE LOST by', text);
    totals.enginesLost++;
    db = await PGlite.create();
    await setUp();
  }
  return { totals, reasons, findings };
};

const [first, ...rest] = process.argv.slice(2);
if (first === '--one') {
  const [folder = '', name = ''] = rest;
  process.stdout.write(`\n${JSON.stringify(await runFile(folder, name))}\n`, () => process.exit(0));
} else {
  const folder = first ?? resolve(import.meta.dirname, '../../.cache/postgres-regress');
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.sql') && (rest.length === 0 || rest.includes(name)))
    .sort();
  const totals: Totals = { ...NUMBERS };
  const reasons = new Map<string, number>();
  const unfinished: string[] = [];
  for (const [index, name] of files.entries()) {
    const child = spawnSync(process.execPath, [import.meta.filename, '--one', folder, name], {
      encoding: 'utf8',
      timeout: 60_000,
      maxBuffer: 64 * 1024 * 1024,
      killSignal: 'SIGKILL',
    });
    const line = child.stdout.split('\n').findLast((text) => text.startsWith('{"totals"') && text.endsWith('}')) ?? '';
    if (child.status !== 0) {
      unfinished.push(name);
      console.log(`${name} was cut off: ${child.stderr.trim().split('\n').at(-1) ?? ''}`);
    }
    if (line === '') continue;
    const answer = JSON.parse(line) as Answer;
    for (const key of Object.keys(totals) as (keyof Totals)[]) totals[key] += answer.totals[key];
    for (const [reason, count] of Object.entries(answer.reasons))
      reasons.set(reason, (reasons.get(reason) ?? 0) + count);
    for (const finding of answer.findings) console.log(finding);
    console.error(`${index + 1}/${files.length} ${name} ${JSON.stringify(totals)}`);
  }
  console.table(totals);
  console.log(
    `${files.length - unfinished.length} of ${files.length} files; cut off: ${unfinished.join(', ') || 'none'}`,
  );
  console.log(
    `denied although plain and running: ${((100 * totals.wrongBlocks) / Math.max(1, totals.plain)).toFixed(2)} %, by reason:`,
  );
  for (const [reason, count] of [...reasons].sort(([, a], [, b]) => b - a).slice(0, 60))
    console.log(String(count).padStart(5), reason);
}
