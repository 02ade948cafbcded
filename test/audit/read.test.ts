import { createHash } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BackwardLines } from '../../src/audit/backwards.ts';
import { exportJournal } from '../../src/audit/export.ts';
import type { AuditFilter } from '../../src/audit/filter.ts';
import { openJournalSync } from '../../src/audit/journal.ts';
import { openMemoryJournal } from '../../src/audit/memory.ts';
import { readJournal } from '../../src/audit/read.ts';
import type { AuditEvent } from '../../src/model/event.ts';
import { testDirectory } from './directory.ts';
import { decided, ended } from './entries.ts';

const directory = testDirectory();

const read = async (filter?: AuditFilter): Promise<AuditEvent[]> => await all(readJournal(directory.path, filter));
const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
};
const field = (events: readonly AuditEvent[], name: string): unknown[] =>
  events.map((event) => (event as unknown as Record<string, unknown>)[name]);

/** Lines that carry any time, in a file of any name. */
const file = (name: string, events: readonly Record<string, unknown>[]): void => {
  const lines = events.map((event, index) =>
    JSON.stringify({ seq: index + 1, type: 'notice', prev_hash: '', hash: '', ...event }),
  );
  writeFileSync(join(directory.path, name), lines.map((line) => `${line}\n`).join(''));
};

describe('readJournal', () => {
  test('merges files: newest first by time, then file, then seq', async () => {
    const at = (second: number): string => `2026-03-01T00:00:0${second}.000Z`;
    file('a.jsonl', [
      { time: at(1), id: 'a1' },
      { time: at(3), id: 'a3' },
      { time: at(3), id: 'a3b' },
    ]);
    file('b.jsonl', [
      { time: at(0), id: 'b0' },
      { time: at(3), id: 'b3' },
      { time: at(5), id: 'b5' },
    ]);
    file('c.jsonl', []);
    expect(field(await read(), 'id')).toEqual(['b5', 'b3', 'a3b', 'a3', 'a1', 'b0']);
    expect(field(await read({ limit: 2 }), 'id')).toEqual(['b5', 'b3']);
    expect(await read({ limit: 0 })).toEqual([]);
    expect(field(await read({ after: at(1), before: at(5) }), 'id')).toEqual(['b3', 'a3b', 'a3', 'a1']);
    expect(field(await read({ after: '2026-03-01T01:00:03+01:00' }), 'id')).toEqual(['b5', 'b3', 'a3b', 'a3']);
  });

  test('filters by agent, tool, session, blocked, type and call', async () => {
    using journal = openJournalSync({ dir: directory.path });
    journal.append(decided({ agent: 'a', tool: 'x', call_id: '1', session_id: 's"1' }));
    journal.append(ended({ agent: 'a', tool: 'x', call_id: '1', session_id: 's"1' }));
    journal.append(decided({ agent: 'b', tool: 'x', call_id: '2', blocked: true, outcome: 'deny' }));
    journal.append(decided({ agent: 'b', tool: 'y', call_id: '3', args: { agent: 'a', tool: 'x', blocked: true } }));
    expect(field(await read({ agent: 'a' }), 'type')).toEqual(['call-ended', 'call-decided']);
    expect(field(await read({ tool: 'x' }), 'call_id')).toEqual(['2', '1', '1']);
    expect(field(await read({ session: 's"1' }), 'call_id')).toEqual(['1', '1']);
    expect(field(await read({ blocked: true }), 'call_id')).toEqual(['2']);
    expect(field(await read({ blocked: false, type: 'call-decided' }), 'call_id')).toEqual(['3', '1']);
    expect(field(await read({ type: ['journal-opened', 'call-ended'] }), 'seq')).toEqual([3, 1]);
    expect(field(await read({ callId: '3' }), 'seq')).toEqual([5]);
    expect(await read({ agent: 'c' })).toEqual([]);
  });

  test.each([
    [{ after: 'yesterday' }, /`after` to be an RFC 3339 time/],
    [{ before: '2026-03-01' }, /`before` to be an RFC 3339 time/],
    [{ limit: -1 }, /`limit` to be a whole number/],
    [{ limit: 1.5 }, /`limit` to be a whole number/],
  ] as readonly [AuditFilter, RegExp][])('refuses the filter %j at the call', (filter, message) => {
    expect(() => readJournal(directory.path, filter)).toThrow(message);
  });

  test('gives what can be read and tells of what cannot', async () => {
    const journal = openJournalSync({ dir: directory.path });
    journal.append(decided());
    await journal.close();
    appendFileSync(directory.file(), `{"seq":1}\nnot json\n[]\n${'x'.repeat(5000)}\n{"torn":`);
    mkdirSync(join(directory.path, 'folder.jsonl'));
    spawnSync('mkfifo', [join(directory.path, 'pipe.jsonl')]);
    symlinkSync('/etc/passwd', join(directory.path, 'link.jsonl'));
    const faults: string[] = [];
    const events = readJournal(directory.path, {}, { lineBytes: 4000, onFault: ({ reason }) => faults.push(reason) });
    expect(field(await all(events), 'seq')).toEqual([3, 2, 1]);
    expect(faults.filter((fault) => fault.includes('does not parse'))).toHaveLength(3);
    expect(faults.filter((fault) => fault.includes('longer one'))).toHaveLength(1);
    expect(faults.filter((fault) => fault.includes('readable'))).toHaveLength(3);
  });

  test('says so when there is no directory', async () => {
    await expect(all(readJournal(join(directory.path, 'nowhere')))).rejects.toThrow(
      /Expected .*nowhere to be a directory/,
    );
  });

  test('does not split at U+2028, U+2029 or CR, which are text', async () => {
    using journal = openJournalSync({ dir: directory.path });
    const args = 'one\u2028two\u2029three\rfour\nfive';
    journal.append(decided({ args }));
    expect(field(await read({ type: 'call-decided' }), 'args')).toEqual([args]);
  });

  test('leaves out a line without end without holding it', () => {
    const path = join(directory.path, 'long.jsonl');
    writeFileSync(path, `first\n${'x'.repeat(3_000_000)}\nlast\n${'y'.repeat(300_000)}`);
    const lines = new BackwardLines(path, 1000);
    expect(lines.next()?.bytes.toString()).toBe('last');
    expect(lines.next()?.bytes.toString()).toBe('first');
    expect(lines.next()).toBeUndefined();
    expect(lines.skipped).toBe(1);
  });

  test('lines backwards are the lines forwards, turned round', () => {
    const path = join(directory.path, 'x.jsonl');
    const line = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc.nat({ max: 9000 }).map((length) => 'é'.repeat(length)),
    );
    fc.assert(
      fc.property(
        fc.array(
          line.map((text) => text.replaceAll('\n', '')),
          { maxLength: 40 },
        ),
        fc.boolean(),
        (texts, torn) => {
          const content = texts.map((text) => `${text}\n`).join('') + (torn ? 'torn' : '');
          writeFileSync(path, content);
          const lines = new BackwardLines(path, 100_000);
          const found: string[] = [];
          for (let next = lines.next(); next !== undefined; next = lines.next()) {
            found.push(next.bytes.toString());
            expect(
              readFileSync(path)
                .subarray(next.at, next.at + next.bytes.length)
                .equals(next.bytes),
            ).toBe(true);
          }
          expect(found).toEqual(texts.toReversed());
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('a journal in memory', () => {
  test('gives the same events as one on disk, and the same chain', async () => {
    const memory = openMemoryJournal();
    using disk = openJournalSync({ dir: directory.path });
    for (const journal of [memory, disk]) {
      journal.append(decided({ tool: 'x' }));
      journal.append(ended({ tool: 'x' }));
    }
    const plain = (events: readonly AuditEvent[]): unknown[] =>
      events.map(({ seq: _seq, time: _time, prev_hash: _prev, hash: _hash, ...event }) => event);
    const kept = [...memory.read()];
    expect(plain(kept)).toEqual(plain(await read({ tool: 'x' })));
    expect(kept[0]?.prev_hash).toBe(kept[1]?.hash);
    expect(memory.head()).toContain(` 2 ${kept[0]?.hash}`);
    expect(memory.lines().map((line) => JSON.parse(line) as unknown)).toEqual(kept.toReversed());
  });

  test('forgets the oldest beyond its capacity, and filters', () => {
    const journal = openMemoryJournal({ capacity: 3 });
    for (const tool of ['a', 'b', 'c', 'd', 'c']) journal.append(decided({ tool }));
    expect(field([...journal.read()], 'tool')).toEqual(['c', 'd', 'c']);
    expect(field([...journal.read({ tool: 'c' })], 'seq')).toEqual([5, 3]);
    expect(field([...journal.read({ limit: 1 })], 'seq')).toEqual([5]);
    const small = openMemoryJournal({ capacityChars: 3000 });
    for (let call = 0; call < 10; call++) small.append(decided({ args: 'x'.repeat(500) }));
    expect(small.lines().length).toBeLessThan(3);
    expect(() => {
      small.append(decided({ args: 'x'.repeat(5000) }));
    }).toThrow(/at most 3000 characters/);
  });

  test('keeps whole lines of any size and script, side by side in its chunks', () => {
    const journal = openMemoryJournal({ capacity: 40 });
    const args = ['', 'é', '\u{1f600}'.repeat(1000), 'x'.repeat(400_000), '日本'.repeat(100_000), '\ud800'];
    for (let call = 0; call < 200; call++) journal.append(decided({ args: args[call % args.length] ?? null }));
    const lines = journal.lines();
    const events = lines.map((line) => JSON.parse(line) as AuditEvent & { args: string });
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 40 }, (_, index) => 161 + index));
    for (const [index, event] of events.entries()) {
      expect(event.args).toBe(args[(event.seq - 1) % args.length]);
      const hashed = `${lines[index]?.slice(0, -`,"hash":"${event.hash}"}`.length)}}`;
      expect(event.hash).toBe(createHash('sha256').update(hashed).digest('hex'));
      if (index > 0) expect(event.prev_hash).toBe(events[index - 1]?.hash);
    }
  });

  test('takes nothing after it is closed', async () => {
    const journal = openMemoryJournal();
    await journal.close();
    expect(() => {
      journal.append(decided());
    }).toThrow(/Expected an open journal/);
  });
});

describe('exportJournal', () => {
  const text = async (format: 'json' | 'ndjson' | 'csv', filter?: AuditFilter): Promise<string> =>
    (await all(exportJournal(readJournal(directory.path, filter), format))).join('');

  test('json and ndjson hold the events', async () => {
    using journal = openJournalSync({ dir: directory.path });
    journal.append(decided({ args: 'a\u2028b' }));
    const events = await read();
    expect(JSON.parse(await text('json'))).toEqual(events);
    const lines = (await text('ndjson')).split('\n').slice(0, -1);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(events);
    expect(JSON.parse(await text('json', { agent: 'nobody' }))).toEqual([]);
  });

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', ' =1', '\uff1d1', '|calc', '%1'])(
    'csv makes the cell %j inert, and leaves an honest one as it is',
    async (tool) => {
      using journal = openJournalSync({ dir: directory.path });
      journal.append(decided({ tool }));
      journal.append(decided({ tool: 'read=file' }));
      const rows = (await text('csv', { type: 'call-decided' })).split('\r\n');
      expect(rows[0]).toMatch(/^time,type,agent,user,tool,/);
      expect(rows[1]).toContain(',read=file,');
      expect(rows[2]).toContain(`,"'${tool}",`);
    },
  );

  test('csv quotes what RFC 4180 says to quote', async () => {
    using journal = openJournalSync({ dir: directory.path });
    journal.append(decided({ reason: 'a "b", c\nd' }));
    expect(await text('csv', { type: 'call-decided' })).toContain(',"a ""b"", c\nd",');
  });
});
