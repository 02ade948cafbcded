/**
 * Performs HTTP requests that were allowed: the only file here that dials. Every hop is asked about again, the address a
 * name resolves to is asked about before it is dialled, and it is that address which is dialled. No proxy from the
 * environment, no cookies, no other name in `Host`.
 */
import { lookup as ambientLookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { Agent, buildConnector, request as dial } from 'undici';
import { encodingOf, plainHeaders, readBody } from './network-body.ts';
import { NetworkRefusal } from './network-refusal.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** What the door decided; the broker asks, it does not judge. */
export interface NetworkPermission {
  /** The reason why this URL may not be requested. */
  readonly refusalOf: (url: string, method: string) => string | undefined;
  /** The reason why this address may not be dialled for `host`. */
  readonly addressRefusalOf: (address: string, host: string, port: number) => string | undefined;
}

export interface NetworkLimits {
  /** From the first lookup to the last byte, in milliseconds (default 30 000). Bounds a server that drips. */
  readonly timeoutMs: number;
  /** Most bytes of a response body after decoding (default 1 MiB); the rest is not read. Bounds decompression bombs. */
  readonly responseBytes: number;
  /** Most redirects that are followed (default 5). */
  readonly redirects: number;
}

export const DEFAULT_NETWORK_LIMITS: NetworkLimits = Object.freeze({
  timeoutMs: 30_000,
  responseBytes: 1024 * 1024,
  redirects: 5,
});

export interface NetworkRequest {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

export interface NetworkResponse {
  readonly status: number;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  readonly redirects: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly truncated: boolean;
}

export interface NetworkBroker {
  readonly perform: (request: NetworkRequest) => Promise<NetworkResponse>;
  readonly close: () => Promise<void>;
}

export interface NetworkBrokerOptions {
  readonly permission: NetworkPermission;
  readonly limits?: Partial<NetworkLimits>;
  /** Default: the system's resolver. */
  readonly lookup?: (hostname: string) => Promise<readonly ResolvedAddress[]>;
  /** Further certificate authorities, PEM. */
  readonly ca?: string;
}

/** Headers that say where or how, rather than what. */
const RESERVED =
  /^(?:host|connection|content-length|transfer-encoding|upgrade|expect|te|trailer|keep-alive|accept-encoding|proxy-.*|sec-.*|:.*)$/iu;
/** What another origin may learn: everything else may be meant for the first one only. */
const HARMLESS = /^(?:accept|accept-language|content-type|user-agent)$/iu;
const METHOD = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$/u;

export const openNetworkBroker = (options: NetworkBrokerOptions): NetworkBroker => {
  const limits = { ...DEFAULT_NETWORK_LIMITS, ...options.limits };
  const agent = pinnedAgent(options, limits);
  return { perform: (request) => perform(request, agent, options.permission, limits), close: () => agent.close() };
};

const perform = async (
  request: NetworkRequest,
  agent: Agent,
  permission: NetworkPermission,
  limits: NetworkLimits,
): Promise<NetworkResponse> => {
  const deadline = AbortSignal.timeout(limits.timeoutMs);
  const signal = request.signal === undefined ? deadline : AbortSignal.any([deadline, request.signal]);
  let { url, body } = request;
  let method = (request.method ?? 'GET').toUpperCase();
  let headers = requireHeaders(request.headers ?? {});
  if (!METHOD.test(method)) throw new NetworkRefusal(`the method ${JSON.stringify(method.slice(0, 20))} is not known`);
  const redirects: string[] = [];
  for (;;) {
    const refusal = permission.refusalOf(url, method);
    if (refusal !== undefined) throw new NetworkRefusal(refusal);
    const response = await send(url, method, headers, body, agent, signal);
    const location = response.headers['location'];
    const isRedirect = [301, 302, 303, 307, 308].includes(response.statusCode) && typeof location === 'string';
    if (!isRedirect) {
      const read = await readBody(response.body, encodingOf(response.headers), limits.responseBytes, signal);
      return { status: response.statusCode, url, redirects, headers: plainHeaders(response.headers), ...read };
    }
    response.body.on('error', () => undefined).destroy();
    if (redirects.length >= limits.redirects) throw new NetworkRefusal(`more than ${limits.redirects} redirects`);
    const next = nextHop(url, location);
    redirects.push(url);
    if (response.statusCode === 303 || (method === 'POST' && response.statusCode < 303)) {
      if (method !== 'HEAD') method = 'GET';
      body = undefined;
      headers = without(headers, (name) => name.startsWith('content-'));
    }
    if (next.origin !== new URL(url).origin) headers = without(headers, (name) => !HARMLESS.test(name));
    url = next.href;
  }
};

const nextHop = (from: string, location: string): URL => {
  let next: URL;
  try {
    next = new URL(location, from);
  } catch {
    throw new NetworkRefusal('the redirect leads to what is not a URL');
  }
  if (from.startsWith('https:') && next.protocol !== 'https:') {
    throw new NetworkRefusal('the redirect leads from https to a plain connection');
  }
  next.hash = '';
  return next;
};

const requireHeaders = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
  for (const [name, value] of Object.entries(headers)) {
    if (RESERVED.test(name) || /[^\w!#$%&'*+.^`|~-]/u.test(name) || /[^\P{Cc}\t]/u.test(value)) {
      throw new NetworkRefusal(`the header ${JSON.stringify(name.slice(0, 60))} cannot be set`);
    }
  }
  return without(headers, () => false);
};

const without = (
  headers: Readonly<Record<string, string>>,
  drops: (name: string) => boolean,
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(headers)
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name]) => !drops(name)),
  );

const send = async (
  url: string,
  method: string,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array | undefined,
  agent: Agent,
  signal: AbortSignal,
) => {
  try {
    return await dial(url, {
      dispatcher: agent,
      method: method as 'GET',
      headers: { ...headers, 'accept-encoding': 'gzip, br' },
      ...(body === undefined ? {} : { body }),
      signal,
    });
  } catch (error) {
    throw refusalIn(error) ?? error;
  }
};

/** A refusal that was raised while connecting comes back wrapped. */
const refusalIn = (error: unknown): NetworkRefusal | undefined => {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if (at instanceof NetworkRefusal) return at;
    if (at instanceof AggregateError) {
      const [first] = at.errors.map(refusalIn).filter((one) => one !== undefined);
      if (first !== undefined) return first;
    }
  }
  return undefined;
};

const pinnedAgent = ({ permission, lookup = systemLookup, ca }: NetworkBrokerOptions, limits: NetworkLimits): Agent => {
  return new Agent({
    allowH2: false,
    connections: 16,
    keepAliveTimeout: 4_000,
    headersTimeout: limits.timeoutMs,
    bodyTimeout: limits.timeoutMs,
    connect: (options, callback) => {
      const { hostname } = options;
      const port = Number(options.port === '' ? (options.protocol === 'https:' ? 443 : 80) : options.port);
      const checked: LookupFunction = (host, { all }, done) => {
        const answer = async (): Promise<void> => {
          let addresses: readonly ResolvedAddress[];
          try {
            addresses = await resolveChecked(host, hostname, port, permission, lookup);
          } catch (error) {
            done(error as NodeJS.ErrnoException, []);
            return;
          }
          if (all === true) done(null, [...addresses]);
          else done(null, addresses[0]?.address ?? '', addresses[0]?.family ?? 4);
        };
        void answer();
      };
      // One connector for each connection: undici takes the lookup, which has to know the port, when it is made.
      const connect = buildConnector({
        timeout: limits.timeoutMs,
        allowH2: false,
        lookup: checked,
        ...(ca === undefined ? {} : { ca }),
      });
      connect(options, (error, socket) => {
        if (error !== null || socket === null) {
          callback(error ?? new Error('Expected a socket, got none'), null);
          return;
        }
        // A literal address is dialled without a lookup: whatever was connected to is asked about here, last of all.
        const refusal = permission.addressRefusalOf(socket.remoteAddress ?? '', bareHost(hostname), port);
        if (refusal === undefined) {
          callback(null, socket);
          return;
        }
        socket.destroy();
        callback(new NetworkRefusal(refusal), null);
      });
    },
  });
};

const bareHost = (hostname: string): string => hostname.replace(/^\[|\]$/gu, '');

const systemLookup = (hostname: string): Promise<readonly ResolvedAddress[]> =>
  ambientLookup(hostname, { all: true, order: 'ipv4first' });

/** One address that may not be dialled spoils the answer: a name that points both ways is how rebinding works. */
const resolveChecked = async (
  host: string,
  hostname: string,
  port: number,
  permission: NetworkPermission,
  lookup: (hostname: string) => Promise<readonly ResolvedAddress[]>,
): Promise<readonly ResolvedAddress[]> => {
  const addresses = await lookup(host);
  if (addresses.length === 0) throw new NetworkRefusal(`${hostname} has no address`);
  for (const { address } of addresses) {
    const refusal = permission.addressRefusalOf(address, hostname, port);
    if (refusal !== undefined) throw new NetworkRefusal(refusal);
  }
  return addresses;
};
