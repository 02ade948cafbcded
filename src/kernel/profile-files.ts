/** Profiles by name or path: the built-in ones, and a user's own files. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { TapPassConfigError } from '../model/errors.ts';
import { narrows } from '../model/tier.ts';
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

/** Names of the built-in profiles that can be run, in alphabetical order. */
export const builtInProfiles = (): readonly string[] =>
  readdirSync(builtInFolder)
    .filter((file) => file.endsWith('.json') && !file.endsWith('.schema.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .filter((name) => loadProfile(name).profile.tier !== undefined)
    .sort();

const builtIn = new Map<string, LoadedProfile>();

/**
 * `nameOrPath`: the name of a built-in profile, or a path (it contains a `/` or ends in `.json`). Throws
 * TapPassConfigError for a file that is missing, not JSON, not a profile, or that extends itself.
 */
export const loadProfile = (nameOrPath: string): LoadedProfile => {
  const known = builtIn.get(nameOrPath);
  if (known !== undefined) return known;
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
  requireTierAbove(chain, files);
  const loaded = { profile: joinProfiles(chain), files };
  if (files.every((each) => dirname(each) === builtInFolder)) builtIn.set(nameOrPath, loaded);
  return loaded;
};

/** A tier is a promise: who makes it must stand on a built-in profile that keeps it. */
const requireTierAbove = (chain: readonly ProfileDocument[], files: readonly string[]): void => {
  const [document] = chain;
  const tier = document?.tier;
  if (tier === undefined || dirname(files[0] ?? '') === builtInFolder) return;
  const keeps = chain.some(
    (each, index) =>
      dirname(files[index] ?? '') === builtInFolder && each.tier !== undefined && narrows(tier, each.tier),
  );
  if (!keeps) {
    throw invalid(
      `Expected ${String(files[0])} with tier \`${tier}\` to extend a built-in profile of that tier or a narrower one; add \`"extends": "${tier}"\``,
    );
  }
};

const fileOf = (nameOrPath: string, from: string): string =>
  nameOrPath.includes('/') || extname(nameOrPath) === '.json'
    ? resolve(from, nameOrPath)
    : join(builtInFolder, `${nameOrPath}.json`);

const readDocument = (file: string): ProfileDocument => {
  let text: string;
  try {
    const { size } = statSync(file);
    if (size > LARGEST_PROFILE_BYTES)
      throw invalid(`Expected a profile of at most 1 MiB, got ${String(size)} bytes: ${file}`);
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof TapPassConfigError) throw cause;
    const hint = dirname(file) === builtInFolder ? '; `tappass profile list` names the built-in ones' : '';
    throw invalid(`Expected a sandbox profile at ${file}, which cannot be read${hint}`, cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(
      `Expected JSON in ${file}, got text that does not parse: ${cause instanceof Error ? cause.message : ''}`,
      cause,
    );
  }
  return parseProfile(value, file);
};

const invalid = (message: string, cause?: unknown): TapPassConfigError =>
  new TapPassConfigError(message, { code: 'TAPPASS_PROFILE_INVALID', ...(cause === undefined ? {} : { cause }) });
