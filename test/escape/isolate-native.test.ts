/**
 * Invariant: whoever runs native code in an isolate host reaches no file, no network, no other process, and no new
 * descriptor. Simulated by an addon that the test loads into a host; the same attempts succeed in a host that is not
 * locked, so that what fails in the locked one fails because of the lock.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { USUAL_CONFIG } from '../../src/isolate/config.ts';
import { IsolateHost, type HostEnd } from '../../src/isolate/host.ts';
import { ownCode, startLockedHost, startUnlockedHost, type StartedHost } from '../../src/isolate/start-host.ts';

const root = join(import.meta.dirname, '..', '..');
const fixtures = join(root, 'test', 'fixtures', 'isolate');
const cache = join(root, '.cache', 'test');
const code = { entry: join(fixtures, 'native-entry.ts'), folders: [fixtures, cache, ...ownCode().folders] };
const hosts: IsolateHost[] = [];

beforeAll(() => {
  mkdirSync(cache, { recursive: true });
  const headers = [
    join(dirname(dirname(process.execPath)), 'include', 'node'),
    join(root, 'node_modules', 'node', 'node_modules', `node-linux-${process.arch}`, 'include', 'node'),
    '/usr/include/node',
    '/usr/local/include/node',
  ].find((directory) => existsSync(join(directory, 'node_api.h')));
  const source = join(fixtures, 'native-attempts.c');
  const built = spawnSync('cc', [
    '-shared',
    '-fPIC',
    '-I',
    String(headers),
    source,
    '-o',
    join(cache, 'native-attempts.node'),
  ]);
  if (built.status !== 0)
    throw new Error(`Expected cc to build the addon, got: ${String(built.stderr ?? built.error)}`);
});
afterAll(() => hosts.forEach((host) => host.kill('the test is over')));

const run = async (started: StartedHost, source: string): Promise<HostEnd> => {
  const ready = Promise.withResolvers<void>();
  const onChange = (changed: IsolateHost): void => {
    if (changed.isReady) ready.resolve();
    if (changed.isDead) ready.reject(new Error(`${changed.missing ?? ''} ${changed.lastWords}`));
  };
  const host = new IsolateHost(started, { onChange }, false);
  hosts.push(host);
  await ready.promise;
  return new Promise((onEnd) => {
    host.start({
      message: {
        code: `$$run(${JSON.stringify(USUAL_CONFIG)},async function($$){"use strict";$$.v=(${source})\n});`,
        file: 'code.ts',
        modules: [],
        links: [],
        timeoutMs: 20_000,
        memoryMb: 64,
        allow: '',
      },
      onLog: () => {},
      onDropped: () => {},
      onCall: () => false,
      onEnd,
    });
  });
};

const attempts = async (started: StartedHost): Promise<Record<string, number>> => {
  const end = await run(started, `"NATIVE ${process.pid}"`);
  expect(end.status).toBe('ok');
  return JSON.parse(end.json ?? '{}') as Record<string, number>;
};

test('native code in a locked host reaches no file, no network and no process', async () => {
  const locked = await attempts(startLockedHost(code));
  expect(Object.keys(locked).length).toBeGreaterThan(20);
  // 1 EPERM, 13 EACCES
  const got = Object.entries(locked).filter(([, errno]) => errno !== 1 && errno !== 13);
  expect(got).toEqual([]);
});

test('the same attempts succeed in a host that is not locked', async () => {
  const unlocked = await attempts(startUnlockedHost(code));
  expect(Object.entries(unlocked).filter(([, errno]) => errno !== 0)).toEqual([]);
});

test('a locked host still runs its guests', async () => {
  expect(await run(startLockedHost(code), '6*7')).toMatchObject({ status: 'ok', json: '42' });
});

test('as the kernel tells from outside: every thread is confined, and no descriptor leads anywhere', async () => {
  await run(startLockedHost(code), '1');
  const pid = String(hosts.at(-1)?.pid);
  const tasks = readdirSync(`/proc/${pid}/task`);
  expect(tasks.length).toBeGreaterThan(3);
  for (const task of tasks) {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    expect(status).toMatch(/^NoNewPrivs:\t1$/mu);
    expect(status).toMatch(/^Seccomp:\t2$/mu);
    expect(status).toMatch(/^CapEff:\t0{16}$/mu);
  }
  const leadsTo = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  expect(leadsTo.filter((to) => !/^(?:pipe:|anon_inode:\[event(?:fd|poll)\]|\/dev\/null$)/u.test(to))).toEqual([]);
});
