/**
 * Which files must be executable so that a command can start: the program that PATH leads to, the interpreters its
 * first lines name, and the dynamic loader its header names. Version managers put shell scripts ("shims") in front of
 * the real program; a name that leads to one is looked up further along PATH.
 */
import { basename, isAbsolute } from 'node:path';
import { findPrograms, folderOf, programAt, type FoundProgram } from './paths.ts';
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
  if (names.size === 0)
    return { commands, notFound, executable: any ? undefined : [], searchPath: any ? options.searchPath : [] };
  const resolver = createResolver(options.searchPath);
  const all = [...names];
  for (const [index, found] of findAll(all, resolver.folders).entries()) {
    const name = all[index] ?? '';
    if (found !== undefined) commands.push({ name, found: found.path, files: resolver.filesOf(found) });
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
    executable: any ? undefined : allFilesOf(commands),
    searchPath: any ? options.searchPath : inPathOrder(commands, options.searchPath),
  };
};

const allFilesOf = (commands: readonly ResolvedCommand[]): readonly string[] => {
  const all = new Set<string>();
  for (const { files } of commands) for (const file of files) all.add(file);
  return [...all];
};

/** The caller's order, so that `node` leads to the same node inside as outside. */
const inPathOrder = (commands: readonly ResolvedCommand[], searchPath: readonly string[]): readonly string[] => {
  const folders = new Set<string>();
  for (const { found } of commands) folders.add(folderOf(found));
  return [...new Set([...searchPath.filter((folder) => folders.has(folder)), ...folders])];
};

/** `undefined`: no executable file of that name, or only a shim of one. */
export const resolveCommand = (name: string, searchPath: readonly string[]): ResolvedCommand | undefined => {
  const { folders, filesOf } = createResolver(searchPath);
  const [found] = findAll([name], folders);
  return found === undefined ? undefined : { name, found: found.path, files: filesOf(found) };
};

export const findProgram = (name: string, searchPath: readonly string[]): string | undefined =>
  findAll([name], searchedFolders(searchPath))[0]?.path;

/** Where a name is looked for: not in what is relative, and not among the shims of version managers. */
const searchedFolders = (searchPath: readonly string[]): readonly string[] =>
  searchPath.map(withoutSlashes).filter((folder) => folder.startsWith('/') && !folder.endsWith('/shims'));

/** All at the end: `…/shims//` is the folder of that name as well. */
const withoutSlashes = (folder: string): string => {
  let { length } = folder;
  while (length > 1 && folder[length - 1] === '/') length -= 1;
  return folder.slice(0, length);
};

/** One for each name. What holds a slash is a path, and only an absolute one can be found. */
const findAll = (names: readonly string[], folders: readonly string[]): readonly (FoundProgram | undefined)[] => {
  if (names.length === 0) return [];
  const found = names.every((name) => name.startsWith('/')) ? [] : findPrograms(folders, names);
  return names.map((name, index) => (name.startsWith('/') ? programAt(name) : found[index]));
};

interface Resolver {
  readonly folders: readonly string[];
  /** The program itself, its interpreters and loaders. */
  readonly filesOf: (program: FoundProgram) => readonly string[];
}

/** Many commands share a loader, and some an interpreter: each is looked at once. */
const createResolver = (searchPath: readonly string[]): Resolver => {
  const folders = searchedFolders(searchPath);
  /** By path, or by name for what `env` looks for; `undefined` for what cannot be started. */
  const looked = new Map<string, FoundProgram | undefined>();
  const lookAt = (name: string): FoundProgram | undefined => {
    if (!looked.has(name)) looked.set(name, findAll([name], folders)[0]);
    return looked.get(name);
  };
  /** What a header names is a path: PATH is not asked about it, nor the current directory. */
  const atPath = (name: string): FoundProgram | undefined => (name.startsWith('/') ? lookAt(name) : undefined);
  const collect = ({ real, interpreter }: FoundProgram, files: string[], depth: number): readonly string[] => {
    if (files.includes(real) || depth > DEEPEST_CHAIN) return files;
    files.push(real);
    if (interpreter === undefined) return files;
    if (!interpreter.startsWith('#!')) {
      const loader = atPath(interpreter)?.real;
      if (loader !== undefined && !files.includes(loader)) files.push(loader);
      return files;
    }
    const { program, argument } = scriptInterpreter(interpreter);
    const start = atPath(program);
    if (start !== undefined) collect(start, files, depth + 1);
    if (basename(program) !== 'env') return files;
    const target = lookAt(argument);
    return target === undefined ? files : collect(target, files, depth + 1);
  };
  return { folders, filesOf: (program) => collect(program, [], 0) };
};

const scriptInterpreter = (line: string): { readonly program: string; readonly argument: string } => {
  const [program = '', ...words] = line.slice(2).trim().split(/\s+/u);
  return { program, argument: words.find((word) => !word.startsWith('-') && !word.includes('=')) ?? '' };
};
