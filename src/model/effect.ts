/**
 * What a call would do to the world, in canonical form, one member for each kind. An effect is what `policy` judges and
 * what the journal records, so that a decision can be replayed without the world.
 */

import type { Tier } from './tier.ts';

export const FILE_OPERATIONS = [
  'read',
  'list',
  'stat',
  'write',
  'append',
  'mkdir',
  'remove',
  'rename',
  'copy',
  'link',
  'chmod',
  'truncate',
  'utimes',
] as const;
export type FileOperation = (typeof FILE_OPERATIONS)[number];

/** rename, copy, link, chmod, truncate, mkdir, utimes and remove are writes. */
export type FileAccess = 'read' | 'write';

export const accessOf = (operation: FileOperation): FileAccess =>
  operation === 'read' || operation === 'list' || operation === 'stat' ? 'read' : 'write';

/** Where a path leads, as the kernel would resolve it; made by the file broker, judged by `policy/file.ts`. */
export interface ResolvedPath {
  /** Absolute, without symlinks, `.` or `..`; for a path that does not exist yet, its real parent and its last names. */
  readonly real: string;
  readonly exists: boolean;
  /** `real`, relative to the workspace with `/` between components (`''` is the workspace itself); absent when outside. */
  readonly beneath?: string;
}

interface EffectBase {
  /** Where in the arguments it stands: a JSON pointer (RFC 6901). Positional arguments are `/0`, `/1` … */
  readonly pointer: string;
  /**
   * True where the value at `pointer` is not the subject itself but what it was derived from (a file that a patch text
   * names). It is judged all the same, but nothing may be written to that place.
   */
  readonly derived?: true;
}

export interface FileEffect extends EffectBase {
  readonly kind: 'file';
  readonly access: FileAccess;
  readonly operation: FileOperation;
  /** As the caller wrote it. */
  readonly path: string;
  /** Absent until the broker has resolved it; a path that cannot be resolved has `fault` instead, and is denied. */
  readonly resolved?: ResolvedPath;
  readonly fault?: string;
}

export const SQL_DIALECTS = ['postgres', 'sqlite', 'mysql'] as const;
export type SqlDialect = (typeof SQL_DIALECTS)[number];

export interface SqlEffect extends EffectBase {
  readonly kind: 'sql';
  readonly text: string;
  /** Unknown dialects are kept as text, and denied. */
  readonly dialect: string;
}

export interface EmailEffect extends EffectBase {
  readonly kind: 'email';
  /** The value that carries the message: a nodemailer, SendGrid, SES, Graph or Gmail shape, or plain `to`/`subject`. */
  readonly message: unknown;
  /** Where the message is an array of positional arguments: what each is called in the function's source. */
  readonly parameterNames?: readonly string[];
}

export interface NetworkEffect extends EffectBase {
  readonly kind: 'network';
  readonly url: string;
  readonly method?: string;
}

export interface CommandEffect extends EffectBase {
  readonly kind: 'command';
  /** An argv, or one text for a shell. */
  readonly command: string | readonly string[];
  /** True when the tool runs it under a tier, so that the kernel holds what the text cannot show. */
  readonly contained?: boolean;
  /** Which tier, where the tool says so. */
  readonly tier?: Tier;
}

export type Effect = FileEffect | SqlEffect | EmailEffect | NetworkEffect | CommandEffect;

/**
 * Where an argument stands: its name, `0` for the first positional argument, dots to go deeper, `*` for every element
 * (`files.*.path`).
 */
export type ArgumentPath = string;

/** What a tool declares about itself: which arguments are paths, SQL, messages, URLs, commands. */
export interface EffectDeclaration {
  /** Arguments that are paths, by what is done to them. */
  readonly read?: ArgumentPath | readonly ArgumentPath[];
  readonly write?: ArgumentPath | readonly ArgumentPath[];
  /** Exact operations, where `read` and `write` are too coarse: `{remove: ['path'], rename: ['from', 'to']}`. */
  readonly files?: Partial<Record<FileOperation, ArgumentPath | readonly ArgumentPath[]>>;
  readonly sql?: ArgumentPath | readonly ArgumentPath[];
  /** Default `postgres`. */
  readonly dialect?: SqlDialect;
  /** Arguments that are messages; `true`: the whole arguments are one message. */
  readonly email?: true | ArgumentPath | readonly ArgumentPath[];
  readonly url?: ArgumentPath | readonly ArgumentPath[];
  /** Arguments that are commands; `true`: the call as a whole starts a program. */
  readonly command?: true | ArgumentPath | readonly ArgumentPath[];
  /** The tool runs its commands under a tier, which contains them. Default: in none. */
  readonly tier?: Tier;
  /** The same without saying which: judged as the widest. */
  readonly contained?: boolean;
  /** The tool touches nothing outside its own memory. */
  readonly none?: true;
}
