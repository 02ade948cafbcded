/** What the variables of a profile stand for, and which folders may be a workspace. */
import { isAbsolute, join } from 'node:path';
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
    HOME: realOrUndefined(variables.home) ?? variables.home,
    RUNTIME: (variables.runtime ?? []).map((folder) => real('runtime', folder)),
  };
};

export const substitute = (path: string, variables: ResolvedVariables): readonly string[] => {
  const match = /^\$\{([A-Z]+)\}(.*)$/u.exec(path);
  if (match === null) return [path];
  const [, name = '', rest = ''] = match;
  const value = variables[name as keyof ResolvedVariables];
  if (value === undefined) return [];
  return (typeof value === 'string' ? [value] : value).map((folder) => (rest === '' ? folder : join(folder, rest)));
};

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

export const requireWorkspace = (variables: ResolvedVariables, protectedPlaces: readonly string[]): void => {
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
  for (const place of protectedPlaces) {
    if (isWithin(workspace, place)) refuse(`is, or lies inside, the protected ${place}`);
    if (isWithin(place, workspace))
      refuse(`contains the protected ${place}, and Landlock cannot deny inside an allowed folder`);
  }
};
