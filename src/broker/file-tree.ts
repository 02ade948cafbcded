/** Making and removing names beneath the workspace, one held directory at a time. */
import { fstatSync } from 'node:fs';
import { constants as os } from 'node:os';
import type { Grant } from '../model/grant.ts';
import { type DirectoryCalls, HANDLE, O_PATH, SystemError, withDescriptor } from './file-calls.ts';
import { inParent, lend, performFile } from './file-perform.ts';
import { openEntries } from './file-read.ts';
import type { Workspace } from './file.ts';

/** Makes the directory and those above it; one that is there already is fine. */
export const makeDirectory = (workspace: Workspace, grant: Grant | undefined): Promise<{ readonly created: boolean }> =>
  performFile(workspace, grant, ['mkdir'], (path) => {
    const { calls, handle } = workspace;
    let created = false;
    // One descriptor at a time: a path may have two thousand components.
    let at = calls.open(handle, '', HANDLE);
    for (const name of path === '' ? [] : path.split('/')) {
      at = withDescriptor(calls, at, (directory) => {
        created = makeOne(calls, directory, name) || created;
        return calls.open(directory, name, HANDLE);
      });
    }
    calls.close(at);
    return { created };
  });

const makeOne = (calls: DirectoryCalls, directory: number, name: string): boolean => {
  try {
    calls.makeDirectory(directory, name, 0o777);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
};

/** Directories deeper than this are not removed at once (ENAMETOOLONG): each level holds a descriptor. */
const DEEPEST = 200;

/**
 * Removes a file, a link (never what it points to) or an empty directory; with `recursive` a whole directory.
 */
export const removeFile = (
  workspace: Workspace,
  grant: Grant | undefined,
  { recursive = false, signal }: { readonly recursive?: boolean; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> =>
  performFile(workspace, grant, ['remove'], (path) => {
    const { calls } = workspace;
    const remove = async (directory: number, name: string, depth: number): Promise<void> => {
      signal?.throwIfAborted();
      const found = withDescriptor(calls, calls.open(directory, name, O_PATH), (descriptor) => fstatSync(descriptor));
      if (recursive && found.isDirectory()) {
        if (depth >= DEEPEST) throw new SystemError(-os.errno.ENAMETOOLONG, 'unlink', 'the directory is too deep');
        await lend(calls, calls.open(directory, name, HANDLE), async (inner) => {
          for await (const entry of await openEntries(inner)) await remove(inner, entry.name, depth + 1);
        });
      }
      calls.unlink(directory, name, found.isDirectory());
    };
    return inParent(workspace, path, (directory, name) => remove(directory, name, 0));
  });
