/**
 * Confines the running process, every thread of it, for good. All that can fail without consequence is done first: the
 * ruleset is built, the threads are asked whether they answer, and the proof is tried while it must still fail.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { loadAddon } from '../native/addon.ts';
import type { NativeAddon } from '../native/addon.ts';
import type { CompiledLandlock, CompiledProfile } from './compiled.ts';
import { errnoName } from './errno.ts';
import { isDirectory, isWithin, realOrUndefined } from './paths.ts';

export interface LockDownThreads {
  /** Threads that existed when the last one had proven its confinement. */
  readonly found: number;
  readonly confined: number;
}

export interface LockDownReport {
  readonly abi: number;
  readonly threads: LockDownThreads;
  /** io_uring instances that this process held before: what the filter cannot take away. */
  readonly rings: number;
}

/** Why not. `applied`: something irreversible has been done, and not on all threads. */
export class LockDownFailure extends Error {
  readonly layer: string;
  readonly applied: boolean;
  constructor(layer: string, message: string, applied = false) {
    super(message);
    this.layer = layer;
    this.applied = applied;
  }
}

/** linux/landlock.h, ABI 8: the kernel binds all threads itself, and they share one domain. */
const RESTRICT_SELF_TSYNC = 1 << 3;
const TSYNC_ABI = 8;

/** The enum of addon-lock-down.c. */
const STEPS: Readonly<Record<number, { readonly layer: string; readonly what: string; readonly applied: boolean }>> = {
  1: { layer: 'threads', what: 'the threads could not be listed', applied: false },
  2: { layer: 'threads', what: 'a thread did not answer', applied: false },
  3: { layer: 'landlock', what: 'a thread could not be restricted', applied: true },
  4: { layer: 'seccomp', what: 'the filter could not be installed on all threads', applied: true },
  5: { layer: 'proof', what: 'a thread could not prove its confinement', applied: true },
  6: { layer: 'seccomp', what: 'this kernel offers no filters', applied: false },
};

/**
 * `probe`: a directory that can be opened now and that no rule covers; default: one that is found. Throws
 * LockDownFailure; then, unless `applied` says otherwise, the process is as it was.
 */
export const lockDown = (
  profile: Pick<CompiledProfile, 'landlock' | 'seccompInProcess'>,
  probe?: string,
): LockDownReport => {
  const addon = requireCalls();
  const abi = addon.landlockAbi();
  if (abi < 1) throw new LockDownFailure('landlock', `Landlock is not available (${errnoName(-abi)})`);
  const place = probe ?? findProbe(profile.landlock, isConfined());
  const rings = countRings(addon);
  const ruleset = buildRuleset(addon, profile.landlock);
  try {
    const results = new Int32Array(4);
    const flags = abi >= TSYNC_ABI ? RESTRICT_SELF_TSYNC : 0;
    const failed = addon.lockDown(ruleset, flags, Buffer.from(profile.seccompInProcess), place, results);
    const [step = 0, thread = 0, found = 0, confined = 0] = results;
    if (failed < 0) {
      const { layer, what, applied } = STEPS[step] ?? {
        layer: 'lock-down',
        what: 'the request was refused',
        applied: false,
      };
      throw new LockDownFailure(layer, `${what} (thread ${thread}, ${errnoName(-failed)})`, applied);
    }
    return { abi, threads: { found, confined }, rings };
  } finally {
    addon.close(ruleset);
  }
};

/** Whether this thread has no_new_privs and a filter, from the kernel itself. */
export const isConfined = (): boolean => {
  const results = new Int32Array(2);
  requireCalls().securityState(results);
  return results[0] === 1 && results[1] === 2;
};

type Calls = Required<
  Pick<
    NativeAddon,
    | 'landlockAbi'
    | 'close'
    | 'landlockRuleset'
    | 'landlockAllowBeneath'
    | 'landlockAllowPort'
    | 'lockDown'
    | 'securityState'
    | 'countDescriptors'
  >
>;

const requireCalls = (): Calls => {
  const load = loadAddon();
  if ('missing' in load) throw new LockDownFailure('native', load.missing);
  if (!load.addon.lockDown) throw new LockDownFailure('native', 'the addon was built without its kernel part');
  return load.addon as Calls;
};

const buildRuleset = (addon: Calls, landlock: CompiledLandlock): number => {
  const ruleset = addon.landlockRuleset(landlock.handledFs, landlock.handledNet, landlock.scoped);
  if (ruleset < 0) throw new LockDownFailure('landlock', `the ruleset could not be made (${errnoName(-ruleset)})`);
  const require = (result: number, what: string): void => {
    if (result >= 0) return;
    addon.close(ruleset);
    throw new LockDownFailure('landlock', `the rule for ${what} could not be made (${errnoName(-result)})`);
  };
  for (const { path, access } of landlock.paths) require(addon.landlockAllowBeneath(ruleset, path, access), path);
  for (const { port, access } of landlock.ports) {
    require(addon.landlockAllowPort(ruleset, port, access), `port ${port}`);
  }
  return ruleset;
};

const PROBES = ['/', '/proc', '/sys', '/boot', '/mnt', '/media', '/srv', '/root', '/run', '/var', '/home', '/opt'];

/**
 * A directory that can be opened now and that no rule covers: its refusal afterwards, on each thread, is the proof. In a
 * process that is confined already none may be open any more; then what counts is that it stays so.
 */
const findProbe = ({ paths }: CompiledLandlock, confined: boolean): string => {
  const isUncovered = (path: string): boolean => exists(path) && !paths.some((rule) => isWithin(path, rule.path));
  const probe =
    PROBES.find((path) => isUncovered(path) && opens(path)) ?? (confined ? PROBES.find(isUncovered) : undefined);
  if (probe !== undefined) return probe;
  throw new LockDownFailure(
    'proof',
    `the profile grants every directory that could show its effect (${PROBES.join(', ')}); nothing would prove it`,
  );
};

/** A directory itself, not a link to one. */
const exists = (path: string): boolean => isDirectory(path) && realOrUndefined(path) === path;

const opens = (path: string): boolean => {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY));
    return true;
  } catch {
    return false;
  }
};

/** Inside a sandbox that hides /proc: what cannot be counted is assumed to be there. */
const countRings = (addon: Calls): number => {
  const found = addon.countDescriptors('anon_inode:[io_uring]');
  return found < 0 ? 1 : found;
};
