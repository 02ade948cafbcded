/** Secrets and personal data on their way in, out and into the journal. */
import { duplexPair, PassThrough, Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { govern, openMemoryJournal, PolicyBlockError, RedactionApplied } from '../src/index.ts';

const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-content-')));
afterAll(() => {
  rmSync(workspace, { recursive: true });
});

// Assembled, so that no scanner takes this file for a leak.
const SECRET = ['ghp', 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'].join('_');
const EMAIL = 'ada.lovelace@customer.example';

const echo = (flags: string, more: object = {}) => {
  const journal = openMemoryJournal();
  const tools = govern(
    {
      echo: (value: unknown) => value,
      later: async (value: unknown) => value,
      fail: (value: unknown): never => {
        throw new Error(String(value), { cause: new Error(String(value)) });
      },
      *each(values: readonly unknown[]) {
        yield* values;
      },
    },
    {
      flags,
      workspace,
      audit: journal,
      effects: { echo: { none: true }, later: { none: true }, fail: { none: true }, each: { none: true } },
      ...more,
    },
  );
  return { tools, journal, text: () => journal.lines().join('\n') };
};

describe('secrets', () => {
  test('are redacted by default in arguments, results, errors, streams and the record', async () => {
    const { tools, text } = echo('');
    expect(tools.echo({ note: `key ${SECRET}`, plain: 'x' })).toEqual({ note: 'key [REDACTED]', plain: 'x' });
    expect(await tools.later([SECRET])).toEqual(['[REDACTED]']);
    expect(() => tools.fail(SECRET)).toThrow('[REDACTED]');
    expect([...tools.each(['a', SECRET])]).toEqual(['a', '[REDACTED]']);
    expect(text()).not.toContain(SECRET);
    expect(text()).toContain('[REDACTED]');
  });

  test('block stops a call whose arguments hold one, and withholds a result that does', () => {
    const { tools, journal, text } = echo('secrets=block');
    expect(() => tools.echo(SECRET)).toThrow(PolicyBlockError);
    const [reveal] = govern(
      [
        function reveal() {
          return `token=${SECRET}`;
        },
      ],
      { flags: 'secrets=block', workspace, audit: journal },
    );
    expect(() => reveal()).toThrow(/Request blocked by detect_secrets/u);
    expect(text()).not.toContain(SECRET);
    expect(tools.echo('nothing here')).toBe('nothing here');
  });

  test('flag lets it through and still keeps it out of the record', () => {
    const { tools, text } = echo('secrets=flag');
    expect(tools.echo(SECRET)).toBe(SECRET);
    expect(text()).not.toContain(SECRET);
    expect(text()).toContain('detect_secrets');
  });

  test('no secret stays in the journal, wherever it is planted', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 3 }),
        fc.constantFrom('argument', 'result', 'error', 'key'),
        fc.nat(),
        fc.constantFrom('', 'observe', 'flag', 'block'),
        (value, where, seed, how) => {
          const planted = JSON.parse(
            plant(JSON.stringify({ value, list: [value, 'x'] }), seed, where === 'key'),
          ) as unknown;
          const journal = openMemoryJournal();
          const flags = how === 'observe' ? 'mode=observe, secrets=block' : how === '' ? '' : `secrets=${how}`;
          const { give } = govern(
            {
              give: (_given: unknown) => {
                if (where === 'error') throw new Error(JSON.stringify(planted));
                return where === 'result' ? planted : 'done';
              },
            },
            { flags, workspace, audit: journal },
          );
          try {
            give(where === 'argument' || where === 'key' ? planted : 'plain');
          } catch {
            // A block or the planted error: the record is what is looked at.
          }
          expect(journal.lines().join('\n')).not.toContain(SECRET);
        },
      ),
      { numRuns: 150 },
    );
  });
});

/** Puts the secret at one of the strings of a JSON text, or makes it a key. */
const plant = (json: string, seed: number, asKey: boolean): string => {
  if (asKey) return json.replace('"list"', JSON.stringify(`list ${SECRET}`));
  const spots = [...json.matchAll(/"x"/gu)].map(({ index }) => index);
  const spot = spots[seed % spots.length] ?? 0;
  return `${json.slice(0, spot)}${JSON.stringify(`see ${SECRET}.`)}${json.slice(spot + 3)}`;
};

describe('personal data', () => {
  test('off by default; masked, blocked or flagged when asked', () => {
    expect(echo('').tools.echo(EMAIL)).toBe(EMAIL);
    expect(echo('pii=mask').tools.echo({ to: EMAIL })).toEqual({ to: '[MASKED_EMAIL]' });
    expect(echo('pii=flag').tools.echo(EMAIL)).toBe(EMAIL);
    expect(() => echo('pii=block').tools.echo(`${EMAIL} or +1 202 555 0143`)).toThrow(
      'Request blocked by detect_pii — PII detected: EMAIL, PHONE_NUMBER',
    );
  });

  test('masks stand under observe, and any finding blocks under lockdown', () => {
    expect(echo('mode=observe, pii=mask').tools.echo(EMAIL)).toBe('[MASKED_EMAIL]');
    expect(echo('mode=observe, pii=block').tools.echo(EMAIL)).toBe(EMAIL);
    expect(() => echo('mode=lockdown, pii=flag').tools.echo(EMAIL)).toThrow(PolicyBlockError);
  });

  test('the classification of a call says what was found', () => {
    const { tools, journal } = echo('pii=flag');
    tools.echo('hello');
    tools.echo(EMAIL);
    tools.echo('card 4111 1111 1111 1111');
    const classes = [...journal.read()].toReversed().filter(({ type }) => type === 'call-ended');
    expect(classes.map((event) => (event as { classification?: string }).classification)).toEqual([
      'PUBLIC',
      'CONFIDENTIAL',
      'RESTRICTED',
    ]);
  });

  test('raiseOnRedaction hands the redacted result over in an error', () => {
    const { tools } = echo('pii=mask', { raiseOnRedaction: true });
    const [look] = govern(
      [
        function look() {
          return `write to ${EMAIL}`;
        },
      ],
      { flags: 'pii=mask', workspace, audit: false, raiseOnRedaction: true },
    );
    try {
      look();
      throw new Error('expected RedactionApplied');
    } catch (error) {
      expect(error).toBeInstanceOf(RedactionApplied);
      expect(error).toMatchObject({
        redactions: [{ type: 'EMAIL', count: 1 }],
        redactedContent: 'write to [MASKED_EMAIL]',
      });
    }
    expect(tools.echo('clean')).toBe('clean');
  });
});

describe('streams', () => {
  const pieces = (text: string, size: number): readonly string[] =>
    Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.slice(index * size, (index + 1) * size));
  const source = `The key is ${SECRET} and this is what comes after it. `.repeat(20);

  const streaming = (flags: string) => {
    const journal = openMemoryJournal();
    const tools = govern(
      {
        *sync(size: number) {
          yield* pieces(source, size);
        },
        async *later(size: number) {
          yield* pieces(source, size);
        },
        web: (size: number) => ReadableStream.from(pieces(source, size)),
      },
      { flags, workspace, audit: journal },
    );
    return { tools, journal };
  };

  test.each([1, 3, 7, 40, 5000])('a border every %i characters hides nothing, and no item is lost', async (size) => {
    const { tools, journal } = streaming('');
    const wanted = pieces(source, size).length;
    const sync = [...tools.sync(size)];
    const later = await Array.fromAsync(tools.later(size));
    const web = await Array.fromAsync(tools.web(size) as unknown as AsyncIterable<string>);
    for (const items of [sync, later, web]) {
      const text = items.join('');
      expect(text).not.toContain(SECRET.slice(4));
      expect(text.replaceAll('[REDACTED]', SECRET)).toBe(source);
    }
    expect([sync.length, later.length]).toEqual([wanted, wanted]);
    const ended = [...journal.read()].filter(({ type }) => type === 'call-ended');
    expect(ended).toHaveLength(3);
    expect(ended.every((event) => JSON.stringify(event).includes('detect_secrets'))).toBe(true);
  });

  test('block ends a stream before the secret, whichever kind it is', async () => {
    const { tools, journal } = streaming('secrets=block');
    const got: string[] = [];
    expect(() => {
      for (const item of tools.sync(3)) got.push(item);
    }).toThrow(PolicyBlockError);
    await expect(
      (async () => {
        for await (const item of tools.later(3)) got.push(item);
      })(),
    ).rejects.toBeInstanceOf(PolicyBlockError);
    await expect(
      (async () => {
        for await (const item of tools.web(3) as unknown as AsyncIterable<string>) got.push(item);
      })(),
    ).rejects.toBeInstanceOf(PolicyBlockError);
    expect(got.join('')).not.toContain(SECRET.slice(4));
    const ended = [...journal.read()].filter(({ type }) => type === 'call-ended');
    expect(ended.map((event) => (event as { blocked?: boolean }).blocked)).toEqual([true, true, true]);
  });

  describe.each(['sync', 'later', 'web'] as const)('a private key that fills many pieces of a stream: %s', (kind) => {
    const key = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    }).privateKey;
    const text = `${'what comes before. '.repeat(30)}${key}${' what comes after. '.repeat(40)}`;
    const lines = key.split('\n').slice(1, -2);

    test.each([
      ['redact', 5],
      ['redact', 64],
      ['redact', 5000],
      ['block', 5],
      ['block', 64],
      ['block', 5000],
      ['flag', 5],
      ['flag', 64],
      ['flag', 5000],
    ] as const)('secrets=%s, in pieces of %i characters', async (flag, size) => {
      const journal = openMemoryJournal();
      const tools = govern(
        {
          *sync() {
            yield* pieces(text, size);
          },
          async *later() {
            yield* pieces(text, size);
          },
          web: () => ReadableStream.from(pieces(text, size)),
        },
        { flags: `secrets=${flag}`, workspace, audit: journal },
      );
      let got = '';
      let error: unknown;
      try {
        for await (const piece of tools[kind]() as AsyncIterable<string>) got += piece;
      } catch (thrown) {
        error = thrown;
      }
      const ended = [...journal.read()].filter(({ type }) => type === 'call-ended') as unknown as {
        blocked: boolean;
        detections: readonly unknown[];
      }[];
      expect(lines.filter((line) => got.includes(line))).toHaveLength(flag === 'flag' ? lines.length : 0);
      expect(error instanceof PolicyBlockError).toBe(flag === 'block');
      expect(ended).toMatchObject([{ blocked: flag === 'block', detections: [{ step: 'detect_secrets' }] }]);
    });
  });

  describe('of other makes', () => {
    const chunks = (size: number): readonly Buffer[] => {
      const bytes = Buffer.from(source.replaceAll('comes', 'kömmt'));
      return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
    };
    const texts = (size: number): readonly string[] => pieces(source.replaceAll('comes', 'kömmt'), size);
    const made = (flags = '') => {
      const journal = openMemoryJournal();
      const tools = govern(
        {
          async *bytes(size: number) {
            yield* chunks(size);
          },
          node: (size: number) => Readable.from(chunks(size), { objectMode: false }),
          objects: (size: number) => Readable.from(texts(size)),
          encoded: (size: number) => Readable.from(chunks(size), { objectMode: false }).setEncoding('utf8'),
          piped: (size: number) => Readable.from(chunks(size), { objectMode: false }).pipe(new PassThrough()),
          buffers: (size: number) => ReadableStream.from(chunks(size).map((part) => Uint8Array.from(part).buffer)),
          response: (size: number) => new Response(ReadableStream.from(chunks(size)) as ReadableStream<Uint8Array>),
          iterable: (size: number) => ({
            name: 'a stream of some library',
            async *[Symbol.asyncIterator]() {
              yield* texts(size);
            },
          }),
        },
        { flags, workspace, audit: journal },
      );
      return { tools, journal };
    };
    type Kind = Exclude<keyof ReturnType<typeof made>['tools'], 'coverage'>;
    const kinds = [
      'bytes',
      'buffers',
      'node',
      'objects',
      'encoded',
      'piped',
      'response',
      'iterable',
    ] as const satisfies Kind[];
    const read = async (tools: ReturnType<typeof made>['tools'], kind: Kind, size: number): Promise<string> => {
      const result: unknown = tools[kind](size);
      const items = result instanceof Response ? result.body : (result as AsyncIterable<string | Uint8Array>);
      const parts: Buffer[] = [];
      for await (const item of items ?? []) parts.push(Buffer.from(item as Uint8Array));
      return Buffer.concat(parts).toString();
    };

    test.each(kinds.flatMap((kind) => [1, 7, 64, 5000].map((size) => [kind, size] as const)))(
      '%s, in pieces of %i: masked across every border, and ended once',
      async (kind, size) => {
        const { tools, journal } = made();
        const text = await read(tools, kind, size);
        expect(text.replaceAll('[REDACTED]', SECRET)).toBe(source.replaceAll('comes', 'kömmt'));
        expect(text).not.toContain(SECRET);
        const ended = [...journal.read()].filter(({ type }) => type === 'call-ended');
        expect(ended).toMatchObject([{ outcome: 'returned', classification: 'RESTRICTED' }]);
      },
    );

    test.each(kinds)('%s: block ends it before the secret', async (kind) => {
      const { tools, journal } = made('secrets=block');
      await expect(read(tools, kind, 7)).rejects.toBeInstanceOf(PolicyBlockError);
      expect([...journal.read()].filter(({ type }) => type === 'call-ended')).toMatchObject([{ blocked: true }]);
    });

    test('they stay what they are: mode, encoding, status, headers, members', async () => {
      const { tools } = made();
      expect(tools.node(9)).toMatchObject({ readableObjectMode: false, readableEncoding: null });
      expect(tools.objects(9)).toMatchObject({ readableObjectMode: true });
      expect(tools.encoded(9)).toMatchObject({ readableEncoding: 'utf8' });
      expect(tools.iterable(9).name).toBe('a stream of some library');
      const { answer } = govern(
        { answer: () => new Response('fine', { status: 201, headers: { 'x-a': 'b' } }) },
        { flags: '', workspace, audit: false },
      );
      const response = answer();
      expect([response.status, response.headers.get('x-a'), await response.text()]).toEqual([201, 'b', 'fine']);
    });

    test('bytes that are no text come through unharmed', async () => {
      const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, at) => (at * 31) % 256));
      const { image } = govern(
        { image: () => Readable.from([bytes.subarray(0, 999), bytes.subarray(999)], { objectMode: false }) },
        { flags: '', workspace, audit: false },
      );
      expect(Buffer.concat(await Array.fromAsync(image())).equals(bytes)).toBe(true);
    });

    test('an error of the source is masked, and is the end of the call, read or not', async () => {
      const journal = openMemoryJournal();
      const { broken } = govern(
        {
          broken: () =>
            new Readable({
              read() {
                this.destroy(new Error(`no answer for ${SECRET}`));
              },
            }),
        },
        { flags: '', workspace, audit: journal },
      );
      await expect(Array.fromAsync(broken())).rejects.toThrow('no answer for [REDACTED]');
      const unread = broken();
      unread.on('error', () => undefined);
      const gone = new Promise((resolve) => unread.once('close', resolve));
      unread.resume();
      await gone;
      const ended = [...journal.read()].filter(({ type }) => type === 'call-ended');
      expect(ended).toMatchObject([{ outcome: 'threw' }, { outcome: 'threw' }]);
    });

    test('what a caller writes to a socket still arrives', async () => {
      const { echo } = govern(
        {
          echo: () => {
            const [near, far] = duplexPair();
            far.on('data', (data: Buffer) => far.end(`you said ${data.toString()}`));
            return near;
          },
        },
        { flags: '', workspace, audit: false },
      );
      const socket = echo();
      socket.write(SECRET);
      expect(Buffer.concat(await Array.fromAsync(socket)).toString()).toBe('you said [REDACTED]');
    });

    test('one that is dropped unread, or half read, has an end in the journal', async () => {
      setFlagsFromString('--expose-gc');
      const collect = runInNewContext('gc') as () => void;
      const { tools, journal } = made();
      await (async () => {
        await tools.bytes(64).next();
        tools.iterable(64);
        tools.response(64);
        await tools.iterable(64)[Symbol.asyncIterator]().next();
      })();
      const ended = (): number => [...journal.read()].filter(({ type }) => type === 'call-ended').length;
      for (let round = 0; round < 1000 && ended() < 4; round += 1) {
        collect();
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(ended()).toBe(4);
    });
  });

  test('values that are no text go on one by one, at once', () => {
    const { numbers } = govern(
      {
        *numbers() {
          yield 1;
          yield { note: SECRET };
          yield 3;
        },
      },
      { flags: '', workspace, audit: false },
    );
    const running = numbers();
    expect([running.next().value, running.next().value, running.next().value]).toEqual([1, { note: '[REDACTED]' }, 3]);
  });
});
