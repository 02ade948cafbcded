/**
 * File rules → grants on what really exists. Landlock can only allow, so a folder that contains something protected is
 * replaced by its children without it (and so is each folder on the way): what is created later directly in such a
 * folder is not granted, and such a folder cannot be listed. A protected path that does not exist yet is left out the same way.
 */
import { lstatSync, readdirSync } from 'node:fs';
import type { CompiledLandlock } from './compiled.ts';
import { rightsGiven, type PathGrant } from './landlock.ts';
import {
  findWithoutMode,
  folderOf,
  isDirectory,
  isReadableName,
  isWithin,
  listNamed,
  realOrUndefined,
  within,
} from './paths.ts';
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

/**
 * Both the places that paths (absolute, without `.` and `..`) name and those they lead to; for one that does not exist,
 * with its nearest real parent. Most do not exist: asked without exceptions, and each parent once.
 */
export const realPlaces = (paths: readonly string[]): readonly string[] => {
  const parents = new Map<string, Parent>([['/', { real: '/', exists: true }]]);
  const parentAt = (folder: string): Parent => {
    const known = parents.get(folder);
    if (known !== undefined) return known;
    const above = parentAt(folderOf(folder));
    const real = above.exists ? realOrUndefined(folder) : undefined;
    const parent = { real: real ?? within(above.real, nameOf(folder)), exists: real !== undefined };
    parents.set(folder, parent);
    return parent;
  };
  const places = new Set<string>();
  for (const path of paths) {
    const parent = parentAt(folderOf(path));
    places.add(path === '/' ? '/' : within(parent.real, nameOf(path)));
    const real = parent.exists ? realOrUndefined(path) : undefined;
    if (real !== undefined) places.add(real);
  }
  return [...places];
};

/** Where a folder leads to; for one that does not exist, where it would. */
interface Parent {
  readonly real: string;
  readonly exists: boolean;
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Many places that are asked about for many paths: by looking up, not by comparing each with each. */
export class Places {
  readonly #all: ReadonlySet<string>;
  readonly #sorted: readonly string[];

  constructor(places: readonly string[]) {
    this.#all = new Set(places);
    this.#sorted = [...this.#all].sort();
  }

  /** Whether `path` is one of them, or lies beneath one. */
  cover(path: string): boolean {
    return this.holder(path) !== undefined;
  }

  /** The nearest of them that is `path`, or that `path` lies beneath. */
  holder(path: string): string | undefined {
    for (let folder = path; ; folder = folderOf(folder)) {
      if (this.#all.has(folder)) return folder;
      if (folder === '/') return undefined;
    }
  }

  /** Those that lie beneath `folder`, itself not counted. */
  beneath(folder: string): readonly string[] {
    const prefix = folder === '/' ? '/' : `${folder}/`;
    let low = 0;
    for (let high = this.#sorted.length; low < high;) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] ?? '') < prefix) low = middle + 1;
      else high = middle;
    }
    let end = low;
    while (this.#sorted[end]?.startsWith(prefix) === true) end += 1;
    // `/` itself begins with the prefix of the root.
    return this.#sorted.slice(low, end).filter((place) => place !== folder);
  }
}

const NO_PLACES = new Places([]);

/**
 * `path` must be real, and so must the places. Nothing in `blocked`, and nothing beneath it, is granted; what is
 * `excluded` is left out of wider grants, but a rule may name it, or something beneath it. `held` is what this process
 * has locked itself into, if it has.
 */
export const expandGrant = (
  rule: { readonly path: string; readonly rights: readonly FileRight[]; readonly why: string },
  blocked: Places,
  excluded: Places = NO_PLACES,
  held?: Pick<CompiledLandlock, 'paths' | 'handledFs'>,
): Expansion => {
  const grants: ExplainedGrant[] = [];
  const listed: string[] = [];
  const { path: whole, rights, why } = rule;
  if (blocked.cover(whole)) return { grants, listed };
  const directory = isDirectory(whole);
  const inside = new Set(directory ? [...blocked.beneath(whole), ...excluded.beneath(whole)] : []);
  if (inside.size === 0) return { grants: [{ path: whole, directory, rights, why }], listed };
  const around = new Set<string>();
  for (const place of inside) {
    for (let folder = folderOf(place); isWithin(folder, whole) && !around.has(folder); folder = folderOf(folder)) {
      around.add(folder);
      if (folder === whole) break;
    }
  }
  const visit = (path: string, isFolder: boolean): void => {
    if (inside.has(path)) return;
    if (!isFolder || !around.has(path)) {
      grants.push({ path, directory: isFolder, rights, why, of: whole });
      return;
    }
    listed.push(path);
    const entries = entriesOf(path);
    for (const entry of entries ?? []) {
      // A link grants nothing: what it leads to is granted, or not, where it really stands. Nor does what cannot be named.
      if (!entry.isSymbolicLink() && isReadableName(entry.name)) visit(within(path, entry.name), entry.isDirectory());
    }
    if (entries === undefined) visitHeld(path);
  };
  // A process that has locked itself cannot list such a folder any more: what it kept of it is what can be granted.
  const visitHeld = (folder: string): void => {
    for (const part of held?.paths ?? []) {
      if (part.path === folder || !isWithin(part.path, folder)) continue;
      if (blocked.cover(part.path) || excluded.cover(part.path)) continue;
      const isFolder = isDirectory(part.path);
      const given = rightsGiven(rights, part, isFolder, held?.handledFs ?? 0n);
      if (given.length > 0 && !around.has(part.path)) {
        grants.push({ path: part.path, directory: isFolder, rights: given, why, of: whole });
      }
    }
  };
  visit(whole, directory);
  return { grants, listed };
};

/** `undefined` for a folder that cannot be listed. */
const entriesOf = (folder: string) => {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return undefined;
  }
};

/** Bounds one search: a home folder can hold millions of files. */
const MOST_ENTRIES = 50_000;
const DEEPEST = 6;

export interface NamedSearch {
  readonly found: readonly string[];
  /** Folders that the bounds, or the system, did not allow to look into: nobody knows what they hold, so they are not granted. */
  readonly unsearched: readonly string[];
}

/**
 * Files beneath `home` whose name matches (`.env`, or `.env.*` with a star at the end), nearest first. Not searched, and
 * documented so: `node_modules`, hidden folders, `skip` (the workspace), and what lies more than six folders deep.
 */
export const findNamed = (home: string, names: readonly string[], skip: string): NamedSearch => {
  const found: string[] = [];
  const unsearched: string[] = [];
  let entries = 0;
  let level: readonly string[] = isWithin(home, skip) ? [] : [home];
  for (let depth = 0; depth < DEEPEST && level.length > 0; depth += 1) {
    const next: string[] = [];
    for (const [index, folder] of level.entries()) {
      if (entries > MOST_ENTRIES) return { found, unsearched: [...unsearched, ...level.slice(index), ...next] };
      const inside = listNamed(folder, names);
      if (inside === undefined) {
        unsearched.push(folder);
        continue;
      }
      entries += inside.entries;
      for (const name of inside.named) found.push(within(folder, name));
      for (const name of inside.folders) {
        const path = within(folder, name);
        if (path === skip || name.startsWith('.') || name === 'node_modules') continue;
        (isReadableName(name) ? next : unsearched).push(path);
      }
    }
    level = next;
  }
  return { found, unsearched };
};

/** Where a system keeps what only root may read; deeper and elsewhere the names that a profile protects must do. */
const PRIVATE_PLACES = ['/etc', '/var', '/opt', '/srv', '/usr/local/etc'];
const PRIVATE_DEPTH = 3;
const OTHERS_READ = 0o4;
const OTHERS_ENTER = 0o5;

/**
 * What others may not read. Root keeps reading its own files when its Linux capabilities are gone, so for root these
 * modes would protect nothing: in here root is nobody.
 */
export const findPrivate = (places: readonly string[] = PRIVATE_PLACES): readonly string[] =>
  places.flatMap((place) => findWithoutMode(place, PRIVATE_DEPTH, { file: OTHERS_READ, folder: OTHERS_ENTER }));

/** Changes when an entry of a folder is added, removed or replaced, and when a file is written. */
export const stampOf = (folder: string): string => {
  try {
    const { mtimeNs, ino, size } = lstatSync(folder, { bigint: true });
    return `${String(ino)}:${String(mtimeNs)}:${String(size)}`;
  } catch {
    return 'absent';
  }
};
