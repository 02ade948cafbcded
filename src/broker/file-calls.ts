/**
 * Names relative to directory descriptors, in two ways that give the same answers: by openat2(2) and its relatives
 * through the native addon, or in JavaScript where the addon or the system call is missing.
 */
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync as ambientOpen,
  renameSync,
  rmdirSync,
  statfsSync,
  unlinkSync,
} from 'node:fs';
import { constants as os } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { TapPassConfigError } from '../model/errors.ts';
import { loadAddon } from '../native/addon.ts';
import type { FileCalls } from '../native/file-calls.ts';

/** How names are opened: one system call that cannot be raced, or a walk in JavaScript (see `fallbackCalls`). */
export type FileMethod = 'openat2' | 'fallback';

/** A refusal of the kernel, with the fields that Node gives such errors. */
export class SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  /** Says more than the code does. */
  readonly hint: string | undefined;
  constructor(errno: number, syscall: string, hint?: string) {
    const code = getSystemErrorName(errno);
    super(`${code}: ${syscall}`);
    this.name = 'SystemError';
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    this.hint = hint;
  }
}

export interface Closes {
  /**
   * Closes what `open` of the same calls gave. Node counts the descriptors that a worker thread opens by `fs`, and
   * warns when `fs` closes another; it closes those that are left when the thread ends, whatever they are by then.
   */
  close(descriptor: number): void;
}

/** What the broker needs of the system. Every name is one component; every path is components without `.` or `..`. */
export interface DirectoryCalls extends Closes {
  readonly method: FileMethod;
  /**
   * Opens `path` (`''` is the directory itself) beneath `directory`. A symbolic link in it is an error (ELOOP or
   * ENOTDIR), except that `O_PATH` opens a last component that is one: the link itself, never what it points to.
   */
  open(directory: number, path: string, flags: number, mode?: number): number;
  makeDirectory(directory: number, name: string, mode: number): void;
  /** Removes the name itself; a symbolic link is never followed. */
  unlink(directory: number, name: string, isDirectory: boolean): void;
  /** Without `overwrite` an existing target is EEXIST. */
  rename(fromDirectory: number, from: string, toDirectory: number, to: string, overwrite: boolean): void;
}

// include/uapi/linux/openat2.h, fcntl.h and fs.h; O_PATH has one value on every architecture that Node runs on.
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;
const AT_FDCWD = -100;
const AT_REMOVEDIR = 0x200;
const RENAME_NOREPLACE = 1;
/** Names a file without reading it: no permission on it is needed, and no device or FIFO is started. */
export const O_PATH = process.platform === 'linux' ? 0o10000000 : constants.O_RDONLY | constants.O_NONBLOCK;

const { O_DIRECTORY, O_NOFOLLOW } = constants;
export const HANDLE = O_PATH | O_DIRECTORY;

export const withDescriptor = <R>(calls: Closes, descriptor: number, use: (descriptor: number) => R): R => {
  try {
    return use(descriptor);
  } finally {
    calls.close(descriptor);
  }
};

/** The kernel's own answers about whole paths. */
export interface PathCalls extends Closes {
  /** 0: exists, and no component is a symbolic link. Else `-errno`. */
  isReal(path: string): number;
  /** Opens as the kernel resolves it, with every kind of link but magic ones; `-errno` when it cannot. */
  openResolved(path: string, followLast: boolean): number;
}

export interface Calls {
  readonly directory: DirectoryCalls;
  /** Absent in the fallback. */
  readonly path?: PathCalls;
  /** Why it is the fallback. */
  readonly fallbackReason?: string;
}

/** The best that this host has, or the fallback where it is asked for. */
export const fileCalls = (method?: FileMethod): Calls => {
  if (method === 'fallback') return { directory: fallbackCalls, fallbackReason: 'asked for' };
  const found = native();
  if ('missing' in found) {
    if (method !== undefined) {
      throw new TapPassConfigError(`Expected file access by \`openat2\`, got a host without: ${found.missing}`);
    }
    return { directory: fallbackCalls, fallbackReason: found.missing };
  }
  const { calls } = found;
  return {
    directory: nativeCalls(calls),
    path: {
      isReal: (path) => calls.isReal(path),
      openResolved: (path, followLast) =>
        calls.openat2(AT_FDCWD, path, O_PATH | (followLast ? 0 : O_NOFOLLOW), 0, RESOLVE_NO_MAGICLINKS),
      close: (descriptor) => closeNative(calls, descriptor),
    },
  };
};

const native = (): { readonly calls: FileCalls } | { readonly missing: string } => {
  const loaded = loadAddon();
  if ('missing' in loaded) return loaded;
  const { isReal, openat2, close, mkdirat, unlinkat, renameat2 } = loaded.addon;
  if (!isReal || !openat2 || !close || !mkdirat || !unlinkat || !renameat2) {
    return { missing: 'the native addon was built without its file part; run `npm rebuild`' };
  }
  const probe = isReal('/');
  if (probe !== 0) {
    return { missing: `openat2 is not usable here (${getSystemErrorName(probe)}): Linux 5.6 or newer is needed` };
  }
  return { calls: { isReal, openat2, close, mkdirat, unlinkat, renameat2 } };
};

const checked = (result: number, syscall: string): number => {
  if (result < 0) throw new SystemError(result, syscall);
  return result;
};

const closeNative = (calls: FileCalls, descriptor: number): void => {
  checked(calls.close(descriptor), 'close');
};

const nativeCalls = (calls: FileCalls): DirectoryCalls => ({
  method: 'openat2',
  open: (directory, path, flags, mode = 0) =>
    checked(
      calls.openat2(
        directory,
        path === '' ? '.' : path,
        flags | O_NOFOLLOW,
        mode,
        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
      ),
      'openat2',
    ),
  close: (descriptor) => closeNative(calls, descriptor),
  makeDirectory: (directory, name, mode) => {
    checked(calls.mkdirat(directory, name, mode), 'mkdirat');
  },
  unlink: (directory, name, isDirectory) => {
    checked(calls.unlinkat(directory, name, isDirectory ? AT_REMOVEDIR : 0), 'unlinkat');
  },
  rename: (fromDirectory, from, toDirectory, to, overwrite) => {
    checked(calls.renameat2(fromDirectory, from, toDirectory, to, overwrite ? 0 : RENAME_NOREPLACE), 'renameat2');
  },
});

const PROC_SUPER_MAGIC = 0x9fa0;

/** `/proc/self/fd/N` is a handle in the form of a path: names beneath it resolve from the directory, not from its path. */
const requireProc = (): void => {
  if (process.platform !== 'linux' || statfsSync('/proc/self/fd').type !== PROC_SUPER_MAGIC) {
    throw new SystemError(-os.errno.ENOSYS, 'open');
  }
};

/**
 * Without openat2: a walk that opens one component at a time with O_NOFOLLOW, each from the handle of the one before
 * (`/proc/self/fd/N/name`), so that swapping a parent for a symbolic link does not lead out. Its race: a rename
 * without `overwrite` looks first and renames then, so a target made in between is replaced. Where /proc is not
 * mounted (and on macOS) nothing is opened at all: ENOSYS.
 */
const fallbackCalls: DirectoryCalls = {
  method: 'fallback',
  open: (directory, path, flags, mode = 0) => {
    requireProc();
    const names = path === '' ? ['.'] : path.split('/');
    const last = names.pop() ?? '.';
    let at = directory;
    try {
      for (const name of names) {
        const next = openChild(at, name, HANDLE, 0);
        if (at !== directory) closeSync(at);
        at = next;
      }
      return openChild(at, last, flags, mode);
    } finally {
      if (at !== directory) closeSync(at);
    }
  },
  close: closeSync,
  makeDirectory: (directory, name, mode) => {
    requireProc();
    mkdirSync(childPath(directory, name), { mode });
  },
  unlink: (directory, name, isDirectory) => {
    requireProc();
    (isDirectory ? rmdirSync : unlinkSync)(childPath(directory, name));
  },
  rename: (fromDirectory, from, toDirectory, to, overwrite) => {
    requireProc();
    const target = childPath(toDirectory, to);
    if (!overwrite && lstatSync(target, { throwIfNoEntry: false }) !== undefined) {
      throw new SystemError(-os.errno.EEXIST, 'rename');
    }
    renameSync(childPath(fromDirectory, from), target);
  },
};

const childPath = (directory: number, name: string): string => `/proc/self/fd/${String(directory)}/${name}`;

const openChild = (directory: number, name: string, flags: number, mode: number): number =>
  ambientOpen(childPath(directory, name), flags | O_NOFOLLOW, mode);
