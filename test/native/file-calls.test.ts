/** The native part takes a path whole or not at all, and turns everything it cannot use into `-errno`. */
import { closeSync, fstatSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { constants as os, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadAddon } from '../../src/native/addon.ts';
import type { FileCalls } from '../../src/native/file-calls.ts';

const { EBADF, EINVAL, ENAMETOOLONG, ELOOP, EXDEV, EEXIST, ENOENT } = os.errno;
const RENAME_NOREPLACE = 1;
const RESOLVE_BENEATH = 8;
const O_PATH = 0o10000000;

let calls: FileCalls;
let top: string;
let directory: number;

beforeAll(() => {
  const loaded = loadAddon();
  if ('missing' in loaded) throw new Error(loaded.missing);
  calls = loaded.addon as FileCalls;
  top = mkdtempSync(join(tmpdir(), 'tappass-native-'));
  mkdirSync(join(top, 'a'));
  symlinkSync('a', join(top, 'link'));
  directory = openSync(top, 'r');
});
afterAll(() => {
  closeSync(directory);
  rmSync(top, { recursive: true });
});

test('a path that does not fit is never cut: the beginning of it would be another path', () => {
  const answers = new Set<number>();
  for (let length = 4080; length < 4120; length += 1) {
    for (const end of ['x', 'é', '€', '🙂']) answers.add(calls.isReal(`${'/'.repeat(length)}${end}`));
  }
  expect(answers).toEqual(new Set([-ENOENT, -ENAMETOOLONG]));
  expect(calls.isReal('/'.repeat(4095))).toBe(0);
  expect(calls.isReal('/'.repeat(4096))).toBe(-ENAMETOOLONG);
  expect(calls.isReal('/'.repeat(100_000))).toBe(-ENAMETOOLONG);
});

test('a NUL and a missing or wrong argument are EINVAL, and nothing is done', () => {
  const before = readdirSync(top);
  const wrong: readonly (() => number)[] = [
    () => calls.isReal(`${top}\0x`),
    () => (calls.isReal as () => number)(),
    () => calls.isReal(7 as unknown as string),
    () => calls.mkdirat(directory, 'new\0x', 0o777),
    () => calls.mkdirat('1' as unknown as number, 'new', 0o777),
    () => calls.unlinkat(directory, 'link\0', 0),
    () => calls.renameat2(directory, 'link', directory, 'new\0', 0),
    () => calls.openat2(directory, 'a\0', O_PATH, 0, 0),
    () => (calls.openat2 as (one: number) => number)(directory),
    () => (calls.close as () => number)(),
    () => calls.close('3' as unknown as number),
  ];
  expect(wrong.map((act) => act())).toEqual(wrong.map(() => -EINVAL));
  expect(readdirSync(top)).toEqual(before);
});

test('isReal is about every component; openat2 stays beneath and closes on exec', () => {
  expect(calls.isReal(join(top, 'a'))).toBe(0);
  expect(calls.isReal(join(top, 'link'))).toBe(-ELOOP);
  expect(calls.isReal(join(top, 'link', 'x'))).toBe(-ELOOP);
  expect(calls.openat2(directory, '../x', O_PATH, 0, RESOLVE_BENEATH)).toBe(-EXDEV);
  const opened = calls.openat2(directory, 'a', O_PATH, 0, RESOLVE_BENEATH);
  expect(fstatSync(opened).isDirectory()).toBe(true);
  expect(calls.close(opened)).toBe(0);
  expect(calls.close(-1)).toBe(-EBADF);
});

test('names are made, moved and removed in the directory that is held', () => {
  expect(calls.mkdirat(directory, 'b', 0o700)).toBe(0);
  expect(calls.mkdirat(directory, 'b', 0o700)).toBe(-EEXIST);
  expect(calls.renameat2(directory, 'b', directory, 'a', RENAME_NOREPLACE)).toBe(-EEXIST);
  expect(calls.renameat2(directory, 'b', directory, 'c', RENAME_NOREPLACE)).toBe(0);
  expect(calls.unlinkat(directory, 'c', 0x200)).toBe(0);
  expect(calls.unlinkat(directory, 'c', 0x200)).toBe(-ENOENT);
});
