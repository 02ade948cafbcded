/**
 * Which files must be executable so that a command can start: the program that PATH leads to, the interpreters its
 * first lines name, and the dynamic loader its header names. Version managers put shell scripts ("shims") in front of
 * the real program; a name that leads to one is looked up further along PATH.
 */
import { closeSync, openSync, readSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { isProgram } from './paths.ts';
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
  const loaders = new Map<string, string | undefined>();
  const listed = profile.commands === 'any' ? [] : profile.commands.flatMap(({ names }) => names);
  const asked = [...(options.program === undefined ? [] : [options.program]), ...extra];
  const commands: ResolvedCommand[] = [];
  const notFound: string[] = [];
  for (const name of new Set([...asked, ...(any ? [] : listed)])) {
    const resolved = resolveCommand(name, options.searchPath, loaders);
    if (resolved !== undefined) commands.push(resolved);
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
    executable: any ? undefined : [...new Set(commands.flatMap(({ files }) => files))],
    searchPath: any ? options.searchPath : inPathOrder(commands, options.searchPath),
  };
};

/** The caller's order, so that `node` leads to the same node inside as outside. */
const inPathOrder = (commands: readonly ResolvedCommand[], searchPath: readonly string[]): readonly string[] => {
  const folders = new Set(commands.map(({ found }) => dirname(found)));
  return [...new Set([...searchPath.filter((folder) => folders.has(folder)), ...folders])];
};

/** `undefined`: no executable file of that name, or only a shim of one. */
export const resolveCommand = (
  name: string,
  searchPath: readonly string[],
  loaders: Loaders = new Map(),
): ResolvedCommand | undefined => {
  const found = findProgram(name, searchPath);
  if (found === undefined) return undefined;
  const files = new Set<string>();
  collect(found, { searchPath, loaders, files }, 0);
  return { name, found, files: [...files] };
};

export const findProgram = (name: string, searchPath: readonly string[]): string | undefined => {
  if (name === '' || name.includes('\0')) return undefined;
  if (isAbsolute(name)) return isProgram(name) ? name : undefined;
  if (name.includes('/')) return undefined;
  for (const folder of searchPath) {
    if (!isAbsolute(folder) || basename(folder) === 'shims') continue;
    const candidate = folder.endsWith('/') ? join(folder, name) : `${folder}/${name}`;
    if (isProgram(candidate)) return candidate;
  }
  return undefined;
};

/** What header after header names is looked at once: the real path of a loader, `undefined` for what cannot be started. */
type Loaders = Map<string, string | undefined>;

interface Collected {
  readonly searchPath: readonly string[];
  readonly loaders: Loaders;
  readonly files: Set<string>;
}

const collect = (file: string, into: Collected, depth: number): void => {
  const { searchPath, loaders, files } = into;
  const real = realpathSync.native(file);
  if (files.has(real) || depth > DEEPEST_CHAIN) return;
  files.add(real);
  const header = headerOf(real);
  const interpreter = header.subarray(0, 2).toString('latin1') === '#!' ? scriptInterpreter(header) : undefined;
  if (interpreter !== undefined) {
    if (isProgram(interpreter.program)) collect(interpreter.program, into, depth + 1);
    if (basename(interpreter.program) !== 'env') return;
    const target = findProgram(interpreter.argument, searchPath);
    if (target !== undefined) collect(target, into, depth + 1);
    return;
  }
  const loader = elfInterpreter(real, header);
  if (loader === undefined) return;
  if (!loaders.has(loader)) loaders.set(loader, isProgram(loader) ? realpathSync.native(loader) : undefined);
  const realLoader = loaders.get(loader);
  if (realLoader !== undefined) files.add(realLoader);
};

/** The first bytes of a file, until the next call. */
const head = Buffer.alloc(HEADER_BYTES);
const headerOf = (file: string): Buffer => {
  const fd = openSync(file, 'r');
  try {
    return head.subarray(0, readSync(fd, head, 0, HEADER_BYTES, 0));
  } finally {
    closeSync(fd);
  }
};

const scriptInterpreter = (header: Buffer): { readonly program: string; readonly argument: string } => {
  const [line = ''] = header.subarray(2).toString('utf8').split('\n', 1);
  const words = line.trim().split(/\s+/u);
  const argument = words.slice(1).find((word) => !word.startsWith('-') && !word.includes('=')) ?? '';
  return { program: words[0] ?? '', argument };
};

const PROGRAM_INTERPRETER = 3; // PT_INTERP

/** The PT_INTERP path of a 64-bit little-endian ELF file (both architectures are). */
const elfInterpreter = (file: string, header: Buffer): string | undefined => {
  if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1)
    return undefined;
  const tableAt = Number(header.readBigUInt64LE(32));
  const entrySize = header.readUInt16LE(54);
  const entries = header.readUInt16LE(56);
  for (let index = 0; index < entries; index += 1) {
    const at = tableAt + index * entrySize;
    if (at + 56 > header.length) return undefined;
    if (header.readUInt32LE(at) !== PROGRAM_INTERPRETER) continue;
    return readText(file, header, Number(header.readBigUInt64LE(at + 8)), Number(header.readBigUInt64LE(at + 32)));
  }
  return undefined;
};

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
  return bytes.subarray(0, bytes.indexOf(0) === -1 ? length : bytes.indexOf(0)).toString('utf8');
};
