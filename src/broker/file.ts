/**
 * The workspace: a directory that is resolved once and held open. Paths are judged against it (`resolve`), and the
 * `perform` functions beside this file open beneath its handle.
 */
import { close, closeSync, constants, fstatSync, openSync as ambientOpen, realpathSync, statSync } from 'node:fs';
import type { FileOperation } from '../model/effect.ts';
import { TapPassConfigError, TapPassError } from '../model/errors.ts';
import { type DirectoryCalls, type FileMethod, fileCalls, HANDLE } from './file-calls.ts';
import { type PathInput, type Resolution, resolvePath, type Root } from './file-resolve.ts';

export interface Workspace extends Disposable {
  /** Real and absolute. */
  readonly root: string;
  /** How names are opened here; `fallback` has the reason beside it. */
  readonly method: FileMethod;
  readonly fallbackReason?: string;
  /** The descriptor of the root. Throws once the workspace is closed: the number may be another file's by then. */
  readonly handle: number;
  readonly calls: DirectoryCalls;
  /**
   * Where `path` leads for this operation, as the kernel would resolve it; relative paths start at the workspace.
   * `remove` and `rename` act on the last name itself, the others follow it. A name that does not exist yet is its
   * deepest existing real parent and the rest. What cannot be resolved, or what two programs would read
   * differently (`~`, magic links of /proc, `..` after a missing name), is a fault. Never throws.
   */
  resolve(path: PathInput, options: { readonly operation: FileOperation }): Resolution;
}

export interface WorkspaceOptions {
  /** Default: `openat2` where the host has it, else `fallback`. Asking for `openat2` on a host without it throws. */
  readonly method?: FileMethod;
}

/** Throws `TapPassConfigError` where `path` is not a directory. */
export const openWorkspace = (path: string, options: WorkspaceOptions = {}): Workspace => {
  const { directory: calls, path: kernel, fallbackReason } = fileCalls(options.method);
  const root = openRoot(path);
  abandoned.register(root, root.handle, root);
  let isOpen = true;
  return {
    root: root.real,
    get handle() {
      if (isOpen) return root.handle;
      throw new TapPassError('File operation refused: the workspace was closed', { code: 'TAPPASS_REFUSED' });
    },
    calls,
    method: calls.method,
    ...(fallbackReason !== undefined && { fallbackReason }),
    resolve: (input, { operation }) =>
      isOpen ? resolvePath(root, input, operation, kernel) : { fault: 'the workspace was closed' },
    [Symbol.dispose]: () => {
      if (!isOpen) return;
      isOpen = false;
      abandoned.unregister(root);
      closeSync(root.handle);
    },
  };
};

/** Closes what nobody can reach any more: tools are made for a while, and nobody disposes of tools. */
const abandoned = new FinalizationRegistry<number>((handle) => close(handle, () => undefined));

const openRoot = (path: string): Root => {
  let handle: number | undefined;
  try {
    const real = realpathSync.native(path);
    handle = ambientOpen(real, HANDLE | constants.O_NOFOLLOW);
    const [held, named] = [fstatSync(handle, { bigint: true }), statSync(path, { bigint: true })];
    if (held.ino === named.ino && held.dev === named.dev && real.isWellFormed() && !real.includes('\uFFFD')) {
      return { real, handle };
    }
  } catch (error) {
    if (handle !== undefined) closeSync(handle);
    throw new TapPassConfigError(
      `Expected \`workspace\` to be a directory that exists, got ${JSON.stringify(path)} (${String(error)})`,
      { cause: error },
    );
  }
  closeSync(handle);
  throw new TapPassConfigError(`Expected \`workspace\` to keep its place while it is opened, got a moving one`);
};
