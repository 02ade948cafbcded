import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CanonicalJson, canonicalJson, canonicalize, trustCanonicalJson } from '../../src/model/canonical.ts';
import { isMisread } from '../audit/entries.ts';

const bits = (hex: string): number => Buffer.from(hex, 'hex').readDoubleBE();

describe('canonical JSON (RFC 8785)', () => {
  test('sorts keys by UTF-16 code units, as the example of section 3.2.3', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\u{1f600}': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    const names = Object.values(JSON.parse(canonicalize(value)) as Record<string, string>);
    expect(names.filter((name) => name !== 'One')).toEqual([
      'Carriage Return',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
    expect(canonicalize(value).startsWith('{"\\r":"Carriage Return","1":"One",')).toBe(true);
  });

  test('writes the example of section 3.2.2 as section 3.2.4 has it', () => {
    const value = {
      numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000f\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    };
    expect(canonicalize(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  test.each([
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555555', '333333333.3333333'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ])('writes the number %s as appendix B has it: %s', (hex, text) => {
    expect(canonicalize(bits(hex))).toBe(text);
  });

  test.each([
    [Number.NaN, /Expected a finite number, got NaN/],
    [{ a: [1, Number.POSITIVE_INFINITY] }, /Expected a finite number at \/a\/1, got Infinity/],
    [undefined, /Expected a JSON value, got undefined/],
    [{ 'a/b': 1n }, /Expected a JSON value at \/a~1b, got bigint/],
    [[() => 1], /Expected a JSON value at \/0, got function/],
    [{ when: new Date(0) }, /Expected plain data at \/when, got an instance of Date/],
    [new Map(), /Expected plain data, got an instance of Map/],
  ])('refuses %o and says where', (value, message) => {
    expect(() => canonicalize(value)).toThrow(message);
  });

  test('refuses circular and bottomless data instead of overflowing the stack', () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    expect(() => canonicalize(circular)).toThrow(/at most 512 levels/);
    let deep: unknown = 1;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    expect(() => canonicalize(deep)).toThrow(/at most 512 levels/);
    let fine: unknown = 1;
    for (let level = 0; level < 500; level++) fine = [fine];
    expect(canonicalize(fine)).toBe(`${'['.repeat(500)}1${']'.repeat(500)}`);
  });

  test('leaves undefined out of objects and writes null for it in arrays', () => {
    expect(canonicalize({ b: undefined, a: [undefined, 1] })).toBe('{"a":[null,1]}');
  });

  test('never calls toJSON', () => {
    expect(() => canonicalize({ toJSON: () => 'chosen by the value' })).toThrow(/at \/toJSON, got function/);
  });

  test('keeps an own key named __proto__', () => {
    expect(canonicalize(JSON.parse('{"__proto__":{"a":1},"b":2}'))).toBe('{"__proto__":{"a":1},"b":2}');
  });

  test('writes a lone surrogate as its escape, so that it reads back as it was', () => {
    expect(canonicalize('a\ud800b')).toBe('"a\\ud800b"');
    expect(canonicalize('\u{1f600}')).toBe('"\u{1f600}"');
  });

  test('reads back as the same value, and the order of keys does not matter', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalize(value);
        fc.pre(!isMisread(text));
        const back: unknown = JSON.parse(text);
        expect(back).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalize(back)).toBe(text);
        const object = { first: value, ...(typeof value === 'object' && !Array.isArray(value) && value) };
        expect(canonicalize(Object.fromEntries(Object.entries(object).toReversed()))).toBe(canonicalize(object));
      }),
    );
  });

  test('strings of any code units read back', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff })), (units) => {
        const text = String.fromCharCode(...units);
        expect(JSON.parse(canonicalize([text]))).toEqual([text]);
        expect(canonicalize({ [text]: 0 })).toBe(`{${JSON.stringify(text)}:0}`);
      }),
    );
  });
});

describe('text made once', () => {
  test('is taken as it is wherever the value would stand', () => {
    const args = canonicalJson({ b: 1, a: 2 });
    expect(args.text).toBe('{"a":2,"b":1}');
    expect(canonicalize({ z: args, y: trustCanonicalJson('[1]') })).toBe('{"y":[1],"z":{"a":2,"b":1}}');
    expect(JSON.stringify(args)).toBe('{"a":2,"b":1}');
  });

  test('cannot be put into a record by a look-alike', () => {
    const fake: unknown = Object.create(CanonicalJson.prototype, { text: { value: '1,"outcome":"allow"' } });
    expect(() => canonicalize({ args: fake })).toThrow(/Expected plain data at \/args/);
    expect(canonicalize({ args: { text: '1}' } })).toBe('{"args":{"text":"1}"}}');
  });
});
