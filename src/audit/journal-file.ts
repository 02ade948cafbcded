/**
 * One journal file, open for appending: the chain of its lines, and what is done when a write fails. After a failed
 * write the file ends where its last whole line ended, or it is given up.
 */
import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { constants as systemConstants } from 'node:os';
import { dirname, join } from 'node:path';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import type { LineWriter } from './append.ts';
import { fileName, journalError, requireRecordable, TAIL_LENGTH, NO_HASH } from './format.ts';
import type { Position } from './format.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = constants;

/** Builds a line's text once its place in the chain is known. */
export type MakeText = (seq: number, prevHash: string) => string;

export class JournalFile {
  readonly name: string;
  readonly path: string;
  readonly fd: number;
  readonly #writer: LineWriter;
  readonly #inode: number;
  #seq = 0;
  #hash = NO_HASH;
  #size = 0;
  #usable = true;

  private constructor(name: string, path: string, fd: number, writer: LineWriter) {
    this.name = name;
    this.path = path;
    this.fd = fd;
    this.#writer = writer;
    this.#inode = fstatSync(fd).ino;
  }

  /** Creates the file (0600, in a directory made 0700 when missing) with `first` as its first line; leaves nothing behind when that fails. */
  static create(
    dir: string,
    time: string,
    writer: LineWriter,
    first: (file: JournalFile, id: string) => void,
  ): JournalFile {
    const id = randomBytes(8).toString('hex');
    const name = fileName(time, process.pid, id);
    const path = join(dir, name);
    let fd: number | undefined;
    try {
      makeDirectory(dir);
      fd = openSync(path, O_APPEND | O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
      const file = new JournalFile(name, path, fd, writer);
      first(file, id);
      return file;
    } catch (error) {
      if (fd !== undefined) discard(fd, path);
      if (error instanceof Error && !('syscall' in error)) throw error;
      throw journalError(
        `Expected to create a journal file in ${dir}, got ${reasonOf(error)}. ` +
          'Make the directory writable for this user, or pass another `dir`.',
        error,
      );
    }
  }

  get usable(): boolean {
    return this.#usable;
  }

  get seq(): number {
    return this.#seq;
  }

  get position(): Position {
    return { file: this.name, seq: this.#seq, hash: this.#hash };
  }

  /** Returns when the line is in the kernel. Throws otherwise, with the file as it was before or no longer `usable`. */
  append(make: MakeText): void {
    const seq = this.#seq;
    const text = make(seq + 1, this.#hash);
    requireRecordable(text, seq === this.#seq);
    const result = this.#writer.append(this.fd, text);
    if (typeof result !== 'string') throw this.#failed(result);
    this.#seq++;
    const isAscii = result.length === NO_HASH.length;
    this.#hash = isAscii ? result : result.slice(0, -1);
    this.#size += (isAscii ? text.length : Buffer.byteLength(text)) + TAIL_LENGTH;
  }

  /** Throws, once, when the file at the path is no longer this file or its size is not what was written. */
  check(): void {
    const found = statOf(this.path);
    if (found !== undefined && found.ino === this.#inode && found.size === this.#size) return;
    this.#usable = false;
    const got =
      found === undefined
        ? 'no such file'
        : found.ino === this.#inode
          ? `${found.size} bytes`
          : 'another file in its place';
    throw journalError(
      `Expected the journal file ${this.path} to hold the ${this.#size} bytes that were written, got ${got}: it was ` +
        'changed from outside. Run `tappass audit verify`; the next record starts a new file.',
    );
  }

  sync(): void {
    fdatasyncSync(this.fd);
  }

  /** Makes the file's name durable as well, not only its content. */
  syncDirectory(): void {
    const fd = openSync(join(this.path, '..'), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }

  giveUp(): void {
    this.#usable = false;
  }

  close(): void {
    this.#usable = false;
    closeSync(this.fd);
  }

  #failed(errno: number): Error {
    // EFBIG: this file will never take more (RLIMIT_FSIZE); the next one will.
    this.#usable = this.#rollBack() && errno !== -systemConstants.errno.EFBIG;
    return journalError(
      `Expected to append to the journal file ${this.path}, got ${getSystemErrorName(errno)} ` +
        `(${getSystemErrorMessage(errno)}). Nothing was recorded, so nothing may run. ` +
        'Make room or repair the directory: the next call tries again.',
    );
  }

  /** Cuts off a torn line. False when the file cannot be brought back to the end of its last whole line. */
  #rollBack(): boolean {
    try {
      const { size } = fstatSync(this.fd);
      if (size < this.#size) return false;
      if (size > this.#size) ftruncateSync(this.fd, this.#size);
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * With its parents, each tried twice at most: Node's own recursive way never returns from a file system that makes no
 * directories and says ENOENT (/proc).
 */
const makeDirectory = (dir: string): void => {
  if (make(dir)) return;
  const parent = dirname(dir);
  if (parent !== dir) makeDirectory(parent);
  if (!make(dir)) mkdirSync(dir);
};

/** False when its parent is missing. */
const make = (dir: string): boolean => {
  try {
    mkdirSync(dir, { mode: 0o700 });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    if (code === 'EEXIST' && statOf(dir)?.isDirectory() === true) return true;
    throw error;
  }
};

/** What cannot be looked at counts as gone: nobody could read the record either. */
const statOf = (path: string): Stats | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
};

/** A file without a first line; where even removing it fails, an empty file is no journal to a verifier. */
const discard = (fd: number, path: string): void => {
  closeSync(fd);
  try {
    unlinkSync(path);
  } catch {
    // The error that led here says more.
  }
};

const reasonOf = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined ? message : `${code} (${message})`;
};
