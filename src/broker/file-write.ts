/** Writing beneath the workspace. A file is replaced as a whole or not at all; a link is replaced, never written through. */
import { randomBytes } from 'node:crypto';
import {
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  read,
  type Stats,
  write,
} from 'node:fs';
import { constants as os } from 'node:os';
import { promisify } from 'node:util';
import type { Grant } from '../model/grant.ts';
import { O_PATH, SystemError, withDescriptor } from './file-calls.ts';
import { inParent, lend, notRegular, openRegular, performFile, requireGranted } from './file-perform.ts';
import type { Workspace } from './file.ts';

const readAsync = promisify(read);
const writeAsync = promisify(write);

export interface WriteOptions {
  /** Replace what is there; else an existing target is EEXIST. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface Written {
  /** Size of the file afterwards, in bytes. */
  readonly size: number;
  readonly created: boolean;
}

/** Both ends of a move or a copy. */
export interface Ends {
  readonly source: Grant | undefined;
  readonly destination: Grant | undefined;
}

/**
 * Writes a whole file: into a new one beside it, which then takes its name (rename(2) is atomic). Readers see the old
 * or the new contents; an error leaves the old. Mode and owner are kept where possible; a hard link is detached.
 */
export const writeFile = (
  workspace: Workspace,
  grant: Grant | undefined,
  content: Uint8Array,
  { overwrite = true, signal }: WriteOptions = {},
): Promise<Written> =>
  performFile(workspace, grant, ['write'], (path) =>
    replaceFile(workspace, path, { overwrite }, (descriptor) => writeAll(descriptor, content, signal)),
  );

/**
 * Appends, creating the file where needed. What was written of a failed append is taken back, unless someone else
 * appended meanwhile. A hard link is written through.
 */
export const appendFile = (
  workspace: Workspace,
  grant: Grant | undefined,
  content: Uint8Array,
  { signal }: Pick<WriteOptions, 'signal'> = {},
): Promise<Written> =>
  performFile(workspace, grant, ['append'], (path) =>
    inParent(workspace, path, async (directory, name) => {
      const existing = lookAt(workspace, directory, name);
      if (existing !== undefined) requireRegular(existing);
      const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;
      return lend(workspace.calls, openRegular(workspace, directory, name, flags, NEW_MODE), async (descriptor) => {
        const before = fstatSync(descriptor).size;
        const progress = { written: 0 };
        try {
          await writeAll(descriptor, content, signal, progress);
        } catch (error) {
          if (fstatSync(descriptor).size === before + progress.written) ftruncateSync(descriptor, before);
          throw error;
        }
        return { size: fstatSync(descriptor).size, created: existing === undefined };
      });
    }),
  );

/** Copies a regular file, by descriptors; permissions go with it. */
export const copyFile = async (
  workspace: Workspace,
  { source, destination }: Ends,
  { overwrite = false, signal }: WriteOptions = {},
): Promise<Written> => {
  requireGranted(workspace, destination, ['copy']);
  return performFile(workspace, source, ['copy'], (from) =>
    lend(workspace.calls, openRegular(workspace, workspace.handle, from, constants.O_RDONLY), (input) =>
      performFile(workspace, destination, ['copy'], (to) =>
        replaceFile(workspace, to, { overwrite, from: fstatSync(input) }, (output) =>
          copyBytes(input, output, fstatSync(input).size, signal),
        ),
      ),
    ),
  );
};

/** Moves a name, whatever it names; a symbolic link is moved itself. Across file systems it is EXDEV: copy and remove. */
export const moveFile = async (
  workspace: Workspace,
  ends: Ends,
  { overwrite = false }: WriteOptions = {},
): Promise<void> => {
  const to = requireGranted(workspace, ends.destination, ['rename']);
  return performFile(
    workspace,
    ends.source,
    ['rename'],
    (from) =>
      inParent(workspace, from, (fromDirectory, fromName) =>
        inParent(workspace, to, async (toDirectory, toName) => {
          workspace.calls.rename(fromDirectory, fromName, toDirectory, toName, overwrite);
        }),
      ),
    to,
  );
};

export type Change =
  /** Permission bits; set-user-id and its kin are never set. */
  { readonly mode: number } | { readonly size: number } | { readonly accessed: Date; readonly modified: Date };

/** chmod, truncate or utimes of a regular file, on the file that was opened. */
export const changeFile = (workspace: Workspace, grant: Grant | undefined, change: Change): Promise<void> => {
  const operation = 'mode' in change ? 'chmod' : 'size' in change ? 'truncate' : 'utimes';
  const flags = operation === 'truncate' ? constants.O_WRONLY : constants.O_RDONLY;
  return performFile(workspace, grant, [operation], (path) =>
    withDescriptor(workspace.calls, openRegular(workspace, workspace.handle, path, flags), (descriptor) => {
      if ('mode' in change) fchmodSync(descriptor, change.mode & 0o777);
      else if ('size' in change) ftruncateSync(descriptor, change.size);
      else futimesSync(descriptor, change.accessed, change.modified);
    }),
  );
};

/** Permissions of a new file, before the umask. */
const NEW_MODE = 0o666;

/** What is to have the permissions of another file is nobody else's until it has them. */
const PRIVATE_MODE = 0o600;

const replaceFile = (
  workspace: Workspace,
  path: string,
  { overwrite, from }: { readonly overwrite: boolean; readonly from?: Stats },
  fill: (descriptor: number) => Promise<void>,
): Promise<Written> =>
  inParent(workspace, path, async (directory, name) => {
    const { calls } = workspace;
    const existing = lookAt(workspace, directory, name);
    if (existing !== undefined && !overwrite) throw new SystemError(-os.errno.EEXIST, 'open');
    if (existing !== undefined) requireRegular(existing);
    const model = existing ?? from;
    const temporary = `.tappass-${randomBytes(8).toString('hex')}.tmp`;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    const mode = model === undefined ? NEW_MODE : PRIVATE_MODE;
    const descriptor = openRegular(workspace, directory, temporary, flags, mode);
    try {
      const size = await lend(calls, descriptor, async () => {
        await fill(descriptor);
        if (existing !== undefined) keepOwner(descriptor, existing);
        if (model !== undefined) fchmodSync(descriptor, model.mode & 0o777);
        return fstatSync(descriptor).size;
      });
      calls.rename(directory, temporary, directory, name, overwrite);
      return { size, created: existing === undefined };
    } catch (error) {
      removeQuietly(workspace, directory, temporary);
      throw error;
    }
  });

const removeQuietly = ({ calls }: Workspace, directory: number, name: string): void => {
  try {
    calls.unlink(directory, name, false);
  } catch {
    // The error that led here is the one to tell.
  }
};

const requireRegular = (stat: Stats): void => {
  if (!stat.isFile()) throw notRegular(stat.isDirectory());
};

const keepOwner = (descriptor: number, { uid, gid }: Stats): void => {
  const now = fstatSync(descriptor);
  if (now.uid === uid && now.gid === gid) return;
  try {
    fchownSync(descriptor, uid, gid);
  } catch {
    // Giving a file away is the superuser's: as with any editor that saves by rename, it becomes ours.
  }
};

/** What `name` is, never followed; `undefined` where there is nothing. */
const lookAt = ({ calls }: Workspace, directory: number, name: string): Stats | undefined => {
  try {
    return withDescriptor(calls, calls.open(directory, name, O_PATH), (descriptor) => fstatSync(descriptor));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
};

const writeAll = async (
  descriptor: number,
  content: Uint8Array,
  signal: AbortSignal | undefined,
  progress = { written: 0 },
): Promise<void> => {
  while (progress.written < content.length) {
    signal?.throwIfAborted();
    const left = content.length - progress.written;
    const { bytesWritten } = await writeAsync(descriptor, content, progress.written, left, null);
    progress.written += bytesWritten;
  }
};

/** No further than the size at the start: a file that is copied into itself by a growing log must end. */
const copyBytes = async (
  input: number,
  output: number,
  size: number,
  signal: AbortSignal | undefined,
): Promise<void> => {
  const buffer = Buffer.allocUnsafe(Math.min(Math.max(size, 1), 1024 * 1024));
  for (let position = 0; position < size;) {
    signal?.throwIfAborted();
    const { bytesRead } = await readAsync(input, buffer, 0, Math.min(buffer.length, size - position), position);
    if (bytesRead === 0) return;
    await writeAll(output, buffer.subarray(0, bytesRead), signal);
    position += bytesRead;
  }
};
