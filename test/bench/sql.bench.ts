/**
 * What a decision about SQL costs, beside the bare parse and beside others, and how many attacks each lets pass:
 * `node test/bench/sql.bench.ts`. Medians of one run; ratios to the bare parse carry over to other machines.
 */
import { createRequire } from 'node:module';
import { prepareSqlNow } from '../../src/check-sql.ts';
import { judgeSql } from '../../src/policy/sql.ts';
import { MUST_ALLOW, MUST_DENY } from '../policy/sql-corpus.ts';
import { peer } from './peers.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 60);

interface Contender {
  readonly name: string;
  /** True when a policy of reading only would let the text pass; a throw is a denial. */
  readonly passes: (text: string) => boolean;
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

const attacks = Object.entries(MUST_DENY)
  .filter(([title]) => title !== 'other dialects and what does not parse')
  .flatMap(([, { both, readOnly = [] }]) => [...both, ...readOnly]);

let nonce = 0;
/** A new text each time, so that nobody's cache answers. */
const fresh = (text: string): string => `${text} -- ${nonce++}`;

const passes = (contender: Contender, text: string): boolean => {
  try {
    return contender.passes(text);
  } catch {
    return false;
  }
};

prepareSqlNow();
const pgQuery = createRequire(import.meta.url)('libpg-query') as {
  loadModule(): Promise<void>;
  parseSync(text: string): unknown;
};
await pgQuery.loadModule();

const bare: Contender = {
  name: 'libpg-query, the bare parse',
  passes: (text) => pgQuery.parseSync(text) !== undefined,
};
const ours: Contender = { name: 'tappass read_only, new text', passes: (text) => judgeSql(text, 'read_only').allowed };
const contenders: Contender[] = [bare, ours];

const pgAst = await peer('pgsql-ast-parser', '12.0.2');
if ('missing' in pgAst) console.log(pgAst.missing);
else {
  const { parse } = (pgAst.module['default'] ?? pgAst.module) as {
    readonly parse: (text: string) => readonly { type: string }[];
  };
  const reads = new Set(['select', 'union', 'union all', 'values', 'with', 'show']);
  contenders.push({
    name: 'pgsql-ast-parser, every root a SELECT',
    passes: (text) => parse(text).every(({ type }) => reads.has(type)),
  });
}
const nodeSql = await peer('node-sql-parser', '5.4.0');
if ('missing' in nodeSql) console.log(nodeSql.missing);
else {
  const { Parser } = (nodeSql.module['default'] ?? nodeSql.module) as {
    Parser: new () => { whiteListCheck(text: string, list: readonly string[], options: object): void };
  };
  const parser = new Parser();
  contenders.push({
    name: 'node-sql-parser, whiteListCheck select',
    passes: (text) => {
      parser.whiteListCheck(text, ['select::(.*)::(.*)'], { database: 'postgresql' });
      return true;
    },
  });
}
const agt = await peer('@microsoft/agent-governance-sdk', '4.0.0');
if ('missing' in agt) console.log(agt.missing);
else {
  const { extractSqlFacets } = agt.module as {
    extractSqlFacets?: (context: { readonly query: string }) => { readonly verb: string };
  };
  if (extractSqlFacets === undefined) console.log('@microsoft/agent-governance-sdk exports no extractSqlFacets');
  else {
    contenders.push({
      name: 'agent-governance-sdk, facet verb SELECT',
      passes: (text) =>
        ['SELECT', 'SHOW', 'EXPLAIN', 'WITH', 'VALUES', 'TABLE'].includes(extractSqlFacets({ query: text }).verb),
    });
  }
}

const spans = new Map<string, number[]>();
const timed = (contender: Contender, text: string): void => {
  const sample = fresh(text);
  const start = performance.now();
  passes(contender, sample);
  const span = (performance.now() - start) * 1000;
  const known = spans.get(contender.name);
  if (known === undefined) spans.set(contender.name, [span]);
  else known.push(span);
};

// In turns, round by round, so that what disturbs one disturbs all; the first rounds only warm up.
for (let round = 0; round < ROUNDS + 10; round++) {
  if (round === 10) spans.clear();
  for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
    for (const text of MUST_ALLOW) timed(contender, text);
  }
}
const cached: number[] = [];
// A text is kept when it is seen for the second time.
for (const text of [...MUST_ALLOW, ...MUST_ALLOW]) judgeSql(text, 'read_only');
for (let round = 0; round < ROUNDS * 20; round++) {
  const start = performance.now();
  for (const text of MUST_ALLOW) judgeSql(text, 'read_only');
  cached.push(((performance.now() - start) * 1000) / MUST_ALLOW.length);
}

const base = median(spans.get(bare.name) ?? [1]);
const row = (name: string, us: number, contender: Contender): Record<string, string> => ({
  contender: name,
  'µs per text': us.toFixed(2),
  'to the bare parse': (us / base).toFixed(2),
  'attacks let pass': `${attacks.filter((text) => passes(contender, text)).length} of ${attacks.length}`,
  'honest texts denied': `${MUST_ALLOW.filter((text) => !passes(contender, text)).length} of ${MUST_ALLOW.length}`,
});
console.table([
  ...contenders.map((contender) => row(contender.name, median(spans.get(contender.name) ?? []), contender)),
  row('tappass read_only, text seen before', median(cached), ours),
]);

/** One contender by itself, as in a program that does nothing else: the mean over all texts, the median of many rounds. */
const byItself = (contender: Contender): number => {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS * 4; round++) {
    const texts = MUST_ALLOW.map(fresh);
    const start = performance.now();
    for (const text of texts) passes(contender, text);
    rounds.push(((performance.now() - start) * 1000) / texts.length);
  }
  return median(rounds);
};
byItself(bare);
const [ourMean, bareMean] = [byItself(ours), byItself(bare)];
console.log(
  `by itself, mean of all texts: ${ourMean.toFixed(1)} µs, the bare parse ${bareMean.toFixed(1)} µs, ${(ourMean / bareMean).toFixed(2)} ×`,
);

const worst = (name: string, text: string): Record<string, string> => {
  const start = performance.now();
  const { reason } = judgeSql(text, 'read_only');
  return { text: name, ms: (performance.now() - start).toFixed(2), answer: reason ?? 'allowed' };
};
console.table([
  worst('1 MB in one string', `SELECT '${'x'.repeat(1_000_000)}'`),
  worst('10 000 nested brackets', `SELECT ${'('.repeat(10_000)}1${')'.repeat(10_000)}`),
  worst('40 000 nested comments', `SELECT 1 ${'/*'.repeat(40_000)}`),
  worst('256 KB of list', `SELECT ${'1,'.repeat(130_000)}1`),
  worst('250 KB of INSERT rows', `INSERT INTO t VALUES (1, 'a')${", (2, 'bcdef')".repeat(17_000)}`),
]);
