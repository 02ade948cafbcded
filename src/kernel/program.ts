/** Finds the program of a command and says, before anything is started, why it cannot be. */
import { closeSync, constants, accessSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { findProgram } from './commands.ts';
import { isWithin, realOrUndefined } from './paths.ts';

export type Program = { readonly path: string; readonly real: string } | ProgramFault;

export interface ProgramFault {
  readonly fault: string;
  /** False: there is something of that name, which cannot be started. */
  readonly missing: boolean;
}

/** The usual places, for a caller whose own PATH is unset. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Absolute entries outside of `workspace` only: an empty or relative entry means the current directory, where the
 * command's own files stand, and a planted `git` there is not git.
 */
export const cleanPath = (path: string | undefined, workspace: string): string =>
  [...new Set((path ?? DEFAULT_PATH).split(':'))]
    .filter((entry) => isAbsolute(entry) && !isWithin(realOrUndefined(entry) ?? resolve(entry), workspace))
    .join(':') || DEFAULT_PATH;

/**
 * `name` as the profile compiler finds it: with a slash it is a path, else the first on `path` that is not the shim of a
 * version manager.
 */
export const locateProgram = (name: string, path: string, directory: string): Program => {
  const folders = path.split(':');
  if (name.includes('/')) return examine(resolve(directory, name));
  const found = findProgram(name, folders);
  if (found !== undefined) return examine(found);
  const unusable = folders
    .map((folder) => examine(join(folder, name)))
    .find((each) => 'fault' in each && !each.missing);
  return unusable ?? { fault: `${name} was not found on PATH`, missing: true };
};

const examine = (path: string): Program => {
  const unusable = (fault: string): ProgramFault => ({ fault, missing: false });
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) return unusable(`${path} is a directory, not a program`);
    if (!stat.isFile()) return unusable(`${path} is not a regular file`);
    if ((stat.mode & 0o111) === 0) return unusable(`${path} is not executable: its mode is ${octal(stat.mode)}`);
    accessSync(path, constants.X_OK);
    const real = realpathSync(path);
    const fault = interpreterFault(real);
    return fault === undefined ? { path, real } : unusable(fault);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return { fault: `${path} does not exist`, missing: true };
    return unusable(`${path} cannot be examined (${code ?? String(error)})`);
  }
};

const octal = (mode: number): string => `0${(mode & 0o7777).toString(8)}`;

/** The kernel reads at most 256 bytes of the first line (BINPRM_BUF_SIZE, linux/binfmts.h). */
const HEAD_BYTES = 256;

/** The interpreter of a script, `undefined` for what is none. */
export const interpreterOf = (path: string): string | undefined => {
  const head = headOf(path);
  if (head === undefined || !head.startsWith('#!')) return undefined;
  return /^#![ \t]*([^\s\0]*)/u.exec(head)?.[1] ?? '';
};

const interpreterFault = (path: string): string | undefined => {
  const head = headOf(path);
  if (head === undefined) return undefined;
  if (head === '') return `${path} is empty`;
  if (!head.startsWith('#!')) {
    // What the kernel knows is ELF; anything else it refuses with ENOEXEC, and only a shell would guess at it.
    return head.startsWith('\x7fELF')
      ? undefined
      : `${path} is neither an ELF program nor a script that names its interpreter (#!)`;
  }
  const interpreter = interpreterOf(path) ?? '';
  if (interpreter === '') return `${path} is a script without an interpreter after #!`;
  try {
    return statSync(interpreter).isFile()
      ? undefined
      : `${path} names ${interpreter} as its interpreter, which is no file`;
  } catch {
    return `${path} names ${interpreter} as its interpreter, which does not exist`;
  }
};

/** `undefined` where it may be started but not read. */
const headOf = (path: string): string | undefined => {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const head = Buffer.alloc(HEAD_BYTES);
      return head.toString('latin1', 0, readSync(fd, head));
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
};
