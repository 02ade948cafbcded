/** Profiles by name or path: the built-in ones, and a user's own files. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { TapPassConfigError } from '../model/errors.ts';
import { narrows, type Tier } from '../model/tier.ts';
import { joinProfiles, parseProfile, type Profile, type ProfileDocument } from './profile.ts';

const builtInFolder = join(import.meta.dirname, '..', '..', 'sandbox-profiles');

/** A profile is a page or two; what is larger is not one (bounds the cost of reading a wrong path). */
const LARGEST_PROFILE_BYTES = 1024 * 1024;
/** Deeper chains of `extends` are a mistake. */
const LONGEST_CHAIN = 16;

export interface LoadedProfile {
  readonly profile: Profile;
  /** The file itself, then those it extends. */
  readonly files: readonly string[];
}

/**
 * What this package ships. Held against the schema where they are made (test/kernel/profile.test.ts) and not again in
 * each process, where that would be most of the time that `secure()` takes. No other file is excused from it, whatever
 * its name and wherever it stands.
 */
const BUILT_IN = ['common', 'foundation', 'isolate-guest', 'isolate-host', 'observer', 'standard', 'worker'] as const;
const builtInFiles: ReadonlyMap<string, string> = new Map(
  BUILT_IN.map((name) => [name, join(builtInFolder, `${name}.json`)]),
);
const trusted: ReadonlySet<string> = new Set(builtInFiles.values());

/** Names of the built-in profiles that can be run, in alphabetical order. */
export const builtInProfiles = (): readonly string[] =>
  BUILT_IN.filter((name) => loadProfile(name).profile.tier !== undefined);

/** By name only: it is read once in the life of a process. */
export const isBuiltIn = (name: string): boolean => builtInFiles.has(name);

const builtIn = new Map<string, LoadedProfile>();
const builtInDocuments = new Map<string, ProfileDocument>();

/**
 * `nameOrPath`: the name of a built-in profile, or a path (it contains a `/` or ends in `.json`). Throws
 * TapPassConfigError for a file that is missing, not JSON, not a profile, or that extends itself.
 */
export const loadProfile = (nameOrPath: string): LoadedProfile => {
  const known = builtIn.get(nameOrPath);
  if (known !== undefined) return known;
  const { chain, files } = readChain(nameOrPath);
  requireTierAbove(chain, files);
  const loaded = { profile: joinProfiles(chain), files };
  if (isBuiltIn(nameOrPath)) builtIn.set(nameOrPath, loaded);
  return loaded;
};

/** Reads a built-in profile and all that it extends, so that it can be loaded where files can no longer be read. */
export const readBuiltIn = (name: Tier): void => void readChain(name);

const readChain = (
  nameOrPath: string,
): { readonly chain: readonly ProfileDocument[]; readonly files: readonly string[] } => {
  const chain: ProfileDocument[] = [];
  const files: string[] = [];
  let file = fileOf(nameOrPath, process.cwd());
  for (;;) {
    if (files.includes(file)) {
      throw invalid(`Expected \`extends\` to end somewhere, got a cycle: ${[...files, file].join(' → ')}`);
    }
    if (files.length >= LONGEST_CHAIN) {
      throw invalid(
        `Expected at most ${String(LONGEST_CHAIN)} profiles in one chain of \`extends\`, got more in ${String(files[0])}`,
      );
    }
    const document = readDocument(file);
    chain.push(document);
    files.push(file);
    if (document.extends === undefined) break;
    file = fileOf(document.extends, dirname(file));
  }
  return { chain, files };
};

/** A tier is a promise: who makes it must stand on a built-in profile that keeps it. */
const requireTierAbove = (chain: readonly ProfileDocument[], files: readonly string[]): void => {
  const [document] = chain;
  const tier = document?.tier;
  if (tier === undefined || trusted.has(files[0] ?? '')) return;
  const keeps = chain.some(
    (each, index) => trusted.has(files[index] ?? '') && each.tier !== undefined && narrows(tier, each.tier),
  );
  if (!keeps) {
    throw invalid(
      `Expected ${String(files[0])} with tier \`${tier}\` to extend a built-in profile of that tier or a narrower one; add \`"extends": "${tier}"\``,
    );
  }
};

const fileOf = (nameOrPath: string, from: string): string =>
  builtInFiles.get(nameOrPath) ??
  (nameOrPath.includes('/') || extname(nameOrPath) === '.json'
    ? resolve(from, nameOrPath)
    : join(builtInFolder, `${nameOrPath}.json`));

const readDocument = (file: string): ProfileDocument => {
  const known = builtInDocuments.get(file);
  if (known !== undefined) return known;
  if (!trusted.has(file)) return parseProfile(readJson(file), file);
  const document = readJson(file) as ProfileDocument;
  builtInDocuments.set(file, document);
  return document;
};

const readJson = (file: string): unknown => {
  let text: string;
  try {
    const size = trusted.has(file) ? 0 : statSync(file).size;
    if (size > LARGEST_PROFILE_BYTES)
      throw invalid(`Expected a profile of at most 1 MiB, got ${String(size)} bytes: ${file}`);
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof TapPassConfigError) throw cause;
    const hint = dirname(file) === builtInFolder ? '; `tappass profile list` names the built-in ones' : '';
    throw invalid(`Expected a sandbox profile at ${file}, which cannot be read${hint}`, cause);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw invalid(
      `Expected JSON in ${file}, got text that does not parse: ${cause instanceof Error ? cause.message : ''}`,
      cause,
    );
  }
};

const invalid = (message: string, cause?: unknown): TapPassConfigError =>
  new TapPassConfigError(message, { code: 'TAPPASS_PROFILE_INVALID', ...(cause === undefined ? {} : { cause }) });
