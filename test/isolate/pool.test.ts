/** What the pool does when hosts cannot be had, and how many of them there are when they can. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { encodeFrame } from '../../src/isolate/channel.ts';
import { USUAL_CONFIG } from '../../src/isolate/config.ts';
import { execute } from '../../src/isolate/execute.ts';
import type { HostEnd, HostRun } from '../../src/isolate/host.ts';
import { DEFAULT_CODE_LIMITS } from '../../src/isolate/limits.ts';
import { Pool, type PoolOptions } from '../../src/isolate/pool.ts';
import { CannotLock, startLockedHost, startUnlockedHost, type StartedHost } from '../../src/isolate/start-host.ts';

const pools: Pool[] = [];
const open = (options: PoolOptions): Pool => {
  const pool = new Pool(options);
  pools.push(pool);
  return pool;
};
afterEach(() => pools.splice(0).forEach((pool) => pool.close()));

const run = (pool: Pool, source: string, more: object = {}) =>
  execute({
    source,
    file: 'code.ts',
    language: undefined,
    modules: {},
    packagesFrom: undefined,
    input: undefined,
    tools: new Map(),
    timeoutMs: 10_000,
    memoryMb: 32,
    allow: [],
    limits: DEFAULT_CODE_LIMITS,
    pool,
    dedicated: false,
    session: undefined,
    signal: undefined,
    onLog: undefined,
    callTool: (fn) => fn(),
    ...more,
  });

const NOTHING = { code: '', file: 'code.ts', modules: [], links: [], timeoutMs: 10_000, memoryMb: 32, allow: '' };

const cannotLock = (): StartedHost => {
  throw new CannotLock('landlock is missing (the kernel has none)');
};

test('a machine that cannot lock a host refuses guests and names the layer; nothing runs', async () => {
  const pool = open({ startHost: cannotLock });
  for (const dedicated of [false, true]) {
    const result = await run(pool, '1', { dedicated });
    expect(result).toMatchObject({
      status: 'refused',
      error: { message: expect.stringContaining('landlock is missing') },
    });
  }
  await expect(pool.ready()).rejects.toThrow('landlock is missing');
});

test('it runs them unlocked where the program accepts that by name, and says so', async () => {
  const pool = open({ startHost: cannotLock, allowDegraded: ['kernel-lock'] });
  expect(await run(pool, '1 + 1')).toMatchObject({ status: 'ok', value: 2, degraded: ['kernel-lock'] });
  const locked = await run(open({ hosts: 1 }), '1 + 1');
  expect(locked).toMatchObject({ status: 'ok', value: 2 });
  expect(locked).not.toHaveProperty('degraded');
});

test('a host that fails to lock itself is given no guest', async () => {
  const pool = open({
    hosts: 1,
    startHost: () => {
      const started = startLockedHost();
      const { lock } = started;
      // The same host, asked to prove its confinement by a place that it could never open.
      return lock === undefined ? started : { ...started, lock: { ...lock, probe: '/nowhere', filter: 'AAAA' } };
    },
  });
  expect(await run(pool, '1')).toMatchObject({ status: 'refused' });
});

test('a host that has not locked itself runs nobody, though it is sent a guest', async () => {
  const { lock, onOutput, input, ended } = startLockedHost();
  const said: string[] = [];
  onOutput?.((chunk) => said.push(chunk.toString('latin1')));
  const code = `$$run(${JSON.stringify(USUAL_CONFIG)},async function(){console.log('it ran')})`;
  input.write(encodeFrame({ ...lock, single: true, probe: '/nowhere', filter: 'AAAA' }));
  input.write(encodeFrame({ ...NOTHING, type: 'run', run: 1, code }));
  expect(await ended).toContain('code 1');
  expect(said.join('')).toContain('unlocked');
  expect(said.join('')).not.toContain('it ran');
});

test('calls of one session that come before its host is there wait for one host, and share its refusal', async () => {
  let started = 0;
  const start = (): StartedHost => {
    started += 1;
    return startLockedHost();
  };
  const broken = (): StartedHost => {
    const host = start();
    return { ...host, lock: { ...(host.lock as NonNullable<StartedHost['lock']>), probe: '/nowhere', filter: 'AAAA' } };
  };
  for (const [startHost, status] of [
    [start, 'ok'],
    [broken, 'refused'],
  ] as const) {
    started = 0;
    const pool = open({ prewarm: 0, startHost });
    const results = await Promise.all([1, 2, 3].map(() => run(pool, '1', { dedicated: true, session: 's' })));
    expect(results.map((result) => result.status)).toEqual([status, status, status]);
    expect(started).toBe(1);
  }
});

test('a host of a session that takes no more guests is watched and closed beside the one that follows it', async () => {
  const pool = open({ prewarm: 0 });
  const inSession = (source: string, more: object = {}) =>
    run(pool, source, { dedicated: true, session: 's', ...more });
  const controller = new AbortController();
  const long = inSession('await new Promise(() => {})', { signal: controller.signal });
  expect(await inSession('for (;;);', { timeoutMs: 50 })).toMatchObject({ status: 'timeout' });
  expect(await inSession('1')).toMatchObject({ value: 1 });
  expect(pool.pids).toHaveLength(2);
  controller.abort();
  expect(await long).toMatchObject({ status: 'error' });
  await expect.poll(() => pool.pids.length).toBe(1);
  pool.endSession('s');
  expect(pool.pids).toHaveLength(0);
});

test('hosts that take no more guests are never more than those that do, however their guests linger', async () => {
  const pool = open({ hosts: 1, guestsPerHost: 3 });
  const controller = new AbortController();
  const { signal } = controller;
  const waiting: Promise<unknown>[] = [];
  for (let round = 0; round < 4; round += 1) {
    for (let index = 0; index < 2; index += 1) waiting.push(run(pool, 'await new Promise(() => {})', { signal }));
    const late = run(pool, 'await new Promise(() => {})', { timeoutMs: 5, signal });
    waiting.push(late);
    await Promise.race([late, pause(500)]);
    expect(pool.pids.length).toBeLessThanOrEqual(2);
  }
  controller.abort();
  await Promise.all(waiting);
  expect(await run(pool, '7')).toMatchObject({ value: 7 });
});

test('hosts that die at their start are given up after a few, with their last words', async () => {
  let started = 0;
  const pool = open({
    startHost: () => {
      started += 1;
      return startUnlockedHost({ entry: '/nowhere/entry.ts', folders: [] });
    },
  });
  expect(await run(pool, '1')).toMatchObject({
    status: 'refused',
    error: { message: expect.stringContaining('/nowhere') },
  });
  expect(started).toBeLessThan(8);
});

test('there are never more hosts than were allowed, and a full pool makes guests wait', async () => {
  let alive = 0;
  let most = 0;
  const pool = open({
    hosts: 2,
    guestsPerHost: 2,
    startHost: () => {
      const started = startLockedHost();
      most = Math.max(most, (alive += 1));
      void started.ended.then(() => (alive -= 1));
      return started;
    },
  });
  const results = await Promise.all(
    Array.from({ length: 12 }, (_, index) => run(pool, `await new Promise((r) => setTimeout(r, 20)); ${index}`)),
  );
  expect(results.map(({ value }) => value)).toEqual(Array.from({ length: 12 }, (_, index) => index));
  expect(most).toBe(2);
});

test('guests that compute keep nobody from starting, wherever they are', async () => {
  const pool = open({ hosts: 2, guestsPerHost: 4 });
  const controller = new AbortController();
  const loops = [1, 2, 3].map(() => run(pool, 'for (;;);', { signal: controller.signal, timeoutMs: 60_000 }));
  await pool.ready(2);
  for (let index = 0; index < 5; index += 1) expect((await run(pool, String(index))).value).toBe(index);
  controller.abort();
  for (const loop of loops) expect((await loop).status).toMatch(/error|crashed/u);
  expect((await run(pool, '6')).value).toBe(6);
});

test('a host has one guest alone, and the next goes elsewhere', async () => {
  const pool = open({ hosts: 2 });
  await pool.ready(2);
  const late = run(pool, 'await new Promise((r) => setTimeout(r, 300)); 1');
  await pause(20);
  expect(await run(pool, 'for (;;);', { timeoutMs: 50 })).toMatchObject({ status: 'timeout' });
  expect(await late).toMatchObject({ status: 'ok', value: 1 });
});

test.each([
  ['is aborted in a loop', 'for (;;);', 60_000],
  ['is over its deadline in a loop', 'for (;;);', 100],
  ['is over its deadline as it waits', 'await new Promise(() => {})', 100],
])('who waits for a place is not given that of a guest that %s', async (_, source, timeoutMs) => {
  const pool = open({ hosts: 2, guestsPerHost: 1 });
  await pool.ready(2);
  const controller = new AbortController();
  const first = run(pool, source, { timeoutMs, signal: controller.signal });
  await pause(10);
  const second = run(pool, 'await new Promise((r) => setTimeout(r, 300)); 2');
  const third = run(pool, '3', { timeoutMs: 2000 });
  await pause(30);
  if (timeoutMs > 100) controller.abort();
  expect((await first).status).toBe(timeoutMs > 100 ? 'error' : 'timeout');
  expect([(await second).value, (await third).value]).toEqual([2, 3]);
});

test('a host that has served long enough is replaced', async () => {
  const pool = open({ hosts: 1, runsPerHost: 50 });
  await pool.ready();
  const [first] = pool.pids;
  for (let index = 0; index < 60; index += 1) expect((await run(pool, String(index))).value).toBe(index);
  expect(pool.pids).not.toContain(first);
});

test('a guest that waits for a host can be taken back', async () => {
  const pool = open({ hosts: 1, guestsPerHost: 1 });
  const controller = new AbortController();
  const first = run(pool, 'await new Promise((r) => setTimeout(r, 200)); 1');
  const second = run(pool, '2', { signal: controller.signal });
  await pause(20);
  controller.abort();
  expect(await second).toMatchObject({ status: 'error', error: { name: 'AbortError' } });
  expect(await first).toMatchObject({ value: 1 });
});

test('ends come once even when the pool closes in the middle', async () => {
  const pool = open({ hosts: 1 });
  await pool.ready();
  const ends: HostEnd[] = [];
  const forever: HostRun = {
    message: {
      ...NOTHING,
      code: `$$run(${JSON.stringify(USUAL_CONFIG)},async function(){await new Promise(()=>{})})`,
    },
    onLog: () => {},
    onDropped: () => {},
    onCall: () => false,
    onEnd: (end) => ends.push(end),
  };
  await pool.run(forever);
  pool.close();
  await pause(50);
  expect(ends).toMatchObject([{ status: 'crashed' }]);
  await expect(pool.run(forever)).rejects.toThrow('closed');
});
