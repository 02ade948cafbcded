/** Judges PostgreSQL text: scanned, parsed, walked, statement by statement; the worst wins. */
import type { Detection } from '../model/decision.ts';
import type { SqlDecision, SqlOptions } from '../model/sql.ts';
import { harmlessFault, namesFor } from './sql-names.ts';
import type { SqlParser } from './sql-parser.ts';
import { backslashReading, scanSql } from './sql-scan.ts';
import { listOf, treeOf } from './sql-tree.ts';
import { judgeStatement } from './sql-statement.ts';
import type { Judgement } from './sql-statement.ts';
import type { Fault, JudgedLevel } from './sql-walk.ts';

export type SqlJudge = (text: string, level: JudgedLevel) => SqlDecision;

export const denySql = (code: string, reason: string): SqlDecision => ({
  allowed: false,
  code,
  reason,
  detections: [{ step: 'check_db', type: code, detail: reason }],
  statements: [],
});

const positioned = (fault: Fault, index: number, count: number): Fault =>
  count === 1 ? fault : { code: fault.code, reason: `statement ${index + 1} of ${count}: ${fault.reason}` };

const NO_DETECTIONS: readonly Detection[] = Object.freeze([]);

const decisionOf = (judgements: readonly Judgement[]): SqlDecision => {
  const statements = Object.freeze(judgements.map(({ statement }) => statement));
  if (judgements.every(({ fault, massUpdates }) => fault === undefined && massUpdates.length === 0)) {
    return Object.freeze({ allowed: true, detections: NO_DETECTIONS, statements });
  }
  const faults = judgements.flatMap(({ fault }, index) =>
    fault === undefined ? [] : [positioned(fault, index, judgements.length)],
  );
  const detections: Detection[] = faults.map(({ code, reason }) => ({ step: 'check_db', type: code, detail: reason }));
  for (const table of new Set(judgements.flatMap(({ massUpdates }) => massUpdates))) {
    const detail = `UPDATE of ${table} changes every row`;
    detections.push({ step: 'check_db', type: 'mass_update', detail });
  }
  const [first] = faults;
  return {
    allowed: first === undefined,
    ...(first === undefined ? {} : { code: first.code, reason: first.reason }),
    detections,
    statements,
  };
};

/** PostgreSQL's message quotes the text it stopped at, which can be a literal: only the kind of the error is kept. */
const syntaxError = (message: string): string => {
  if (/memory|stack|exhaust/iu.test(message)) return 'the text is too deeply nested to be read';
  return message.startsWith('unterminated')
    ? 'the text does not parse as PostgreSQL: a quote or comment stays open'
    : 'the text does not parse as PostgreSQL';
};

export const postgresJudge = (parser: SqlParser, options: SqlOptions): SqlJudge => {
  const misdeclared = harmlessFault(options.harmlessFunctions);
  if (misdeclared !== undefined) return () => denySql('sql.config', misdeclared);
  const names = namesFor(options);
  const judge = (text: string, level: JudgedLevel): SqlDecision => {
    const { refusal, ambiguous } = scanSql(text);
    if (refusal !== undefined) return denySql('sql.too-complex', refusal);
    let answer: ReturnType<SqlParser['parse']>;
    try {
      answer = parser.parse(text);
    } catch {
      return denySql('sql.too-complex', 'the parser could not read the text; shorten or split it');
    }
    if ('error' in answer) return denySql('sql.syntax', syntaxError(answer.error));
    const statements = listOf(treeOf(JSON.parse(answer.tree))?.['stmts']);
    if (statements.length === 0) return denySql('sql.empty', 'the text contains no statement');
    const decision = decisionOf(statements.map((statement) => judgeStatement(statement, level, names)));
    if (!decision.allowed || ambiguous.length === 0) return decision;
    return judgeOtherReading(text, level) ?? decision;
  };
  /** A server with `standard_conforming_strings = off` may see other statements: they must be harmless too. */
  const judgeOtherReading = (text: string, level: JudgedLevel): SqlDecision | undefined => {
    const other = backslashReading(text);
    if (other === undefined) return undefined;
    const { allowed, reason } = judge(other, level);
    if (allowed) return undefined;
    return denySql('sql.ambiguous', `a backslash before a quote reads as other statements on some servers: ${reason}`);
  };
  return judge;
};
