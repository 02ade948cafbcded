/** What the variables of a profile stand for, and which folders may be a workspace. */
import { userInfo } from 'node:os';
import { isAbsolute, resolve } from 'node:path';
import type { Places } from './grants.ts';
import { isDirectory, isWithin, realOrUndefined } from './paths.ts';
import { profileFault } from './profile.ts';

export interface ProfileVariables {
  /** An existing folder; resolved by realpath. Never `/`, a home folder, or around or inside a protected place. */
  readonly workspace: string;
  /** The private temporary folder of the sandbox. Absent: rules about it grant nothing. */
  readonly tmp?: string;
  /** The Node executable. */
  readonly node: string;
  /** The user's own home folder (not the sandbox's): where credentials are. */
  readonly home: string;
  /** Folders an isolate host loads its code from. */
  readonly runtime?: readonly string[];
}

export interface ResolvedVariables {
  readonly WORKSPACE: string;
  readonly TMP: string | undefined;
  readonly NODE: string;
  readonly HOME: string;
  readonly RUNTIME: readonly string[];
}

export const resolveVariables = (variables: ProfileVariables): ResolvedVariables => {
  const real = (name: string, path: string): string => {
    if (!isAbsolute(path) || path.includes('\0')) {
      throw profileFault(
        `Expected \`${name}\` to be an absolute path, got ${JSON.stringify(path)}`,
        'TAPPASS_PROFILE_VARIABLE',
      );
    }
    const found = realOrUndefined(path);
    if (found === undefined) {
      throw profileFault(`Expected \`${name}\` to exist, got ${path}`, 'TAPPASS_PROFILE_VARIABLE');
    }
    return found;
  };
  const workspace = real('workspace', variables.workspace);
  if (!isDirectory(workspace)) {
    throw profileFault(`Expected \`workspace\` to be a folder, got ${workspace}`, 'TAPPASS_WORKSPACE_REFUSED');
  }
  return {
    WORKSPACE: workspace,
    TMP: variables.tmp === undefined ? undefined : real('tmp', variables.tmp),
    NODE: real('node', variables.node),
    HOME: homeAt(variables.home === '' ? recordedHome() : resolve(variables.home)),
    RUNTIME: (variables.runtime ?? []).map((folder) => real('runtime', folder)),
  };
};

const homeAt = (path: string): string => realOrUndefined(path) ?? path;

/** Where credentials are for whoever has an empty HOME, which names no folder, least of all the current one. */
const recordedHome = (): string => {
  try {
    return resolve('/', userInfo().homedir);
  } catch {
    return '/nonexistent';
  }
};

/** What `path` stands for: as `realpath` writes it, as far as the variable is. */
export const substitute = (path: string, variables: ResolvedVariables): readonly string[] => {
  const end = path.startsWith('${') ? path.indexOf('}') : -1;
  if (end === -1) return [tidy(path)];
  const value = variables[path.slice(2, end) as keyof ResolvedVariables];
  if (value === undefined) return [];
  const rest = path.slice(end + 1);
  return typeof value === 'string' ? [tidy(value + rest)] : value.map((folder) => tidy(folder + rest));
};

/** `realpath` writes no empty part, and what follows compares paths by their text. */
const tidy = (path: string): string =>
  path.includes('//') || path.endsWith('/') ? `/${path.split('/').filter(Boolean).join('/')}` : path;

/** Places that are no workspace: writing there is writing to the system. */
export const SYSTEM_PLACES = ['/proc', '/sys', '/dev', '/etc', '/boot', '/run'];
const SYSTEM_FOLDERS = [
  '/usr',
  '/var',
  '/opt',
  '/home',
  '/lib',
  '/bin',
  '/sbin',
  '/lib64',
  '/srv',
  '/mnt',
  '/media',
  '/tmp',
];

export const requireWorkspace = (variables: ResolvedVariables, protectedPlaces: Places): void => {
  const workspace = variables.WORKSPACE;
  const refuse = (why: string): never => {
    throw profileFault(
      `Expected \`workspace\` to be a folder of its own, got ${workspace}, which ${why}. Choose a narrower folder`,
      'TAPPASS_WORKSPACE_REFUSED',
    );
  };
  if (workspace === '/') refuse('is the whole system');
  if (isWithin(variables.HOME, workspace)) refuse('is, or contains, the home folder with its credentials');
  const system = [
    ...SYSTEM_PLACES.filter((place) => isWithin(workspace, place)),
    ...SYSTEM_FOLDERS.filter((place) => place === workspace),
  ];
  if (system.length > 0) refuse('belongs to the system');
  const around = protectedPlaces.holder(workspace);
  if (around !== undefined) refuse(`is, or lies inside, the protected ${around}`);
  const [inside] = protectedPlaces.beneath(workspace);
  if (inside !== undefined) {
    refuse(`contains the protected ${inside}, and Landlock cannot deny inside an allowed folder`);
  }
};
