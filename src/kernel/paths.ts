/** Where paths lead and what stands there: asked by the thousand when a profile is compiled, hence without exceptions. */
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { loadAddon } from '../native/addon.ts';

/** Beneath or equal, by whole components. */
export const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);

const calls = () => {
  const load = loadAddon();
  return 'addon' in load ? load.addon : {};
};

/**
 * Files that lack one of `fileBits` and folders that lack one of `folderBits`, `depth` levels down and without following
 * links; nothing is looked for in a folder that is found. Throws without the native part: so does all that could use it.
 */
export const findWithoutMode = (
  folder: string,
  depth: number,
  bits: { readonly file: number; readonly folder: number },
): readonly string[] => {
  const call = calls().findWithoutMode;
  if (call === undefined) throw new Error('the native addon is not built: run `npm rebuild tappass`');
  return call(folder, depth, bits.file, bits.folder);
};

/** `st_mode` of what `path` leads to; a number below 0 for what cannot be looked at. */
const modeOf = (path: string): number => {
  const { fileMode } = calls();
  if (fileMode !== undefined) return fileMode(path);
  try {
    return statSync(path, { throwIfNoEntry: false })?.mode ?? -1;
  } catch {
    return -1;
  }
};

/** `undefined` for what does not exist or cannot be reached. */
export const realOrUndefined = (path: string): string | undefined => {
  const { realPath } = calls();
  if (realPath !== undefined) return realPath(path);
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
};

const isOfKind = (path: string, kind: number): boolean => {
  const mode = modeOf(path);
  return mode >= 0 && (mode & constants.S_IFMT) === kind;
};

export const isDirectory = (path: string): boolean => isOfKind(path, constants.S_IFDIR);

/** A regular file that this process may execute. */
export const isProgram = (file: string): boolean => {
  if (!isOfKind(file, constants.S_IFREG)) return false;
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};
