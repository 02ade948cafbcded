/**
 * Control groups of single commands: made before the command starts, joined by it before its execve, removed when nothing
 * of it is left. Which files are written is decided here; the launcher is told their names. `group-plan.ts` finds out what
 * this process may make.
 */
import { randomBytes } from 'node:crypto';
import type { CompiledLimits } from './compiled.ts';
import { GROUP_FILES, groupPlan, removeOrKeep, type GroupFiles, type GroupPlan, type Held } from './group-plan.ts';
import type { GroupOrders } from './orders.ts';
import { ownPrefix } from './owner.ts';

export interface Group {
  readonly orders: GroupOrders;
  readonly holds: readonly Held[];
  /** Call when its processes have ended. */
  close(): void;
}

/**
 * The controller counts threads, and a limit on processes is none on threads (Node has a dozen): what the kernel refuses
 * lies above, and bounds how far a storm gets before it is counted.
 */
export const mostTasks = (processes: number): number => Math.max(4 * processes, processes + 64);

export interface GroupWish {
  readonly limits: Pick<CompiledLimits, 'memoryMb' | 'pids'>;
  /**
   * Also in groups of v1. A process can be born in one of v2, which costs nothing; into one of v1 it must be moved, and
   * for that the kernel stops all forks of the machine (a grace period of RCU, some milliseconds).
   */
  readonly slow: boolean;
  /** No pid namespace will end the descendants. */
  readonly kill: boolean;
}

const MIB = 1024 * 1024;

/** `undefined`: nothing is wished for, or nothing can be had; then limits are watched from outside, as everywhere. */
export const openGroup = (
  { limits, slow, kill }: GroupWish,
  plan: GroupPlan = groupPlan(),
  files: GroupFiles = GROUP_FILES,
): Group | undefined => {
  const wishes: Readonly<Record<Held, boolean>> = {
    memory: limits.memoryMb !== undefined,
    pids: limits.pids !== undefined,
    kill,
  };
  const made: string[] = [];
  const holds = new Set<Held>();
  let orders: GroupOrders = { join: [], holdsMemory: false };
  const wanted = plan.places.filter(
    ({ version, holds }) => (slow || version === 2) && holds.some((held) => wishes[held]),
  );
  for (const place of wanted) {
    // Not to be guessed, and never one that is there already.
    const folder = `${place.folder}/${ownPrefix()}${randomBytes(8).toString('hex')}`;
    const set = (name: string, value: number): boolean => files.write(`${folder}/${name}`, String(value));
    /** Absent where the kernel was built without it. */
    const setWhereKnown = (name: string, value: number): boolean => !files.has(`${folder}/${name}`) || set(name, value);
    if (!files.make(folder)) return giveUp(made, files);
    made.push(folder);
    orders =
      place.version === 2
        ? { ...orders, into: folder }
        : { ...orders, join: [...orders.join, `${folder}/cgroup.procs`] };
    if (place.holds.includes('pids') && limits.pids !== undefined) {
      if (!set('pids.max', mostTasks(limits.pids))) return giveUp(made, files);
      holds.add('pids');
      orders = { ...orders, wake: `${folder}/pids.events` };
    }
    if (place.holds.includes('memory') && limits.memoryMb !== undefined) {
      const bytes = limits.memoryMb * MIB;
      const done =
        place.version === 2
          ? set('memory.max', bytes) && setWhereKnown('memory.swap.max', 0) && setWhereKnown('memory.oom.group', 1)
          : set('memory.limit_in_bytes', bytes) && setWhereKnown('memory.memsw.limit_in_bytes', bytes);
      if (!done) return giveUp(made, files);
      holds.add('memory');
      const oom = `${folder}/${place.version === 2 ? 'memory.events' : 'memory.oom_control'}`;
      orders = { ...orders, oom, holdsMemory: true };
    }
    if (place.holds.includes('kill')) {
      holds.add('kill');
      orders = { ...orders, kill: `${folder}/cgroup.kill` };
    }
  }
  if (made.length === 0) return undefined;
  return { orders, holds: [...holds], close: () => made.forEach((folder) => removeOrKeep(folder, files)) };
};

const giveUp = (made: readonly string[], files: GroupFiles): undefined => {
  for (const folder of made) files.remove(folder);
  return undefined;
};
