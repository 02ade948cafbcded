/** Values of every kind: what they are, and copies that stay what the original was. */

/** Of no class of its own. */
export const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

export const tagOf = (value: object): unknown =>
  (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];

/** A Buffer for a Buffer, without naming node: the constructor of the value makes the new one. */
export const bytesLike = (like: Uint8Array, text: string): Uint8Array => sameKind(like, new TextEncoder().encode(text));

export const sameKind = (like: Uint8Array, bytes: Uint8Array): Uint8Array => {
  const { from } = like.constructor as { readonly from?: (source: Uint8Array) => Uint8Array };
  return from === undefined ? bytes : from.call(like.constructor, bytes);
};

/** Two masked names must not fall together, nor upon a name that is there. `last` keeps many of them from being tried in turn. */
export const freeName = (wanted: string, copy: object, record: object, last: Map<string, number>): string => {
  let times = last.get(wanted) ?? 1;
  let name = times === 1 ? wanted : `${wanted}_${times}`;
  while (Object.hasOwn(copy, name) || Object.hasOwn(record, name)) name = `${wanted}_${(times += 1)}`;
  last.set(wanted, times);
  return name;
};

/** UTF-8 and UTF-16 that decode without a fault are text. */
export const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    const wide = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : 'utf-8';
    const text = new TextDecoder(wide, { fatal: true }).decode(bytes);
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
};

/** An empty one of the same kind. */
export const shellOf = (value: object): object => {
  if (Array.isArray(value)) return [];
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  const prototype = Object.getPrototypeOf(value) as object | null;
  // A native error under the same class: what tells errors by their make (`isError`, structured clones) goes on working.
  return value instanceof Error
    ? (Object.setPrototypeOf(new Error(''), prototype) as Error)
    : (Object.create(prototype) as object);
};

/** `shell` with all that `whole` has. */
export const filled = (shell: object, whole: object): object => {
  if (shell instanceof Map && whole instanceof Map) for (const [key, value] of whole) shell.set(key, value);
  else if (shell instanceof Set && whole instanceof Set) for (const value of whole) shell.add(value);
  return Object.defineProperties(shell, Object.getOwnPropertyDescriptors(whole));
};

/** `copy` with what the names of `record` do not show: symbols, and members that are not enumerable. */
export const withHidden = <T extends object>(copy: T, record: object): T => {
  for (const key of Reflect.ownKeys(record)) {
    const descriptor = Reflect.getOwnPropertyDescriptor(record, key);
    if (descriptor !== undefined && (typeof key === 'symbol' || descriptor.enumerable !== true))
      Object.defineProperty(copy, key, { ...descriptor, configurable: true });
  }
  return copy;
};
