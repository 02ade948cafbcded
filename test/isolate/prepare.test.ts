import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Edits, originalPosition } from '../../src/isolate/edits.ts';
import { isWithinDepth, parseGuestJson } from '../../src/isolate/json.ts';
import { prepareBounded } from '../../src/isolate/prepare-bounded.ts';

describe('edits', () => {
  test('never move a line, and every kept character finds its way back', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'b', ' ', ';'), maxLength: 8 });
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(60), { maxLength: 5 }),
        (lines, places) => {
          const text = lines.join('\n');
          const edits = new Edits(text);
          for (const place of places) edits.insert(place % (text.length + 1), '<#>');
          const edited = edits.apply().split('\n');
          expect(edited).toHaveLength(lines.length);
          for (const [index, shown] of edited.entries()) {
            let kept = 0;
            for (let column = 1; column <= shown.length; column += 1) {
              if (shown.startsWith('<#>', column - 1)) {
                column += 2;
                continue;
              }
              kept += 1;
              expect(originalPosition(edits.moves(), { line: index + 1, column })).toEqual({
                line: index + 1,
                column: kept,
              });
            }
          }
        },
      ),
    );
  });
});

describe('preparing', () => {
  const prepare = (source: string) =>
    prepareBounded({ source, file: 'code.ts', language: undefined, modules: {}, sourceBytes: 100_000 });

  test('any text becomes a program or a fault with a position, never a throw', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'{}()[];=>\n`$/*ab1"\'<!-- '.split('')) })),
        async (source) => {
          const prepared = await prepare(source);
          const isProgram = 'body' in prepared && prepared.body.split('\n').length >= source.split('\n').length;
          const isFault = 'fault' in prepared && prepared.fault.line >= 1 && prepared.fault.column >= 1;
          expect(isProgram !== isFault).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each(['}); globalThis.escaped = 1; (async function () {', '})', '*/ })', 'return 1', 'await = 1', '`${'])(
    '%j does not break out of its function',
    async (source) => {
      expect(await prepare(source)).toHaveProperty('fault');
    },
  );
});

test('a program is prepared once, whatever it is called with, and never for another one', async () => {
  const given = { source: 'const a: number = 1; a', file: 'a.ts', language: undefined, modules: {}, sourceBytes: 1e6 };
  const first = await prepareBounded(given);
  expect(await prepareBounded({ ...given })).toBe(first);
  for (const other of [
    { file: 'b.ts' },
    { language: 'javascript' as const },
    { modules: { m: '1' } },
    { sourceBytes: 5 },
  ]) {
    expect(await prepareBounded({ ...given, ...other })).not.toBe(first);
  }
});

test('a source that breaks the type stripper does not break the next one', async () => {
  const prepare = (source: string) =>
    prepareBounded({ source, file: 'code.ts', language: 'typescript', modules: {}, sourceBytes: 1e6 });
  for (const opening of ['[', '{', '(', 'a?b:', '!', 'let x: A<']) {
    expect(await prepare(opening.repeat(100_000))).toHaveProperty('fault');
    expect(await prepare('const a: number = 1; a')).toHaveProperty('body');
  }
});

describe('JSON of a guest', () => {
  test('is bounded in depth as it is nested, whatever its strings hold', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const depthOf = (at: unknown): number =>
          typeof at === 'object' && at !== null ? 1 + Math.max(0, ...Object.values(at).map(depthOf)) : 0;
        const text = JSON.stringify(value);
        const depth = depthOf(JSON.parse(text));
        expect(isWithinDepth(text, depth)).toBe(true);
        expect(isWithinDepth(text, depth - 1)).toBe(depth === 0);
      }),
    );
    expect(isWithinDepth('"[[[[\\"[[["', 0)).toBe(true);
  });

  test('loses keys that would reach a prototype, plain or escaped, and nothing else', () => {
    const limits = { chars: 1000, depth: 10 };
    for (const key of ['__proto__', '\\u005f_proto__', '__pr\\u006fto__']) {
      const parsed = parseGuestJson(`{"a":[{"${key}":{"polluted":1},"b":2}]}`, limits) as { value: { a: object[] } };
      expect(Reflect.ownKeys(parsed.value.a[0] as object)).toEqual(['b']);
    }
    expect(parseGuestJson('{"constructor":1}', limits)).toEqual({ value: { constructor: 1 } });
    expect(parseGuestJson('[[1]]', { chars: 1000, depth: 1 })).toHaveProperty('fault');
    expect(parseGuestJson('"xx"', { chars: 3, depth: 1 })).toHaveProperty('fault');
    expect(parseGuestJson('{', limits)).toHaveProperty('fault');
  });
});
