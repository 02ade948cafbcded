/** Lines of a file as spans of bytes, forwards, a chunk at a time. Split at LF only: U+2028 is text (decision 44). */
import type { FileHandle } from 'node:fs/promises';

const LF = 0x0a;
const CHUNK = 1 << 20;

export type LineEnd = 'complete' | 'torn' | 'too-long';

/**
 * Calls `visit` for each line. A line longer than `longest` is passed as `too-long` with its first bytes, and skipped;
 * what stands after the last LF as `torn`. Spans are passed by call rather than by generator: a million yields cost more than the hashing.
 */
export const eachLine = async (
  file: FileHandle,
  longest: number,
  visit: (bytes: Buffer, start: number, end: number, line: number, ending: LineEnd) => void,
): Promise<void> => {
  let buffer = Buffer.allocUnsafe(CHUNK);
  let filled = 0;
  let line = 1;
  let skipping = false;
  for (;;) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, null);
    if (bytesRead === 0) break;
    const end = filled + bytesRead;
    const view = end === buffer.length ? buffer : buffer.subarray(0, end);
    let start = 0;
    for (let at = view.indexOf(LF, filled); at !== -1; at = view.indexOf(LF, start)) {
      if (!skipping) visit(view, start, at, line, 'complete');
      skipping = false;
      line++;
      start = at + 1;
    }
    filled = end - start;
    if (filled > longest || (skipping && filled > 0)) {
      if (!skipping) visit(view, start, end, line, 'too-long');
      skipping = true;
      filled = 0;
    } else if (start > 0) {
      buffer.copyWithin(0, start, end);
    } else if (filled === buffer.length) {
      const larger = Buffer.allocUnsafe(buffer.length * 2);
      buffer.copy(larger, 0, 0, filled);
      buffer = larger;
    }
  }
  if (filled > 0 && !skipping) visit(buffer.subarray(0, filled), 0, filled, line, 'torn');
};
