/** Door-internal: streams of `node:stream`, governed as they are read: in the same mode and encoding. */
import { Duplex, Readable, Transform } from 'node:stream';
import type { DuplexOptions } from 'node:stream';
import { driveAsyncGenerator } from './drive.ts';
import type { Run } from './ending.ts';
import { end, fail, passOn } from './ending.ts';
import { StreamRelease } from './fulfil.ts';

/** Of what can be iterated: streams of packages as well (`readable-stream`), which are of no class of ours. */
export const isNodeStream = (result: object): result is Readable => {
  const { pipe, on, destroy } = result as Partial<Readable>;
  return [pipe, on, destroy].every((method) => typeof method === 'function');
};

/** Texts that stand for bytes: what they say is in the bytes. */
const OF_BYTES: ReadonlySet<string> = new Set(['hex', 'base64', 'base64url']);

const isPremature = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';

/**
 * Without destroying it at its end: newer Nodes do that with an error to what can still be written to. Streams of packages
 * may not have the choice.
 */
const chunksOf = (body: Readable): AsyncIterator<unknown> => {
  const { iterator } = body as Partial<Pick<Readable, 'iterator'>>;
  return iterator === undefined
    ? body[Symbol.asyncIterator]()
    : (Reflect.apply(iterator, body, [{ destroyOnReturn: false }]) as AsyncIterator<unknown>);
};

export const driveNode = (run: Run, body: Readable): Readable => {
  const { readableObjectMode, readableHighWaterMark, readableEncoding: encoding } = body;
  const stream = new StreamRelease(run.verdict);
  const chunks = chunksOf(body);
  const isCoded = !readableObjectMode && encoding !== null && OF_BYTES.has(encoding);
  const source = isCoded ? decoded(chunks, encoding) : chunks;
  const pieces = driveAsyncGenerator(run, source, stream);
  const masked = (error: unknown): Error => {
    try {
      return fail(run, error);
    } catch (thrown) {
      return thrown as Error;
    }
  };
  const fulfilRead = async (): Promise<void> => {
    try {
      const { done, value } = (await pieces.next()) as IteratorResult<unknown, unknown>;
      if (done === true) reader.push(null);
      else if (typeof value === 'string' && encoding !== null) reader.push(value, encoding);
      else reader.push(value);
    } catch (error) {
      // One that was destroyed without an error only closes.
      reader.destroy(isPremature(error) && body.errored === null ? undefined : (error as Error));
    }
  };
  const isOpen = isOpenToWrite(body, run.parts !== undefined);
  const letGo = async (): Promise<void> => {
    end(run, 'returned', { released: stream.released });
    try {
      // The body itself: the generator may be waiting for a chunk that never comes.
      if (!body.readableEnded || isOpen) body.destroy();
      await pieces.return(undefined);
    } catch {
      // The call has ended, and nobody reads on.
    }
  };
  const options = {
    readableObjectMode,
    readableHighWaterMark,
    ...(encoding !== null && { encoding }),
    read: () => {
      void fulfilRead();
    },
    destroy: (error: Error | null, done: (error?: Error | null) => void) => {
      void letGo();
      done(error);
    },
  };
  const reader = isOpen
    ? new Duplex({ ...options, ...writesOf(body as Duplex, masked) })
    : new Readable({ ...options, objectMode: readableObjectMode, highWaterMark: readableHighWaterMark });
  // Also before anybody reads, and after: without a listener the error would end the process.
  body.on('error', (error) => {
    if (!run.isEnded) reader.destroy(masked(error));
  });
  // A part of a result may have nobody who listens, and whoever does hears of it as well.
  if (run.parts !== undefined) reader.on('error', () => undefined);
  // Its maker may be the one who writes.
  if (isOpen) body.once('finish', () => (reader as Duplex).end());
  lendMembers(reader, body, (value) => {
    const given = stream.aside(value);
    passOn(run, stream, []);
    return given;
  });
  // Nothing will come of it any more.
  if (run.parts !== undefined && (body.destroyed || body.readableEnded))
    end(run, 'returned', { released: stream.released });
  return reader;
};

const STREAMS: ReadonlySet<object | null> = new Set([Readable.prototype, Duplex.prototype, Transform.prototype, null]);

const isData = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
};

/** What a stream of a class of its own has besides: the head of an answer, the path of a file. Data is masked. */
const lendMembers = (reader: Readable, body: Readable, mask: (value: unknown) => unknown): void => {
  const read = (name: string): unknown => {
    const value: unknown = Reflect.get(body, name, body);
    if (typeof value === 'function') return (value as (...args: unknown[]) => unknown).bind(body);
    return isData(value) ? mask(value) : value;
  };
  for (let at: object | null = body; !STREAMS.has(at); at = Object.getPrototypeOf(at) as object | null) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (name.startsWith('_') || name in reader) continue;
      const set = (value: unknown): boolean => Reflect.set(body, name, value, body);
      Object.defineProperty(reader, name, { get: () => read(name), set, configurable: true, enumerable: true });
    }
  }
};

/**
 * What a Transform reads is written by the body; what is written to a socket is written by the caller. One that is a part
 * of a result may be there to be written to.
 */
const isOpenToWrite = (body: Readable, isPart: boolean): boolean =>
  body instanceof Duplex && (isPart || !(body instanceof Transform)) && body.writable;

/** Passes on what the caller writes, and what comes of it, which is a result as well. */
const writesOf = (body: Duplex, masked: (error: unknown) => Error): DuplexOptions => {
  const answer =
    (done: (error?: Error | null) => void) =>
    (error?: Error | null): void => {
      done(error === undefined || error === null ? null : masked(error));
    };
  return {
    allowHalfOpen: body.allowHalfOpen,
    writableObjectMode: body.writableObjectMode,
    writableHighWaterMark: body.writableHighWaterMark,
    decodeStrings: false,
    write: (chunk, encoding, done) => {
      body.write(chunk, encoding, answer(done));
    },
    final: (done) => {
      if (body.writableFinished) done();
      else body.end(answer(done));
    },
  };
};

async function* decoded(chunks: AsyncIterator<unknown>, encoding: BufferEncoding): AsyncGenerator {
  for await (const chunk of { [Symbol.asyncIterator]: () => chunks }) yield Buffer.from(chunk as string, encoding);
}
