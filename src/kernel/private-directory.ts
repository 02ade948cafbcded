/**
 * TMPDIR and HOME of a command: its own, 0700, emptied when it has ended. The paths are those of a slot that the next
 * command uses again, so that a profile compiled for them is compiled once.
 */
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Identity } from './orders.ts';
import { isAbandoned, ownPrefix } from './owner.ts';

export interface PrivateDirectories {
  /** Holds the two others: what a profile grants as ${TMP}. */
  readonly root: string;
  readonly temporary: string;
  readonly home: string;
  /** Empties them. What cannot be removed is left to the next sweep, and its slot is not used again. */
  release(): Promise<void>;
}

let root: string | undefined;
let slots = 0;
const free: string[] = [];

/** Where all slots of this process are made; removed when it exits. */
export const privateRoot = (): string => (root ??= openRoot());

export const claimPrivateDirectories = (identity?: Identity): PrivateDirectories => {
  const slot = free.pop() ?? join(privateRoot(), String(slots++));
  const temporary = join(slot, 'tmp');
  const home = join(slot, 'home');
  // Another user must get through to what is its own; the slots themselves are closed to all but their owner.
  if (identity) chmodSync(privateRoot(), 0o711);
  for (const directory of [slot, temporary, home]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (identity) chownSync(directory, identity.uid, identity.gid);
  }
  return {
    root: slot,
    temporary,
    home,
    release: async () => {
      try {
        const used = [temporary, home].some((directory) => readdirSync(directory).length > 0);
        if (used || identity) await rm(slot, { recursive: true, force: true });
        free.push(slot);
      } catch {
        // A tree deeper than PATH_MAX, or one that its owner made unreadable: it stays where nobody else can enter.
      }
    },
  };
};

const openRoot = (): string => {
  const parent = tmpdir();
  sweep(parent);
  const made = mkdtempSync(join(parent, ownPrefix()));
  process.once('exit', () => {
    try {
      rmSync(made, { recursive: true, force: true });
    } catch {
      // The next process that runs a command sweeps it away.
    }
  });
  return made;
};

/** Removes what processes of ours that were killed have left behind. */
const sweep = (parent: string): void => {
  for (const name of readdirSync(parent)) {
    if (!isAbandoned(name)) continue;
    const path = join(parent, name);
    try {
      const stat = lstatSync(path);
      if (stat.isDirectory() && stat.uid === process.getuid?.()) remove(path);
    } catch {
      // Swept by another process at the same moment, or not ours to remove.
    }
  }
};

/** Most are empty: left by a process that had locked itself out of the folder around it. */
const remove = (path: string): void => {
  try {
    rmdirSync(path);
  } catch {
    rmSync(path, { recursive: true, force: true });
  }
};
