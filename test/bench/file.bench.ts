/**
 * What a path costs: resolving and judging it, and doing something with it. One table, medians of rounds that take
 * turns, ratios within the run: the machine's speed cancels out. Run: node test/bench/file.bench.ts
 */
import { mkdirSync, mkdtempSync, lstatSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { openWorkspace } from '../../src/broker/file.ts';
import { fileTools } from '../../src/file-tools.ts';
import type { FileEffect, FileOperation } from '../../src/model/effect.ts';
import { decideFile } from '../../src/policy/file.ts';
import { peer } from './peers.ts';

const ROUNDS = 21;
const top = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-bench-')));
const root = join(top, 'ws');
mkdirSync(join(root, 'src', 'deep'), { recursive: true });
const file = join(root, 'src', 'deep', 'file.txt');
writeFileSync(file, 'x'.repeat(1024));
writeFileSync(join(root, 'big'), Buffer.alloc(16 * 1024 * 1024, 'x'));
symlinkSync('src', join(root, 'link'));

interface Case {
  readonly name: string;
  readonly times: number;
  readonly run: () => unknown;
  readonly nanoseconds: number[];
}
const cases: Case[] = [];
const bench = (name: string, times: number, run: () => unknown): void => {
  cases.push({ name, times, run, nanoseconds: [] });
};

const resolving = (name: string, method: 'openat2' | 'fallback'): void => {
  const workspace = openWorkspace(root, { method });
  const resolve = (path: string, operation: FileOperation) => () => workspace.resolve(path, { operation });
  bench(`${name} resolve: relative, exists`, 5000, resolve('src/deep/file.txt', 'read'));
  bench(`${name} resolve: absolute, exists`, 5000, resolve(file, 'read'));
  bench(`${name} resolve: new name`, 5000, resolve('src/deep/new.txt', 'write'));
  bench(`${name} resolve: through a link`, 500, resolve('link/deep/file.txt', 'read'));
  bench(`${name} resolve: outside`, 5000, resolve('/etc/hostname', 'read'));
};

bench('fs.lstatSync (the yardstick)', 5000, () => lstatSync(file));
bench('fs.realpathSync.native', 5000, () => realpathSync.native(file));
bench('fs.realpathSync', 2000, () => realpathSync(file));
resolving('openat2', 'openat2');
resolving('fallback', 'fallback');

const resolved = { real: file, exists: true, beneath: 'src/deep/file.txt' };
const effect: FileEffect = {
  kind: 'file',
  pointer: '/path',
  operation: 'write',
  access: 'write',
  path: file,
  resolved,
};
bench('decideFile', 20_000, () => decideFile(effect, 'project'));

const context = { callId: 'bench' };
const using = (name: string, method: 'openat2' | 'fallback'): void => {
  const tools = fileTools({ workspace: root, method, maxReadBytes: 2 ** 30 });
  const read = { path: 'src/deep/file.txt', encoding: 'utf8' } as const;
  const write = { path: 'src/deep/out.txt', content: 'x'.repeat(1024), encoding: 'utf8' } as const;
  bench(`${name} read_file 1 KiB`, 200, () => tools.read_file.execute(read, context));
  bench(`${name} write_file 1 KiB`, 100, () => tools.write_file.execute(write, context));
  bench(`${name} read_file 16 MiB`, 2, () => tools.read_file.execute({ path: 'big', encoding: 'utf8' }, context));
};
bench('fs.promises.readFile 1 KiB', 200, () => readFile(file, 'utf8'));
bench('fs.promises.writeFile + rename 1 KiB', 100, async () => {
  await writeFile(`${file}.tmp`, 'x'.repeat(1024));
  await rename(`${file}.tmp`, `${file}.out`);
});
bench('fs.promises.readFile 16 MiB', 2, () => readFile(join(root, 'big'), 'utf8'));
using('openat2', 'openat2');
using('fallback', 'fallback');

const PEER = '@modelcontextprotocol/server-filesystem';
const found = await peer(PEER, '2026.8.31', `${PEER}/dist/lib.js`);
if ('module' in found) {
  const { setAllowedDirectories, validatePath, readFileContent, writeFileContent } = found.module as {
    setAllowedDirectories: (directories: readonly string[]) => void;
    validatePath: (path: string) => Promise<string>;
    readFileContent: (path: string) => Promise<string>;
    writeFileContent: (path: string, content: string) => Promise<void>;
  };
  setAllowedDirectories([root]);
  bench('MCP server: validatePath', 500, () => validatePath(file));
  bench('MCP server: read 1 KiB', 200, async () => readFileContent(await validatePath(file)));
  bench('MCP server: write 1 KiB', 100, async () =>
    writeFileContent(await validatePath(`${file}.mcp`), 'x'.repeat(1024)),
  );
}

const measure = async ({ run, times, nanoseconds }: Case): Promise<void> => {
  const begin = process.hrtime.bigint();
  for (let time = 0; time < times; time += 1) {
    const result = run();
    if (result instanceof Promise) await result;
  }
  nanoseconds.push(Number(process.hrtime.bigint() - begin) / times);
};
for (let round = 0; round < ROUNDS; round += 1) for (const one of cases) await measure(one);

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const yardstick = median(cases[0]?.nanoseconds ?? []);
const table = new Table({
  head: ['case', 'median µs', '× lstatSync'],
  colAligns: ['left', 'right', 'right'],
  style: { head: [], border: [], compact: true },
});
for (const { name, nanoseconds } of cases) {
  const time = median(nanoseconds);
  table.push([name, (time / 1000).toFixed(2), (time / yardstick).toFixed(1)]);
}
if ('missing' in found) table.push([`MCP server: ${found.missing}`, '', '']);
console.log(table.toString());
rmSync(top, { recursive: true });
