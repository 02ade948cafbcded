/** Door: judges one path without touching it. */
import { openWorkspace } from './broker/file.ts';
import type { FileAccess, FileEffect, ResolvedPath } from './model/effect.ts';
import { FILES_LEVELS, type FilesFlag } from './model/flags.ts';
import { type OptionRules, requireOptions } from './model/options.ts';
import { decideFile } from './policy/file.ts';

export interface CheckPathOptions {
  readonly access: FileAccess;
  /** Text of the `files` flag. One that cannot be read denies. */
  readonly flag: FilesFlag;
  /** Default: `TAPPASS_WORKSPACE`, else the current directory. */
  readonly workspace?: string;
}

const OPTIONS: OptionRules<CheckPathOptions> = { access: true, flag: true, workspace: true };

export interface PathDecision {
  readonly allowed: boolean;
  /** Stable: `file.outside-workspace`, `file.read-only`, `file.blocked`, `file.unresolvable`, `file.unknown-flag`, `file.unknown-access`. */
  readonly code?: string;
  readonly reason?: string;
  readonly access: FileAccess;
  readonly path: string;
  /** Where the path leads; absent where that was not needed or could not be found out. */
  readonly resolved?: ResolvedPath;
}

/**
 * Whether a tool may read or write `path` under the `files` flag: the same decision as a governed call. Rejects with
 * `TapPassConfigError` when `workspace` is not a directory.
 */
export const checkPath = async (path: string, options: CheckPathOptions): Promise<PathDecision> => {
  requireOptions('checkPath', options, OPTIONS);
  const { access, workspace = process.env['TAPPASS_WORKSPACE'] ?? process.cwd() } = options;
  const about = { access, path };
  if (access !== 'read' && access !== 'write') {
    return {
      ...about,
      allowed: false,
      code: 'file.unknown-access',
      reason: `expected \`access\` to be read or write, got ${JSON.stringify(access)}`,
    };
  }
  const flag = readFlag(options.flag);
  const resolution = flag === 'project' || flag === 'read_only' ? resolveIn(workspace, path, access) : undefined;
  const effect: FileEffect = { kind: 'file', pointer: '', operation: access, access, path, ...resolution };
  const ruling = decideFile(effect, flag);
  return {
    ...about,
    allowed: ruling.outcome === 'allow',
    ...(ruling.code !== undefined && { code: ruling.code }),
    ...(ruling.reason !== undefined && { reason: ruling.reason }),
    ...(effect.resolved !== undefined && { resolved: effect.resolved }),
  };
};

/** Mode words are read without regard to case; what stays unknown is denied by the decider. */
const readFlag = (flag: unknown): FilesFlag => {
  const text = String(flag).trim().toLowerCase();
  return FILES_LEVELS.find((level) => level === text) ?? (text as FilesFlag);
};

const resolveIn = (workspace: string, path: string, access: FileAccess) => {
  using opened = openWorkspace(workspace);
  return opened.resolve(path, { operation: access });
};
