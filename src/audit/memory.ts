/**
 * A journal without files: the same lines and the same chain, in a ring that forgets the oldest. For tests, for
 * short-lived programs, and for whoever hands the events on elsewhere.
 */
import { TapPassConfigError } from '../model/errors.ts';
import type { AuditEvent, JournalEntry } from '../model/event.ts';
import { requireOptions } from '../model/options.ts';
import { lineWriter } from './append.ts';
import { Clock } from './clock.ts';
import { parseFilter } from './filter.ts';
import type { AuditFilter } from './filter.ts';
import { HASH_PREFIX, journalError, NO_HASH, requireRecordable, TAIL_LENGTH } from './format.ts';
import { headText } from './head.ts';
import type { Journal } from './journal.ts';
import { lineText } from './line.ts';
import { parseEvent } from './read.ts';

export interface MemoryJournalOptions {
  /** Most events that are kept (default 10 000). */
  readonly capacity?: number;
  /** Most characters that the kept events have together (default 64 Mi). Bounds memory where events are large. */
  readonly capacityChars?: number;
}

export interface MemoryJournal extends Journal {
  /** Newest first; as `readJournal`. */
  read(filter?: AuditFilter): Generator<AuditEvent>;
  /** The kept lines as they would stand in a file, oldest first. */
  lines(): readonly string[];
}

export const openMemoryJournal = (options: MemoryJournalOptions = {}): MemoryJournal => new RingJournal(options);

const NOTHING = Buffer.alloc(0);
/** The bytes that lines are put into, one after the other; freed when the last line in it is forgotten. */
const CHUNK_BYTES = 1024 * 1024;
/** A character has at most three bytes in UTF-8. */
const MOST_BYTES_PER_CHAR = 3;

class RingJournal implements MemoryJournal {
  /** Memory is all there is: nothing to wait for. */
  readonly durability = 'write';
  readonly #capacity: number;
  readonly #capacityChars: number;
  readonly #clock = new Clock();
  readonly #digest = lineWriter().digest;
  /**
   * By place in the ring: where a line stands. Bytes in few large chunks, not texts or buffers of their own: what lives
   * as long as a ring does is copied around by the collector when it is in the heap.
   */
  readonly #chunks: Buffer[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #sizes: number[] = [];
  #chunk = NOTHING;
  #used = 0;
  #oldest = 0;
  #kept = 0;
  #chars = 0;
  #seq = 0;
  #hash = NO_HASH;
  #closed = false;

  constructor(options: MemoryJournalOptions) {
    requireOptions('openMemoryJournal', options, { capacity: true, capacityChars: true });
    const { capacity = 10_000, capacityChars = 64 * 1024 * 1024 } = options;
    for (const [name, value] of Object.entries({ capacity, capacityChars })) {
      if (!Number.isSafeInteger(value) || value < 1) {
        throw new TapPassConfigError(`Expected \`${name}\` to be a positive integer, got ${JSON.stringify(value)}.`);
      }
    }
    this.#capacity = capacity;
    this.#capacityChars = capacityChars;
  }

  append(entry: JournalEntry): void {
    if (this.#closed) throw journalError('Expected an open journal, got one that was closed. Open a new one.');
    this.#clock.tick();
    const seq = this.#seq;
    const text = lineText(entry, seq + 1, this.#clock.text, this.#hash);
    requireRecordable(text, seq === this.#seq);
    if (text.length > this.#capacityChars) {
      throw journalError(
        `Expected an event of at most ${this.#capacityChars} characters, got ${text.length}. Raise \`capacityChars\`.`,
      );
    }
    if (this.#kept === this.#capacity) this.#forget();
    const at = (this.#oldest + this.#kept) % this.#capacity;
    this.#put(at, text);
    this.#seq++;
    this.#sizes[at] = text.length;
    this.#kept++;
    this.#chars += text.length;
    while (this.#chars > this.#capacityChars) this.#forget();
  }

  appendDurable(entry: JournalEntry): void {
    this.append(entry);
  }

  settled(): Promise<void> {
    return Promise.resolve();
  }

  head(): string {
    return headText({ file: 'memory', seq: this.#seq, hash: this.#hash }, undefined);
  }

  lines(): readonly string[] {
    return Array.from({ length: this.#kept }, (_, index) => this.#line(index));
  }

  *read(filter: AuditFilter = {}): Generator<AuditEvent> {
    const query = parseFilter(filter);
    let given = 0;
    const newest = this.#seq;
    for (let seq = newest; given < query.limit; seq--) {
      // By seq, not by index: events may come and go while the reader holds the generator.
      const index = this.#kept - 1 - (this.#seq - seq);
      if (index < 0) return;
      const line = Buffer.from(this.#line(index));
      const event = query.mayMatch(line) ? parseEvent(line) : undefined;
      if (event === undefined || !query.matches(event)) continue;
      const time = Date.parse(event.time);
      if (time < query.after) return;
      if (time >= query.before) continue;
      yield event;
      given++;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Hashes the text and keeps it as the line that would stand in a file. */
  #put(at: number, text: string): void {
    const most = text.length * MOST_BYTES_PER_CHAR + TAIL_LENGTH;
    if (most > this.#chunk.length - this.#used) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, most));
      this.#used = 0;
    }
    const chunk = this.#chunk;
    this.#chunks[at] = chunk;
    this.#starts[at] = this.#used;
    // Written first: that makes one string of its many pieces, which is quicker hashed.
    const tailAt = this.#used + chunk.write(text, this.#used) - 1;
    this.#hash = this.#digest(text);
    // Over the last brace, which is one byte.
    this.#used = tailAt + chunk.write(`${HASH_PREFIX}${this.#hash}"}`, tailAt, 'latin1');
    this.#ends[at] = this.#used;
  }

  #line(index: number): string {
    const at = (this.#oldest + index) % this.#capacity;
    return this.#chunks[at]?.toString('utf8', this.#starts[at], this.#ends[at]) ?? '';
  }

  #forget(): void {
    this.#chars -= this.#sizes[this.#oldest] ?? 0;
    this.#chunks[this.#oldest] = NOTHING;
    this.#sizes[this.#oldest] = 0;
    this.#oldest = (this.#oldest + 1) % this.#capacity;
    this.#kept--;
  }
}
