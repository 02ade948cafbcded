/**
 * PostgreSQL's own regression suite against the deciders and the embedded engine. Its files are not part of this project:
 * put `src/test/regress/sql/*.sql` of PostgreSQL 18 into `.cache/postgres-regress` (or name their folder), then
 * `node test/bench/sql-regress.ts [folder [file…]]`. Each file runs in its own schema; what a level allows is watched.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { openSqlBroker } from '../../src/broker/sql.ts';
import { prepareSqlNow } from '../../src/check-sql.ts';
import { judgeSql } from '../../src/policy/sql.ts';

const folder = process.argv[2] ?? resolve(import.meta.dirname, '../../.cache/postgres-regress');
prepareSqlNow();

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
const only = process.argv.slice(3);
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.sql') && (only.length === 0 || only.includes(name)))
  .sort();
const totals = {
  statements: 0,
  plain: 0,
  allowedRead: 0,
  wrongRead: 0,
  allowedWrite: 0,
  wrongWrite: 0,
  wrongBlocks: 0,
  notJudgeable: 0,
};
const reasons = new Map<string, number>();

for (const [index, name] of files.entries()) {
  console.error(`${index + 1}/${files.length} ${name} ${JSON.stringify(totals)}`);
  const db = await PGlite.create();
  try {
    for (const fixture of ['test_setup.sql', name]) {
      for (const text of split(readFileSync(join(folder, fixture), 'utf8'))) {
        if (fixture !== name) {
          await db.exec(text).catch(() => undefined);
          continue;
        }
        totals.statements++;
        const plain = PLAIN.test(text);
        const read = judgeSql(text, 'read_only');
        const write = judgeSql(text, 'safe_write');
        let runs = true;
        if (read.allowed || write.allowed || plain) {
          // Judged by what the engine says: inside a READ ONLY transaction, or by the rows that are left.
          const inTransaction = /transaction|begin|start|savepoint/iu.test(text);
          if (read.allowed && !inTransaction) {
            totals.allowedRead++;
            try {
              await db.exec('BEGIN READ ONLY');
              await db.exec(text);
            } catch (error) {
              runs = false;
              if ((error as { code?: string }).code === '25006') {
                totals.wrongRead++;
                console.log(`WRONG ALLOW read_only ${name}: ${text.slice(0, 200)}`);
              }
            } finally {
              await db.exec('ROLLBACK').catch(() => undefined);
            }
          }
          if (write.allowed && !read.allowed && !inTransaction) {
            totals.allowedWrite++;
            const count = async (): Promise<Map<string, number>> => {
              const { rows } = await db.query<{ name: string; n: number }>(
                `SELECT c.oid::regclass::text AS name, (xpath('/row/c/text()', query_to_xml(format('select count(*) as c from %s', c.oid::regclass), false, true, '')))[1]::text::int AS n
                 FROM pg_class c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`,
              );
              return new Map(rows.map((row) => [row.name, row.n]));
            };
            try {
              await db.exec('BEGIN');
              const before = await count();
              await db.exec(text);
              const after = await count();
              for (const [table, rows] of before) {
                if ((after.get(table) ?? -1) < rows) {
                  totals.wrongWrite++;
                  console.log(
                    `WRONG ALLOW safe_write ${name}: ${table} ${rows} → ${after.get(table)}: ${text.slice(0, 200)}`,
                  );
                }
              }
            } catch {
              runs = false;
            } finally {
              await db.exec('ROLLBACK').catch(() => undefined);
            }
          }
          if (plain && runs) {
            totals.plain++;
            // What would not run anyway, or truly writes more than the level, is not a wrong block.
            if (!write.allowed) {
              const fails = await db.exec(`BEGIN; ${text}; ROLLBACK`).then(
                () => false,
                () => true,
              );
              await db.exec('ROLLBACK').catch(() => undefined);
              const catalogue = await openSqlBroker(db)
                .catalogue()
                .catch(() => undefined);
              const known = catalogue === undefined ? write : judgeSql(text, 'safe_write', { catalogue });
              if (fails || known.allowed || MEANT.has(known.code ?? '')) totals.notJudgeable++;
              else {
                totals.wrongBlocks++;
                const reason = (known.reason ?? '').replaceAll(/statement \d+ of \d+: /gu, '');
                reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
              }
            }
          }
        }
        await db.exec(text).catch(() => undefined);
        if (/^\s*begin|^\s*start transaction/iu.test(text)) await db.exec('ROLLBACK').catch(() => undefined);
      }
    }
  } catch (error) {
    console.log(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
  await Promise.race([db.close().catch(() => undefined), new Promise((done) => setTimeout(done, 1000))]);
}

console.table(totals);
console.log(
  `denied although plain and running: ${((100 * totals.wrongBlocks) / Math.max(1, totals.plain)).toFixed(2)} %, by reason:`,
);
for (const [reason, count] of [...reasons].sort(([, a], [, b]) => b - a).slice(0, 60))
  console.log(String(count).padStart(5), reason);
process.exit(0);
