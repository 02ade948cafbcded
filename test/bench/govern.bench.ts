/**
 * What a governed call costs: flags set (an allowlist, files=project with one path argument), the body really executed,
 * two journal lines written. Beside it Microsoft's agent-governance-sdk, which decides and logs in memory, without
 * running or looking into the arguments, in the same run.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { lineWriter } from '../../src/audit/append.ts';
import { openWorkspace } from '../../src/broker/file.ts';
import { createContentScanner } from '../../src/content/scanner.ts';
import { defineTool, govern, openJournalSync, openMemoryJournal, verifyJournal } from '../../src/index.ts';
import type { EventSink, JournalEntry } from '../../src/index.ts';
import { canonicalize } from '../../src/model/canonical.ts';
import { DEFAULT_LIMITS } from '../../src/model/limits.ts';
import { receive } from '../../src/tools/receive.ts';
import { peer } from './peers.ts';
import { printTable } from './table.ts';

const workspace = mkdtempSync(join(tmpdir(), 'tappass-bench-'));
mkdirSync(join(workspace, 'src'));
writeFileSync(join(workspace, 'src', 'a.txt'), 'hello');

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? NaN;
const micro = (nanoseconds: number): string => (nanoseconds / 1000).toFixed(2);

interface Measured {
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
}

const measure = async (calls: number, concurrency: number, call: () => Promise<unknown>): Promise<Measured> => {
  const took: number[] = [];
  const started = process.hrtime.bigint();
  const one = async (): Promise<void> => {
    const at = process.hrtime.bigint();
    await call();
    took.push(Number(process.hrtime.bigint() - at));
  };
  if (concurrency === 1) for (let index = 0; index < calls; index += 1) await one();
  else
    for (let index = 0; index < calls; index += concurrency)
      await Promise.all(Array.from({ length: concurrency }, one));
  const total = Number(process.hrtime.bigint() - started);
  took.sort((a, b) => a - b);
  return { p50: quantile(took, 0.5), p99: quantile(took, 0.99), perSecond: took.length / (total / 1e9) };
};

const noop = (sink: EventSink | false) => {
  const [tool] = govern(
    [
      defineTool({
        name: 'noop',
        description: 'Does nothing.',
        input: z.object({ path: z.string() }),
        effects: { write: 'path' },
        execute: async ({ path }) => path,
      }),
    ],
    { flags: 'tools=allowlist:noop, files=project', workspace, audit: sink },
  );
  return () => tool.execute({ path: 'src/a.txt' });
};

const microsoft = async (): Promise<(() => () => Promise<unknown>) | string> => {
  const found = await peer('@microsoft/agent-governance-sdk', '4.0.0');
  if ('missing' in found) return found.missing;
  const { AgentMeshClient } = found.module as {
    AgentMeshClient: {
      create(id: string, options: object): { executeWithGovernance(action: string, params: object): Promise<unknown> };
    };
  };
  return () => {
    const client = AgentMeshClient.create('bench', { policyRules: [{ action: 'noop', effect: 'allow' }] });
    return () => client.executeWithGovernance('noop', { path: 'src/a.txt' });
  };
};

const contenders: { name: string; make: () => { call: () => Promise<unknown>; close: () => void } }[] = [
  {
    name: 'tappass, journal on disk (write)',
    make: () => {
      const journal = openJournalSync({ dir: mkdtempSync(join(workspace, 'audit-')) });
      return { call: noop(journal), close: () => journal[Symbol.dispose]() };
    },
  },
  {
    name: 'tappass, journal in memory',
    make: () => {
      const journal = openMemoryJournal();
      return { call: noop(journal), close: () => journal[Symbol.dispose]() };
    },
  },
  { name: 'tappass, no journal', make: () => ({ call: noop(false), close: () => undefined }) },
];
const other = await microsoft();
if (typeof other === 'string') console.log(`(not measured: ${other})`);
else
  contenders.push({
    name: 'agent-governance-sdk 4.0.0 (in memory)',
    make: () => ({ call: other(), close: () => undefined }),
  });

const SIZES = [1000, 10_000, 100_000];
const rows: string[][] = [];
for (const { make } of contenders) {
  const { call, close } = make();
  await measure(3000, 1, call);
  close();
}
for (const size of SIZES) {
  for (const concurrency of [1, 100]) {
    for (const { name, make } of contenders) {
      const { call, close } = make();
      // Two journal lines for each call of ours: `size` counts entries, as the peer's log does.
      const calls = name.startsWith('tappass') ? size / 2 : size;
      const { p50, p99, perSecond } = await measure(calls, concurrency, call);
      rows.push([
        name,
        String(size),
        String(concurrency),
        micro(p50),
        micro(p99),
        Math.round(perSecond).toLocaleString('en'),
      ]);
      close();
    }
  }
}
printTable(['', 'entries', 'concurrent', 'p50 µs', 'p99 µs', 'calls/s'], rows);

// Where the microseconds of one call go: each step by itself, warm, and what a microsecond of the whole is left for the
// rest (promises, timings, the event objects, garbage).
const part = (what: string, run: () => unknown): readonly string[] => {
  for (let index = 0; index < 20_000; index += 1) run();
  const samples = Array.from({ length: 15 }, () => {
    const at = process.hrtime.bigint();
    for (let index = 0; index < 5000; index += 1) run();
    return Number(process.hrtime.bigint() - at) / 5000;
  }).toSorted((a, b) => a - b);
  return [what, micro(quantile(samples, 0.5))];
};
const input = { path: 'src/a.txt' };
const schema = z.object({ path: z.string() });
const place = openWorkspace(workspace);
const scanner = createContentScanner({});
const lines = openMemoryJournal();
const onDisk = openJournalSync({ dir: mkdtempSync(join(workspace, 'parts-')) });
const written: JournalEntry[] = [];
const [sample] = govern(
  [
    function sample(path: string) {
      return path;
    },
  ],
  {
    flags: 'tools=allowlist:sample, files=project',
    workspace,
    audit: false,
    effects: { sample: { write: 'path' } },
    onEvent: (event) => written.push(event),
  },
);
sample('src/a.txt');
const [decided, ended] = written as [JournalEntry, JournalEntry];
console.log('');
printTable(
  ['one call, step by step', 'µs'],
  [
    part('receive: copy, bound and freeze the arguments', () => receive(input, DEFAULT_LIMITS)),
    part('receive: the tool’s schema (zod)', () => schema['~standard'].validate(input)),
    part('decide: where the path leads (openat2, close)', () => place.resolve('src/a.txt', { operation: 'write' })),
    part('decide: look through arguments and result', () => [scanner.record(input), scanner.transform('src/a.txt')]),
    part('record: digest of the arguments', () => lineWriter().digest(canonicalize(input))),
    part('record: both lines in memory (serialise, SHA-256)', () => [lines.append(decided), lines.append(ended)]),
    part('record: both lines on disk (the same, write twice)', () => [onDisk.append(decided), onDisk.append(ended)]),
  ],
);
onDisk[Symbol.dispose]();

const dir = mkdtempSync(join(workspace, 'verify-'));
const journal = openJournalSync({ dir });
const call = noop(journal);
for (let index = 0; index < 100_000; index += 1) await call();
journal[Symbol.dispose]();
const started = performance.now();
const report = await verifyJournal(dir);
const seconds = (performance.now() - started) / 1000;
console.log(
  `\nverify: ${String(report.events)} events, ok ${String(report.ok)}, ${Math.round(report.events / seconds).toLocaleString('en')} events/s`,
);
const before = process.memoryUsage().heapUsed;
const memory = openMemoryJournal();
const again = noop(memory);
for (let index = 0; index < 200_000; index += 1) await again();
globalThis.gc?.();
console.log(`heap after 200,000 more calls: ${((process.memoryUsage().heapUsed - before) / 1e6).toFixed(1)} MB more`);
rmSync(workspace, { recursive: true });
