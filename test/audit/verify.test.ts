import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openJournalSync } from '../../src/audit/journal.ts';
import type { JournalOptions } from '../../src/audit/journal.ts';
import { readJournal } from '../../src/audit/read.ts';
import { verifyJournal } from '../../src/audit/verify.ts';
import type { VerifyOptions } from '../../src/audit/verify.ts';
import { canonicalize } from '../../src/model/canonical.ts';
import { testDirectory } from './directory.ts';
import { decided, ended } from './entries.ts';

const directory = testDirectory();
const keys = generateKeyPairSync('ed25519');

/** Writes `calls` calls; the head is that of the last line before the closing one. */
const write = (calls = 3, options: Partial<JournalOptions> = {}, close = true): string => {
  const journal = openJournalSync({ dir: directory.path, ...options });
  for (let call = 0; call < calls; call++) {
    journal.append(
      decided({ call_id: `call-${call}`, args: { seq: 1, prev_hash: 'x', nested: { type: 'journal-opened' } } }),
    );
    journal.append(ended({ call_id: `call-${call}` }));
  }
  const head = journal.head();
  if (close) journal[Symbol.dispose]();
  return head;
};

const kinds = async (options?: VerifyOptions): Promise<string[]> =>
  (await verifyJournal(directory.path, options)).errors.map(({ kind, line }) => `${kind}@${line}`);

/** What someone does who can write the files: new hashes from `line` on. */
const recompute = (lines: readonly string[], from = 0): string[] => {
  let previous = from === 0 ? '0'.repeat(64) : lines[from - 1]?.slice(-66, -2);
  return lines.map((line, index) => {
    if (index < from) return line;
    const { hash: _hash, ...event } = JSON.parse(line) as Record<string, unknown>;
    const text = canonicalize({ ...event, seq: index + 1, prev_hash: previous });
    previous = createHash('sha256').update(text).digest('hex');
    return `${text.slice(0, -1)},"hash":"${previous}"}`;
  });
};

describe('verifyJournal', () => {
  test('accepts what the journal wrote, with nested keys of the same names', async () => {
    const head = write();
    expect(await verifyJournal(directory.path, { head })).toEqual({
      ok: true,
      errors: [],
      moreErrors: 0,
      events: 8,
      files: 1,
      torn: 0,
      unsigned: 0,
    });
  });

  test('finds a changed line, by file and line', async () => {
    write();
    const lines = directory.lines();
    lines[2] = (lines[2] ?? '').replace('returned', 'denied__');
    directory.write(lines);
    const report = await verifyJournal(directory.path);
    expect(report.errors).toMatchObject([{ file: directory.names()[0], line: 3, kind: 'changed' }]);
    expect(report.errors[0]?.reason).toMatch(/^Expected the SHA-256 [0-9a-f]{64}, got/);
  });

  test('finds a removed line', async () => {
    write();
    directory.write(directory.lines().toSpliced(3, 1));
    expect(await kinds()).toEqual(['missing@4']);
  });

  test('finds the first line removed', async () => {
    write();
    directory.write(directory.lines().slice(1));
    expect(await kinds()).toContain('missing@1');
  });

  test('finds a duplicated line', async () => {
    write();
    const lines = directory.lines();
    directory.write(lines.toSpliced(3, 0, lines[2] ?? ''));
    expect(await kinds()).toEqual(['duplicate@4']);
  });

  test('finds lines in another order', async () => {
    write();
    const lines = directory.lines();
    directory.write([...lines.slice(0, 2), lines[3] ?? '', lines[2] ?? '', ...lines.slice(4)]);
    expect(await kinds()).toEqual(['missing@3', 'order@4', 'missing@5']);
  });

  test('finds an inserted line', async () => {
    write();
    const lines = directory.lines();
    const forged = recompute([...lines.slice(0, 3), lines[1] ?? ''], 3).at(-1) ?? '';
    directory.write(lines.toSpliced(3, 0, forged));
    expect(await kinds()).toEqual(['order@5']);
  });

  test('finds a line that follows another', async () => {
    write();
    const lines = directory.lines();
    const changed = recompute(lines.with(2, (lines[2] ?? '').replace('returned', 'threw')), 2);
    directory.write(lines.with(2, changed[2] ?? ''));
    expect(await kinds()).toEqual(['chain@4']);
  });

  test('finds a whole file replaced by another, and a file under another name', async () => {
    write(2);
    write(3);
    const [first = '', second = ''] = directory.names();
    copyFileSync(join(directory.path, first), join(directory.path, second));
    expect(await kinds()).toEqual(['renamed@1']);
  });

  test('finds what follows the closing line', async () => {
    write();
    const lines = directory.lines();
    directory.write(recompute([...lines, lines[1] ?? '']));
    expect(await kinds()).toEqual(['after-close@9']);
    writeFileSync(directory.file(), `${lines.join('\n')}\n{"agent"`);
    expect(await kinds()).toContain('after-close@9');
  });

  test('takes a torn last line for what a crash leaves, and a garbled one not', async () => {
    write(3, {}, false);
    const whole = readFileSync(directory.file());
    for (const cut of [1, 2, 40, 80, 200]) {
      truncateSync(directory.file(), whole.length - cut);
      expect(await verifyJournal(directory.path)).toMatchObject({ ok: true, torn: 1, events: 6 });
      writeFileSync(directory.file(), whole);
    }
    writeFileSync(directory.file(), Buffer.concat([whole, Buffer.from('garbage')]));
    expect(await kinds()).toEqual(['malformed@8']);
    writeFileSync(directory.file(), Buffer.concat([whole, Buffer.from('{}')]));
    expect(await kinds()).toEqual(['malformed@8']);
    writeFileSync(directory.file(), Buffer.concat([whole.subarray(0, -4), Buffer.from('!"}')]));
    expect(await kinds()).toEqual(['changed@7']);
    writeFileSync(directory.file(), Buffer.concat([whole, Buffer.alloc(100)]));
    expect(await verifyJournal(directory.path)).toMatchObject({ ok: true, torn: 1 });
    writeFileSync(directory.file(), '');
    expect(await verifyJournal(directory.path)).toMatchObject({ ok: true, torn: 1, events: 0 });
  });

  test('shows a truncated tail and a deleted file to whoever kept the head', async () => {
    const head = write();
    const lines = directory.lines();
    directory.write(lines.slice(0, -2));
    expect(await kinds()).toEqual([]);
    expect(await kinds({ head })).toEqual(['truncated@6']);
    directory.write(recompute(lines.with(1, (lines[1] ?? '').replace('allow', 'deny'))));
    expect(await kinds()).toEqual([]);
    expect(await kinds({ head: [head] })).toEqual(['head@7']);
    rmSync(directory.file());
    expect(await kinds()).toEqual([]);
    expect(await kinds({ head })).toEqual(['missing-file@0']);
  });

  test.each(['', 'nonsense', 'tappass-head-1 ../x.jsonl 1 00', 'tappass-head-2 a.jsonl 1 00'])(
    'refuses the head %j',
    async (head) => {
      write();
      await expect(verifyJournal(directory.path, { head })).rejects.toThrow(/Expected `head` to be a text from/);
    },
  );

  test('names foreign files, future versions, links and missing directories', async () => {
    write();
    writeFileSync(join(directory.path, 'a.jsonl'), '{"level":"info"}\n{"level":"info"}\n');
    writeFileSync(join(directory.path, 'b.jsonl'), 'no line feed');
    writeFileSync(join(directory.path, 'c.jsonl'), '{"format":"tappass-journal","version":2}\n{"x":1}\n');
    writeFileSync(join(directory.path, 'notes.txt'), 'not looked at');
    mkdirSync(join(directory.path, 'd.jsonl'));
    symlinkSync('/etc/passwd', join(directory.path, 'e.jsonl'));
    spawnSync('mkfifo', [join(directory.path, 'f.jsonl')]);
    const { errors, ok } = await verifyJournal(directory.path);
    expect(ok).toBe(false);
    expect(errors.map(({ file, kind }) => `${file} ${kind}`).sort()).toEqual([
      'a.jsonl foreign',
      'b.jsonl foreign',
      'c.jsonl version',
      'd.jsonl foreign',
      'e.jsonl foreign',
      'f.jsonl foreign',
    ]);
    expect(await verifyJournal(join(directory.path, 'nowhere'))).toMatchObject({
      ok: false,
      errors: [{ kind: 'unreadable' }],
    });
  });

  test('bounds lines and errors', async () => {
    write(1, {}, false);
    const lines = directory.lines();
    writeFileSync(directory.file(), `${lines.join('\n')}\n${'x'.repeat(3_000_000)}\n${'y\n'.repeat(3000)}`);
    const report = await verifyJournal(directory.path, { lineBytes: 100_000 });
    expect(report.errors).toHaveLength(1000);
    expect(report.moreErrors).toBe(2001);
    expect(report.errors[0]).toMatchObject({ kind: 'too-long', line: 4 });
    expect(report.errors[1]).toMatchObject({ kind: 'malformed', line: 5 });
  });

  test('does not take a nested key for the line’s own', async () => {
    write(1, {}, false);
    const lines = directory.lines();
    const { seq, prev_hash, hash: _hash, type, ...rest } = JSON.parse(lines[2] ?? '') as Record<string, unknown>;
    const text = canonicalize({ ...rest, usage: { seq, prev_hash, type } });
    const digest = createHash('sha256').update(text).digest('hex');
    directory.write(lines.with(2, `${text.slice(0, -1)},"hash":"${digest}"}`));
    expect(await kinds()).toEqual(['malformed@3']);
  });

  test('says something clear of any bytes at all, and the reader goes on', async () => {
    write(1);
    const bytes = readFileSync(directory.file());
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
      fc.tuple(fc.nat(bytes.length), fc.nat(400)).map(([start, length]) => bytes.subarray(start, start + length)),
      fc.constantFrom(
        ...['{', '}', '"', '\\', '\n', '[', ',"seq":', '"prev_hash":"', '"}\n'].map((text) => Buffer.from(text)),
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
        writeFileSync(directory.file(), Buffer.concat(pieces));
        const report = await verifyJournal(directory.path);
        expect(report.ok).toBe(report.errors.length === 0);
        for (const { line, reason } of report.errors) expect(`${line} ${reason}`).toMatch(/^\d+ Expected .*, got /s);
        for await (const event of readJournal(directory.path, {}, { onFault: () => undefined })) {
          expect(typeof event.type).toBe('string');
        }
      }),
      { numRuns: 500 },
    );
  });

  test('finds every single change of a byte or of a line', async () => {
    write(2);
    const bytes = readFileSync(directory.file());
    const lines = directory.lines();
    const at = fc.nat({ max: bytes.length - 1 });
    const line = fc.nat({ max: lines.length - 1 });
    type Change = readonly [string, Buffer];
    const ofLines = (name: string, changed: readonly string[]): Change => [
      name,
      Buffer.from(`${changed.join('\n')}\n`),
    ];
    const change: fc.Arbitrary<Change> = fc.oneof(
      fc.tuple(at, fc.integer({ min: 1, max: 255 })).map(([offset, xor]): Change => {
        const changed = Buffer.from(bytes);
        changed[offset] = (changed[offset] ?? 0) ^ xor;
        return [`byte ${offset} ^ ${xor}`, changed];
      }),
      // The last line feed alone may go: that is a truncated tail, which only a head shows.
      fc
        .nat({ max: bytes.length - 2 })
        .map((offset): Change => [
          `without byte ${offset}`,
          Buffer.concat([bytes.subarray(0, offset), bytes.subarray(offset + 1)]),
        ]),
      fc
        .tuple(at, fc.nat({ max: 255 }))
        .map(([offset, byte]): Change => [
          `byte ${byte} at ${offset}`,
          Buffer.concat([bytes.subarray(0, offset), Buffer.of(byte), bytes.subarray(offset)]),
        ]),
      fc
        .tuple(line, line)
        .filter(([a, b]) => a !== b)
        .map(([a, b]) => ofLines(`${a} and ${b} swapped`, lines.with(a, lines[b] ?? '').with(b, lines[a] ?? ''))),
      fc
        .tuple(line, line)
        .map(([from, to]) => ofLines(`${from} again at ${to}`, lines.toSpliced(to, 0, lines[from] ?? ''))),
      fc.nat({ max: lines.length - 2 }).map((gone) => ofLines(`without ${gone}`, lines.toSpliced(gone, 1))),
    );
    await fc.assert(
      fc.asyncProperty(change, async ([, changed]) => {
        fc.pre(!changed.equals(bytes));
        writeFileSync(directory.file(), changed);
        expect((await verifyJournal(directory.path)).ok).toBe(false);
      }),
      { numRuns: 1500 },
    );
    writeFileSync(directory.file(), bytes);
    expect((await verifyJournal(directory.path)).ok).toBe(true);
  });
});

describe('a signed journal', () => {
  const options = { signingKey: keys.privateKey, checkpointEvery: 4 };
  const publicKey = keys.publicKey;

  test('is signed to its last line when closed, and to its last checkpoint when not', async () => {
    write(5, options);
    expect(await verifyJournal(directory.path, { publicKey })).toMatchObject({ ok: true, unsigned: 0 });
    const head = write(5, options, false);
    const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
    expect(await verifyJournal(directory.path, { publicKey: pem, head })).toMatchObject({ ok: true, unsigned: 2 });
  });

  test('cannot be recomputed by who does not hold the key', async () => {
    write(5, options);
    const lines = directory.lines();
    const changed = lines.with(2, (lines[2] ?? '').replace('returned', 'threw'));
    directory.write(recompute(changed));
    expect(await kinds()).toEqual([]);
    expect(await kinds({ publicKey })).toEqual(['signature@6', 'signature@11', 'signature@14']);
  });

  test('cannot lose its checkpoints, or be signed by another key', async () => {
    write(5, options);
    const lines = directory.lines();
    const without = lines.filter((line) => !line.includes('"type":"checkpoint"'));
    directory.write(recompute(without));
    expect(await kinds({ publicKey })).toEqual(['signature@12']);
    const unsigned = lines.map((line) => line.replace(/"signature":"[^"]*",/, ''));
    directory.write(recompute(unsigned));
    expect(await kinds({ publicKey })).toEqual(['unsigned@1', 'unsigned@6', 'unsigned@11', 'unsigned@14']);
    directory.write(lines);
    const other = generateKeyPairSync('ed25519').publicKey;
    expect(await kinds({ publicKey: other })).toEqual(['signature@1', 'signature@6', 'signature@11', 'signature@14']);
    expect(await kinds({ publicKey })).toEqual([]);
  });

  test('cannot be spliced from two files, or stand under another name', async () => {
    write(5, options);
    write(5, options);
    const [first, second] = [directory.lines(0), directory.lines(1)];
    directory.write([...first.slice(0, 6), ...second.slice(6)], 0);
    expect(await kinds({ publicKey })).toEqual(['chain@7']);
    directory.write(recompute([...first.slice(0, 6), ...second.slice(6)], 6), 0);
    expect(await kinds({ publicKey })).toEqual(['signature@11', 'signature@14']);
    directory.write(first, 0);
    const other = directory.file(0).replace(/[0-9a-f]{16}\.jsonl$/, `${'0'.repeat(16)}.jsonl`);
    renameSync(directory.file(0), other);
    expect(await kinds({ publicKey })).toEqual(['renamed@1']);
  });

  test('cannot carry a signature over to a forged chain by a key that only a parser reads as the same', async () => {
    write(5, options);
    const lines = directory.lines();
    const forged = recompute(lines.with(2, (lines[2] ?? '').replace('returned', 'threw')));
    // Each signed line keeps its signed fields for the parser, and shows the forged chain to whoever looks at the bytes.
    let previous = '';
    const smuggled = forged.map((line, index) => {
      const chained = line.replace(
        /"prev_hash":"[0-9a-f]{64}"/,
        `"prev_hash":"${index === 0 ? '0'.repeat(64) : previous}"`,
      );
      const signed = /"prev_hash":("[0-9a-f]{64}")/.exec(lines[index] ?? '')?.[1] ?? '';
      const text = line.includes('"signature"')
        ? chained.replace(/("prev_hash":"[0-9a-f]{64}")/, `$1,"prev_has\\u0068":${signed}`)
        : chained;
      const hashed = `${text.slice(0, -75)}}`;
      previous = createHash('sha256').update(hashed).digest('hex');
      return `${hashed.slice(0, -1)},"hash":"${previous}"}`;
    });
    directory.write(smuggled);
    expect(await kinds({ publicKey })).toEqual(['malformed@1', 'malformed@6', 'malformed@11', 'malformed@14']);
  });

  test('every line of the journal’s own must be canonical text', async () => {
    write(1, options);
    const lines = directory.lines();
    const spaced = (lines[0] ?? '').slice(0, -75).replace('{', '{ ');
    const digest = createHash('sha256').update(`${spaced}}`).digest('hex');
    directory.write([`${spaced},"hash":"${digest}"}`]);
    expect(await kinds({ publicKey })).toEqual(['malformed@1']);
  });

  test('says how many lines at the end nobody has signed', async () => {
    write(1, options, false);
    const lines = directory.lines();
    directory.write(recompute([...lines, lines[1] ?? '', lines[2] ?? ''], 3));
    expect(await verifyJournal(directory.path, { publicKey })).toMatchObject({ ok: true, unsigned: 4 });
  });

  test('gives heads that only the key can make', async () => {
    const head = write(1, options);
    const forged = head.replace(/ ed25519:..../, ' ed25519:AAAA');
    expect(await kinds({ publicKey, head })).toEqual([]);
    expect(await kinds({ publicKey, head: forged })).toEqual(['head@0']);
  });

  test('a journal without a key is not taken for a signed one', async () => {
    write(1);
    expect(await kinds({ publicKey })).toEqual(['unsigned@1', 'unsigned@4']);
  });

  test.each(['not a key', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey])(
    'refuses a key that is not Ed25519',
    (signingKey) => {
      expect(() => openJournalSync({ dir: directory.path, signingKey })).toThrow(/Expected `signingKey` to be/);
      expect(directory.names()).toEqual([]);
    },
  );
});
