/**
 * Which files must be executable so that a command can start: the program that PATH leads to, the interpreters its
 * first lines name, and the dynamic loader its header names. Version managers put shell scripts ("shims") in front of
 * the real program; a name that leads to one is looked up further along PATH.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { basename, dirname, isAbsolute } from 'node:path';
import { findPrograms, isProgram, readHead, realOrUndefined } from './paths.ts';
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
const HEADER_BYTES = 4096;

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
    const length = readHead(real, head);
    if (length >= 2 && head[0] === HASH && head[1] === BANG) {
      const { program, argument } = scriptInterpreter(head.subarray(0, length));
      if (isProgram(program)) collect(program, files, depth + 1);
      if (basename(program) !== 'env') return;
      const [[, target] = []] = findAll([argument], folders);
      if (target !== undefined) collect(target, files, depth + 1);
      return;
    }
    const loader = elfInterpreter(real, head, length);
    if (loader === undefined) return;
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

const HASH = 0x23;
const BANG = 0x21;

/** The first bytes of a file, until the next is looked at. */
const head = Buffer.alloc(HEADER_BYTES);

const scriptInterpreter = (header: Buffer): { readonly program: string; readonly argument: string } => {
  const [line = ''] = header.subarray(2).toString('utf8').split('\n', 1);
  const words = line.trim().split(/\s+/u);
  const argument = words.slice(1).find((word) => !word.startsWith('-') && !word.includes('=')) ?? '';
  return { program: words[0] ?? '', argument };
};

const PROGRAM_INTERPRETER = 3; // PT_INTERP

/** The PT_INTERP path of a 64-bit little-endian ELF file (both architectures are). */
const elfInterpreter = (file: string, header: Buffer, length: number): string | undefined => {
  if (length < 64 || header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) return undefined;
  const tableAt = smallWord(header, 32);
  const entrySize = header.readUInt16LE(54);
  const entries = header.readUInt16LE(56);
  for (let index = 0; index < entries; index += 1) {
    const at = tableAt + index * entrySize;
    if (at + 56 > length) return undefined;
    if (header.readUInt32LE(at) !== PROGRAM_INTERPRETER) continue;
    return readText(file, header.subarray(0, length), smallWord(header, at + 8), smallWord(header, at + 32));
  }
  return undefined;
};

/** Of 64 bits; what does not fit into 53 is larger than any file. */
const smallWord = (header: Buffer, at: number): number =>
  header.readUInt32LE(at) + header.readUInt32LE(at + 4) * 0x1_0000_0000;

const readText = (file: string, header: Buffer, at: number, length: number): string | undefined => {
  if (length < 2 || length > HEADER_BYTES) return undefined;
  let bytes = header.subarray(at, at + length);
  if (bytes.length < length) {
    bytes = Buffer.alloc(length);
    const fd = openSync(file, 'r');
    try {
      readSync(fd, bytes, 0, length, at);
    } finally {
      closeSync(fd);
    }
  }
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? length : end);
};
