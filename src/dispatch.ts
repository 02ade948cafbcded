/**
 * Door-internal: a body of any kind may hand back something that works while it is read: a generator, a stream, a response.
 * What goes on is the same thing with the governed stream in its place, and its call ends when the stream does.
 */
import { driveAsyncGenerator, driveGenerator } from './drive.ts';
import { driveIterable, hasAsyncIterator } from './drive-iterable.ts';
import { driveNode, isNodeStream } from './drive-node.ts';
import { driveResponse, driveWeb } from './drive-web.ts';
import type { Run } from './ending.ts';
import { fail, finish } from './ending.ts';

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

/** Reads the result, which may throw. */
const driveFor = (result: object): ((run: Run) => unknown) | undefined => {
  const tag = Object.prototype.toString.call(result);
  if (ITERATOR.test(tag)) return (run) => driveGenerator(run, result as Generator);
  if (tag === '[object AsyncGenerator]') return (run) => driveAsyncGenerator(run, result as AsyncGenerator);
  if (result instanceof Response) return (run) => driveResponse(run, result);
  if (!hasAsyncIterator(result)) return undefined;
  if (result instanceof ReadableStream) return (run) => driveWeb(run, result);
  return isNodeStream(result) ? (run) => driveNode(run, result) : (run) => driveIterable(run, result);
};
