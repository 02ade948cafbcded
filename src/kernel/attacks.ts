/**
 * Ways out of a sandbox, as data: what `tappass selftest` tries on a user's host and `test/escape/` on ours. Each is a
 * few system calls for `tappass-try` (src/native/try.c). A call that the sandbox refuses answers EPERM, EACCES or ENOSYS,
 * or kills; one that reaches the kernel answers anything else, also when its arguments are nonsense (EFAULT, EBADF), so
 * that trying does no harm. Every attack is made outside first: one that fails there as well proves nothing.
 */
import type { Tier } from '../model/tier.ts';
import { SYSCALL_TABLES, type Architecture } from './seccomp.ts';

export const WAYS = [
  'files',
  'metadata',
  'programs',
  'network',
  'unix-sockets',
  'processes',
  'io-uring',
  'namespaces',
  'kernel',
  'foreign-abi',
  'ipc',
  'terminal',
] as const;
export type Way = (typeof WAYS)[number];

/** What stands outside of the sandbox for an attack to reach; `stage.ts` sets it up. */
export interface Target {
  /** A file beside the workspace that nothing grants. */
  readonly secretFile: string;
  /** A folder beside the workspace that nothing grants. */
  readonly outsideFolder: string;
  readonly workspace: string;
  /** A file in the workspace. */
  readonly ownFile: string;
  /** A program that no tier but `standard` may start. */
  readonly unlistedProgram: string;
  readonly tcpPort: number;
  readonly udpPort: number;
  readonly unixPath: string;
  readonly unixAbstract: string;
  /** A process of the same user outside. */
  readonly victimPid: number;
}

type Argument = string | number;
export type Call = readonly [name: string, ...Argument[]];

export interface Attack {
  readonly way: Way;
  readonly name: string;
  /** Tiers that must stop it. */
  readonly stoppedBy: readonly Tier[];
  /** Also stopped in these, but only where a read-only view of the file system could be added. */
  readonly stoppedByViewIn?: readonly Tier[];
  /** Its arguments are nonsense: it counts as made when the kernel looks at them. Else every call must succeed. */
  readonly probe?: true;
  /** Some kernels are built without it, and some containers refuse it: a host on which it fails outside is no surprise. */
  readonly dependsOnHost?: true;
  readonly calls: (target: Target) => readonly Call[];
}

export const ALL: readonly Tier[] = ['observer', 'worker', 'standard'];
export const CONFINED: readonly Tier[] = ['observer', 'worker'];

export const AT_FDCWD = -100;
export const BAD = '@';
export const text = (value: string): string => `=${value}`;
export const bytes = (...parts: readonly Buffer[]): string => `#${Buffer.concat(parts).toString('hex')}`;

export const inet = (port: number): string => {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(2, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  return bytes(address);
};
const UNIX_FAMILY = Buffer.from([1, 0]);
export const unixPath = (path: string): readonly [string, number] => {
  const name = Buffer.from(`${path}\0`);
  return [bytes(UNIX_FAMILY, name), 2 + name.length];
};
export const unixAbstract = (name: string): readonly [string, number] => {
  const full = Buffer.from(`\0${name}`);
  return [bytes(UNIX_FAMILY, full), 2 + full.length];
};

export const dependent = (attack: Attack): Attack => ({ ...attack, dependsOnHost: true });

/** One call with nonsense for arguments: `tried` when the kernel looks at it. */
export const single = (way: Way, stoppedBy: readonly Tier[], name: string, ...args: readonly Argument[]): Attack => ({
  way,
  name,
  stoppedBy,
  probe: true,
  calls: () => [[name, ...args]],
});

export const attack = (
  way: Way,
  name: string,
  stoppedBy: readonly Tier[],
  calls: Attack['calls'],
  stoppedByViewIn?: readonly Tier[],
): Attack => ({ way, name, stoppedBy, calls, ...(stoppedByViewIn === undefined ? {} : { stoppedByViewIn }) });

/** Arguments for `tappass-try`; `undefined` where this architecture does not have the call. */
export const argumentsOf = (
  attack: Attack,
  target: Target,
  architecture: Architecture,
): readonly string[] | undefined => {
  const table = SYSCALL_TABLES[architecture];
  const words: string[] = [];
  for (const [name, ...args] of attack.calls(target)) {
    const number = /^\d|^int80:/u.test(name) ? name : table[name];
    if (number === undefined || (architecture === 'arm64' && attack.way === 'foreign-abi')) return undefined;
    words.push(...(words.length === 0 ? [] : ['/']), String(number), ...args.map(String));
  }
  return words;
};

const REFUSALS: ReadonlySet<number> = new Set([-1, -13, -38]);
/** What `tappass-try` prints when it is started with no call to make. */
const STARTED = 'started';

/** Whether an attempt got through, from what `tappass-try` printed: nothing after a kill, a line less after an execve. */
export const gotThrough = (attack: Attack, target: Target, stdout: string): boolean => {
  const answers = stdout.split('\n').filter((line) => line !== '');
  if (answers.includes(STARTED)) return true;
  if (answers.length < attack.calls(target).length) return false;
  return attack.probe === true
    ? !answers.some((answer) => REFUSALS.has(Number(answer)))
    : answers.every((answer) => Number(answer) >= 0);
};
