/** Step `check_integrity`: is the tool still the one that was governed? */
import type { ToolShape } from './shape.ts';

/** What was approved: compared on every call, so it is kept in the form that compares fastest. */
export interface ToolSnapshot {
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly schema: unknown;
  /** For a schema that is plain data (JSON Schema), its text: such an object can be changed in place. */
  readonly schemaText: string | undefined;
}

const isPlainData = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.getPrototypeOf(value) === Object.prototype &&
  !('~standard' in value);

const textOf = (schema: unknown): string | undefined => {
  try {
    return isPlainData(schema) ? JSON.stringify(schema) : undefined;
  } catch {
    return '';
  }
};

const readText = (tool: object, key: string): string | undefined => {
  const value: unknown = (tool as Record<string, unknown>)[key];
  return typeof value === 'string' ? value : undefined;
};

const schemaOf = (tool: object, shape: ToolShape): unknown =>
  shape.schemaKey === undefined ? undefined : (tool as Record<string, unknown>)[shape.schemaKey];

export const snapshotOf = (tool: object, shape: ToolShape): ToolSnapshot => {
  const schema = schemaOf(tool, shape);
  return {
    name: readText(tool, 'name'),
    description: readText(tool, 'description'),
    schema,
    schemaText: textOf(schema),
  };
};

/** What changed since the snapshot, in words; `undefined` when nothing did. */
export const integrityFault = (tool: object, shape: ToolShape, approved: ToolSnapshot): string | undefined => {
  if (readText(tool, 'name') !== approved.name) return 'its name changed since it was governed';
  if (readText(tool, 'description') !== approved.description) return 'its description changed since it was governed';
  const schema = schemaOf(tool, shape);
  if (schema !== approved.schema) return 'its schema was replaced since it was governed';
  if (approved.schemaText !== undefined && textOf(schema) !== approved.schemaText) {
    return 'its schema changed since it was governed';
  }
  return undefined;
};
