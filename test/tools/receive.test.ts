import vm from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/model/limits.ts';
import { asJson, receive } from '../../src/tools/receive.ts';

const take = (value: unknown, limits = {}) => receive(value, { ...DEFAULT_LIMITS, ...limits });
const faultOf = (value: unknown, limits = {}) => {
  const received = take(value, limits);
  return 'fault' in received ? received.fault : undefined;
};
const valueOf = (value: unknown) => {
  const received = take(value);
  if ('fault' in received) throw new Error(received.fault.code);
  return received.value;
};

describe('the copy', () => {
  test('equals what was passed, for any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(valueOf(value)).toEqual(value);
      }),
    );
  });

  test('does not change when the caller changes the original', () => {
    const original = { path: 'a', list: [{ deep: 1 }], bytes: new Uint8Array([1, 2]), when: new Date(0) };
    const copy = valueOf(original) as typeof original;
    original.path = 'b';
    original.list[0] = { deep: 2 };
    original.bytes[0] = 9;
    original.when.setTime(5);
    expect(copy).toEqual({ path: 'a', list: [{ deep: 1 }], bytes: Buffer.from([1, 2]), when: new Date(0) });
  });

  test('is frozen all the way down', () => {
    const copy = valueOf({ a: { b: [{}] } }) as { a: { b: object[] } };
    expect([copy, copy.a, copy.a.b, copy.a.b[0]].every((part) => Object.isFrozen(part))).toBe(true);
  });

  test('reads an accessor once, and keeps what it gave', () => {
    let reads = 0;
    const copy = valueOf({
      get path() {
        reads += 1;
        return reads === 1 ? 'safe' : '/etc/shadow';
      },
    }) as { path: string };
    expect([copy.path, copy.path, reads]).toEqual(['safe', 'safe', 1]);
  });

  test('of a Proxy is plain data', () => {
    const copy = valueOf(new Proxy({ path: 'a' }, {})) as object;
    expect(copy).toEqual({ path: 'a' });
  });

  test('keeps an own __proto__ as a property and never as the prototype', () => {
    const copy = valueOf(JSON.parse('{"__proto__": {"polluted": true}, "a": 1}')) as Record<string, unknown>;
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(Object.hasOwn(copy, '__proto__')).toBe(true);
    expect(copy['polluted']).toBeUndefined();
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('takes plain objects of another realm', () => {
    expect(valueOf(vm.runInNewContext('({a: [1, {b: 2}]})'))).toEqual({ a: [1, { b: 2 }] });
  });

  test('of bytes from the shared pool holds those bytes only', () => {
    const copy = valueOf({ data: Buffer.from('secret').subarray(0, 3) }) as { data: Buffer };
    expect(copy.data.toString()).toBe('sec');
    expect(copy.data.buffer.byteLength).toBe(3);
  });
});

describe('is refused', () => {
  const circular: Record<string, unknown> = { a: {} };
  (circular['a'] as Record<string, unknown>)['b'] = circular;
  const deep = (levels: number): unknown => {
    let value: unknown = 1;
    for (let level = 0; level < levels; level += 1) value = [value];
    return value;
  };
  class Account {
    #balance = 1;
    get balance() {
      return this.#balance;
    }
  }

  test.each<[string, unknown, string, string]>([
    ['a cycle', circular, 'arguments.circular', '/a/b'],
    ['ten thousand levels', deep(10_000), 'arguments.too-deep', '/0/0'],
    ['five megabytes', { text: 'x'.repeat(5 * 1024 * 1024) }, 'arguments.too-large', '/text'],
    ['a million elements', Array.from({ length: 1_000_000 }, () => 0), 'arguments.too-large', ''],
    [
      'a sparse array of full length',
      Array.from({ length: 0 }).concat(Object.assign([], { length: 4_294_967_295 })),
      'arguments.too-large',
      '',
    ],
    ['a function', { run: () => 1 }, 'arguments.not-data', '/run'],
    ['a symbol', [Symbol('x')], 'arguments.not-data', '/0'],
    ['an object with toJSON', { toJSON: () => 'other' }, 'arguments.not-data', '/toJSON'],
    ['an instance of a class', { account: new Account() }, 'arguments.not-data', '/account'],
    ['a Map', new Map([[1, 2]]), 'arguments.not-data', ''],
    ['a promise', { later: Promise.resolve(1) }, 'arguments.not-data', '/later'],
    [
      'a getter that throws',
      {
        get bad() {
          throw new Error('no');
        },
      },
      'arguments.threw',
      '/bad',
    ],
    [
      'a Proxy that throws',
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error('no');
          },
        },
      ),
      'arguments.threw',
      '',
    ],
  ])('%s', (_title, value, code, at) => {
    const fault = faultOf(value);
    expect(fault?.code).toBe(code);
    expect(fault?.at.startsWith(at)).toBe(true);
    expect(fault?.expected).toMatch(/^expected /u);
  });

  test('and the same object twice, without a cycle, is not', () => {
    const shared = { a: 1 };
    expect(faultOf({ x: shared, y: shared })).toBeUndefined();
    expect(faultOf(deep(150))).toBeUndefined();
    expect(faultOf({ text: 'x'.repeat(1024 * 1024) })).toBeUndefined();
  });

  test('never by a throw, whatever the value', () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withDate: true,
          withMap: true,
          withSet: true,
          withTypedArray: true,
          withSparseArray: true,
        }),
        (value) => {
          expect(() => take(value)).not.toThrow();
        },
      ),
    );
  });
});

describe('as JSON', () => {
  test('different arguments have different texts', () => {
    const texts = [
      undefined,
      null,
      1n,
      '1',
      1,
      NaN,
      Infinity,
      new Date(0),
      new URL('http://a/'),
      'http://a/',
      new Uint8Array([1]),
      '\ud800',
      [],
      {},
    ].map((value) => JSON.stringify(asJson(value)));
    expect(new Set(texts).size).toBe(texts.length);
  });

  test('plain JSON is itself', () => {
    const value = { a: [1, 'x', null, true, { b: {} }] };
    expect(asJson(value)).toBe(value);
    const received = take(value);
    expect('isJson' in received && received.isJson).toBe(true);
    const odd = take({ a: [undefined] });
    expect('isJson' in odd && odd.isJson).toBe(false);
  });
});
