/** What the walk does at each kind of node: which part is a name, a call, a cast, a write; and which fields it follows. */
import { NODE_FIELDS } from './sql/node-fields.ts';
import type { NodeType } from './sql/node-fields.ts';
import { nameOf } from './sql-names.ts';
import { OPEN_STATEMENTS, PARTS } from './sql-rules.ts';
import { inside, isConstant, isLiteral, listOf, nameParts, partsOf, shown, textOf, treeOf } from './sql-tree.ts';
import type { Tree } from './sql-tree.ts';
import type { Walk } from './sql-walk.ts';

const TABLESAMPLE_METHODS = new Set(['bernoulli', 'system']);

const SCALARS = [
  'A_Const',
  'A_Expr',
  'A_ArrayExpr',
  'BoolExpr',
  'SQLValueFunction',
  'NullTest',
  'BooleanTest',
] as const;

export interface Rule {
  readonly type: NodeType;
  readonly fields: ReadonlyMap<string, Rule | 'nodes' | 'scalar'>;
  readonly enter?: (walk: Walk, node: Tree) => void;
  /** Constants and names, all the way down: the grammar leaves nothing in it to be asked about. */
  readonly isInert?: boolean;
}

const update = (walk: Walk, node: Tree, condition: unknown): void => {
  if (!walk.runs || (condition !== undefined && !isConstant(condition))) return;
  walk.massUpdates.push(shown(textOf(treeOf(node['relation'])?.['relname']) ?? ''));
};

const explainRuns = (node: Tree): boolean =>
  // `ANALYZE false` counts as ANALYZE: which of several wins is not worth a mistake.
  listOf(node['options']).some((option) => inside(option, 'DefElem')?.['defname'] === 'analyze');

const ENTER: Partial<Record<NodeType, (walk: Walk, node: Tree) => void>> = {
  SelectStmt(walk, node) {
    if (node['intoClause'] !== undefined) {
      const target = treeOf(treeOf(node['intoClause'])?.['rel']);
      walk.does('define', `SELECT INTO ${shown(textOf(target?.['relname']) ?? '')}`.trim(), 'select-into');
      const { intoClause: _, ...rest } = node;
      walk.withQueries('SelectStmt', rest);
    } else walk.withQueries('SelectStmt', node);
  },
  InsertStmt(walk, node) {
    walk.writes('write', 'INSERT', node);
    walk.withQueries('InsertStmt', node);
  },
  UpdateStmt(walk, node) {
    walk.writes('write', 'UPDATE', node);
    update(walk, node, node['whereClause']);
    walk.withQueries('UpdateStmt', node);
  },
  DeleteStmt(walk, node) {
    walk.writes('delete', 'DELETE', node);
    walk.withQueries('DeleteStmt', node);
  },
  MergeStmt(walk, node) {
    const commands = listOf(node['mergeWhenClauses']).map(
      (clause) => inside(clause, 'MergeWhenClause')?.['commandType'],
    );
    const deletes = !commands.every((command) => ['CMD_INSERT', 'CMD_UPDATE', 'CMD_NOTHING'].includes(String(command)));
    walk.writes(deletes ? 'delete' : 'write', deletes ? 'MERGE with DELETE' : 'MERGE', node);
    if (commands.includes('CMD_UPDATE')) update(walk, node, node['joinCondition']);
    walk.withQueries('MergeStmt', node);
  },
  ExplainStmt(walk, node) {
    const runs = walk.runs;
    walk.runs = runs && explainRuns(node);
    walk.nodes(node['query']);
    walk.runs = runs;
  },
  PrepareStmt(walk, node) {
    walk.nodes(node['query']);
  },
  LockingClause(walk, node) {
    const strength = String(node['strength']).replace('LCS_FOR', 'FOR ');
    walk.does('write', `SELECT ${strength}`, 'row-lock');
  },
  RangeVar(walk, node) {
    walk.relation(node);
  },
  FuncCall(walk, node) {
    walk.call(nameParts(node['funcname']));
    walk.inner('FuncCall', node);
  },
  ColumnRef(walk, node) {
    const fields = listOf(node['fields']);
    if (fields.length > 1) walk.attribute(partsOf(fields).at(-1));
  },
  A_Indirection(walk, node) {
    // A scalar has no fields: what is taken from it is the result of a function.
    const scalar = SCALARS.some((type) => inside(node['arg'], type) !== undefined);
    for (const step of partsOf(node['indirection'])) {
      walk.attribute(step);
      if (scalar && step !== undefined) walk.call([step]);
    }
    walk.inner('A_Indirection', node);
  },
  A_Expr(walk, node) {
    walk.operator(node['name']);
    walk.inner('A_Expr', node);
  },
  SubLink(walk, node) {
    walk.operator(node['operName']);
    walk.inner('SubLink', node);
  },
  SortBy(walk, node) {
    walk.operator(node['useOp']);
    walk.inner('SortBy', node);
  },
  TypeCast(walk, node) {
    walk.typeName(node['typeName'], isLiteral(node['arg']));
    walk.nodes(node['arg']);
  },
  TypeName(walk, node) {
    walk.typeName(node, false);
  },
  RangeTableSample(walk, node) {
    const method = nameOf(nameParts(node['method']));
    const builtin = method.schema === undefined || method.schema === 'pg_catalog';
    if (!builtin || !TABLESAMPLE_METHODS.has(method.name)) walk.call(nameParts(node['method']));
    walk.inner('RangeTableSample', node);
  },
};

/** By the generated table alone, so that a grammar that puts something into a constant makes it no longer one. */
function markInert(all: ReadonlyMap<NodeType, Rule>): ReadonlyMap<NodeType, Rule> {
  const inert = new Set<Rule>();
  for (let before = -1; before < inert.size;) {
    before = inert.size;
    for (const rule of all.values()) {
      const kinds = [...rule.fields.values()];
      if (
        rule.enter === undefined &&
        kinds.every((kind) => kind === 'scalar' || (kind !== 'nodes' && inert.has(kind)))
      ) {
        inert.add(rule);
      }
    }
  }
  for (const rule of inert) Object.assign(rule, { isInert: true });
  return all;
}

export const rules: ReadonlyMap<NodeType, Rule> = (() => {
  const result = new Map<NodeType, Rule>();
  const types: readonly NodeType[] = [...PARTS, ...(Object.keys(OPEN_STATEMENTS) as (keyof typeof OPEN_STATEMENTS)[])];
  const texts: Readonly<Record<NodeType, string>> = NODE_FIELDS;
  const fields = new Map(types.map((type) => [type, new Map<string, Rule | 'nodes' | 'scalar'>()]));
  for (const type of types) {
    const enter = ENTER[type];
    result.set(type, { type, fields: fields.get(type) ?? new Map(), ...(enter === undefined ? {} : { enter }) });
  }
  for (const [type, target] of fields) {
    for (const field of texts[type].split(' ')) {
      const [name = '', inner] = field.split('>');
      if (inner !== undefined) {
        const rule = result.get(inner as NodeType);
        // A field of a type that is never allowed (an INTO clause) stays unknown, and is denied.
        if (rule !== undefined) target.set(name, rule);
      } else if (name.endsWith('*')) target.set(name.slice(0, -1), 'nodes');
      else target.set(name, 'scalar');
    }
  }
  return markInert(result);
})();
