/** Typed, unhurried looks at parse-tree JSON: what has not the expected shape is empty, never a throw. */

export type Tree = Readonly<Record<string, unknown>>;

export const treeOf = (value: unknown): Tree | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Tree) : undefined;

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** The inside of `{Type: {…}}` when it is of that type. */
export const inside = (value: unknown, type: string): Tree | undefined => treeOf(treeOf(value)?.[type]);

export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** The parts of a dotted name; a part that is not a name is `undefined`. */
export const partsOf = (value: unknown): readonly (string | undefined)[] =>
  listOf(value).map((part) => textOf(inside(part, 'String')?.['sval']));

/** The parts of a dotted name that are names. Written as a loop: every function, operator and type comes through here. */
export const nameParts = (value: unknown): readonly string[] => {
  const parts: string[] = [];
  if (!Array.isArray(value)) return parts;
  for (const part of value as readonly (Tree | null)[]) {
    const text = (part?.['String'] as Tree | undefined)?.['sval'];
    if (typeof text === 'string' && text !== '') parts.push(text);
  }
  return parts;
};

const PLAIN_NAME = /^[\w.]{1,63}$/u;

/** A name as it may stand in a message: no control characters, at most 63 of them as in PostgreSQL. */
export const shown = (name: string): string => {
  if (PLAIN_NAME.test(name)) return name;
  const clean = name.replaceAll(/[\p{Cc}\u2028\u2029]/gu, '?');
  return clean.length > 63 ? `${clean.slice(0, 62)}…` : clean;
};

/** True when the expression mentions no column, parameter, query or function: it is the same for every row. */
export const isConstant = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.every(isConstant);
  const tree = treeOf(value);
  if (tree === undefined) return true;
  return Object.entries(tree).every(
    ([key, inner]) =>
      !['ColumnRef', 'ParamRef', 'SubLink', 'FuncCall', 'CurrentOfExpr'].includes(key) && isConstant(inner),
  );
};

/**
 * A string, NULL, a parameter or an array of them: a cast of it runs an input function. That of a number can run a cast
 * function of the program's.
 */
export const isLiteral = (value: unknown): boolean => {
  const constant = inside(value, 'A_Const');
  if (constant !== undefined) return constant['sval'] !== undefined || constant['isnull'] === true;
  if (inside(value, 'ParamRef') !== undefined) return true;
  const array = inside(value, 'A_ArrayExpr');
  return array !== undefined && listOf(array['elements']).every(isLiteral);
};

/** Every table named anywhere inside, for the report on a statement that is denied as a whole. */
export const relationsIn = (value: unknown, into: Set<string>, depth = 0): void => {
  if (depth > 200 || typeof value !== 'object' || value === null) return;
  const tree = value as Tree;
  const name = textOf(tree['relname']);
  if (name !== undefined) {
    const schema = textOf(tree['schemaname']);
    into.add(shown(schema === undefined ? name : `${schema}.${name}`));
  }
  for (const key of Object.keys(tree)) relationsIn(tree[key], into, depth + 1);
};
