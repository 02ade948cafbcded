/** What a hostile mind does with a stream that a governed tool handed out; beside each trick, what must hold. */
import { once } from 'node:events';
import { Duplex, Readable } from 'node:stream';
import { beforeEach, describe, expect, test } from 'vitest';
import { govern, openMemoryJournal, PolicyBlockError } from '../src/index.ts';

const SECRET = ['ghp', 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'].join('_');
const OTHER = ['ghp', 'Z1y2X3w4V5u6T7s8R9q0P1o2N3m4L5k6J7i8'].join('_');

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
const failing = (): never => {
  throw new Error(`no answer for ${SECRET}`);
};

describe('an error of the source is masked, and ends the call', () => {
  test('of a web stream, and of a response', async () => {
    const broken = () =>
      new ReadableStream({
        pull: () => failing(),
      });
    await expect(Array.fromAsync(governed(broken)())).rejects.toThrow('no answer for [REDACTED]');
    await expect(governed(() => new Response(broken()))().text()).rejects.toThrow('no answer for [REDACTED]');
    expect(ends()).toMatchObject([{ outcome: 'threw' }, { outcome: 'threw' }]);
  });

  test('of what a web stream does when it is cancelled', async () => {
    const body = governed(() => new ReadableStream({ cancel: () => failing() }));
    await expect(body().cancel()).rejects.toThrow('no answer for [REDACTED]');
    expect(ends()).toHaveLength(1);
  });

  test('of an iterable that cannot even begin', async () => {
    const body = governed(() => ({ [Symbol.asyncIterator]: failing }) as AsyncIterable<unknown>);
    await expect(Array.fromAsync(body())).rejects.toThrow('no answer for [REDACTED]');
    expect(ends()).toMatchObject([{ outcome: 'threw' }]);
  });

  test('of an iterable that is read again, after its call has ended', async () => {
    let times = 0;
    const body = governed(() => ({
      async *[Symbol.asyncIterator]() {
        times += 1;
        yield 1;
        if (times > 1) failing();
      },
    }));
    const iterable = body();
    expect(await Array.fromAsync(iterable)).toEqual([1]);
    await expect(Array.fromAsync(iterable)).rejects.toThrow('no answer for [REDACTED]');
    expect(ends()).toHaveLength(1);
  });

  test('of a stream that somebody is reading already', () => {
    const locked = governed(() => {
      const stream = new ReadableStream();
      stream.getReader();
      return stream;
    });
    expect(locked).toThrow(TypeError);
    const lockedResponse = governed(() => {
      const response = new Response('text');
      response.body?.getReader();
      return response;
    });
    expect(lockedResponse).toThrow(TypeError);
    expect(ends()).toMatchObject([{ outcome: 'threw' }, { outcome: 'threw' }]);
  });

  test.each(['read', 'write', 'final'] as const)('of a socket, whichever side it comes from: %s', async (side) => {
    const body = governed(
      () =>
        new Duplex({
          read() {
            if (side === 'read') this.destroy(new Error(`no answer for ${SECRET}`));
          },
          write: (_chunk, _encoding, done) => {
            done(side === 'write' ? new Error(`no answer for ${SECRET}`) : null);
          },
          final: (done) => {
            done(side === 'final' ? new Error(`no answer for ${SECRET}`) : null);
          },
        }),
    );
    const socket = body();
    const told: unknown[] = [];
    socket.on('error', (error) => told.push(error));
    socket.resume();
    socket.write('question', (error) => told.push(error));
    socket.end();
    await new Promise((resolve) => socket.once('close', resolve));
    expect(told.map(String).join(' ')).toContain('no answer for [REDACTED]');
    expect(told.map(String).join(' ')).not.toContain(SECRET);
    expect(ends()).toMatchObject([{ outcome: 'threw' }]);
  });

  test('that is told twice ends nothing twice, and not the process', () => {
    const source = new Readable({ read: () => undefined });
    const stream = governed(() => source)();
    stream.on('error', () => undefined);
    source.emit('error', new Error('once'));
    source.emit('error', new Error('twice'));
    expect(ends()).toMatchObject([{ outcome: 'threw' }]);
  });
});

describe('letting go reaches the source', () => {
  const idle = (): Readable => new Readable({ read: () => undefined });

  test('before anybody has read', async () => {
    const cleaned: string[] = [];
    // Not generators: those are never started by a reader that lets go at once.
    const sync = () => ({ next: () => ({ value: 1 }), return: () => cleaned.push('sync') && {}, ...tag('Generator') });
    const later = () => ({
      next: async () => ({ value: 1 }),
      return: async () => cleaned.push('later') && {},
      ...tag('AsyncGenerator'),
    });
    const tag = (name: string) => ({ [Symbol.toStringTag]: name });
    (governed(sync)() as unknown as Generator).return(undefined);
    await (governed(later)() as unknown as AsyncGenerator).return(undefined);
    const source = idle();
    const unread = governed(() => source)();
    unread.destroy();
    expect(source.destroyed).toBe(true);
    await governed(() => new ReadableStream({ cancel: () => void cleaned.push('web') }))().cancel();
    expect(cleaned).toEqual(['sync', 'later', 'web']);
    expect(ends()).toHaveLength(4);
  });

  test('while the source has nothing to say', async () => {
    const source = idle();
    const reader = governed(() => source)();
    reader.resume();
    await new Promise((resolve) => setImmediate(resolve));
    const closed = once(reader, 'close');
    reader.destroy();
    await closed;
    expect(source.destroyed).toBe(true);

    let cancelled: unknown;
    const web = governed(() => new ReadableStream({ cancel: (reason) => void (cancelled = reason) }))().getReader();
    const pending = web.read();
    await web.cancel('enough');
    expect(cancelled).toBe('enough');
    expect(await pending).toEqual({ done: true, value: undefined });
    expect(ends()).toMatchObject([{ outcome: 'returned' }, { outcome: 'returned' }]);
  });

  test('and a late error of the source is nobody’s', async () => {
    const source = new Readable({
      read: () => undefined,
      destroy: (_error, done) => {
        setImmediate(() => done(new Error('late')));
      },
    });
    const reader = governed(() => source)();
    reader.destroy();
    await new Promise((resolve) => source.once('close', resolve));
    expect(ends()).toMatchObject([{ outcome: 'returned' }]);
  });

  test('a source that closes without an error only closes', async () => {
    const source = idle();
    const reader = governed(() => source)();
    reader.resume();
    await new Promise((resolve) => setImmediate(resolve));
    const closed = once(reader, 'close');
    source.destroy();
    await closed;
    expect(reader.errored).toBeNull();
    expect(ends()).toHaveLength(1);
  });

  test('a signal cancels what never ends, of every make', async () => {
    const controller = new AbortController();
    const more = { signal: controller.signal };
    const source = idle();
    const web = governed(() => new ReadableStream(), more)();
    const node = governed(() => source, more)();
    const waiting = [web.getReader().read(), Array.fromAsync(node)];
    controller.abort(new Error('enough'));
    for (const one of waiting) await expect(one).rejects.toThrow('enough');
    expect(ends()).toMatchObject([{ outcome: 'cancelled' }, { outcome: 'cancelled' }]);
    expect(source.destroyed).toBe(true);
  });

  test('reads no further ahead than a stream does', async () => {
    let pulled = 0;
    const body = governed(
      () =>
        new ReadableStream<unknown>({
          pull: (controller) => {
            pulled += 1;
            controller.enqueue({ pulled });
          },
        }),
    );
    const reader = body().getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(pulled).toBeLessThan(5);
  });
});

describe('nothing passes beside the reading', () => {
  test('a promise that an iterator gives is looked through when it has come', async () => {
    const body = governed(() => {
      let left = 2;
      const next = async () => ({ value: Promise.resolve(SECRET), done: (left -= 1) < 0 });
      return { [Symbol.asyncIterator]: () => ({ next }) };
    });
    expect((await Array.fromAsync(body() as unknown as AsyncIterable<string>)).join(' ')).not.toContain(
      SECRET.slice(4),
    );
  });

  test('data of an object that can be iterated, by its name too, in every way it can be read', () => {
    const body = governed(() => ({
      note: SECRET,
      password: 'hunter2hunter2x',
      plain: { fine: 1 },
      async *[Symbol.asyncIterator]() {
        yield 1;
      },
    }));
    const object = body();
    expect([object.note, object.password]).toEqual(['[REDACTED]', '[REDACTED]']);
    expect(object.plain).toEqual({ fine: 1 });
    expect(Object.keys(object)).toEqual(['note', 'password', 'plain']);
    expect(JSON.stringify([{ ...object }, Object.getOwnPropertyDescriptor(object, 'note')])).not.toContain(SECRET);
    const blocked = governed(body, { flags: 'secrets=block' })();
    expect(() => blocked.password).toThrow(PolicyBlockError);
    expect(ends()).toMatchObject([{ blocked: true }]);
  });

  test('an iterator that the language made of another', () => {
    let left = 2;
    const source = { next: () => ({ value: SECRET, done: (left -= 1) < 0 }) };
    expect([...governed(() => Iterator.from<string>(source as Iterator<string>))()].join('')).toBe('[REDACTED]');
    expect(ends()).toHaveLength(1);
  });

  test('an iterator of its own, by its own methods too', async () => {
    let left = 3;
    const iterator = () => ({
      next: async () => ({ value: `${SECRET} `, done: (left -= 1) < 0 }),
      [Symbol.asyncIterator]() {
        return this;
      },
    });
    const body = governed(iterator)();
    const { value } = await body.next();
    const rest = await Array.fromAsync(body);
    expect([value, ...rest].join('')).toBe('[REDACTED] [REDACTED] [REDACTED] ');
    expect(ends()).toMatchObject([{ outcome: 'returned' }]);
  });

  test('a frozen object is iterated like any other', async () => {
    class Frozen {
      readonly #text = SECRET;
      constructor() {
        Object.freeze(this);
      }
      size(): number {
        return this.#text.length;
      }
      async *[Symbol.asyncIterator]() {
        yield this.#text;
      }
    }
    const own = governed(() =>
      Object.freeze({
        size: () => 1,
        async *[Symbol.asyncIterator]() {
          yield SECRET;
        },
      }),
    )();
    const frozen = governed(() => new Frozen())();
    expect(frozen).toBeInstanceOf(Frozen);
    expect([frozen.size(), own.size()]).toEqual([SECRET.length, 1]);
    expect([await Array.fromAsync(frozen), await Array.fromAsync(own)]).toEqual([['[REDACTED]'], ['[REDACTED]']]);
  });

  test('the head of a response, with a body or without', async () => {
    const init = {
      statusText: SECRET,
      headers: [
        ['x-a', 'fine'],
        ['set-cookie', SECRET],
      ] as [string, string][],
    };
    for (const body of ['text', null]) {
      const response = governed(() => new Response(body, init))();
      expect([response.statusText, response.headers.getSetCookie()]).toEqual(['[REDACTED]', ['[REDACTED]']]);
      expect([response.headers.get('x-a'), await response.text()]).toEqual(['fine', body ?? '']);
    }
    expect(ends().map(({ detections }) => detections.length)).toEqual([2, 2]);
    expect(governed(() => new Response('text', init), { flags: 'secrets=block' })).toThrow(PolicyBlockError);
    expect(ends().at(-1)).toMatchObject({ blocked: true });
  });

  test('bytes that begin where another secret ends', async () => {
    const items = [OTHER, { a: 1 }, Buffer.from(SECRET), Buffer.from(OTHER), Buffer.from(SECRET)];
    const got = await Array.fromAsync(governed(() => Readable.from([...items, ...items]))());
    const text = got.map((item) => (Buffer.isBuffer(item) ? item.toString() : JSON.stringify(item))).join('\n');
    expect(text).not.toContain(SECRET.slice(4));
    expect(text).not.toContain(OTHER.slice(4));
  });

  test.each(['hex', 'base64', 'base64url', 'utf16le', 'latin1', 'utf8'] as const)(
    'a stream of bytes that is read as %s',
    async (encoding) => {
      const wide = encoding === 'utf16le' || encoding === 'latin1' ? encoding : 'utf8';
      const bytes = Buffer.from(`before ${SECRET} aftér`, wide);
      for (const size of [1, 5, 1000]) {
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
          bytes.subarray(at * size, (at + 1) * size),
        );
        const read = governed(() => Readable.from(chunks, { objectMode: false }).setEncoding(encoding))();
        const text = (await Array.fromAsync(read)).join('');
        expect(Buffer.from(text, encoding).toString(wide)).toBe('before [REDACTED] aftér');
      }
    },
  );

  test('bytes that are read into a buffer of the reader’s own', async () => {
    const response = governed(() => new Response(`before ${SECRET} after`))();
    const reader = (response.body as ReadableStream<Uint8Array>).getReader({ mode: 'byob' });
    let text = '';
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(7));
      text += Buffer.from(value ?? []).toString();
      if (done) break;
    }
    expect(text).toBe('before [REDACTED] after');
    expect(ends()).toMatchObject([{ outcome: 'returned' }]);
  });

  test('what a stream of a class of its own has besides', async () => {
    class Answer extends Readable {
      readonly statusCode = 200;
      readonly headers = { 'x-token': SECRET, 'x-a': 'fine' };
      readonly #size = 3;
      get size(): number {
        return this.#size;
      }
      resize(by: number): number {
        return this.#size * by;
      }
      override _read(): void {
        this.push(null);
      }
    }
    const answer = governed(() => new Answer())();
    expect([answer.statusCode, answer.size, answer.resize(2)]).toEqual([200, 3, 6]);
    expect(answer.headers).toEqual({ 'x-token': '[REDACTED]', 'x-a': 'fine' });
    expect(await Array.fromAsync(answer)).toEqual([]);
    expect(ends()).toMatchObject([{ outcome: 'returned', detections: [{}] }]);
    const blocked = governed(() => new Answer(), { flags: 'secrets=block' })();
    expect(() => blocked.headers).toThrow(PolicyBlockError);
  });

  test('a stream of another make than ours', async () => {
    // As `readable-stream` has it: the same methods, another class.
    const foreign = () => {
      const source = Readable.from([SECRET.slice(0, 9), SECRET.slice(9)]);
      const look = Object.create(null) as Record<PropertyKey, unknown>;
      for (const name of ['on', 'once', 'pipe', 'read', 'destroy', Symbol.asyncIterator] as const) {
        look[name] = (source[name] as (...args: unknown[]) => unknown).bind(source);
      }
      return { ...look, readableObjectMode: true, readableEncoding: null, errored: null } as unknown as Readable;
    };
    const items: unknown[] = [];
    const stream = governed(foreign)().on('data', (item) => items.push(item));
    await once(stream, 'close');
    expect(items.join('')).toBe('[REDACTED]');
  });

  test('the allowed twin: a socket is written to and read, and ends for both sides', async () => {
    const echo = governed(
      () =>
        new Duplex({
          read: () => undefined,
          write: (_chunk, _encoding, done) => done(),
          final(done) {
            this.push('fine');
            this.push(null);
            done();
          },
        }),
    );
    const socket = echo();
    socket.end('question');
    expect(Buffer.concat(await Array.fromAsync(socket)).toString()).toBe('fine');
    expect(ends()).toMatchObject([{ outcome: 'returned' }]);
  });
});
