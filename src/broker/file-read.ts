/** Reading beneath the workspace: contents, entries, facts. Nothing here blocks on a FIFO or reads a device. */
import { constants, type Dirent, fstatSync, opendir, read, type Stats } from 'node:fs';
import { promisify } from 'node:util';
import type { Grant } from '../model/grant.ts';
import { HANDLE, O_PATH, withDescriptor } from './file-calls.ts';
import { lend, openRegular, performFile } from './file-perform.ts';
import type { Workspace } from './file.ts';

const readAsync = promisify(read);
const opendirAsync = promisify(opendir);

export interface ReadOptions {
  /** Most bytes returned (default 10 MiB). Bounds memory on a huge or endless file. */
  readonly maxBytes?: number;
  /** Only the first or the last lines. */
  readonly head?: number;
  readonly tail?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface FileContent {
  readonly bytes: Buffer;
  /** Size of the file when it was opened. */
  readonly size: number;
  /** `maxBytes` left something out. */
  readonly truncated: boolean;
}

export const DEFAULT_MAX_READ = 10 * 1024 * 1024;
const CHUNK = 64 * 1024;
const NEWLINE = 0x0a;

/** The contents of a regular file. */
export const readFile = (
  workspace: Workspace,
  grant: Grant | undefined,
  options: ReadOptions = {},
): Promise<FileContent> =>
  performFile(workspace, grant, ['read'], (path) =>
    lend(workspace.calls, openRegular(workspace, workspace.handle, path, constants.O_RDONLY), async (descriptor) => {
      const { maxBytes = DEFAULT_MAX_READ, head, tail, signal } = options;
      const { size } = fstatSync(descriptor);
      const content = await (tail === undefined
        ? readForward(descriptor, size, maxBytes, head ?? Infinity, signal)
        : readBackward(descriptor, size, maxBytes, tail, signal));
      return { ...content, size };
    }),
  );

type Piece = Omit<FileContent, 'size'>;

/** `size` is a hint: what the file holds when it is read is what counts. */
const readForward = async (
  descriptor: number,
  size: number,
  maxBytes: number,
  lines: number,
  signal: AbortSignal | undefined,
): Promise<Piece> => {
  if (lines <= 0) return { bytes: Buffer.alloc(0), truncated: false };
  const chunks: Buffer[] = [];
  let length = 0;
  let left = lines;
  // One byte more than may be returned tells a full answer from a cut one.
  const most = maxBytes + 1;
  while (length < most) {
    signal?.throwIfAborted();
    const wanted = lines === Infinity && length < size ? Math.min(size + 1 - length, CHUNK * 16) : CHUNK;
    const buffer = Buffer.allocUnsafe(Math.min(wanted, most - length));
    const { bytesRead } = await readAsync(descriptor, buffer, 0, buffer.length, length);
    if (bytesRead === 0) break;
    const chunk = buffer.subarray(0, bytesRead);
    const end = lines === Infinity ? -1 : nthNewline(chunk, left);
    if (end >= 0) {
      chunks.push(chunk.subarray(0, end));
      break;
    }
    if (lines !== Infinity) left -= countNewlines(chunk);
    chunks.push(chunk);
    length += bytesRead;
  }
  const bytes = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
  return { bytes: bytes.subarray(0, maxBytes), truncated: bytes.length > maxBytes };
};

/** From the end, so that the last lines of a huge log cost no more than those lines. */
const readBackward = async (
  descriptor: number,
  size: number,
  maxBytes: number,
  lines: number,
  signal: AbortSignal | undefined,
): Promise<Piece> => {
  if (lines <= 0) return { bytes: Buffer.alloc(0), truncated: false };
  const chunks: Buffer[] = [];
  let position = size;
  let length = 0;
  let found = 0;
  while (position > 0 && length < maxBytes) {
    signal?.throwIfAborted();
    const wanted = Math.min(CHUNK, position, maxBytes - length);
    const buffer = Buffer.allocUnsafe(wanted);
    const { bytesRead } = await readAsync(descriptor, buffer, 0, wanted, position - wanted);
    // Shorter than it was: someone truncated the file meanwhile.
    if (bytesRead < wanted) break;
    // The newline that ends the file ends its last line; it does not begin another.
    const counted = position === size && buffer.at(-1) === NEWLINE ? buffer.subarray(0, -1) : buffer;
    const start = nthNewlineFromEnd(counted, lines - found);
    if (start >= 0) {
      chunks.unshift(buffer.subarray(start + 1));
      return { bytes: Buffer.concat(chunks), truncated: false };
    }
    found += countNewlines(counted);
    chunks.unshift(buffer);
    position -= wanted;
    length += wanted;
  }
  return { bytes: Buffer.concat(chunks), truncated: position > 0 };
};

const countNewlines = (chunk: Buffer): number => {
  let count = 0;
  for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
};

const nthNewline = (chunk: Buffer, n: number): number => {
  let at = -1;
  for (let count = 0; count < n; count += 1) {
    at = chunk.indexOf(NEWLINE, at + 1);
    if (at < 0) return -1;
  }
  return at;
};

const nthNewlineFromEnd = (chunk: Buffer, n: number): number => {
  let at = chunk.length;
  for (let count = 0; count < n; count += 1) {
    at = at <= 0 ? -1 : chunk.lastIndexOf(NEWLINE, at - 1);
    if (at < 0) return -1;
  }
  return at;
};

export type FileType = 'file' | 'directory' | 'symlink' | 'other';

export interface DirectoryEntry {
  readonly name: string;
  readonly type: FileType;
}

export interface DirectoryListing {
  /** By name. */
  readonly entries: readonly DirectoryEntry[];
  readonly truncated: boolean;
}

export const DEFAULT_MAX_ENTRIES = 10_000;

/** The names in a directory; links are named, not followed. At most `maxEntries` (default 10 000) are read. */
export const listDirectory = (
  workspace: Workspace,
  grant: Grant | undefined,
  { maxEntries = DEFAULT_MAX_ENTRIES }: { readonly maxEntries?: number } = {},
): Promise<DirectoryListing> =>
  performFile(workspace, grant, ['list'], (path) =>
    lend(workspace.calls, workspace.calls.open(workspace.handle, path, HANDLE), async (directory) => {
      const entries: DirectoryEntry[] = [];
      let truncated = false;
      for await (const entry of await openEntries(directory)) {
        truncated = entries.length >= maxEntries;
        if (truncated) break;
        entries.push({ name: entry.name, type: typeOf(entry) });
      }
      return { entries: entries.sort((a, b) => (a.name < b.name ? -1 : 1)), truncated };
    }),
  );

/** Through the handle: `/proc/self/fd/N` reaches the directory that was opened, wherever its name leads by now. */
export const openEntries = (directory: number) =>
  opendirAsync(`/proc/self/fd/${String(directory)}`, { bufferSize: 256 });

const typeOf = (entry: Dirent | Stats): FileType => {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'symlink' : 'other';
};

export interface FileInfo {
  readonly type: FileType;
  readonly size: number;
  readonly created: Date;
  readonly modified: Date;
  readonly accessed: Date;
  /** Three octal digits. */
  readonly permissions: string;
}

/** Facts about a file, without opening it for reading. */
export const statFile = (workspace: Workspace, grant: Grant | undefined): Promise<FileInfo> =>
  performFile(workspace, grant, ['stat'], (path) =>
    withDescriptor(workspace.calls, workspace.calls.open(workspace.handle, path, O_PATH), (descriptor) => {
      const stat = fstatSync(descriptor);
      return {
        type: typeOf(stat),
        size: stat.size,
        created: stat.birthtime,
        modified: stat.mtime,
        accessed: stat.atime,
        permissions: (stat.mode & 0o777).toString(8).padStart(3, '0'),
      };
    }),
  );
