/** Says what one statement of a PostgreSQL text does, and whether the level allows it. */
import type { SqlAccess, SqlStatement } from '../model/sql.ts';
import type { Names } from './sql-names.ts';
import { CLOSED_STATEMENTS, OPEN_STATEMENTS } from './sql-rules.ts';
import { inside, listOf, nameParts, relationsIn, shown, treeOf } from './sql-tree.ts';
import type { Tree } from './sql-tree.ts';
import { Walk } from './sql-walk.ts';
import type { Fault, JudgedLevel } from './sql-walk.ts';

export interface Judgement {
  readonly statement: SqlStatement;
  readonly fault?: Fault;
  /** Tables that an UPDATE changes in every row. */
  readonly massUpdates: readonly string[];
}

const TRANSACTION_VERBS: Readonly<Record<string, string>> = { TRANS_STMT_BEGIN: 'BEGIN', TRANS_STMT_START: 'START' };

/** The first word of a closed statement, where its node has more than one. */
const closedVerb = (type: string, verb: string, node: Tree): string => {
  if (type === 'TransactionStmt') {
    const kind = String(node['kind']);
    return TRANSACTION_VERBS[kind] ?? kind.replace('TRANS_STMT_', '').split('_')[0] ?? verb;
  }
  if (type === 'VariableSetStmt') return String(node['kind']).includes('RESET') ? 'RESET' : verb;
  if (type === 'GrantStmt' || type === 'GrantRoleStmt') return node['is_grant'] === true ? verb : 'REVOKE';
  return verb;
};

const closedRelations = (type: string, node: Tree, into: Set<string>): void => {
  relationsIn(node, into);
  if (type !== 'DropStmt') return;
  for (const object of listOf(node['objects'])) {
    const name = nameParts(inside(object, 'List')?.['items']).join('.');
    if (name !== '') into.add(shown(name));
  }
};

/** Judges one element of the parser's `stmts`. */
export const judgeStatement = (raw: unknown, level: JudgedLevel, names: Names): Judgement => {
  const statement = treeOf(treeOf(raw)?.['stmt']) ?? {};
  const [type = ''] = Object.keys(statement);
  const node = treeOf(statement[type]) ?? {};
  const walk = new Walk(level, names);
  const open = OPEN_STATEMENTS[type as keyof typeof OPEN_STATEMENTS] as readonly [string, SqlAccess] | undefined;
  const closed = CLOSED_STATEMENTS[type as keyof typeof CLOSED_STATEMENTS] as readonly [string, SqlAccess] | undefined;
  let verb = open?.[0] ?? shown(type);
  if (open !== undefined) walk.nodes(statement);
  else if (closed !== undefined) {
    verb = closedVerb(type, closed[0], node);
    closedRelations(type, node, walk.relations);
    const on = walk.relations.size === 0 ? '' : ` on ${[...walk.relations].slice(0, 3).join(', ')}`;
    walk.does(closed[1], `${verb}${on}`);
  } else walk.deny('syntax-unknown', `the statement ${verb} is not known`);
  const { fault } = walk;
  const said = {
    verb,
    access: walk.access,
    relations: Object.freeze([...walk.relations]),
    functions: Object.freeze([...walk.functions]),
  };
  const { massUpdates } = walk;
  if (fault === undefined) return { statement: Object.freeze({ ...said, allowed: true }), massUpdates };
  return { statement: Object.freeze({ ...said, allowed: false, reason: fault.reason }), fault, massUpdates };
};
