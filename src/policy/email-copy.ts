/** A private copy of a message, made by reading each property once: what is judged is what is sent. */

const DEEPEST = 60;
const MOST_NODES = 100_000;

export class UncopyableMessage extends Error {}

/**
 * Plain data only: own enumerable properties, arrays, maps as records, bytes. Throws `UncopyableMessage` for functions
 * (a `toJSON` among them), symbols, cycles, too much of it, and, unless `keep` says otherwise, for other objects such as streams.
 */
export const copyMessage = (value: unknown, keep: (value: object) => boolean = () => false): unknown => {
  let nodes = 0;
  const above = new Set<object>();
  const copy = (from: unknown): unknown => {
    if (typeof from === 'function' || typeof from === 'symbol') {
      throw new UncopyableMessage(`Expected a message of plain data, got a ${typeof from} in it`);
    }
    if (typeof from !== 'object' || from === null) return from;
    if (++nodes > MOST_NODES || above.size > DEEPEST)
      throw new UncopyableMessage('Expected a smaller or flatter message');
    if (keep(from)) return from;
    if (from instanceof Uint8Array) return Uint8Array.prototype.slice.call(new Uint8Array(from));
    if (from instanceof Date) return new Date(from.getTime());
    // A mail library would make a text of it, and find the address in `mailto:`.
    if (from instanceof URL) return from.href;
    if (above.has(from)) throw new UncopyableMessage('Expected a message without cycles');
    above.add(from);
    const result = Array.isArray(from) ? Array.from(from, copy) : copyRecord(from, copy);
    above.delete(from);
    return result;
  };
  return copy(value);
};

const copyRecord = (from: object, copy: (value: unknown) => unknown): Record<string, unknown> => {
  const entries =
    from instanceof Map
      ? [...from].map(([key, value]) => [String(key), value as unknown] as const)
      : Object.entries(from);
  const into: Record<string, unknown> = {};
  for (const [key, value] of entries) {
    if (key === '__proto__') throw new UncopyableMessage('Expected a message without a `__proto__` field');
    into[key] = copy(value);
  }
  return into;
};
