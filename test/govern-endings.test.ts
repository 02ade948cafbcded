/** Every call that was allowed to run ends exactly once, whatever its body, its stream, its journal or its caller do. */
import { getEventListeners } from 'node:events';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createMemoryLedger, defineTool, govern, openMemoryJournal, PolicyBlockError } from '../src/index.ts';
import type { AuditEvent, EventSink } from '../src/index.ts';

const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-endings-')));
afterAll(() => {
  rmSync(workspace, { recursive: true, force: true });
});

let journal: ReturnType<typeof openMemoryJournal>;
beforeEach(() => {
  journal = openMemoryJournal();
});

const SECRET = ['ghp', 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'].join('_');
const none = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, { none: true as const }]));
const options = (flags: string, more: object = {}) => ({ flags, workspace, audit: journal, ...more });
const ends = (): AuditEvent[] => [...journal.read()].toReversed().filter(({ type }) => type === 'call-ended');

/** One decision, one end, for each call. */
const expectPaired = (): void => {
  const count = new Map<unknown, string[]>();
  for (const event of [...journal.read()].toReversed()) {
    if (event.type !== 'call-decided' && event.type !== 'call-ended') continue;
    count.set(event.call_id, [...(count.get(event.call_id) ?? []), event.type]);
  }
  for (const types of count.values()) expect(types).toEqual(['call-decided', 'call-ended']);
};

const drain = async (stream: AsyncIterable<unknown> | Iterable<unknown>): Promise<unknown[]> => {
  const got: unknown[] = [];
  for await (const item of stream) got.push(item);
  return got;
};

describe('a stream', () => {
  const swallowing = (log: unknown[]) => ({
    *sync() {
      for (const item of ['a', SECRET, 'b']) {
        try {
          yield item;
        } catch (error) {
          log.push(error);
        }
      }
    },
    async *later() {
      for (const item of ['a', SECRET, 'b']) {
        try {
          yield item;
        } catch (error) {
          log.push(error);
        }
      }
    },
  });

  test.each(['sync', 'later'] as const)(
    'ends where a value is withheld, and its body cannot go on: %s',
    async (name) => {
      const log: unknown[] = [];
      const tools = govern(swallowing(log), options('secrets=block', { effects: none('sync', 'later') }));
      const got: unknown[] = [];
      await expect(
        (async () => {
          for await (const item of tools[name]()) got.push(item);
        })(),
      ).rejects.toThrow(PolicyBlockError);
      expect(got).toEqual([]);
      expect(log).toEqual([]);
      expect(ends()).toMatchObject([{ blocked: true, blocked_by: 'detect_secrets' }]);
    },
  );

  test.each(['sync', 'later'] as const)('whose clean-up throws has ended: %s', async (name) => {
    const tools = govern(
      {
        *sync() {
          try {
            yield 1;
            yield 2;
          } finally {
            // oxlint-disable-next-line no-unsafe-finally -- the attack: a clean-up that fails
            throw new Error('clean-up');
          }
        },
        async *later() {
          try {
            yield 1;
            yield 2;
          } finally {
            // oxlint-disable-next-line no-unsafe-finally -- as above
            throw new Error('clean-up');
          }
        },
      },
      options('', { effects: none('sync', 'later') }),
    );
    const stream = tools[name]() as AsyncGenerator;
    await stream.next();
    await expect((async () => stream.return(undefined))()).rejects.toThrow('clean-up');
    expect(ends()).toMatchObject([{ outcome: 'threw', error: { message: 'clean-up' } }]);
    expectPaired();
  });

  test.each(['sync', 'later'] as const)('whose parameters throw has ended: %s', async (name) => {
    const fail = (): never => {
      throw new Error('default');
    };
    const tools = govern(
      {
        *sync(value: unknown = fail()) {
          yield value;
        },
        async *later(value: unknown = fail()) {
          yield value;
        },
      },
      options('', { effects: none('sync', 'later') }),
    );
    await expect(drain(tools[name]() as AsyncIterable<unknown>)).rejects.toThrow('default');
    expect(ends()).toMatchObject([{ outcome: 'threw' }]);
  });

  test('is let go, and its body cleaned up, when its signal fires', async () => {
    const controller = new AbortController();
    let cleaned = false;
    const { later } = govern(
      {
        async *later() {
          try {
            yield 1;
            await new Promise((resolve) => setTimeout(resolve, 20));
            yield 2;
          } finally {
            cleaned = true;
          }
        },
      },
      options('', { effects: none('later'), signal: controller.signal }),
    );
    const stream = later();
    await stream.next();
    const waiting = stream.next();
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(ends()).toMatchObject([{ outcome: 'cancelled' }]);
    await expect.poll(() => cleaned).toBe(true);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expectPaired();
  });

  test('made by an iterator helper is looked through as well', async () => {
    const { lazy } = govern(
      { lazy: () => ['a', SECRET].values().map((item) => item) },
      options('', { effects: none('lazy') }),
    );
    expect((await drain(lazy())).join(' ')).not.toContain(SECRET);
    expectPaired();
  });

  test('that nobody reads has no decision, and no end to miss', () => {
    const { each } = govern(
      {
        *each(): Generator<number, undefined> {
          yield 1;
          return undefined;
        },
      },
      options('', { effects: none('each') }),
    );
    each();
    each().return(undefined);
    expect(journal.lines()).toEqual([]);
  });

  test('ends once, whatever is asked of it in whatever order', async () => {
    const step = fc.constantFrom('next', 'return', 'throw');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 6 }), fc.boolean(), async (steps, together) => {
        journal = openMemoryJournal();
        const { later } = govern(
          {
            async *later() {
              yield 1;
              yield 2;
            },
          },
          options('', { effects: none('later') }),
        );
        const stream = later();
        const asked: Promise<unknown>[] = [];
        for (const name of steps) {
          const one = stream[name](undefined as never).catch(() => undefined);
          asked.push(one);
          if (!together) await one;
        }
        await Promise.all(asked);
        await stream.return(undefined);
        expectPaired();
        expect(ends().length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a journal', () => {
  const sink = (more: Partial<EventSink>): EventSink => ({
    append: (entry) => {
      journal.append(entry);
    },
    appendDurable: (entry) => {
      journal.appendDurable(entry);
    },
    settled: () => Promise.resolve(),
    ...more,
  });

  test('that cannot make the decision durable lets nothing run, ends the call, and gives its budget back', async () => {
    let broken = true;
    const audit = sink({ settled: () => (broken ? Promise.reject(new Error('disk')) : Promise.resolve()) });
    let ran = 0;
    const [pay] = govern(
      [{ name: 'pay', effects: { none: true }, cost: 1, execute: async () => (ran += 1) }],
      options('budget=custom:1:1', { audit, ledger: createMemoryLedger() }),
    );
    await expect(pay.execute()).rejects.toThrow('No record, no act');
    expect(ran).toBe(0);
    expect(ends()).toMatchObject([{ outcome: 'denied', error: {} }]);
    expectPaired();
    broken = false;
    expect(await pay.execute()).toBe(1);
  });

  test('that is full for a while gets the end as it was, whatever a listener makes of the event', () => {
    let isFull = false;
    const append = (entry: Parameters<EventSink['append']>[0]): void => {
      if (isFull) throw new Error('disk');
      journal.append(entry);
    };
    const { act } = govern(
      { act: () => (isFull = true) },
      options('', {
        audit: sink({ append, appendDurable: append }),
        effects: none('act'),
        onEvent: (event: { tool?: string; detections?: unknown }) => {
          event.tool = 'another';
          event.detections = 'none of them';
        },
      }),
    );
    expect(act()).toBe(true);
    expect(ends()).toEqual([]);
    isFull = false;
    act();
    expect(ends()).toMatchObject([{ tool: 'act', detections: [] }]);
  });

  test('that answers later is no journal: nothing runs on a promise', () => {
    let ran = 0;
    // An async function fits the type of a function that returns nothing.
    const later = (() => Promise.reject(new Error('disk'))) as () => void;
    const { act } = govern(
      { act: () => (ran += 1) },
      options('', { audit: sink({ append: later, appendDurable: later }), effects: none('act') }),
    );
    expect(() => act()).toThrow('No record, no act');
    expect(ran).toBe(0);
  });

  test('misses no end because a detector throws', () => {
    const detectors = [
      {
        type: 'X',
        detect: () => {
          throw new Error('detector');
        },
      },
    ];
    const { act } = govern(
      { act: (text: string) => text },
      options('pii=mask', { content: { detectors }, effects: none('act') }),
    );
    expect(() => act('some text here')).toThrow(PolicyBlockError);
    expect(ends()).toMatchObject([{ outcome: 'denied', blocked: true }]);
    expectPaired();
  });

  test.each<[string, unknown]>([
    ['bytes that are no text', Buffer.concat([Buffer.from([0xff, 0xfe, 0xfd]), Buffer.from(SECRET)])],
    ['wide bytes', Uint16Array.from(Buffer.from(SECRET, 'utf16le'))],
    ['a buffer', new Uint8Array(Buffer.from(SECRET)).buffer],
    ['a pattern', new RegExp(SECRET, 'u')],
    ['a URL', new URL(`https://x.example/?token=${SECRET}`)],
    ['a broken text', `${SECRET} \ud800`],
    ['a name', { [SECRET]: 1 }],
    ['a name beside bytes', { [SECRET]: new Uint8Array(2) }],
  ])('holds no secret in any form it can be read from: %s', (_name, value) => {
    const { act } = govern({ act: (_value: unknown) => 1 }, options('secrets=flag', { effects: none('act') }));
    act({ value });
    const text = journal.lines().join('\n');
    for (const form of ['utf8', 'base64', 'hex'] as const)
      expect(text).not.toContain(Buffer.from(SECRET).toString(form));
    expect(text).not.toMatch(/Z2hwX2ExQjJj|hwX2ExQjJjM0|aHBfYTFCMmMz/u);
  });

  test('holds no secret that stood where a flag should, nor one that a schema repeats', () => {
    const input = {
      '~standard': { version: 1 as const, vendor: 'x', validate: () => ({ issues: [{ message: `bad: ${SECRET}` }] }) },
    };
    const [tool] = govern(
      [defineTool({ name: 't', description: '', input, effects: { none: true }, execute: () => 1 })],
      options(`token=${SECRET}`),
    );
    expect(() => tool.execute({})).toThrow(PolicyBlockError);
    expect(journal.lines().join('\n')).not.toContain(SECRET);
    expectPaired();
  });
});

describe('a dry run', () => {
  test('counts in no loop guard', async () => {
    const { act } = govern(
      { act: (n: number) => n },
      options('mode=lockdown', { loopGuard: { most: 1 }, effects: none('act') }),
    );
    for (let index = 0; index < 5; index += 1) expect((await act.check(1)).allowed).toBe(true);
    expect(act(1)).toBe(1);
    expect(() => act(1)).toThrow(PolicyBlockError);
  });
});

describe('a signal', () => {
  test('that fires while the decision is being recorded lets nothing run', async () => {
    const controller = new AbortController();
    let ran = 0;
    const audit: EventSink = {
      append: (entry) => {
        journal.append(entry);
      },
      appendDurable: () => undefined,
      settled: async () => {
        controller.abort(new Error('enough'));
      },
    };
    const { act } = govern(
      { act: async () => (ran += 1) },
      options('', { audit, effects: none('act'), signal: controller.signal }),
    );
    await expect(act()).rejects.toThrow('enough');
    expect(ran).toBe(0);
    expect(ends()).toMatchObject([{ outcome: 'cancelled' }]);
    expectPaired();
  });

  test('keeps no listener of a call that has ended', async () => {
    const { signal } = new AbortController();
    const tools = govern(
      {
        act: async () => 1,
        fail: async () => {
          throw new Error('x');
        },
        async *each() {
          yield 1;
          yield 2;
        },
      },
      options('', { effects: none('act', 'fail', 'each'), signal }),
    );
    for (let index = 0; index < 50; index += 1) {
      await tools.act();
      await tools.fail().catch(() => undefined);
      await drain(tools.each());
      await tools.each().return(undefined);
    }
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
