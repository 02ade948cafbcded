import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { checkSql, prepareSql } from '../../src/check-sql.ts';
import type { DbFlag } from '../../src/model/flags.ts';
import { judgeSql } from '../../src/policy/sql.ts';

beforeAll(prepareSql);

const allowed = (text: string, level: DbFlag): boolean => judgeSql(text, level, { dialect: 'mysql' }).allowed;

describe('denied at both levels', () => {
  test.each([
    'DELETE FROM users',
    'DROP TABLE users',
    'TRUNCATE users',
    'REPLACE INTO users VALUES (1)',
    'CREATE TABLE t (a int)',
    'ALTER TABLE users ADD x int',
    'RENAME TABLE a TO b',
    'GRANT ALL ON *.* TO x',
    'CALL purge()',
    'DO SLEEP(1)',
    'SET @x = 1',
    'SET GLOBAL general_log = 1',
    'USE shop',
    'LOCK TABLES users WRITE',
    'FLUSH TABLES',
    'KILL 1',
    'BEGIN',
    'COMMIT',
    'HANDLER users OPEN',
    "LOAD DATA INFILE 'x' INTO TABLE t",
    "PREPARE p FROM 'DELETE FROM users'",
    'EXECUTE p',
    '/*!50000 DROP TABLE users */',
    'SELECT 1 /*!50000 INTO OUTFILE "/tmp/x" */',
    'SELECT 1 /*M! INTO OUTFILE "/tmp/x" */',
    "SELECT /*+ SET_VAR(sql_mode = '') */ 1",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT 1 INTO/**/OUTFILE '/tmp/x'",
    "SELECT 1 INTO DUMPFILE '/tmp/x'",
    'WITH a AS (SELECT 1) SELECT 1, purge() FROM a',
    'WITH a AS (SELECT 1) SELECT 1, purge(id) AS x FROM a',
    'WITH a (x) AS (SELECT 1), purge() AS (SELECT 1) SELECT 1',
    'SELECT * FROM (WITH RECURSIVE w (n) AS (SELECT 1) SELECT n, purge() FROM w) q',
    'INSERT INTO shop.log (note) VALUES (shop.purge())',
    'SELECT 1 INTO @x',
    'SELECT @x := 1',
    "SELECT LOAD_FILE('/etc/passwd')",
    "SELECT load_file ('/etc/passwd')",
    'SELECT SLEEP(5)',
    'SELECT BENCHMARK(1000000, 1)',
    "SELECT GET_LOCK('a', 1)",
    'SELECT my_function(1)',
    'SELECT evil.lower(name) FROM users',
    'SELECT `sleep`(5)',
    'SELECT 1; DROP TABLE users',
    'SELECT 1 # \n; DROP TABLE users',
    "SELECT 'a\\'; DROP TABLE users; -- '",
    'SELECT 1 --x\n; DROP TABLE users',
    'WITH d AS (SELECT 1) DELETE FROM users',
    'EXPLAIN ANALYZE DELETE FROM users',
    'SELECT * FROM t PROCEDURE ANALYSE()',
    "UPDATE mysql.user SET authentication_string = '' WHERE user = 'root'",
    "INSERT INTO `mysql`.`global_priv` (Host, User) VALUES ('%', 'x')",
    'UPDATE users u JOIN "MySQL" . user p ON true SET p.x = 1',
    'INSERT INTO log (note) SELECT name INTO @a FROM users',
    'SELECT LAST_INSERT_ID(5)',
    'SELECT "wipe"(1), shop.`wipe`()',
    'not sql at all',
    '',
  ])('%s', (text) => {
    expect(allowed(text, 'read_only')).toBe(false);
    expect(allowed(text, 'safe_write')).toBe(false);
  });
});

describe('every-day statements', () => {
  test.each([
    'SELECT * FROM users WHERE id = ?',
    'SELECT `name`, COUNT(*) AS n FROM `orders` o JOIN users u ON u.id = o.user_id GROUP BY 1 HAVING n > 3 ORDER BY n DESC LIMIT 5',
    "SELECT CONCAT(name, ' ', surname), IFNULL(a, 0), DATE_FORMAT(created_at, '%Y-%m') FROM users",
    'SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY id) AS rn FROM orders',
    'WITH a AS (SELECT 1 AS x) SELECT * FROM a',
    'WITH a (x, y) AS (SELECT 1, 2), b (z) AS (SELECT x FROM a) SELECT * FROM b',
    'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i, ABS(i) FROM n',
    'SELECT 1 UNION ALL SELECT 2',
    "SELECT REPLACE(name, 'a', 'b'), JSON_EXTRACT(data, '$.a') FROM t WHERE id IN (1, 2)",
    "SELECT 'DROP TABLE users; -- x' AS t -- a comment",
    'SHOW TABLES',
    'EXPLAIN SELECT * FROM users',
  ])('read_only lets pass: %s', (text) => {
    expect(judgeSql(text, 'read_only', { dialect: 'mysql' }).reason).toBeUndefined();
  });
  test.each([
    "INSERT INTO users (name) VALUES ('a'), (?)",
    'INSERT INTO users (id, n) VALUES (1, 2) ON DUPLICATE KEY UPDATE n = n + 1',
    'INSERT INTO archive SELECT * FROM users WHERE id < 5',
    'UPDATE users SET name = ? WHERE id = 1',
    'SELECT * FROM users WHERE id = 1 FOR UPDATE',
    'SELECT NEXT VALUE FOR s1',
    'SELECT * FROM (SELECT NEXT VALUE FOR s1 AS c) d',
    'SELECT s1.nextval FROM users',
    'INSERT INTO shop.log (note) VALUES (?)',
  ])('safe_write lets pass, read_only does not: %s', (text) => {
    expect(judgeSql(text, 'safe_write', { dialect: 'mysql' }).reason).toBeUndefined();
    expect(allowed(text, 'read_only')).toBe(false);
  });
});

test('an UPDATE of every row is reported', async () => {
  const { detections } = await checkSql('UPDATE users SET a = 1', 'safe_write', { dialect: 'mysql' });
  expect(detections).toMatchObject([{ type: 'mass_update' }]);
});

test('any text gets an answer', () => {
  const piece = fc.constantFrom(
    "'",
    '"',
    '`',
    '/*',
    '*/',
    '/*!',
    '--',
    '#',
    '\n',
    '\\',
    ';',
    '(',
    ')',
    'SELECT ',
    'DROP TABLE t',
    '@',
    ' ',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('');
      expect(judgeSql(text, 'safe_write', { dialect: 'mysql' }).allowed).toBeTypeOf('boolean');
    }),
    { numRuns: 500 },
  );
});
