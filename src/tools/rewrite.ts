/** Puts new values at JSON pointers of frozen arguments: copies only along the way, freezes again. */
import type { Rewrite } from '../model/decision.ts';

const unescapeToken = (token: string): string => token.replaceAll('~1', '/').replaceAll('~0', '~');

const replaceAt = (value: unknown, tokens: readonly string[], step: number, replacement: unknown): unknown => {
  const token = tokens[step];
  if (token === undefined) return replacement;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) {
    throw new TypeError(`Expected a value at ${tokens.join('/')} to rewrite, found none`);
  }
  const next = replaceAt((value as Record<string, unknown>)[token], tokens, step + 1, replacement);
  if (Array.isArray(value))
    return Object.freeze(value.map((item: unknown, index) => (String(index) === token ? next : item)));
  const copy = { ...value };
  Object.defineProperty(copy, token, { value: next, enumerable: true, configurable: true, writable: true });
  return Object.freeze(copy);
};

/** Applies every rewrite; throws when a pointer leads nowhere, because running the old value would ignore an obligation. */
export const applyRewrites = (args: unknown, rewrites: readonly Rewrite[]): unknown => {
  let value = args;
  for (const { pointer, value: replacement } of rewrites) {
    const tokens = pointer === '' ? [] : pointer.slice(1).split('/').map(unescapeToken);
    value = replaceAt(value, tokens, 0, replacement);
  }
  return value;
};
