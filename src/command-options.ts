/** The options of `runCommand`, read once and checked before anything is made or started. */
import { lstatSync, realpathSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { TapPassConfigError } from './model/errors.ts';
import { TIERS } from './model/tier.ts';
import { sinkOf, type JournalSettings } from './journals.ts';
import type { CompiledLimits } from './kernel/compiled.ts';
import { isDirectory as isDirectoryAt, realOrUndefined } from './kernel/paths.ts';
import type { EventSink } from './model/event.ts';
import type { Tier } from './model/tier.ts';

export interface CommandLimits {
  /** Resident memory of all processes together, in MiB. */
  readonly memoryMb?: number | undefined;
  /** Processes at the same time. */
  readonly pids?: number | undefined;
  /** Largest file that may be written, in MiB. */
  readonly fileSizeMb?: number | undefined;
  /** Bytes kept of stdout and of stderr, each; the rest is read and dropped. */
  readonly outputBytes?: number | undefined;
  /** Processor time of all processes together. */
  readonly cpuSeconds?: number | undefined;
}

export interface NetworkOptions {
  /** TCP ports that may be connected to: `5432` or `'127.0.0.1:5432'`. Landlock knows ports, not hosts. */
  readonly connect?: readonly (string | number)[];
}

/** A request for what this host cannot give fails, unless the layer is named here; the report then says so. */
export type AllowDegraded = readonly string[];

/** A journal, or where to open one: an accepted gap, and every lock-down, is written there before anything happens. */
export type AuditOption = EventSink | JournalSettings;

/** Opened when there is something to say; that throws when it cannot be: what is to be recorded does not happen unrecorded. */
export const requireAudit = (audit: unknown): (() => EventSink) | undefined => {
  if (audit === undefined) return undefined;
  if (typeof audit !== 'object' || audit === null) {
    throw misuse(`Expected \`audit\` to be a journal or {dir, durability}, got ${shown(audit)}`);
  }
  return () => sinkOf(audit as AuditOption);
};

/** Most that any limit may ask for; beyond it a number is a mistake. */
const MOST = {
  memoryMb: 16 * 1024 * 1024,
  pids: 65_536,
  fileSizeMb: 16 * 1024 * 1024,
  outputBytes: 1024 * 1024 * 1024,
  cpuSeconds: 31 * 24 * 3600,
} as const satisfies Record<keyof CommandLimits, number>;

/** The longest that a timer of Node can wait (2^31 - 1 ms). */
const LONGEST_TIMEOUT_MS = 2_147_483_647;
const MOST_ARGUMENTS = 32_768;

export const misuse = (message: string, code = 'TAPPASS_CONFIG_OPTION'): TapPassConfigError =>
  new TapPassConfigError(message, { code });

const shown = (value: unknown): string => `${JSON.stringify(value) ?? String(value)} (${typeof value})`;

export const requireTier = (tier: unknown): Tier => {
  const known = TIERS.find((name) => name === tier);
  if (known === undefined) throw misuse(`Expected \`tier\` to be one of ${TIERS.join(', ')}, got ${shown(tier)}`);
  return known;
};

export const requireArgv = (argv: unknown): readonly [string, ...string[]] => {
  if (!Array.isArray(argv) || argv.length === 0 || argv.length > MOST_ARGUMENTS) {
    const got = Array.isArray(argv) ? `${argv.length} elements` : shown(argv);
    throw misuse(`Expected \`argv\` to be an array of 1 to ${MOST_ARGUMENTS} strings, the program first, got ${got}`);
  }
  const words: readonly unknown[] = argv;
  for (const [index, word] of words.entries()) {
    if (typeof word !== 'string') throw misuse(`Expected \`argv[${index}]\` to be a string, got ${shown(word)}`);
    if (word.includes('\0')) throw misuse(`Expected \`argv[${index}]\` to be without NUL bytes, got ${shown(word)}`);
  }
  if (words[0] === '') throw misuse('Expected `argv[0]` to name a program, got an empty string');
  return words as readonly [string, ...string[]];
};

/**
 * The real path of the workspace: the option, else TAPPASS_WORKSPACE, else the current directory. A symbolic link is
 * refused rather than followed: who can choose or swap the link would choose what the sandbox may write to.
 */
export const requireWorkspace = (option: unknown): string => {
  const given = option ?? process.env['TAPPASS_WORKSPACE'] ?? process.cwd();
  if (typeof given !== 'string' || given === '' || given.includes('\0')) {
    throw misuse(`Expected \`workspace\` to be the path of a directory, got ${shown(given)}`);
  }
  const path = resolve(given);
  // It leads to itself: no link, here or above. Anything else is looked at again, for the error that it may be.
  if (path !== '/' && realOrUndefined(path) === path && isDirectoryAt(path)) return path;
  let isLink: boolean;
  let isDirectory: boolean;
  try {
    const stat = lstatSync(path);
    isLink = stat.isSymbolicLink();
    isDirectory = stat.isDirectory();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw misuse(`Expected \`workspace\` to be an existing directory, got ${path} (${String(code)}); create it first`);
  }
  if (isLink) {
    throw misuse(
      `Expected \`workspace\` to be a directory, got the symbolic link ${path}; pass the directory it leads to`,
    );
  }
  if (!isDirectory) throw misuse(`Expected \`workspace\` to be a directory, got the file ${path}`);
  const real = realpathSync.native(path);
  if (real === '/') throw misuse('Expected `workspace` to be a directory of its own, got `/`, which is everything');
  return real;
};

/** The directory a command starts in: the workspace, or one inside it. */
export const requireDirectory = (option: unknown, workspace: string): string => {
  if (option === undefined) return workspace;
  if (typeof option !== 'string' || option === '' || option.includes('\0')) {
    throw misuse(`Expected \`cwd\` to be the path of a directory, got ${shown(option)}`);
  }
  let real: string;
  try {
    real = realpathSync(isAbsolute(option) ? option : resolve(workspace, option));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw misuse(`Expected \`cwd\` to be an existing directory, got ${option} (${String(code)})`);
  }
  if (real !== workspace && !real.startsWith(`${workspace}/`)) {
    throw misuse(`Expected \`cwd\` to lie in the workspace ${workspace}, got ${option}, which is ${real}`);
  }
  return real;
};

export const requireLimits = (limits: unknown): CompiledLimits => {
  if (limits === undefined) return {};
  if (typeof limits !== 'object' || limits === null)
    throw misuse(`Expected \`limits\` to be an object, got ${shown(limits)}`);
  const entries = Object.entries(limits).filter(([, value]) => value !== undefined);
  for (const [name, value] of entries) {
    const most = Object.hasOwn(MOST, name) ? MOST[name as keyof CommandLimits] : undefined;
    if (most === undefined) {
      throw misuse(`Expected \`limits\` to have only ${Object.keys(MOST).join(', ')}, got ${JSON.stringify(name)}`);
    }
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > most) {
      throw misuse(`Expected \`limits.${name}\` to be a whole number from 1 to ${most}, got ${shown(value)}`);
    }
  }
  return Object.fromEntries(entries);
};

export const requireTimeout = (value: unknown): number | undefined => {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0 || value > LONGEST_TIMEOUT_MS) {
    throw misuse(
      `Expected \`timeoutMs\` to be a number above 0 and at most ${LONGEST_TIMEOUT_MS}, got ${shown(value)}`,
    );
  }
  return value;
};

/** What the caller writes out is passed on as it is: it is the caller's to give. */
export const requireEnvironment = (env: unknown): Readonly<Record<string, string>> => {
  if (env === undefined) return {};
  if (typeof env !== 'object' || env === null) throw misuse(`Expected \`env\` to be an object, got ${shown(env)}`);
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || /[=\0]/u.test(name))
      throw misuse(`Expected names in \`env\` without = and NUL, got ${shown(name)}`);
    if (typeof value !== 'string' || value.includes('\0')) {
      throw misuse(`Expected \`env.${name}\` to be a string without NUL bytes, got ${typeof value}`);
    }
  }
  return env as Readonly<Record<string, string>>;
};

export const requireNames = (option: string, names: unknown): readonly string[] => {
  if (names === undefined) return [];
  const valid =
    Array.isArray(names) && names.every((name) => typeof name === 'string' && name !== '' && !name.includes('\0'));
  if (!valid) throw misuse(`Expected \`${option}\` to be an array of names or absolute paths, got ${shown(names)}`);
  return names as readonly string[];
};

export const requireConnect = (network: unknown): readonly (string | number)[] => {
  if (network === undefined) return [];
  if (typeof network !== 'object' || network === null)
    throw misuse(`Expected \`network\` to be an object, got ${shown(network)}`);
  const unknown = Object.keys(network).find((key) => key !== 'connect');
  if (unknown !== undefined) throw misuse(`Expected \`network\` to have only connect, got ${JSON.stringify(unknown)}`);
  const { connect = [] } = network as NetworkOptions;
  if (!Array.isArray(connect)) throw misuse(`Expected \`network.connect\` to be an array, got ${shown(connect)}`);
  return connect;
};
