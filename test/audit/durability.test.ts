import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { GroupCommit } from '../../src/audit/group-commit.ts';
import type { JournalFile } from '../../src/audit/journal-file.ts';
import { openJournalSync } from '../../src/audit/journal.ts';
import { verifyJournal } from '../../src/audit/verify.ts';
import { testDirectory } from './directory.ts';
import { decided, ended } from './entries.ts';

const directory = testDirectory();

describe('under fsync', () => {
  test('settled resolves for calls of one turn together, and the chain holds', async () => {
    const journal = openJournalSync({ dir: directory.path, durability: 'fsync' });
    const calls = Array.from({ length: 100 }, async (_, index) => {
      journal.append(decided({ call_id: String(index) }));
      await journal.settled();
      journal.append(ended({ call_id: String(index) }));
    });
    await Promise.all(calls);
    await journal.settled();
    await journal.close();
    expect(await verifyJournal(directory.path)).toMatchObject({ ok: true, events: 202 });
  });

  test('appendDurable is there when it returns, and settles what was waiting', async () => {
    const journal = openJournalSync({ dir: directory.path, durability: 'fsync' });
    journal.append(decided());
    const settled = journal.settled();
    journal.appendDurable(ended());
    await settled;
    await journal.settled();
    await journal.close();
    expect(await verifyJournal(directory.path)).toMatchObject({ ok: true, events: 4 });
  });

  test('syncs are shared: 100 calls of one turn cost few of them', async () => {
    if (spawnSync('strace', ['-V']).status !== 0) {
      console.warn('SKIPPED: counting fdatasync needs strace.');
      return;
    }
    const child = join(import.meta.dirname, 'committer.ts');
    const { stderr } = spawnSync('strace', ['-f', '-c', '-e', 'fdatasync', process.execPath, child, directory.path], {
      encoding: 'utf8',
    });
    const count = Number(/(\d+)\s+fdatasync/.exec(stderr)?.[1]);
    expect(count).toBeGreaterThan(1);
    expect(count).toBeLessThan(10);
  });

  test('a failed sync rejects all that wait, and whoever asks later, until one succeeds', async () => {
    const failed: JournalFile[] = [];
    const commit = new GroupCommit((file) => {
      failed.push(file);
      commit.retire(file);
    });
    // A closed descriptor: fdatasync gives a real EBADF.
    const bad = fakeFile(2 ** 20);
    commit.dirty(bad);
    const first = commit.settled();
    const second = commit.settled();
    await expect(first).rejects.toThrow(/to reach the disk, got EBADF/);
    await expect(second).rejects.toThrow(/to reach the disk/);
    await expect(commit.settled()).rejects.toThrow(/to reach the disk/);
    expect(failed).toEqual([bad]);
    const { openSync } = await import('node:fs');
    commit.dirty(fakeFile(openSync(join(directory.path, 'x'), 'w')));
    await commit.settled();
  });
});

const fakeFile = (fd: number): JournalFile =>
  ({
    fd,
    path: 'a file',
    giveUp: () => undefined,
    close: () => undefined,
    sync: () => undefined,
  }) as unknown as JournalFile;
