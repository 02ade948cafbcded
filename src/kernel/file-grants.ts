/** The file rules of a profile, and what its commands need → grants on what exists here. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ResolvedCommand } from './commands.ts';
import { expandGrant, findNamed, findPrivate, Places, realPlaces, type ExplainedGrant } from './grants.ts';
import { lockState } from './lock-state.ts';
import { aliasesOf, parseMounts } from './mounts.ts';
import { folderOf, isDirectory, isWithin, realOrUndefined } from './paths.ts';
import { profileFault, type FileRight, type Profile } from './profile.ts';
import { requireWorkspace, substitute, SYSTEM_PLACES, type ResolvedVariables } from './variables.ts';

export interface GrantedFiles {
  readonly grants: readonly ExplainedGrant[];
  readonly listed: readonly string[];
  readonly searched: boolean;
  readonly unsearched: readonly string[];
}

export const grantFiles = (
  profile: Profile,
  variables: ResolvedVariables,
  commands: readonly ResolvedCommand[],
): GrantedFiles => {
  const mounts = parseMounts(readMountInfo());
  const placesOf = (rules: readonly { readonly path?: string | undefined }[]): readonly string[] => {
    const paths: string[] = [];
    for (const { path } of rules) if (path !== undefined) paths.push(...substitute(path, variables));
    const places = realPlaces(paths);
    return [...places, ...aliasesOf(places, mounts)];
  };
  const protectedPlaces = placesOf(profile.protected);
  const excluded = placesOf(profile.excluded);
  const never = new Places(protectedPlaces);
  requireWorkspace(variables, never);
  const names = profile.protected.flatMap(({ named }) => (named === undefined ? [] : [named]));
  // Only a tier that reads the system as a whole meets files that the line did not name.
  const privates = process.geteuid?.() === 0 && profile.files.some(({ path }) => path === '/') ? findPrivate() : [];
  const search = names.length === 0 ? undefined : findNamed(variables.HOME, names, variables.WORKSPACE);

  const foundByName = [...(search?.found ?? []), ...(search?.unsearched ?? [])];
  const namedPlaces = [...foundByName, ...aliasesOf(foundByName, mounts)];

  const grants: ExplainedGrant[] = [];
  const listed: string[] = [];
  const neverOutside = namedPlaces.length === 0 ? never : new Places([...protectedPlaces, ...namedPlaces]);
  const leftOut = new Places([...excluded, ...privates]);
  const grant = (path: string, rights: readonly FileRight[], why: string, ownProc = false): void => {
    // What was searched for by name is outside of the workspace, which holds its own.
    const blocked = isWithin(path, variables.WORKSPACE) ? never : neverOutside;
    // Nearer lines win over an exclusion, never over a protection.
    const expansion = expandGrant({ path, rights, why }, blocked, leftOut, lockState()?.profile.landlock);
    for (const part of expansion.grants) grants.push(ownProc ? { ...part, ownProc } : part);
    listed.push(...expansion.listed);
  };
  for (const rule of profile.files) {
    for (const path of substitute(rule.path, variables)) {
      // Each process has its own: resolved by whoever applies the profile.
      if (isWithin(path, '/proc/self')) {
        grants.push({ path, directory: path === '/proc/self', rights: rule.rights, why: rule.why });
        continue;
      }
      const real = realOrUndefined(path);
      if (real !== undefined) requireWritable(profile, rule, real, variables.HOME);
      if (real !== undefined) grant(real, rule.rights, rule.why, rule.ownProc);
      else if (rule.optional !== true) {
        throw profileFault(
          `Expected ${path} to exist, which the profile \`${profile.name}\` grants (${rule.why}); create it, or mark the line \`optional\``,
          'TAPPASS_PROFILE_PATH',
        );
      }
    }
  }
  for (const file of [variables.WORKSPACE, ...variables.RUNTIME].flatMap(packagesAbove)) {
    grant(file, ['read'], 'Node looks for the nearest package.json upwards, and one it may not read is an error');
  }
  const started = new Set<string>();
  for (const command of commands) {
    for (const file of command.files) {
      // Nearly all of them name the same loader. What can be started is a file: nothing lies beneath it.
      if (started.has(file)) continue;
      started.add(file);
      if ((isWithin(file, variables.WORKSPACE) ? never : neverOutside).cover(file)) continue;
      grants.push({ path: file, directory: false, rights: TO_START, why: `${command.name} may be started` });
    }
    const prefix = installPrefix(command, variables.HOME);
    if (prefix !== undefined) grant(prefix, ['read'], `${command.name} is installed there with what it needs`);
  }
  if (profile.commands !== 'any') {
    const present = new Set(commands.map(({ name }) => name));
    for (const rule of profile.commands.filter(({ names }) => names.some((name) => present.has(name)))) {
      for (const [paths, rights] of [
        [rule.reads ?? [], ['read']],
        [rule.executes ?? [], ['read', 'execute']],
      ] as const) {
        for (const path of paths.flatMap((folder) => substitute(folder, variables))) {
          const real = realOrUndefined(path);
          if (real !== undefined) grant(real, rights, rule.why);
        }
      }
    }
  }
  return {
    grants,
    listed,
    searched: search !== undefined || privates.length > 0,
    unsearched: search?.unsearched ?? [],
  };
};

const TO_START: readonly FileRight[] = ['read', 'execute'];

/** Writing to the system, or to the home folder as a whole, is more than any tier gives. */
const requireWritable = (profile: Profile, rule: Profile['files'][number], real: string, home: string): void => {
  if (!rule.rights.some((right) => right === 'write' || right === 'create')) return;
  const isDevice = isWithin(real, '/dev') && real !== '/dev';
  const isSystem = SYSTEM_PLACES.some((place) => isWithin(real, place)) && !isDevice;
  if (!isSystem && real !== '/usr' && !isWithin(home, real)) return;
  throw profileFault(
    `Expected the profile \`${profile.name}\` to write to folders of its own, got ${rule.path}; name a narrower folder`,
    'TAPPASS_PROFILE_EXCEEDS_TIER',
  );
};

/** Empty where it cannot be read: then nothing is known of other places, as on a system without /proc. */
const readMountInfo = (): string => {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
};

const packagesAbove = (folder: string): readonly string[] => {
  const parent = dirname(folder);
  if (parent === folder) return [];
  const file = join(parent, 'package.json');
  // A link could lead anywhere.
  return [...(realOrUndefined(file) === file && !isDirectory(file) ? [file] : []), ...packagesAbove(parent)];
};

/** A program outside of the system's own folders brings its libraries along: `<prefix>/bin/x` may read `<prefix>`. */
const installPrefix = (command: ResolvedCommand, home: string): string | undefined => {
  const [program = ''] = command.files;
  const folder = folderOf(program);
  if (!folder.endsWith('/bin')) return undefined;
  const prefix = folderOf(folder);
  if (OF_THE_SYSTEM.has(prefix)) return undefined;
  const isShallow = folderOf(prefix) === '/';
  return isShallow || isWithin(home, prefix) ? undefined : prefix;
};

const OF_THE_SYSTEM: ReadonlySet<string> = new Set(['/', '/usr', '/usr/local']);
