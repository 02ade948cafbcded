/**
 * TypeScript to JavaScript by taking the types out (amaro: the same code that Node itself runs on .ts files). Types are
 * replaced by blanks, so every position stays where the author wrote it; what is not erasable (enums, namespaces,
 * parameter properties) is an error that says so.
 */
import type { SourceFault } from './prepare.ts';

export type Strip = (source: string, file: string) => StrippedTypes;
export type StrippedTypes = { readonly code: string } | { readonly fault: SourceFault; readonly isBroken?: true };

/**
 * 7 MB of WebAssembly. Deep nesting overflows its stack, and after that an instance is broken for good: such an answer
 * says `isBroken`, and whoever holds the instance throws it away.
 */
export const loadTypeStripper = async (): Promise<Strip> => {
  const { transformSync } = await import('amaro');
  return (source, file) => {
    try {
      return { code: transformSync(source, { mode: 'strip-only' }).code };
    } catch (error) {
      return faultOf(error, file);
    }
  };
};

/** What amaro throws for a wrong source is a plain object with a `code`; anything else was not meant to be thrown. */
const faultOf = (error: unknown, file: string): StrippedTypes => {
  const { code, message, startLine, startColumn } = Object(error) as Readonly<Record<string, unknown>>;
  if (typeof code !== 'string' || typeof message !== 'string') {
    return { fault: { file, message: 'Expected less deeply nested code', line: 1, column: 1 }, isBroken: true };
  }
  return {
    fault: {
      file,
      message: message.slice(0, 1000),
      line: typeof startLine === 'number' ? startLine : 1,
      column: typeof startColumn === 'number' ? startColumn + 1 : 1,
    },
  };
};
