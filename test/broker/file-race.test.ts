/**
 * The attack that checking paths cannot stop: a parent directory becomes a link to outside between check and use, as
 * fast as the kernel can exchange two names. The naive implementation falls; the broker does not, by either method.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FileMethod } from '../../src/broker/file-calls.ts';
import { fileTools } from '../../src/file-tools.ts';
import { nativeFile } from '../../src/native/addon.ts';

const METHODS: readonly FileMethod[] = ['openat2', 'fallback'];

let top: string;
let root: string;
let outside: string;
let swapper: Worker;

/** Exchanges `dir` (a directory) and `link` (to outside) until it is told to stop: renameat2(2), RENAME_EXCHANGE. */
const SWAPPER = `
  const { workerData, parentPort } = require('node:worker_threads');
  const { renameat2 } = require(workerData.addon);
  const stop = new Int32Array(workerData.stop);
  parentPort.postMessage('ready');
  let swaps = 0;
  while (Atomics.load(stop, 0) === 0) {
    if (renameat2(-100, workerData.dir, -100, workerData.link, 2) === 0) swaps += 1;
  }
  parentPort.postMessage(swaps);
`;
const stop = new Int32Array(new SharedArrayBuffer(4));

beforeEach(async () => {
  top = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-race-')));
  root = join(top, 'ws');
  outside = join(top, 'outside');
  for (const directory of [root, outside, join(root, 'dir')]) mkdirSync(directory);
  writeFileSync(join(root, 'dir', 'f'), 'inside');
  writeFileSync(join(root, 'other'), 'inside');
  for (const name of ['f', 'victim']) writeFileSync(join(outside, name), 'secret');
  symlinkSync(outside, join(root, 'link'));
  Atomics.store(stop, 0, 0);
  const workerData = {
    addon: nativeFile('tappass.node'),
    dir: join(root, 'dir'),
    link: join(root, 'link'),
    stop: stop.buffer,
  };
  swapper = new Worker(SWAPPER, { eval: true, workerData });
  await new Promise((resolve) => swapper.once('message', resolve));
});
afterEach(async () => {
  Atomics.store(stop, 0, 1);
  await swapper.terminate();
  rmSync(top, { recursive: true, force: true });
});

const outsideNow = (): unknown => [
  readdirSync(outside),
  ...['f', 'victim'].map((name) => readFileSync(join(outside, name), 'utf8')),
];
const UNTOUCHED = [['f', 'victim'], 'secret', 'secret'];

test('the naive implementation, realpath and then open, reads and writes outside', () => {
  const isBeneath = (path: string): boolean => realpathSync(path).startsWith(`${root}/`);
  const escapes = { read: 0, written: 0 };
  for (let round = 0; round < 200_000 && (escapes.read === 0 || escapes.written === 0); round += 1) {
    const path = join(root, 'dir', 'f');
    try {
      if (isBeneath(path) && readFileSync(path, 'utf8') === 'secret') escapes.read += 1;
      if (isBeneath(join(root, 'dir'))) writeFileSync(join(root, 'dir', 'planted'), '');
    } catch {
      // The name was gone for the blink of an exchange.
    }
    if (readdirSync(outside).includes('planted')) escapes.written += 1;
  }
  expect(escapes.read).toBeGreaterThan(0);
  expect(escapes.written).toBeGreaterThan(0);
});

describe.each(METHODS)('the broker by %s', (method) => {
  test('never reads, writes, makes, moves or removes outside, and works inside', async () => {
    const tools = fileTools({ workspace: root, method });
    const context = { callId: 'race' };
    const worked: Record<string, number> = {};
    const leaked: unknown[] = [];
    const attempt = async (name: string, act: () => Promise<unknown>): Promise<void> => {
      try {
        const result = await act();
        worked[name] = (worked[name] ?? 0) + 1;
        if (JSON.stringify(result).includes('secret')) leaked.push(result);
      } catch (error) {
        const { code } = error as { code?: unknown };
        if (code !== 'TAPPASS_REFUSED' && code !== 'TAPPASS_FAILED') leaked.push(error);
      }
    };
    for (let round = 0; round < 400; round += 1) {
      const name = String(round);
      await attempt('read', () => tools.read_file.execute({ path: 'dir/f', encoding: 'utf8' }, context));
      await attempt('write', () =>
        tools.write_file.execute({ path: `dir/${name}`, content: '', encoding: 'utf8' }, context),
      );
      await attempt('replace', () =>
        tools.write_file.execute({ path: 'dir/f', content: 'inside', encoding: 'utf8' }, context),
      );
      await attempt('append', () =>
        tools.append_file.execute({ path: 'dir/log', content: 'x', encoding: 'utf8' }, context),
      );
      await attempt('list', () => tools.list_directory.execute({ path: 'dir' }, context));
      await attempt('stat', () => tools.get_file_info.execute({ path: 'dir/f' }, context));
      await attempt('mkdir', () => tools.create_directory.execute({ path: `dir/d${name}` }, context));
      await attempt('copy out', () =>
        tools.copy_file.execute({ source: 'dir/f', destination: 'copied', overwrite: true }, context),
      );
      await attempt('copy in', () =>
        tools.copy_file.execute({ source: 'other', destination: 'dir/copied', overwrite: true }, context),
      );
      await attempt('move out', () =>
        tools.move_file.execute({ source: `dir/${name}`, destination: 'moved', overwrite: true }, context),
      );
      await attempt('move victim', () =>
        tools.move_file.execute({ source: 'dir/victim', destination: 'moved', overwrite: true }, context),
      );
      await attempt('remove', () => tools.remove_file.execute({ path: `dir/d${name}`, recursive: true }, context));
      await attempt('remove victim', () => tools.remove_file.execute({ path: 'dir/victim', recursive: true }, context));
    }
    Atomics.store(stop, 0, 1);
    const swaps = await new Promise<number>((resolve) => swapper.once('message', resolve));
    expect(leaked).toEqual([]);
    expect(outsideNow()).toEqual(UNTOUCHED);
    expect(swaps).toBeGreaterThan(1000);
    expect(Object.keys(worked)).toEqual(
      expect.arrayContaining(['read', 'write', 'replace', 'append', 'list', 'stat', 'mkdir', 'copy out', 'copy in']),
    );
  });
});
