/** What the guest's runtime is told of a run: limits that it keeps in the guest's stead, and the guest's tools. */
import { DEFAULT_CODE_LIMITS, type CodeLimits } from './limits.ts';

export interface RunConfig extends Omit<CodeLimits, 'sourceBytes' | 'depth'> {
  readonly tools: readonly string[];
  /** As JSON. */
  readonly input?: string;
}

/** As text, which for most runs is `USUAL_CONFIG`: the runtime knows that one before its guest arrives. */
export const configText = (limits: CodeLimits, tools: readonly string[], input: string | undefined): string =>
  limits === DEFAULT_CODE_LIMITS && tools.length === 0 && input === undefined
    ? USUAL_CONFIG
    : written(limits, tools, input);

const written = (limits: CodeLimits, tools: readonly string[], input: string | undefined): string => {
  const { resultChars, argumentChars, toolCalls, parallelToolCalls, logChars, logLines } = limits;
  return JSON.stringify({
    tools,
    resultChars,
    argumentChars,
    toolCalls,
    parallelToolCalls,
    logChars,
    logLines,
    input,
  } satisfies { [name in keyof RunConfig]-?: RunConfig[name] | undefined });
};

export const USUAL_CONFIG = written(DEFAULT_CODE_LIMITS, [], undefined);
