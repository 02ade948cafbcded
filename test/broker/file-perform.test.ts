/** The broker acts on grants: none, a forged one, one for something else or somewhere else, and it refuses. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FileMethod } from '../../src/broker/file-calls.ts';
import { listDirectory, readFile, statFile } from '../../src/broker/file-read.ts';
import { makeDirectory, removeFile } from '../../src/broker/file-tree.ts';
import { appendFile, changeFile, copyFile, moveFile, writeFile } from '../../src/broker/file-write.ts';
import { openWorkspace, type Workspace } from '../../src/broker/file.ts';
import { accessOf, FILE_OPERATIONS, type FileEffect, type FileOperation } from '../../src/model/effect.ts';
import { type Grant, grantFor } from '../../src/model/grant.ts';

const METHODS: readonly FileMethod[] = ['openat2', 'fallback'];

let top: string;
let workspace: Workspace;

const effectOf = (operation: FileOperation, path: string, at = workspace): FileEffect => ({
  kind: 'file',
  pointer: '',
  operation,
  access: accessOf(operation),
  path,
  ...at.resolve(path, { operation }),
});
const grant = (operation: FileOperation, path: string, at = workspace, lastsMs = 60_000): Grant => {
  const made = grantFor({ allowed: true }, effectOf(operation, path, at), 'call', Date.now() + lastsMs);
  if (made === undefined) throw new Error('no grant');
  return made;
};
const REFUSED = { code: 'TAPPASS_REFUSED' };
const nothing = new Uint8Array();

beforeEach(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-perform-')));
  mkdirSync(join(top, 'ws', 'a'), { recursive: true });
  mkdirSync(join(top, 'ws2'));
  for (const file of ['ws/f', 'ws2/f', 'secret']) writeFileSync(join(top, file), file);
});
afterEach(() => {
  workspace[Symbol.dispose]();
  rmSync(top, { recursive: true });
});

describe.each(METHODS)('by %s', (method) => {
  beforeEach(() => {
    workspace = openWorkspace(join(top, 'ws'), { method });
  });

  const operations: Readonly<Record<string, readonly [FileOperation, (one: Grant | undefined) => Promise<unknown>]>> = {
    readFile: ['read', (one) => readFile(workspace, one)],
    listDirectory: ['list', (one) => listDirectory(workspace, one)],
    statFile: ['stat', (one) => statFile(workspace, one)],
    writeFile: ['write', (one) => writeFile(workspace, one, nothing)],
    appendFile: ['append', (one) => appendFile(workspace, one, nothing)],
    makeDirectory: ['mkdir', (one) => makeDirectory(workspace, one)],
    removeFile: ['remove', (one) => removeFile(workspace, one)],
    'copyFile source': ['copy', (one) => copyFile(workspace, { source: one, destination: grant('copy', 'x') })],
    'copyFile destination': ['copy', (one) => copyFile(workspace, { source: grant('copy', 'f'), destination: one })],
    'moveFile source': ['rename', (one) => moveFile(workspace, { source: one, destination: grant('rename', 'x') })],
    'moveFile destination': [
      'rename',
      (one) => moveFile(workspace, { source: grant('rename', 'f'), destination: one }),
    ],
    'changeFile mode': ['chmod', (one) => changeFile(workspace, one, { mode: 0o600 })],
    'changeFile size': ['truncate', (one) => changeFile(workspace, one, { size: 0 })],
    'changeFile times': ['utimes', (one) => changeFile(workspace, one, { accessed: new Date(), modified: new Date() })],
  };

  test.each(Object.entries(operations))('%s refuses every grant but its own', async (_, [operation, perform]) => {
    const real = grant(operation, 'f');
    using other = openWorkspace(join(top, 'ws2'), { method });
    await expect(perform(undefined)).rejects.toMatchObject(REFUSED);
    await expect(perform({ ...real })).rejects.toMatchObject(REFUSED);
    await expect(perform(grant(operation, 'f', workspace, -1))).rejects.toMatchObject(REFUSED);
    await expect(perform(grant(operation, 'f', other))).rejects.toMatchObject(REFUSED);
    await expect(perform(grant(operation, '../secret'))).rejects.toMatchObject(REFUSED);
    await expect(perform(grant(operation, 'f/x'))).rejects.toMatchObject(REFUSED);
    for (const wrong of FILE_OPERATIONS.filter((name) => name !== operation)) {
      await expect(perform(grant(wrong, 'f'))).rejects.toMatchObject(REFUSED);
    }
    for (const beneath of ['../secret', 'a/../../secret', './f', 'a//f']) {
      const effect: FileEffect = {
        ...effectOf(operation, 'f'),
        resolved: { real: join(top, 'ws', beneath), exists: true, beneath },
      };
      await expect(perform(grantFor({ allowed: true }, effect, 'call', Infinity))).rejects.toMatchObject(REFUSED);
    }
    expect(['ws/f', 'ws2/f', 'secret'].map((name) => readFileSync(join(top, name), 'utf8'))).toEqual([
      'ws/f',
      'ws2/f',
      'secret',
    ]);
  });

  describe('a link that was put in place after the grant', () => {
    const everything = (): unknown => [
      readdirSync(join(top, 'outside')),
      ...['f', 'full/f'].map((name) => readFileSync(join(top, 'outside', name), 'utf8')),
      statSync(join(top, 'outside', 'f')).mode,
    ];
    const swap = (name: string, target: string): void => {
      renameSync(join(top, 'ws', name), join(top, 'ws', 'away'));
      symlinkSync(target, join(top, 'ws', name));
    };
    beforeEach(() => {
      for (const directory of ['outside/full', 'ws/d/full']) mkdirSync(join(top, directory), { recursive: true });
      for (const file of ['outside/f', 'outside/full/f', 'ws/d/f', 'ws/d/full/f']) writeFileSync(join(top, file), file);
    });
    const acts: Readonly<Record<string, readonly (readonly [FileOperation, string])[]>> = {
      read: [['read', 'd/f']],
      list: [['list', 'd/full']],
      stat: [['stat', 'd/f']],
      write: [['write', 'd/f']],
      create: [['write', 'd/new']],
      append: [['append', 'd/f']],
      mkdir: [['mkdir', 'd/new/new']],
      remove: [['remove', 'd/full']],
      chmod: [['chmod', 'd/f']],
      'copy out': [
        ['copy', 'd/f'],
        ['copy', 'leak'],
      ],
      'copy in': [
        ['copy', 'f'],
        ['copy', 'd/f'],
      ],
      'move out': [
        ['rename', 'd/f'],
        ['rename', 'leak'],
      ],
      'move in': [
        ['rename', 'f'],
        ['rename', 'd/f'],
      ],
    };
    const perform = (name: string, [one, other]: readonly (Grant | undefined)[]): Promise<unknown> => {
      const ends = { source: one, destination: other };
      switch (name) {
        case 'read':
          return readFile(workspace, one);
        case 'list':
          return listDirectory(workspace, one);
        case 'stat':
          return statFile(workspace, one);
        case 'append':
          return appendFile(workspace, one, Buffer.from('x'));
        case 'mkdir':
          return makeDirectory(workspace, one);
        case 'remove':
          return removeFile(workspace, one, { recursive: true });
        case 'chmod':
          return changeFile(workspace, one, { mode: 0 });
        case 'copy out':
        case 'copy in':
          return copyFile(workspace, ends, { overwrite: true });
        case 'move out':
        case 'move in':
          return moveFile(workspace, ends, { overwrite: true });
        default:
          return writeFile(workspace, one, Buffer.from('x'));
      }
    };

    test.each(Object.entries(acts))('as a parent: %s fails, and worked before', async (name, ends) => {
      const before = everything();
      const grants = ends.map(([operation, path]) => grant(operation, path));
      swap('d', '../outside');
      await expect(perform(name, grants)).rejects.toMatchObject({ code: 'TAPPASS_FAILED' });
      expect(everything()).toEqual(before);
      expect(existsSync(join(top, 'ws', 'leak'))).toBe(false);
      rmSync(join(top, 'ws', 'd'));
      renameSync(join(top, 'ws', 'away'), join(top, 'ws', 'd'));
      await perform(name, grants);
      expect(everything()).toEqual(before);
    });

    test('as the file itself: it is not followed; a write, a move and a removal act on the link', async () => {
      const before = everything();
      const grants = { read: grant('read', 'f'), append: grant('append', 'f'), truncate: grant('truncate', 'f') };
      const write = grant('write', 'f');
      const list = grant('list', 'd');
      swap('f', '../outside/f');
      await expect(readFile(workspace, grants.read)).rejects.toMatchObject({ cause: { code: 'ELOOP' } });
      await expect(appendFile(workspace, grants.append, Buffer.from('x'))).rejects.toMatchObject({
        code: 'TAPPASS_FAILED',
      });
      await expect(changeFile(workspace, grants.truncate, { size: 0 })).rejects.toMatchObject({
        cause: { code: 'ELOOP' },
      });
      await expect(writeFile(workspace, write, Buffer.from('x'))).rejects.toMatchObject({ cause: { code: 'EINVAL' } });
      rmSync(join(top, 'ws', 'away'));
      swap('d', '../outside');
      await expect(listDirectory(workspace, list)).rejects.toMatchObject({ code: 'TAPPASS_FAILED' });
      await removeFile(workspace, grant('remove', 'd'), { recursive: true });
      expect(everything()).toEqual(before);
    });
  });

  test('with their own grants they work', async () => {
    await writeFile(workspace, grant('write', 'g'), Buffer.from('text'));
    await appendFile(workspace, grant('append', 'g'), Buffer.from('!'));
    expect((await readFile(workspace, grant('read', 'g'))).bytes.toString()).toBe('text!');
    await expect(writeFile(workspace, grant('write', 'g'), nothing, { overwrite: false })).rejects.toMatchObject({
      cause: { code: 'EEXIST' },
    });
    await changeFile(workspace, grant('chmod', 'g'), { mode: 0o4640 });
    await changeFile(workspace, grant('truncate', 'g'), { size: 2 });
    await changeFile(workspace, grant('utimes', 'g'), { accessed: new Date(1000), modified: new Date(2000) });
    const { mode, size, mtimeMs } = statSync(join(top, 'ws', 'g'));
    expect([mode & 0o7777, size, mtimeMs]).toEqual([0o640, 2, 2000]);
    await copyFile(workspace, { source: grant('copy', 'g'), destination: grant('copy', 'a/g') });
    await moveFile(workspace, { source: grant('rename', 'a/g'), destination: grant('rename', 'a/h') });
    expect(await listDirectory(workspace, grant('list', 'a'))).toMatchObject({
      entries: [{ name: 'h', type: 'file' }],
    });
    await removeFile(workspace, grant('remove', 'a'), { recursive: true });
    await makeDirectory(workspace, grant('mkdir', 'a'));
    expect(await statFile(workspace, grant('stat', 'a'))).toMatchObject({ type: 'directory' });
  });

  test('while a private file is replaced or copied, the new contents are as private', async () => {
    const directory = join(top, 'ws');
    chmodSync(join(directory, 'f'), 0o600);
    const seen: number[] = [];
    // Asked before each piece is written: a look at the disk in the middle of the operation.
    const signal = new AbortController().signal;
    signal.throwIfAborted = () => {
      const names = readdirSync(directory).filter((name) => name.startsWith('.tappass-'));
      seen.push(...names.map((name) => statSync(join(directory, name)).mode & 0o777));
    };
    await writeFile(workspace, grant('write', 'f'), Buffer.from('private'), { signal });
    await copyFile(workspace, { source: grant('copy', 'f'), destination: grant('copy', 'g') }, { signal });
    expect(seen.length).toBeGreaterThanOrEqual(2);
    expect(new Set(seen)).toEqual(new Set([0o600]));
    expect(['f', 'g'].map((name) => statSync(join(directory, name)).mode & 0o777)).toEqual([0o600, 0o600]);
  });

  test('reading a big file leaves the event loop free', async () => {
    writeFileSync(join(top, 'ws', 'big'), Buffer.alloc(64 * 1024 * 1024));
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      immediate = setImmediate(turn);
    };
    let immediate = setImmediate(turn);
    const { bytes } = await readFile(workspace, grant('read', 'big'), { maxBytes: 2 ** 30 });
    clearImmediate(immediate);
    expect(bytes.length).toBe(64 * 1024 * 1024);
    expect(turns).toBeGreaterThan(10);
  });

  test('a closed workspace performs nothing', async () => {
    const one = grant('read', 'f');
    const closed = workspace;
    workspace = openWorkspace(join(top, 'ws2'), { method });
    closed[Symbol.dispose]();
    await expect(readFile(closed, one)).rejects.toMatchObject(REFUSED);
    await expect(removeFile(closed, grant('remove', 'f', closed))).rejects.toMatchObject(REFUSED);
  });
});
