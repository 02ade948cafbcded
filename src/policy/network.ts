/** Where data may be sent: the allowed domains (`check_exfiltration`). */
import { allowRuling, denyRuling, type Ruling } from '../model/decision.ts';
import type { NetworkEffect } from '../model/effect.ts';
import { rangeOf } from './network-address.ts';
import { canonicalHost, readUrl, type Destination } from './network-host.ts';

export interface NetworkOptions {
  /**
   * Hosts that may be reached. `undefined`: not configured; only what no tool should reach (cloud metadata, link-local) is
   * refused. `[]`: nothing. `example.com`: that host on its scheme's port; `example.com:8443`, `example.com:*`: other
   * ports; `*.example.com`: what is below it, not itself. Private and loopback addresses must be listed as they are
   * (`127.0.0.1:8080`); no wildcard covers them.
   */
  readonly allowedDomains?: readonly string[];
}

const STEP = 'check_exfiltration';

/** Judges the URL as it stands. What a name resolves to is for the broker that dials it. */
export const decideNetwork = (effect: NetworkEffect, { allowedDomains }: NetworkOptions = {}): Ruling => {
  if (effect.url.includes('\0')) return denyRuling(STEP, 'network.url-ambiguous', 'the URL cannot be read');
  const read = readUrl(effect.url);
  if (allowedDomains === undefined) return decideUnconfigured(effect, read);
  const { rules, faults } = compileDomains(allowedDomains);
  const [fault] = faults;
  if (fault !== undefined) {
    return denyRuling(STEP, 'network.list-unusable', `the list of allowed domains cannot be read: ${fault}`);
  }
  if (read.fault !== undefined) return denyRuling(STEP, 'network.url-ambiguous', `the URL ${read.fault}`);
  const { destination } = read;
  if (rules.some((rule) => matches(rule, destination))) return allowRuling(STEP);
  const range = destination.isAddress ? rangeOf(destination.host) : undefined;
  return range === undefined || range === 'public'
    ? denyRuling(STEP, 'network.not-allowed', `${nameOf(destination)} is not in the list of allowed domains`)
    : denyRuling(STEP, `network.${range}`, `${nameOf(destination)} is a ${range} address that is not listed`);
};

const decideUnconfigured = (effect: NetworkEffect, read: ReturnType<typeof readUrl>): Ruling => {
  const host = read.fault === undefined ? read.destination.host : (read.seen ?? '');
  const range = METADATA_NAMES.has(host.replace(/\.$/u, '')) ? 'metadata' : rangeOf(host);
  if (range === 'metadata' || range === 'link-local') {
    return denyRuling(STEP, `network.${range}`, `the URL leads to a ${range} address`);
  }
  const type =
    read.fault === undefined
      ? range === undefined || range === 'public'
        ? undefined
        : 'private_address'
      : 'ambiguous_url';
  if (type === undefined || (type === 'ambiguous_url' && read.fault === 'is not an absolute URL'))
    return allowRuling(STEP);
  return allowRuling(STEP, { detections: [{ step: STEP, type, at: effect.pointer }] });
};

const METADATA_NAMES = new Set(['metadata.google.internal', 'metadata.goog', 'instance-data', 'metadata']);

interface DomainRule {
  readonly host: string;
  readonly below: boolean;
  /** `undefined`: the port of the scheme; `'any'`: every port. */
  readonly port?: number | 'any';
}

export interface DomainRules {
  readonly rules: readonly DomainRule[];
  readonly faults: readonly string[];
}

const compiled = new WeakMap<readonly string[], DomainRules>();

/** Read once per list. An entry that cannot be read makes the whole list unusable: it may have been the narrow one. */
export const compileDomains = (list: readonly string[]): DomainRules => {
  const cached = Object.isFrozen(list) ? compiled.get(list) : undefined;
  if (cached !== undefined) return cached;
  const rules: DomainRule[] = [];
  const faults: string[] = [];
  for (const entry of list) {
    const rule = typeof entry === 'string' ? parseRule(entry.trim()) : undefined;
    if (rule === undefined)
      faults.push(`expected a host such as example.com or *.example.com, got ${JSON.stringify(entry)}`);
    else rules.push(rule);
  }
  const result = { rules, faults };
  compiled.set(list, result);
  return result;
};

const parseRule = (entry: string): DomainRule | undefined => {
  const match = /^(\*\.)?(\[[0-9a-f:.]+\]|[^:/@%*?#[\]\\\s]+)(?::(\d{1,5}|\*))?$/iu.exec(entry);
  if (match === null) return undefined;
  const host = canonicalHost(match[2] ?? '');
  const below = match[1] !== undefined;
  if (host === undefined || (below && rangeOf(host) !== undefined)) return undefined;
  const port = match[3];
  if (port === undefined) return { host, below };
  if (port === '*') return { host, below, port: 'any' };
  const number = Number(port);
  return number >= 1 && number <= 65_535 ? { host, below, port: number } : undefined;
};

const matches = (rule: DomainRule, { scheme, host, port, isAddress }: Destination): boolean => {
  if (rule.below ? isAddress || !host.endsWith(`.${rule.host}`) : host !== rule.host) return false;
  if (rule.port === 'any') return true;
  return port === (rule.port ?? (scheme === 'https' || scheme === 'wss' ? 443 : 80));
};

const nameOf = ({ host, port, scheme }: Destination): string =>
  port === (scheme === 'https' || scheme === 'wss' ? 443 : 80) ? host : `${host}:${port}`;
