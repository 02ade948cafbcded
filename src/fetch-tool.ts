/** Door: a tool that fetches from the domains it was given and nowhere else. */
import { z } from 'zod';
import {
  DEFAULT_NETWORK_LIMITS,
  openNetworkBroker,
  type NetworkBroker,
  type NetworkLimits,
  type NetworkPermission,
  type NetworkResponse,
  type ResolvedAddress,
} from './broker/network.ts';
import { TapPassConfigError } from './model/errors.ts';
import { FUNCTION, requireOptions, TEXT, TEXTS, type OptionRules } from './model/options.ts';
import { rangeOf } from './policy/network-address.ts';
import { compileDomains, decideNetwork } from './policy/network.ts';
import { defineTool, type Tool } from './tools/define.ts';

export interface FetchToolOptions extends Partial<NetworkLimits> {
  /** `example.com`, `example.com:8443`, `*.example.com`. `[]`: nothing. */
  readonly allowedDomains: readonly string[];
  /** Private and loopback addresses that may be dialled, each with its port: `127.0.0.1:8080`. Default: none. */
  readonly allowPrivate?: readonly string[];
  readonly name?: string;
  /** Default: the system's resolver. What it answers is judged all the same. */
  readonly lookup?: (hostname: string) => Promise<readonly ResolvedAddress[]>;
  /** Further certificate authorities, PEM. */
  readonly ca?: string;
}

export interface FetchResult {
  readonly status: number;
  readonly url: string;
  readonly redirects: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  /** Text, or base64 of what is not. */
  readonly body: string;
  readonly encoding: 'utf8' | 'base64';
  readonly truncated: boolean;
}

const OPTIONS: OptionRules<FetchToolOptions> = {
  allowedDomains: TEXTS,
  allowPrivate: TEXTS,
  name: TEXT,
  lookup: FUNCTION,
  ca: true,
  timeoutMs: true,
  responseBytes: true,
  redirects: true,
};

const input = z.object({
  url: z.string().describe('Absolute http or https URL'),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.string().optional(),
});

export type FetchTool = Tool<string, typeof input, Promise<FetchResult>> & { readonly close: () => Promise<void> };

/**
 * A tool for `govern()` that requests a URL: judged at each redirect, dialled at the address that was judged, bounded in
 * time and size. Throws `TapPassConfigError` for a list that cannot be read; a request that may not be made rejects
 * with code `TAPPASS_NETWORK_REFUSED`.
 */
export const fetchTool = (options: FetchToolOptions): FetchTool => {
  const { allowedDomains = null } = options as Partial<FetchToolOptions>;
  requireOptions('fetchTool', { ...options, allowedDomains }, OPTIONS);
  const broker = brokerFor(options);
  return {
    ...defineTool({
      name: options.name ?? 'fetch',
      description: `Requests a URL over HTTP. Reachable: ${options.allowedDomains.join(', ') || 'nothing'}.`,
      input,
      effects: { url: 'url' },
      execute: async ({ url, method, headers, body }, context) => {
        const response = await broker.perform({
          url,
          ...(method === undefined ? {} : { method }),
          ...(headers === undefined ? {} : { headers }),
          ...(body === undefined ? {} : { body }),
          ...(context?.signal === undefined ? {} : { signal: context.signal }),
        });
        return resultOf(response);
      },
    }),
    close: broker.close,
  };
};

const brokerFor = ({ allowedDomains, allowPrivate = [], lookup, ca, ...given }: FetchToolOptions): NetworkBroker => {
  const reachable = Object.freeze([...allowedDomains, ...allowPrivate]);
  const [fault] = compileDomains(reachable).faults;
  if (fault !== undefined) throw new TapPassConfigError(`Expected \`allowedDomains\` that can be read: ${fault}`);
  const permission: NetworkPermission = {
    refusalOf: (url) => decideNetwork({ kind: 'network', pointer: '/url', url }, { allowedDomains: reachable }).reason,
    addressRefusalOf: (address, host, port) => {
      const range = rangeOf(address);
      if (range === 'public') return undefined;
      if (range === undefined) return `${host} resolves to what is no address`;
      const literal = address.includes(':') ? `[${address}]` : address;
      return compileDomains(reachable).rules.some(
        (rule) => !rule.below && rule.host === canonical(literal) && (rule.port === 'any' || rule.port === port),
      )
        ? undefined
        : `${host} resolves to a ${range} address, which is not in \`allowPrivate\` with port ${port}`;
    },
  };
  const limits = {
    timeoutMs: given.timeoutMs ?? DEFAULT_NETWORK_LIMITS.timeoutMs,
    responseBytes: given.responseBytes ?? DEFAULT_NETWORK_LIMITS.responseBytes,
    redirects: given.redirects ?? DEFAULT_NETWORK_LIMITS.redirects,
  };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new TapPassConfigError(`Expected \`${name}\` to be a whole number, got ${String(value)}`);
    }
  }
  return openNetworkBroker({
    permission,
    limits,
    ...(lookup === undefined ? {} : { lookup }),
    ...(ca === undefined ? {} : { ca }),
  });
};

const canonical = (literal: string): string => {
  try {
    return new URL(`http://${literal}`).hostname;
  } catch {
    return literal;
  }
};

const resultOf = ({ body, ...rest }: NetworkResponse): FetchResult => {
  const text = textOf(body);
  return text === undefined
    ? { ...rest, body: Buffer.from(body).toString('base64'), encoding: 'base64' }
    : { ...rest, body: text, encoding: 'utf8' };
};

const textOf = (body: Uint8Array): string | undefined => {
  try {
    // A character cut in two by the size limit does not make a text binary.
    return new TextDecoder('utf-8', { fatal: true }).decode(body, { stream: true });
  } catch {
    return undefined;
  }
};
