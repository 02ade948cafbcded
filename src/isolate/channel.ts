/**
 * Frames on the pipe between the parent and an isolate host: four bytes of length (big-endian), then that many bytes of
 * JSON in UTF-8. Both sides refuse a frame by its length, before they hold its body, and a body that is not UTF-8.
 */
import { isUtf8 } from 'node:buffer';

const HEADER = 4;
/** Pieces of a frame that are shorter, in bytes, are joined as they come. */
const SMALL = 64 * 1024;
const ROOM_FOR_HEADER = ' '.repeat(HEADER);

export const encodeFrame = (message: unknown): Buffer => {
  const frame = Buffer.from(ROOM_FOR_HEADER + JSON.stringify(message));
  frame.writeUInt32BE(frame.length - HEADER);
  return frame;
};

/** Thrown for a frame that cannot be one; whoever reads ends the other side. */
export class FrameFault extends Error {
  override readonly name = 'FrameFault';
}

/** Cuts a stream of bytes into frames. After a fault it takes nothing more. */
export class FrameReader {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #held = 0;
  #failed = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The texts of the frames that `chunk` completed, in order; throws FrameFault. What it keeps of a chunk is a copy. */
  read(chunk: Buffer): Iterable<string> {
    if (this.#failed) throw new FrameFault('Expected no more frames after a faulty one');
    const isOneFrame = this.#held === 0 && chunk.length > HEADER && HEADER + chunk.readUInt32BE() === chunk.length;
    if (!isOneFrame || chunk.length - HEADER > this.#maxBytes) return this.#readPieces(chunk);
    return [this.#textOf(chunk.subarray(HEADER))];
  }

  *#readPieces(chunk: Buffer): Generator<string> {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    for (;;) {
      const length = this.#held < HEADER ? undefined : this.#peekLength();
      if (length !== undefined && length > this.#maxBytes) {
        this.#fail(`Expected a frame of at most ${this.#maxBytes} bytes, got ${length}`);
      }
      if (length === undefined || this.#held < HEADER + length) {
        const rest = this.#chunks.pop();
        if (rest !== undefined) this.#keep(rest);
        return;
      }
      yield this.#textOf(this.#take(HEADER + length).subarray(HEADER));
    }
  }

  /**
   * A copy: the reader of a pipe may use one buffer again and again. A small one is joined to what is no longer than
   * itself, so that a frame that comes byte by byte is not an object for each of them.
   */
  #keep(rest: Buffer): void {
    let kept = Buffer.from(rest);
    for (let last = this.#chunks.at(-1); last !== undefined; last = this.#chunks.at(-1)) {
      if (kept.length >= SMALL || last.length > kept.length) break;
      kept = Buffer.concat([last, kept]);
      this.#chunks.pop();
    }
    this.#chunks.push(kept);
  }

  #textOf(body: Buffer): string {
    if (!isUtf8(body)) this.#fail('Expected a frame of UTF-8, got other bytes');
    return body.toString();
  }

  #peekLength(): number {
    const first = this.#chunks[0] as Buffer;
    if (first.length >= HEADER) return first.readUInt32BE();
    // A header that came in pieces: rare, so joining is fine.
    this.#chunks = [Buffer.concat(this.#chunks)];
    return (this.#chunks[0] as Buffer).readUInt32BE();
  }

  #take(length: number): Buffer {
    if ((this.#chunks[0] as Buffer).length < length) this.#chunks = [Buffer.concat(this.#chunks)];
    const first = this.#chunks[0] as Buffer;
    const taken = first.subarray(0, length);
    if (first.length === length) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(length);
    this.#held -= length;
    return taken;
  }

  #fail(message: string): never {
    this.#failed = true;
    this.#chunks = [];
    this.#held = 0;
    throw new FrameFault(message);
  }
}
