/** Walks the parse tree of one PostgreSQL statement and says what it does. */
import type { SqlAccess } from '../model/sql.ts';
import { SQL_ACCESSES } from '../model/sql.ts';
import type { NodeType } from './sql/node-fields.ts';
import { rules } from './sql-enter.ts';
import type { Rule } from './sql-enter.ts';
import { isDeniedView, isSystemRelation, nameOf } from './sql-names.ts';
import type { Names, SqlName } from './sql-names.ts';
import { CLOSED_STATEMENTS } from './sql-rules.ts';
import { inside, listOf, nameParts, shown, textOf, treeOf } from './sql-tree.ts';
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
    if (rule.isInert !== true) this.typed(rule, value as Tree);
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
      else if (kind.isInert !== true) this.typed(kind, value as Tree);
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
