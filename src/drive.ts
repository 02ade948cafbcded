/**
 * Door-internal: bodies that work while they are read. Their call ends with them: at their last value, at a value that is
 * withheld, when the reader lets go (or is collected without having read on), when a signal fires.
 */
import type { Run } from './ending.ts';
import { CANCELLED, end, fail, finishStream, passOn, reasonOf, settledOrCancelled } from './ending.ts';
import { StreamRelease } from './fulfil.ts';

/** Streams that their reader dropped without a word: nothing else would ever end their call. */
const dropped = new FinalizationRegistry<() => void>((endCall) => endCall());

/** Ends the call of what can no longer be read by anybody. `reader` must not be reachable from the run. */
export const endWhenDropped = (reader: object, run: Run, stream?: StreamRelease): void => {
  dropped.register(
    reader,
    () => end(run, 'returned', stream === undefined ? {} : { released: stream.released }),
    stream,
  );
};

/** Takes `endWhenDropped` back: something else is read in the place of that reader. */
export const keep = (stream: StreamRelease): void => {
  dropped.unregister(stream);
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

export const driveGenerator = (run: Run, body: Iterator<unknown, unknown, unknown>): Generator => {
  const stream = new StreamRelease(run.verdict);
  const reader = readGenerator(run, stream, body);
  // To its first pause: a generator that was never started is ended by `return` without any clean-up.
  reader.next();
  endWhenDropped(reader, run, stream);
  return reader;
};

function* readGenerator(run: Run, stream: StreamRelease, body: Iterator<unknown, unknown, unknown>): Generator {
  let isOpen = true;
  try {
    yield;
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
    // Also where the call has ended: what is read behind its end is masked like the rest.
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

export const driveAsyncGenerator = (
  run: Run,
  body: AsyncIterator<unknown, unknown, unknown>,
  stream = new StreamRelease(run.verdict),
): AsyncGenerator => {
  const reader = readAsyncGenerator(run, stream, body);
  // To its first pause, as above.
  void reader.next();
  endWhenDropped(reader, run, stream);
  return reader;
};

/** A generator awaits what it yields: what that comes to is what must be looked through. */
const awaited = async (
  pending: PromiseLike<IteratorResult<unknown, unknown>>,
): Promise<IteratorResult<unknown, unknown>> => {
  const { done, value } = await pending;
  return { done: done === true, value: await value };
};

async function* readAsyncGenerator(
  run: Run,
  stream: StreamRelease,
  body: AsyncIterator<unknown, unknown, unknown>,
): AsyncGenerator {
  const { signals } = run.verdict.request;
  let isOpen = true;
  const take = async (
    pending: Promise<IteratorResult<unknown, unknown>>,
  ): Promise<IteratorResult<unknown, unknown>> => {
    const step = await settledOrCancelled(awaited(pending), signals);
    if (step === CANCELLED) {
      end(run, 'cancelled', { released: stream.released });
      throw reasonOf(signals);
    }
    return step as IteratorResult<unknown, unknown>;
  };
  try {
    yield;
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
    // Also where the call has ended: what is read behind its end is masked like the rest.
    return fail(run, error);
  } finally {
    if (isOpen) await closeLater(run, stream, body);
    end(run, 'returned', { released: stream.released });
  }
}
