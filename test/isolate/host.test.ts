/** The host process is taken to be hostile: whatever bytes it sends, each guest gets one end and the parent lives. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeFrame } from '../../src/isolate/channel.ts';
import { MAX_FRAME_BYTES } from '../../src/isolate/limits.ts';
import { scriptedHost } from './scripted-host.ts';

const READY = { type: 'ready', pid: 4242, threads: 7 };
const END = { type: 'end', run: 1, status: 'ok', json: '2', cpuMs: 1 };

const begun = () => {
  const scripted = scriptedHost();
  scripted.sayFrame(READY);
  const running = scripted.start();
  return { ...scripted, running };
};

describe('a sound host', () => {
  test('ends its guest once, and is not killed', () => {
    const { sayFrame, ends, logs, calls, kills } = begun();
    sayFrame({ type: 'log', run: 1, level: 'warn', text: 'hello' });
    sayFrame({ type: 'call', run: 1, call: 1, tool: 'known', args: '[]' });
    sayFrame(END);
    expect(ends).toMatchObject([{ status: 'ok', json: '2' }]);
    expect([logs, calls]).toEqual([['hello'], ['known']]);
    expect(kills()).toBe(0);
  });

  test('may send a frame in any pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200), { maxLength: 20 }), (cuts) => {
        const { say, ends, kills } = begun();
        const bytes = Buffer.concat([
          encodeFrame({ type: 'log', run: 1, level: 'log', text: 'ä€😀' }),
          encodeFrame(END),
        ]);
        const points = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
        for (const [index, point] of points.slice(1).entries()) say(bytes.subarray(points[index], point));
        expect(ends).toHaveLength(1);
        expect(kills()).toBe(0);
      }),
    );
  });

  test('that is late for a guest which this side stopped is not at fault', () => {
    const { sayFrame, running, ends, kills, host } = begun();
    running.stop();
    expect(ends).toMatchObject([{ status: 'error' }]);
    // Retired and empty, so it is killed: but not for what it says now.
    expect(kills()).toBe(1);
    sayFrame({ type: 'log', run: 1, level: 'log', text: 'late' });
    sayFrame(END);
    expect(ends).toHaveLength(1);
    expect(host.isReady).toBe(false);
  });
});

describe('a deadline', () => {
  const late = (said: readonly unknown[]) => {
    const scripted = scriptedHost(true, 1);
    scripted.sayFrame(READY);
    scripted.start();
    const begun = performance.now();
    while (performance.now() - begun < 300);
    // The clock comes first where both are due.
    scripted.host.check();
    for (const message of said) scripted.sayFrame(message);
    return new Promise<typeof scripted>((resolve) => setImmediate(() => setImmediate(resolve, scripted)));
  };

  test('is kept by an end that came in time, though this side was too busy to read it', async () => {
    const { ends, kills } = await late([END]);
    expect(ends).toMatchObject([{ status: 'ok' }]);
    expect(kills()).toBe(0);
  });

  test('that passed without an end is a timeout, and the end of the host', async () => {
    const { ends, kills, host } = await late([]);
    expect(ends).toMatchObject([{ status: 'timeout' }]);
    expect([kills(), host.isDead]).toEqual([1, true]);
  });
});

describe('a hostile host is killed, and its guest ends as crashed', () => {
  const header = (length: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(length);
    return bytes;
  };
  const frame = (text: string) => Buffer.concat([header(Buffer.byteLength(text)), Buffer.from(text)]);

  test.each<[string, Uint8Array]>([
    ['a frame over the limit, by its header alone', header(MAX_FRAME_BYTES + 1)],
    ['the largest header there is', header(0xffff_ffff)],
    ['text that is no JSON', frame('{"type":')],
    ['bytes that are no UTF-8', Buffer.concat([header(2), Buffer.from([0xc3, 0x28])])],
    ['an empty frame', header(0)],
    ['a list', frame('[]')],
    ['null', frame('null')],
    ['a message without a type', frame('{}')],
    ['an unknown type', frame('{"type":"constructor"}')],
    ['a type from a prototype', frame('{"type":"toString"}')],
    ['a message with a field too many', encodeFrame({ ...END, extra: 1 })],
    ['a field of the wrong type', encodeFrame({ ...END, run: '1' })],
    ['a status nobody defined', encodeFrame({ ...END, status: 'refused' })],
    ['a number that is none', frame('{"type":"end","run":1,"status":"ok","cpuMs":1e999}')],
    ['deep nesting', frame('['.repeat(1_000_000) + ']'.repeat(1_000_000))],
    ['a pollution of prototypes', frame('{"type":"end","run":1,"status":"ok","cpuMs":1,"__proto__":{"polluted":1}}')],
    ['a second greeting', encodeFrame(READY)],
    ['an end of a run never started', encodeFrame({ ...END, run: 7 })],
    ['a log of a run never started', encodeFrame({ type: 'log', run: 2, level: 'log', text: '' })],
    ['a call that skips a number', encodeFrame({ type: 'call', run: 1, call: 2, tool: 'known', args: '[]' })],
    ['a call that the guest may not make', encodeFrame({ type: 'call', run: 1, call: 1, tool: 'unknown', args: '[]' })],
    [
      'an answer to a question that was not asked',
      encodeFrame({ type: 'weighed', gone: [], left: [1], isStill: true }),
    ],
    ['a level nobody defined', encodeFrame({ type: 'log', run: 1, level: 'fatal', text: '' })],
  ])('%s', (_, bytes) => {
    const { say, sayFrame, ends, kills, host } = begun();
    say(bytes);
    expect(ends).toMatchObject([{ status: 'crashed' }]);
    expect(kills()).toBe(1);
    expect(host.isDead).toBe(true);
    sayFrame(END);
    expect(ends).toHaveLength(1);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('a second end of the same run', () => {
    const { sayFrame, ends, kills, start } = begun();
    sayFrame(END);
    start();
    sayFrame(END);
    expect(ends).toMatchObject([{ status: 'ok' }, { status: 'crashed' }]);
    expect(kills()).toBe(1);
  });

  test('a call counted twice', () => {
    const { sayFrame, ends, calls } = begun();
    const call = { type: 'call', run: 1, call: 1, tool: 'known', args: '[]' };
    sayFrame(call);
    sayFrame(call);
    expect(calls).toEqual(['known']);
    expect(ends).toMatchObject([{ status: 'crashed' }]);
  });

  test('a guest that dies before it has a run ends its neighbours as crashed', () => {
    const { sayFrame, ends, start } = begun();
    start();
    sayFrame({ type: 'memory', runs: [] });
    expect(ends.map(({ status }) => status)).toEqual(['crashed', 'crashed']);
  });

  test('one that says it is haunted takes no more, ends its guests as they end, and blames nobody when it dies', () => {
    const { sayFrame, ends, start, host, kills } = begun();
    sayFrame({ type: 'haunted' });
    expect([host.isReady, kills()]).toEqual([false, 0]);
    start();
    sayFrame(END);
    expect(ends).toMatchObject([{ status: 'ok' }]);
    host.kill('V8 ran out of memory');
    expect(ends).toMatchObject([{ status: 'ok' }, { status: 'crashed' }]);
  });

  test('blaming a neighbour ends both, and nobody twice', () => {
    const { sayFrame, ends, start } = begun();
    start();
    sayFrame({ type: 'memory', runs: [2, 2, 99] });
    expect(ends.map(({ status }) => status)).toEqual(['crashed', 'memory']);
  });
});

describe('fuzzed', () => {
  const message = fc.oneof(
    fc.json({ maxDepth: 4 }).map((text): unknown => JSON.parse(text)),
    fc.record(
      {
        type: fc.constantFrom(
          'ready',
          'unlocked',
          'log',
          'dropped',
          'call',
          'end',
          'memory',
          'weighed',
          'haunted',
          'nonsense',
        ),
        run: fc.oneof(fc.integer({ min: -1, max: 4 }), fc.double(), fc.string()),
        call: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.string()),
        tool: fc.constantFrom('known', 'unknown', '__proto__'),
        args: fc.string(),
        level: fc.constantFrom('log', 'error', 'other'),
        text: fc.string(),
        status: fc.constantFrom('ok', 'error', 'timeout', 'memory', 'crashed'),
        json: fc.string(),
        cpuMs: fc.double(),
        runs: fc.array(fc.integer({ min: -1, max: 4 })),
        gone: fc.array(fc.integer({ min: -1, max: 4 })),
        left: fc.array(fc.integer({ min: -1, max: 4 })),
        isStill: fc.boolean(),
        pid: fc.integer(),
        threads: fc.integer(),
      },
      { requiredKeys: ['type'] },
    ),
  );
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    message.map((value) => encodeFrame(value ?? null)),
    message.map((value) => encodeFrame(value ?? null).subarray(0, -1)),
  );

  test('no bytes throw, and each guest gets exactly one end', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 12 }), (chunks) => {
        const { say, ends, start, host } = begun();
        start();
        for (const chunk of chunks) say(chunk);
        host.kill('the test is over');
        expect(ends).toHaveLength(2);
      }),
      { numRuns: 500 },
    );
  });
});
