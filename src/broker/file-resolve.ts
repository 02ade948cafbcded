/**
 * Where a path leads, as the kernel would resolve it. What a path *means* is settled first (a `file:` URL is decoded,
 * a `~` refused), then one system call proves the common case: with RESOLVE_NO_SYMLINKS (openat2(2)) a path that opens
 * has no symbolic link in it, so its lexical form is its real one. Everything else is walked component by component,
 * and the result is held against the kernel's own.
 */
import { fstatSync, lstatSync, readlinkSync, statfsSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FileOperation, ResolvedPath } from '../model/effect.ts';
import { DEFAULT_LIMITS } from '../model/limits.ts';
import { type PathCalls, withDescriptor } from './file-calls.ts';

/** `fault` is for people and the model: it never holds a path. */
export type Resolution = { readonly resolved: ResolvedPath } | { readonly fault: string };

/** A path as programs pass it to `node:fs`. Bytes must be UTF-8; a URL must be a `file:` URL. */
export type PathInput = string | URL | Uint8Array;

/** The workspace, as much of it as a path is judged against. */
export interface Root {
  /** Real and absolute. */
  readonly real: string;
  /** Held open, so that a directory put in its place is noticed. */
  readonly handle: number;
}

export const resolvePath = (
  root: Root,
  input: PathInput,
  operation: FileOperation,
  kernel: PathCalls | undefined,
): Resolution => {
  try {
    const text = readPath(input);
    if (typeof text !== 'string') return text;
    const absolute = text.startsWith('/') ? text : `${prefixOf(root.real)}${text}`;
    if (absolute.length * 3 >= LONGEST && Buffer.byteLength(absolute) >= LONGEST) return tooLong;
    return (kernel && resolvePlain(root, absolute, kernel)) ?? resolveExactly(root, absolute, operation, kernel);
  } catch (error) {
    return fault(`the path cannot be resolved (${errorCode(error)})`);
  }
};

const errorCode = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error';

const fault = (text: string): { readonly fault: string } => ({ fault: text });

const LONGEST = DEFAULT_LIMITS.pathBytes;
const tooLong = fault(`the path is longer than ${String(LONGEST - 1)} bytes`);

/** Decoded once, here: afterwards the text is a path and nothing else, and it is this reading that is rewritten. */
const readPath = (input: PathInput): string | { readonly fault: string } => {
  const text = typeof input === 'string' ? input : decode(input);
  if (typeof text !== 'string') return text;
  if (text === '') return fault('an empty path names nothing; pass `.` for the workspace');
  // Before anything that costs more than reading its length; the whole path is measured once it is known.
  if (text.length > LONGEST * 3) return tooLong;
  if (text.includes('\0')) return fault('the path contains a NUL byte');
  if (!text.isWellFormed()) return fault('the path is not well-formed Unicode');
  if (text.startsWith('~')) return fault('`~` is expanded by some programs; pass a full path, or `./~…` for the name');
  if (/^file:/iu.test(text)) return decodeUrl(text);
  if (text.includes('%') && hidesTraversal(text)) return fault('percent-encoded `..` is read differently by programs');
  return text;
};

const decode = (input: unknown): string | { readonly fault: string } => {
  if (input instanceof URL) return input.protocol === 'file:' ? input.href : fault('only `file:` URLs name files');
  if (!(input instanceof Uint8Array)) return fault('a path must be text, bytes or a `file:` URL');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(input);
  } catch {
    return fault('the path is not UTF-8');
  }
};

/** A literal `file:` directory can still be named: `./file:`. */
const decodeUrl = (text: string): string | { readonly fault: string } => {
  try {
    const url = new URL(text);
    if (!/^file:\//iu.test(text) || url.search !== '' || url.hash !== '') {
      return fault('expected a `file:` URL with an absolute path and nothing after it');
    }
    const path = fileURLToPath(url, { windows: false });
    return path.includes('\0') ? fault('the path contains a NUL byte') : path;
  } catch {
    return fault('the `file:` URL does not name a local file');
  }
};

/** A percent sign is a letter like any other, unless a program that decodes once more would climb. */
const hidesTraversal = (text: string): boolean => {
  const decoded = text.replaceAll(/%(2e|2f|5c)/giu, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)));
  return climbs(decoded) > climbs(text);
};

const climbs = (text: string): number => text.split(/[/\\]/u).filter((name) => name === '..').length;

/** Empty components, `.` and `..`, and a slash at the end: what makes a lexical form differ from the text. */
const NOT_NORMAL = /\/\.{0,2}(?:\/|$)/u;

const prefixOf = (root: string): string => (root === '/' ? '/' : `${root}/`);

const located = (root: Root, real: string, exists: boolean): Resolution => {
  const prefix = prefixOf(root.real);
  if (real === root.real) return { resolved: { real, exists, beneath: '' } };
  return real.startsWith(prefix)
    ? { resolved: { real, exists, beneath: real.slice(prefix.length) } }
    : { resolved: { real, exists } };
};

const lexical = (absolute: string): string => {
  if (!NOT_NORMAL.test(absolute)) return absolute;
  const normal = posix.normalize(absolute);
  return normal.endsWith('/') && normal !== '/' ? normal.slice(0, -1) : normal;
};

const ENOENT = -2;

/** The whole answer for a path without symbolic links, and for a new name in such a directory; else `undefined`. */
const resolvePlain = (root: Root, absolute: string, kernel: PathCalls): Resolution | undefined => {
  const answer = kernel.isReal(absolute);
  if (answer === 0) return located(root, lexical(absolute), true);
  if (answer !== ENOENT || NOT_NORMAL.test(absolute)) return undefined;
  // ENOENT and not ELOOP: the last name is not even a dangling link. Only its parent is left to be proven.
  const parent = posix.dirname(absolute);
  if (!isBeneath(root.real, parent) || kernel.isReal(parent) !== 0) return undefined;
  return located(root, absolute, false);
};

const isBeneath = (root: string, path: string): boolean => path === root || path.startsWith(prefixOf(root));

/**
 * The kernel acts on the last name itself, even where that is a symbolic link. (On mkdir too, but only to fail with
 * EEXIST, while programs that make a directory where it is missing go on behind the link: so it is followed.)
 */
const actsOnName = (operation: FileOperation): boolean => operation === 'remove' || operation === 'rename';

const resolveExactly = (
  root: Root,
  absolute: string,
  operation: FileOperation,
  kernel: PathCalls | undefined,
): Resolution => {
  if (!isInPlace(root)) return fault('the workspace was moved, removed or replaced');
  const followLast = !actsOnName(operation);
  const walked = walk(absolute, followLast);
  if ('fault' in walked) return walked;
  if (kernel && !agrees(kernel, absolute, walked, followLast)) {
    return fault('the path changed while it was resolved, or passes through a link that only the kernel can follow');
  }
  const answer = located(root, walked.real, walked.exists);
  if (operation !== 'rename' || !walked.endsInLink) return answer;
  // Programs that move by copying follow the link: where it leads out, that is the answer.
  const followed = walk(absolute, true);
  if ('fault' in followed) return followed;
  return isBeneath(root.real, followed.real) ? answer : located(root, followed.real, followed.exists);
};

const isInPlace = (root: Root): boolean => {
  const now = lstatSync(root.real, { bigint: true, throwIfNoEntry: false });
  const held = fstatSync(root.handle, { bigint: true });
  return now !== undefined && now.ino === held.ino && now.dev === held.dev;
};

interface Walked {
  readonly real: string;
  readonly exists: boolean;
  /** The deepest directory or file that exists. */
  readonly deepest: string;
  readonly endsInLink: boolean;
}

/** As many as the kernel follows (MAXSYMLINKS, path_resolution(7)). */
const MOST_LINKS = 40;

/** path_resolution(7) in JavaScript: `..` after a link is the parent of where the link leads. */
const walk = (absolute: string, followLast: boolean): Walked | { readonly fault: string } => {
  const pending = componentsOf(absolute).toReversed();
  const missing: string[] = [];
  let deepest = '/';
  let isDirectory = true;
  let endsInLink = false;
  let links = 0;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name !== '..' && name !== '.' && missing.length > 0) {
      missing.push(name);
      continue;
    }
    if (!isDirectory) return fault('a component of the path is not a directory');
    if (name === '.') continue;
    if (name === '..') {
      if (missing.length > 0) return fault('`..` stands after a name that does not exist');
      deepest = posix.dirname(deepest);
      continue;
    }
    const path = deepest === '/' ? `/${name}` : `${deepest}/${name}`;
    const entry = lstatSync(path, { throwIfNoEntry: false });
    if (entry === undefined) {
      missing.push(name);
    } else if (entry.isSymbolicLink() && (followLast || pending.length > 0)) {
      links += 1;
      if (links > MOST_LINKS) return fault('the path has too many symbolic links, or they form a loop');
      const target = readLink(path, deepest);
      if (typeof target !== 'string') return target;
      if (target.startsWith('/')) deepest = '/';
      pending.push(...componentsOf(target).toReversed());
    } else {
      deepest = path;
      isDirectory = entry.isDirectory();
      endsInLink = entry.isSymbolicLink();
    }
  }
  const real = missing.length === 0 ? deepest : `${deepest === '/' ? '' : deepest}/${missing.join('/')}`;
  return { real, exists: missing.length === 0, deepest, endsInLink };
};

/** A slash at the end asks for a directory, as `/.` does. */
const componentsOf = (path: string): string[] => {
  const names = path.split('/').filter((name) => name !== '');
  return path.endsWith('/') && names.length > 0 ? [...names, '.'] : names;
};

const PROC_SUPER_MAGIC = 0x9fa0;
/** The links of /proc that are texts; every other one jumps to an object (`root`, `cwd`, `exe`, `fd/N`, `ns/*`). */
const PROC_TEXT_LINK = /^(?:\d+|\d+\/task\/\d+|self\/\w+)$/u;

const readLink = (path: string, directory: string): string | { readonly fault: string } => {
  const target = readlinkSync(path);
  if (target === '' || target.includes('\uFFFD')) return fault('a symbolic link on the path is not readable as text');
  if (!PROC_TEXT_LINK.test(target) && process.platform === 'linux' && statfsSync(directory).type === PROC_SUPER_MAGIC) {
    return fault('the path passes through a magic link of /proc, which leads elsewhere for every process');
  }
  return target;
};

/** The walk found what the kernel finds: the same file, under a name without links. */
const agrees = (kernel: PathCalls, absolute: string, walked: Walked, followLast: boolean): boolean => {
  if (!walked.exists) return kernel.isReal(walked.deepest) === 0;
  const found = kernel.openResolved(absolute, followLast);
  if (found < 0) return false;
  return withDescriptor(kernel, found, () => {
    const named = kernel.openResolved(walked.real, false);
    return (
      named >= 0 &&
      withDescriptor(kernel, named, () => isSame(found, named)) &&
      kernel.isReal(posix.dirname(walked.real)) === 0
    );
  });
};

const isSame = (one: number, other: number): boolean => {
  const a = fstatSync(one, { bigint: true });
  const b = fstatSync(other, { bigint: true });
  return a.ino === b.ino && a.dev === b.dev;
};
