/** Errors as plain data: what the caller is told of a guest, and what a guest may know of this side. */
import type { SourceFault } from './prepare.ts';

export interface Failure {
  readonly name: string;
  readonly message: string;
  /** Frames of the guest's own source only. */
  readonly stack?: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly code?: string;
  /** The step that blocked the tool call which the guest did not catch. */
  readonly blockedBy?: string;
}

export const sourceFailure = ({ file, message, line, column }: SourceFault): Failure => ({
  name: 'SyntaxError',
  message,
  stack: `SyntaxError: ${message}\n    at ${file}:${line}:${column}`,
  file,
  line,
  column,
});

export const aborted = (signal: AbortSignal | undefined): Failure => {
  const reason: unknown = signal?.reason;
  const message = reason instanceof Error ? reason.message : 'This operation was aborted';
  return { name: 'AbortError', message: message.slice(0, 1000) };
};

/** What a guest may know of an error of this side: no stack, no cause, no fields but these. */
export const plainFailure = (error: unknown): Failure => {
  try {
    if (typeof error !== 'object' || error === null) return { name: 'Error', message: String(error).slice(0, 8192) };
    const { name, message, code, blockedBy } = error as Readonly<Record<string, unknown>>;
    return {
      name: typeof name === 'string' ? name.slice(0, 200) : 'Error',
      message: typeof message === 'string' ? message.slice(0, 8192) : 'The tool failed',
      ...(typeof code === 'string' ? { code: code.slice(0, 200) } : {}),
      ...(typeof blockedBy === 'string' ? { blockedBy: blockedBy.slice(0, 200) } : {}),
    };
  } catch {
    // An error that cannot be read, such as a proxy: it must not take the program with it.
    return { name: 'Error', message: 'The tool failed' };
  }
};

export const failureJson = (failure: Failure): string => JSON.stringify(failure);
