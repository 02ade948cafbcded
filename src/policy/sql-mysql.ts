/**
 * Judges MySQL and MariaDB text: scanned for what is read differently, parsed by a maintained parser, and held to a list
 * of statement kinds and functions. Held against MariaDB by `test/bench/mysql-differential.ts`; stricter than the judge of
 * PostgreSQL, as it knows words where that one knows nodes.
 */
import type { SqlAccess, SqlDecision, SqlOptions, SqlStatement } from '../model/sql.ts';
import { scanMysql } from './sql-mysql-scan.ts';
import { denySql } from './sql-postgres.ts';
import type { SqlJudge } from './sql-postgres.ts';
import { relationsIn, shown, treeOf } from './sql-tree.ts';
import type { JudgedLevel } from './sql-walk.ts';

/** What `@polyglot-sql/sdk` answers: one root node for each statement, `{kind: {…}}`. */
export type MysqlParse = (text: string, dialect: 'mysql') => { readonly success: boolean; readonly ast?: unknown };

const READING = new Set(['select', 'union', 'intersect', 'except', 'values', 'show', 'describe']);
const KINDS: Readonly<Record<string, SqlAccess>> = {
  insert: 'write',
  update: 'write',
  delete: 'delete',
  merge: 'delete',
};

/** Words that stand before a bracket without calling anything. */
const KEYWORDS =
  'all and any as between by case columns cross distinct distinctrow else except exists from full group having if ignore in inner ' +
  'insert intersect into is join lateral left like limit natural not null offset on or order outer over partition rank ' +
  'recursive regexp right rlike rollup row rows select set some straight_join then union update using value values when ' +
  'where window with xor key';
/** Functions of MySQL and MariaDB that only compute or read. */
const HARMLESS =
  'abs acos adddate addtime any_value ascii asin atan atan2 avg bin bit_and bit_count bit_length bit_or bit_xor cast ceil ' +
  'ceiling char char_length character_length charset coalesce collation concat concat_ws connection_id conv convert ' +
  'convert_tz cos cot count crc32 cume_dist curdate current_date current_time current_timestamp current_user curtime ' +
  'database date date_add date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear decimal degrees ' +
  'dense_rank elt exp export_set extract field find_in_set first_value floor format from_base64 from_days from_unixtime ' +
  'greatest group_concat grouping hex hour ifnull inet_aton inet_ntoa inet6_aton inet6_ntoa instr interval isnull ' +
  'json_array json_arrayagg json_array_append json_array_insert json_contains json_contains_path json_depth json_extract ' +
  'json_insert json_keys json_length json_merge_patch json_merge_preserve json_object json_objectagg json_overlaps ' +
  'json_pretty json_quote json_remove json_replace json_search json_set json_table json_type json_unquote json_valid ' +
  'json_value lag last_day last_insert_id last_value lcase lead least left length ln localtime localtimestamp locate log ' +
  'log10 log2 lower lpad ltrim make_set makedate maketime max md5 microsecond mid min minute mod month monthname now ' +
  'nth_value ntile nullif oct octet_length ord percent_rank period_add period_diff pi position pow power quarter quote ' +
  'radians rand rank regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse right round row_count ' +
  'row_number rpad rtrim schema sec_to_time second session_user sha sha1 sha2 sign sin soundex space sqrt st_area ' +
  'st_astext st_contains st_distance st_geomfromtext st_x st_y std stddev stddev_pop stddev_samp str_to_date strcmp ' +
  'subdate substr substring substring_index subtime sum sysdate system_user tan time time_format time_to_sec timediff ' +
  'timestamp timestampadd timestampdiff to_base64 to_days to_seconds trim truncate ucase unhex unix_timestamp upper user ' +
  'utc_date utc_time utc_timestamp uuid uuid_short uuid_to_bin bin_to_uuid var_pop var_samp variance version week weekday ' +
  'weekofyear year yearweek varchar binary signed unsigned';
const keywords = new Set(KEYWORDS.split(' '));
const harmless = new Set(HARMLESS.split(' '));

/** Words that are never part of an allowed statement, wherever they stand. */
const DENIED_WORDS = new Set(['outfile', 'dumpfile', 'procedure', ':=', 'load_file', 'infile', 'handler']);
const SYSTEM_SCHEMAS = new Set(['mysql', 'sys', 'performance_schema', 'information_schema']);

interface Fault {
  readonly code: string;
  readonly reason: string;
}

/** True where a name and the bracket behind it call nothing: `INSERT INTO t (a)`, `WITH x (a) AS (…)`, `AS d (a, b)`. */
const namesColumns = (words: readonly string[], index: number, verb: string): boolean => {
  const into = words[index - 1] === '.' ? index - 3 : index - 1;
  if (verb === 'insert' && words[into] === 'into') return true;
  let end = index + 2;
  while (words[end + 1] === ',') end += 2;
  if (words[end + 1] !== ')' || words.slice(index + 2, end + 1).some((word) => word === '(' || word === ')'))
    return false;
  const before = words[index - 1] ?? '';
  return (
    before === 'as' ||
    (['with', 'recursive', ','].includes(before) && words[end + 2] === 'as' && words[end + 3] === '(')
  );
};

const wordFault = (words: readonly string[], verb: string, own: ReadonlySet<string>): Fault | undefined => {
  for (const [index, word] of words.entries()) {
    const next = words[index + 1];
    if (DENIED_WORDS.has(word)) return { code: 'sql.verb-denied', reason: `${word.toUpperCase()} is not allowed` };
    if (word === 'into' && (verb !== 'insert' || words.indexOf('into') !== index))
      return { code: 'sql.select-into', reason: 'SELECT INTO is not allowed' };
    if (word === 'last_insert_id' && next === '(' && words[index + 2] !== ')')
      return { code: 'sql.function-denied', reason: 'LAST_INSERT_ID with an argument changes the session' };
    if (next !== '(' || !/^(?:\?[\s\S]*|[@\w$\u0080-\uffff]+)$/u.test(word)) continue;
    if (namesColumns(words, index, verb)) continue;
    const qualified = words[index - 1] === '.';
    if (qualified || (!keywords.has(word) && !harmless.has(word) && !own.has(word))) {
      return {
        code: 'sql.function-unknown',
        reason: `the function ${word.startsWith('?') ? '?' : shown(word)} is not known to be harmless`,
      };
    }
  }
  return undefined;
};
const DANGEROUS = /sleep|benchmark|lock|load|sys_|exec|eval|wait|nextval|setval|gtid/u;

const LEVELS: Readonly<Record<JudgedLevel, string>> = {
  read_only: 'db=read_only, which allows statements that only read',
  safe_write: 'db=safe_write, which allows reading, INSERT and UPDATE',
};

interface Judged extends SqlStatement {
  readonly code?: string;
}

const judgeOne = (words: readonly string[], root: unknown, level: JudgedLevel, own: ReadonlySet<string>): Judged => {
  const kind = Object.keys(treeOf(root) ?? {})[0] ?? 'unknown';
  const verb = words[0] === 'with' || words[0] === '(' ? kind : (words[0] ?? '');
  const relations = new Set<string>();
  relationsIn(root, relations);
  let access: SqlAccess = READING.has(kind) ? 'read' : (KINDS[kind] ?? 'control');
  let fault: Fault | undefined;
  const locks = words.some(
    (word, index) =>
      (word === 'for' && ['update', 'share'].includes(words[index + 1] ?? '')) ||
      (word === 'lock' && words[index + 1] === 'in'),
  );
  // MariaDB's sequences; in its Oracle mode also `s.nextval`.
  const draws = words.some((word, index) => (word === 'next' && words[index + 1] === 'value') || word === 'nextval');
  if ((locks || draws) && access === 'read') access = 'write';
  // The parser's kind and the first word must agree: a text that either of them misreads is denied.
  const agrees =
    kind === verb ||
    (['select', '(', 'values', 'table'].includes(verb) && READING.has(kind)) ||
    (['explain', 'desc', 'describe'].includes(verb) &&
      kind === 'describe' &&
      words.includes('select') === !['insert', 'update', 'delete', 'replace'].some((word) => words.includes(word)));
  const simpleDescribe = ['explain', 'desc', 'describe'].includes(verb) && kind === 'describe' && words.length <= 4;
  if (!agrees && !simpleDescribe)
    fault = { code: 'sql.verb-denied', reason: `${shown(verb.toUpperCase())} is not allowed by ${LEVELS[level]}` };
  if (verb === 'replace' || words.some((word, index) => word === 'replace' && words[index + 1] === 'into'))
    access = 'delete';
  const permitted = access === 'read' || (access === 'write' && level === 'safe_write');
  if (!permitted)
    fault ??= { code: 'sql.verb-denied', reason: `${shown(verb.toUpperCase())} is not allowed by ${LEVELS[level]}` };
  if (
    access === 'write' &&
    words.some((word, index) => words[index + 1] === '.' && SYSTEM_SCHEMAS.has(word.replace(/^\?/u, '')))
  ) {
    fault ??= { code: 'sql.catalogue-write', reason: 'the statement may change a system schema' };
  }
  fault ??= wordFault(words, verb, own);
  return {
    verb: shown(verb.toUpperCase()),
    access,
    relations: [...relations],
    functions: words.filter((word, index) => words[index + 1] === '(' && harmless.has(word)),
    allowed: fault === undefined,
    ...(fault !== undefined && { reason: fault.reason, code: fault.code }),
  };
};

export const mysqlJudge =
  (parse: MysqlParse, { harmlessFunctions = [] }: SqlOptions): SqlJudge =>
  (text, level): SqlDecision => {
    const { refusal, statements } = scanMysql(text);
    if (refusal !== undefined) return denySql('sql.ambiguous', `the text has ${refusal}`);
    if (statements.length === 0) return denySql('sql.empty', 'the text contains no statement');
    const { success, ast } = parse(text, 'mysql');
    const roots = Array.isArray(ast) ? (ast as readonly unknown[]) : [];
    if (!success || roots.length !== statements.length) {
      return denySql('sql.syntax', 'the text does not parse as MySQL');
    }
    // What waits, locks or runs text stays denied, whoever calls it harmless.
    const own = new Set(harmlessFunctions.map((name) => name.toLowerCase()).filter((name) => !DANGEROUS.test(name)));
    const judged = statements.map((words, index) => judgeOne(words, roots[index], level, own));
    const first = judged.find(({ allowed }) => !allowed);
    const mass = statements.filter((words) => words[0] === 'update' && !words.includes('where'));
    return {
      allowed: first === undefined,
      ...(first !== undefined && { code: first.code ?? 'sql.denied', reason: first.reason ?? 'denied' }),
      detections: [
        ...judged.flatMap(({ code, reason }) =>
          code === undefined || reason === undefined ? [] : [{ step: 'check_db' as const, type: code, detail: reason }],
        ),
        ...mass.map(() => ({ step: 'check_db' as const, type: 'mass_update', detail: 'UPDATE changes every row' })),
      ],
      statements: judged,
    };
  };
