/** Where paths lead and what stands there: asked by the thousand when a profile is compiled, hence without exceptions. */
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { constants as os } from 'node:os';
import { loadAddon, type NativeAddon } from '../native/addon.ts';
import { errnoName } from './errno.ts';

const { errno } = os;

/** Beneath or equal, by whole components. */
export const isWithin = (path: string, folder: string): boolean =>
  path.startsWith(folder) &&
  (path.length === folder.length || folder.endsWith('/') || path.charCodeAt(folder.length) === SLASH);

const SLASH = 0x2f;

/** `dirname` of an absolute path that is written as `realpath` writes it; `node:path` looks at each letter. */
export const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

/** `join` of a folder and a name, of the same. */
export const within = (folder: string, name: string): string => (folder === '/' ? `/${name}` : `${folder}/${name}`);

let found: NativeAddon | undefined;

const calls = (): NativeAddon => {
  if (found !== undefined) return found;
  const load = loadAddon();
  return (found = 'addon' in load ? load.addon : {});
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

/**
 * Names in `folder` that match (a star at the end stands for any rest), and those of its other folders. Empty where it
 * is not there, or not ours to read; `undefined` where nobody knows: a search that could not be made must not pass for
 * one that found nothing.
 */
export const listNamed = (
  folder: string,
  patterns: readonly string[],
): { readonly named: readonly string[]; readonly folders: readonly string[]; readonly entries: number } | undefined => {
  const named: string[] = [];
  const folders: string[] = [];
  const call = calls().listNamed;
  if (call === undefined) throw new Error('the native addon is not built: run `npm rebuild tappass`');
  const entries = call(folder, patterns, named, folders);
  if (entries >= 0) return { named, folders, entries };
  if (EXHAUSTED.has(-entries)) throw new Error(`${folder} cannot be listed (${errnoName(-entries)})`);
  return UNREACHABLE.has(-entries) ? { named, folders, entries: 0 } : undefined;
};

const numbersOf = (names: readonly (keyof typeof errno)[]): ReadonlySet<number> =>
  new Set(names.map((name) => errno[name]));
const UNREACHABLE = numbersOf(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP']);
/** It is this process that is in trouble, not the folder. */
const EXHAUSTED = numbersOf(['EMFILE', 'ENFILE', 'ENOMEM']);

/** A name that is no UTF-8 reaches us with this for what it is not: by that name nothing is found. */
export const isReadableName = (name: string): boolean => !name.includes('\uFFFD');

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
  const call = calls().isProgram;
  if (call !== undefined) return call(file);
  if (!isOfKind(file, constants.S_IFREG)) return false;
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

export interface FoundProgram {
  readonly path: string;
  readonly real: string;
  /** The first line of a script (`#!…`), or the dynamic loader that an ELF file names. */
  readonly interpreter: string | undefined;
}

/**
 * For each name the program of that name in the first of `folders` that has one: each folder is opened once, and each name
 * is asked about in it. A name with a slash is none.
 */
export const findPrograms = (
  folders: readonly string[],
  names: readonly string[],
): readonly (FoundProgram | undefined)[] => {
  const call = calls().findPrograms;
  if (call === undefined) return names.map((name) => findSlowly(folders, name));
  const results = new Int32Array(names.length);
  const reals: string[] = [];
  const interpreters: (string | undefined)[] = [];
  const failed = call(folders, names, results, reals, interpreters);
  if (failed < 0) throw new Error(`programs cannot be looked for (${errnoName(-failed)})`);
  return names.map((name, index) => {
    const folder = folders[results[index] ?? -1];
    const real = reals[index];
    if (folder === undefined || real === undefined) return undefined;
    return { path: within(folder, name), real, interpreter: interpreters[index] };
  });
};

/** The program at an absolute path. */
export const programAt = (path: string): FoundProgram | undefined => {
  const real = isProgram(path) ? realOrUndefined(path) : undefined;
  return real === undefined ? undefined : { path, real, interpreter: calls().interpreterOf?.(real) };
};

/** Without the native part, which is what an error will then be about. */
const findSlowly = (folders: readonly string[], name: string): FoundProgram | undefined => {
  if (name.includes('/') || name.includes('\0')) return undefined;
  for (const folder of folders) {
    const program = programAt(within(folder, name));
    if (program !== undefined) return program;
  }
  return undefined;
};
