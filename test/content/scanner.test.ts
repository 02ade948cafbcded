import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { createContentScanner } from '../../src/content/scanner.ts';

const both = createContentScanner({ pii: 'mask' });
const secretsOnly = createContentScanner();
const masked = (value: unknown): unknown => both.transform(value).value;

/** Made here: the shapes are public, the values are not anyone's. */
const GITHUB = `ghp_${'aB3dE6gH9j'.repeat(4).slice(0, 36)}`;
const AWS = 'AKIAZZ7F3JQ2LMNOPQR4';

test('personal data is masked by type, and what stands around it stays', () => {
  expect(masked('mail bob@example.com or call +1 415 555 0132, ssn 460-89-9847.')).toBe(
    'mail [MASKED_EMAIL] or call [MASKED_PHONE_NUMBER], ssn [MASKED_SSN].',
  );
  expect(masked('card 4012 8888 8888 1881 from 192.168.1.4, iban GB56 HXDO 8816 7774 6561 19')).toBe(
    'card [MASKED_CREDIT_CARD] from [MASKED_IP_ADDRESS], iban [MASKED_IBAN]',
  );
  expect(masked('4012 8888 8888 1882 is no card, 999.1.1.1 no address, 000-12-3456 no number')).toBe(
    '4012 8888 8888 1882 is no card, 999.1.1.1 no address, 000-12-3456 no number',
  );
});

test('pii=off does not look for personal data, secrets=redact still finds secrets', () => {
  expect(secretsOnly.transform('bob@example.com').value).toBe('bob@example.com');
  expect(secretsOnly.transform(`bob@example.com ${GITHUB}`).value).toBe('bob@example.com [REDACTED]');
});

test('values behind telling names are redacted, and ordinary ones are not', () => {
  const value = {
    password: 'hunter2x',
    note: 'the password is reset weekly',
    headers: [
      { name: 'X-Api-Key', value: 'k3y-93jf84hf83' },
      { name: 'Accept', value: 'text/html' },
    ],
    nextPageToken: 'CAUQAA9x8s7d6f5g',
    url: 'postgres://app:s3cr3t-w0rd@db.internal/app',
    count: 12,
  };
  expect(masked(value)).toEqual({
    ...value,
    password: '[REDACTED]',
    headers: [
      { name: 'X-Api-Key', value: '[REDACTED]' },
      { name: 'Accept', value: 'text/html' },
    ],
    url: 'postgres://app:[REDACTED]@db.internal/app',
  });
});

test('names of members are masked too, and no two of them fall together', () => {
  expect(masked({ 'a@example.com': 1, 'b@example.com': 2, plain: 3 })).toEqual({
    '[MASKED_EMAIL]': 1,
    '[MASKED_EMAIL]_2': 2,
    plain: 3,
  });
});

test('findings say where, and never what', () => {
  const { findings } = both.transform({ list: [{ text: `key ${AWS}` }], [`x ${GITHUB}`]: { deep: 'bob@example.com' } });
  expect(findings.map(({ kind, type, pointer }) => ({ kind, type, pointer }))).toEqual([
    { kind: 'secret', type: 'SECRET', pointer: '/list/0/text' },
    { kind: 'secret', type: 'SECRET', pointer: '' },
    { kind: 'pii', type: 'EMAIL', pointer: '/x [REDACTED]/deep' },
  ]);
  expect(JSON.stringify(findings)).not.toMatch(/AKIA|ghp_|bob/u);
});

test('a value in which nothing is found comes back as the same reference', () => {
  const clean = {
    a: [1, 'two', { three: new Map([['k', 'v']]) }],
    b: new Error('plain'),
    c: new Uint8Array([1, 2, 3]),
  };
  expect(both.transform(clean).value).toBe(clean);
  expect(both.transform(clean).changed).toBe(false);
});

test('an error keeps its class, and loses the secret in message, stack, cause and own members', () => {
  class DatabaseError extends Error {
    readonly query: string;
    constructor(message: string, query: string, cause: unknown) {
      super(message, { cause });
      this.query = query;
    }
  }
  const error = new DatabaseError(`connect ${AWS}`, 'where mail = bob@example.com', new Error(GITHUB));
  const result = masked(error) as DatabaseError;
  expect(result).toBeInstanceOf(DatabaseError);
  expect(result.message).toBe('connect [REDACTED]');
  expect(result.stack).toContain('scanner.test.ts');
  expect(result.stack).not.toContain(AWS);
  expect((result.cause as Error).message).toBe('[REDACTED]');
  expect(result.query).toBe('where mail = [MASKED_EMAIL]');
  expect(error.message).toContain(AWS);
});

test('bytes that are text are scanned and keep their class; other bytes are left alone', () => {
  const buffer = Buffer.from(`token ${GITHUB} end`);
  expect(String(masked(buffer))).toBe('token [REDACTED] end');
  expect(Buffer.isBuffer(masked(buffer))).toBe(true);
  const binary = Buffer.from([0, 255, 254, 13, 200, 1]);
  expect(masked(binary)).toBe(binary);
});

test('what the call addresses is reported and left as it is; the journal copy is masked', () => {
  const call = { to: 'bob@example.com', cc: ['eve@example.com'], body: 'from bob@example.com' };
  const { value, findings } = both.transform(call, { exempt: ['/to', '/cc'] });
  expect(value).toEqual({ to: 'bob@example.com', cc: ['eve@example.com'], body: 'from [MASKED_EMAIL]' });
  expect(findings.map(({ pointer }) => pointer)).toEqual(['/to', '/cc/0', '/body']);
  expect(JSON.stringify(both.record(call).value)).not.toContain('example.com');
});

test('rewrites name the smallest values that change', () => {
  const call = { to: 'bob@example.com', parts: ['plain', `x ${GITHUB}`] };
  expect(both.rewrites(call, { exempt: ['/to'] }).rewrites).toEqual([{ pointer: '/parts/1', value: 'x [REDACTED]' }]);
});

test('secrets=flag and pii=flag report and change nothing, except in the journal copy', () => {
  const flagging = createContentScanner({ pii: 'flag', secrets: 'flag' });
  const text = `bob@example.com ${GITHUB}`;
  expect(flagging.transform(text).value).toBe(text);
  expect(flagging.transform(text).findings).toHaveLength(2);
  expect(flagging.record(text).value).toBe('[MASKED_EMAIL] [REDACTED]');
});

describe('what an object keeps to itself', () => {
  class Account {
    readonly #token: string;
    readonly name = 'ops';
    constructor(token: string) {
      this.#token = token;
    }
    toJSON(): unknown {
      return { name: this.name, tokens: [{ token: this.#token }] };
    }
  }
  const scanner = createContentScanner({});

  test.each([
    ['a class', new Account('AKIAZ7Q2M4T6W8XKPL3N'), { name: 'ops', tokens: [{ token: '[REDACTED]' }] }],
    ['text', { toJSON: () => 'AKIAZ7Q2M4T6W8XKPL3N' }, '[REDACTED]'],
    ['a list', { toJSON: () => ['AKIAZ7Q2M4T6W8XKPL3N'] }, ['[REDACTED]']],
    ['within', [[new Account('AKIAZ7Q2M4T6W8XKPL3N')]], [[{ name: 'ops', tokens: [{ token: '[REDACTED]' }] }]]],
  ])('and tells JSON: %s', (_what, value, wanted) => {
    expect(JSON.stringify(value)).toContain('AKIAZ7Q2M4T6W8XKPL3N');
    expect(scanner.transform(value)).toMatchObject({ value: wanted, changed: true });
  });

  test('and that is clean: the object itself goes on', () => {
    const account = new Account('none');
    expect(scanner.transform(account).value).toBe(account);
    const itself: { toJSON?: () => unknown } = {};
    itself.toJSON = () => itself;
    expect(scanner.transform(itself).value).toBe(itself);
    const when = new Date(0);
    expect(scanner.transform({ when }).value).toEqual({ when });
  });

  test('a URL stays one, and bytes in any wrapping are read', () => {
    const url = both.transform(new URL('http://x.example/?q=joe@example.com')).value;
    expect(url).toBeInstanceOf(URL);
    expect((url as URL).href).not.toContain('joe@');
    const bytes = new TextEncoder().encode('key AKIAZ7Q2M4T6W8XKPL3N '.repeat(4));
    for (const view of [new DataView(bytes.buffer), new Uint16Array(bytes.buffer), new Int8Array(bytes.buffer)]) {
      expect(new TextDecoder().decode(scanner.transform(view).value as Uint8Array)).toBe('key [REDACTED] '.repeat(4));
    }
    const shared = new SharedArrayBuffer(bytes.length);
    new Uint8Array(shared).set(bytes);
    expect(new TextDecoder().decode(scanner.transform(shared).value as ArrayBuffer)).not.toContain('AKIA');
    const plain = new Uint16Array([1, 2, 3]);
    expect(scanner.transform(plain).value).toBe(plain);
  });

  test('headers and search parameters', () => {
    const headers = new Headers({ accept: '*/*', authorization: 'Bearer AKIAZ7Q2M4T6W8XKPL3N' });
    const masked = scanner.transform(headers).value as Headers;
    expect([masked.get('accept'), masked.get('authorization')?.includes('AKIA')]).toEqual(['*/*', false]);
    const search = new URLSearchParams('q=cats&q=dogs&key=AKIAZ7Q2M4T6W8XKPL3N');
    expect(String(scanner.transform(search).value)).toBe('q=cats&q=dogs&key=%5BREDACTED%5D');
    const plain = new URLSearchParams('q=cats');
    expect(scanner.transform(plain).value).toBe(plain);
  });
});

describe('what leads back to itself', () => {
  const MAIL = 'bob@example.com';

  test('is masked wherever it is met, and stays the shape it is', () => {
    const shared = { mail: MAIL };
    const loop: Record<string, unknown> = { one: shared, two: shared, kids: [{ parent: undefined as unknown }] };
    loop['self'] = loop;
    (loop['kids'] as { parent: unknown }[])[0] = { parent: loop };
    const result = masked(loop) as { one: object; two: object; self: object; kids: { parent: object }[] };
    expect(result.one).toEqual({ mail: '[MASKED_EMAIL]' });
    expect(result.two).toBe(result.one);
    expect(result.self).toBe(result);
    expect(result.kids[0]?.parent).toBe(result);
  });

  test('as a list, a map, a set, an error, an object of a class', () => {
    const list: unknown[] = [MAIL];
    list.push(list);
    const one = masked(list) as unknown[];
    expect([one[0], one[1] === one]).toEqual(['[MASKED_EMAIL]', true]);

    const map = new Map<string, unknown>([['mail', MAIL]]);
    map.set('self', map);
    const two = masked(map) as typeof map;
    expect([two.get('mail'), two.get('self') === two]).toEqual(['[MASKED_EMAIL]', true]);

    const set = new Set<unknown>([MAIL]);
    set.add(set);
    const three = masked(set) as typeof set;
    expect([three.has('[MASKED_EMAIL]'), three.has(three), three.size]).toEqual([true, true, 2]);

    const request = { answer: {} as Record<string, unknown>, by: MAIL };
    request.answer['request'] = request;
    const error = Object.assign(new TypeError(`no ${MAIL}`), { request });
    Object.assign(error, { self: error });
    const four = masked(error) as typeof error & { self: unknown };
    expect(four).toBeInstanceOf(TypeError);
    expect([four.message, four.self === four]).toEqual(['no [MASKED_EMAIL]', true]);
    expect((four.request.answer['request'] as typeof request).by).toBe('[MASKED_EMAIL]');

    class Node {
      mail = MAIL;
      next: Node = this;
    }
    const five = masked(new Node()) as Node;
    expect(five).toBeInstanceOf(Node);
    expect([five.mail, five.next === five]).toEqual(['[MASKED_EMAIL]', true]);
  });

  test('what it says of itself to JSON takes its place there as well', () => {
    class Kid {
      readonly parent: Root;
      constructor(parent: Root) {
        this.parent = parent;
      }
      toJSON(): object {
        return { name: 'kid' };
      }
    }
    class Root {
      readonly #mail = MAIL;
      readonly kids: Kid[] = [];
      toJSON(): object {
        return { mail: this.#mail, kids: this.kids };
      }
    }
    const root = new Root();
    root.kids.push(new Kid(root));
    expect(JSON.stringify({ root })).toContain(MAIL);
    expect(JSON.stringify(masked({ root }))).toBe('{"root":{"mail":"[MASKED_EMAIL]","kids":[{"name":"kid"}]}}');
  });

  test('is told of once, and left as it is where nothing is found', () => {
    const loop: Record<string, unknown> = { mail: MAIL };
    loop['self'] = loop;
    expect(both.scan(loop)).toMatchObject([{ type: 'EMAIL', pointer: '/mail' }]);
    expect(both.transform(loop).findings).toHaveLength(1);
    const plain: Record<string, unknown> = { mail: 'none' };
    plain['self'] = plain;
    expect(masked(plain)).toBe(plain);
  });
});

describe('what stands beside the members that names show', () => {
  test('a match of a regular expression carries the whole text', () => {
    const found = /mail (?<who>\S+)/u.exec('the mail bob@example.com is his, and ann@example.com is hers');
    const result = masked(found) as RegExpExecArray;
    expect([result.input, result[0], result.index]).toEqual([
      'the mail [MASKED_EMAIL] is his, and [MASKED_EMAIL] is hers',
      'mail [MASKED_EMAIL]',
      4,
    ]);
    expect(result.groups).toEqual({ who: '[MASKED_EMAIL]' });
    const harmless = /a/u.exec('a b');
    expect(masked(harmless)).toBe(harmless);
  });

  test('an object that shows one thing and describes another', () => {
    const sly = new Proxy(
      { first: 'none', second: 'ann@example.com' },
      {
        getOwnPropertyDescriptor: (target, key) => ({
          ...Reflect.getOwnPropertyDescriptor(target, key),
          value: 'bob@example.com',
          configurable: true,
        }),
      },
    );
    expect(JSON.stringify(masked(sly))).toBe('{"first":"none","second":"[MASKED_EMAIL]"}');
  });

  test('objects of another realm', () => {
    const there = (code: string): unknown => masked(runInNewContext(code));
    expect((there(`new Error('to bob@example.com')`) as Error).message).toBe('to [MASKED_EMAIL]');
    expect((there(`new Map([['to', 'bob@example.com']])`) as Map<string, string>).get('to')).toBe('[MASKED_EMAIL]');
    expect([...(there(`new Set(['bob@example.com'])`) as Set<string>)]).toEqual(['[MASKED_EMAIL]']);
    expect(JSON.stringify(there(`({ to: ['bob@example.com'] })`))).toBe('{"to":["[MASKED_EMAIL]"]}');
  });

  test('an object that calls itself a text', () => {
    class Text {
      readonly mail = 'bob@example.com';
      get [Symbol.toStringTag](): string {
        return 'String';
      }
      valueOf(): string {
        return 'none';
      }
    }
    expect((masked(new Text()) as Text).mail).toBe('[MASKED_EMAIL]');
  });

  test('a text in an object', () => {
    expect(masked(Object('to bob@example.com'))).toBe('to [MASKED_EMAIL]');
  });

  test('a getter that gives something else the second time', () => {
    let times = 0;
    const sly = {
      get first() {
        times += 1;
        return times === 1 ? 'none' : 'bob@example.com';
      },
      second: 'ann@example.com',
    };
    expect(masked(sly)).toEqual({ first: 'none', second: '[MASKED_EMAIL]' });
    expect(times).toBe(1);
  });

  test('symbols, hidden members and holes are kept', () => {
    const mark = Symbol('mark');
    const given = Object.defineProperties(
      { [mark]: 1, mail: 'bob@example.com', [Symbol.for('mail')]: 'ann@example.com' },
      { hidden: { value: 2 }, told: { value: 'ann@example.com' }, lazy: { get: () => 'ann@example.com' } },
    );
    const result = masked(given) as Record<PropertyKey, unknown>;
    expect([result['mail'], result[mark], result['hidden']]).toEqual(['[MASKED_EMAIL]', 1, 2]);
    expect(Object.keys(result)).toEqual(['mail']);
    // What hides more is left out.
    const deep = Object.defineProperty({ mail: 'bob@example.com' }, 'hidden', {
      value: Object.defineProperty({}, 'deeper', { value: { mail: 'bob@example.com' } }),
    });
    expect(Object.getOwnPropertyNames(masked(deep))).toEqual(['mail']);
    // What is copied is looked through.
    for (const name of ['told', 'lazy', Symbol.for('mail')]) expect(result[name]).toBe('[MASKED_EMAIL]');
    const sparse = ['bob@example.com'];
    sparse[3] = 'none';
    expect(1 in (masked(sparse) as string[])).toBe(false);
    // As long as a list can be: nobody looks at each place.
    const vast = ['none'];
    vast[4_294_967_294] = 'bob@example.com';
    expect((masked(vast) as string[])[4_294_967_294]).toBe('[MASKED_EMAIL]');
  });
});

test('digits in circles are digits; signs before the items of a list, fractions, units and sentences stand apart', () => {
  const scanner = createContentScanner({ pii: 'mask' });
  expect(both.transformText('ssn ④⑥⓪-⑧⑨-⑨⑧④⑦ ok').text).toBe('ssn [MASKED_SSN] ok');
  expect(both.transformText('ⓟⓐssword=hunter22x ok').text).toBe('ⓟⓐssword=[REDACTED] ok');
  for (const sign of ['⑴', '⒇', '⒜', '½', '㎯', 'ﷺ'])
    expect(scanner.transformText(`${sign}460-89-9847 ${sign}`).text).toBe(`${sign}[MASKED_SSN] ${sign}`);
  expect(scanner.transformText('from ⒑⒋⒉1 ok').text).toBe('from [MASKED_IP_ADDRESS] ok');
  for (const text of ['take ½ of 415-55', '46½-89-9847', '9 ㎯ and 12 ㎨', '④⑥⓪-⑧⑨ ok'])
    expect(scanner.transformText(text)).toEqual({ text, findings: [] });
});
