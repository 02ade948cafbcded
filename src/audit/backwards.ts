/** Lines of a file from its end, a chunk at a time: the newest first, and never the whole file in memory. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

const LF = 0x0a;
const FIRST_CHUNK = 4096;
const CHUNK = 65_536;

export interface BackwardLine {
  readonly bytes: Buffer;
  /** Offset of its first byte in the file. */
  readonly at: number;
}

/**
 * Holds the file open only while it reads: a directory may have more files than a process may have descriptors. What
 * stands after the last LF is not a line. Synchronous: the reads are of pages that were just written, and a promise for each
 * would cost more than the read.
 */
export class BackwardLines {
  readonly #path: string;
  readonly #longest: number;
  /** Bytes `[#at, #at + #held.length)` of the file, of which the lines before `#end` were not yet given. */
  #held: Buffer = Buffer.alloc(0);
  #at = -1;
  #end = 0;
  #chunk = FIRST_CHUNK;
  /** True while the line being looked for has already lost bytes for being too long. */
  #dropping = false;
  /** Lines that were longer than `lineBytes`, and left out. */
  skipped = 0;

  constructor(path: string, longest: number) {
    this.#path = path;
    this.#longest = longest;
  }

  /** The line before the last one given; `undefined` at the beginning of the file. The bytes stay valid. */
  next(): BackwardLine | undefined {
    if (this.#at === -1) this.#start();
    while (this.#end > 0) {
      // `#end` stands after a line feed: the line before it begins after the line feed before that.
      const before = this.#end < 2 ? -1 : this.#held.lastIndexOf(LF, this.#end - 2);
      if (before !== -1 || this.#at === 0) {
        const line = { bytes: this.#held.subarray(before + 1, this.#end - 1), at: this.#at + before + 1 };
        const tooLong = this.#dropping || line.bytes.length > this.#longest;
        this.#end = before + 1;
        this.#dropping = false;
        if (!tooLong) return line;
        this.skipped++;
      } else {
        if (this.#end > this.#longest) this.#drop();
        this.#fill();
      }
    }
    this.#held = Buffer.alloc(0);
    return undefined;
  }

  /** Lets go of a line without end, except of the line feed behind it. */
  #drop(): void {
    this.#dropping = true;
    this.#held = Buffer.of(LF);
    this.#end = 1;
  }

  #start(): void {
    this.#withFile((fd) => {
      this.#at = fstatSync(fd).size;
    });
    this.#end = 0;
    // Reads until a line feed is held: what stands after the last one is a line that was cut off.
    while (this.#at > 0 && this.#end === 0) {
      this.#fill();
      this.#end = this.#held.lastIndexOf(LF) + 1;
      if (this.#end === 0 && this.#held.length > this.#longest) this.#held = Buffer.alloc(0);
    }
    this.#held = this.#held.subarray(0, this.#end);
  }

  #fill(): void {
    const size = Math.min(this.#chunk, this.#at);
    const rest = this.#end === 0 ? this.#held : this.#held.subarray(0, this.#end);
    const larger = Buffer.allocUnsafe(size + rest.length);
    this.#withFile((fd) => {
      for (let done = 0; done < size;) {
        const read = readSync(fd, larger, done, size - done, this.#at - size + done);
        if (read === 0) throw new Error(`${this.#path} became shorter while it was read`);
        done += read;
      }
    });
    rest.copy(larger, size);
    this.#held = larger;
    this.#at -= size;
    if (this.#end > 0) this.#end += size;
    this.#chunk = Math.max(CHUNK, Math.min(this.#longest, larger.length));
  }

  #withFile(use: (fd: number) => void): void {
    // A pipe in the directory would otherwise be waited for, for ever.
    const fd = openSync(this.#path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      if (!fstatSync(fd).isFile()) throw new Error(`${this.#path} is not a regular file`);
      use(fd);
    } finally {
      closeSync(fd);
    }
  }
}
