/**
 * The judge of MySQL text against a real MariaDB: random statements, many of them hostile, are judged, and those that
 * pass are run. Needs a server that may be ruined, and Debian's `mariadb-server` is one:
 * `MARIADB=/path/to/its.sock node test/bench/mysql-differential.ts [statements [seed]]` (default 20 000, 1).
 */
import { prepareSql } from '../../src/check-sql.ts';
import { judgeSql } from '../../src/policy/sql.ts';
import { fuzzMysql } from './mysql-fuzzer.ts';
import { peer } from './peers.ts';

interface Connection {
  query(text: string): Promise<[unknown]>;
  end(): Promise<void>;
}

const mysql = await peer('mysql2', '3.24.6', 'mysql2/promise');
if ('missing' in mysql) throw new Error(mysql.missing);
const { createConnection } = (mysql.module['default'] ?? mysql.module) as {
  createConnection(options: object): Promise<Connection>;
};
const socketPath = process.env['MARIADB'];
if (socketPath === undefined) throw new Error('Expected MARIADB to be the socket of a server that may be ruined');
const [count = 20_000, seed = 1] = process.argv.slice(2).map(Number);

const SCHEMA = [
  'DROP DATABASE IF EXISTS shop',
  'CREATE DATABASE shop',
  'USE shop',
  'CREATE TABLE users (id INT PRIMARY KEY, name VARCHAR(50), age INT)',
  'CREATE TABLE orders (id INT PRIMARY KEY, user_id INT, total DECIMAL(10,2), data JSON, FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)',
  'CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(50))',
  'CREATE SEQUENCE s1',
  'INSERT INTO users SELECT seq, CONCAT("user ", seq), seq FROM seq_1_to_20',
  'INSERT INTO orders SELECT seq, 1 + seq MOD 20, seq, "{}" FROM seq_1_to_30',
  'INSERT INTO log (note) SELECT "n" FROM seq_1_to_5',
  'CREATE VIEW names AS SELECT id, name FROM users',
  'CREATE FUNCTION wipe() RETURNS INT MODIFIES SQL DATA BEGIN DELETE FROM log; RETURN 1; END',
  'CREATE PROCEDURE wipe_all() MODIFIES SQL DATA BEGIN DELETE FROM log; END',
];
/** Everything that a statement could change, in one row. */
const STATE = `SELECT
  (SELECT MD5(GROUP_CONCAT(CONCAT_WS(',', id, name, age) ORDER BY id)) FROM users) AS users,
  (SELECT MD5(GROUP_CONCAT(CONCAT_WS(',', id, user_id, total, data) ORDER BY id)) FROM orders) AS orders,
  (SELECT MD5(GROUP_CONCAT(CONCAT_WS(',', id, note) ORDER BY id)) FROM log) AS log,
  (SELECT next_not_cached_value FROM s1) AS s1,
  (SELECT GROUP_CONCAT(CONCAT(table_schema, table_name) ORDER BY 1) FROM information_schema.tables WHERE table_schema NOT IN ('information_schema', 'performance_schema')) AS tables,
  (SELECT COUNT(*) FROM information_schema.routines) AS routines,
  (SELECT COUNT(*) FROM mysql.global_priv) AS accounts,
  @@general_log AS general_log, @@sql_mode AS sql_modes, @@sql_log_bin AS bin, @@foreign_key_checks AS keys_checked, @@autocommit AS auto,
  @@tx_read_only AS only_reads, DATABASE() AS base, CURRENT_ROLE() AS roles, @a AS a, @x AS x, IS_USED_LOCK('l') AS held,
  LOAD_FILE('/tmp/tappass-outfile') IS NULL AS clean`;
const COUNTS = `SELECT (SELECT COUNT(*) FROM users) AS users, (SELECT COUNT(*) FROM orders) AS orders, (SELECT COUNT(*) FROM log) AS log,
  (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'shop') AS tables,
  (SELECT -COUNT(*) FROM mysql.global_priv) AS accounts, (SELECT -variable_value FROM information_schema.session_status WHERE variable_name = 'Handler_delete') AS deletions`;
const MODES = [
  'STRICT_TRANS_TABLES',
  'ANSI_QUOTES',
  'NO_BACKSLASH_ESCAPES',
  'ANSI_QUOTES,PIPES_AS_CONCAT,IGNORE_SPACE',
  'IGNORE_SPACE,HIGH_NOT_PRECEDENCE',
  'ORACLE',
];

await prepareSql();
const connect = async (): Promise<Connection> => {
  const connection = await createConnection({ socketPath, user: 'root', multipleStatements: true });
  for (const text of SCHEMA) await connection.query(text);
  return connection;
};
let db = await connect();
const row = async (text: string): Promise<string> => JSON.stringify((await db.query(text))[0]);
const attempt = async (text: string): Promise<{ readonly errno: number; readonly ms: number }> => {
  const start = performance.now();
  let errno = 0;
  try {
    await db.query(text);
  } catch (error) {
    errno = (error as { errno?: number }).errno ?? -1;
  }
  return { errno, ms: performance.now() - start };
};
const next = fuzzMysql(seed);
const totals = {
  judged: 0,
  read: 0,
  readRan: 0,
  wrongRead: 0,
  write: 0,
  writeRan: 0,
  wrongWrite: 0,
  blockedThoughReading: 0,
};
const wrong = (kind: string, mode: string, text: string): void =>
  console.log(`WRONG ${kind} [${mode}] ${JSON.stringify(text)}`);
const blocked = new Map<string, number>();

for (let index = 0; index < count; index++) {
  const text = next();
  totals.judged++;
  const reads = judgeSql(text, 'read_only', { dialect: 'mysql' }).allowed;
  const decision = judgeSql(text, 'safe_write', { dialect: 'mysql' });
  if (!reads && !decision.allowed) {
    const key = (decision.reason ?? '').slice(0, 60);
    blocked.set(key, (blocked.get(key) ?? 0) + 1);
    continue;
  }
  for (const mode of MODES) {
    await db.query(`SET SESSION sql_mode = '${mode}', @a = NULL, @x = NULL`);
    if (reads) {
      totals.read++;
      await db.query('START TRANSACTION READ ONLY');
      const inside = await attempt(text);
      await db.query('ROLLBACK');
      const before = await row(STATE);
      const { errno, ms } = await attempt(text);
      if (errno === 0) totals.readRan++;
      if (inside.errno === 1792 || ms > 900 || (await row(STATE)) !== before) {
        totals.wrongRead++;
        wrong(`read_only (errno ${inside.errno}, ${ms.toFixed(0)} ms)`, mode, text);
        await db.end();
        db = await connect();
      }
    } else {
      totals.write++;
      await db.query('START TRANSACTION');
      const before = JSON.parse(await row(COUNTS)) as Record<string, number>[];
      const { errno } = await attempt(text);
      if (errno === 0) totals.writeRan++;
      const after = JSON.parse(await row(COUNTS)) as Record<string, number>[];
      await db.query('ROLLBACK');
      const fewer = Object.entries(before[0] ?? {}).some(([name, value]) => (after[0]?.[name] ?? 0) < value);
      if (fewer) {
        totals.wrongWrite++;
        wrong('safe_write', mode, text);
        await db.end();
        db = await connect();
      }
    }
  }
}
console.table(totals);
for (const [reason, n] of [...blocked].sort(([, a], [, b]) => b - a).slice(0, 25))
  console.log(String(n).padStart(6), reason);
await db.end();
