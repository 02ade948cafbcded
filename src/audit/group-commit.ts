/** One fdatasync for all lines that were appended since the last one began. */
import { fdatasync } from 'node:fs';
import { journalError } from './format.ts';
import type { JournalFile } from './journal-file.ts';

interface Waiter {
  readonly upTo: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class GroupCommit {
  #appended = 0;
  #synced = 0;
  #file: JournalFile | undefined;
  #waiters: Waiter[] = [];
  #scheduled = false;
  #running: JournalFile | undefined;
  #retired: JournalFile[] = [];
  /** Stands until a later sync succeeds: a line that is lost must not look settled to whoever asks late. */
  #failure: Error | undefined;
  readonly #onFailure: (file: JournalFile) => void;

  constructor(onFailure: (file: JournalFile) => void) {
    this.#onFailure = onFailure;
  }

  /** A line was appended to `file` and waits to be durable. */
  dirty(file: JournalFile): void {
    this.#appended++;
    this.#file = file;
    this.#schedule();
  }

  settled(): Promise<void> {
    if (this.#synced === this.#appended) {
      return this.#failure === undefined ? Promise.resolve() : Promise.reject(this.#failure);
    }
    this.#schedule();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ upTo: this.#appended, resolve, reject });
    });
  }

  /** Syncs at once, in this thread. */
  syncNow(file: JournalFile): void {
    try {
      file.sync();
    } catch (error) {
      throw this.#fail(file, error);
    }
    this.#settle(this.#appended);
  }

  /** `file` gets no more lines: what it holds is made durable, then it is closed, though never under a running sync. */
  retire(file: JournalFile): void {
    if (this.#file === file && this.#synced < this.#appended) {
      try {
        file.sync();
        this.#settle(this.#appended);
      } catch (error) {
        this.#reject(unsynced(file, error));
      }
    }
    if (this.#file === file) this.#file = undefined;
    if (this.#running === file) this.#retired.push(file);
    else file.close();
  }

  #schedule(): void {
    if (this.#scheduled || this.#running !== undefined) return;
    this.#scheduled = true;
    // After the calls of this turn of the event loop, so that they share one sync.
    setImmediate(() => {
      this.#scheduled = false;
      this.#run();
    });
  }

  #run(): void {
    const file = this.#file;
    if (file === undefined || this.#synced === this.#appended) return;
    const upTo = this.#appended;
    this.#running = file;
    fdatasync(file.fd, (error) => {
      this.#running = undefined;
      for (const retired of this.#retired.splice(0)) retired.close();
      if (error !== null && this.#file === file) this.#fail(file, error);
      else if (error === null) this.#settle(upTo);
      if (this.#synced < this.#appended) this.#schedule();
    });
  }

  #settle(upTo: number): void {
    this.#synced = Math.max(this.#synced, upTo);
    this.#failure = undefined;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => waiter.upTo > this.#synced);
    for (const waiter of waiting) if (waiter.upTo <= this.#synced) waiter.resolve();
  }

  /** After a failed fsync the kernel may have dropped the pages and forgotten: the file is not to be trusted further. */
  #fail(file: JournalFile, cause: unknown): Error {
    const error = unsynced(file, cause);
    this.#reject(error);
    file.giveUp();
    this.#onFailure(file);
    return error;
  }

  #reject(error: Error): void {
    this.#failure = error;
    this.#synced = this.#appended;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}

const unsynced = (file: JournalFile, cause: unknown): Error =>
  journalError(
    `Expected the journal file ${file.path} to reach the disk, got ${cause instanceof Error ? cause.message : String(cause)}. ` +
      'Its last lines may be lost, so nothing that waits for them may run. Check the disk; the next record starts a new file.',
    cause,
  );
