import { expect, test } from 'vitest';
import { parametersOf } from '../../src/tools/parameters.ts';

/** Only the text matters: what the engine would say is put in the place of a body's source. */
const read = (source: string): readonly [string, boolean] => {
  // oxlint-disable-next-line unbound-method -- to put it back
  const spy = Function.prototype.toString;
  const body = (): number => 0;
  try {
    // oxlint-disable-next-line no-extend-native -- put back at once
    Function.prototype.toString = () => source;
    const { list, complete } = parametersOf(body);
    const shown = list.map(({ name, rest, inside }) => `${rest ? '...' : ''}${name || `{${inside.join(' ')}}`}`);
    return [shown.join(', '), complete];
  } finally {
    // oxlint-disable-next-line no-extend-native -- as above
    Function.prototype.toString = spy;
  }
};

test.each<[string, string, boolean]>([
  ['(a, b) => a', 'a, b', true],
  ['a => a', 'a', true],
  ['async a => f(x, y)', 'a', true],
  ['a /* (x, y) */ => f(p)', 'a', true],
  ['async (a, ...b) => 1', 'a, ...b', true],
  ['function f(a = ",", b) {}', 'a, b', true],
  ['function f(a = g(")", [1, 2]), b) {}', 'a, b', true],
  ['function f(a /* , b */, c // )\n, d) {}', 'a, c, d', true],
  ['async *m({ path: p = 1 }, [q]) {}', '{path p}, {q}', true],
  ['["x(y"](a, b) {}', 'a, b', true],
  ["'m(x'(a) {}", 'a', true],
  ['async(größe, $b) {}', 'größe, $b', true],
  ['function f(a,) {}', 'a', true],
  ['function f() {}', '', true],
  ['function f(a, b = 1 / 2, c) {}', 'a', false],
  ['function f(a, b = /[,)]/, c) {}', 'a', false],
  ['function f(a, b = `${x}`, c) {}', 'a', false],
  ['function f(a, b = "', 'a', false],
  ['function () { [native code] }', '', false],
])('%s', (source, names, complete) => {
  expect(read(source)).toEqual([names, complete]);
});
