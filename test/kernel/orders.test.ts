/** The bytes between Node and the launcher, and a launcher that is told nonsense. */
import { mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeOrders, writableIn } from '../../src/kernel/orders.ts';
import { STEPS } from '../../src/kernel/launcher.ts';
import { loadAddon, nativeFile } from '../../src/native/addon.ts';
import { FS, handMade, READ, WRITE } from './hand-made.ts';

const workspace = mkdtempSync(join(tmpdir(), 'orders-'));
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

const profile = handMade(workspace);
const orders = encodeOrders({
  profile,
  program: '/bin/echo',
  args: ['echo', 'ran'],
  environment: { A: 'b' },
  directory: workspace,
  namespaces: 0,
  seccomp: profile.seccomp,
});

interface Told {
  readonly stdout: string;
  /** The step that failed, `started` or nothing at all. */
  readonly said: string;
}

/** What a launcher says to `bytes`, after which it hears no more. */
const tell = async (bytes: Buffer): Promise<Told> => {
  const load = loadAddon();
  if ('missing' in load) throw new Error(load.missing);
  const results = new Int32Array(5);
  const started = load.addon.startLauncher?.(nativeFile('tappass-launcher') ?? '', Int32Array.of(-1, -1, -1), results);
  expect(started).toBe(0);
  const [pid = -1, control = -1, stdin = -1, stdout = -1, stderr = -1] = results;
  load.addon.sendOrders?.(control, bytes);
  const channel = new Socket({ fd: control });
  const output = new Socket({ fd: stdout, writable: false });
  const errors = new Socket({ fd: stderr, writable: false });
  new Socket({ fd: stdin, readable: false }).end();
  errors.resume();
  channel.end();
  // A launcher that ends without having read it all resets the connection; what it said before arrives.
  const said: Buffer[] = [];
  channel.on('data', (chunk: Buffer) => said.push(chunk));
  channel.on('error', () => undefined);
  const [written] = await Promise.all([text(output), new Promise((resolve) => channel.on('close', resolve))]);
  const report = Buffer.concat(said);
  load.addon.reapLauncher?.(pid);
  if (report.length < 8) return { stdout: written, said: '' };
  const kind = report.readInt32LE(0);
  return { stdout: written, said: kind === 1 ? (STEPS[report.readInt32LE(4) - 1] ?? '?') : 'started' };
};

/** The records of a set of orders: [kind, where it begins, where it ends]. */
const recordsOf = (bytes: Buffer): readonly (readonly [kind: number, from: number, to: number])[] => {
  const records: [number, number, number][] = [];
  for (let at = 8; at < bytes.length;) {
    const size = bytes.readUInt32LE(at + 4);
    const end = at + 8 + size + (-size & 7);
    records.push([bytes.readUInt32LE(at), at, end]);
    at = end;
  }
  return records;
};

const framed = (body: Buffer): Buffer => {
  const header = Buffer.from('TPL1\0\0\0\0', 'latin1');
  header.writeUInt32LE(body.length, 4);
  return Buffer.concat([header, body]);
};

describe('the launcher', () => {
  test('does what whole orders say', async () => {
    const records = recordsOf(orders);
    expect(records.at(-1)?.[2]).toBe(orders.length);
    // Its parent goes away as soon as it has spoken, so it may be killed before it is done, but it has understood.
    expect((await tell(orders)).said).toBe('started');
  });

  test.each([
    ['the program', 1],
    ['every argument', 2],
    ['the directory', 4],
    ['the ruleset', 5],
    ['the filter', 8],
  ])('runs nothing without %s', async (_, missing) => {
    const kept = recordsOf(orders).filter(([kind]) => kind !== missing);
    const body = Buffer.concat(kept.map(([, from, to]) => orders.subarray(from, to)));
    expect(await tell(framed(body))).toEqual({ stdout: '', said: 'orders' });
  });

  test('runs nothing on a part of its orders, on a wrong mark, and on too long ones', async () => {
    const huge = Buffer.from(orders);
    huge.writeUInt32LE(0xffff_ffff, 4);
    const wrong = Buffer.from(orders);
    wrong.write('TPL0', 'latin1');
    for (const bytes of [orders.subarray(0, 3), orders.subarray(0, orders.length - 8), huge, wrong, Buffer.alloc(64)]) {
      expect(await tell(bytes)).toEqual({ stdout: '', said: 'orders' });
    }
  });

  test('reads no further than a record reaches, whatever its size says', async () => {
    const sizes = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 1, 7, 8, 0x7fff_ffff, 0xffff_fff8, 0xffff_ffff));
    const records = recordsOf(orders);
    await fc.assert(
      fc.asyncProperty(fc.nat(records.length - 1), sizes, async (index, size) => {
        const [, from = 8] = records[index] ?? [];
        const bytes = Buffer.from(orders);
        fc.pre(bytes.readUInt32LE(from + 4) !== size);
        bytes.writeUInt32LE(size, from + 4);
        const { stdout, said } = await tell(bytes);
        expect(STEPS.includes(said as (typeof STEPS)[number])).toBe(true);
        expect(stdout).toBe('');
      }),
      { numRuns: 60 },
    );
  });

  test('does not fall over random records', async () => {
    const record = fc.tuple(fc.nat(20), fc.uint8Array({ maxLength: 64 })).map(([kind, payload]) => {
      const head = Buffer.alloc(8);
      head.writeUInt32LE(kind, 0);
      head.writeUInt32LE(payload.length, 4);
      return Buffer.concat([head, payload, Buffer.alloc(-payload.length & 7)]);
    });
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 12 }), async (parts) => {
        expect(await tell(framed(Buffer.concat(parts)))).toEqual({ stdout: '', said: 'orders' });
      }),
      { numRuns: 60 },
    );
  });
});

describe('encoding', () => {
  test('a NUL in any text is refused, since it would end it early', () => {
    const change = {
      profile,
      program: '/bin/echo',
      args: ['echo'],
      environment: {},
      directory: workspace,
      namespaces: 0,
      seccomp: profile.seccomp,
    };
    expect(() => encodeOrders({ ...change, args: ['a\0b'] })).toThrow(/NUL/u);
    expect(() => encodeOrders({ ...change, environment: { A: '\0' } })).toThrow(/NUL/u);
    expect(() => encodeOrders({ ...change, program: '/bin/\0' })).toThrow(/NUL/u);
  });

  test('writable places are folders with a right to write, and none inside another', () => {
    const paths = [
      { path: '/w', access: WRITE },
      { path: '/w/inner', access: WRITE },
      { path: '/www', access: WRITE },
      { path: '/r', access: READ },
      { path: '/dev/null', access: FS.writeFile | FS.readFile },
    ];
    expect(writableIn({ ...profile, landlock: { ...profile.landlock, paths } })).toEqual(['/w', '/www']);
  });
});
