/** What happens when the disk says no: on real file systems, full, read-only, limited, or changed under our hands. */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants as systemConstants } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { portableWriter, lineWriter } from '../../src/audit/append.ts';
import type { LineWriter } from '../../src/audit/append.ts';
import { DirectoryJournal, openJournalSync } from '../../src/audit/journal.ts';
import { verifyJournal } from '../../src/audit/verify.ts';
import { testDirectory } from './directory.ts';
import { decided, ended } from './entries.ts';

const directory = testDirectory();
const root = join(import.meta.dirname, '..', '..');

/** Longer than a change from outside can go unnoticed. */
const untilChecked = (): Promise<void> => setTimeout(120);

const mount = (path: string, options: string): boolean =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]).status === 0;
const unmount = (path: string): void => {
  spawnSync('umount', [path]);
};

const canMount = ((): boolean => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const path = '/tmp/tappass-mount-probe';
  mkdirSync(path, { recursive: true });
  const mounted = mount(path, 'size=64k');
  if (mounted) unmount(path);
  return mounted;
})();
if (!canMount) console.warn('SKIPPED: tests on a full and a read-only file system need the right to mount a tmpfs.');

describe.runIf(canMount).each([
  ['native', lineWriter()],
  ['portable', portableWriter],
] as readonly [string, LineWriter][])('on a full file system (%s writer)', (_name, writer) => {
  let disk = '';
  beforeAll(() => {
    disk = `/tmp/tappass-full-${process.pid}-${_name}`;
    mkdirSync(disk, { recursive: true });
    if (!mount(disk, 'size=256k')) throw new Error(`cannot mount a tmpfs at ${disk}`);
  });
  afterAll(() => {
    unmount(disk);
    rmSync(disk, { recursive: true, force: true });
  });

  test('append throws, goes on throwing, and works again when there is room; the chain holds', async () => {
    const ballast = join(disk, 'ballast');
    const dir = join(disk, 'audit');
    const journal = new DirectoryJournal({ dir }, writer);
    journal.append(decided());
    const free = spawnSync('sh', ['-c', `head -c 10M /dev/zero > ${ballast}`]);
    expect(free.status).not.toBe(0);
    let appended = 1;
    const append = (): void => {
      journal.append(decided({ args: 'x'.repeat(1000) }));
      appended++;
    };
    // The last page may still take a line or two.
    expect(() => {
      for (let line = 0; line < 20; line++) append();
    }).toThrow(/Expected to append to the journal file .*ENOSPC.*nothing may run/s);
    for (let again = 0; again < 5; again++) expect(append).toThrow(/Nothing was recorded/);
    expect(await verifyJournal(dir)).toMatchObject({ ok: true, torn: 0, events: appended + 1 });
    unlinkSync(ballast);
    append();
    const head = journal.head();
    await journal.close();
    expect(await verifyJournal(dir, { head })).toMatchObject({ ok: true, torn: 0, files: 1, events: appended + 2 });
  });

  test('no journal can be opened, and no attempt leaves an empty file behind', () => {
    const ballast = join(disk, 'ballast');
    const dir = join(disk, 'other');
    mkdirSync(dir);
    spawnSync('sh', ['-c', `head -c 10M /dev/zero > ${ballast}`]);
    expect(() => new DirectoryJournal({ dir }, writer)).toThrow(/ENOSPC/);
    const lazy = new DirectoryJournal({ dir, lazy: true }, writer);
    for (let again = 0; again < 3; again++) {
      expect(() => {
        lazy.append(decided());
      }).toThrow(/ENOSPC/);
    }
    expect(readdirSync(dir)).toEqual([]);
    unlinkSync(ballast);
    lazy.append(decided());
    expect(readdirSync(dir)).toHaveLength(1);
    lazy[Symbol.dispose]();
  });
});

test.runIf(canMount)('on a read-only file system opening fails, on a writable one not', () => {
  mkdirSync(join(directory.path, 'disk'));
  const disk = join(directory.path, 'disk');
  expect(mount(disk, 'size=64k')).toBe(true);
  try {
    mkdirSync(join(disk, 'audit'));
    spawnSync('mount', ['-o', 'remount,ro', disk]);
    expect(() => openJournalSync({ dir: join(disk, 'audit') })).toThrow(/Expected to create a journal file .*EROFS/);
    spawnSync('mount', ['-o', 'remount,rw', disk]);
    openJournalSync({ dir: join(disk, 'audit') })[Symbol.dispose]();
  } finally {
    unmount(disk);
  }
});

/** Runs `body` in a process of its own; `limit` is a shell prefix such as `ulimit -f 4`. */
const child = (
  body: string,
  limit = ':',
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } => {
  const file = join(directory.path, 'child.ts');
  writeFileSync(
    file,
    `import { openJournalSync } from '${root}/src/audit/journal.ts';\n` +
      `import { decided, ended } from '${root}/test/audit/entries.ts';\n${body}`,
  );
  return spawnSync('sh', ['-c', `${limit}; exec "$0" "$1"`, process.execPath, file], {
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
};

test('a directory that is not writable denies with the reason; the same user may write the next one', () => {
  const locked = join(directory.path, 'locked');
  const open = join(directory.path, 'open');
  mkdirSync(locked, { mode: 0o555 });
  mkdirSync(open, { mode: 0o777 });
  chmodSync(open, 0o777);
  chmodSync(directory.path, 0o755);
  // Root may write anywhere: the child becomes nobody.
  const result = child(`
    if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
    const journal = openJournalSync({ dir: '${locked}', lazy: true });
    for (let i = 0; i < 2; i++) {
      try { journal.append(decided()); console.log('recorded'); } catch (error) { console.log(error.code, error.message); }
    }
    openJournalSync({ dir: '${open}' }).append(decided());
    console.log('open: recorded');
  `);
  expect(result.stderr).toBe('');
  expect(result.stdout).toMatch(
    /^(TAPPASS_JOURNAL Expected to create a journal file in .*EACCES.* Make the directory writable.*\n){2}open: recorded\n$/,
  );
});

test('a place where no directory can be made denies, at once', () => {
  const result = child(`
    try { openJournalSync({ dir: '/proc/tappass/audit' }); } catch (error) { console.log(error.code, error.message); }
    openJournalSync({ dir: '${join(directory.path, 'a', 'b', 'c')}' }).append(decided());
    console.log('deep: recorded');
  `);
  expect(result.stdout).toMatch(
    /^TAPPASS_JOURNAL Expected to create a journal file in \/proc\/.*ENOENT.*\ndeep: recorded\n$/,
  );
});

test('at the limit for file sizes append throws and the next one starts a new file that points back', async () => {
  const dir = join(directory.path, 'audit');
  const result = child(
    `
    const journal = openJournalSync({ dir: '${dir}' });
    let recorded = 0, refused = 0;
    for (let i = 0; i < 40; i++) {
      try { journal.append(decided()); recorded++; } catch (error) { refused++; if (!/EFBIG/.test(error.message)) throw error; }
    }
    await journal.close();
    console.log(JSON.stringify({ recorded, refused }));
  `,
    'ulimit -f 16',
  );
  expect(result.stderr).toBe('');
  const { recorded, refused } = JSON.parse(result.stdout) as { recorded: number; refused: number };
  expect(refused).toBeGreaterThan(1);
  const files = readdirSync(dir).length;
  expect(files).toBe(refused + 1);
  expect(await verifyJournal(dir)).toMatchObject({ ok: true, torn: 0, files, events: recorded + files + 1 });
  rmSync(join(dir, readdirSync(dir).sort()[0] ?? ''));
  expect((await verifyJournal(dir)).errors).toMatchObject([{ kind: 'missing-file' }]);
});

describe('a file changed while it is open', () => {
  const append = (journal: { append: (entry: ReturnType<typeof decided>) => void }) => () => {
    journal.append(decided());
  };
  const changes: readonly [string, RegExp, string, () => void][] = [
    ['deleted', /got no such file/, 'missing-file', () => unlinkSync(directory.file())],
    [
      'truncated',
      /to hold the \d+ bytes that were written, got 10 bytes/,
      'truncated',
      () => truncateSync(directory.file(), 10),
    ],
    ['emptied', /got 0 bytes/, 'truncated', () => truncateSync(directory.file(), 0)],
    [
      'renamed away',
      /got no such file/,
      'missing-file',
      () => renameSync(directory.file(), join(directory.path, 'x.bak')),
    ],
    [
      'replaced',
      /got another file in its place/,
      'malformed',
      () => {
        const copy = readFileSync(directory.file());
        const path = directory.file();
        unlinkSync(path);
        writeFileSync(path, `${copy.toString()}x\n`);
      },
    ],
    ['written to by another', /got \d+ bytes/, 'malformed', () => appendFileSync(directory.file(), 'x\n')],
  ];
  test.each(changes)(
    '%s: the next append throws, the one after goes to a new file',
    async (_name, message, kind, change) => {
      const journal = openJournalSync({ dir: directory.path });
      journal.append(decided());
      await untilChecked();
      append(journal)();
      change();
      await untilChecked();
      expect(append(journal)).toThrow(message);
      append(journal)();
      await journal.close();
      const report = await verifyJournal(directory.path);
      expect(report.ok).toBe(false);
      expect(report.errors.map((error) => error.kind)).toContain(kind);
    },
  );

  test('unchanged: nothing is noticed', async () => {
    const journal = openJournalSync({ dir: directory.path });
    for (let line = 0; line < 3; line++) {
      append(journal)();
      await untilChecked();
    }
    await journal.close();
    expect(await verifyJournal(directory.path)).toMatchObject({ ok: true, files: 1 });
  });

  test('a removed directory is made again, and the gap shows', async () => {
    const dir = join(directory.path, 'audit');
    const journal = openJournalSync({ dir });
    append(journal)();
    rmSync(dir, { recursive: true });
    await untilChecked();
    expect(append(journal)).toThrow(/got no such file/);
    append(journal)();
    await journal.close();
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect((await verifyJournal(dir)).errors).toMatchObject([{ kind: 'missing-file' }]);
  });
});

describe('a write that is cut short', () => {
  /** Writes the whole line until `cut` says where the next one ends. */
  const cutting = (): LineWriter & { cut: number | undefined } => {
    const writer = {
      cut: undefined as number | undefined,
      digest: portableWriter.digest,
      append: (fd: number, text: string): string | number => {
        if (writer.cut === undefined) return portableWriter.append(fd, text);
        writeSync(fd, text.slice(0, writer.cut));
        return -systemConstants.errno.ENOSPC;
      },
    };
    return writer;
  };

  test('leaves no torn line behind', async () => {
    const writer = cutting();
    const journal = new DirectoryJournal({ dir: directory.path }, writer);
    journal.append(decided());
    for (const cut of [0, 1, 300]) {
      writer.cut = cut;
      expect(() => {
        journal.append(decided());
      }).toThrow(/ENOSPC/);
      writer.cut = undefined;
      journal.append(ended());
    }
    await journal.close();
    expect(await verifyJournal(directory.path)).toMatchObject({ ok: true, events: 6, torn: 0, files: 1 });
  });

  test('goes on in a new file where the torn line cannot be cut off', async () => {
    const writer = cutting();
    const journal = new DirectoryJournal({ dir: directory.path }, writer);
    journal.append(decided());
    writer.cut = 300;
    // An append-only file, as `chattr +a` makes one, cannot be shortened.
    const sealed = spawnSync('chattr', ['+a', directory.file()]).status === 0;
    if (!sealed) console.warn('SKIPPED: no append-only attribute here; the torn line was cut off instead.');
    expect(() => {
      journal.append(decided());
    }).toThrow(/ENOSPC/);
    writer.cut = undefined;
    journal.append(ended());
    await journal.close();
    if (sealed) spawnSync('chattr', ['-a', directory.file(0)]);
    expect(await verifyJournal(directory.path)).toMatchObject(
      sealed ? { ok: true, events: 5, torn: 1, files: 2 } : { ok: true, events: 4, torn: 0, files: 1 },
    );
  });
});

test('an append-only file (chattr +a) takes every line', async () => {
  const journal = openJournalSync({ dir: directory.path });
  const sealed = spawnSync('chattr', ['+a', directory.file()]).status === 0;
  journal.append(decided());
  await journal.close();
  if (sealed) spawnSync('chattr', ['-a', directory.file()]);
  else console.warn('SKIPPED: no append-only attribute here.');
  expect(await verifyJournal(directory.path)).toMatchObject({ ok: true, events: 3 });
});
