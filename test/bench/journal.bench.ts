/**
 * What the journal adds to a call: the pair of lines that every call leaves, on disk and in memory, at growing length;
 * beside it the floor, which is hashing and writing the same bytes with nothing else. Then verifying and reading.
 *
 *   node test/bench/journal.bench.ts [events for reading, default 200000]
 */
import { hash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { portableWriter } from '../../src/audit/append.ts';
import { DirectoryJournal, openJournalSync } from '../../src/audit/journal.ts';
import { lineText } from '../../src/audit/line.ts';
import { openMemoryJournal } from '../../src/audit/memory.ts';
import { readJournal } from '../../src/audit/read.ts';
import { verifyJournal } from '../../src/audit/verify.ts';
import { canonicalJson } from '../../src/model/canonical.ts';
import type { JournalEntry } from '../../src/model/event.ts';
import { decided, ended } from '../audit/entries.ts';

const home = mkdtempSync(join(tmpdir(), 'tappass-bench-'));
const effects = Object.freeze([]);
let calls = 0;

/** The pair as `govern` makes it: fresh objects, fresh call id, canonical arguments at hand. */
const pair = (): readonly [JournalEntry, JournalEntry] => {
  const call_id = `99999999-8888-4777-a666-${String(calls++).padStart(12, '0')}`;
  return [
    decided({ call_id, args: canonicalJson({ path: 'notes/today.md' }), effect_list: effects }),
    ended({ call_id }),
  ];
};

interface Timing {
  readonly median: number;
  readonly p99: number;
}

const BATCH = 100;

/** Microseconds for one pair, over batches of 100, so that the clock's own cost does not count. */
const time = (pairs: number, run: () => void): Timing => {
  const batches: number[] = [];
  for (let done = 0; done < pairs; done += BATCH) {
    const start = performance.now();
    for (let index = 0; index < BATCH; index++) run();
    batches.push(((performance.now() - start) * 1000) / BATCH);
  }
  batches.sort((a, b) => a - b);
  const at = (share: number): number => batches[Math.min(batches.length - 1, Math.floor(batches.length * share))] ?? 0;
  return { median: at(0.5), p99: at(0.99) };
};

const appendPair = (journal: { append(entry: JournalEntry): void }) => (): void => {
  const [first, second] = pair();
  journal.append(first);
  journal.append(second);
};

const rows: Record<string, Record<string, number | string>> = {};
const row = (name: string, timing: Timing, floor: number): void => {
  rows[name] = {
    'µs/pair p50': timing.median.toFixed(2),
    'p99 of 100': timing.p99.toFixed(2),
    'ratio to floor': (timing.median / floor).toFixed(2),
  };
};

const previous = 'ab'.repeat(32);
const sample = pair().map((entry) => lineText(entry, 100_000, '2026-11-21T13:29:33.560Z', previous));
console.log(`the pair: ${sample.map((text) => `${Buffer.byteLength(text) + 75} B`).join(' + ')}`);

time(20_000, appendPair(openMemoryJournal()));
const fd = openSync(join(home, 'floor'), 'a');
const floorRun = (): void => {
  for (const text of sample) {
    const digest = hash('sha256', text, 'hex');
    writeSync(fd, `${text},"hash":"${digest}"}\n`);
  }
};
time(2000, floorRun);
const floor = time(20_000, floorRun);
closeSync(fd);
row('floor: crypto.hash + fs.writeSync of the same bytes', floor, floor.median);
row('entries made, not recorded', time(20_000, pair), floor.median);

for (const entries of [1000, 10_000, 100_000]) {
  const memory = openMemoryJournal();
  const disk = openJournalSync({ dir: join(home, `write-${entries}`) });
  const [toMemory, toDisk] = [appendPair(memory), appendPair(disk)];
  time(entries / 2, toMemory);
  time(entries / 2, toDisk);
  row(`memory, after ${entries} entries`, time(10_000, toMemory), floor.median);
  row(`disk (write), after ${entries} entries`, time(10_000, toDisk), floor.median);
  await disk.close();
}
const portable = new DirectoryJournal({ dir: join(home, 'portable') }, portableWriter);
time(2000, appendPair(portable));
row('disk (write), without the addon', time(10_000, appendPair(portable)), floor.median);
await portable.close();
console.table(rows);

const events = Number(process.argv[2] ?? 200_000);
const before = process.memoryUsage().rss;
const large = join(home, 'large');
for (let file = 0; file < 4; file++) {
  const journal = openJournalSync({ dir: large });
  for (let index = 0; index < events / 8; index++) appendPair(journal)();
  await journal.close();
}
const grown = process.memoryUsage().rss - before;

const milliseconds = async (run: () => Promise<unknown>): Promise<number> => {
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[2] ?? 0;
};
const newest = async (filter: object): Promise<number> => {
  let count = 0;
  for await (const _event of readJournal(large, filter)) count++;
  return count;
};
const verifying = await milliseconds(async () => await verifyJournal(large));
console.table({
  'events written': { value: events, unit: 'events' },
  'resident memory grown by writing them': { value: Math.round(grown / 2 ** 20), unit: 'MiB' },
  verifyJournal: { value: Math.round((events / verifying) * 1000), unit: 'events/s' },
  'readJournal, newest 100': {
    value: Number((await milliseconds(async () => await newest({ limit: 100 }))).toFixed(2)),
    unit: 'ms',
  },
  'readJournal, an agent that is not there': {
    value: Number((await milliseconds(async () => await newest({ agent: 'nobody' }))).toFixed(0)),
    unit: 'ms',
  },
});
rmSync(home, { recursive: true, force: true });
