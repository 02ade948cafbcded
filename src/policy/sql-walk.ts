/** Walks the parse tree of one PostgreSQL statement and says what it does. */
import type { SqlAccess } from '../model/sql.ts';
import { SQL_ACCESSES } from '../model/sql.ts';
import { NODE_FIELDS } from './sql/node-fields.ts';
import type { NodeType } from './sql/node-fields.ts';
import { isDeniedView, isSystemRelation, nameOf } from './sql-names.ts';
import type { Names, SqlName } from './sql-names.ts';
import { CLOSED_STATEMENTS, OPEN_STATEMENTS, PARTS } from './sql-rules.ts';
import { inside, isConstant, isLiteral, listOf, nameParts, partsOf, shown, textOf, treeOf } from './sql-tree.ts';
import type { Tree } from './sql-tree.ts';

export type JudgedLevel = 'read_only' | 'safe_write';

export interface Fault {
  readonly code: string;
  readonly reason: string;
}

const ALLOWS: Readonly<Record<JudgedLevel, { readonly accesses: readonly SqlAccess[]; readonly text: string }>> = {
  read_only: { accesses: ['read'], text: 'db=read_only, which allows statements that only read' },
  safe_write: { accesses: ['read', 'write'], text: 'db=safe_write, which allows reading, INSERT and UPDATE' },
};

/** Far above what a text within `SQL_LIMITS` parses to; bounds the recursion here. */
const MAX_DEPTH = 4000;
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

interface Rule {
  readonly type: NodeType;
  readonly fields: ReadonlyMap<string, Rule | 'nodes' | 'scalar'>;
  readonly enter?: (walk: Walk, node: Tree) => void;
  readonly open?: readonly [verb: string, access: SqlAccess];
}

/** The state of the walk through one statement. */
export class Walk {
  readonly relations = new Set<string>();
  readonly functions = new Set<string>();
  readonly massUpdates: string[] = [];
  /** Names of the WITH queries that can be seen from here, innermost last. */
  readonly queries: string[] = [];
  access: SqlAccess = 'read';
  fault: Fault | undefined;
  /** Inside EXPLAIN without ANALYZE nothing runs. */
  runs = true;
  depth = 0;
  readonly level: JudgedLevel;
  readonly names: Names;

  constructor(level: JudgedLevel, names: Names) {
    this.level = level;
    this.names = names;
  }

  deny(code: string, reason: string): void {
    this.fault ??= { code: `sql.${code}`, reason };
  }

  /** Notes that the statement does this, and denies it where the level does not allow it. */
  does(access: SqlAccess, what: string, code = 'verb-denied'): void {
    if (!this.runs) return;
    if (SQL_ACCESSES.indexOf(access) > SQL_ACCESSES.indexOf(this.access)) this.access = access;
    const { accesses, text } = ALLOWS[this.level];
    if (!accesses.includes(access)) this.deny(code, `${what} is not allowed by ${text}`);
  }

  nodes(value: unknown): void {
    if (Array.isArray(value)) {
      for (const element of value) this.nodes(element);
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    for (const type in value) this.node(type, (value as Tree)[type]);
  }

  node(type: string, value: unknown): void {
    const rule = rules.get(type as NodeType);
    if (rule === undefined) {
      const closed = CLOSED_STATEMENTS[type as keyof typeof CLOSED_STATEMENTS] as
        | readonly [string, SqlAccess]
        | undefined;
      if (closed === undefined) this.deny('syntax-unknown', `the syntax ${shown(type)} is not known to be harmless`);
      else {
        this.runs = true;
        this.does(closed[1], closed[0]);
      }
      return;
    }
    this.typed(rule, value as Tree);
  }

  typed(rule: Rule, node: Tree): void {
    if (++this.depth > MAX_DEPTH) {
      this.deny('too-deep', 'the statement nests too deeply');
      this.depth--;
      return;
    }
    if (rule.enter === undefined) this.fields(rule, node);
    else rule.enter(this, node);
    this.depth--;
  }

  fields(rule: Rule, node: Tree): void {
    for (const field in node) {
      const value = node[field];
      // Most fields are scalars, which do nothing by themselves; those that matter are asked for by name.
      if (typeof value !== 'object') continue;
      const kind = rule.fields.get(field);
      if (kind === 'nodes') this.nodes(value);
      else if (kind === 'scalar') continue;
      else if (kind === undefined) this.deny('syntax-unknown', `the syntax ${rule.type}.${shown(field)} is not known`);
      else this.typed(kind, value as Tree);
    }
  }

  inner(type: NodeType, node: Tree): void {
    const rule = rules.get(type);
    if (rule === undefined) this.deny('syntax-unknown', `the syntax ${type} is not known to be harmless`);
    else this.fields(rule, node);
  }

  /** A statement and its WITH queries, which see those before them, and themselves when RECURSIVE. */
  withQueries(type: NodeType, node: Tree): void {
    const clause = treeOf(node['withClause']);
    if (clause === undefined) {
      this.inner(type, node);
      return;
    }
    const outside = this.queries.length;
    const queries = listOf(clause['ctes']);
    const named = queries.map((query) => textOf(inside(query, 'CommonTableExpr')?.['ctename']) ?? '');
    if (clause['recursive'] === true) this.queries.push(...named);
    for (const [index, query] of queries.entries()) {
      this.nodes(query);
      if (clause['recursive'] !== true) this.queries.push(named[index] ?? '');
    }
    this.inner(type, { ...node, withClause: {} });
    this.queries.length = outside;
  }

  relation(value: unknown): SqlName | undefined {
    const node = treeOf(value);
    const name = textOf(node?.['relname']);
    if (name === undefined) return undefined;
    const schema = textOf(node?.['schemaname']);
    const known = nameOf(schema === undefined ? [name] : [schema, name]);
    if (schema === undefined && this.queries.includes(name)) return known;
    this.relations.add(shown(known.text));
    if (isDeniedView(known)) this.deny('relation-denied', `${shown(known.text)} reads files of the server`);
    return known;
  }

  writes(access: SqlAccess, verb: string, node: Tree): void {
    const target = this.relation(node['relation']);
    const on = target === undefined ? '' : ` on ${shown(target.text)}`;
    this.does(access, `${verb}${on}`);
    if (target !== undefined && this.runs && isSystemRelation(target)) {
      this.deny('catalogue-write', `${verb}${on} changes a system catalogue`);
    }
  }

  call(parts: readonly string[]): void {
    const name = nameOf(parts);
    this.functions.add(shown(name.text));
    const verdict = this.names.function(name);
    if (verdict === 'harmless') return;
    const text = `the function ${shown(name.text)}`;
    if (verdict === 'writes') {
      this.does('write', text, 'function-denied');
      return;
    }
    if (verdict === 'unknown') {
      const hint = 'declare it in `harmlessFunctions` if it only reads';
      this.deny('function-unknown', `${text} is not known to be harmless: ${hint}`);
    } else this.deny('function-denied', `${text} ${verdict.denied}`);
  }

  operator(value: unknown): void {
    const parts = nameParts(value);
    if (parts.length === 0) return;
    const name = nameOf(parts);
    if (!this.names.operator(name)) {
      this.deny('operator-unknown', `the operator ${shown(name.text)} is not known to be harmless`);
    }
  }

  /** `x.name` is a column, or a call of the function `name` with `x`. */
  attribute(name: string | undefined): void {
    if (name === undefined) return;
    const reason = this.names.attribute(name, this.level === 'safe_write');
    if (reason === undefined) return;
    this.functions.add(shown(name));
    this.deny('function-denied', `.${shown(name)} can call the function ${shown(name)}, which ${reason}`);
  }

  typeName(value: unknown, literal: boolean): void {
    const node = treeOf(value);
    if (node === undefined) return;
    const name = nameOf(nameParts(node['names']));
    if (node['pct_type'] === true || (!literal && !this.names.type(name))) {
      const hint = 'declare it in `harmlessFunctions` if its casts only compute';
      this.deny('type-unknown', `the type ${shown(name.text)} is not known to be harmless: ${hint}`);
    }
    this.nodes(node['typmods']);
  }
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

const rules: ReadonlyMap<NodeType, Rule> = (() => {
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
  return result;
})();
