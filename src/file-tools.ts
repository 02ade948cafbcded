/**
 * Door: ready-made tools for a workspace, with the names and arguments that the MCP filesystem server made familiar.
 * They live in the workspace whatever the flags say: outside it they read as little as they write. `govern()` adds
 * flags and journal.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { FileMethod } from './broker/file-calls.ts';
import { listDirectory, readFile, statFile } from './broker/file-read.ts';
import { makeDirectory, removeFile } from './broker/file-tree.ts';
import { appendFile, copyFile, moveFile, writeFile } from './broker/file-write.ts';
import { openWorkspace, type Workspace } from './broker/file.ts';
import { accessOf, type FileEffect, type FileOperation } from './model/effect.ts';
import { TapPassConfigError, TapPassError } from './model/errors.ts';
import { type Grant, grantFor } from './model/grant.ts';
import { type OptionRules, requireOptions } from './model/options.ts';
import { decideConfined } from './policy/file.ts';
import { defineTool, type ToolContext } from './tools/define.ts';

export interface FileToolsOptions {
  readonly workspace: string;
  /** Most bytes that `read_file` returns (default 10 MiB); what is longer is cut and says so. */
  readonly maxReadBytes?: number;
  /** Most entries that `list_directory` returns (default 10 000); what is longer is cut and says so. */
  readonly maxEntries?: number;
  /** Default: openat2 where the host has it, else the slower fallback. */
  readonly method?: FileMethod;
}

const OPTIONS: OptionRules<FileToolsOptions> = {
  workspace: true,
  maxReadBytes: true,
  maxEntries: true,
  method: true,
};

const path = z.string().describe('A path in the workspace, relative to it or absolute');
const source = path.describe('The path to take from');
const destination = path.describe('The path to create');
const overwrite = z.boolean().default(false).describe('Replace what is at the destination');
const encoding = z.enum(['utf8', 'base64']).default('utf8').describe('base64 for what is not text');
const lines = z.number().int().min(1).optional();

export type FileTools = ReturnType<typeof fileTools>;

/**
 * Tools over one directory, which is opened at once and held: throws `TapPassConfigError` where it is none. Their
 * bodies reject with `TAPPASS_REFUSED` outside the workspace, and with `TAPPASS_FAILED` (`cause.code`: `ENOENT` …)
 * where the system says no.
 */
export const fileTools = (options: string | FileToolsOptions) => {
  if (typeof options === 'object') requireOptions('fileTools', options, OPTIONS);
  const {
    workspace: directory,
    method,
    maxReadBytes,
    maxEntries,
  } = typeof options === 'string' ? { workspace: options } : options;
  requireCount('maxReadBytes', maxReadBytes);
  requireCount('maxEntries', maxEntries);
  const workspace = openWorkspace(directory, method === undefined ? {} : { method });

  return {
    read_file: defineTool({
      name: 'read_file',
      description:
        'Read a file of the workspace: all of it, or the first (`head`) or last (`tail`) lines. ' +
        'A longer file than may be returned is cut, and `truncated` is true.',
      input: z
        .object({
          path,
          head: lines.describe('Only the first N lines'),
          tail: lines.describe('Only the last N lines'),
          encoding,
        })
        .refine(({ head, tail }) => head === undefined || tail === undefined, 'Pass either `head` or `tail`'),
      effects: { read: 'path' },
      execute: async ({ path, head, tail, encoding }, context?: ToolContext) => {
        const file = grantOf(workspace, 'read', path, context);
        const { bytes, size, truncated } = await readFile(workspace, file.grant, {
          signal: context?.signal,
          ...(maxReadBytes !== undefined && { maxBytes: maxReadBytes }),
          ...(head !== undefined && { head }),
          ...(tail !== undefined && { tail }),
        });
        const cut = truncated ? (tail === undefined ? 'end' : 'start') : undefined;
        const content = encoding === 'base64' ? bytes.toString('base64') : textOf(bytes, cut, file.name);
        return { path: file.name, content, encoding, size, truncated };
      },
    }),

    write_file: defineTool({
      name: 'write_file',
      description:
        'Create a file in the workspace, or replace the whole of one. Readers see the old or the new contents, ' +
        'never a part. The directory must exist.',
      input: z.object({ path, content: z.string(), encoding }),
      effects: { write: 'path' },
      execute: async ({ path, content, encoding }, context?: ToolContext) => {
        const file = grantOf(workspace, 'write', path, context);
        const bytes = bytesOf(content, encoding);
        return { path: file.name, ...(await writeFile(workspace, file.grant, bytes, { signal: context?.signal })) };
      },
    }),

    append_file: defineTool({
      name: 'append_file',
      description: 'Add to the end of a file in the workspace, creating it where needed. The directory must exist.',
      input: z.object({ path, content: z.string(), encoding }),
      effects: { files: { append: 'path' } },
      execute: async ({ path, content, encoding }, context?: ToolContext) => {
        const file = grantOf(workspace, 'append', path, context);
        const bytes = bytesOf(content, encoding);
        return { path: file.name, ...(await appendFile(workspace, file.grant, bytes, { signal: context?.signal })) };
      },
    }),

    list_directory: defineTool({
      name: 'list_directory',
      description: 'List a directory of the workspace: the name and type of each entry, by name.',
      input: z.object({ path: path.default('.') }),
      effects: { files: { list: 'path' } },
      execute: async ({ path }, context?: ToolContext) => {
        const file = grantOf(workspace, 'list', path, context);
        const limit = maxEntries === undefined ? {} : { maxEntries };
        return { path: file.name, ...(await listDirectory(workspace, file.grant, limit)) };
      },
    }),

    get_file_info: defineTool({
      name: 'get_file_info',
      description: 'Type, size, times and permissions of a file or directory in the workspace.',
      input: z.object({ path }),
      effects: { files: { stat: 'path' } },
      execute: async ({ path }, context?: ToolContext) => {
        const file = grantOf(workspace, 'stat', path, context);
        const { created, modified, accessed, ...info } = await statFile(workspace, file.grant);
        return {
          path: file.name,
          ...info,
          isDirectory: info.type === 'directory',
          isFile: info.type === 'file',
          created: created.toISOString(),
          modified: modified.toISOString(),
          accessed: accessed.toISOString(),
        };
      },
    }),

    move_file: defineTool({
      name: 'move_file',
      description: 'Move or rename a file or directory within the workspace. Fails where the destination exists.',
      input: z.object({ source, destination, overwrite }),
      effects: { files: { rename: ['source', 'destination'] } },
      execute: async ({ source, destination, overwrite }, context?: ToolContext) => {
        const from = grantOf(workspace, 'rename', source, context);
        const to = grantOf(workspace, 'rename', destination, context);
        await moveFile(workspace, { source: from.grant, destination: to.grant }, { overwrite });
        return { source: from.name, destination: to.name };
      },
    }),

    copy_file: defineTool({
      name: 'copy_file',
      description: 'Copy one file within the workspace. Fails where the destination exists.',
      input: z.object({ source, destination, overwrite }),
      effects: { files: { copy: ['source', 'destination'] } },
      execute: async ({ source, destination, overwrite }, context?: ToolContext) => {
        const from = grantOf(workspace, 'copy', source, context);
        const to = grantOf(workspace, 'copy', destination, context);
        const ends = { source: from.grant, destination: to.grant };
        const written = await copyFile(workspace, ends, { overwrite, signal: context?.signal });
        return { source: from.name, destination: to.name, ...written };
      },
    }),

    remove_file: defineTool({
      name: 'remove_file',
      description:
        'Remove a file, a symbolic link (not what it points to) or an empty directory of the workspace; ' +
        'with `recursive` a directory and all that is in it.',
      input: z.object({ path, recursive: z.boolean().default(false) }),
      effects: { files: { remove: 'path' } },
      execute: async ({ path, recursive }, context?: ToolContext) => {
        const file = grantOf(workspace, 'remove', path, context);
        await removeFile(workspace, file.grant, { recursive, signal: context?.signal });
        return { path: file.name };
      },
    }),

    create_directory: defineTool({
      name: 'create_directory',
      description: 'Create a directory in the workspace, and those above it; one that exists already is fine.',
      input: z.object({ path }),
      effects: { files: { mkdir: 'path' } },
      execute: async ({ path }, context?: ToolContext) => {
        const file = grantOf(workspace, 'mkdir', path, context);
        return { path: file.name, ...(await makeDirectory(workspace, file.grant)) };
      },
    }),
  };
};

const requireCount = (option: string, value: number | undefined): void => {
  if (value === undefined || (Number.isSafeInteger(value) && value > 0)) return;
  throw new TapPassConfigError(
    `Expected \`${option}\` to be a positive integer, got ${String(value)} (${typeof value})`,
  );
};

/** Long enough to start the operation: a grant is checked once, when it begins. */
const GRANT_MS = 10_000;

const grantOf = (
  workspace: Workspace,
  operation: FileOperation,
  path: string,
  context: ToolContext | undefined,
): { readonly grant: Grant | undefined; readonly name: string } => {
  context?.signal?.throwIfAborted();
  const resolution = workspace.resolve(path, { operation });
  const effect: FileEffect = { kind: 'file', pointer: '', operation, access: accessOf(operation), path, ...resolution };
  const ruling = decideConfined(effect);
  if (ruling.outcome !== 'allow') {
    throw new TapPassError(`Access denied - ${ruling.reason ?? 'the path is not allowed'}`, {
      code: 'TAPPASS_REFUSED',
    });
  }
  const callId = context?.callId ?? randomUUID();
  const beneath = effect.resolved?.beneath ?? '';
  return {
    grant: grantFor({ allowed: ruling.outcome === 'allow' }, effect, callId, Date.now() + GRANT_MS),
    name: beneath === '' ? '.' : beneath,
  };
};

/** Bytes that are not UTF-8 would come back changed when the model writes them: that is an error instead. */
const textOf = (bytes: Buffer, cut: 'start' | 'end' | undefined, name: string): string => {
  // A character that the limit cut through is left out.
  const start =
    cut === 'start'
      ? Math.max(
          0,
          bytes.subarray(0, 4).findIndex((byte) => byte >> 6 !== 0b10),
        )
      : 0;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(start), {
      stream: cut === 'end',
    });
  } catch {
    throw new TapPassError(`${JSON.stringify(name)} is not UTF-8 text: read it with \`encoding\` base64`, {
      code: 'TAPPASS_FAILED',
    });
  }
};

const bytesOf = (content: string, encoding: 'utf8' | 'base64'): Buffer => {
  if (encoding === 'utf8' && content.isWellFormed()) return Buffer.from(content);
  if (encoding === 'base64' && content.length % 4 === 0 && /^[A-Za-z\d+/]*={0,2}$/u.test(content)) {
    return Buffer.from(content, 'base64');
  }
  throw new TapPassError(`Expected \`content\` to be ${encoding === 'utf8' ? 'well-formed Unicode' : 'base64'}`, {
    code: 'TAPPASS_FAILED',
  });
};
