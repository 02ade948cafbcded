/** What the sandbox asks about files before it starts: whole answers, and none for what is broken or hostile. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants as os, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { loadAddon } from '../../src/native/addon.ts';
import type { KernelCalls } from '../../src/native/kernel-calls.ts';

const loaded = loadAddon();
if ('missing' in loaded) throw new Error(loaded.missing);
const calls = loaded.addon as KernelCalls;
const root = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-look-')));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const at = (...parts: readonly string[]): string => join(root, ...parts);
const { EINVAL, ENOENT } = os.errno;

const write = (name: string, content: string | Uint8Array, mode = 0o755): string => {
  writeFileSync(at(name), content);
  chmodSync(at(name), mode);
  return at(name);
};

const sh = realpathSync('/bin/sh');
const loader = calls.interpreterOf(sh);

test.each([
  ['a script', '#!/bin/sh -e\necho', '#!/bin/sh -e'],
  ['a script without an end of line', '#!/bin/sh', '#!/bin/sh'],
  ['a script whose line never ends', `#!${'x'.repeat(10_000)}`, `#!${'x'.repeat(4094)}`],
  ['text', 'hello', undefined],
  ['one byte', '#', undefined],
  ['nothing', '', undefined],
])('the interpreter of %s', (_, content, expected) => {
  expect(calls.interpreterOf(write('script', content))).toBe(expected);
});

test('the loader of a program is what its own header names', () => {
  expect(loader).toMatch(/^\/.*ld-/u);
  expect(readFileSync(sh).includes(`${String(loader)}\0`)).toBe(true);
});

test('no header, however broken, names what is not in the file', () => {
  const whole = readFileSync(sh).subarray(0, 2048);
  const edit = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 40 }), fc.nat(whole.length), (edits, length) => {
      const bytes = Buffer.from(whole);
      // Mostly where sizes and offsets stand.
      for (const { at: place, byte } of edits) bytes[place % 2 === 0 ? place % 0x200 : place] = byte;
      const named = calls.interpreterOf(write('broken', bytes.subarray(0, length)));
      expect(named === undefined || named === '' || bytes.toString('utf8').includes(named)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('a name is found in the first folder that has a program of that name, and no other kind of file', () => {
  for (const folder of ['one', 'two']) mkdirSync(at(folder));
  mkdirSync(at('one', 'folder'));
  write('one/data', 'x', 0o644);
  write('two/data', '#!/bin/sh\n');
  write('two/both', '#!/bin/sh\n');
  write('one/both', '#!/bin/two\n');
  write('two/folder', 'no header');
  symlinkSync('../two/both', at('one', 'link'));
  symlinkSync('nowhere', at('one', 'dangling'));
  const names = [
    'data',
    'both',
    'folder',
    'link',
    'dangling',
    'none',
    '',
    '..',
    '../two/both',
    'bo\0th',
    'x'.repeat(300),
  ];
  const results = new Int32Array(names.length);
  const reals: string[] = [];
  const interpreters: (string | undefined)[] = [];
  expect(calls.findPrograms([at('missing'), at('one'), at('two')], names, results, reals, interpreters)).toBe(0);
  expect([...results]).toEqual([2, 1, 2, 1, -1, -1, -1, -1, -1, -1, -1]);
  expect(reals).toEqual([at('two', 'data'), at('one', 'both'), at('two', 'folder'), at('two', 'both')]);
  expect(interpreters).toEqual(['#!/bin/sh', '#!/bin/two', undefined, '#!/bin/sh']);
  expect(calls.findPrograms([at('one')], names, new Int32Array(1), [], [])).toBe(-EINVAL);
});

test('in a folder of any size the same is found', () => {
  mkdirSync(at('large'));
  const names = Array.from({ length: 400 }, (_, index) => `${'program-with-a-long-name-'.repeat(3)}${String(index)}`);
  for (const name of names) write(join('large', name), '#!/bin/sh\n');
  const results = new Int32Array(names.length + 1);
  calls.findPrograms([at('large')], [...names, 'none'], results, [], []);
  expect([...results]).toEqual([...names.map(() => 0), -1]);
});

test('a folder is listed by name and by kind', () => {
  mkdirSync(at('list', 'inner'), { recursive: true });
  mkdirSync(at('list', '.env.d'));
  for (const name of ['.env', '.env.local', '.environment', 'env']) write(join('list', name), '');
  symlinkSync('inner', at('list', 'linked'));
  const list = (...patterns: readonly string[]): readonly unknown[] => {
    const named: string[] = [];
    const folders: string[] = [];
    return [calls.listNamed(at('list'), patterns, named, folders), named.sort(), folders.sort()];
  };
  expect(list('.env', '.env.*')).toEqual([7, ['.env', '.env.d', '.env.local'], ['inner']]);
  expect(list()).toEqual([7, [], ['.env.d', 'inner']]);
  expect(list('*')[1]).toHaveLength(7);
  expect(calls.listNamed(at('absent'), [], [], [])).toBe(-ENOENT);
  const many = Array.from({ length: 1000 }, (_, index) => `no-${String(index)}`);
  expect(list('x'.repeat(5000), '', ...many, 'env')[1]).toEqual(['env']);
  expect((calls.listNamed as () => number)()).toBe(-EINVAL);
});

test('descriptors are counted by what they lead to', () => {
  const file = write('counted', '');
  expect(calls.countDescriptors(file)).toBe(0);
  const opened = [openSync(file, 'r'), openSync(file, 'r')];
  expect(calls.countDescriptors(file)).toBe(2);
  for (const descriptor of opened) closeSync(descriptor);
  expect(calls.countDescriptors(file)).toBe(0);
});

test('a text that is longer than a path can be is no path, wherever it would be cut', () => {
  const deepest = `${root}${'/.'.repeat((4000 - root.length) / 2)}`;
  write('both', '#!/bin/sh\n');
  for (const rest of ['x', 'é', '€', '😀']) {
    for (let length = 4090; length <= 4095; length += 1) {
      const stem = `${deepest}${'/'.repeat(length - deepest.length - 4)}both`;
      expect([
        calls.isProgram(stem),
        calls.isProgram(stem + rest.repeat(4)),
        calls.realPath(stem + rest.repeat(4)),
      ]).toEqual([true, false, undefined]);
    }
  }
});

test('a name may be as long as the system allows, and one that is longer finds nothing that begins like it', () => {
  mkdirSync(at('long'));
  const longest = 'n'.repeat(255);
  for (const length of [252, 253, 254, 255]) write(`long/${'n'.repeat(length)}`, '#!/bin/sh\n');
  const names = [
    longest,
    ...['é', '€', '😀'].flatMap((rest) => [252, 253, 254].map((length) => 'n'.repeat(length) + rest)),
  ];
  const results = new Int32Array(names.length);
  expect(calls.findPrograms([at('long')], names, results, [], [])).toBe(0);
  expect([...results]).toEqual([0, ...Array.from({ length: 9 }, () => -1)]);
});

test('more of them than there is room for is an error, not a number that wraps', () => {
  const endless: string[] = [];
  endless.length = 2 ** 32 - 1;
  expect(calls.listNamed(root, endless, [], [])).toBe(-os.errno.E2BIG);
  const names = Array.from({ length: 70_000 }, () => 'x');
  expect(calls.findPrograms([root], names, new Int32Array(names.length), [], [])).toBe(-os.errno.E2BIG);
});
