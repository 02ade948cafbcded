/**
 * Which files must be executable so that a command can start: the program that PATH leads to, the interpreters its
 * first lines name, and the dynamic loader its header names. Version managers put shell scripts ("shims") in front of
 * the real program; a name that leads to one is looked up further along PATH.
 */
import { basename, dirname, isAbsolute } from 'node:path';
import { findPrograms, interpreterOf, isProgram, realOrUndefined } from './paths.ts';
import { profileFault, type Profile } from './profile.ts';

export interface ResolvedCommand {
  readonly name: string;
  /** Where PATH led: what a report names. */
  readonly found: string;
  /** The program itself, its interpreters and loaders: real paths. */
  readonly files: readonly string[];
}

/** Interpreters of interpreters end somewhere; Linux itself stops at 4 (BINPRM_MAX_RECURSION). */
const DEEPEST_CHAIN = 4;

export interface FoundCommands {
  readonly commands: readonly ResolvedCommand[];
  readonly notFound: readonly string[];
  /** `undefined`: any. */
  readonly executable: readonly string[] | undefined;
  readonly searchPath: readonly string[];
}

/** What the profile lists and what the caller asks for; only the latter must exist. */
export const findCommands = (
  profile: Profile,
  options: { readonly searchPath: readonly string[]; readonly program?: string; readonly commands?: readonly string[] },
): FoundCommands => {
  const extra = options.commands ?? [];
  if (profile.tier === 'observer' && extra.length > 0) {
    throw profileFault(
      'Expected no `commands` for tier `observer`, which starts no program; use tier `worker`',
      'TAPPASS_PROFILE_COMMANDS',
    );
  }
  const any = profile.commands === 'any';
  const asked = options.program === undefined ? extra : [options.program, ...extra];
  const names = new Set(asked);
  if (profile.commands !== 'any') for (const rule of profile.commands) for (const name of rule.names) names.add(name);
  const commands: ResolvedCommand[] = [];
  const notFound: string[] = [];
  const resolver = createResolver(options.searchPath);
  for (const [name, found] of findAll([...names], resolver.folders)) {
    if (found !== undefined) commands.push(resolver.resolve(name, found));
    else if (asked.includes(name)) {
      throw profileFault(
        `Expected \`${name}\` to be an executable file${isAbsolute(name) ? '' : ' on PATH'}, found none`,
        'TAPPASS_COMMAND_NOT_FOUND',
      );
    } else notFound.push(name);
  }
  return {
    // Where any program may start, what was asked for by name may also lie where nothing else is granted (`/tmp`).
    commands,
    notFound,
    executable: any ? undefined : filesOf(commands),
    searchPath: any ? options.searchPath : inPathOrder(commands, options.searchPath),
  };
};

const filesOf = (commands: readonly ResolvedCommand[]): readonly string[] => {
  const all = new Set<string>();
  for (const { files } of commands) for (const file of files) all.add(file);
  return [...all];
};

/** The caller's order, so that `node` leads to the same node inside as outside. */
const inPathOrder = (commands: readonly ResolvedCommand[], searchPath: readonly string[]): readonly string[] => {
  const folders = new Set<string>();
  for (const { found } of commands) folders.add(dirname(found));
  return [...new Set([...searchPath.filter((folder) => folders.has(folder)), ...folders])];
};

/** `undefined`: no executable file of that name, or only a shim of one. */
export const resolveCommand = (name: string, searchPath: readonly string[]): ResolvedCommand | undefined => {
  const found = findProgram(name, searchPath);
  return found === undefined ? undefined : createResolver(searchPath).resolve(name, found);
};

export const findProgram = (name: string, searchPath: readonly string[]): string | undefined =>
  findAll([name], searchedFolders(searchPath))[0]?.[1];

/** Where a name is looked for: not in what is relative, and not among the shims of version managers. */
const searchedFolders = (searchPath: readonly string[]): readonly string[] =>
  searchPath
    .map((folder) => (folder.length > 1 && folder.endsWith('/') ? folder.slice(0, -1) : folder))
    .filter((folder) => isAbsolute(folder) && basename(folder) !== 'shims');

const findAll = (
  names: readonly string[],
  folders: readonly string[],
): readonly (readonly [name: string, found: string | undefined])[] => {
  const isBare = (name: string): boolean => !name.includes('/') && name !== '' && !name.includes('\0');
  const bare = names.filter(isBare);
  const found = new Map(findPrograms(folders, bare).map((path, index) => [bare[index], path]));
  return names.map((name) => [name, isAbsolute(name) && isProgram(name) ? name : found.get(name)]);
};

interface Resolver {
  readonly folders: readonly string[];
  readonly resolve: (name: string, found: string) => ResolvedCommand;
}

/** Many commands share a loader, and some an interpreter: each is looked at once. */
const createResolver = (searchPath: readonly string[]): Resolver => {
  const folders = searchedFolders(searchPath);
  /** The real path of a loader, `undefined` for what cannot be started. */
  const loaders = new Map<string, string | undefined>();
  const collect = (file: string, files: Set<string>, depth: number): void => {
    const real = realOrUndefined(file);
    if (real === undefined || files.has(real) || depth > DEEPEST_CHAIN) return;
    files.add(real);
    const loader = interpreterOf(real);
    if (loader === undefined) return;
    if (loader.startsWith('#!')) {
      const { program, argument } = scriptInterpreter(loader);
      if (isProgram(program)) collect(program, files, depth + 1);
      if (basename(program) !== 'env') return;
      const [[, target] = []] = findAll([argument], folders);
      if (target !== undefined) collect(target, files, depth + 1);
      return;
    }
    if (!loaders.has(loader)) loaders.set(loader, isProgram(loader) ? realOrUndefined(loader) : undefined);
    const realLoader = loaders.get(loader);
    if (realLoader !== undefined) files.add(realLoader);
  };
  return {
    folders,
    resolve: (name, found) => {
      const files = new Set<string>();
      collect(found, files, 0);
      return { name, found, files: [...files] };
    },
  };
};

const scriptInterpreter = (line: string): { readonly program: string; readonly argument: string } => {
  const [program = '', ...words] = line.slice(2).trim().split(/\s+/u);
  return { program, argument: words.find((word) => !word.startsWith('-') && !word.includes('=')) ?? '' };
};
