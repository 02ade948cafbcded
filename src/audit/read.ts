/** The events of a directory of journal files, newest first across all files, without holding a file in memory. */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { AuditEvent } from '../model/event.ts';
import { DEFAULT_LIMITS } from '../model/limits.ts';
import { BackwardLines } from './backwards.ts';
import { parseFilter } from './filter.ts';
import type { AuditFilter, Query } from './filter.ts';
import { EXTENSION, journalError } from './format.ts';

export interface ReadOptions {
  /** Longest line, in bytes (default 16 MiB); longer ones are faults. */
  readonly lineBytes?: number;
  /** Told of what could not be read; by default a process warning, once for each file. Reading goes on. */
  readonly onFault?: (fault: { readonly file: string; readonly reason: string }) => void;
}

/**
 * Newest first: by time, then file, then seq. Reads what is there and checks no hash: that is `verifyJournal`'s work.
 * Throws `TapPassConfigError` for a filter that cannot be read, and a `TAPPASS_JOURNAL` error when the directory cannot.
 */
export const readJournal = (
  dir: string,
  filter: AuditFilter = {},
  options: ReadOptions = {},
): AsyncGenerator<AuditEvent> =>
  // The filter is parsed at the call, not at the first event: a typing error shows where it stands.
  merge(dir, parseFilter(filter), options);

async function* merge(dir: string, query: Query, options: ReadOptions): AsyncGenerator<AuditEvent> {
  if (query.limit === 0) return;
  const cursors: Cursor[] = [];
  for (const path of await list(dir)) {
    const cursor = new Cursor(path, query, options);
    if (await cursor.advance()) insert(cursors, cursor);
  }
  let given = 0;
  for (let newest = cursors.pop(); newest !== undefined; newest = cursors.pop()) {
    yield newest.event;
    if (++given >= query.limit) return;
    if (await newest.advance()) insert(cursors, newest);
  }
}

/** Lines between two turns of the event loop: a filter that matches nothing must not hold up the program. */
const LINES_PER_TURN = 2048;

class Cursor {
  readonly file: string;
  readonly #lines: BackwardLines;
  readonly #query: Query;
  readonly #options: ReadOptions;
  #event: AuditEvent | undefined;
  #sinceTurn = 0;
  #faulty = false;

  constructor(path: string, query: Query, options: ReadOptions) {
    this.file = basename(path);
    this.#lines = new BackwardLines(path, options.lineBytes ?? DEFAULT_LIMITS.lineBytes);
    this.#query = query;
    this.#options = options;
  }

  get event(): AuditEvent {
    if (this.#event === undefined) throw new TypeError('Expected an event, got none: advance() first');
    return this.#event;
  }

  /** Moves to the next event that matches. False at the end of the file. */
  async advance(): Promise<boolean> {
    for (;;) {
      if (++this.#sinceTurn >= LINES_PER_TURN) {
        this.#sinceTurn = 0;
        await setImmediate();
      }
      const line = this.#next();
      if (line === undefined) return false;
      const mayMatch = this.#query.mayMatch(line);
      // Now and then a line is parsed only for its time: those before `after` need not be searched to the beginning.
      if (!mayMatch && this.#sinceTurn % 256 !== 0) continue;
      const event = parseEvent(line);
      if (event === undefined) {
        this.#fault('Expected journal lines, got one that does not parse');
        continue;
      }
      const time = Date.parse(event.time);
      if (time < this.#query.after) return false;
      if (!mayMatch || time >= this.#query.before || !this.#query.matches(event)) continue;
      this.#event = event;
      return true;
    }
  }

  #next(): Buffer | undefined {
    const skipped = this.#lines.skipped;
    try {
      return this.#lines.next()?.bytes;
    } catch (error) {
      this.#fault(`Expected a readable file, got ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    } finally {
      if (this.#lines.skipped > skipped) this.#fault('Expected lines within `lineBytes`, got a longer one');
    }
  }

  #fault(reason: string): void {
    if (this.#options.onFault !== undefined) this.#options.onFault({ file: this.file, reason });
    else if (!this.#faulty) {
      const message = `${this.file}: ${reason}. Run \`tappass audit verify\`.`;
      process.emitWarning(message, { code: 'TAPPASS_JOURNAL_UNREADABLE' });
    }
    this.#faulty = true;
  }
}

const list = async (dir: string): Promise<readonly string[]> => {
  try {
    if ((await stat(dir)).isFile()) return [dir];
    const names = await readdir(dir);
    return names.filter((name) => name.endsWith(EXTENSION)).map((name) => join(dir, name));
  } catch (error) {
    throw journalError(
      `Expected ${dir} to be a directory of journal files, got ${error instanceof Error ? error.message : String(error)}.`,
      error,
    );
  }
};

/** Keeps `cursors` sorted with the newest last. */
const insert = (cursors: Cursor[], cursor: Cursor): void => {
  let low = 0;
  let high = cursors.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isOlder(cursors[middle] as Cursor, cursor)) low = middle + 1;
    else high = middle;
  }
  cursors.splice(low, 0, cursor);
};

const isOlder = (a: Cursor, b: Cursor): boolean => {
  if (a.event.time !== b.event.time) return a.event.time < b.event.time;
  return a.file === b.file ? a.event.seq < b.event.seq : a.file < b.file;
};

/** `undefined` for what is no event: whoever reads a journal must not trust its bytes. */
export const parseEvent = (line: Buffer): AuditEvent | undefined => {
  try {
    const value: unknown = JSON.parse(line.toString());
    return isEvent(value) ? value : undefined;
  } catch {
    return undefined;
  }
};

const isEvent = (value: unknown): value is AuditEvent => {
  if (typeof value !== 'object' || value === null) return false;
  const { type, seq, time, prev_hash, hash } = value as Record<string, unknown>;
  return (
    typeof type === 'string' &&
    Number.isSafeInteger(seq) &&
    typeof time === 'string' &&
    !Number.isNaN(Date.parse(time)) &&
    typeof prev_hash === 'string' &&
    typeof hash === 'string'
  );
};
