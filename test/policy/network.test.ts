import { assert, property, stringMatching } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rangeOf } from '../../src/policy/network-address.ts';
import { decideNetwork } from '../../src/policy/network.ts';

const judge = (url: string, allowedDomains?: readonly string[]) =>
  decideNetwork({ kind: 'network', pointer: '/url', url }, allowedDomains === undefined ? {} : { allowedDomains });
const list = [
  'example.com',
  '*.cdn.example.com',
  '127.0.0.1:8080',
  '[::1]:*',
  'api.example.org:8443',
  'bücher.example',
  '10.1.2.3',
];

describe('with a list of allowed domains', () => {
  test.each([
    'https://example.com/x?y#z',
    'http://example.com',
    'wss://example.com/',
    'https://EXAMPLE.com./',
    'https://a.cdn.example.com',
    'https://a.b.cdn.example.com:443/',
    'http://127.0.0.1:8080/',
    'http://[::1]:99/',
    'https://api.example.org:8443/v1',
    'https://bücher.example',
    'https://xn--bcher-kva.example',
    'https://example.com/@evil.example',
    'https://example.com#@evil.example',
    'http://10.1.2.3/',
  ])('%s is allowed', (url) => {
    expect(judge(url, list).outcome).toBe('allow');
  });

  test.each([
    'https://evilexample.com',
    'https://a.example.com',
    'https://cdn.example.com',
    'https://example.com.evil.example',
    'https://x@example.com',
    'https://example.com@evil.example',
    'https://example.com:444',
    'https://api.example.org',
    'http://127.1:8080',
    'http://0x7f.0.0.1:8080',
    'http://2130706433:8080',
    'http://0177.0.0.1:8080',
    'http://127.0.0.1.:8081',
    'http://[::ffff:127.0.0.1]:8080',
    'http://127.0.0.1',
    'http://localhost:8080',
    'http://169.254.169.254/latest/meta-data',
    'http://[fd00:ec2::254]/',
    'http://[fe80::1%25eth0]/',
    'https://example.com\\@evil.example',
    'https:\\\\example.com',
    'https://exa\tmple.com',
    ' https://example.com',
    'https://example.com%00.evil.example',
    'https://exam%70le.com',
    'https://ⓔxample.com',
    'http://①②⑦.0.0.1:8080',
    'ftp://example.com',
    'file:///etc/passwd',
    'data:text/plain,x',
    'javascript:1',
    '//example.com',
    'example.com',
    '/x',
    '',
    'https://',
    'https://example.com\0.evil.example',
    'http:example.com',
    'https:///example.com',
    'https://example.com:0',
    'https://example.com:99999',
  ])('%j is denied', (url) => {
    expect(judge(url, list).outcome).toBe('deny');
  });

  test('an empty list allows nothing, a broken one neither', () => {
    expect(judge('https://example.com', []).outcome).toBe('deny');
    expect(judge('https://example.com', ['example.com', 'https://x']).code).toBe('network.list-unusable');
    for (const broken of ['', '*', '*.', 'a b', '*.10.0.0.1', 'x:99999', 'u@x.example', '127.1']) {
      expect([broken, judge('https://example.com', ['example.com', broken]).outcome]).toEqual([broken, 'deny']);
    }
  });
});

describe('without a list', () => {
  test('metadata and link-local addresses stay out of reach, the rest is open', () => {
    for (const url of [
      'http://169.254.169.254/',
      'http://2852039166/',
      'http://[::ffff:a9fe:a9fe]/',
      'http://metadata.google.internal/',
      'http://[fe80::1]/',
      'http://user@169.254.169.254/',
      '//169.254.169.254/',
      '169.254.169.254/latest',
      'http:169.254.169.254',
      ' http://169.254.169.254',
      'http:\\\\169.254.169.254',
      '\0object',
    ]) {
      expect([url, judge(url).outcome]).toEqual([url, 'deny']);
    }
    for (const url of ['https://example.com', 'http://localhost:3000', '/api/x', 'http://10.0.0.1/']) {
      expect([url, judge(url).outcome]).toEqual([url, 'allow']);
    }
    expect(judge('http://127.1/').detections).toMatchObject([{ type: 'ambiguous_url' }]);
    expect(judge('http://10.0.0.1/').detections).toMatchObject([{ type: 'private_address' }]);
  });
});

test('what an address is for', () => {
  const table: Readonly<Record<string, string | undefined>> = {
    '8.8.8.8': 'public',
    '127.0.0.1': 'loopback',
    '10.0.0.1': 'private',
    '172.16.0.1': 'private',
    '172.32.0.1': 'public',
    '192.168.1.1': 'private',
    '100.64.0.1': 'private',
    '169.254.1.1': 'link-local',
    '169.254.169.254': 'metadata',
    '0.0.0.0': 'reserved',
    '224.0.0.1': 'reserved',
    '255.255.255.255': 'reserved',
    '::1': 'loopback',
    '::': 'reserved',
    '::ffff:10.0.0.1': 'private',
    '::ffff:8.8.8.8': 'reserved',
    '64:ff9b::7f00:1': 'loopback',
    '2002:7f00:1::': 'loopback',
    'fc00::1': 'private',
    'fe80::1': 'link-local',
    'ff02::1': 'reserved',
    '2606:4700::1111': 'public',
    '2001:db8::1': 'reserved',
    'fd00:ec2::254': 'metadata',
    '2001::1': 'reserved',
    'example.com': undefined,
    '1.2.3': undefined,
    '01.2.3.4': undefined,
    '1.2.3.256': undefined,
  };
  expect(Object.fromEntries(Object.keys(table).map((address) => [address, rangeOf(address)]))).toEqual(table);
});

test('an allowed URL leads, by the URL standard, to a listed host', () => {
  const near = stringMatching(
    /^(?:https?|ws|HTTP):\/{0,3}[a-z0-9@:%.\\/\t[\]①ⓔx-]{0,12}example\.com[a-z0-9@:%.\\/#?\t-]{0,12}$/u,
  );
  assert(
    property(near, (url) => {
      const allowed = judge(url, ['example.com', 'example.com:*']).outcome === 'allow';
      return !allowed || new URL(url).hostname.replace(/\.$/u, '') === 'example.com';
    }),
    { numRuns: 2_000 },
  );
});
