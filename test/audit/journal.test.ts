import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openJournal, openJournalSync } from '../../src/audit/journal.ts';
import { openMemoryJournal } from '../../src/audit/memory.ts';
import { readJournal } from '../../src/audit/read.ts';
import { verifyJournal } from '../../src/audit/verify.ts';
import { decided, ended } from './entries.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tappass-journal-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const onlyFile = (): string => join(dir, readdirSync(dir)[0] ?? '');
const linesOf = (path: string): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);

describe('a journal on disk', () => {
  test('holds each event, chained, between an opening and a closing line', async () => {
    const journal = await openJournal({ dir });
    journal.append(decided());
    journal.append(ended());
    await journal.close();
    const events = linesOf(onlyFile()).map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(events.map(({ type }) => type)).toEqual(['journal-opened', 'call-decided', 'call-ended', 'journal-closed']);
    expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(events.slice(1).map(({ prev_hash }) => prev_hash)).toEqual(events.slice(0, -1).map(({ hash }) => hash));
    expect(await verifyJournal(dir)).toMatchObject({ ok: true, errors: [], events: 4, files: 1, torn: 0 });
  });

  test('is private: 0600 in a directory made 0700', () => {
    const inner = join(dir, 'a', 'b');
    using _journal = openJournalSync({ dir: inner });
    expect(statSync(inner).mode & 0o777).toBe(0o700);
    expect(statSync(join(inner, readdirSync(inner)[0] ?? '')).mode & 0o777).toBe(0o600);
  });

  test('holds the line when append returns, and is read newest first', async () => {
    using journal = openJournalSync({ dir });
    for (const tool of ['a', 'b', 'c']) journal.append(decided({ tool }));
    const tools: unknown[] = [];
    for await (const event of readJournal(dir, { type: 'call-decided' })) tools.push('tool' in event && event.tool);
    expect(tools).toEqual(['c', 'b', 'a']);
  });

  test('takes no entry after it is closed', async () => {
    const journal = openJournalSync({ dir });
    await journal.close();
    expect(() => {
      journal.append(decided());
    }).toThrow(/Expected an open journal/);
  });

  test('refuses an entry that appends while it is read, and keeps the chain', async () => {
    const memory = openMemoryJournal();
    const disk = openJournalSync({ dir });
    for (const journal of [memory, disk]) {
      const sly = Object.defineProperty(decided(), 'reason', {
        enumerable: true,
        get: () => {
          journal.append(ended());
          return 'why';
        },
      });
      expect(() => {
        journal.append(sly);
      }).toThrow(/appends while it is read/);
      journal.append(decided());
    }
    await disk.close();
    expect(await verifyJournal(dir)).toMatchObject({ ok: true });
    expect([...memory.read()].map(({ seq }) => seq).slice(-2)).toEqual([2, 1]);
  });

  test('refuses a line that no reader would accept, and takes the longest that one would', async () => {
    const journal = openJournalSync({ dir });
    expect(() => {
      journal.append(decided({ args: 'é'.repeat(8 * 1024 * 1024) }));
    }).toThrow(/Expected an entry of at most/);
    journal.append(decided({ args: 'x'.repeat(16 * 1024 * 1024 - 2000) }));
    await journal.close();
    expect(await verifyJournal(dir)).toMatchObject({ ok: true, events: 3 });
  });

  test('time never runs backwards within a file', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 2_000_000_000_000 });
    try {
      const journal = openMemoryJournal();
      for (const now of [2_000_000_000_000, 1_999_999_990_000, 2_000_000_000_001]) {
        vi.setSystemTime(now);
        journal.append(decided());
      }
      const times = [...journal.read()].map(({ time }) => time.slice(-7)).toReversed();
      expect(times).toEqual(['20.000Z', '20.000Z', '20.001Z']);
    } finally {
      vi.useRealTimers();
    }
  });
});
