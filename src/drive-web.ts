/** Door-internal: web streams and responses, governed as they are read. */
import { driveAsyncGenerator } from './drive.ts';
import type { Run } from './ending.ts';
import { end, fail, passOn } from './ending.ts';
import { StreamRelease } from './fulfil.ts';

/** Bytes may be read into buffers of the reader (`mode: 'byob'`) where the body lets them. */
const isByteStream = (body: ReadableStream): boolean => {
  try {
    body.getReader({ mode: 'byob' }).releaseLock();
    return true;
  } catch {
    return false;
  }
};

/** Nothing is read ahead: what the reader has not asked for stays in the body. */
export const driveWeb = (
  run: Run,
  body: ReadableStream<unknown>,
  stream = new StreamRelease(run.verdict),
): ReadableStream<unknown> => {
  const ofBytes = isByteStream(body);
  // Fails here where somebody reads it already; locked by us only when it is read, or let go.
  body.getReader().releaseLock();
  let locked: ReadableStreamDefaultReader<unknown> | undefined;
  const source = (): ReadableStreamDefaultReader<unknown> => (locked ??= body.getReader());
  const iterator: AsyncIterator<unknown, unknown> = {
    next: () => source().read(),
    return: async () => {
      await source().cancel();
      return { done: true, value: undefined };
    },
  };
  const pieces = driveAsyncGenerator(run, iterator, stream);
  const pull = async (
    controller: ReadableStreamDefaultController<unknown> | ReadableByteStreamController,
  ): Promise<void> => {
    const { done, value } = (await pieces.next()) as IteratorResult<Uint8Array<ArrayBuffer>, unknown>;
    if (done === true) {
      controller.close();
      // Whoever waits for bytes in a buffer of its own hears of the end only by an answer to that.
      if ('byobRequest' in controller) controller.byobRequest?.respond(0);
    } else if (ofBytes && value.length === 0) {
      // A stream of bytes takes no empty piece: all of it was the middle of something masked.
      await pull(controller);
    } else {
      controller.enqueue(value);
    }
  };
  const cancel = async (reason: unknown): Promise<void> => {
    // At the body itself: the generator may be waiting for a piece that never comes.
    end(run, 'returned', { released: stream.released });
    pieces.return(undefined).catch(() => undefined);
    try {
      await source().cancel(reason);
    } catch (error) {
      fail(run, error);
    }
  };
  return ofBytes
    ? new ReadableStream({ type: 'bytes', pull, cancel })
    : new ReadableStream<unknown>({ pull, cancel }, { highWaterMark: 0 });
};

/** What stands around the body can hold a secret as well. */
export const driveResponse = (run: Run, body: Response): Response => {
  const { status, statusText, headers, url, redirected, type } = body;
  const stream = new StreamRelease(run.verdict);
  const given = { statusText, url, headers: [...headers] };
  const head = stream.aside(given);
  passOn(run, stream, []);
  const { body: content } = body;
  const isUnreadable = content === null || body.bodyUsed;
  if (isUnreadable) {
    end(run, 'returned', { released: stream.released });
    if (head === given) return body;
  }
  const readable = isUnreadable ? null : (driveWeb(run, content, stream) as ReadableStream<Uint8Array>);
  const response = new Response(readable, { status, statusText: head.statusText, headers: head.headers });
  for (const [name, value] of Object.entries({ url: head.url, redirected, type })) {
    Object.defineProperty(response, name, { value, enumerable: true });
  }
  return response;
};
