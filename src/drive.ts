/**
 * Door-internal: bodies that work while they are read. Their call ends with them: at their last value, at a value that is
 * withheld, when the reader lets go, when a signal fires.
 */
import { createContentStream } from './content/stream.ts';
import type { Run } from './ending.ts';
import {
  CANCELLED,
  end,
  fail,
  finish,
  finishStream,
  handOver,
  passOn,
  reasonOf,
  settledOrCancelled,
} from './ending.ts';
import { StreamRelease } from './fulfil.ts';

/** Iterators that the language makes; what else has a `next` may mean something else by it. */
const ITERATOR = /^\[object (?:Generator|Iterator Helper|\w+ Iterator|RegExp String Iterator)\]$/u;

/** A body of any kind may hand back a generator: its work is done while it is read, so the call ends when it does. */
export const dispatch = (run: Run, result: unknown): unknown => {
  if (typeof result !== 'object' || result === null) return finish(run, result);
  const tag = Object.prototype.toString.call(result);
  if (tag === '[object Object]' || tag === '[object Array]') return finish(run, result);
  if (ITERATOR.test(tag)) return driveGenerator(run, result as Generator);
  if (tag === '[object AsyncGenerator]') return driveAsyncGenerator(run, result as AsyncGenerator);
  if (result instanceof ReadableStream) return driveReadable(run, result);
  return finish(run, result);
};

/** The reader let go, or nothing more may be read: the body gets to clean up, and a failure of that is the call's. */
const close = (run: Run, stream: StreamRelease, body: Iterator<unknown, unknown, unknown>): void => {
  try {
    body.return?.();
  } catch (error) {
    if (!run.isEnded) fail(run, error);
  }
  end(run, 'returned', { released: stream.released });
};

export function* driveGenerator(run: Run, body: Iterator<unknown, unknown, unknown>): Generator {
  const stream = new StreamRelease(run.verdict);
  let isOpen = true;
  try {
    let step = body.next();
    while (step.done !== true) {
      let sent: unknown;
      let thrown: { readonly error: unknown } | undefined;
      for (const item of passOn(run, stream, stream.next(step.value))) {
        try {
          sent = yield item;
        } catch (error) {
          thrown = { error };
        }
      }
      if (thrown === undefined) step = body.next(sent);
      else if (body.throw === undefined) throw thrown.error;
      else step = body.throw(thrown.error);
    }
    isOpen = false;
    yield* passOn(run, stream, stream.end());
    return finishStream(run, stream, step.value);
  } catch (error) {
    if (run.isEnded) throw error;
    return fail(run, error);
  } finally {
    if (isOpen) close(run, stream, body);
    // The reader let go of what was left of a body that had ended.
    end(run, 'returned', { released: stream.released });
  }
}

const closeLater = async (
  run: Run,
  stream: StreamRelease,
  body: AsyncIterator<unknown, unknown, unknown>,
): Promise<void> => {
  const { signals } = run.verdict.request;
  const returned = (async () => body.return?.())();
  if (run.isEnded) {
    // It may be waiting for something that never comes: nobody waits with it.
    returned.catch(() => undefined);
    return;
  }
  let result: unknown;
  try {
    result = await settledOrCancelled(returned, signals);
  } catch (error) {
    fail(run, error);
  }
  end(run, result === CANCELLED ? 'cancelled' : 'returned', { released: stream.released });
};

export async function* driveAsyncGenerator(run: Run, body: AsyncIterator<unknown, unknown, unknown>): AsyncGenerator {
  const { signals } = run.verdict.request;
  const stream = new StreamRelease(run.verdict);
  let isOpen = true;
  const take = async (
    pending: Promise<IteratorResult<unknown, unknown>>,
  ): Promise<IteratorResult<unknown, unknown>> => {
    const step = await settledOrCancelled(pending, signals);
    if (step === CANCELLED) {
      end(run, 'cancelled', { released: stream.released });
      throw reasonOf(signals);
    }
    return step as IteratorResult<unknown, unknown>;
  };
  try {
    let step = await take(body.next());
    while (step.done !== true) {
      let sent: unknown;
      let thrown: { readonly error: unknown } | undefined;
      for (const item of passOn(run, stream, stream.next(step.value))) {
        try {
          sent = yield item;
        } catch (error) {
          thrown = { error };
        }
      }
      if (thrown === undefined) step = await take(body.next(sent));
      else if (body.throw === undefined) throw thrown.error;
      else step = await take(body.throw(thrown.error));
    }
    isOpen = false;
    yield* passOn(run, stream, stream.end());
    return finishStream(run, stream, step.value);
  } catch (error) {
    if (run.isEnded) throw error;
    return fail(run, error);
  } finally {
    if (isOpen) await closeLater(run, stream, body);
    end(run, 'returned', { released: stream.released });
  }
}

/** A web stream is masked piece by piece; what must not go on errors it. */
const driveReadable = (run: Run, body: ReadableStream<unknown>): ReadableStream<unknown> => {
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
  return run.verdict.request.rules
    .reduce<ReadableStream<unknown>>(
      (readable, { scanner }, index) =>
        readable.pipeThrough(createContentStream(scanner, { found: (findings) => stream.note(findings, index) })),
      body,
    )
    .pipeThrough(guard);
};
