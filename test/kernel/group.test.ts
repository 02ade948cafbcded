/** Which control groups a command gets, on hosts that this one is not. What they hold is tried in test/escape/cgroup.test.ts. */
import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { mostTasks, openGroup } from '../../src/kernel/group.ts';
import { planGroups, type GroupPlan } from '../../src/kernel/group-plan.ts';
import { simulate, type Simulated } from '../fixtures/cgroup-kernel.ts';

const PID = 4242;
const TOP = '/sys/fs/cgroup';
const v2Line = (root = '/'): string => `30 24 0:26 ${root} ${TOP} rw,nosuid - cgroup2 cgroup2 rw`;
const v1Line = (name: string): string => `31 24 0:27 / ${TOP}/${name} rw - cgroup cgroup rw,${name}`;

interface Host {
  readonly mountinfo: readonly string[];
  readonly cgroup: string;
  readonly kernel: readonly Simulated[];
}

const scope = '/user.slice/app.scope';
const unified = (change: Partial<Simulated> = {}, own = scope, root = '/'): Host => ({
  mountinfo: [v2Line(root)],
  cgroup: `0::${own}\n`,
  kernel: [
    {
      version: 2,
      mount: TOP,
      controllers: ['cpu', 'memory', 'pids'],
      groups: { [`${TOP}/user.slice`]: [], [`${TOP}${scope}`]: [PID] },
      enabledIn: [TOP, `${TOP}/user.slice`],
      writable: (folder) => folder.startsWith(`${TOP}${scope}`),
      marked: [`${TOP}${scope}`],
      ...change,
    },
  ],
});
const legacy: Host = {
  mountinfo: [v1Line('pids'), v1Line('memory'), `32 24 0:30 / ${TOP}/cpu rw - cgroup cgroup rw,cpu`],
  cgroup: '3:memory:/box\n2:pids:/\n1:cpu:/\n',
  kernel: (['pids', 'memory'] as const).map((name): Simulated => ({
    version: 1,
    mount: `${TOP}/${name}`,
    controllers: [name],
    groups: { [`${TOP}/${name}/box`]: [PID] },
  })),
};
const nobodyWrites = (host: Host): Host => ({
  ...host,
  kernel: host.kernel.map((each) => ({ ...each, writable: () => false })),
});

const planOf = ({ mountinfo, cgroup, kernel }: Host) => {
  const files = simulate(kernel);
  const plan = planGroups({ mountinfo: mountinfo.join('\n'), cgroup, pid: PID }, files);
  return { plan, files };
};
const whole = (folder: string): GroupPlan['places'] => [{ version: 2, folder, holds: ['pids', 'memory', 'kill'] }];

const hosts: readonly (readonly [string, Host, GroupPlan['places']])[] = [
  ['v2, delegated, alone in it: it becomes a leaf of its own group', unified(), whole(`${TOP}${scope}`)],
  [
    'v2, writable but not marked as delegated: its manager is not to be surprised',
    unified({ marked: [] }),
    [{ version: 2, folder: `${TOP}${scope}`, holds: ['kill'] }],
  ],
  [
    'v2, delegated, with others in the group: they are not ours to move, and the kernel can still kill',
    unified({ groups: { [`${TOP}/user.slice`]: [], [`${TOP}${scope}`]: [PID, 7] } }),
    [{ version: 2, folder: `${TOP}${scope}`, holds: ['kill'] }],
  ],
  [
    'v2, put into a leaf of what was delegated: beside it',
    unified(
      {
        groups: { [`${TOP}/user.slice`]: [], [`${TOP}${scope}`]: [], [`${TOP}${scope}/main`]: [PID, 7] },
        enabledIn: [TOP, `${TOP}/user.slice`, `${TOP}${scope}`],
      },
      `${scope}/main`,
    ),
    whole(`${TOP}${scope}`),
  ],
  [
    'v2, in a slice that it could write to: not its own, left alone',
    unified({
      groups: { [`${TOP}/user.slice`]: [], [`${TOP}${scope}`]: [PID, 7] },
      writable: (folder) => folder.startsWith(`${TOP}/user.slice`),
    }),
    [{ version: 2, folder: `${TOP}${scope}`, holds: ['kill'] }],
  ],
  [
    'v2, without the controllers',
    unified({ controllers: ['cpu'] }),
    [{ version: 2, folder: `${TOP}${scope}`, holds: ['kill'] }],
  ],
  ['v2, nothing writable', nobodyWrites(unified()), []],
  [
    'v2, the root of a machine whose controllers are not enabled: not ours to enable',
    unified({ groups: { [TOP]: [PID, 1] }, enabledIn: [], writable: () => true }, '/'),
    [{ version: 2, folder: TOP, holds: ['kill'] }],
  ],
  [
    'v2, the root of a container, alone in it',
    unified({ groups: { [TOP]: [PID] }, enabledIn: [], writable: () => true, isRealRoot: false }, '/'),
    whole(TOP),
  ],
  [
    'v2, only a part of the tree is mounted',
    unified({ groups: { [TOP]: [PID] }, enabledIn: [TOP], writable: () => true }, '/docker/abc', '/docker/abc'),
    whole(TOP),
  ],
  ['v2, outside of what is mounted', unified({}, '/docker/other', '/docker/abc'), []],
  ['v2, outside of its cgroup namespace', unified({}, '/../other'), []],
  [
    'v1',
    legacy,
    [
      { version: 1, folder: `${TOP}/pids`, holds: ['pids'] },
      { version: 1, folder: `${TOP}/memory/box`, holds: ['memory'] },
    ],
  ],
  ['v1, read-only', nobodyWrites(legacy), []],
  [
    'both: v2 without controllers beside v1',
    {
      mountinfo: [...legacy.mountinfo, v2Line().replace(TOP, `${TOP}/unified`)],
      cgroup: `${legacy.cgroup}0::/\n`,
      kernel: [...legacy.kernel, { version: 2, mount: `${TOP}/unified`, controllers: ['hugetlb'], groups: {} }],
    },
    [
      { version: 2, folder: `${TOP}/unified`, holds: ['kill'] },
      { version: 1, folder: `${TOP}/pids`, holds: ['pids'] },
      { version: 1, folder: `${TOP}/memory/box`, holds: ['memory'] },
    ],
  ],
  ['no cgroups', { mountinfo: ['29 24 0:25 / /proc rw - proc proc rw'], cgroup: '0::/\n', kernel: [] }, []],
  ['/proc out of reach', { mountinfo: [''], cgroup: '', kernel: [] }, []],
];

describe('what this process may make', () => {
  test.each(hosts)('%s', (_, host, places) => {
    const { plan, files } = planOf(host);
    expect(plan.places).toEqual(places);
    expect(plan.found).not.toBe('');
    // Nothing is left of trying.
    expect(files.folders().filter((folder) => folder.includes('probe'))).toEqual([]);
  });

  test('a process that could not become a leaf is where it was', () => {
    const { mountinfo, cgroup, kernel } = unified();
    const files = simulate(kernel);
    let moved = false;
    const refusing = {
      ...files,
      write: (file: string, text: string): boolean => {
        moved ||= file.includes('tappass-main');
        return !file.endsWith('subtree_control') && files.write(file, text);
      },
    };
    const plan = planGroups({ mountinfo: mountinfo.join('\n'), cgroup, pid: PID }, refusing);
    expect({ moved, places: plan.places }).toEqual({
      moved: true,
      places: [{ version: 2, folder: `${TOP}${scope}`, holds: ['kill'] }],
    });
    expect(files.read(`${TOP}${scope}/cgroup.procs`)).toBe(String(PID));
    expect(files.folders().filter((folder) => folder.includes('tappass'))).toEqual([]);
  });

  test('groups of processes that were killed are ended and removed; those of the living, and of others, stay', () => {
    const namespace = /\d+/u.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '';
    const dead = `tappass-${namespace}-${String(spawnSync('true').pid)}-0123`;
    const names = [
      dead,
      `tappass-${namespace}-${String(process.pid)}-0123`,
      'tappass-1-1-0123',
      'tappass-main-77',
      'app',
    ];
    const groups = Object.fromEntries(names.map((name) => [`${TOP}${scope}/${name}`, [99_999_999]]));
    const { files } = planOf(unified({ groups: { [`${TOP}/user.slice`]: [], [`${TOP}${scope}`]: [PID], ...groups } }));
    const left = files.folders().filter((folder) => names.some((name) => folder.endsWith(`/${name}`)));
    expect(left.map((folder) => folder.slice(`${TOP}${scope}/`.length))).toEqual(names.slice(1));
  });
});

describe('the group of one command', () => {
  const { plan, files } = planOf(unified());
  const limits = { memoryMb: 100, pids: 10 };
  const wish = { limits, slow: false, kill: false };

  test('v2: one, with every limit', () => {
    const group = openGroup(wish, plan, files);
    const folder = group?.orders.into ?? '';
    expect(group?.holds).toEqual(['pids', 'memory', 'kill']);
    expect(group?.orders).toEqual({
      into: folder,
      join: [],
      wake: `${folder}/pids.events`,
      oom: `${folder}/memory.events`,
      kill: `${folder}/cgroup.kill`,
      holdsMemory: true,
    });
    const read = (name: string): string | undefined => files.read(`${folder}/${name}`);
    expect([read('pids.max'), read('memory.max'), read('memory.swap.max'), read('memory.oom.group')]).toEqual([
      String(mostTasks(10)),
      String(100 * 1024 * 1024),
      '0',
      '1',
    ]);
    group?.close();
    expect(files.has(folder)).toBe(false);
  });

  test('names are not given twice, and cannot be guessed', () => {
    const [one, two] = [openGroup(wish, plan, files), openGroup(wish, plan, files)];
    expect(one?.orders.into).toMatch(/-[0-9a-f]{16}$/u);
    expect(one?.orders.into).not.toBe(two?.orders.into);
    one?.close();
    two?.close();
  });

  test('v1: only for limits of the caller; each hierarchy has its own', () => {
    const { plan: v1, files: v1Files } = planOf(legacy);
    expect(openGroup(wish, v1, v1Files)).toBeUndefined();
    const group = openGroup({ ...wish, slow: true }, v1, v1Files);
    expect(group?.orders.join).toHaveLength(2);
    expect(group?.holds).toEqual(['pids', 'memory']);
    group?.close();
    expect(v1Files.folders().filter((folder) => folder.includes('tappass'))).toEqual([]);
  });

  test('nothing is wished for: none is made', () => {
    expect(openGroup({ limits: {}, slow: true, kill: false }, plan, files)).toBeUndefined();
  });

  test('one that cannot be had as a whole is not had in part, and nothing is left of it', () => {
    const { plan: v1, files: v1Files } = planOf(legacy);
    const broken = {
      ...v1Files,
      write: (file: string, text: string) => !file.includes('memory') && v1Files.write(file, text),
    };
    expect(openGroup({ ...wish, slow: true }, v1, broken)).toBeUndefined();
    expect(v1Files.folders().filter((folder) => folder.includes('tappass'))).toEqual([]);
  });

  test.each([
    [1, 65],
    [8, 72],
    [256, 1024],
  ])('%i processes are allowed their threads: %i', (processes, tasks) => {
    expect(mostTasks(processes)).toBe(tasks);
  });
});
