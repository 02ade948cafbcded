/**
 * Frames on the pipe between the parent and an isolate host: four bytes of length (big-endian), then that many bytes of
 * JSON in UTF-8. Both sides refuse a frame by its length, before they hold its body, and a body that is not UTF-8.
 */
import { isUtf8 } from 'node:buffer';

const HEADER = 4;

export const encodeFrame = (message: unknown): Buffer => {
  const text = JSON.stringify(message);
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(HEADER + length);
  frame.writeUInt32BE(length);
  frame.write(text, HEADER);
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
  *read(chunk: Buffer): Generator<string> {
    if (this.#failed) throw new FrameFault('Expected no more frames after a faulty one');
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    for (;;) {
      const length = this.#held < HEADER ? undefined : this.#peekLength();
      if (length !== undefined && length > this.#maxBytes) {
        this.#fail(`Expected a frame of at most ${this.#maxBytes} bytes, got ${length}`);
      }
      if (length === undefined || this.#held < HEADER + length) {
        // The reader of a pipe may use one buffer again and again.
        const rest = this.#chunks.pop();
        if (rest !== undefined) this.#chunks.push(Buffer.from(rest));
        return;
      }
      const body = this.#take(HEADER + length).subarray(HEADER);
      if (!isUtf8(body)) this.#fail('Expected a frame of UTF-8, got other bytes');
      yield body.toString();
    }
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
