/** Values of every kind: what they are, and copies that stay what the original was. */

/** Of no class of its own. */
export const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === Object.prototype || prototype === null) return true;
  // Of another realm.
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty');
};

const OPEN: ReadonlySet<unknown> = new Set([Object.prototype, Array.prototype, Map.prototype, Set.prototype, null]);

/** Of a class that may have more to it than what it shows: not a list, a map, a set, an error. */
export const isOfClass = (value: object): boolean =>
  !OPEN.has(Object.getPrototypeOf(value)) && !Array.isArray(value) && !(value instanceof Error) && !isPlain(value);

export const tagOf = (value: object): unknown =>
  (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];

/** Longer lists may be nearly empty: their items are asked for by name. */
export const LONGEST_DENSE = 1_000_000;

export const indexesOf = (list: readonly unknown[]): readonly number[] =>
  Object.keys(list).flatMap((key) => (/^\d+$/u.test(key) ? [Number(key)] : []));

/** With its holes. */
export const copyOfList = (list: readonly unknown[]): unknown[] => {
  if (list.length <= LONGEST_DENSE) return list.slice();
  const copy: unknown[] = [];
  copy.length = list.length;
  for (const index of indexesOf(list)) copy[index] = list[index];
  return copy;
};

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

/** `undefined` where a getter of it throws: it cannot be read, so it need not be shown. */
export const readMember = (record: object, key: PropertyKey): { readonly value: unknown } | undefined => {
  try {
    return { value: Reflect.get(record, key) as unknown };
  } catch {
    return undefined;
  }
};

/** An empty one of the same kind. */
export const shellOf = (value: object): object => {
  if (Array.isArray(value)) return [];
  if (value instanceof Map || tagOf(value) === 'Map') return new Map();
  if (value instanceof Set || tagOf(value) === 'Set') return new Set();
  const prototype = Object.getPrototypeOf(value) as object | null;
  // A native error under the same class: what tells errors by their make (`isError`, structured clones) goes on working.
  return value instanceof Error
    ? (Object.setPrototypeOf(new Error(''), prototype) as Error)
    : (Object.create(prototype) as object);
};

/** `shell` with all that `whole` has. */
const filled = (shell: object, whole: object): object => {
  if (shell instanceof Map && whole instanceof Map) for (const [key, value] of whole) shell.set(key, value);
  else if (shell instanceof Set && whole instanceof Set) for (const value of whole) shell.add(value);
  return Object.defineProperties(shell, Object.getOwnPropertyDescriptors(whole));
};

/** The text of a `new String(…)`. */
export const textInside = (value: object): string | undefined => {
  if (Object.prototype.toString.call(value) !== '[object String]') return undefined;
  try {
    return String.prototype.valueOf.call(value);
  } catch {
    // Only called so.
    return undefined;
  }
};

/** An error of another realm: of `node:vm`, of a frame. */
export const isForeignError = (value: object): value is Error =>
  !(value instanceof Error) && Object.prototype.toString.call(value) === '[object Error]';

/** A map or a set of another realm, as one of ours. */
export const foreignCollection = (value: object): ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | undefined => {
  const tag = tagOf(value);
  try {
    if (tag === 'Map') return new Map(Map.prototype.entries.call(value as ReadonlyMap<unknown, unknown>));
    if (tag === 'Set') return new Set(Set.prototype.values.call(value as ReadonlySet<unknown>));
  } catch {
    // Only called so.
  }
  return undefined;
};

/** What is being rebuilt, while it is: met again, it stands in a cycle. */
export const UNDER_WAY = Symbol('under way');

/** Objects that were seen, and what they became; and those that lead back to themselves, with their copies. */
export interface Seen {
  objects?: Map<object, unknown>;
  cycles?: Map<object, object | undefined>;
}

export const cyclesIn = (seen: Seen | undefined): number => seen?.cycles?.size ?? 0;

/** `value` was met again while it is rebuilt: its copy, where that is there already. */
export const met = (seen: Seen, value: object): object => {
  const cycles = (seen.cycles ??= new Map());
  const shell = cycles.get(value);
  if (shell === undefined) cycles.set(value, undefined);
  return shell ?? value;
};

/** What `value` became: the copy that others have of it already, with all that it holds. */
export const closed = ({ cycles }: Seen, value: object, rebuilt: unknown): unknown => {
  const shell = cycles?.get(value);
  if (shell === undefined || typeof rebuilt !== 'object' || rebuilt === null) return rebuilt;
  // What it says of itself to JSON has taken its place: its class would say it anew.
  Object.setPrototypeOf(shell, Object.getPrototypeOf(rebuilt) as object | null);
  return filled(shell, rebuilt);
};

/** For another walk: with an empty copy for each that leads back to itself. */
export const withShells = (seen: Seen | undefined): Seen | undefined =>
  seen?.cycles && { cycles: new Map(Array.from(seen.cycles.keys(), (each) => [each, shellOf(each)])) };
