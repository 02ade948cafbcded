/** Door-internal: objects that can be iterated later, and are more than that. */
import { driveAsyncGenerator, endWhenDropped, keep } from './drive.ts';
import type { Run } from './ending.ts';
import { fail, passOn } from './ending.ts';
import { StreamRelease } from './fulfil.ts';

interface Iterates {
  readonly [Symbol.asyncIterator]: () => AsyncIterator<unknown, unknown, unknown>;
}

export const hasAsyncIterator = (result: object): result is Iterates =>
  typeof (result as Partial<Iterates>)[Symbol.asyncIterator] === 'function';

/**
 * The object itself in everything but how it is iterated, and its data is masked as it is read. Other ways to read the
 * stream that it may have of its own are not governed: nobody knows which of its methods do.
 */
export const driveIterable = (run: Run, body: Iterates & Partial<AsyncIterator<unknown>>): object => {
  // What is its own iterator is read by its own methods too, and both ways go on where the other stopped.
  const isIterator = typeof body.next === 'function';
  let only: AsyncGenerator | undefined;
  const first = new StreamRelease(run.verdict);
  let isFirst = true;
  const iterate = (): AsyncGenerator => {
    if (only !== undefined) return only;
    const stream = isFirst ? first : new StreamRelease(run.verdict);
    isFirst = false;
    // From here on it is the iterator that is read, or dropped.
    keep(first);
    let source: AsyncIterator<unknown, unknown, unknown>;
    try {
      source = body[Symbol.asyncIterator]();
    } catch (error) {
      return fail(run, error);
    }
    const pieces = driveAsyncGenerator(run, source, stream);
    if (isIterator) only = pieces;
    return pieces;
  };
  const dataAt = (key: PropertyKey, value: unknown): unknown => {
    // Under its name, which may be what tells a secret.
    const member = first.aside({ [String(key)]: value });
    passOn(run, first, []);
    return Object.values(member)[0];
  };
  const methods = new Map<unknown, unknown>();
  const get = (key: PropertyKey): unknown => {
    if (key === Symbol.asyncIterator) return iterate;
    if (isIterator && (key === 'next' || key === 'return' || key === 'throw')) {
      return (value: unknown) => iterate()[key](value);
    }
    const value: unknown = Reflect.get(body, key, body);
    if (typeof value !== 'function') return dataAt(key, value);
    // Bound to the object itself: methods of a class may need its private fields.
    const bound = methods.get(value) ?? (value as (...args: unknown[]) => unknown).bind(body);
    methods.set(value, bound);
    return bound;
  };
  // Not over the object itself: a frozen one would insist on its own iterator.
  const reader = new Proxy<object>(Object.create(Object.getPrototypeOf(body) as object | null) as object, {
    get: (_target, key) => get(key),
    set: (_target, key, value) => Reflect.set(body, key, value, body),
    has: (_target, key) => Reflect.has(body, key),
    deleteProperty: (_target, key) => Reflect.deleteProperty(body, key),
    ownKeys: () => Reflect.ownKeys(body),
    getOwnPropertyDescriptor: (_target, key) => {
      const { enumerable } = Reflect.getOwnPropertyDescriptor(body, key) ?? {};
      if (enumerable === undefined) return undefined;
      return { value: get(key), enumerable, writable: true, configurable: true };
    },
  });
  endWhenDropped(reader, run, first);
  return reader;
};
