/** Where paths lead and what stands there: asked by the thousand when a profile is compiled, hence without exceptions. */
import { accessSync, constants, lstatSync, realpathSync, statSync } from 'node:fs';
import { loadAddon } from '../native/addon.ts';

/** Beneath or equal, by whole components. */
export const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);

const calls = () => {
  const load = loadAddon();
  return 'addon' in load ? load.addon : {};
};

/** `st_mode` of what `path` leads to, or of the link itself; a number below 0 for what cannot be looked at. */
export const modeOf = (path: string, follow = true): number => {
  const { fileMode } = calls();
  if (fileMode !== undefined) return fileMode(path, follow);
  try {
    return (follow ? statSync : lstatSync)(path, { throwIfNoEntry: false })?.mode ?? -1;
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
