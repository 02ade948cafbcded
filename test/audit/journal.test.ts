import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openJournal, openJournalSync } from '../../src/audit/journal.ts';
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
});
