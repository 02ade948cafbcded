/**
 * Door-internal: a body of any kind may hand back something that works while it is read: a generator, a stream, a response.
 * What goes on is the same thing with the governed stream in its place, and its call ends when the stream does.
 */
import { Duplex, Readable, Transform } from 'node:stream';
import { createContentStream } from './content/stream.ts';
import { driveAsyncGenerator, driveGenerator, endWhenDropped, keep } from './drive.ts';
import type { Run } from './ending.ts';
import { end, fail, finish, handOver } from './ending.ts';
import { StreamRelease } from './fulfil.ts';

/** Iterators that the language makes; what else has a `next` may mean something else by it. */
const ITERATOR = /^\[object (?:Generator|Iterator Helper|\w+ Iterator|RegExp String Iterator)\]$/u;

export const dispatch = (run: Run, result: unknown): unknown => {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return finish(run, result);
  let drive: ((run: Run) => unknown) | undefined;
  try {
    drive = driveFor(result);
  } catch (error) {
    return fail(run, error);
  }
  return drive === undefined ? finish(run, result) : drive(run);
};

/** Reads the result, which may throw. */
const driveFor = (result: object): ((run: Run) => unknown) | undefined => {
  const tag = Object.prototype.toString.call(result);
  if (ITERATOR.test(tag)) return (run) => driveGenerator(run, result as Generator);
  if (tag === '[object AsyncGenerator]') return (run) => driveAsyncGenerator(run, result as AsyncGenerator);
  if (result instanceof ReadableStream) return (run) => driveWeb(run, result);
  if (result instanceof Readable || result instanceof Duplex) return (run) => driveNode(run, result);
  if (result instanceof Response) return (run) => driveResponse(run, result);
  return hasAsyncIterator(result) ? (run) => driveIterable(run, result) : undefined;
};

/** A web stream is masked piece by piece; what must not go on errors it. */
const driveWeb = (run: Run, body: ReadableStream<unknown>): ReadableStream<unknown> => {
  const stream = new StreamRelease(run.verdict);
  const finishOnce = (): void => end(run, 'returned', { released: stream.released });
  const guard = new TransformStream<unknown, unknown>({
    transform: (value: unknown, controller: TransformStreamDefaultController) => {
      // What was found was found before its text was given on, so the flag is up when that text arrives here.
      if (stream.released.withheld === undefined) {
        controller.enqueue(value);
        return;
      }
      finishOnce();
      try {
        handOver(run, stream.released);
      } catch (error) {
        controller.error(error);
      }
    },
    flush: finishOnce,
    cancel: finishOnce,
    // `cancel` is newer than the types of Node's streams.
  });
  const reader = run.verdict.request.rules
    .reduce<ReadableStream<unknown>>(
      (readable, { scanner }, index) =>
        readable.pipeThrough(createContentStream(scanner, { found: (findings) => stream.note(findings, index) })),
      body,
    )
    .pipeThrough(guard);
  endWhenDropped(reader, run, stream);
  return reader;
};

/** A stream of `node:stream`: its chunks, in the same mode and encoding. What can be written to stays so. */
const driveNode = (run: Run, body: Readable): Readable => {
  const { readableObjectMode, readableEncoding } = body;
  const reader = Readable.from(driveAsyncGenerator(run, body[Symbol.asyncIterator]()), {
    objectMode: readableObjectMode,
  });
  if (readableEncoding !== null) reader.setEncoding(readableEncoding);
  // Also before anybody reads: without a listener the error would end the process.
  body.once('error', (error) => {
    try {
      if (!run.isEnded) fail(run, error);
    } catch (masked) {
      reader.destroy(masked as Error);
    }
  });
  // What a Transform reads is written by the body; what is written to a socket is written by the caller.
  return body instanceof Duplex && !(body instanceof Transform) && body.writable
    ? Duplex.from({ readable: reader, writable: body })
    : reader;
};

const driveResponse = (run: Run, body: Response): Response => {
  if (body.body === null || body.bodyUsed) return finish(run, body) as Response;
  const { status, statusText, headers } = body;
  const response = new Response(driveWeb(run, body.body) as ReadableStream<Uint8Array>, {
    status,
    statusText,
    headers,
  });
  for (const name of ['url', 'redirected', 'type'] as const) {
    Object.defineProperty(response, name, { value: body[name], enumerable: true });
  }
  return response;
};

interface Iterates {
  readonly [Symbol.asyncIterator]: () => AsyncIterator<unknown, unknown, unknown>;
}

const hasAsyncIterator = (result: object): result is Iterates =>
  typeof (result as Partial<Iterates>)[Symbol.asyncIterator] === 'function';

/**
 * The object itself in everything but how it is iterated. Other ways to read it that it may have of its own are not
 * governed: nobody knows which of its methods do.
 */
const driveIterable = (run: Run, body: Iterates): object => {
  const unread = new StreamRelease(run.verdict);
  const iterate = (): AsyncGenerator => {
    // From here on it is the iterator that is read, or dropped.
    keep(unread);
    return driveAsyncGenerator(run, body[Symbol.asyncIterator]());
  };
  const methods = new Map<unknown, unknown>();
  const reader = new Proxy(body, {
    get: (target, key) => {
      if (key === Symbol.asyncIterator) return iterate;
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      // Bound to the object itself: methods of a class may need its private fields.
      const bound = methods.get(value) ?? (value as (...args: unknown[]) => unknown).bind(target);
      methods.set(value, bound);
      return bound;
    },
  });
  endWhenDropped(reader, run, unread);
  return reader;
};
