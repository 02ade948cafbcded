/** Typed declarations of tools, as text for a model's prompt: what "code mode" shows it. */
import { z } from 'zod';
import type { CallableTool } from './tools.ts';

type Json = Readonly<Record<string, unknown>>;

const MAX_DEPTH = 8;

/** See `declareTools` of the door. */
export const declarationsOf = (tools: ReadonlyMap<string, CallableTool>): string => {
  const members = [...tools].map(([name, { tool }]) => {
    const about = tool as unknown as Json;
    const description = typeof about['description'] === 'string' ? comment(about['description']) : '';
    const schema = inputSchemaOf(about);
    const parameters =
      typeof tool === 'function'
        ? '...args: unknown[]'
        : `input: ${schema === undefined ? 'unknown' : typeOf(schema, 1)}`;
    return `${description}  ${keyOf(name)}(${parameters}): Promise<unknown>;`;
  });
  return members.length === 0 ? 'declare const tools: {};\n' : `declare const tools: {\n${members.join('\n')}\n};\n`;
};

const comment = (text: string): string => {
  const line = text.replaceAll('*/', '* /').replaceAll(/\s+/gu, ' ').trim().slice(0, 1000);
  return line === '' ? '' : `  /** ${line} */\n`;
};

const keyOf = (name: string): string => (/^[A-Za-z_$][\w$]*$/u.test(name) ? name : JSON.stringify(name));

const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

const inputSchemaOf = (tool: Json): Json | undefined => {
  const schema = tool['input'] ?? tool['inputSchema'] ?? tool['parameters'];
  if (!isJson(schema) && typeof schema !== 'function') return undefined;
  const about = schema as Json;
  if (isJson(about['jsonSchema'])) return about['jsonSchema'];
  if (typeof about['type'] === 'string' && !('~standard' in about)) return about;
  if ('_zod' in about) {
    try {
      return z.toJSONSchema(zodType(schema), { unrepresentable: 'any', io: 'input' });
    } catch {
      return undefined;
    }
  }
  return undefined;
};

/** Known by its mark: another copy of zod will do. */
const zodType = (schema: unknown): z.ZodType => schema as z.ZodType;

const typeOf = (schema: unknown, depth: number): string => {
  if (!isJson(schema) || depth > MAX_DEPTH) return 'unknown';
  if ('const' in schema) return JSON.stringify(schema['const']) ?? 'unknown';
  if (Array.isArray(schema['enum'])) return schema['enum'].map((value) => JSON.stringify(value)).join(' | ') || 'never';
  for (const [key, joint] of [
    ['anyOf', ' | '],
    ['oneOf', ' | '],
    ['allOf', ' & '],
  ] as const) {
    const parts = schema[key];
    if (Array.isArray(parts) && parts.length > 0)
      return parts.map((part) => parenthesised(typeOf(part, depth + 1))).join(joint);
  }
  const { type } = schema;
  if (Array.isArray(type)) return type.map((one: unknown) => typeOf({ ...schema, type: one }, depth + 1)).join(' | ');
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
    case 'number':
      return type;
    case 'integer':
      return 'number';
    case 'array':
      return `${parenthesised(typeOf(schema['items'], depth + 1))}[]`;
    case 'object':
      return objectType(schema, depth);
    default:
      return 'unknown';
  }
};

const parenthesised = (type: string): string => (/[|&]/u.test(type) && !type.startsWith('{') ? `(${type})` : type);

const objectType = (schema: Json, depth: number): string => {
  const properties = isJson(schema['properties']) ? schema['properties'] : {};
  const required = Array.isArray(schema['required']) ? (schema['required'] as readonly unknown[]) : [];
  const members = Object.entries(properties).map(([name, property]) => {
    const about =
      isJson(property) && typeof property['description'] === 'string'
        ? `/** ${property['description'].replaceAll('*/', '* /').replaceAll(/\s+/gu, ' ').slice(0, 300)} */ `
        : '';
    return `${about}${keyOf(name)}${required.includes(name) ? '' : '?'}: ${typeOf(property, depth + 1)}`;
  });
  if (members.length > 0) return `{ ${members.join('; ')} }`;
  return isJson(schema['additionalProperties'])
    ? `Record<string, ${typeOf(schema['additionalProperties'], depth + 1)}>`
    : '{}';
};
