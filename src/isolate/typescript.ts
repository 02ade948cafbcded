/**
 * TypeScript to JavaScript by taking the types out (amaro: the same code that Node itself runs on .ts files). Types are
 * replaced by blanks, so every position stays where the author wrote it; what is not erasable (enums, namespaces,
 * parameter properties) is an error that says so.
 */
import type { SourceFault } from './prepare.ts';

type Strip = (source: string, options: { mode: 'strip-only' }) => { readonly code: string };
let loaded: Promise<Strip> | undefined;

/** Loaded when the first TypeScript source comes: 7 MB of WebAssembly that plain JavaScript does not need. */
export const loadTypeStripper = (): Promise<Strip> =>
  (loaded ??= import('amaro').then((amaro) => amaro.transformSync as unknown as Strip));

export const stripTypes = (strip: Strip, source: string, file: string): { code: string } | { fault: SourceFault } => {
  try {
    return { code: strip(source, { mode: 'strip-only' }).code };
  } catch (error) {
    const about = error as { message?: unknown; startLine?: unknown; startColumn?: unknown };
    const message = typeof about.message === 'string' ? about.message : String(error);
    return {
      fault: {
        file,
        message: message.slice(0, 1000),
        line: typeof about.startLine === 'number' ? about.startLine : 1,
        column: typeof about.startColumn === 'number' ? about.startColumn + 1 : 1,
      },
    };
  }
};
