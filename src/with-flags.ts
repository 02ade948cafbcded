/** Door: flags for a single call. */
import type { FlagsInput, ParsedFlags } from './model/flags.ts';
import { parseFlags } from './policy/flags.ts';

const parsedBy = new WeakMap<object, ParsedFlags>();

/** Flags for one call; made by `withFlags`, recognised by identity. */
export interface CallFlags {
  readonly flags: FlagsInput | string;
}

/**
 * Makes the last argument of a governed call that carries flags for this call alone:
 * `await sendEmail(message, withFlags({email: 'block'}))`. The tool never sees it.
 */
export const withFlags = (flags: FlagsInput | string): CallFlags => {
  const carrier = Object.freeze({ flags });
  parsedBy.set(carrier, parseFlags(flags));
  return carrier;
};

/** What `withFlags` made of this value; `undefined` for anything else, whatever its shape. */
export const callFlagsOf = (value: unknown): ParsedFlags | undefined =>
  typeof value === 'object' && value !== null ? parsedBy.get(value) : undefined;
