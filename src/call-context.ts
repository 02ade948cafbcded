/** Door-internal: which call the code that is running now belongs to. */
import { AsyncLocalStorage } from 'node:async_hooks';

const parents = new AsyncLocalStorage<string>();

/** Runs `fn` so that the governed calls it makes name `callId` as the call they were made for. */
export const withParentCall = <R>(callId: string, fn: () => R): R => parents.run(callId, fn);

export const parentCallId = (): string | undefined => parents.getStore();

const nesting = new WeakSet<object>();

/** Declares a body that makes governed calls of its own: the calls name the call that the body runs for as their parent. */
export const markNesting = (body: object): void => {
  nesting.add(body);
};

export const isNesting = (body: object): boolean => nesting.has(body);
