/** Streams and promises inside of a result: governed where they stand, and the call ends with the last of them. */
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createGzip } from 'node:zlib';
import { beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineTool, govern, openMemoryJournal, PolicyBlockError } from '../src/index.ts';

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

describe('a part that nobody reads', () => {
  const collectUntil = async (isDone: () => boolean): Promise<void> => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    for (let round = 0; round < 200 && !isDone(); round += 1) {
      // What was asked for in this turn is not collected in it.
      await turn();
      gc();
      await turn();
    }
  };

  test.each(Object.entries(makes))('%s: ends its call when it is dropped', async (_, make) => {
    const body = governed(() => ({ part: make() }));
    for (let call = 0; call < 20; call += 1) body();
    await collectUntil(() => ends().length > 15);
    expect(ends().length).toBeGreaterThan(15);
  });

  test('a result is not kept for what has come of its promise', async () => {
    const kept: WeakRef<object>[] = [];
    const body = governed(() => ({ rows: ['a'.repeat(1_000)], more: Promise.resolve(1) }));
    for (let call = 0; call < 20; call += 1) {
      const result = body();
      kept.push(new WeakRef(result));
      await result.more;
    }
    const left = (): number => kept.filter((each) => each.deref() !== undefined).length;
    await collectUntil(() => left() < 5 && ends().length === 20);
    expect(ends()).toHaveLength(20);
    expect(left()).toBeLessThan(5);
  });

  test('is let go of where the result is withheld', async () => {
    const gone: string[] = [];
    const stream = new ReadableStream({ pull: () => undefined, cancel: () => void gone.push('web') });
    const node = new Readable({
      read: () => undefined,
      destroy: (error, done) => {
        gone.push('node');
        done(error);
      },
    });
    const answer = new Response(new ReadableStream({ pull: () => undefined, cancel: () => void gone.push('answer') }));
    const body = governed(() => ({ stream, node, answer, text: SECRET }), { flags: 'secrets=block' });
    expect(body).toThrow(PolicyBlockError);
    await turn();
    await turn();
    expect(gone.toSorted()).toEqual(['answer', 'node', 'web']);
    expect(ends()).toMatchObject([{ blocked: true }]);
  });

  test('a node stream that fails ends no process', async () => {
    const control = new AbortController();
    const failed = governed(() => {
      const stream = Readable.from(texts());
      stream.on('error', () => undefined);
      control.signal.addEventListener('abort', () => stream.destroy(new Error(`late ${SECRET}`)));
      return { stream };
    })();
    control.abort();
    await turn();
    await turn();
    expect(failed.stream.errored?.message).toBe('late [REDACTED]');
    expect(ends()).toMatchObject([{ outcome: 'threw' }]);
  });
});

test('a stream stays its maker’s until it is read', async () => {
  const stream = ReadableStream.from(texts());
  const { stop } = governed(() => ({ stream, stop: () => stream.cancel() }))();
  await stop();
  const taken = ReadableStream.from(texts());
  const body = governed(() => ({ taken, text: 'whole' }));
  const [first, second] = [body(), body()];
  expect(await textOf(first.taken)).toContain('[REDACTED]');
  expect(second.text).toBe('whole');
  await expect(textOf(second.taken)).rejects.toThrow(/locked/u);
  const locked = ReadableStream.from(texts());
  locked.getReader();
  const third = governed(() => ({ locked, text: 'whole' }))();
  expect(third.text).toBe('whole');
  await expect(textOf(third.locked)).rejects.toThrow(/locked/u);
});

test('what a class and its result share is governed in the result alone', async () => {
  class Client {
    readonly #own = 7;
    readonly shared: object;
    constructor(shared: object) {
      this.shared = shared;
    }
    own(): number {
      return this.#own;
    }
  }
  const shared = { part: Promise.resolve(SECRET) };
  const client = new Client(shared);
  const before = governed(() => ({ client, shared }))();
  expect(await before.shared.part).toBe('[REDACTED]');
  const after = governed(() => ({ shared, client }))();
  expect(await after.shared.part).toBe('[REDACTED]');
  for (const result of [before, after]) expect([result.client, result.client.own()]).toEqual([client, 7]);
});

test('an object keeps what it is for more than its members', () => {
  const disposable = { done: Promise.resolve(1), [Symbol.asyncDispose]: async () => undefined };
  expect(governed(() => disposable)()[Symbol.asyncDispose]).toBe(disposable[Symbol.asyncDispose]);
  const said = { keep: 1, toJSON: () => ({ part: Promise.resolve(1) }) };
  expect(governed(() => ({ said }))().said).toBe(said);
});

test('a promise in a promise, four thousand times', async () => {
  interface Link {
    next?: Promise<Link>;
  }
  const first: Link = {};
  let last = first;
  for (let link = 0; link < 4_000; link += 1) {
    const next: Link = {};
    last.next = Promise.resolve(next);
    last = next;
  }
  let links = 0;
  for (let at: Link | undefined = governed(() => first)(); at?.next !== undefined; at = await at.next) links += 1;
  expect(links).toBe(4_000);
  await turn();
  expect(ends()).toHaveLength(1);
});

test('the price of a result is asked for once, with the result', async () => {
  const seen: unknown[] = [];
  const { body } = govern(
    [
      defineTool({
        name: 'body',
        description: 'Works on.',
        input: z.object({}),
        effects: { none: true },
        cost: (_input, result) => {
          if (result !== undefined) seen.push(result);
          return 0.1;
        },
        execute: () => ({ rows: 3, part: Promise.resolve('fine') }),
      }),
    ],
    { flags: 'budget=dev', audit: journal },
  ).reduce<Record<string, { execute: (input: object) => { rows: number; part: Promise<string> } }>>(
    (all, tool) => ({ ...all, [tool.name]: tool as never }),
    {},
  );
  const result = body?.execute({});
  await result?.part;
  await turn();
  expect(seen).toMatchObject([{ rows: 3 }]);
});

describe('what goes back in other ways', () => {
  test('an error that carries the answer, as those of HTTP clients do', async () => {
    const answer = (): Response => new Response(`one ${SECRET} two`);
    const body = governed(() => {
      throw Object.assign(new Error('503'), { response: answer(), cause: { stream: ReadableStream.from(texts()) } });
    });
    let caught: unknown;
    try {
      body();
    } catch (error) {
      caught = error;
    }
    const { response, cause } = caught as { response: Response; cause: { stream: ReadableStream } };
    expect(caught).toBeInstanceOf(Error);
    expect(ends()).toEqual([]);
    expect(await response.text()).toBe('one [REDACTED] two');
    expect(await textOf(cause.stream)).toContain('[REDACTED]');
    await turn();
    expect(ends()).toMatchObject([{ outcome: 'threw', detections: [{}, {}] }]);
  });

  test('the value that a generator returns', async () => {
    const body = governed(async function* () {
      yield 'one';
      return { part: Promise.resolve(SECRET) };
    });
    const reader = body();
    expect(await reader.next()).toEqual({ done: false, value: 'one' });
    const { value } = await reader.next();
    expect(await (value as { part: Promise<string> }).part).toBe('[REDACTED]');
    await turn();
    expect(ends()).toHaveLength(1);
  });
});

describe('a promise that comes to what holds it', () => {
  test('in a result, at once or later', async () => {
    for (const later of [
      (value: object) => Promise.resolve(value),
      async (value: object) => turn().then(() => value),
    ]) {
      const connection: { text: string; ready?: Promise<unknown> } = { text: SECRET };
      connection.ready = later(connection);
      const result = governed(() => connection)();
      const ready = (await result.ready) as typeof connection;
      expect([result.text, ready.text]).toEqual(['[REDACTED]', '[REDACTED]']);
      expect(ready.ready).toBe(result.ready);
      await turn();
    }
    expect(ends()).toHaveLength(2);
  });

  test('in an error', async () => {
    const failed: Error & { pending?: Promise<unknown> } = new Error(SECRET);
    failed.pending = Promise.reject(failed);
    const body = governed(() => {
      throw failed;
    });
    expect(body).toThrow('[REDACTED]');
    await turn();
    await turn();
    expect(ends()).toMatchObject([{ outcome: 'threw' }]);
  });
});

test('what leads back to itself is governed where it is open, and left where a class holds it', async () => {
  class Holder {
    readonly held: unknown;
    constructor(held: unknown) {
      this.held = held;
    }
  }
  const make = (): Record<string, unknown> => {
    const loop: Record<string, unknown> = { part: Promise.resolve(SECRET), text: SECRET };
    loop['self'] = loop;
    return loop;
  };
  for (const put of [
    (loop: object) => [loop, new Holder(loop)],
    (loop: object) => [{ ...loop }, new Holder(loop)],
    (loop: object) => [loop, new (class Own extends Map<string, object> {})([['loop', loop]])],
  ]) {
    const [first] = governed(() => put(make()))() as [Record<string, unknown>];
    expect(await first['part']).toBe('[REDACTED]');
    expect(first['text']).toBe('[REDACTED]');
    expect(await (first['self'] as Record<string, unknown>)['part']).toBe('[REDACTED]');
  }
});

describe('the end of a stream that leaves a part', () => {
  test('by its error: the call threw, and ends with the part', async () => {
    const body = governed(async function* () {
      yield 'one';
      throw Object.assign(new Error(`down ${SECRET}`), { response: new Response(`body ${SECRET}`) });
    });
    const error = await Array.fromAsync(body()).catch((caught: unknown) => caught);
    expect((error as Error).message).toBe('down [REDACTED]');
    expect(ends()).toEqual([]);
    expect(await (error as { response: Response }).response.text()).toBe('body [REDACTED]');
    await turn();
    // In the stack, in the message, in the answer.
    expect(ends()).toMatchObject([{ outcome: 'threw', detections: [{}, {}, {}] }]);
  });

  test('by its last value', async () => {
    let settle: (value: string) => void = () => undefined;
    const late = new Promise<string>((resolve) => {
      settle = resolve;
    });
    const reader = governed(function* () {
      yield 'one';
      return { late };
    })();
    reader.next();
    const { value } = reader.next();
    await turn();
    expect(ends()).toEqual([]);
    settle(SECRET);
    expect(await (value as { late: Promise<string> }).late).toBe('[REDACTED]');
    await turn();
    expect(ends()).toMatchObject([{ outcome: 'returned', detections: [{}] }]);
  });
});

test('two layers: the answer of a server, read to its end', async () => {
  const server = createServer((_, answer) => answer.end(`hello ${SECRET}`));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    const ask = async (): Promise<{ answer: IncomingMessage }> => {
      const [answer] = (await once(get({ port, host: '127.0.0.1', agent: false }), 'response')) as [IncomingMessage];
      return { answer };
    };
    const none = { effects: { body: { none: true } } } as const;
    const inner = govern({ body: ask }, { flags: '', audit: journal, ...none });
    const { body } = govern(inner, { flags: 'pii=mask', ...none });
    const { answer } = await (body as typeof ask)();
    expect(Buffer.concat(await Array.fromAsync(answer)).toString()).toBe('hello [REDACTED]');
  } finally {
    server.close();
  }
});

test('an answer that somebody reads already fails alone', async () => {
  const answer = new Response('abc');
  answer.body?.getReader();
  const result = governed(() => ({ answer, text: 'whole' }))();
  expect(result.text).toBe('whole');
  await expect(result.answer.text()).rejects.toThrow(/locked/u);
});

describe('node streams in a result go on being what they are', () => {
  test('a Transform that the caller writes to, and one that its maker writes to', async () => {
    const upload = governed(() => {
      const given = new PassThrough();
      const done = (async (): Promise<string> => Buffer.concat(await Array.fromAsync(given)).toString())();
      return { given, done };
    })();
    upload.given.end('hello');
    expect(await upload.done).toBe('hello');
    const { packed } = governed(() => ({ packed: createGzip() }))();
    packed.end(`hello ${SECRET}`);
    expect(Buffer.concat(await Array.fromAsync(packed)).length).toBeGreaterThan(20);
    const { piped } = governed(() => ({ piped: Readable.from([SECRET]).pipe(new PassThrough()) }))();
    expect(Buffer.concat(await Array.fromAsync(piped)).toString()).toBe('[REDACTED]');
    await finished(piped);
  });

  test('one that has been read already ends its call at once', async () => {
    const spent = Readable.from(['x']);
    spent.resume();
    await once(spent, 'end');
    const body = governed(() => {
      throw Object.assign(new Error('500'), { response: spent });
    });
    expect(body).toThrow('500');
    expect(ends()).toMatchObject([{ outcome: 'threw' }]);
  });

  test('what answers every name is no stream', () => {
    const api = new Proxy(
      {},
      {
        get: (_, key) =>
          key === 'then' || key === 'toJSON' || key === Symbol.toStringTag ? undefined : () => `called ${String(key)}`,
      },
    ) as { foo: () => string };
    const result = governed(() => ({ api }))();
    expect(result.api).toBe(api);
    expect(result.api.foo()).toBe('called foo');
  });

  test('a hidden getter that throws is left out of the copy', () => {
    const given = Object.defineProperty({ text: SECRET }, 'old', {
      get: () => {
        throw new Error('deprecated');
      },
    });
    expect(governed(() => given)()).toEqual({ text: '[REDACTED]' });
  });

  test('a map of another realm that leads back to itself', () => {
    const there = runInNewContext(`const m = new Map([['text', text]]); m.set('self', m); m`, { text: SECRET }) as Map<
      string,
      unknown
    >;
    const result = governed(() => ({ there }))().there;
    expect([result.get('text'), result.get('self') === result]).toEqual(['[REDACTED]', true]);
  });
});
