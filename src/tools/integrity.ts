/** Step `check_integrity`: is the tool still the one that was governed? */
import type { ToolShape } from './shape.ts';

interface ApprovedSchema {
  readonly key: string;
  readonly schema: unknown;
  /** For a schema that is plain data (JSON Schema), a copy of it: such an object can be changed in place. */
  readonly data: { readonly copy: unknown } | undefined;
}

/** What was approved: compared on every call. */
export interface ToolSnapshot {
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly schemas: readonly ApprovedSchema[];
}

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

const isPlainData = (value: unknown): boolean => isPlain(value) && !('~standard' in value);

/** Members are compared one by one, and `toJSON` is never asked: a schema must not choose what is compared of it. */
const copyOf = (value: unknown, above: ReadonlySet<unknown> = new Set()): unknown => {
  // Where it leads back into itself it is compared by identity.
  if (above.has(value)) return value;
  if (Array.isArray(value)) return value.map((item) => copyOf(item, new Set(above).add(value)));
  if (!isPlain(value)) return value;
  const within = new Set(above).add(value);
  return new Map(Object.keys(value).map((key) => [key, copyOf(value[key], within)]));
};

const isSame = (value: unknown, copy: unknown): boolean => {
  if (copy instanceof Map && isPlain(value)) {
    const keys = Object.keys(value);
    return keys.length === copy.size && keys.every((key) => copy.has(key) && isSame(value[key], copy.get(key)));
  }
  if (Array.isArray(copy) && Array.isArray(value) && copy !== value) {
    return value.length === copy.length && copy.every((item, index) => isSame(value[index], item));
  }
  return Object.is(value, copy);
};

const readText = (tool: object, key: string): string | undefined => {
  const value: unknown = (tool as Record<string, unknown>)[key];
  return typeof value === 'string' ? value : undefined;
};

export const snapshotOf = (tool: object, shape: ToolShape): ToolSnapshot => ({
  name: readText(tool, 'name'),
  description: readText(tool, 'description'),
  schemas: shape.schemaKeys.map((key) => {
    const schema = (tool as Record<string, unknown>)[key];
    return { key, schema, data: isPlainData(schema) ? { copy: copyOf(schema) } : undefined };
  }),
});

/** What changed since the snapshot, in words; `undefined` when nothing did. */
export const integrityFault = (tool: object, approved: ToolSnapshot): string | undefined => {
  if (readText(tool, 'name') !== approved.name) return 'its name changed since it was governed';
  if (readText(tool, 'description') !== approved.description) return 'its description changed since it was governed';
  for (const { key, schema, data } of approved.schemas) {
    const now = (tool as Record<string, unknown>)[key];
    if (now !== schema) return 'its schema was replaced since it was governed';
    if (data !== undefined && !isSame(now, data.copy)) return 'its schema changed since it was governed';
  }
  return undefined;
};
