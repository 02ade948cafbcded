/** Door: a tool whose body is untrusted code. It runs in an isolate, once for each call, and reaches only its `uses`. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { TapPassConfigError, TapPassError } from './model/errors.ts';
import { type OptionRules, requireOptions } from './model/options.ts';
import { runCode, type CodeError, type CodeLimits, type CodeOptions } from './run-code.ts';
import { markNesting, parentCallId } from './call-context.ts';
import type { Tool, ToolContext } from './tools/define.ts';

export interface CodeToolLimits extends Partial<CodeLimits> {
  /** As in `runCode`. */
  readonly timeoutMs?: number;
  readonly memoryMb?: number;
}

interface CodeToolBase<Name extends string, Schema extends StandardSchemaV1> extends Pick<
  CodeOptions,
  'allow' | 'isolation' | 'modules' | 'pool' | 'onLog'
> {
  readonly name: Name;
  readonly description: string;
  /** Any Standard Schema. What it lets through is the guest's `input`, and the argument of its default export. */
  readonly input: Schema;
  /** Governed tools that the code may call, as `tools.<name>(…)`. Default: none. */
  readonly uses?: CodeOptions['tools'];
  readonly limits?: CodeToolLimits;
}

/** Either the text itself, or a file that is read once, now. */
export type CodeToolDefinition<Name extends string, Schema extends StandardSchemaV1> = CodeToolBase<Name, Schema> &
  ({ readonly source: string; readonly file?: never } | { readonly file: string; readonly source?: never });

const KEYS: OptionRules<CodeToolDefinition<string, StandardSchemaV1>> = {
  name: true,
  description: true,
  input: true,
  uses: true,
  limits: true,
  allow: true,
  isolation: true,
  modules: true,
  pool: true,
  onLog: true,
  source: true,
  file: true,
};

/** The code of a tool ended in another way than by a value. */
export class CodeToolError extends TapPassError {
  readonly status: string;
  /** The step that blocked a call which the code did not catch. */
  readonly blockedBy: string | undefined;
  constructor(tool: string, status: string, error: CodeError | undefined) {
    super(`Tool \`${tool}\` ended with ${status}: ${error?.message ?? 'no reason given'}`, {
      code: 'TAPPASS_CODE_TOOL',
    });
    this.status = status;
    this.blockedBy = error?.blockedBy;
  }
}

/**
 * A tool in this package's own shape; give it to `govern()` like any other. The tool itself touches nothing, so it
 * declares no effects: what its code does, it does through `uses`, and each of those calls is judged by itself.
 */
export const defineCodeTool = <const Name extends string, Schema extends StandardSchemaV1>(
  definition: CodeToolDefinition<Name, Schema>,
): Tool<Name, Schema, Promise<unknown>> => {
  requireOptions('defineCodeTool', definition, KEYS);
  const { name, description, input, uses, limits = {}, allow, isolation, modules, pool, onLog } = definition;
  const { source, file } = sourceOf(definition);
  const { timeoutMs, memoryMb, ...bounds } = limits;
  const options: CodeOptions = {
    ...defined({ tools: uses, timeoutMs, memoryMb, allow, isolation, modules, pool, onLog }),
    file,
    limits: bounds,
  };
  const execute = async (given: unknown, context?: ToolContext): Promise<unknown> => {
    // The scope first: what is passed beside the input may be a framework's, with ids of its own.
    const callId = parentCallId() ?? context?.callId;
    const signal = context?.signal ?? (context as { abortSignal?: AbortSignal } | undefined)?.abortSignal;
    const result = await runCode(source, { ...options, input: given ?? null, ...defined({ callId, signal }) });
    if (result.status !== 'ok') throw new CodeToolError(name, result.status, result.error);
    return result.value;
  };
  markNesting(execute);
  return { name, description, input, effects: { none: true }, execute };
};

const sourceOf = ({
  source,
  file,
  name,
}: {
  source?: unknown;
  file?: unknown;
  name: string;
}): { source: string; file: string } => {
  if (typeof source === 'string' && file === undefined) return { source, file: 'code.ts' };
  if (typeof file === 'string' && source === undefined) {
    try {
      return {
        source: readFileSync(file, 'utf8'),
        file: basename(file)
          .replaceAll(/[^\w.-]/gu, '_')
          .slice(0, 100),
      };
    } catch (cause) {
      throw new TapPassConfigError(
        `Expected \`file\` of tool \`${name}\` to be readable, got ${JSON.stringify(file)}`,
        { cause },
      );
    }
  }
  throw new TapPassConfigError(
    `Expected tool \`${name}\` to have either \`source\` or \`file\`, got ${source === undefined ? 'neither' : 'both or another type'}`,
  );
};

/** Without the keys that are undefined: `exactOptionalPropertyTypes` tells the two apart. */
const defined = <T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
