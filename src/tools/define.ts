/** A tool in this package's own shape. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { EffectDeclaration } from '../model/effect.ts';
import type { Grant } from '../model/grant.ts';

/** What a tool's body may know about its call. */
export interface ToolContext {
  readonly callId: string;
  readonly signal?: AbortSignal;
  /** The permissions that the decision gave, one for each effect: a broker performs nothing without its own. */
  readonly grants?: readonly Grant[];
}

/** US dollars for one call, or a function of its arguments and result. Default 0. */
export type Cost<Input, Result> = number | ((input: Input, result?: Awaited<Result>) => number);

export interface Tool<
  Name extends string = string,
  Schema extends StandardSchemaV1 = StandardSchemaV1,
  Result = unknown,
> {
  readonly name: Name;
  readonly description: string;
  /** Any Standard Schema: zod, valibot, arktype … */
  readonly input: Schema;
  readonly effects?: EffectDeclaration;
  readonly cost?: Cost<StandardSchemaV1.InferOutput<Schema>, Result>;
  readonly execute: (input: StandardSchemaV1.InferOutput<Schema>, context?: ToolContext) => Result;
}

/** Returns the definition unchanged, with its types inferred. */
export const defineTool = <const Name extends string, Schema extends StandardSchemaV1, Result>(
  tool: Tool<Name, Schema, Result>,
): Tool<Name, Schema, Result> => tool;
