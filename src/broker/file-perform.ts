/**
 * What every file operation of the broker shares: the grant that allows it, the handles it starts from, and the words
 * for what went wrong. Operations act on the path that was judged, beneath the workspace's handle and without following
 * any link: one that was put there since is an error, not a way out.
 */
import { constants, fstatSync } from 'node:fs';
import { constants as os } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import type { FileOperation } from '../model/effect.ts';
import { TapPassError } from '../model/errors.ts';
import { type Grant, isGranted } from '../model/grant.ts';
import { type Closes, type DirectoryCalls, HANDLE, SystemError, withDescriptor } from './file-calls.ts';
import type { Workspace } from './file.ts';

/** Runs `act` on the granted path, relative to the workspace. Rejects with `TAPPASS_REFUSED` or `TAPPASS_FAILED`. */
export const performFile = async <R>(
  workspace: Workspace,
  grant: Grant | undefined,
  operations: readonly FileOperation[],
  act: (path: string) => R | Promise<R>,
  /** The other end, for the text of an error. */
  to?: string,
): Promise<R> => {
  const path = requireGranted(workspace, grant, operations);
  try {
    return await act(path);
  } catch (error) {
    throw failure(error, `${operations[0] ?? 'open'} ${quote(path)}${to === undefined ? '' : ` to ${quote(to)}`}`);
  }
};

const quote = (path: string): string => JSON.stringify(path === '' ? '.' : path);

/** The granted path, relative to the workspace; throws `TAPPASS_REFUSED` without a grant for exactly this. */
export const requireGranted = (
  workspace: Workspace,
  grant: Grant | undefined,
  operations: readonly FileOperation[],
): string => {
  if (!isGranted(grant, Date.now())) throw refusal('there is no valid grant for it');
  const { effect } = grant;
  if (effect.kind !== 'file' || !operations.includes(effect.operation)) {
    throw refusal(`the grant is for another operation (expected ${operations.join(' or ')})`);
  }
  const { beneath, real } = effect.resolved ?? {};
  if (beneath === undefined) throw refusal('the path was not resolved beneath the workspace');
  if (beneath.split('/').some((name) => name === '.' || name === '..') || beneath.includes('//')) {
    throw refusal('the path is not in its real form');
  }
  if (real !== (beneath === '' ? workspace.root : `${workspace.root === '/' ? '' : workspace.root}/${beneath}`)) {
    throw refusal('the grant is for another workspace');
  }
  return beneath;
};

const refusal = (reason: string): TapPassError =>
  new TapPassError(`File operation refused: ${reason}`, { code: 'TAPPASS_REFUSED' });

/** Node's own wording of errors (`ENOENT: no such file or directory, read "a"`), with no path but the relative one. */
const failure = (error: unknown, attempt: string): unknown => {
  if (error instanceof TapPassError || !(error instanceof Error)) return error;
  const { errno, code } = error as NodeJS.ErrnoException;
  if (typeof errno !== 'number' || code === undefined) return error;
  const hint = error instanceof SystemError ? error.hint : undefined;
  const text =
    hint ??
    (code === 'ELOOP' ? 'a symbolic link is where none was when the path was judged' : getSystemErrorMessage(errno));
  return new TapPassError(`${code}: ${text}, ${attempt}`, {
    code: 'TAPPASS_FAILED',
    cause:
      error instanceof SystemError ? error : new SystemError(errno, (error as NodeJS.ErrnoException).syscall ?? ''),
  });
};

/** Lends a descriptor and closes it whatever happens. */
export const lend = async <R>(
  calls: Closes,
  descriptor: number,
  use: (descriptor: number) => Promise<R>,
): Promise<R> => {
  try {
    return await use(descriptor);
  } finally {
    calls.close(descriptor);
  }
};

/** Lends the directory that holds `path`, and its last name. The workspace itself is in no directory of ours: EBUSY. */
export const inParent = async <R>(
  { calls, handle }: Workspace,
  path: string,
  use: (directory: number, name: string) => Promise<R>,
): Promise<R> => {
  if (path === '') throw new SystemError(-os.errno.EBUSY, 'open', 'this is the workspace itself');
  const slash = path.lastIndexOf('/');
  const parent = openDirectory(calls, handle, path.slice(0, Math.max(slash, 0)));
  return lend(calls, parent, (directory) => use(directory, path.slice(slash + 1)));
};

const openDirectory = (calls: DirectoryCalls, handle: number, path: string): number => {
  try {
    return calls.open(handle, path, HANDLE);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new SystemError(-os.errno.ENOENT, 'open', 'the parent directory does not exist');
    }
    throw error;
  }
};

/**
 * Opens a regular file and nothing else. O_NONBLOCK: a FIFO must not hang its opener; O_NOCTTY: a terminal must not
 * become ours. Both are refused once it is known what was opened.
 */
export const openRegular = ({ calls }: Workspace, directory: number, path: string, flags: number, mode = 0): number => {
  const descriptor = calls.open(directory, path, flags | constants.O_NONBLOCK | constants.O_NOCTTY, mode);
  const stat = fstatSync(descriptor);
  if (stat.isFile()) return descriptor;
  return withDescriptor(calls, descriptor, () => {
    throw notRegular(stat.isDirectory());
  });
};

export const notRegular = (isDirectory: boolean): SystemError =>
  isDirectory
    ? new SystemError(-os.errno.EISDIR, 'open')
    : new SystemError(-os.errno.EINVAL, 'open', 'not a regular file (a link, FIFO, socket or device)');
