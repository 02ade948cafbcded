/** Door-internal: which call the code that is running now belongs to. */
import { AsyncLocalStorage } from 'node:async_hooks';

const parents = new AsyncLocalStorage<string>();

/** Runs `fn` so that the governed calls it makes name `callId` as the call they were made for. */
export const withParentCall = <R>(callId: string, fn: () => R): R => parents.run(callId, fn);

export const parentCallId = (): string | undefined => parents.getStore();
