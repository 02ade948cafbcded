/** Names of what a process makes outside of itself, by which another can tell whether its owner still lives. */
import { readlinkSync } from 'node:fs';

let namespace: string | undefined;

/** `x` where /proc is out of reach: then nobody can tell, and nothing is taken for abandoned. */
const pidNamespace = (): string => {
  if (namespace !== undefined) return namespace;
  try {
    namespace = /\[(\d+)\]/u.exec(readlinkSync('/proc/self/ns/pid'))?.[1] ?? 'x';
  } catch {
    namespace = 'x';
  }
  return namespace;
};

/** `tappass-<pid namespace>-<pid>-`. */
export const ownPrefix = (): string => `tappass-${pidNamespace()}-${process.pid}-`;

/** A name of ours whose owner, in this pid namespace, has ended. */
export const isAbandoned = (name: string): boolean => {
  if (!name.startsWith('tappass-')) return false;
  const [, where, pid] = /^tappass-(\d+)-(\d+)-/u.exec(name) ?? [];
  return where !== undefined && where === pidNamespace() && !isAlive(Number(pid));
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
};
