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
  const copy: Record<string, unknown> = { ...value };
  // An own `__proto__` must stay a plain property; everything else is assigned, at a tenth of the price.
  if (token !== '__proto__') copy[token] = next;
  else Object.defineProperty(copy, token, { value: next, enumerable: true, configurable: true, writable: true });
  return Object.freeze(copy);
};

const tokensOf = (pointer: string): readonly string[] => {
  if (pointer === '') return [];
  const tokens = pointer.slice(1).split('/');
  return pointer.includes('~') ? tokens.map(unescapeToken) : tokens;
};

/** The value at a JSON pointer; `undefined` where there is none. */
export const valueAt = (args: unknown, pointer: string): unknown => {
  let value = args;
  for (const token of tokensOf(pointer)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return undefined;
    value = (value as Record<string, unknown>)[token];
  }
  return value;
};

/** Applies every rewrite; throws when a pointer leads nowhere, because running the old value would ignore an obligation. */
export const applyRewrites = (args: unknown, rewrites: readonly Rewrite[]): unknown => {
  let value = args;
  for (const { pointer, value: replacement } of rewrites) {
    value = replaceAt(value, tokensOf(pointer), 0, replacement);
  }
  return value;
};
