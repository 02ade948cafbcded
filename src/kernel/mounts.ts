/**
 * One folder can stand in several places: bind mounts, a file system mounted twice, subvolumes beneath their volume.
 * Landlock follows the path that is walked, so a protected folder must be left out wherever it appears.
 */
import { join, relative } from 'node:path';
import { isWithin } from './grants.ts';

interface Mount {
  readonly device: string;
  /** The folder of that file system that is mounted. */
  readonly root: string;
  readonly point: string;
}

/** `/proc/self/mountinfo`, whose paths escape space, tab, newline and backslash as octal. */
export const parseMounts = (mountinfo: string): readonly Mount[] =>
  mountinfo.split('\n').flatMap((line) => {
    const [, , device, root, point] = line.split(' ');
    if (device === undefined || root === undefined || point === undefined) return [];
    return [{ device, root: unescaped(root), point: unescaped(point) }];
  });

const unescaped = (text: string): string =>
  text.replaceAll(/\\([0-7]{3})/gu, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** The other places where `places` (real paths) can be reached as well. */
export const aliasesOf = (places: readonly string[], mounts: readonly Mount[]): readonly string[] => {
  const byDevice = Map.groupBy(mounts, ({ device }) => device);
  const aliases = new Set<string>();
  for (const place of places) {
    // The deepest mount holds it; of several on one point the last is the one that is seen.
    const holder = mounts
      .filter(({ point }) => isWithin(place, point))
      .reduce<Mount | undefined>(
        (best, next) => (best !== undefined && best.point.length > next.point.length ? best : next),
        undefined,
      );
    if (holder === undefined) continue;
    const inner = join(holder.root, relative(holder.point, place));
    for (const other of byDevice.get(holder.device) ?? []) {
      if (isWithin(inner, other.root)) aliases.add(join(other.point, relative(other.root, inner)));
    }
  }
  for (const place of places) aliases.delete(place);
  return [...aliases];
};
