/**
 * The journal: append-only JSON Lines, chained by SHA-256, one file for each process and start, so that any number of
 * processes may write into one directory.
 *
 * No record, no act: `append` returns when the line is in the kernel (it survives a killed process), and throws
 * otherwise. Under `fsync` `settled()` is what to wait for: one fdatasync for all lines since the last (group commit).
 */
import { resolve } from 'node:path';
import type { KeyObject } from 'node:crypto';
import { TapPassConfigError } from '../model/errors.ts';
import type { EventSink, JournalEntry } from '../model/event.ts';
import { requireOptions } from '../model/options.ts';
import { lineWriter } from './append.ts';
import type { LineWriter } from './append.ts';
import { canonicalize } from '../model/canonical.ts';
import { Clock } from './clock.ts';
import { FORMAT, FORMAT_VERSION, journalError } from './format.ts';
import type { Position } from './format.ts';
import { GroupCommit } from './group-commit.ts';
import { headText, privateKey, publicKey, signatureOf } from './head.ts';
import type { SigningKey } from './head.ts';
import { JournalFile } from './journal-file.ts';
import { lineText } from './line.ts';

export interface JournalOptions {
  /** Made, with mode 0700, when missing. */
  readonly dir: string;
  /**
   * `write` (default): a line is in the kernel when `append` returns; it survives a killed process, not a power cut.
   * `fsync`: `settled()` resolves when the line is on the disk.
   */
  readonly durability?: 'write' | 'fsync';
  /** Ed25519, as a KeyObject or PEM: checkpoints, heads, first and last lines are signed. */
  readonly signingKey?: SigningKey;
  /** Lines between signed checkpoints (default 1024): at most so many at the end of a file are unsigned. */
  readonly checkpointEvery?: number;
  /** True: the file is made by the first append rather than at once. */
  readonly lazy?: boolean;
}

export interface Journal extends EventSink, Disposable, AsyncDisposable {
  /** Also on the disk when it returns, under either durability: for a tool that is itself synchronous. */
  appendDurable(entry: JournalEntry): void;
  /** One line of text that names file, seq and hash (signed when there is a key): keep it where the journal's writer cannot reach. */
  head(): string;
  /** Writes the last line. Appending afterwards throws. */
  close(): Promise<void>;
}

const OPTION_NAMES = { dir: true, durability: true, signingKey: true, checkpointEvery: true, lazy: true } as const;

/** Throws `TapPassConfigError` for what no journal can be opened with, before one is needed. */
export const requireJournalOptions = (options: JournalOptions): void => {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null) {
    throw new TapPassConfigError(`Expected a journal or its options (\`{ dir }\`), got ${JSON.stringify(given)}.`);
  }
  requireOptions('openJournal', given, OPTION_NAMES);
  const { dir, durability = 'write', checkpointEvery = 1024 } = options;
  if (typeof dir !== 'string' || dir === '') {
    throw new TapPassConfigError(`Expected \`dir\` to be the path of a directory, got ${JSON.stringify(dir)}.`);
  }
  if (durability !== 'write' && durability !== 'fsync') {
    throw new TapPassConfigError(`Expected \`durability\` to be write or fsync, got ${JSON.stringify(durability)}.`);
  }
  if (!Number.isSafeInteger(checkpointEvery) || checkpointEvery < 1) {
    throw new TapPassConfigError(
      `Expected \`checkpointEvery\` to be a positive integer, got ${String(checkpointEvery)}.`,
    );
  }
};

/** Throws when the directory cannot be written. */
export const openJournal = async (options: JournalOptions): Promise<Journal> => openJournalSync(options);

export const openJournalSync = (options: JournalOptions): Journal => new DirectoryJournal(options, lineWriter());

const opened = new Set<DirectoryJournal>();

/** Directories that journals of this process are writing into. */
export const journalDirectories = (): readonly string[] => [...new Set(Array.from(opened, ({ dir }) => dir))];

/** How long a change of the file from outside can go unnoticed while lines are being appended. */
const CHECK_EVERY_MS = 100;

/** Exported for the tests, which give it a writer of their own. */
export class DirectoryJournal implements Journal {
  readonly #dir: string;
  readonly #fsync: boolean;
  readonly #key: KeyObject | undefined;
  readonly #checkpointEvery: number;
  readonly #writer: LineWriter;
  readonly #clock = new Clock();
  readonly #commit: GroupCommit;
  #file: JournalFile | undefined;
  /** Where the last file ended that had to be given up. */
  #previous: Position | undefined;
  #signedSeq = 0;
  #checked = 0;
  #closed = false;

  constructor(options: JournalOptions, writer: LineWriter) {
    requireJournalOptions(options);
    const { dir, durability = 'write', signingKey, checkpointEvery = 1024, lazy = false } = options;
    this.#dir = resolve(dir);
    this.#fsync = durability === 'fsync';
    this.#key = signingKey === undefined ? undefined : privateKey(signingKey);
    this.#checkpointEvery = checkpointEvery;
    this.#writer = writer;
    this.#commit = new GroupCommit((file) => {
      if (file === this.#file) this.#giveUp(file);
    });
    if (!lazy) this.#open();
  }

  get dir(): string {
    return this.#dir;
  }

  append(entry: JournalEntry): void {
    const file = this.#usableFile();
    const time = this.#clock.text;
    file.append((seq, prevHash) => lineText(entry, seq, time, prevHash));
    if (this.#fsync) this.#commit.dirty(file);
  }

  appendDurable(entry: JournalEntry): void {
    this.append(entry);
    if (this.#file !== undefined) this.#commit.syncNow(this.#file);
  }

  get durability(): 'write' | 'fsync' {
    return this.#fsync ? 'fsync' : 'write';
  }

  async settled(): Promise<void> {
    if (this.#fsync) await this.#commit.settled();
  }

  head(): string {
    const file = this.#file ?? this.#open();
    return headText(file.position, this.#key);
  }

  async close(): Promise<void> {
    try {
      await this.settled();
    } finally {
      this[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    opened.delete(this);
    const file = this.#file;
    if (file === undefined) return;
    try {
      if (file.usable) {
        this.#clock.tick();
        this.#appendOwn(file, 'journal-closed', {});
        if (this.#fsync) file.sync();
      }
    } finally {
      this.#file = undefined;
      this.#commit.retire(file);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The file to append to, with what has to stand before the next entry already in it. */
  #usableFile(): JournalFile {
    if (this.#closed) {
      throw journalError(`Expected an open journal, got one that was closed (${this.#dir}). Open a new one.`);
    }
    const now = this.#clock.tick();
    if (this.#file?.usable === false) this.#giveUp(this.#file);
    const file = this.#file ?? this.#open();
    if (Math.abs(now - this.#checked) >= CHECK_EVERY_MS) {
      file.check();
      this.#checked = now;
    }
    if (this.#key !== undefined && file.seq - this.#signedSeq >= this.#checkpointEvery) {
      this.#appendOwn(file, 'checkpoint', {});
    }
    return file;
  }

  #open(): JournalFile {
    this.#clock.tick();
    const file = JournalFile.create(this.#dir, this.#clock.text, this.#writer, (created, id) => {
      this.#appendOwn(created, 'journal-opened', {
        format: FORMAT,
        version: FORMAT_VERSION,
        file: created.name,
        id,
        pid: process.pid,
        process_started: new Date(Math.round(performance.timeOrigin)).toISOString(),
        ...(this.#previous !== undefined && { previous: { ...this.#previous } }),
        ...(this.#key !== undefined && {
          public_key: publicKey(this.#key).export({ format: 'der', type: 'spki' }).toString('base64'),
        }),
      });
      if (this.#fsync) {
        created.sync();
        created.syncDirectory();
      }
    });
    this.#file = file;
    this.#previous = undefined;
    opened.add(this);
    return file;
  }

  #giveUp(file: JournalFile): void {
    this.#previous = file.position;
    this.#file = undefined;
    this.#commit.retire(file);
  }

  /** A line of the journal's own, signed where there is a key. */
  #appendOwn(file: JournalFile, type: 'journal-opened' | 'journal-closed' | 'checkpoint', fields: object): void {
    const time = this.#clock.text;
    file.append((seq, prevHash) => {
      const event = { ...fields, type, seq, time, prev_hash: prevHash };
      return canonicalize(this.#key === undefined ? event : { ...event, signature: signatureOf(event, this.#key) });
    });
    this.#signedSeq = file.seq;
  }
}
