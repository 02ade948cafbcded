/** Door: a tool whose body is an untrusted program. It runs under a tier, contained, once for each call. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { TapPassConfigError } from './model/errors.ts';
import { type OptionRules, requireOptions } from './model/options.ts';
import type { Tier } from './model/tier.ts';
import { runCommand } from './run-command.ts';
import type { CommandResult, RunCommandOptions } from './run-command.ts';
import type { Tool, ToolContext } from './tools/define.ts';

export interface CommandToolDefinition<Name extends string, Schema extends StandardSchemaV1> extends Pick<
  RunCommandOptions,
  'commands' | 'env' | 'limits' | 'network' | 'profile' | 'timeoutMs' | 'workspace'
> {
  readonly name: Name;
  readonly description: string;
  /** Any Standard Schema. */
  readonly input: Schema;
  /** The program and its arguments, as a list: no shell reads it, so no argument can become a command. */
  readonly command: (input: StandardSchemaV1.InferOutput<Schema>) => readonly string[];
  /** What goes to the program's standard input. Default: nothing. */
  readonly stdin?: (input: StandardSchemaV1.InferOutput<Schema>) => string | Uint8Array;
  /** Default `worker`. */
  readonly tier?: Tier;
}

const KEYS: OptionRules<CommandToolDefinition<string, StandardSchemaV1>> = {
  name: true,
  description: true,
  input: true,
  command: true,
  stdin: true,
  tier: true,
  commands: true,
  env: true,
  limits: true,
  network: true,
  profile: true,
  timeoutMs: true,
  workspace: true,
};

/**
 * A tool in this package's own shape; give it to `govern()` like any other. What the program may do is the tier's, held
 * by the kernel; the flags decide whether that tier may run at all (`files=read_only` takes only `observer`).
 */
export const defineCommandTool = <const Name extends string, Schema extends StandardSchemaV1>(
  definition: CommandToolDefinition<Name, Schema>,
): Tool<Name, Schema, Promise<CommandResult>> => {
  requireOptions('defineCommandTool', definition, KEYS);
  if (typeof definition.command !== 'function') {
    throw new TapPassConfigError(
      `Expected \`command\` of tool \`${definition.name}\` to be a function that gives the program and its arguments, got ${typeof definition.command}`,
    );
  }
  const { name, description, input, command, stdin, tier = 'worker', ...options } = definition;
  return {
    name,
    description,
    input,
    effects: { command: true, tier },
    execute: async (given, context?: ToolContext) =>
      await runCommand(command(given), {
        ...options,
        tier,
        ...(stdin !== undefined && { stdin: stdin(given) }),
        ...(context?.signal !== undefined && { signal: context.signal }),
      }),
  };
};
