/**
 * What the launcher is told, as bytes: `TPL1`, a length, then records of {kind, size, payload padded to 8}, all
 * little-endian. Pure. `src/native/launcher-orders.c` is the reading side.
 */
import type { CompiledProfile, LandlockPathRule } from './compiled.ts';

export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

export interface Orders {
  readonly profile: CompiledProfile;
  /** Absolute path of the program. */
  readonly program: string;
  /** `argv`, its first element included. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
  /** CLONE_NEW* flags; 0 for none. */
  readonly namespaces: number;
  /** Become this user; only a privileged parent can ask. */
  readonly identity?: Identity;
  /** Where the arguments of the one permitted execve will stand; see `seal-exec.ts`. */
  readonly execAt?: readonly [bigint, bigint, bigint];
  readonly seccomp: Uint8Array;
  readonly group?: GroupOrders;
  /** Folders inside writable places that stay read-only where the command has mounts of its own. */
  readonly readOnly?: readonly string[];
}

/** Files of the control groups of one command; see `group.ts`. */
export interface GroupOrders {
  /** The folder of a v2 group: the command is born in it. */
  readonly into?: string;
  /** Files of v1 groups, each of which moves who writes to it. */
  readonly join: readonly string[];
  /** Changes when a fork was refused. */
  readonly wake?: string;
  /** Counts in a line `oom_kill <n>`. */
  readonly oom?: string;
  readonly kill?: string;
  /** Resident memory is bounded by the kernel: nobody need add it up. */
  readonly holdsMemory: boolean;
}

const KIND = {
  program: 1,
  argument: 2,
  variable: 3,
  directory: 4,
  ruleset: 5,
  path: 6,
  port: 7,
  filter: 8,
  limit: 9,
  namespaces: 10,
  writable: 11,
  identity: 12,
  watch: 13,
  execAt: 14,
  groupInto: 15,
  groupJoin: 16,
  groupWake: 17,
  groupOom: 18,
  groupKill: 19,
  readOnly: 20,
} as const;

const RLIMIT_CPU = 0;
const RLIMIT_FSIZE = 1;
const RLIMIT_NOFILE = 7;
const RLIMIT_MSGQUEUE = 12;

const MIB = 1024 * 1024;
const MAGIC = Buffer.from('TPL1', 'latin1');

/** WRITE_FILE and every right that changes a directory: what a read-only view must leave writable. */
const WRITES = (1n << 1n) | ((1n << 14n) - (1n << 4n));
const READ_DIRECTORY = 1n << 3n;

/** Directories beneath which the profile lets something be written; what stands inside another is left out. */
export const writableIn = (profile: CompiledProfile): readonly string[] => {
  const roots = profile.landlock.paths
    .filter(({ access }) => (access & WRITES) !== 0n && (access & READ_DIRECTORY) !== 0n)
    .map(({ path }) => path);
  return [...new Set(roots)].filter((path) => !roots.some((root) => root !== path && path.startsWith(`${root}/`)));
};

const CLONE_NEWNS = 0x0002_0000;
const CLONE_NEWPID = 0x2000_0000;

/** The rules in the order in which the launcher counts them. It mounts a new /proc where both namespaces are new. */
export const pathRulesOf = ({
  profile: { landlock },
  namespaces,
}: Pick<Orders, 'profile' | 'namespaces'>): readonly LandlockPathRule[] =>
  (namespaces & CLONE_NEWNS) !== 0 && (namespaces & CLONE_NEWPID) !== 0
    ? [...landlock.paths, ...landlock.pathsWithOwnProc]
    : landlock.paths;

export const encodeOrders = (orders: Orders): Buffer => {
  const own = new Records();
  own.add(KIND.program, text(orders.program));
  own.add(KIND.directory, text(orders.directory));
  for (const argument of orders.args) own.add(KIND.argument, text(argument));
  for (const [name, value] of Object.entries(orders.environment)) own.add(KIND.variable, text(`${name}=${value}`));
  own.add(KIND.filter, orders.seccomp);
  if (orders.namespaces !== 0) own.add(KIND.namespaces, Buffer.from(Uint32Array.of(orders.namespaces).buffer));
  if (orders.identity) own.add(KIND.identity, words32(orders.identity.uid, orders.identity.gid));
  if (orders.execAt) own.add(KIND.execAt, words64(...orders.execAt));

  if (orders.group) {
    const { into, join, wake, oom, kill } = orders.group;
    if (into !== undefined) own.add(KIND.groupInto, text(into));
    for (const file of join) own.add(KIND.groupJoin, text(file));
    if (wake !== undefined) own.add(KIND.groupWake, text(wake));
    if (oom !== undefined) own.add(KIND.groupOom, text(oom));
    if (kill !== undefined) own.add(KIND.groupKill, text(kill));
  }
  for (const path of orders.readOnly ?? []) own.add(KIND.readOnly, text(path));
  const { limits } = orders.profile;
  const microseconds = Math.ceil((limits.cpuSeconds ?? 0) * 1_000_000);
  const memory = orders.group?.holdsMemory === true ? 0 : (limits.memoryMb ?? 0) * MIB;
  own.add(KIND.watch, words64(memory, limits.pids ?? 0, microseconds));

  const shared = encodeProfile(orders);
  const size = Buffer.from(Uint32Array.of(own.size + shared.length).buffer);
  return Buffer.concat([MAGIC, size, ...own.parts, shared]);
};

/** The same bytes for every command under one profile: hundreds of rules are encoded once. */
const encoded = new WeakMap<CompiledProfile, Map<number, Buffer>>();

const encodeProfile = ({ profile, namespaces }: Pick<Orders, 'profile' | 'namespaces'>): Buffer => {
  const known = encoded.get(profile) ?? new Map<number, Buffer>();
  encoded.set(profile, known);
  const before = known.get(namespaces);
  if (before !== undefined) return before;

  const { landlock, limits } = profile;
  const records = new Records();
  const limit = (resource: number, soft: number, hard: number): void =>
    records.add(KIND.limit, words32(resource, 0), words64(soft, hard));
  records.add(KIND.ruleset, words64(landlock.handledFs, landlock.handledNet, landlock.scoped));
  for (const { path, access } of pathRulesOf({ profile, namespaces }))
    records.add(KIND.path, words64(access), text(path));
  for (const { port, access } of landlock.ports) records.add(KIND.port, words64(access, port));
  if (limits.fileSizeMb !== undefined) limit(RLIMIT_FSIZE, limits.fileSizeMb * MIB, limits.fileSizeMb * MIB);
  if (limits.openFiles !== undefined) limit(RLIMIT_NOFILE, limits.openFiles, limits.openFiles);
  // SIGXCPU at the limit, SIGKILL a second later: for one process. The launcher adds up the whole tree.
  if (limits.cpuSeconds !== undefined) limit(RLIMIT_CPU, limits.cpuSeconds, limits.cpuSeconds + 1);
  limit(RLIMIT_MSGQUEUE, 0, 0);
  for (const path of writableIn(profile)) records.add(KIND.writable, text(path));
  const bytes = Buffer.concat(records.parts);
  known.set(namespaces, bytes);
  return bytes;
};

class Records {
  readonly parts: Uint8Array[] = [];
  size = 0;

  add(kind: number, ...payload: readonly Uint8Array[]): void {
    const size = payload.reduce((total, part) => total + part.byteLength, 0);
    const padding = -size & 7;
    this.parts.push(words32(kind, size), ...payload, Buffer.alloc(padding));
    this.size += 8 + size + padding;
  }
}

const words32 = (...values: readonly number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer);
const words64 = (...values: readonly (number | bigint)[]): Buffer =>
  Buffer.from(BigUint64Array.from(values.map(BigInt)).buffer);

/** A NUL inside would end the text early and mean something else: the caller has refused it, and this checks. */
const text = (value: string): Buffer => {
  if (value.includes('\0')) throw new TypeError('Expected text without NUL bytes in the orders of a sandbox');
  return Buffer.from(`${value}\0`, 'utf8');
};
