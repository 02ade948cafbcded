/** What is missing → what to do about it. Pure: the facts come in, so that every host can be made up in a test. */

export const ABILITIES = [
  'native',
  'landlock',
  'landlock-net',
  'landlock-scope',
  'seccomp',
  'seccomp-all-threads',
  'openat2',
  'namespace-user',
  'namespace-pid',
  'namespace-ipc',
  'namespace-mount',
  'namespace-net',
  'cgroup',
] as const;
export type AbilityName = (typeof ABILITIES)[number];

export interface HostFacts {
  /** `uname -r`. */
  readonly release: string;
  readonly uid: number;
  readonly container: boolean;
  /** This process already runs under a system-call filter: a container's, or another sandbox's. */
  readonly filtered: boolean;
  /** As `landlock_create_ruleset` answered: the ABI, or -errno. */
  readonly landlock: number;
  /** Values of sysctls that switch user namespaces off; absent where the kernel does not have them. */
  readonly apparmorRestrictsUserns?: boolean;
  readonly unprivilegedUsernsClone?: boolean;
  readonly maxUserNamespaces?: number;
}

const EPERM = 1;
const ENOSPC = 28;
const ENOSYS = 38;
const EOPNOTSUPP = 95;

const CONTAINER_FILTER =
  'allow the calls in the container runtime: a newer Docker or Podman, or `--security-opt seccomp=<profile that allows them>`';

/** `errno`: what the attempt answered, where it answered one. */
export const cureFor = (ability: AbilityName, facts: HostFacts, errno?: number): string => {
  switch (ability) {
    case 'native':
      return 'run `npm rebuild tappass` (needs a C compiler), or install a release that brings a prebuilt one for this platform';
    case 'landlock':
      return landlockCure(facts);
    case 'landlock-net':
      return facts.landlock < 1
        ? landlockCure(facts)
        : `use Linux 6.7 or later (Landlock ABI 4; this is ${facts.release} with ABI ${String(facts.landlock)}); until then a worker has no network at all`;
    case 'landlock-scope':
      return facts.landlock < 1
        ? landlockCure(facts)
        : `use Linux 6.12 or later (Landlock ABI 6; this is ${facts.release} with ABI ${String(facts.landlock)}), or let pid namespaces be made, which keep signals in as well`;
    case 'seccomp':
      return facts.filtered
        ? `another filter forbids installing one: ${CONTAINER_FILTER}`
        : 'use a kernel with CONFIG_SECCOMP_FILTER (every distribution has it)';
    case 'seccomp-all-threads':
      return 'use Linux 3.17 or later; without it `secure()` is refused, and `tappass run` still works';
    case 'openat2':
      return errno === EPERM || facts.filtered
        ? `openat2 is refused by a filter: ${CONTAINER_FILTER}`
        : 'use Linux 5.6 or later; until then files are opened component by component, which is slower';
    case 'namespace-user':
    case 'namespace-pid':
    case 'namespace-ipc':
    case 'namespace-mount':
    case 'namespace-net':
      return namespaceCure(facts, errno);
    case 'cgroup':
      return 'start in a delegated control group of its own (`systemd-run --user --scope -p Delegate=yes node app.js`; in a container, a writable /sys/fs/cgroup); until then memory and processes are counted every 25 ms instead';
    default:
      return unreachableAbility(ability);
  }
};

const unreachableAbility = (ability: never): never => {
  throw new TypeError(`Expected a known ability, got ${String(ability)}`);
};

const landlockCure = ({ landlock, release, filtered }: HostFacts): string => {
  switch (-landlock) {
    case EOPNOTSUPP:
      return 'Landlock is built in but switched off: add `landlock` to the `lsm=` boot parameter (`cat /sys/kernel/security/lsm` shows the list), then reboot';
    case EPERM:
      return `landlock_create_ruleset is refused by a filter: ${CONTAINER_FILTER}`;
    case ENOSYS:
      return filtered
        ? `either the kernel (${release}) is too old, or the container hides Landlock from it: use Linux 6.12 or later, and ${CONTAINER_FILTER}`
        : `this kernel (${release}) has no Landlock: use Linux 6.12 or later (5.13 has the first version), with CONFIG_SECURITY_LANDLOCK=y`;
    default:
      return `use Linux 6.12 or later; this is ${release}`;
  }
};

const namespaceCure = (facts: HostFacts, errno: number | undefined): string => {
  if (facts.maxUserNamespaces === 0 || errno === ENOSPC) {
    return 'user namespaces are switched off: `sudo sysctl user.max_user_namespaces=10000`';
  }
  if (facts.unprivilegedUsernsClone === false && facts.uid !== 0) {
    return 'user namespaces are for root only here: `sudo sysctl kernel.unprivileged_userns_clone=1`';
  }
  if (facts.apparmorRestrictsUserns === true && facts.uid !== 0) {
    return 'AppArmor restricts user namespaces (Ubuntu 23.10 and later): give the launcher a profile that says `userns,`, or `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`';
  }
  if (facts.container || facts.filtered) {
    return `the container forbids namespaces: \`--cap-add SYS_ADMIN\`, or ${CONTAINER_FILTER}`;
  }
  return 'this kernel refuses the namespace: check CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_IPC_NS and CONFIG_NET_NS';
};
