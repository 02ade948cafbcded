/**
 * Where this process may make control groups, found by making one: v2 with controllers of its own, else the v1
 * hierarchies of `pids` and `memory`, else nothing.
 * Source: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the kernel; systemd.io/CGROUP_DELEGATION.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { loadAddon } from '../native/addon.ts';
import { unescaped } from './mounts.ts';
import { isAbandoned, ownPrefix } from './owner.ts';
import { isWithin } from './paths.ts';

/** What a group does: bounds processes, bounds memory, ends all of its processes at once. */
export type Held = 'pids' | 'memory' | 'kill';

export interface GroupPlace {
  readonly version: 1 | 2;
  /** Groups are made in here. */
  readonly folder: string;
  readonly holds: readonly Held[];
}

export interface GroupPlan {
  readonly places: readonly GroupPlace[];
  /** In words, for `tappass doctor` and reports. */
  readonly found: string;
}

/** What is done to control groups; a test makes up kernels that this machine does not have. */
export interface GroupFiles {
  read(file: string): string | undefined;
  has(file: string): boolean;
  /** Into a file that exists. */
  write(file: string, text: string): boolean;
  /** False also where it exists already. */
  make(folder: string): boolean;
  remove(folder: string): boolean;
  list(folder: string): readonly string[];
  /** systemd marks what it leaves to others (systemd.io/CGROUP_DELEGATION). */
  isMarked(folder: string): boolean;
}

const orFalse = (act: () => unknown): boolean => {
  try {
    act();
    return true;
  } catch {
    return false;
  }
};

export const GROUP_FILES: GroupFiles = {
  read: (file) => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return undefined;
    }
  },
  has: existsSync,
  write: (file, text) =>
    orFalse(() => {
      const fd = openSync(file, constants.O_WRONLY);
      try {
        writeSync(fd, text);
      } finally {
        closeSync(fd);
      }
    }),
  make: (folder) => orFalse(() => mkdirSync(folder)),
  remove: (folder) => orFalse(() => rmdirSync(folder)),
  list: (folder) => {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  },
  isMarked: (folder) => {
    const load = loadAddon();
    const has = 'addon' in load ? load.addon.hasAttribute : undefined;
    return has !== undefined && (has(folder, 'user.delegate') || has(folder, 'trusted.delegate'));
  },
};

interface Hierarchy {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  readonly mount: string;
  /** The group of this process. */
  readonly own: string;
}

/** `cgroup`: /proc/self/cgroup. What lies outside of a mount, or of a cgroup namespace (`/..`), cannot be reached. */
const hierarchiesOf = (mountinfo: string, cgroup: string): readonly Hierarchy[] =>
  mountinfo.split('\n').flatMap((line): readonly Hierarchy[] => {
    const [left = '', right = ''] = line.split(' - ');
    const [type, , options = ''] = right.split(' ');
    const [, , , root = '', point = ''] = left.split(' ').map(unescaped);
    if (type !== 'cgroup' && type !== 'cgroup2') return [];
    const version = type === 'cgroup2' ? 2 : 1;
    const controllers = version === 2 ? [] : options.split(',').filter((word) => word === 'pids' || word === 'memory');
    const own = cgroup
      .split('\n')
      .map((entry) => /^(\d+):([^:]*):(.*)$/u.exec(entry))
      .find((entry) =>
        version === 2 ? entry?.[1] === '0' : controllers.some((name) => entry?.[2]?.split(',').includes(name) === true),
      )?.[3];
    if (own === undefined || own.includes('/..') || !isWithin(own, root)) return [];
    const rest = root === '/' ? own : own.slice(root.length);
    return [{ version, controllers, mount: point, own: rest === '/' || rest === '' ? point : `${point}${rest}` }];
  });

export interface GroupFacts {
  readonly mountinfo: string;
  readonly cgroup: string;
  readonly pid: number;
}

export const planGroups = ({ mountinfo, cgroup, pid }: GroupFacts, files: GroupFiles = GROUP_FILES): GroupPlan => {
  const hierarchies = hierarchiesOf(mountinfo, cgroup);
  if (hierarchies.length === 0) return { places: [], found: 'no control groups can be seen from here' };
  const places: GroupPlace[] = [];
  const missing = (held: Held): boolean => !places.some(({ holds }) => holds.includes(held));
  const unified = hierarchies.find(({ version }) => version === 2);
  const delegated = unified === undefined ? undefined : unifiedPlace(unified, pid, files);
  if (delegated !== undefined) places.push(delegated);
  for (const controller of ['pids', 'memory'] as const) {
    const legacy = hierarchies.find(({ controllers }) => controllers.includes(controller));
    if (legacy === undefined || !missing(controller)) continue;
    const probed = tryIn(legacy.own, files);
    if (probed?.[controller] === true) places.push({ version: 1, folder: legacy.own, holds: [controller] });
  }
  for (const { folder, version } of places) sweep(folder, version, files);
  return { places, found: inWords(places, hierarchies) };
};

const inWords = (places: readonly GroupPlace[], hierarchies: readonly Hierarchy[]): string =>
  places.length === 0
    ? `none can be made in ${[...new Set(hierarchies.map(({ own }) => own))].join(', ')}`
    : places.map(({ version, holds }) => `v${version}: ${holds.join(', ')}`).join('; ');

/** What a group made in `folder` would have; `undefined` when none can be made. The counter is what an end is told by. */
const tryIn = (folder: string, files: GroupFiles): Readonly<Record<Held, boolean>> | undefined => {
  // Another thread of this process may be trying as well.
  const probe = `${folder}/${ownPrefix()}probe-${randomBytes(4).toString('hex')}`;
  if (!files.make(probe)) return undefined;
  const counts = (file: string): boolean => /^oom_kill \d/mu.test(files.read(`${probe}/${file}`) ?? '');
  const found = {
    pids: files.has(`${probe}/pids.max`) && files.has(`${probe}/pids.events`),
    memory:
      (files.has(`${probe}/memory.max`) && counts('memory.events')) ||
      (files.has(`${probe}/memory.limit_in_bytes`) && counts('memory.oom_control')),
    kill: files.has(`${probe}/cgroup.kill`),
  };
  files.remove(probe);
  return found;
};

const isWhole = (found: Readonly<Record<Held, boolean>> | undefined): boolean => found?.pids === true && found.memory;

/** Its own group; or the one above, where a manager put it into a leaf; or its own again, after it made itself that leaf. */
const unifiedPlace = ({ own, mount }: Hierarchy, pid: number, files: GroupFiles): GroupPlace | undefined => {
  const placeIn = (folder: string): GroupPlace | undefined => {
    const found = tryIn(folder, files);
    const holds = (['pids', 'memory', 'kill'] as const).filter((held) => found?.[held] === true);
    return holds.length === 0 ? undefined : { version: 2, folder, holds };
  };
  const first = tryIn(own, files);
  if (first === undefined) return undefined;
  if (isWhole(first)) return placeIn(own);
  const offered = (files.read(`${own}/cgroup.controllers`) ?? '').split(/\s+/u);
  // The root of all has no type; what is enabled there is the machine's affair.
  if (files.has(`${own}/cgroup.type`) && offered.includes('pids') && offered.includes('memory')) {
    const above = dirname(own);
    // A slice is never delegated (systemd.resource-control(5)): what is in it belongs to its manager.
    if (own !== mount && isWithin(above, mount) && !above.endsWith('.slice') && isWhole(tryIn(above, files))) {
      return placeIn(above);
    }
    // A container's whole tree is its own, and so is what a manager has marked.
    const isOurs = own === mount || files.isMarked(own);
    if (isOurs && becomeLeaf(own, pid, files) && isWhole(tryIn(own, files))) return placeIn(own);
  }
  return placeIn(own);
};

/** EBUSY while the group itself holds processes: "no internal processes". */
const enable = (folder: string, files: GroupFiles): boolean =>
  files.write(`${folder}/cgroup.subtree_control`, '+pids +memory');

/** Only of a group that holds nobody else: other processes are not ours to move. */
const becomeLeaf = (folder: string, pid: number, files: GroupFiles): boolean => {
  if ((files.read(`${folder}/cgroup.procs`) ?? '').trim() !== String(pid)) return false;
  // Not a name that is swept: when this process has ended, its own children may live on in there.
  const leaf = `${folder}/tappass-main-${pid}`;
  if (!files.make(leaf)) return false;
  if (files.write(`${leaf}/cgroup.procs`, String(pid)) && enable(folder, files)) return true;
  files.write(`${folder}/cgroup.procs`, String(pid));
  files.remove(leaf);
  return false;
};

/** Groups of processes that were killed: what still lives in them is what was left of a command. */
const sweep = (folder: string, version: 1 | 2, files: GroupFiles): void => {
  for (const name of files.list(folder).filter(isAbandoned)) {
    const group = `${folder}/${name}`;
    if (version === 2) files.write(`${group}/cgroup.kill`, '1');
    else for (const pid of (files.read(`${group}/cgroup.procs`) ?? '').split('\n').map(Number)) killOne(pid);
    removeOrKeep(group, files);
  }
};

/** 0 is a process of another pid namespace, and to `kill` it would be our own group. */
const killOne = (pid: number): void => {
  if (Number.isInteger(pid) && pid > 1) orFalse(() => process.kill(pid, 'SIGKILL'));
};

const LONGEST_WAIT_MS = 1000;

/** The last process leaves its group a moment after it was reaped. What cannot be removed is swept by the next process. */
export const removeOrKeep = (folder: string, files: GroupFiles, wait = 1): void => {
  if (files.remove(folder) || !files.has(folder) || wait > LONGEST_WAIT_MS) return;
  setTimeout(() => removeOrKeep(folder, files, wait * 2), wait).unref();
};

let known: GroupPlan | undefined;

/** Found once for the process. */
export const groupPlan = (): GroupPlan =>
  (known ??= planGroups({
    mountinfo: GROUP_FILES.read('/proc/self/mountinfo') ?? '',
    cgroup: GROUP_FILES.read('/proc/self/cgroup') ?? '',
    pid: process.pid,
  }));
