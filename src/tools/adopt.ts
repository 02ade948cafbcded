/**
 * A private, frozen copy of what a schema gave back. A schema is the program's own code, but what it returns may be shared
 * between calls, kept by it, or answer differently each time it is read: what is judged must be what runs.
 */
import type { Limits } from '../model/limits.ts';
import { isForeignPlain, privateCopy } from './receive.ts';

interface Room {
  nodes: number;
}

/**
 * Copies `value` as `receive` does, except that what a schema may well make is kept: Maps and Sets are copied, functions
 * and instances of classes stay as they are. Returns `received` itself where the schema changed nothing.
 *
 * @throws RangeError beyond the limits on depth and nodes, cycles included.
 */
export const adopt = (value: unknown, received: unknown, limits: Limits): unknown =>
  adopted(value, received, { nodes: limits.argumentNodes }, limits.argumentDepth);

const adopted = (value: unknown, like: unknown, room: Room, depth: number): unknown => {
  // What was received is frozen already.
  if (typeof value !== 'object' || value === null || value === like) return value;
  room.nodes -= 1;
  if (depth === 0 || room.nodes < 0) throw new RangeError('Expected less from the schema of this tool');
  if (Array.isArray(value)) return adoptedList(value, like, room, depth);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null || isForeignPlain(value, prototype)) {
    return adoptedRecord(value as Readonly<Record<string, unknown>>, like, room, depth);
  }
  const child = (item: unknown): unknown => adopted(item, undefined, room, depth - 1);
  if (prototype === Map.prototype) {
    return new Map([...(value as ReadonlyMap<unknown, unknown>)].map(([key, item]) => [child(key), child(item)]));
  }
  if (prototype === Set.prototype) return new Set([...(value as ReadonlySet<unknown>)].map(child));
  return privateCopy(value) ?? value;
};

const adoptedList = (list: readonly unknown[], like: unknown, room: Room, depth: number): unknown => {
  const before: readonly unknown[] | undefined = Array.isArray(like) ? like : undefined;
  const { length } = list;
  if (length > room.nodes) throw new RangeError('Expected less from the schema of this tool');
  let same = before?.length === length;
  const copy: unknown[] = [];
  for (let index = 0; index < length; index += 1) {
    const item = adopted(list[index], before?.[index], room, depth - 1);
    same &&= Object.is(item, before?.[index]);
    copy.push(item);
  }
  return same ? like : Object.freeze(copy);
};

const adoptedRecord = (
  record: Readonly<Record<string, unknown>>,
  like: unknown,
  room: Room,
  depth: number,
): unknown => {
  const isRecord = typeof like === 'object' && like !== null && !Array.isArray(like);
  const before = isRecord ? (like as Readonly<Record<string, unknown>>) : undefined;
  const keys = Object.keys(record);
  let same = before !== undefined && Object.keys(before).length === keys.length;
  const copy: Record<string, unknown> = {};
  for (const key of keys) {
    const old = before !== undefined && Object.hasOwn(before, key) ? before[key] : ABSENT;
    const item = adopted(record[key], old, room, depth - 1);
    same &&= Object.is(item, old);
    if (key === '__proto__') Object.defineProperty(copy, key, { value: item, enumerable: true });
    else copy[key] = item;
  }
  return same ? like : Object.freeze(copy);
};

const ABSENT = Symbol('absent');
