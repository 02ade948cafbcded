/** Whether one compiled profile gives nothing that another does not give. Pure. */
import type { CompiledLandlock, CompiledProfile } from './compiled.ts';

const isBeneath = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);

/** The first thing that `to` gives and `from` does not, in words; `undefined` when `to` is within `from`. */
export const wideningOf = (from: CompiledProfile, to: CompiledProfile): string | undefined =>
  widePath(from.landlock, to.landlock) ??
  widePort(from.landlock, to.landlock) ??
  wideHandled(from.landlock, to.landlock);

/** Each process resolves /proc/self anew, so these rules compare by their text like the others. */
const widePath = (from: CompiledLandlock, to: CompiledLandlock): string | undefined => {
  for (const { path, access } of to.paths) {
    const given = from.paths
      .filter((rule) => isBeneath(path, rule.path))
      .reduce((rights, rule) => rights | rule.access, ~from.handledFs);
    if ((access & to.handledFs & ~given) !== 0n) return `access to ${path}`;
  }
  return undefined;
};

const widePort = (from: CompiledLandlock, to: CompiledLandlock): string | undefined => {
  for (const { port, access } of to.ports) {
    const given = from.ports
      .filter((rule) => rule.port === port)
      .reduce((rights, rule) => rights | rule.access, ~from.handledNet);
    if ((access & to.handledNet & ~given) !== 0n) return `connecting to port ${port}`;
  }
  return undefined;
};

/** What the first ruleset handles and the second leaves alone stays handled, by the first; asking to leave it is widening. */
const wideHandled = (from: CompiledLandlock, to: CompiledLandlock): string | undefined => {
  if ((from.handledNet & ~to.handledNet) !== 0n) return 'TCP without a list of ports';
  return (from.handledFs & ~to.handledFs) === 0n ? undefined : 'file rights without a rule';
};
