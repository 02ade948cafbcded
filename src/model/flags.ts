/**
 * The eight flags: their words, their defaults and their grammar (`key=value, key=value`; parameters after `:`).
 * What a flag *means* is decided in `policy`; this file only says what may be written.
 */

export const FLAG_NAMES = ['mode', 'email', 'pii', 'budget', 'tools', 'files', 'db', 'secrets'] as const;
export type FlagName = (typeof FLAG_NAMES)[number];

export const MODES = ['observe', 'warn', 'enforce', 'lockdown'] as const;
export type Mode = (typeof MODES)[number];

export const FILES_LEVELS = ['allow', 'project', 'read_only', 'block'] as const;
export type FilesFlag = (typeof FILES_LEVELS)[number];

export const DB_LEVELS = ['allow', 'safe_write', 'read_only', 'block'] as const;
export type DbFlag = (typeof DB_LEVELS)[number];

export const PII_ACTIONS = ['off', 'flag', 'mask', 'block'] as const;
export type PiiFlag = (typeof PII_ACTIONS)[number];

export const SECRETS_ACTIONS = ['flag', 'redact', 'block'] as const;
export type SecretsFlag = (typeof SECRETS_ACTIONS)[number];

export type EmailFlag = 'allow' | 'block' | `internal:${string}` | `mirror:${string}`;
export type ToolsFlag = 'log' | 'block' | `allowlist:${string}` | `denylist:${string}`;
export type BudgetFlag = 'unlimited' | 'dev' | 'standard' | `custom:${number}:${number}`;

/** Every flag with its canonical text: what the journal records and what `policy` compiles. */
export interface Flags {
  readonly mode: Mode;
  readonly email: EmailFlag;
  readonly pii: PiiFlag;
  readonly budget: BudgetFlag;
  readonly tools: ToolsFlag;
  readonly files: FilesFlag;
  readonly db: DbFlag;
  readonly secrets: SecretsFlag;
}

/** What a program may write in code: the same texts, and lists as arrays. */
export interface FlagsInput {
  readonly mode?: Mode;
  readonly email?: EmailFlag;
  readonly pii?: PiiFlag;
  readonly budget?: BudgetFlag;
  readonly tools?: ToolsFlag | { readonly allowlist: readonly string[] } | { readonly denylist: readonly string[] };
  readonly files?: FilesFlag;
  readonly db?: DbFlag;
  readonly secrets?: SecretsFlag;
}

/** One piece of flag text that had no effect, and why: unknown flags are ignored, never silently. */
export interface IgnoredFlag {
  readonly flag: string;
  readonly value: string;
  readonly reason: string;
}

export interface ParsedFlags {
  /** Complete: what was not given, or could not be read, has its default. */
  readonly flags: Flags;
  /** Only what was given and understood: what a later layer of precedence merges. */
  readonly given: Partial<Flags>;
  readonly ignored: readonly IgnoredFlag[];
}

export const DEFAULT_FLAGS: Flags = Object.freeze({
  mode: 'enforce',
  email: 'allow',
  pii: 'off',
  budget: 'unlimited',
  tools: 'log',
  files: 'allow',
  db: 'safe_write',
  secrets: 'redact',
});

/** Parameters carry `:` `,` and `%` percent-encoded, so that MCP tool names such as `server:tool` can be listed. */
export const encodeParameter = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll(':', '%3A').replaceAll(',', '%2C');

/** `undefined` when the percent-encoding is broken: a name that cannot be read must not match by accident. */
export const decodeParameter = (text: string): string | undefined => {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

/** The parameters behind the mode word of a value, decoded: `allowlist:a:b%3Ac` → `['a', 'b:c']`. */
export const parametersOf = (value: string): readonly string[] =>
  value
    .split(':')
    .slice(1)
    .map((part) => decodeParameter(part.trim()))
    .filter((part) => part !== undefined && part !== '') as string[];
