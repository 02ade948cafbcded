import { describe, expect, test } from 'vitest';
import { compileDeclaration } from '../../src/effect/declare.ts';
import type { EffectDeclaration } from '../../src/model/effect.ts';
import { TapPassConfigError } from '../../src/model/errors.ts';

const object = (declaration: EffectDeclaration) => {
  const derive = compileDeclaration('tool', declaration);
  return (args: unknown) => derive(args).effects;
};
const positional = (declaration: EffectDeclaration, ...names: string[]) => {
  const derive = compileDeclaration('tool', declaration, {
    list: names.map((name) => ({ name, rest: false, inside: [] })),
    complete: true,
  });
  return (args: unknown) => derive(args).effects;
};

describe('where an argument stands', () => {
  test('by name, in depth, and for every element', () => {
    const derive = object({ read: ['path', 'files.*.path'], write: 'out.dir' });
    const found = derive({ path: 'a', files: [{ path: 'b' }, { path: 'c' }], out: { dir: 'd' } });
    expect(
      found.map((effect) => [effect.pointer, effect.kind === 'file' && `${effect.access}:${effect.path}`]),
    ).toEqual([
      ['/path', 'read:a'],
      ['/files/0/path', 'read:b'],
      ['/files/1/path', 'read:c'],
      ['/out/dir', 'write:d'],
    ]);
  });

  test('in a list of paths every element is one', () => {
    expect(object({ read: 'paths' })({ paths: ['a', 'b'] })).toHaveLength(2);
  });

  test('by parameter name, position, or inside the first argument of a function', () => {
    expect(positional({ write: 'target' }, 'text', 'target')(['x', 'a'])[0]).toMatchObject({
      pointer: '/1',
      path: 'a',
    });
    expect(positional({ write: '1' }, 'text', 'target')(['x', 'a'])[0]).toMatchObject({ pointer: '/1', path: 'a' });
    expect(positional({ write: 'path' })([{ path: 'a' }])[0]).toMatchObject({ pointer: '/0/path', path: 'a' });
    expect(positional({ email: true })([{ to: 'a@b.c' }])[0]).toMatchObject({ pointer: '/0', kind: 'email' });
  });

  test('an absent optional argument has no effect beside one that is there; alone, its effect is on something unknown', () => {
    expect(object({ read: ['path', 'other'] })({ path: 'a' })).toHaveLength(1);
    expect(object({ read: ['path', 'other'] })({ path: 'a', other: null })).toHaveLength(1);
    expect(object({ read: 'paths' })({ paths: [] })).toEqual([]);
    for (const args of [{}, { path: null }, { name: 'a' }]) {
      expect(object({ read: 'path' })(args)).toMatchObject([
        { kind: 'file', operation: 'read', path: '', pointer: '/path' },
      ]);
    }
    expect(object({ read: 'a.path' })({ a: {} })).toMatchObject([{ kind: 'file', path: '' }]);
    expect(positional({ write: 'path' })([])).toMatchObject([{ kind: 'file', path: '' }]);
  });

  test('a path where none can be is an effect that no decider can resolve', () => {
    expect(object({ write: 'path' })({ path: { a: 1 } })[0]).toMatchObject({ kind: 'file', path: '\0object' });
    // `path` is looked for inside a text: the declaration does not fit, so what is written is unknown.
    expect(positional({ write: 'path' })(['/etc/passwd'])[0]).toMatchObject({ kind: 'file', path: '\0undefined' });
  });

  test('inside an instance, which can change or answer by its prototype, no decider can resolve it', () => {
    for (const instance of [
      Object.create({ path: 'inherited' }),
      new Map([['path', 'a']]),
      new (class {
        path = 'a';
      })(),
    ]) {
      expect(object({ read: 'path' })(instance)[0]).toMatchObject({ kind: 'file', path: '\0undefined' });
    }
  });

  test('the call as a whole has its effect without any argument', () => {
    expect(object({ command: true })(undefined)).toMatchObject([{ kind: 'command', command: ['tool'] }]);
    expect(positional({ command: true })([])).toMatchObject([{ kind: 'command', command: ['tool'] }]);
  });

  test('a pointer escapes what RFC 6901 says', () => {
    expect(object({ read: '*' })({ 'a/b~c': 'x' })[0]?.pointer).toBe('/a~1b~0c');
  });
});

test('each kind of effect carries its value', () => {
  const derive = object({
    sql: 'query',
    dialect: 'sqlite',
    url: 'url',
    command: 'argv',
    contained: true,
    email: 'message',
  });
  expect(
    derive({ query: { text: 'SELECT 1', values: [] }, url: 'https://a/', argv: ['ls', 1], message: { to: 'a' } }),
  ).toEqual([
    { kind: 'sql', text: 'SELECT 1', dialect: 'sqlite', pointer: '/query' },
    { kind: 'email', message: { to: 'a' }, pointer: '/message' },
    { kind: 'network', url: 'https://a/', pointer: '/url' },
    { kind: 'command', command: ['ls', '1'], contained: true, pointer: '/argv' },
  ]);
  expect(
    object({ files: { rename: ['from', 'to'] } })({ from: 'a', to: 'b' }).map(
      (effect) => effect.kind === 'file' && effect.access,
    ),
  ).toEqual(['write', 'write']);
});

test.each<[string, EffectDeclaration]>([
  ['nothing', {}],
  ['an empty path', { read: '' }],
  ['an empty step', { read: 'a..b' }],
  ['a key that does not exist', { reads: 'path' } as EffectDeclaration],
])('a declaration of %s is refused', (_title, declaration) => {
  expect(() => object(declaration)).toThrow(TapPassConfigError);
});

test('a tool may declare that it touches nothing', () => {
  expect(object({ none: true })({ path: '/etc/passwd' })).toEqual([]);
});
