/**
 * File rules → grants on what really exists. Landlock can only allow, so a folder that contains something protected is
 * replaced by its children without it (and so is each folder on the way): what is created later directly in such a
 * folder is not granted, and such a folder cannot be listed. A protected path that does not exist yet is left out the same way.
 */
import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { PathGrant } from './landlock.ts';
import type { FileRight } from './profile.ts';

/** A grant with the reason of the line that made it. */
export interface ExplainedGrant extends PathGrant {
  readonly why: string;
  /** The rule's own path, where the grant is a part of it. */
  readonly of?: string;
}

export interface Expansion {
  readonly grants: readonly ExplainedGrant[];
  /** Folders whose entries were read: the expansion is stale when one of them changes. */
  readonly listed: readonly string[];
}

/** Beneath or equal, by whole components. */
export const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);

/** Both the place a path names and the place it leads to; for one that does not exist, with its nearest real parent. */
export const realPlaces = (path: string): readonly string[] => {
  const real = realOrUndefined(path);
  if (real !== undefined) return [...new Set([join(realParent(dirname(path)), basename(path)), real])];
  return [join(realParent(dirname(path)), basename(path))];
};

export const realOrUndefined = (path: string): string | undefined => {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
};

const realParent = (folder: string): string => {
  const real = realOrUndefined(folder);
  if (real !== undefined || folder === '/') return real ?? '/';
  return join(realParent(dirname(folder)), basename(folder));
};

/** `path` must be real. `blocked` are real places too; none of them, and nothing beneath them, is granted. */
export const expandGrant = (
  rule: { readonly path: string; readonly rights: readonly FileRight[]; readonly why: string },
  blocked: readonly string[],
): Expansion => {
  const grants: ExplainedGrant[] = [];
  const listed: string[] = [];
  const visit = (path: string, directory: boolean): void => {
    if (blocked.some((place) => isWithin(path, place))) return;
    if (!directory || !blocked.some((place) => isWithin(place, path))) {
      grants.push({
        path,
        directory,
        rights: rule.rights,
        why: rule.why,
        ...(path === rule.path ? {} : { of: rule.path }),
      });
      return;
    }
    listed.push(path);
    for (const entry of entriesOf(path)) {
      // A link grants nothing: what it leads to is granted, or not, where it really stands.
      if (!entry.isSymbolicLink()) visit(join(path, entry.name), entry.isDirectory());
    }
  };
  visit(rule.path, isDirectory(rule.path));
  return { grants, listed };
};

const entriesOf = (folder: string) => {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
};

export const isDirectory = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
};

/** Changes when an entry is added, removed or replaced. */
export const stampOf = (folder: string): string => {
  try {
    const { mtimeMs, ino } = lstatSync(folder);
    return `${String(ino)}:${String(mtimeMs)}`;
  } catch {
    return 'absent';
  }
};
