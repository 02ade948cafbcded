/**
 * Door-internal: a body of any kind may hand back something that works while it is read: a generator, a stream, a response,
 * or an object that holds such things, or promises. What goes on is the same with the governed one in its place, and the
 * call ends when the last of them does.
 */
import { types } from 'node:util';
import { driveAsyncGenerator, driveGenerator, endWhenDropped } from './drive.ts';
import { driveIterable, hasAsyncIterator } from './drive-iterable.ts';
import { driveNode, isNodeStream } from './drive-node.ts';
import { driveResponse, driveWeb } from './drive-web.ts';
import type { Looked, Run } from './ending.ts';
import { CANCELLED, end, endWith, fail, handOver, reasonOf, settledOrCancelled } from './ending.ts';
import { release } from './fulfil.ts';
import { Parts, type Part } from './parts.ts';

/** Iterators that the language makes; what else has a `next` may mean something else by it. */
const ITERATOR = /^\[object (?:Generator|Iterator|Iterator Helper|\w+ Iterator|RegExp String Iterator)\]$/u;

export const dispatch = (run: Run, result: unknown): unknown => {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return finish(run, result);
  try {
    const drive = driveFor(result);
    if (drive !== undefined) return drive(run);
  } catch (error) {
    return fail(run, error);
  }
  return finish(run, result);
};

/** A body that may wait, or a promise in its result. */
export const finishLater = async (run: Run, pending: PromiseLike<unknown>): Promise<unknown> => {
  const { signals } = run.verdict.request;
  let result: unknown;
  try {
    result = await settledOrCancelled(pending, signals);
  } catch (error) {
    return fail(run, error);
  }
  if (result === CANCELLED) {
    end(run, 'cancelled');
    throw reasonOf(signals);
  }
  return dispatch(run, result);
};

/** Reads the result, which may throw. */
const driveFor = (result: object): ((run: Run) => object) | undefined => {
  const tag = Object.prototype.toString.call(result);
  if (tag === PLAIN && !hasAsyncIterator(result)) return undefined;
  if (ITERATOR.test(tag)) return (run) => driveGenerator(run, result as Generator);
  if (tag === '[object AsyncGenerator]') return (run) => driveAsyncGenerator(run, result as AsyncGenerator);
  // By its tag first: Node loads `Response`, and much with it, when it is first named.
  if (tag === '[object Response]' && result instanceof Response) return (run) => driveResponse(run, result);
  if (!hasAsyncIterator(result)) return undefined;
  if (result instanceof ReadableStream) return (run) => driveWeb(run, result);
  return isNodeStream(result) ? (run) => driveNode(run, result) : (run) => driveIterable(run, result);
};
const PLAIN = '[object Object]';

/** Steps 6 and 7. */
const finish = (run: Run, result: unknown): unknown => {
  const looked = look(run, result);
  endWith(run, 'returned', looked);
  return handOver(run, looked.released);
};

export const look = (run: Run, result: unknown): Looked => {
  let parts = run.parts;
  const taken: Part[] = [];
  const released = release(run.verdict, result, (value) => {
    const known = parts?.readerOf(value);
    if (known !== undefined) return known;
    const drive = types.isPromise(value) ? driveLater(value) : driveFor(value);
    if (drive === undefined || answersAnything(value)) return undefined;
    const part = (parts ??= new Parts(run)).take(drive, value);
    taken.push(part);
    return part.reader;
  });
  if (released.withheld !== undefined) for (const part of taken) letGo(part);
  return parts === undefined || parts === run.parts ? { released } : { released, parts };
};

/** A client of remote calls has a function for every name: it says nothing of itself by that of an iterator. */
const answersAnything = (value: object): boolean =>
  typeof (value as { readonly [NO_NAME]?: unknown })[NO_NAME] === 'function';
const NO_NAME = Symbol('no name');

const driveLater =
  (pending: Promise<unknown>) =>
  (part: Run): Promise<unknown> => {
    const later = finishLater(part, pending);
    // Whoever made it may have seen to it that nobody needs to: a second promise must not end the process.
    later.catch(() => undefined);
    endWhenDropped(later, part);
    return later;
  };

/** Nobody will read it: what it holds open is closed. */
const letGo = ({ run, reader }: Part): void => {
  end(run, 'returned');
  const quietly = async (): Promise<void> => {
    if (reader instanceof ReadableStream) await reader.cancel();
    else if (reader instanceof Response) await reader.body?.cancel();
    else if (isNodeStream(reader)) reader.destroy();
    else if (!types.isPromise(reader)) await (reader as Partial<AsyncGenerator>).return?.(undefined);
  };
  quietly().catch(() => undefined);
};
