import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { findProgram, resolveCommand } from '../../src/kernel/commands.ts';
import { Places } from '../../src/kernel/grants.ts';
import {
  findWithoutMode,
  isDirectory,
  isProgram,
  isWithin,
  listNamed,
  realOrUndefined,
} from '../../src/kernel/paths.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-paths-')));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const at = (...parts: readonly string[]): string => join(root, ...parts);
mkdirSync(at('folder', 'tool'), { recursive: true });
mkdirSync(at('bin'));
writeFileSync(at('bin', 'tool'), '#!/bin/sh\n', { mode: 0o755 });
writeFileSync(at('bin', 'data'), 'x', { mode: 0o644 });
symlinkSync('tool', at('bin', 'other'));
symlinkSync('nowhere', at('bin', 'dangling'));
symlinkSync('loop', at('bin', 'loop'));
symlinkSync('bin', at('linked'));
mkdirSync(at('shims'));
writeFileSync(at('shims', 'tool'), '#!/bin/sh\n', { mode: 0o755 });
execFileSync('mkfifo', [at('bin', 'fifo')]);
chmodSync(at('bin', 'fifo'), 0o777);

test.each([
  ['bin', { real: at('bin'), directory: true, program: false }],
  ['bin/tool', { real: at('bin', 'tool'), directory: false, program: true }],
  ['bin/data', { real: at('bin', 'data'), directory: false, program: false }],
  ['bin/other', { real: at('bin', 'tool'), directory: false, program: true }],
  ['linked/other', { real: at('bin', 'tool'), directory: false, program: true }],
  ['folder/tool', { real: at('folder', 'tool'), directory: true, program: false }],
  ['bin/fifo', { real: at('bin', 'fifo'), directory: false, program: false }],
  ['bin/dangling', { real: undefined, directory: false, program: false }],
  ['bin/loop', { real: undefined, directory: false, program: false }],
  ['bin/data/beneath', { real: undefined, directory: false, program: false }],
  [`bin/${'x'.repeat(5000)}`, { real: undefined, directory: false, program: false }],
])('what stands at %s', (path, expected) => {
  const file = at(path);
  expect({ real: realOrUndefined(file), directory: isDirectory(file), program: isProgram(file) }).toEqual(expected);
});

test('what lacks a bit is found, to the depth that is asked for, and no link is followed', () => {
  const place = at('modes');
  for (const [path, mode] of [
    ['open', 0o755],
    ['open/deep', 0o755],
    ['open/closed', 0o700],
    ['listable', 0o754],
  ] as const) {
    mkdirSync(join(place, path), { recursive: true });
    chmodSync(join(place, path), mode);
  }
  for (const [path, mode] of [
    ['private', 0o640],
    ['open/private', 0o600],
    ['open/shared', 0o604],
    ['open/closed/inner', 0o600],
    ['open/deep/private', 0o600],
  ] as const) {
    writeFileSync(join(place, path), '');
    chmodSync(join(place, path), mode);
  }
  symlinkSync('private', join(place, 'link'));
  symlinkSync('open', join(place, 'linked'));
  const found = (depth: number): readonly string[] =>
    findWithoutMode(place, depth, { file: 0o4, folder: 0o5 })
      .map((path) => path.slice(place.length + 1))
      .sort();
  expect(found(1)).toEqual(['listable', 'private']);
  expect(found(2)).toEqual(['listable', 'open/closed', 'open/private', 'private']);
  expect(found(3)).toEqual(['listable', 'open/closed', 'open/deep/private', 'open/private', 'private']);
  expect(findWithoutMode(at('nowhere'), 3, { file: 4, folder: 5 })).toEqual([]);
});

test('a folder that is not there holds nothing; of one that cannot be looked into nobody knows', () => {
  const nothing = { named: [], folders: [], entries: 0 };
  for (const folder of [at('nowhere'), at('bin', 'data'), at('bin', 'loop')])
    expect(listNamed(folder, ['*'])).toEqual(nothing);
  for (const folder of [at('x'.repeat(300)), at('x/'.repeat(4000)), `${at('bin')}\0`])
    expect(listNamed(folder, ['*'])).toBeUndefined();
  expect(listNamed(at('bin'), ['tool'])).toMatchObject({ named: ['tool'] });
});

test.each([
  ['a folder of the name of a command', [at('folder'), at('bin')], at('bin', 'tool')],
  ['a folder that is a link', [at('linked')], at('linked', 'tool')],
  ['a relative folder', ['bin', '.', ''], undefined],
  ['the shim of a version manager', [at('shims'), at('bin')], at('bin', 'tool')],
  ['a shim whose folder is written with slashes', [`${at('shims')}//`, `${at('bin')}///`], at('bin', 'tool')],
  ['a folder that does not exist', [at('none'), at('bin', 'data'), at('bin')], at('bin', 'tool')],
])('PATH leads past %s', (_, path, found) => {
  expect(findProgram('tool', path)).toBe(found);
});

test.each(['data', 'fifo', 'dangling', 'loop', '../bin/tool', '', 'to\0ol', '.'])(
  '%j is no program on PATH',
  (name) => {
    expect(findProgram(name, [at('bin')])).toBeUndefined();
  },
);

test('what may be started is where the links end, with its interpreter', () => {
  expect(resolveCommand('other', [at('linked')])).toEqual({
    name: 'other',
    found: at('linked', 'other'),
    files: expect.arrayContaining([at('bin', 'tool'), realpathSync('/bin/sh')]) as readonly string[],
  });
});

test('what a header names is a path, never a name on PATH or beside us', () => {
  const named = (header: string): readonly string[] => {
    writeFileSync(at('bin', 'named'), header, { mode: 0o755 });
    return resolveCommand('named', [at('bin')])?.files ?? [];
  };
  const own = at('bin', 'named');
  expect(named(`#!${at('bin', 'other')}\n`)).toEqual(expect.arrayContaining([own, at('bin', 'tool')]));
  expect(named('#!tool\n')).toEqual([own]);
  expect(named('#!/usr/bin/env tool\n')).toEqual(expect.arrayContaining([own, at('bin', 'tool')]));
  // An ELF file whose loader is `tool`.
  const elf = Buffer.alloc(160);
  elf.write('\x7fELF\x02\x01', 'latin1');
  elf.writeBigUInt64LE(64n, 32);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(3, 64);
  elf.writeBigUInt64LE(120n, 72);
  const withLoader = (loader: string): string => {
    elf.writeBigUInt64LE(BigInt(loader.length), 96);
    return Buffer.concat([elf.subarray(0, 120), Buffer.from(loader)]).toString('latin1');
  };
  expect(named(withLoader('tool'))).toEqual([own]);
  expect(named(withLoader(at('bin', 'tool')))).toEqual([own, at('bin', 'tool')]);
});

test('places are found as by comparing each with each', () => {
  const name = fc.constantFrom('a', 'a-', 'a.b', 'b', 'ab', 'a b');
  const path = fc.array(name, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
  fc.assert(
    fc.property(fc.array(path, { maxLength: 12 }), path, (all, asked) => {
      const places = new Places(all);
      expect(places.cover(asked)).toBe(all.some((place) => isWithin(asked, place)));
      const beneath = [...new Set(all)].filter((place) => place !== asked && isWithin(place, asked));
      expect([...places.beneath(asked)].sort()).toEqual(beneath.sort());
    }),
  );
});
