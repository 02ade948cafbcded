/** The words that a journal file is made of, shared by writer, verifier and reader. */
import { TapPassError } from '../model/errors.ts';
import { DEFAULT_LIMITS } from '../model/limits.ts';

export const FORMAT = 'tappass-journal';
export const FORMAT_VERSION = 1;
export const EXTENSION = '.jsonl';

/** What the first line points back to when no file came before it. */
export const NO_HASH = '0'.repeat(64);

/** `,"hash":"` + 64 hex + `"}`: the fixed end of every line, before its line feed. */
export const HASH_PREFIX = ',"hash":"';
export const TAIL_LENGTH = HASH_PREFIX.length + 64 + 2;

/** `20261121T131047.123Z-4711-9f86d081884c7d65.jsonl`: sorts by start, unique to one process and start. */
export const fileName = (time: string, pid: number, id: string): string =>
  `${time.replaceAll(/[-:]/g, '')}-${pid}-${id}${EXTENSION}`;

/** The last line of a file, by which the next file that this process had to start points back to it. */
export interface Position {
  readonly file: string;
  readonly seq: number;
  readonly hash: string;
}

/** The journal could not be written or read. Whoever waited for the record must not act. */
export const journalError = (message: string, cause?: unknown): TapPassError =>
  new TapPassError(message, { code: 'TAPPASS_JOURNAL', cause });

const FILE_NAME = /^\d{8}T\d{6}\.\d{3}Z-\d+-[0-9a-f]{16}\.jsonl$/;
export const isFileName = (name: string): boolean => FILE_NAME.test(name);

/**
 * Throws for a line that no reader would accept, and for one whose entry appended another while it was read (a getter
 * can): both would have the same place in the chain.
 */
export const requireRecordable = (text: string, inPlace: boolean): void => {
  if (!inPlace) {
    throw journalError('Expected an entry of plain data, got one that appends while it is read. Pass plain JSON data.');
  }
  const most = DEFAULT_LIMITS.lineBytes - TAIL_LENGTH;
  // A character has at most three bytes: nearly every line is known to fit without counting.
  if (text.length * 3 > most && Buffer.byteLength(text) > most) {
    throw journalError(
      `Expected an entry of at most ${most} bytes, got a longer one. Record its digest and beginning.`,
    );
  }
};
