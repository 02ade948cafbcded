/** Names of error numbers. A file of its own: an isolate host loads what it needs to lock itself, and no launcher. */
import { constants } from 'node:os';

/** `EACCES` for 13. */
export const errnoName = (errno: number): string =>
  Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
