/**
 * runCode beside its peers, in one run: `npm run bench -- isolate`. Measured is the package as it is published, built for
 * this run: the checkout's hosts also carry the type stripper, and an older build would be measured in its place.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import type ivm from 'isolated-vm';
import type { openCodePool as OpenCodePool } from '../../src/run-code.ts';
import type { govern as Govern } from '../../src/govern.ts';
import { peer } from './peers.ts';

// isolated-vm in this process needs it too.
if (!process.execArgv.includes('--no-node-snapshot')) {
  const again = spawnSync(process.execPath, [...process.execArgv, '--no-node-snapshot', ...process.argv.slice(1)], {
    stdio: 'inherit',
  });
  process.exit(again.status ?? 1);
}

const root = resolve(import.meta.dirname, '..', '..');
const door = join(root, 'dist', 'run-code.js');
const build = spawnSync('npm', ['run', 'build'], { cwd: root, encoding: 'utf8' });
if (build.status !== 0) throw new Error(build.stdout);
const { openCodePool } = (await import(door)) as { openCodePool: typeof OpenCodePool };
const { govern } = (await import(door.replace('run-code', 'govern'))) as { govern: typeof Govern };

interface Row {
  readonly name: string;
  readonly p50: string;
  readonly p99: string;
  readonly ratio?: string;
}
const rows: Row[] = [];

const quantile = (times: readonly number[], q: number): number =>
  times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * q))] as number;

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/**
 * Times each of `works` in turn, with `gap` ms of rest after each: 0 asks for throughput, more for what a single call
 * costs. In turn, so that whatever else this machine does meanwhile falls on all of them.
 */
const inTurn = async (
  count: number,
  gap: number,
  works: readonly (() => Promise<unknown>)[],
): Promise<readonly (readonly number[])[]> => {
  const times = works.map((): number[] => []);
  for (let round = -20; round < count; round += 1) {
    for (const [index, work] of works.entries()) {
      const start = performance.now();
      await work();
      if (round >= 0) times[index]?.push(performance.now() - start);
      if (gap > 0) await pause(gap);
    }
  }
  return times;
};

const measure = async (count: number, gap: number, work: () => Promise<unknown>): Promise<readonly number[]> =>
  (await inTurn(count, gap, [work]))[0] ?? [];

let naiveP50 = Number.NaN;
const row = (name: string, times: readonly number[]): void => {
  const p50 = quantile(times, 0.5);
  rows.push({
    name,
    p50: `${p50.toFixed(3)} ms`,
    p99: `${quantile(times, 0.99).toFixed(3)} ms`,
    ratio: Number.isNaN(naiveP50) ? '1.00' : (p50 / naiveP50).toFixed(2),
  });
  if (Number.isNaN(naiveP50)) naiveP50 = p50;
};

const say = (name: string, value: string): void => void rows.push({ name, p50: value, p99: '' });

const vm = createRequire(import.meta.url)('isolated-vm') as typeof ivm;
const naive = async (): Promise<unknown> => {
  const isolate = new vm.Isolate({ memoryLimit: 128 });
  const context = await isolate.createContext();
  const value: unknown = await context.eval('1+1');
  context.release();
  isolate.dispose();
  return value;
};

const memoryOf = (pid: number): { rss: number; pss: number; own: number } => {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kb = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'mu').exec(text)?.[1] ?? Number.NaN);
  return { rss: kb('Rss') / 1024, pss: kb('Pss') / 1024, own: (kb('Private_Clean') + kb('Private_Dirty')) / 1024 };
};

const peers = async (gap: number): Promise<void> => {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads'); const vm = require('node:vm');
     parentPort.on('message', (code) => parentPort.postMessage(vm.runInNewContext(code, {}, { timeout: 1000 })));`,
    { eval: true },
  );
  const ask = (): Promise<unknown> =>
    new Promise((done) => {
      worker.once('message', done);
      worker.postMessage('1+1', []);
    });
  row('worker_threads + node:vm, new context (no wall)', await measure(200, gap, ask));
  await worker.terminate();
  const quick = await peer('quickjs-emscripten', '0.32.0');
  if ('missing' in quick) say('quickjs-emscripten', quick.missing);
  else {
    const { getQuickJS } = quick.module as { getQuickJS: () => Promise<{ evalCode: (code: string) => unknown }> };
    const engine = await getQuickJS();
    row('quickjs-emscripten, new context', await measure(200, gap, async () => engine.evalCode('1+1')));
  }
};

/** A runtime kept for all calls. */
const secureExec = async (gap: number): Promise<void> => {
  // The newest that npm can resolve; its scripts would compile a database that this needs not.
  const secure = await peer('secure-exec', '0.2.1', 'secure-exec', ['--ignore-scripts']);
  if ('missing' in secure) {
    say('secure-exec', secure.missing);
    return;
  }
  const { NodeRuntime, createNodeDriver, createNodeRuntimeDriverFactory } = secure.module as {
    NodeRuntime: new (options: object) => { run(code: string): Promise<{ code: number; exports: unknown }> } & {
      terminate(): Promise<void>;
    };
    createNodeDriver: () => object;
    createNodeRuntimeDriverFactory: () => object;
  };
  try {
    const runtime = new NodeRuntime({
      systemDriver: createNodeDriver(),
      runtimeDriverFactory: createNodeRuntimeDriverFactory(),
    });
    const { exports } = await runtime.run('module.exports = 1+1');
    if (exports !== 2) throw new Error(`it says ${JSON.stringify(exports)}`);
    row('secure-exec 0.2.1, run(1+1)', await measure(20, gap, () => runtime.run('module.exports = 1+1')));
    await runtime.terminate();
  } catch (error) {
    say('secure-exec', `does not run here: ${String(error).split('\n', 1)[0]?.slice(0, 80) ?? ''}`);
  }
};

const latency = async (): Promise<void> => {
  await using pool = openCodePool();
  await pool.ready();
  await pause(300);
  const call = (): Promise<unknown> => pool.run('1+1');
  // The longer both rest, the more of what they need has left the processor's caches, and the deeper it sleeps.
  for (const gap of [3, 10]) {
    const [naiveTimes = [], apart = []] = await inTurn(300, gap, [naive, call]);
    naiveP50 = Number.NaN;
    row(`isolated-vm in process, new isolate + context, ${gap} ms apart`, naiveTimes);
    row(`runCode(1+1), calls ${gap} ms apart`, apart);
  }
  row('runCode(1+1), back to back', await measure(500, 0, call));
  const directory = mkdtempSync(join(tmpdir(), 'tappass-bench-'));
  for (const [name, audit] of [
    ['no journal', false],
    ['with the journal', { dir: directory }],
  ] as const) {
    const tools = govern({ one: async () => 1 }, { audit });
    const ten = 'let s = 0; for (let i = 0; i < 10; i++) s += await tools.one(); s';
    row(`a call with 10 tool round trips, ${name}`, await measure(100, 10, () => pool.run(ten, { tools })));
    const many = 'let s = 0; for (let i = 0; i < 1000; i++) s += await tools.one(); s';
    const trips = await measure(15, 20, () => pool.run(many, { tools }));
    const [p50, least] = [quantile(trips, 0.5), Math.min(...trips)].map((ms) => `${ms.toFixed(0)} µs`);
    say(`one tool round trip, of 1000 in a row, ${name}`, `${p50}, at best ${least}`);
  }
  rmSync(directory, { recursive: true });
  for (const callers of [1, 8, 64]) {
    const total = 600;
    let left = total;
    const start = performance.now();
    const caller = async (): Promise<void> => {
      while ((left -= 1) >= 0) await pool.run('1+1');
    };
    await Promise.all(Array.from({ length: callers }, caller));
    say(`throughput, ${callers} callers`, `${((total / (performance.now() - start)) * 1000).toFixed(0)} calls/s`);
  }
};

const memory = async (): Promise<void> => {
  using pool = openCodePool({ hosts: 2, prewarm: 1 });
  await pool.ready();
  await pause(300);
  const [pid = 0] = pool.pids;
  const idle = memoryOf(pid);
  say(
    'memory of a host that is ready',
    `RSS ${idle.rss.toFixed(1)} MiB, PSS ${idle.pss.toFixed(1)} MiB, its own ${idle.own.toFixed(1)} MiB`,
  );
  // A host is replaced after 2000 guests: one generation passes before the count begins.
  for (let index = 0; index < 3000; index += 1) await pool.run('1+1');
  const before = memoryOf(pool.pids[0] ?? 0);
  say(
    'memory of a host after thousands of calls',
    `RSS ${before.rss.toFixed(1)} MiB, PSS ${before.pss.toFixed(1)} MiB`,
  );
  const heap = process.memoryUsage().rss;
  const rounds = Number(process.env['ROUNDS'] ?? 10_000);
  for (let index = 0; index < rounds; index += 1) await pool.run('1+1');
  const after = memoryOf(pool.pids[0] ?? 0);
  say(
    `growth over ${rounds} calls`,
    `host ${(after.own - before.own).toFixed(1)} MiB, parent ${((process.memoryUsage().rss - heap) / 2 ** 20).toFixed(1)} MiB`,
  );
};

const cold = (): void => {
  const source = `const t = performance.now(); const { openCodePool } = await import(${JSON.stringify(door)}); const loaded = performance.now();
    using pool = openCodePool(); await pool.run('1+1'); console.log(JSON.stringify([loaded - t, performance.now() - loaded]));`;
  const times = Array.from({ length: 7 }, () => {
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', source], { encoding: 'utf8' });
    return JSON.parse(child.stdout) as [number, number];
  });
  row(
    'first call of a program, cold pool',
    times.map(([, call]) => call),
  );
  row(
    '  and importing the door before it',
    times.map(([load]) => load),
  );
};

await latency();
await peers(10);
await secureExec(10);
cold();
await memory();

console.log(`\nNode ${process.version}\n`);
for (const { name, p50, p99, ratio } of rows) {
  console.log(`${name.padEnd(56)} ${p50.padStart(12)} ${p99.padStart(12)} ${(ratio ?? '').padStart(7)}`);
}
