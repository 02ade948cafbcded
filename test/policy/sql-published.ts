/**
 * Bypasses of database guards that were published, restated on our tables: each row points to where its trick was
 * reported. Every one must be denied at both levels, or, where it only writes what `safe_write` allows, under `read_only`.
 */
import type { SqlDialect } from '../../src/model/effect.ts';

export interface Published {
  readonly source: string;
  readonly trick: string;
  /** Default `postgres`. */
  readonly dialect?: SqlDialect;
  readonly denied: readonly string[];
  /** Denied under `read_only`, allowed under `safe_write`. */
  readonly writes?: readonly string[];
}

const github = (thread: string): string => `https://github.com/${thread}`;

export const PUBLISHED: readonly Published[] = [
  {
    source: github('modelcontextprotocol/servers/pull/1889'),
    trick: 'a stacked statement commits the READ ONLY transaction around it',
    denied: ['COMMIT; DROP SCHEMA public CASCADE;', 'ROLLBACK; TRUNCATE users', 'END; DELETE FROM users; BEGIN'],
  },
  {
    source: github('pgadmin-org/pgadmin4/issues/10022'),
    trick: 'CVE-2026-12045: the same in an assistant, ending in a harmless SELECT, or in a shell',
    denied: ['COMMIT; DELETE FROM users; SELECT 1', "COMMIT; COPY (SELECT 1) TO PROGRAM 'id'; SELECT 1"],
  },
  {
    source: github('advisories/GHSA-65hm-pwj5-73pw'),
    trick: 'a text that begins with SELECT and goes on',
    denied: ['SELECT 1; DROP TABLE users', 'SELECT pg_stat_reset(); SELECT 1', 'select 1 where false;truncate users'],
  },
  {
    source: github('pgEdge/pgedge-postgres-mcp/pull/196'),
    trick: 'the access mode is asked for in other words, behind a comment',
    denied: [
      '/* x */ BEGIN READ WRITE; DROP TABLE users',
      'START TRANSACTION READ WRITE',
      'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
      '-- x\nSET TRANSACTION READ WRITE; DELETE FROM users',
    ],
  },
  {
    source: github('ericzakariasson/pg-mcp-server/issues/3'),
    trick: 'a comment before the first word',
    denied: ['-- monthly report\nDELETE FROM users', '/* read only */ DROP TABLE users', '(/**/DELETE FROM users)'],
    writes: ["/* report */ INSERT INTO users (name) VALUES ('x')"],
  },
  {
    source: github('TableProApp/TablePro/issues/2101'),
    trick: 'the same in a desktop client, with a temporary table',
    denied: ['/* x */ CREATE TEMP TABLE probe (id int)', '-- x\nSELECT 1 INTO TEMP probe'],
  },
  {
    source: github('perrypixel/Easy-Postgres-MCP/issues/3'),
    trick: 'WITH ends in something else than SELECT',
    denied: ['WITH x AS (SELECT 1) DELETE FROM users'],
    writes: ['WITH x AS (SELECT 1) UPDATE users SET name = NULL WHERE id = 1'],
  },
  {
    source: github('laravel/boost/pull/588'),
    trick: 'SELECT stands somewhere behind WITH, and the statement is another',
    denied: ['WITH x AS (SELECT 1) DELETE FROM users WHERE id IN (SELECT 1)'],
  },
  {
    source: github('bytebase/dbhub/issues/271'),
    trick: 'a data-modifying WITH query under a SELECT',
    denied: [
      'WITH gone AS (DELETE FROM users RETURNING *) SELECT count(*) FROM gone',
      'SELECT * FROM (WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone) x',
    ],
    writes: ["WITH u AS (UPDATE users SET name = 'x' WHERE id = 1 RETURNING id) SELECT * FROM u"],
  },
  {
    source: github('bytebase/dbhub/issues/349'),
    trick: 'statements inside string literals',
    denied: [
      "EXEC('DELETE FROM users')",
      "EXECUTE 'DELETE FROM users'",
      "DO $$ BEGIN EXECUTE 'DELETE FROM users'; END $$",
    ],
  },
  {
    source: github('bytebase/dbhub/issues/369'),
    trick: 'a function that sends its text elsewhere',
    denied: [
      "SELECT * FROM OPENQUERY(other, 'DELETE FROM users')",
      "SELECT * FROM OPENROWSET('a', 'b', 'DELETE FROM users')",
    ],
  },
  {
    source: github('bytebase/dbhub/issues/377'),
    trick: 'files and locks by function',
    denied: [
      'SELECT pg_advisory_lock(1)',
      "SELECT * FROM pg_ls_dir('.')",
      "SELECT pg_read_binary_file('postgresql.conf')",
    ],
  },
  {
    source: github('crystaldba/postgres-mcp/issues/178'),
    trick: 'the function stands in FROM, where nobody looked for its name',
    denied: [
      "SELECT * FROM pg_read_file('/etc/passwd')",
      "SELECT * FROM users, LATERAL pg_read_file('/etc/' || name) f",
      "SELECT * FROM ROWS FROM (pg_ls_dir('/'), generate_series(1, 2)) x",
    ],
  },
  {
    source: github('defog-ai/sqlcoder/issues/128'),
    trick: 'a column or table that is asked for by name is a call',
    denied: ["SELECT pg_read_file('/etc/passwd') FROM users", "SELECT x.* FROM pg_read_file('/etc/hosts') AS x"],
  },
  {
    source: github('awslabs/mcp/pull/3987'),
    trick: 'COPY to a program, wherever its lines break',
    denied: [
      "SELECT 1;\nCOPY users\nTO\nPROGRAM 'id'",
      "COPY (SELECT 1) TO PROGRAM 'curl example.com'",
      "COPY users FROM PROGRAM 'id'",
    ],
  },
  {
    source: github('awslabs/mcp/pull/4092'),
    trick: 'the session is changed for later statements',
    denied: [
      'SET ROLE postgres',
      'SET row_security = off',
      'SET LOCAL statement_timeout = 0',
      "SELECT set_config('search_path', 'evil', false)",
      'RESET SESSION AUTHORIZATION',
    ],
  },
  {
    source: github('awslabs/mcp/pull/4575'),
    trick: 'other servers are called, identifiers are written in escapes, statistics are reset',
    denied: [
      "SELECT dblink_connect('host=169.254.169.254 dbname=x')",
      "SELECT * FROM public.dblink('dbname=shop', 'DELETE FROM users') AS t(a text)",
      "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '169.254.169.254')",
      'IMPORT FOREIGN SCHEMA public FROM SERVER s INTO public',
      'SELECT U&"pg\\005fread\\005ffile"(\'/etc/passwd\')',
      'SELECT pg_stat_reset()',
      "SELECT pg_logical_emit_message(false, 'a', 'b')",
    ],
    writes: ["SELECT nextval('users_id_seq')"],
  },
  {
    source: github('elizaOS/eliza/issues/14286'),
    trick: 'the name of the function in Unicode escapes, with an escape character of its own too',
    denied: [
      'SELECT U&"s\\0065tval"(\'users_id_seq\', 999)',
      'SELECT U&"pg_sl\\0065ep"(9)',
      "SELECT U&\"lo_!0065xport\" UESCAPE '!' (1, '/tmp/x')",
    ],
  },
  {
    source: github('kirill-markin/expense-budget-tracker/pull/258'),
    trick: 'attribute notation calls a function without brackets behind its name',
    denied: [
      'SELECT id FROM orders WHERE (total).pg_sleep IS NULL',
      'SELECT (ARRAY[total])[1].pg_sleep FROM orders',
      "SELECT ('/etc/passwd'::text).pg_read_file",
    ],
  },
  {
    source: github('DeepSQLAI/deepsql/pull/112'),
    trick: 'a second connection is not in the READ ONLY transaction of the first',
    denied: ["SELECT dblink_exec('dbname=shop user=postgres', 'DELETE FROM users')"],
  },
  {
    source: github('milady-ai/milady/pull/567'),
    trick: 'functions that act inside of expressions',
    denied: [
      "SELECT lo_import('/etc/passwd')",
      "SELECT lo_export(12345, '/tmp/evil.so')",
      'SELECT CASE WHEN true THEN pg_sleep(999) END',
      'SELECT count(*) FILTER (WHERE pg_terminate_backend(42)) FROM users',
      "SELECT coalesce(set_config('role', 'postgres', false), '')",
    ],
  },
  {
    source: github('SarthakJariwala/sqlsaber/pull/184'),
    trick: 'functions that run SQL text or work on large objects',
    denied: [
      "SELECT query_to_xml('DELETE FROM users', true, true, '')",
      "SELECT cursor_to_xml('c', 1, true, true, '')",
      'SELECT lo_get(1)',
      "SELECT lo_put(1, 0, 'x')",
      'SELECT lowrite(0, $1)',
    ],
  },
  {
    source: github('AgamiAI/agami-core/issues/395'),
    trick: 'messages, locks and waits under a SELECT',
    denied: ["SELECT pg_notify('deploy', 'go')", 'SELECT pg_sleep(30)'],
  },
  {
    source: github('AgamiAI/agami-core/issues/395'),
    trick: 'the same in MySQL',
    dialect: 'mysql',
    denied: [
      "SELECT GET_LOCK('x', 10)",
      'SELECT SLEEP(30)',
      "SELECT RELEASE_LOCK('x')",
      "SELECT BENCHMARK(9999999, MD5('x'))",
    ],
  },
  {
    source: github('chatmcp/mcpso/issues/3579'),
    trick: 'a function that writes to the catalogue even in a READ ONLY transaction',
    denied: ["SELECT pg_import_system_collations('pg_catalog'::regnamespace)"],
  },
  {
    source: github('cockroachdb/cockroach/issues/33581'),
    trick: 'EXPLAIN ANALYZE runs what it explains',
    denied: [
      'EXPLAIN ANALYZE DELETE FROM users',
      'EXPLAIN (BUFFERS, ANALYZE on) DELETE FROM users',
      'EXPLAIN ANALYZE VERBOSE TRUNCATE users',
    ],
    writes: ["EXPLAIN (ANALYZE) UPDATE users SET name = 'x' WHERE id = 1"],
  },
  {
    source: github('BLSQ/openhexa-app/pull/1884'),
    trick: 'the timeout is lifted by the statement that it should end',
    denied: [
      "SELECT set_config('statement_timeout', '0', true), pg_sleep(3)",
      "DO $$ BEGIN PERFORM set_config('statement_timeout', '0', false); END $$",
    ],
  },
  {
    source: github('yugabyte/yugabytedb-mcp-server/pull/9'),
    trick: 'a query tool that takes any statement which returns something',
    denied: ["COPY (SELECT 1) TO PROGRAM 'id > /tmp/poc'", "SELECT pg_read_file('/etc/hostname')"],
  },
  {
    source: github('coreruleset/coreruleset/issues/2912'),
    trick: 'the path is put together, the result is cast',
    denied: ["SELECT lo_import('/etc' || '/pass' || 'wd')::int", "SELECT * FROM users WHERE id = lo_import('/x')::int"],
  },
  {
    source: github('langroid/langroid/pull/1025'),
    trick: 'CVE-2026-25879: code and files through the database of a chat agent',
    denied: [
      "COPY users FROM PROGRAM 'id'",
      "CREATE FUNCTION run(cstring) RETURNS int AS '/lib/x86_64-linux-gnu/libc.so.6', 'system' LANGUAGE c STRICT",
      'CREATE EXTENSION plpython3u',
      "SELECT pg_catalog . pg_read_file('/etc/passwd')",
      'SELECT "pg_read_file"(\'/etc/passwd\')',
      "ALTER SYSTEM SET archive_command = 'id'",
    ],
  },
  {
    source: github('langroid/langroid/pull/1025'),
    trick: 'the same in SQLite',
    dialect: 'sqlite',
    denied: [
      "SELECT load_extension('/tmp/evil.so')",
      "ATTACH DATABASE '/tmp/x.db' AS x",
      "SELECT writefile('/tmp/x', 'y')",
    ],
  },
  {
    source: github('hannesrudolph/sqlite-explorer-fastmcp-mcp-server/issues/8'),
    trick: 'SQLite lets WITH begin any statement',
    dialect: 'sqlite',
    denied: ['WITH m AS (SELECT 1) DELETE FROM company', 'WITH x AS (SELECT 1) DELETE FROM company -- limit'],
    writes: [
      'WITH x AS (SELECT 1) UPDATE company SET name = 1',
      'WITH x(a) AS (SELECT 1) INSERT INTO company (id) SELECT a FROM x',
    ],
  },
  {
    source: github('mvanhorn/cli-printing-press/issues/693'),
    trick: 'what a list of six forbidden words forgets',
    dialect: 'sqlite',
    denied: [
      "VACUUM INTO '/tmp/copy.db'",
      "ATTACH '/tmp/x.db' AS x",
      'REPLACE INTO users VALUES (1)',
      'PRAGMA journal_mode = DELETE',
      'REINDEX',
    ],
  },
  {
    source: github('mvanhorn/cli-printing-press/issues/2799'),
    trick: 'only the first of several statements was looked at',
    dialect: 'sqlite',
    denied: ["SELECT 1; ATTACH DATABASE '/tmp/evil.db' AS evil", 'SELECT 1; DROP TABLE users', ';;DELETE FROM users'],
  },
  {
    source: github('bytebase/dbhub/pull/342'),
    trick: 'a pragma sets with brackets as it does with =',
    dialect: 'sqlite',
    denied: [
      'PRAGMA user_version(1337)',
      'PRAGMA query_only = OFF',
      'PRAGMA writable_schema(1)',
      'PRAGMA wal_checkpoint(TRUNCATE)',
    ],
  },
  {
    source: github('spences10/mcp-sqlite-tools/issues/50'),
    trick: 'a pragma that passes for a question',
    dialect: 'sqlite',
    denied: ['PRAGMA journal_mode=DELETE', 'PRAGMA main.synchronous = 0', 'PRAGMA incremental_vacuum'],
  },
  {
    source: github('rqlite/rqlite/pull/2737'),
    trick: 'the schema table made writable',
    dialect: 'sqlite',
    denied: [
      'PRAGMA writable_schema=ON',
      "UPDATE sqlite_master SET sql = ''",
      "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, '')",
    ],
  },
  {
    source: github('benborla/mcp-server-mysql/issues/128'),
    trick: 'a SELECT that writes a file is no table write to READ ONLY',
    dialect: 'mysql',
    denied: [
      "SELECT 'x' INTO OUTFILE '/var/www/x.php'",
      "SELECT * FROM users INTO DUMPFILE '/tmp/x'",
      "(SELECT 1 INTO OUTFILE '/tmp/x')",
    ],
  },
  {
    source: github('abel9851/mcp-server-mariadb/issues/22'),
    trick: 'reading files of the server',
    dialect: 'mysql',
    denied: [
      "SELECT LOAD_FILE('/etc/passwd')",
      "SELECT 1 UNION SELECT load_file('/etc/passwd')",
      "SELECT 1 INTO OUTFILE '/tmp/x'",
    ],
  },
  {
    source: github('awslabs/mcp/pull/4044'),
    trick: 'comments between the words, executed comments, verbs that were forgotten',
    dialect: 'mysql',
    denied: [
      "SELECT password FROM users INTO/**/OUTFILE '/tmp/x'",
      "LOAD/**/DATA INFILE '/etc/passwd' INTO TABLE t",
      '/*!50000 DROP TABLE users */',
      'SELECT 1 /*!99999 */ /*! INTO OUTFILE "/tmp/x" */',
      'SET GLOBAL general_log = 1',
      'SET sql_log_bin = 0',
      'CALL purge()',
      'HANDLER users OPEN',
      'LOCK TABLES users WRITE',
      'FLUSH TABLES',
      'KILL 5',
      'UNINSTALL PLUGIN x',
      "PREPARE s FROM 'DROP TABLE users'",
    ],
  },
  {
    source: github('t8y2/dbx/pull/3156'),
    trick: 'a comment that the server executes, behind a SELECT',
    dialect: 'mysql',
    denied: ["SELECT 3156 /*!50000 INTO OUTFILE '/tmp/probe' */", "SELECT 1 /*M!100100 INTO OUTFILE '/tmp/probe' */"],
  },
];
