/** Streams and promises inside of a result: governed where they stand, and the call ends with the last of them. */
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, test } from 'vitest';
import { govern, openMemoryJournal, PolicyBlockError } from '../src/index.ts';

const SECRET = ['ghp', 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'].join('_');

let journal: ReturnType<typeof openMemoryJournal>;
beforeEach(() => {
  journal = openMemoryJournal();
});

const governed = <T>(body: () => T, more: object = {}): (() => T) =>
  govern({ body }, { flags: '', audit: journal, effects: { body: { none: true } }, ...more }).body;
const ends = () =>
  [...journal.read()].filter(({ type }) => type === 'call-ended').toReversed() as unknown as {
    readonly outcome: string;
    readonly blocked: boolean;
    readonly detections: readonly unknown[];
  }[];
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function* texts(): AsyncGenerator<string> {
  yield `one ${SECRET.slice(0, 9)}`;
  yield `${SECRET.slice(9)} two`;
}

const makes: Readonly<Record<string, () => unknown>> = {
  'a promise': async () => `one ${SECRET} two`,
  'a promise of a promise in an object': async () => ({ inner: Promise.resolve(`one ${SECRET} two`) }),
  'an async generator': texts,
  'a generator': function* () {
    yield* ['one ', SECRET, ' two'];
  },
  'an iterator of a list': () => ['one ', SECRET, ' two'].values(),
  'a web stream': () => ReadableStream.from(texts()),
  'a node stream': () => Readable.from(texts()),
  'an iterable of its own': () => ({ [Symbol.asyncIterator]: texts }),
  'a response': () => new Response(`one ${SECRET} two`),
  'a promise of a stream': async () => ReadableStream.from(texts()),
};

/** All that a part gives, as one text. */
const textOf = async (part: unknown): Promise<string> => {
  const value = await part;
  if (value instanceof Response) return value.text();
  if (typeof value !== 'object' || value === null) return String(value);
  if (Symbol.asyncIterator in value) return (await Array.fromAsync(value as AsyncIterable<unknown>)).join('');
  if (Symbol.iterator in value) return [...(value as Iterable<unknown>)].join('');
  return textOf((value as { inner: unknown }).inner);
};

describe.each(Object.entries(makes))('%s', (_, make) => {
  const places: Readonly<Record<string, (part: unknown) => unknown>> = {
    'a member': (part) => ({ status: 200, deep: { part } }),
    'an item': (part) => [1, [part]],
    'a value of a map': (part) => new Map([['part', part]]),
  };
  const partOf = (value: unknown): unknown => {
    if (value instanceof Map) return value.get('part');
    return Array.isArray(value) ? value[1][0] : (value as { deep: { part: unknown } }).deep.part;
  };

  test.each(Object.entries(places))('as %s is masked, and ends the call', async (__, put) => {
    // Without us it comes out as it is.
    expect(await textOf(partOf(put(make())))).toContain(SECRET);
    const result = governed(() => put(make()))();
    expect(ends()).toEqual([]);
    const text = await textOf(partOf(result));
    expect(text).toContain('one ');
    expect(text).toContain('[REDACTED]');
    expect(text).toContain(' two');
    expect(text).not.toContain(SECRET.slice(9));
    await turn();
    expect(ends()).toMatchObject([{ outcome: 'returned', detections: [{ step: 'detect_secrets' }] }]);
  });

  test('blocks where the flag says so', async () => {
    const result = governed(() => ({ deep: { part: make() } }), { flags: 'secrets=block' })();
    await expect(textOf(partOf(result))).rejects.toBeInstanceOf(PolicyBlockError);
    await turn();
    expect(ends()).toMatchObject([{ blocked: true }]);
  });
});

test('several parts: one end, when the last is through, with what was found in all of them', async () => {
  let settle: (value: string) => void = () => undefined;
  const late = new Promise<string>((resolve) => {
    settle = resolve;
  });
  const result = governed(() => ({ text: SECRET, stream: ReadableStream.from(texts()), late }))();
  expect(result.text).toBe('[REDACTED]');
  expect(await textOf(result.stream)).toContain('[REDACTED]');
  await turn();
  expect(ends()).toEqual([]);
  settle(SECRET);
  expect(await result.late).toBe('[REDACTED]');
  await turn();
  expect(ends()).toHaveLength(1);
  expect(ends()[0]?.detections).toHaveLength(3);
});

test('one stream in two places stays one', async () => {
  const stream = ReadableStream.from(texts());
  const { first, again } = governed(() => ({ first: stream, again: stream }))();
  expect(again).toBe(first);
  expect(await textOf(again)).toContain('[REDACTED]');
});

describe('a promise that fails', () => {
  test('fails masked, and so does the call', async () => {
    const { part } = governed(() => ({ part: Promise.reject(new TypeError(`no ${SECRET}`)) }))();
    await expect(part).rejects.toThrow(new TypeError('no [REDACTED]'));
    await turn();
    expect(ends()).toMatchObject([{ outcome: 'threw' }]);
  });

  test('ends no process that had seen to it', async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', listen);
    const seenTo = Promise.reject(new Error('late'));
    seenTo.catch(() => undefined);
    governed(() => ({ seenTo }))();
    await turn();
    await turn();
    process.off('unhandledRejection', listen);
    expect(unhandled).toEqual([]);
    expect(ends()).toMatchObject([{ outcome: 'threw' }]);
  });
});

test('a signal cancels a part that never comes', async () => {
  const control = new AbortController();
  const { never } = governed(() => ({ never: new Promise<string>(() => undefined) }), { signal: control.signal })();
  control.abort(new Error('enough'));
  await expect(never).rejects.toThrow('enough');
  await turn();
  expect(ends()).toMatchObject([{ outcome: 'cancelled' }]);
});

test('a result that is withheld hands over no part of itself', () => {
  const body = governed(() => ({ text: SECRET, part: Promise.resolve('fine') }), { flags: 'secrets=block' });
  expect(body).toThrow(PolicyBlockError);
  expect(ends()).toMatchObject([{ blocked: true }]);
});

test('the allowed twin: objects of classes stay as they are, and so does all that is whole', () => {
  class Client {
    readonly pending = Promise.resolve(1);
    readonly stream = ReadableStream.from(['a']);
  }
  const client = new Client();
  const whole = { client, list: [1, { deep: new Date(0) }] };
  const result = governed(() => whole)();
  expect(result).toBe(whole);
  expect(result.client.pending).toBe(client.pending);
  expect(ends()).toMatchObject([{ outcome: 'returned' }]);
});
