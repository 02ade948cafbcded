import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/model/limits.ts';
import { adopt } from '../../src/tools/adopt.ts';
import { receive } from '../../src/tools/receive.ts';

const received = (value: unknown): unknown => {
  const result = receive(value, DEFAULT_LIMITS);
  if ('fault' in result) throw new Error(result.fault.expected);
  return result.value;
};

const isFrozenDeep = (value: unknown): boolean =>
  typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(isFrozenDeep));

test('what a schema rebuilt unchanged is what was received; anything else is an equal, frozen copy', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (before, after) => {
      const ours = received(before);
      expect(adopt(structuredClone(before), ours, DEFAULT_LIMITS)).toBe(ours);
      const copy = adopt(after, ours, DEFAULT_LIMITS);
      expect(copy).toEqual(after);
      expect(isFrozenDeep(copy)).toBe(true);
      expect(copy === after).toBe(typeof after !== 'object' || after === null);
    }),
    {
      // A list and a record with the same names are not the same.
      examples: [
        [[], {}],
        [{}, []],
        [['a'], { 0: 'a' }],
      ],
    },
  );
});

test('an own __proto__ stays a property', () => {
  const copy = adopt(JSON.parse('{"__proto__": {"path": "x"}}'), undefined, DEFAULT_LIMITS) as { path?: unknown };
  expect(copy.path).toBeUndefined();
  expect(Object.keys(copy)).toEqual(['__proto__']);
});

test('cycles, depth and width beyond the limits are refused', () => {
  const circular: { self?: unknown } = {};
  circular.self = circular;
  const wide = Array.from({ length: 300_000 }, () => 1);
  for (const value of [circular, wide]) expect(() => adopt(value, undefined, DEFAULT_LIMITS)).toThrow(RangeError);
  expect(() => adopt({ a: { b: 1 } }, undefined, DEFAULT_LIMITS)).not.toThrow();
});
