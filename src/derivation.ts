/** Door-internal: how a tool's effects are derived from its arguments: by its declaration, else by inference. */
import { prepareSqlNow } from './check-sql.ts';
import type { DeriveEffects } from './effect/declare.ts';
import { compileDeclaration, requireDeclaredArguments } from './effect/declare.ts';
import { compileInference, inferredBasis } from './effect/infer.ts';
import type { Basis } from './model/decision.ts';
import type { EffectDeclaration } from './model/effect.ts';
import { jsonSchemaOf } from './tools/shape.ts';
import type { ToolShape } from './tools/shape.ts';

/** The names that a JSON Schema gives to arguments, where it gives all of them. */
const argumentsIn = (schema: unknown): ReadonlySet<string> | undefined => {
  if (typeof schema !== 'object' || schema === null) return undefined;
  const { properties } = schema as { properties?: unknown };
  const isOpen = ['anyOf', 'oneOf', 'allOf', '$ref', 'patternProperties'].some((word) => word in schema);
  const { additionalProperties = false } = schema as { additionalProperties?: unknown };
  if (isOpen || additionalProperties !== false || typeof properties !== 'object' || properties === null)
    return undefined;
  return new Set(Object.keys(properties));
};

export const derivationOf = (
  shape: ToolShape,
  declared: EffectDeclaration | undefined,
): { derive: DeriveEffects; basis: Basis } => {
  if (declared !== undefined) {
    // Read now what the first statement would need: after a lock-down the files may be out of reach.
    if (declared.sql !== undefined) prepareSqlNow();
    const known = argumentsIn(jsonSchemaOf(shape.schema));
    if (known !== undefined) requireDeclaredArguments(shape.name, declared, known);
    return { derive: compileDeclaration(shape.name, declared, shape.parameters), basis: 'declared' };
  }
  const known = {
    name: shape.name,
    description: shape.description,
    schema: jsonSchemaOf(shape.schema),
    parameterNames: shape.parameters?.list.map(({ name, rest }) => (rest ? '' : name)) ?? [],
  };
  return { derive: compileInference(known), basis: inferredBasis(known) };
};
