/** Limits that the kernel keeps: each program first without the group, where it must get further, then in one. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, describe, expect, test } from 'vitest';
import { mostTasks, openGroup, type GroupWish } from '../../src/kernel/group.ts';
import { groupPlan, GROUP_FILES, planGroups, type Held } from '../../src/kernel/group-plan.ts';
import { launch, type LaunchEnd } from '../../src/kernel/launcher.ts';
import { runCommand } from '../../src/run-command.ts';
import { handMade } from '../kernel/hand-made.ts';
import { architecture, tryInside, tryOutside, useStage } from './harness.ts';
import { SYSCALL_TABLES } from '../../src/kernel/seccomp.ts';

const workspace = mkdtempSync(join(tmpdir(), 'escape-cgroup-'));
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

const can = (held: Held): boolean => groupPlan().places.some(({ holds }) => holds.includes(held));

interface Ran {
  readonly stdout: string;
  readonly end: LaunchEnd;
  readonly folders: readonly string[];
}

/** Without any limit that is watched from outside: what holds is the group alone. */
const perl = async (script: string, wish?: Omit<GroupWish, 'slow'>): Promise<Ran> => {
  const group = wish === undefined ? undefined : openGroup({ ...wish, slow: true });
  if (wish !== undefined) expect(group).toBeDefined();
  const launched = launch({
    profile: { ...handMade(workspace), limits: {} },
    program: '/usr/bin/perl',
    args: ['perl', '-e', `$| = 1; ${script}`],
    environment: {},
    directory: workspace,
    namespaces: [],
    ...(group === undefined ? {} : { group: group.orders }),
  });
  launched.stdin?.end();
  launched.stderr?.resume();
  const stdout = launched.stdout === undefined ? '' : await text(launched.stdout);
  const end = await launched.ended;
  group?.close();
  const { into, join: joined = [] } = group?.orders ?? {};
  const folders = [
    ...(into === undefined ? [] : [into]),
    ...joined.map((file) => file.replace(/\/cgroup\.procs$/u, '')),
  ];
  return { stdout, end, folders };
};

const gone = async (folders: readonly string[]): Promise<void> => {
  for (let tries = 0; tries < 200 && folders.some((folder) => existsSync(folder)); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(folders.filter((folder) => existsSync(folder))).toEqual([]);
};

describe.runIf(can('pids'))('processes', () => {
  // Each child waits until its parent has counted; 200 at most, so that it is no storm where nothing holds it.
  const storm =
    'pipe R, W; my $n = 0; for (1..200) { my $p = fork; last if !defined $p; if (!$p) { close W; <R>; exit } $n++ } print $n';

  test('of a storm only so many start; without the group all do', async () => {
    expect((await perl(storm)).stdout).toBe('200');
    const { stdout, end, folders } = await perl(storm, { limits: { pids: 4 }, kill: false });
    // The first process is one of them.
    expect(Number(stdout)).toBe(mostTasks(4) - 1);
    expect(end).toMatchObject({ kind: 'ended', exitCode: 0 });
    await gone(folders);
  });

  test('a storm that runs into the limit is seen at once, and is the end of the command', async () => {
    const result = await runCommand(['perl', '-e', `${storm}; sleep 30`], {
      workspace,
      commands: ['perl'],
      limits: { pids: 4 },
    });
    expect(result).toMatchObject({ status: 'limit', reason: expect.stringContaining('limits.pids') as string });
  });

  test('one process may have all its threads', async () => {
    const script = "require('fs').readFile(__filename, () => console.log('kept'))";
    writeFileSync(join(workspace, 'threads.cjs'), script);
    const result = await runCommand(['node', 'threads.cjs'], { workspace, limits: { pids: 1 } });
    expect(result).toMatchObject({ status: 'exited', stdout: 'kept\n' });
  });
});

describe.runIf(can('memory'))('memory', () => {
  const hold = (mib: number): string => `my $x = "x" x (${mib} << 20)`;
  const little = { limits: { memoryMb: 48 }, kill: false };

  test('more than the limit is never had; without the group it is', async () => {
    expect((await perl(`${hold(150)}; print "kept"`)).stdout).toBe('kept');
    const { stdout, end, folders } = await perl(`${hold(150)}; print "kept"`, little);
    expect(stdout).toBe('');
    expect(end).toMatchObject({ kind: 'ended', signal: 'SIGKILL', reason: 'memory' });
    await gone(folders);
  });

  test('a child that is killed for it ends the command, which would have gone on', async () => {
    const script = `if (!fork) { ${hold(150)}; exit } wait; sleep 5; print "went on"`;
    const { stdout, end } = await perl(script, little);
    expect({ stdout, end }).toMatchObject({ stdout: '', end: { kind: 'ended', reason: 'memory' } });
  });

  test('within the limit it ends as it likes, and a SIGKILL of its own is not taken for a lack of memory', async () => {
    const { stdout, end } = await perl(`${hold(10)}; print "kept"; kill 9, $$`, little);
    expect({ stdout, end }).toMatchObject({ stdout: 'kept', end: { signal: 'SIGKILL', reason: 'none' } });
  });
});

test.runIf(can('kill'))('a daemon ends with its group, which is removed', async () => {
  const script = 'use POSIX; if (!fork) { setsid(); if (!fork) { sleep 300 } exit } wait; print "left"';
  const { stdout, end, folders } = await perl(script, { limits: {}, kill: true });
  expect({ stdout, end }).toMatchObject({ stdout: 'left', end: { exitCode: 0, leftovers: 1 } });
  expect(folders).toHaveLength(1);
  await gone(folders);
});

test('the report names what holds a limit', async () => {
  const limits = { memoryMb: 500, pids: 20 };
  const { report } = await runCommand(['true'], { workspace, limits });
  const layer = (name: string) => report.layers.find((each) => each.layer === name);
  const whole = can('pids') && can('memory');
  expect(layer('cgroup')).toMatchObject({
    enforced: whole ? 'full' : can('pids') || can('memory') ? 'partial' : 'none',
  });
  expect(layer('limit-memoryMb')).toMatchObject({ enforced: can('memory') ? 'full' : 'partial' });
  expect(layer('limit-pids')).toMatchObject({
    enforced: 'partial',
    detail: expect.stringContaining(can('pids') ? `at most ${mostTasks(20)}` : 'every 25 ms') as string,
  });
});

describe('out of the group', () => {
  const stage = useStage();
  // Opening is all that is needed; nothing is moved.
  const files = groupPlan().places.map(({ folder }) => join(folder, 'cgroup.procs'));
  const open = (file: string): readonly string[] => [
    String(SYSCALL_TABLES[architecture]['openat']),
    '-100',
    `=${file}`,
    '1',
  ];

  test.runIf(files.length > 0).each(files)('%s can be written outside, by no tier inside', async (file) => {
    const { workspace: place } = stage().target;
    expect(Number((await tryOutside(open(file), place)).stdout)).toBeGreaterThanOrEqual(0);
    for (const tier of ['observer', 'worker', 'standard'] as const) {
      for (const strength of ['floor', 'full'] as const) {
        const { stdout, failure } = await tryInside(tier, open(file), { workspace: place, strength });
        // EACCES, or EROFS in a read-only view.
        expect([tier, strength, failure]).toEqual([tier, strength, undefined]);
        expect([-13, -30]).toContain(Number(stdout));
      }
    }
  });

  test.runIf(files.length > 0)('no group can be made inside', async () => {
    const folder = join(groupPlan().places[0]?.folder ?? '', `tappass-escape-${process.pid}`);
    const make = [String(SYSCALL_TABLES[architecture]['mkdirat']), '-100', `=${folder}`, String(0o755)];
    const { workspace: place } = stage().target;
    expect(Number((await tryOutside(make, place)).stdout)).toBe(0);
    GROUP_FILES.remove(folder);
    for (const tier of ['observer', 'worker', 'standard'] as const) {
      expect(Number((await tryInside(tier, make, { workspace: place })).stdout)).toBeLessThan(0);
    }
    expect(existsSync(folder)).toBe(false);
  });
});

test.runIf(groupPlan().places.length > 0)('what a killed parent left in its groups is ended by the next', async () => {
  const namespace = /\d+/u.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '';
  const dead = String(spawnSync('true').pid);
  const abandoned = groupPlan().places.map(({ folder }) =>
    join(folder, `tappass-${namespace}-${dead}-0123456789abcdef`),
  );
  const leftover = spawn('sleep', ['300']);
  for (const folder of abandoned) {
    mkdirSync(folder);
    writeFileSync(join(folder, 'cgroup.procs'), String(leftover.pid));
  }
  const ended = once(leftover, 'exit');
  planGroups({
    mountinfo: readFileSync('/proc/self/mountinfo', 'utf8'),
    cgroup: readFileSync('/proc/self/cgroup', 'utf8'),
    pid: process.pid,
  });
  expect(await ended).toEqual([null, 'SIGKILL']);
  await gone(abandoned);
});
