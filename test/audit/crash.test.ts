/** Processes killed at any moment, many in one directory: what they were told is recorded is there. */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readJournal } from '../../src/audit/read.ts';
import { verifyJournal } from '../../src/audit/verify.ts';
import { testDirectory } from './directory.ts';

const directory = testDirectory();
const writer = join(import.meta.dirname, 'writer.ts');

/** Starts a writer, kills it `afterMs` after its first line, and tells the last call it said was recorded. */
const killed = async (
  afterMs: number,
  durability: 'write' | 'fsync',
): Promise<{ readonly pid: number; readonly last: number }> => {
  const child = spawn(process.execPath, [writer, directory.path, durability], { stdio: ['ignore', 'pipe', 'inherit'] });
  const { pid = 0 } = child;
  let last = -1;
  let killing: Promise<void> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    killing ??= setTimeout(afterMs).then(() => {
      child.kill('SIGKILL');
    });
  }
  await killing;
  return { pid, last };
};

test.each(['write', 'fsync'] as const)(
  'every event that %s acknowledged survives SIGKILL, from many writers',
  async (durability) => {
    const writers = await Promise.all(Array.from({ length: 6 }, (_, index) => killed(index * 13, durability)));
    const report = await verifyJournal(directory.path);
    expect(report.errors).toEqual([]);
    expect(report.files).toBe(writers.length);
    const recorded = new Map<string, number>();
    for await (const event of readJournal(directory.path, { type: 'call-decided' })) {
      if (event.type === 'call-decided')
        recorded.set(event.agent, Math.max(recorded.get(event.agent) ?? -1, Number(event.call_id)));
    }
    for (const { pid, last } of writers) {
      expect(last).toBeGreaterThanOrEqual(0);
      expect(recorded.get(`writer-${pid}`)).toBeGreaterThanOrEqual(last);
    }
    expect(readdirSync(directory.path)).toHaveLength(writers.length);
  },
);
