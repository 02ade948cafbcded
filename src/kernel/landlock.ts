/**
 * File, port and scope rules → what `landlock_create_ruleset` and `landlock_add_rule` of this kernel's ABI take. Pure.
 * Every right the ABI knows is handled, so what no rule grants is denied; a right that the ABI does not know yet is
 * either covered by the system-call filter (`gapsOf` says by which rule) or makes the grant that needs it fail.
 * Source: include/uapi/linux/landlock.h up to ABI 10 (Linux 7.2).
 */
import type { CompiledLandlock, LandlockPathRule } from './compiled.ts';
import type { FileRight } from './profile.ts';

export const ACCESS_FS = {
  EXECUTE: 1n << 0n,
  WRITE_FILE: 1n << 1n,
  READ_FILE: 1n << 2n,
  READ_DIR: 1n << 3n,
  REMOVE_DIR: 1n << 4n,
  REMOVE_FILE: 1n << 5n,
  MAKE_CHAR: 1n << 6n,
  MAKE_DIR: 1n << 7n,
  MAKE_REG: 1n << 8n,
  MAKE_SOCK: 1n << 9n,
  MAKE_FIFO: 1n << 10n,
  MAKE_BLOCK: 1n << 11n,
  MAKE_SYM: 1n << 12n,
  REFER: 1n << 13n,
  TRUNCATE: 1n << 14n,
  IOCTL_DEV: 1n << 15n,
  RESOLVE_UNIX: 1n << 16n,
} as const;

export const ACCESS_NET = {
  BIND_TCP: 1n << 0n,
  CONNECT_TCP: 1n << 1n,
  BIND_UDP: 1n << 2n,
  CONNECT_SEND_UDP: 1n << 3n,
} as const;

export const SCOPE = { ABSTRACT_UNIX_SOCKET: 1n << 0n, SIGNAL: 1n << 1n } as const;

export const NEWEST_KNOWN_ABI = 10;

const bitsOf = (...bits: readonly bigint[]): bigint => bits.reduce((all, bit) => all | bit, 0n);

/** Rights that a rule on something that is not a folder may carry; others make the kernel answer EINVAL. */
const OF_FILES = bitsOf(
  ACCESS_FS.EXECUTE,
  ACCESS_FS.WRITE_FILE,
  ACCESS_FS.READ_FILE,
  ACCESS_FS.TRUNCATE,
  ACCESS_FS.IOCTL_DEV,
  ACCESS_FS.RESOLVE_UNIX,
);

const BITS_OF_RIGHT: Readonly<Record<FileRight, bigint>> = {
  read: bitsOf(ACCESS_FS.READ_FILE, ACCESS_FS.READ_DIR),
  execute: ACCESS_FS.EXECUTE,
  write: bitsOf(ACCESS_FS.WRITE_FILE, ACCESS_FS.TRUNCATE),
  // Never MAKE_CHAR and MAKE_BLOCK: a device node is a door to what the device is.
  create: bitsOf(
    ACCESS_FS.MAKE_REG,
    ACCESS_FS.MAKE_DIR,
    ACCESS_FS.MAKE_SYM,
    ACCESS_FS.MAKE_FIFO,
    ACCESS_FS.MAKE_SOCK,
    ACCESS_FS.REMOVE_FILE,
    ACCESS_FS.REMOVE_DIR,
    ACCESS_FS.REFER,
  ),
  ioctl: ACCESS_FS.IOCTL_DEV,
};

/** Every file right that this ABI can refuse. */
export const handledFileRights = (abi: number): bigint => {
  if (abi < 1) return 0n;
  let handled = (1n << 13n) - 1n;
  if (abi >= 2) handled |= ACCESS_FS.REFER;
  if (abi >= 3) handled |= ACCESS_FS.TRUNCATE;
  if (abi >= 5) handled |= ACCESS_FS.IOCTL_DEV;
  if (abi >= 9) handled |= ACCESS_FS.RESOLVE_UNIX;
  return handled;
};

const handledPortRights = (abi: number): bigint => {
  if (abi < 4) return 0n;
  const tcp = bitsOf(ACCESS_NET.BIND_TCP, ACCESS_NET.CONNECT_TCP);
  return abi >= 10 ? tcp | ACCESS_NET.BIND_UDP | ACCESS_NET.CONNECT_SEND_UDP : tcp;
};

/** A grant on something that exists: `path` is real (no symlinks), `directory` says what it is. */
export interface PathGrant {
  readonly path: string;
  readonly directory: boolean;
  readonly rights: readonly FileRight[];
  /** Only where the process has a /proc of its own. */
  readonly ownProc?: boolean;
}

export interface LandlockPolicy {
  readonly grants: readonly PathGrant[];
  /** `any`: ports are not restricted (the filter may still restrict sockets). */
  readonly connect: 'any' | readonly number[];
}

/** Those of `rights` that a rule gives in full. */
export const rightsGiven = (
  rights: readonly FileRight[],
  { access }: LandlockPathRule,
  directory: boolean,
  handledFs: bigint,
): readonly FileRight[] =>
  rights.filter((right) => {
    const asked = directory ? BITS_OF_RIGHT[right] : BITS_OF_RIGHT[right] & OF_FILES;
    return (asked & handledFs & ~access) === 0n;
  });

/** What this ABI cannot refuse by itself; `compile.ts` covers each by the system-call filter or refuses. */
export type LandlockGap = 'truncate' | 'ports' | 'scope' | 'unix-paths';

export const gapsOf = (abi: number): readonly LandlockGap[] => {
  const gaps: LandlockGap[] = [];
  if (abi < 3) gaps.push('truncate');
  if (abi < 4) gaps.push('ports');
  if (abi < 6) gaps.push('scope');
  if (abi < 9) gaps.push('unix-paths');
  return gaps;
};

export const compileLandlock = (policy: LandlockPolicy, hostAbi: number): CompiledLandlock => {
  const abi = Math.min(hostAbi, NEWEST_KNOWN_ABI);
  const handledFs = handledFileRights(abi);
  const handledNet = policy.connect === 'any' ? 0n : handledPortRights(abi);
  // A few lists of rights are shared by hundreds of grants.
  const bits = new Map<readonly FileRight[], bigint>();
  const askedBy = (rights: readonly FileRight[]): bigint => {
    const known = bits.get(rights);
    if (known !== undefined) return known;
    const asked = rights.reduce((all, right) => all | BITS_OF_RIGHT[right], 0n) & handledFs;
    bits.set(rights, asked);
    return asked;
  };
  const rulesOf = (ownProc: boolean): readonly LandlockPathRule[] => {
    const byPath = new Map<string, bigint>();
    for (const grant of policy.grants) {
      if ((grant.ownProc === true) !== ownProc) continue;
      const asked = askedBy(grant.rights);
      const access = grant.directory ? asked : asked & OF_FILES;
      if (access !== 0n) byPath.set(grant.path, (byPath.get(grant.path) ?? 0n) | access);
    }
    return Array.from(byPath, ([path, access]) => ({ path, access }));
  };
  const ports = policy.connect === 'any' || handledNet === 0n ? [] : [...new Set(policy.connect)];
  return {
    handledFs,
    handledNet,
    scoped: abi >= 6 ? bitsOf(SCOPE.ABSTRACT_UNIX_SOCKET, SCOPE.SIGNAL) : 0n,
    paths: rulesOf(false),
    pathsWithOwnProc: rulesOf(true),
    ports: ports.map((port) => ({ port, access: ACCESS_NET.CONNECT_TCP })),
  };
};

/** For people: `READ_FILE READ_DIR`. */
export const nameFileRights = (access: bigint): string =>
  Object.entries(ACCESS_FS)
    .filter(([, bit]) => (access & bit) !== 0n)
    .map(([name]) => name)
    .join(' ');
