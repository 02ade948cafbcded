/**
 * One folder can stand in several places: bind mounts, a file system mounted twice, subvolumes beneath their volume.
 * Landlock follows the path that is walked, so a protected folder must be left out wherever it appears.
 */
import { folderOf, isWithin } from './paths.ts';

interface Mount {
  readonly device: string;
  /** The folder of that file system that is mounted. */
  readonly root: string;
  readonly point: string;
}

/** `/proc/self/mountinfo`, whose paths escape space, tab, newline and backslash as octal. */
export const parseMounts = (mountinfo: string): readonly Mount[] => {
  const mounts: Mount[] = [];
  for (const line of mountinfo.split('\n')) {
    const [, , device, root, point] = line.split(' ', 5);
    if (device === undefined || root === undefined || point === undefined) continue;
    mounts.push({ device, root: unescaped(root), point: unescaped(point) });
  }
  return mounts;
};

/** As /proc writes paths. */
export const unescaped = (text: string): string =>
  !text.includes('\\')
    ? text
    : text.replaceAll(/\\([0-7]{3})/gu, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** `path`, which lies within `from`, as it stands within `to`. */
const moved = (path: string, from: string, to: string): string => {
  const rest = from === '/' ? path : path.slice(from.length);
  return to === '/' ? rest || '/' : rest === '/' ? to : `${to}${rest}`;
};

/** The other places where `places` (real paths) can be reached as well. */
export const aliasesOf = (places: readonly string[], mounts: readonly Mount[]): readonly string[] => {
  const byDevice = Map.groupBy(mounts, ({ device }) => device);
  if (byDevice.values().every((others) => others.length < 2)) return [];
  // Of several on one point the last is the one that is seen.
  const byPoint = new Map(mounts.map((mount) => [mount.point, mount]));
  const holderOf = (place: string): Mount | undefined => {
    for (let folder = place; ; folder = folderOf(folder)) {
      const mount = byPoint.get(folder);
      if (mount !== undefined || folder === '/') return mount;
    }
  };
  const aliases = new Set<string>();
  for (const place of places) {
    const holder = holderOf(place);
    const others = holder === undefined ? [] : (byDevice.get(holder.device) ?? []);
    if (holder === undefined || others.length < 2) continue;
    const inner = moved(place, holder.point, holder.root);
    for (const other of others) {
      if (isWithin(inner, other.root)) aliases.add(moved(inner, other.root, other.point));
    }
  }
  for (const place of places) aliases.delete(place);
  return [...aliases];
};
