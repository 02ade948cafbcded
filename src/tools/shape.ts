/**
 * What kind of tool a value is: its name, its schema, where its body is. By structure, never by `instanceof`: two copies
 * of a framework in one program must not matter.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { TapPassConfigError } from '../model/errors.ts';
import type { FunctionParameters } from '../model/call.ts';
import type { EffectDeclaration } from '../model/effect.ts';
import { parametersOf } from './parameters.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- the one place that must accept every signature
export type AnyFunction = (this: any, ...args: any[]) => unknown;

export type BodyKind = 'sync' | 'async' | 'generator' | 'async-generator';

export interface ToolShape {
  readonly kind: 'function' | 'object';
  readonly name: string;
  readonly description: string;
  /** The function that runs, as it was when the tool was governed. */
  readonly body: AnyFunction;
  readonly bodyKind: BodyKind;
  /** For objects: the property that holds the body. */
  readonly method: string;
  /** Where schemas stand on the tool, for the integrity check; the first is the one that validates. */
  readonly schemaKeys: readonly string[];
  readonly schema: unknown;
  readonly validate: StandardSchemaV1['~standard']['validate'] | undefined;
  readonly declared: EffectDeclaration | undefined;
  readonly cost: unknown;
  /** Of a function, as far as its source shows them; absent for objects. */
  readonly parameters: FunctionParameters | undefined;
}

export const SCHEMA_KEYS = ['input', 'inputSchema', 'parameters', 'schema', 'input_schema'] as const;

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

export const bodyKindOf = (body: Function): BodyKind => {
  switch (Object.prototype.toString.call(body)) {
    case '[object AsyncFunction]':
      return 'async';
    case '[object GeneratorFunction]':
      return 'generator';
    case '[object AsyncGeneratorFunction]':
      return 'async-generator';
    default:
      return 'sync';
  }
};

const standardValidate = (schema: unknown): ToolShape['validate'] => {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return undefined;
  const standard = (schema as { '~standard'?: unknown })['~standard'];
  if (!isRecord(standard) || typeof standard['validate'] !== 'function') return undefined;
  const { validate } = standard as unknown as StandardSchemaV1['~standard'];
  return (value, options) => validate.call(standard, value, options);
};

const ELSEWHERE = 'A tool that runs elsewhere (hosted by a model provider) cannot be governed in this process.';

const refuse = (where: string, came: string, cure = ELSEWHERE): never => {
  throw new TapPassConfigError(
    `Expected ${where} to be a function or an object with a name, a schema and \`execute\`, got ${came}. ${cure}`,
    { code: 'TAPPASS_CONFIG_TOOL' },
  );
};

/** How frameworks run what they have made a tool of. */
const MADE_BY_FRAMEWORKS = ['invoke', 'runAsync', 'handler', 'func', 'call'] as const;

const refuseWithoutBody = (where: string, tool: Readonly<Record<string, unknown>>): never => {
  const made = MADE_BY_FRAMEWORKS.find((method) => typeof tool[method] === 'function');
  if (made === undefined) return refuse(where, 'an object without `execute`');
  return refuse(
    where,
    `a tool that a framework runs by \`${made}\``,
    'Instead, govern its function first, and make the tool of what comes back.',
  );
};

/** Reads a tool's shape; throws `TapPassConfigError` for what cannot be governed. `key` is its name in a record. */
export const shapeOf = (tool: unknown, key: string | undefined, where: string): ToolShape => {
  if (typeof tool === 'function') {
    const name = key ?? tool.name;
    if (name === '') refuse(where, 'a function without a name: put it in a record, or name it');
    if (/^class\b/u.test(Function.prototype.toString.call(tool))) refuse(where, 'a class');
    const body = tool as AnyFunction;
    return {
      kind: 'function',
      name,
      description: textOf((tool as { description?: unknown }).description),
      body,
      bodyKind: bodyKindOf(tool),
      method: '',
      schemaKeys: [],
      schema: undefined,
      validate: undefined,
      declared: undefined,
      cost: undefined,
      parameters: parametersOf(tool),
    };
  }
  if (!isRecord(tool)) return refuse(where, tool === null ? 'null' : typeof tool);
  const { execute } = tool;
  if (typeof execute !== 'function') return refuseWithoutBody(where, tool);
  const named = typeof tool['name'] === 'string' && tool['name'] !== '' ? tool['name'] : undefined;
  const name = named ?? key ?? (typeof tool['id'] === 'string' ? tool['id'] : '');
  if (name === '') return refuse(where, 'an object without a name');
  const schemaKeys = SCHEMA_KEYS.filter((candidate) => tool[candidate] !== undefined);
  const schema = schemaKeys[0] === undefined ? undefined : tool[schemaKeys[0]];
  const { effects } = tool;
  if (effects !== undefined && !isRecord(effects)) refuse(where, 'an object whose `effects` are no record');
  return {
    kind: 'object',
    name,
    description: textOf(tool['description']),
    body: execute as AnyFunction,
    bodyKind: bodyKindOf(execute),
    method: 'execute',
    schemaKeys,
    schema,
    validate: standardValidate(schema),
    declared: isRecord(effects) ? effects : undefined,
    cost: tool['cost'],
    parameters: undefined,
  };
};

/** The JSON Schema of a tool's arguments, where it is one, holds one (AI SDK), or can be made (Standard JSON Schema). */
export const jsonSchemaOf = (schema: unknown): unknown => {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return undefined;
  const { '~standard': standard, jsonSchema } = schema as { '~standard'?: unknown; jsonSchema?: unknown };
  if (isRecord(jsonSchema)) return jsonSchema;
  if (!isRecord(standard)) return schema;
  try {
    const { jsonSchema: make } = standard as { jsonSchema?: { input?: (options: object) => unknown } };
    return make?.input?.({ target: 'draft-2020-12' });
  } catch {
    // A schema that has no JSON form (transforms, custom types) is judged by names and values alone.
    return undefined;
  }
};
