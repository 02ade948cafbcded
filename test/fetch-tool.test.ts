import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ResolvedAddress } from '../src/broker/network.ts';
import { TapPassConfigError } from '../src/errors.ts';
import { fetchTool, type FetchToolOptions } from '../src/fetch-tool.ts';
import { govern } from '../src/govern.ts';
import { TEST_CERTIFICATE, TEST_KEY } from './fixtures/tls.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

interface Heard {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const heard: Heard[] = [];
const answers = new Map<string, Answer>();
let server: Server;
let other: Server;
let port: number;
let otherPort: number;

const listen = async (): Promise<Server> => {
  const made = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      heard.push({
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      });
      const answer = answers.get(request.url ?? '');
      if (answer === undefined) response.end('hello');
      else answer(request, response);
    });
  });
  await new Promise<void>((resolve) => {
    made.listen(0, '127.0.0.1', resolve);
  });
  return made;
};

beforeAll(async () => {
  server = await listen();
  other = await listen();
  port = (server.address() as AddressInfo).port;
  otherPort = (other.address() as AddressInfo).port;
});

afterAll(() => {
  for (const one of [server, other]) {
    one.close();
    one.closeAllConnections();
  }
});

beforeEach(() => {
  heard.length = 0;
  answers.clear();
});

const local = (options: Partial<FetchToolOptions> = {}) =>
  fetchTool({ allowedDomains: [], allowPrivate: [`127.0.0.1:${port}`], timeoutMs: 5_000, ...options });
const at = (path: string): string => `http://127.0.0.1:${port}${path}`;
const resolvesTo =
  (...addresses: readonly string[]) =>
  async (): Promise<readonly ResolvedAddress[]> =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

describe('where it goes', () => {
  test('to what is allowed, and to nothing else', async () => {
    await expect(local().execute({ url: at('/') })).resolves.toMatchObject({ status: 200, body: 'hello' });
    for (const url of [
      `http://127.0.0.1:${otherPort}/`,
      `http://localhost:${port}/`,
      `http://127.1:${port}/`,
      'https://example.com/',
      'file:///etc/passwd',
    ]) {
      await expect(local().execute({ url })).rejects.toMatchObject({ code: 'TAPPASS_NETWORK_REFUSED' });
    }
    await expect(local({ allowPrivate: [] }).execute({ url: at('/') })).rejects.toMatchObject({
      code: 'TAPPASS_NETWORK_REFUSED',
    });
    expect(heard).toHaveLength(1);
  });

  test('a name that resolves to a private address is not dialled, unless that address is allowed', async () => {
    const name = `http://intern.example:${port}/`;
    const allowedDomains = [`intern.example:${port}`];
    const refused = { code: 'TAPPASS_NETWORK_REFUSED' };
    const lookup = resolvesTo('127.0.0.1');
    await expect(local({ allowedDomains, allowPrivate: [], lookup }).execute({ url: name })).rejects.toMatchObject(
      refused,
    );
    await expect(
      local({ allowedDomains, allowPrivate: [`127.0.0.1:${otherPort}`], lookup }).execute({ url: name }),
    ).rejects.toMatchObject(refused);
    for (const address of ['169.254.169.254', '::1', '::ffff:127.0.0.1', '10.0.0.1', 'fd00:ec2::254', '0.0.0.0']) {
      await expect(
        local({ allowedDomains, allowPrivate: [], lookup: resolvesTo('93.184.216.34', address) }).execute({
          url: name,
        }),
      ).rejects.toMatchObject(refused);
    }
    expect(heard).toHaveLength(0);
    await expect(local({ allowedDomains, lookup }).execute({ url: name })).resolves.toMatchObject({ status: 200 });
    expect(heard[0]?.headers.host).toBe(`intern.example:${port}`);
  });

  test('a name is asked for once: a second answer cannot lead elsewhere', async () => {
    let asked = 0;
    const lookup = async (): Promise<readonly ResolvedAddress[]> => {
      asked += 1;
      return [{ address: asked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }];
    };
    const tool = local({ allowedDomains: [`intern.example:${port}`], lookup });
    await expect(tool.execute({ url: `http://intern.example:${port}/` })).resolves.toMatchObject({ status: 200 });
    expect(asked).toBe(1);
  });

  test('proxies from the environment are not used', async () => {
    const before = { ...process.env };
    Object.assign(process.env, {
      HTTP_PROXY: `http://127.0.0.1:${otherPort}`,
      http_proxy: `http://127.0.0.1:${otherPort}`,
      NODE_USE_ENV_PROXY: '1',
    });
    try {
      await local().execute({ url: at('/direct') });
    } finally {
      process.env = before;
    }
    expect(heard.map(({ path }) => path)).toEqual(['/direct']);
  });

  test('a broken list is an error of the program', () => {
    expect(() => fetchTool({ allowedDomains: ['https://example.com'] })).toThrow(TapPassConfigError);
    expect(() => fetchTool({ allowedDomains: ['example.com'], timeoutMs: Number.NaN })).toThrow(TapPassConfigError);
  });
});

describe('redirects', () => {
  const redirect =
    (to: string, status = 302): Answer =>
    (_request, response) => {
      response.writeHead(status, { location: to }).end();
    };

  test('are followed where they may lead, and refused elsewhere', async () => {
    answers.set('/a', redirect('/b'));
    await expect(local().execute({ url: at('/a') })).resolves.toMatchObject({ url: at('/b'), redirects: [at('/a')] });
    for (const to of [
      `http://127.0.0.1:${otherPort}/`,
      'http://169.254.169.254/',
      '//evil.example/',
      'file:///etc/passwd',
      `http://x@127.0.0.1:${port}/`,
      'http://[',
    ]) {
      answers.set('/a', redirect(to));
      heard.length = 0;
      await expect(local().execute({ url: at('/a') })).rejects.toMatchObject({ code: 'TAPPASS_NETWORK_REFUSED' });
      expect(heard).toHaveLength(1);
    }
  });

  test('do not go on for ever', async () => {
    answers.set('/loop', redirect('/loop'));
    await expect(local({ redirects: 3 }).execute({ url: at('/loop') })).rejects.toThrow(/redirects/u);
    expect(heard).toHaveLength(4);
  });

  test('another origin learns no credentials, and a 303 sends no body', async () => {
    const allowPrivate = [`127.0.0.1:${port}`, `127.0.0.1:${otherPort}`];
    answers.set('/out', redirect(`http://127.0.0.1:${otherPort}/in`, 307));
    answers.set('/see', redirect('/in', 303));
    const headers = { authorization: 'Bearer x', cookie: 'a=b', 'x-api-key': 'k', accept: 'text/plain' };
    await local({ allowPrivate }).execute({ url: at('/out'), method: 'POST', body: 'data', headers });
    expect(heard[0]?.headers).toMatchObject(headers);
    expect(heard[1]).toMatchObject({ method: 'POST', body: 'data', headers: { accept: 'text/plain' } });
    for (const name of ['authorization', 'cookie', 'x-api-key']) expect(heard[1]?.headers).not.toHaveProperty(name);
    await local().execute({
      url: at('/see'),
      method: 'POST',
      body: 'data',
      headers: { ...headers, 'content-type': 'text/plain' },
    });
    expect(heard.at(-1)).toMatchObject({ method: 'GET', body: '', headers: { authorization: 'Bearer x' } });
  });
});

describe('bounds', () => {
  test('a bomb is not unpacked', async () => {
    answers.set('/bomb', (_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(50_000_000)));
    });
    const { body, truncated } = await local({ responseBytes: 10_000 }).execute({ url: at('/bomb') });
    expect([body.length, truncated]).toEqual([10_000, true]);
    await expect(local().execute({ url: at('/') })).resolves.toMatchObject({ truncated: false });
  });

  test('an endless answer ends', async () => {
    answers.set('/endless', (_request, response) => {
      const timer = setInterval(() => response.write('x'.repeat(1000)), 1);
      response.on('close', () => clearInterval(timer));
    });
    await expect(local({ responseBytes: 50_000 }).execute({ url: at('/endless') })).resolves.toMatchObject({
      truncated: true,
    });
  });

  test('a server that says nothing is given up, and a caller may give up before', async () => {
    answers.set('/silent', () => undefined);
    answers.set('/drip', (_request, response) => void response.write('x'));
    await expect(local({ timeoutMs: 200 }).execute({ url: at('/silent') })).rejects.toThrow(/timeout|aborted/iu);
    await expect(local({ timeoutMs: 200 }).execute({ url: at('/drip') })).rejects.toThrow(/timeout|aborted/iu);
    await expect(local().execute({ url: at('/silent') }, { callId: '1', signal: AbortSignal.abort() })).rejects.toThrow(
      /abort/iu,
    );
  });

  test('an encoding that nobody asked for is refused', async () => {
    answers.set(
      '/odd',
      (_request, response) => void response.writeHead(200, { 'content-encoding': 'gzip, gzip' }).end('x'),
    );
    await expect(local().execute({ url: at('/odd') })).rejects.toMatchObject({ code: 'TAPPASS_NETWORK_REFUSED' });
  });

  test('headers that say where a request goes cannot be set', async () => {
    for (const headers of [
      { Host: 'evil.example' },
      { 'transfer-encoding': 'chunked' },
      { 'x-a': 'b\r\nHost: evil.example' },
      { 'a b': 'c' },
    ]) {
      await expect(local().execute({ url: at('/'), headers })).rejects.toMatchObject({
        code: 'TAPPASS_NETWORK_REFUSED',
      });
    }
    expect(heard).toHaveLength(0);
  });

  test('bytes come back as base64, and no cookie does', async () => {
    answers.set(
      '/bytes',
      (_request, response) =>
        void response.writeHead(200, { 'set-cookie': 'a=b', etag: 'x' }).end(Buffer.from([0xff, 0x00])),
    );
    const result = await local().execute({ url: at('/bytes') });
    expect(result).toMatchObject({ encoding: 'base64', body: '/wA=', headers: { etag: 'x' } });
    expect(result.headers).not.toHaveProperty('set-cookie');
  });
});

test('governed, the decision comes before the broker', async () => {
  const { fetch } = govern({ fetch: local() }, { audit: false, network: { allowedDomains: ['example.com'] } });
  await expect(fetch.execute({ url: at('/') })).rejects.toThrow(/check_exfiltration/u);
  expect(heard).toHaveLength(0);
});

test('over TLS the name is what is verified, although the address is pinned', async () => {
  const secure = createSecureServer({ cert: TEST_CERTIFICATE, key: TEST_KEY }, (_request, response) =>
    response.end('secret'),
  );
  await new Promise<void>((resolve) => {
    secure.listen(0, '127.0.0.1', resolve);
  });
  const { port: securePort } = secure.address() as AddressInfo;
  const options: FetchToolOptions = {
    allowedDomains: [`intern.example:${securePort}`, `other.example:${securePort}`],
    allowPrivate: [`127.0.0.1:${securePort}`],
    lookup: resolvesTo('127.0.0.1'),
    ca: TEST_CERTIFICATE,
  };
  try {
    await expect(fetchTool(options).execute({ url: `https://intern.example:${securePort}/` })).resolves.toMatchObject({
      body: 'secret',
    });
    await expect(fetchTool(options).execute({ url: `https://other.example:${securePort}/` })).rejects.toThrow(
      /altnames/iu,
    );
    const { ca: _, ...untrusting } = options;
    await expect(fetchTool(untrusting).execute({ url: `https://intern.example:${securePort}/` })).rejects.toThrow(
      /certificate/iu,
    );
  } finally {
    secure.close();
    secure.closeAllConnections();
  }
});
