/** A grammar fuzzer for PostgreSQL: statements that mostly run on `FUZZ_SCHEMA`, mixing the harmless with what has effects. */

export const FUZZ_SCHEMA = `
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
  CREATE SEQUENCE s1;
  CREATE TABLE users (id int PRIMARY KEY, name text, age int, mood mood DEFAULT 'ok');
  CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, total numeric, data jsonb, tags int[]);
  CREATE TABLE log (id int GENERATED ALWAYS AS IDENTITY, note text);
  CREATE VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id;
  INSERT INTO users SELECT i, 'user ' || i, 20 + i % 50, 'ok' FROM generate_series(1, 40) i;
  INSERT INTO orders SELECT i, 1 + i % 40, i * 1.5, jsonb_build_object('k', i, 'n', 'x' || i), ARRAY[i, i + 1]
    FROM generate_series(1, 60) i;
  INSERT INTO log (note) SELECT 'note ' || i FROM generate_series(1, 10) i;
  CREATE FUNCTION purge() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM log; RETURN 1; END';
  CREATE FUNCTION purge_for(users) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM log; RETURN 1; END';
  CREATE FUNCTION purge_for(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM log; RETURN 1; END';
  CREATE OPERATOR @+@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
`;

/** Numbers in [0, 1) from a seed (mulberry32). */
const randomFrom = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
};

type Produce = (depth: number) => string;

const TABLES: Readonly<Record<string, { readonly numbers: readonly string[]; readonly texts: readonly string[] }>> = {
  users: { numbers: ['id', 'age'], texts: ['name', 'mood::text'] },
  orders: { numbers: ['id', 'user_id', 'total'], texts: ["data->>'n'", 'tags::text'] },
  log: { numbers: ['id'], texts: ['note'] },
};

/** A function that gives one random statement (sometimes two) after the other, the same for the same seed. */
export const fuzzSql = (seed: number): (() => string) => {
  const random = randomFrom(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const chance = (probability: number): boolean => random() < probability;
  const number = (): string => String(Math.floor(random() * 60));
  const one =
    (...producers: readonly Produce[]): Produce =>
    (depth) =>
      pick(producers)(depth);

  let table = 'users';
  const numberColumn = (): string => `t.${pick(TABLES[table]?.numbers ?? ['id'])}`;
  const textColumn = (): string => `t.${pick(TABLES[table]?.texts ?? ['name'])}`;

  const effect: Produce = () =>
    pick([
      "nextval('s1')::int",
      "setval('s1', 7)::int",
      'purge()',
      'public.purge()',
      'purge_for(1)',
      '(1).purge_for',
      "length(set_config('fuzz.x', '1', false))",
      "(pg_sleep(0)::text || '1')::int",
      'lo_create(0)::int',
      "length(query_to_xml('DELETE FROM log', true, true, '')::text)",
      'pg_advisory_lock(1)::text::int',
      "length(pg_notify('a', 'b')::text)",
      '(5 OPERATOR(public.@+@) 6)',
      'txid_current()::text::int',
    ]);
  const numeric: Produce = (depth) =>
    depth <= 0
      ? pick([number(), numberColumn(), '$$7$$::int', 'NULL::int'])
      : one(
          () => numberColumn(),
          () => number(),
          (next) => `(${numeric(next - 1)} ${pick(['+', '-', '*', 'OPERATOR(pg_catalog.+)'])} ${numeric(next - 1)})`,
          (next) => `${pick(['abs', 'sign', 'round', 'floor'])}(${numeric(next - 1)}::numeric)::numeric`,
          (next) => `length(${text(next - 1)})`,
          (next) => `CASE WHEN ${condition(next - 1)} THEN ${numeric(next - 1)} ELSE 0 END`,
          (next) => `coalesce(${numeric(next - 1)}, 0)`,
          (next) => `greatest(${numeric(next - 1)}, ${numeric(next - 1)})`,
          (next) => `(SELECT ${pick(['max', 'min', 'count'])}(id) FROM (${query(next - 1)}) q(id))`,
          (next) => (chance(0.25) ? effect(next) : number()),
          (next) => `(ARRAY[${numeric(next - 1)}, 2])[1]`,
          () => 'extract(year FROM now())',
        )(depth);
  const text: Produce = (depth) =>
    depth <= 0
      ? pick([textColumn(), "'x'", "E'a\\'b'", "$q$it's$q$", "U&'\\0041'"])
      : one(
          () => textColumn(),
          (next) => `${pick(['lower', 'upper', 'reverse', 'md5', 'quote_literal'])}(${text(next - 1)})`,
          (next) => `(${text(next - 1)} || ${text(next - 1)})`,
          (next) => `replace(${text(next - 1)}, 'a', 'delete')`,
          (next) => `${numeric(next - 1)}::text`,
          (next) => `substring(${text(next - 1)} FROM 1 FOR 3)`,
          (next) => `concat_ws(',', ${text(next - 1)}, ${numeric(next - 1)})`,
          (next) => `CAST(${text(next - 1)} AS varchar(20))`,
          () => "'ok'::mood::text",
        )(depth);
  const condition: Produce = (depth) =>
    depth <= 0
      ? pick(['true', `${numberColumn()} > ${number()}`, '1 = 1'])
      : one(
          (next) => `${numeric(next - 1)} ${pick(['=', '<', '>=', '<>', 'IS DISTINCT FROM'])} ${numeric(next - 1)}`,
          (next) => `${text(next - 1)} ${pick(['LIKE', 'ILIKE', '~', 'NOT LIKE', 'SIMILAR TO'])} '%a%'`,
          (next) => `NOT (${condition(next - 1)})`,
          (next) => `(${condition(next - 1)} ${pick(['AND', 'OR'])} ${condition(next - 1)})`,
          (next) => `EXISTS (${query(next - 1)})`,
          (next) => `${numeric(next - 1)} IN (SELECT q.id FROM (${query(next - 1)}) q(id))`,
          (next) => `${numeric(next - 1)} = ANY (ARRAY[${numeric(next - 1)}, 3])`,
          (next) => `${numeric(next - 1)} BETWEEN 1 AND ${number()}`,
          (next) => `${text(next - 1)} IS NOT NULL`,
        )(depth);

  const source: Produce = (depth) =>
    depth <= 0
      ? `${table} t`
      : one(
          () => `${table} t`,
          () => `public.${table} AS t`,
          () => `${table} t TABLESAMPLE system (100)`,
          () =>
            `${table} t JOIN totals USING (${table === 'orders' ? 'user_id' : 'total'})`.replace(
              ' JOIN totals USING (total)',
              ' CROSS JOIN (SELECT 1) one',
            ),
          (next) => `${table} t, LATERAL (SELECT ${numeric(next - 1)} AS x) l`,
          () => `${table} t, generate_series(1, 2) g`,
          () => (chance(0.1) ? `${table} t, purge() p` : `${table} t LEFT JOIN log l ON l.id = t.id`),
        )(depth);
  /** One column, a number. */
  const query: Produce = (depth) => {
    const outer = table;
    table = pick(Object.keys(TABLES));
    const from = source(depth);
    const where = chance(0.7) ? ` WHERE ${condition(depth - 1)}` : '';
    const select = one(
      () => `SELECT ${numeric(depth - 1)} FROM ${from}${where}`,
      () => `SELECT count(*)${chance(0.3) ? ` FILTER (WHERE ${condition(depth - 1)})` : ''} FROM ${from}${where}`,
      () => `SELECT row_number() OVER (ORDER BY ${numeric(depth - 1)}) FROM ${from}${where}`,
      () => `SELECT t.id FROM ${from}${where} ORDER BY ${numeric(depth - 1)} LIMIT 5`,
      () => `SELECT max(t.id) FROM ${from}${where} GROUP BY ${numeric(depth - 1)}`,
      () => `VALUES (${number()})`,
    )(depth);
    const locked = chance(0.06) && select.startsWith('SELECT t.id') ? `${select} FOR UPDATE OF t` : select;
    table = outer;
    const inner = depth > 1 && chance(0.2) ? `(${locked}) UNION ALL (${query(depth - 1)})` : locked;
    return depth > 0 && chance(0.2) ? `WITH c AS ${pick(['', 'MATERIALIZED '])}(${change(depth - 1)}) ${inner}` : inner;
  };
  /** What stands in a WITH: mostly a query, sometimes a change, always with a result. */
  const change: Produce = (depth) =>
    chance(0.7)
      ? query(depth)
      : one(
          () => `INSERT INTO log (note) VALUES (${textLiteral()}) RETURNING id`,
          () => `UPDATE users SET age = age + 1 WHERE id = ${number()} RETURNING id`,
          () => `DELETE FROM log WHERE id = ${number()} RETURNING id`,
          () => 'DELETE FROM log RETURNING id',
        )(depth);
  const textLiteral = (): string => pick(["'DROP TABLE users'", "'a; b'", '$$ -- $$', "E'\\n'"]);

  const freshId = (): string => String(1000 + Math.floor(random() * 1_000_000));
  const inTable = (name: string, produce: () => string): string => {
    table = name;
    return produce();
  };
  const write: Produce = (depth) =>
    one(
      () =>
        `INSERT INTO log (note) VALUES (${textLiteral()}), ('b') RETURNING ${pick(['id', '*', 'lower(note)', 'purge()'])}`,
      () => `INSERT INTO log (note) SELECT q.id::text FROM (${query(depth - 1)}) q(id) LIMIT 5`,
      () =>
        `INSERT INTO users (id, name) VALUES (${freshId()}, ${textLiteral()}) ON CONFLICT (id) DO ${pick(['NOTHING', 'UPDATE SET name = excluded.name', 'UPDATE SET age = purge()'])}`,
      () =>
        `INSERT INTO users (id, name) VALUES (${number()}, 'x') ON CONFLICT (id) DO UPDATE SET name = excluded.name || users.name WHERE users.id > 3`,
      () => inTable('users', () => `UPDATE users t SET age = ${numeric(depth - 1)}::int WHERE ${condition(depth - 1)}`),
      () =>
        inTable(
          'orders',
          () =>
            `UPDATE orders t SET total = ${numeric(depth - 1)}, data = jsonb_set(t.data, '{k}', '1') WHERE ${condition(depth - 1)}`,
        ),
      () =>
        inTable(
          'users',
          () => `UPDATE users t SET name = ${text(depth - 1)} FROM orders o WHERE o.user_id = t.id AND ${condition(0)}`,
        ),
      () => 'UPDATE users SET age = age',
      () =>
        `MERGE INTO users u USING (SELECT ${number()} AS k) s ON u.id = s.k WHEN MATCHED THEN ${pick(['UPDATE SET age = 1', 'DELETE', 'DO NOTHING'])}`,
      () =>
        `MERGE INTO users u USING (SELECT ${freshId()} AS k) s ON u.id = s.k WHEN NOT MATCHED THEN INSERT (id) VALUES (s.k)`,
      () => `DELETE FROM ${pick(['log', 'orders'])} WHERE id = ${number()}`,
      () => `WITH d AS (${change(depth - 1)}) INSERT INTO log (note) SELECT 'from with'`,
    )(depth);
  const utility = (): string =>
    pick([
      'TRUNCATE log',
      'DROP TABLE log',
      'DROP VIEW totals',
      'CREATE TABLE fresh AS SELECT 1 AS a',
      'SELECT * INTO fresh FROM log',
      'ALTER TABLE log ADD COLUMN x int',
      'LOCK TABLE log',
      "SET fuzz.y = '1'",
      'SHOW search_path',
      'DO $$ BEGIN DELETE FROM log; END $$',
      'CALL purge()',
      'ANALYZE users',
      'COMMENT ON TABLE log IS NULL',
      "COPY log TO '/tmp/never'",
      'REFRESH MATERIALIZED VIEW totals',
    ]);
  const statement = (): string => {
    const depth = 1 + Math.floor(random() * 3);
    const kind = random();
    if (kind < 0.55) return query(depth);
    if (kind < 0.85) return write(depth);
    if (kind < 0.9)
      return `EXPLAIN ${pick(['', 'ANALYZE ', '(ANALYZE, COSTS off) ', '(COSTS off) '])}${chance(0.5) ? query(depth) : write(depth)}`;
    if (kind < 0.95) return utility();
    return `${query(1)}; ${chance(0.5) ? write(1) : query(1)}`;
  };
  return statement;
};
