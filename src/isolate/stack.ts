/** A guest's error in the author's own terms: its frames, its lines, nothing of ours. */
import type { Position } from './edits.ts';
import { RUNTIME_FILE } from './limits.ts';

const MAX_FRAMES = 20;
const FRAME = /^\s+at (?:(?:async )?(.*) \()?((?:.*?)):(\d+):(\d+)\)?$/u;

export interface MappedStack {
  readonly stack: string;
  /** Where the innermost frame of the guest is. */
  readonly at?: Position & { readonly file: string };
}

/**
 * Keeps the frames that lie in `files` and tells them by the author's positions. Everything else is ours, or text that
 * the guest put there, and is left out.
 */
export const mapStack = (
  head: string,
  stack: string,
  files: ReadonlySet<string>,
  positionOf: (file: string, at: Position) => Position,
): MappedStack => {
  const lines: string[] = [head];
  let innermost: MappedStack['at'];
  for (const line of stack.split('\n')) {
    const match = FRAME.exec(line);
    if (match === null) continue;
    const [, name, file = '', row = '1', column = '1'] = match;
    // What called the guest is ours, down to the bottom of the stack.
    if (file === RUNTIME_FILE && innermost !== undefined) break;
    if (!files.has(file)) continue;
    const at = positionOf(file, { line: Number(row), column: Number(column) });
    innermost ??= { file, ...at };
    const where = `${file}:${at.line}:${at.column}`;
    const shown = name === undefined || name === '' || name.includes('(') ? where : `${name} (${where})`;
    if (lines.length <= MAX_FRAMES) lines.push(`    at ${shown}`);
  }
  return { stack: lines.join('\n'), ...(innermost === undefined ? {} : { at: innermost }) };
};
