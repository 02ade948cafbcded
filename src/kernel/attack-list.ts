/** The attacks, way by way; `attacks.ts` says what one is and when it got through. */
import {
  ALL,
  AT_FDCWD,
  attack,
  BAD,
  bytes,
  CONFINED,
  dependent,
  inet,
  single,
  text,
  unixAbstract,
  unixPath,
  type Attack,
  type Call,
  type Target,
} from './attacks.ts';
import type { Tier } from '../model/tier.ts';

const FILES: readonly Attack[] = [
  attack('files', 'read a file outside', ALL, (t) => [['openat', AT_FDCWD, text(t.secretFile), 0]]),
  attack('files', 'write a file outside', ALL, (t) => [['openat', AT_FDCWD, text(t.secretFile), 1]]),
  attack('files', 'create a file outside', ALL, (t) => [
    ['openat', AT_FDCWD, text(`${t.outsideFolder}/new`), 0o101, 0o600],
  ]),
  attack('files', 'make a folder outside', ALL, (t) => [['mkdirat', AT_FDCWD, text(`${t.outsideFolder}/made`), 0o700]]),
  attack('files', 'list a folder outside', ALL, (t) => [['openat', AT_FDCWD, text(t.outsideFolder), 0o200000]]),
  attack('files', 'truncate a file outside', ALL, (t) => [['truncate', text(t.secretFile), 6]]),
  attack('files', 'truncate by opening for reading', ALL, (t) => [['openat', AT_FDCWD, text(t.secretFile), 0o1000]]),
  attack('files', 'remove a file outside', ALL, (t) => [
    ['unlinkat', AT_FDCWD, text(`${t.outsideFolder}/removable`), 0],
  ]),
  attack('files', 'follow a planted symlink out', ALL, (t) => [
    ['openat', AT_FDCWD, text(`${t.workspace}/link-to-secret`), 0],
  ]),
  attack('files', 'climb out by ..', ALL, (t) => [['openat', AT_FDCWD, text(`${t.workspace}/../outside/secret`), 0]]),
  attack('files', 'hard-link a file outside into the workspace', ALL, (t) => [
    ['linkat', AT_FDCWD, text(t.secretFile), AT_FDCWD, text(`${t.workspace}/hard-link`), 0],
  ]),
  attack('files', 'move a file outside into the workspace', ALL, (t) => [
    ['renameat', AT_FDCWD, text(`${t.outsideFolder}/movable`), AT_FDCWD, text(`${t.workspace}/moved`)],
  ]),
  attack('files', 'read through /proc/self/root', ALL, (t) => [
    ['openat', AT_FDCWD, text(`/proc/self/root${t.secretFile}`), 0],
  ]),
  attack('files', 'read through /proc/self/cwd', ALL, () => [
    ['openat', AT_FDCWD, text('/proc/self/cwd/../outside/secret'), 0],
  ]),
  attack('files', 'reopen a handle that names only', ALL, (t) => [
    ['openat', AT_FDCWD, text(t.secretFile), 0o10000000],
    ['openat', AT_FDCWD, text('/proc/self/fd/3'), 0],
  ]),
  attack('files', 'open by openat2', ALL, (t) => [['openat2', AT_FDCWD, text(t.secretFile), '&24', 24]]),
  single('files', ALL, 'open_by_handle_at', AT_FDCWD, BAD, 0),
  single('files', ALL, 'name_to_handle_at', AT_FDCWD, text('/'), BAD, BAD, 0),
  attack('files', 'read the password hashes', ALL, () => [['openat', AT_FDCWD, text('/etc/shadow'), 0]]),
  attack('files', 'set the core pattern', ALL, () => [['openat', AT_FDCWD, text('/proc/sys/kernel/core_pattern'), 1]]),
  dependent(
    attack('files', 'press a magic SysRq key', ALL, () => [['openat', AT_FDCWD, text('/proc/sysrq-trigger'), 1]]),
  ),
  attack('files', 'write to the workspace', ['observer'], (t) => [['openat', AT_FDCWD, text(t.ownFile), 1]]),
  attack('files', 'make a device node', ALL, (t) => [
    ['mknodat', AT_FDCWD, text(`${t.workspace}/node`), 0o020600, 0x103],
  ]),
];

const METADATA: readonly Attack[] = [
  ...[
    ['chmod', (t: Target): readonly Call[] => [['fchmodat', AT_FDCWD, text(t.secretFile), 0o600]]],
    ['chmod by fchmodat2', (t: Target): readonly Call[] => [['fchmodat2', AT_FDCWD, text(t.secretFile), 0o600, 0]]],
    ['chown', (t: Target): readonly Call[] => [['fchownat', AT_FDCWD, text(t.secretFile), -1, -1, 0]]],
    ['set times', (t: Target): readonly Call[] => [['utimensat', AT_FDCWD, text(t.secretFile), 0, 0]]],
    [
      'set an attribute',
      (t: Target): readonly Call[] => [['setxattr', text(t.secretFile), text('user.tappass'), text('x'), 1, 0]],
    ],
  ].map(([name, calls]) =>
    attack('metadata', `${String(name)} outside`, ['observer'], calls as Attack['calls'], ['worker', 'standard']),
  ),
  ...[
    ['fchmod', -1, 0],
    ['fchown', -1, -1, -1],
    ['fsetxattr', -1, BAD, BAD, 0, 0],
    ['lsetxattr', BAD, BAD, BAD, 0, 0],
    ['setxattrat', -1, BAD, 0, BAD, BAD, 16],
    ['removexattr', BAD, BAD],
    ['lremovexattr', BAD, BAD],
    ['fremovexattr', -1, BAD],
    ['removexattrat', -1, BAD, 0, BAD],
    ['file_setattr', -1, BAD, BAD, 24, 0],
    ['chmod', BAD, 0],
    ['chown', BAD, -1, -1],
    ['lchown', BAD, -1, -1],
    ['utime', BAD, BAD],
    ['utimes', BAD, BAD],
    ['futimesat', -1, BAD, BAD],
    ['ioctl', -1, 0x40086602, BAD],
    ['ioctl', -1, 0x401c5820, BAD],
    ['inotify_add_watch', -1, BAD, 0x100],
  ].map(([name, ...args]) => single('metadata', ['observer'], String(name), ...args)),
];

const PROGRAMS: readonly Attack[] = [
  attack('programs', 'start a program that is not listed', CONFINED, (t) => [
    ['execve', text(t.unlistedProgram), bytes(Buffer.alloc(8)), bytes(Buffer.alloc(8))],
  ]),
  attack('programs', 'read a program that is not listed, for the loader to start', CONFINED, (t) => [
    ['openat', AT_FDCWD, text(t.unlistedProgram), 0],
  ]),
  attack('programs', 'start a program of the workspace', CONFINED, (t) => [
    ['execve', text(`${t.workspace}/program`), bytes(Buffer.alloc(8)), bytes(Buffer.alloc(8))],
  ]),
  attack('programs', 'fork', ['observer'], () => [['clone', 17, 0, 0, 0, 0]]),
  attack('programs', 'fork by its own call', ['observer'], () => [['fork']]),
  single('programs', CONFINED, 'memfd_create', BAD, 0),
  dependent(single('programs', CONFINED, 'memfd_secret', -1)),
  single('programs', CONFINED, 'execveat', -1, BAD, BAD, BAD, 0),
];

const socket = (name: string, stoppedBy: readonly Tier[], ...args: readonly number[]): Attack => ({
  way: 'network',
  name: `${name} socket`,
  stoppedBy,
  // A kernel without this kind answers EAFNOSUPPORT: it has looked.
  probe: true,
  calls: () => [['socket', ...args]],
});

const HIGH = 0x100000000;
const NETWORK: readonly Attack[] = [
  attack('network', 'connect by TCP', CONFINED, (t) => [
    ['socket', 2, 1, 0],
    ['connect', '$0', inet(t.tcpPort), 16],
  ]),
  attack('network', 'connect by MPTCP', CONFINED, (t) => [
    ['socket', 2, 1, 262],
    ['connect', '$0', inet(t.tcpPort), 16],
  ]),
  attack('network', 'connect by MSG_FASTOPEN', CONFINED, (t) => [
    ['socket', 2, 1, 0],
    ['sendto', '$0', text('x'), 1, 0x20000000, inet(t.tcpPort), 16],
  ]),
  attack('network', 'send by UDP', CONFINED, (t) => [
    ['socket', 2, 2, 0],
    ['sendto', '$0', text('x'), 1, 0, inet(t.udpPort), 16],
  ]),
  attack('network', 'listen without bind', CONFINED, () => [
    ['socket', 2, 1, 0],
    ['listen', '$0', 1],
  ]),
  attack('network', 'bind', CONFINED, () => [
    ['socket', 2, 1, 0],
    ['bind', '$0', inet(0), 16],
  ]),
  socket('TCP', CONFINED, 2, 1, 0),
  socket('TCP over IPv6', CONFINED, 10, 1, 0),
  socket('TCP, with high bits set in its domain,', CONFINED, HIGH + 2, HIGH + 1, HIGH),
  socket('UDP', CONFINED, 2, 2, 0),
  socket('UDP-Lite', CONFINED, 2, 2, 136),
  dependent(socket('ICMP', CONFINED, 2, 2, 1)),
  socket('netlink', CONFINED, 16, 3, 0),
  dependent(socket('raw', ALL, 2, 3, 1)),
  dependent(socket('packet', ALL, 17, 3, 0)),
  socket('netlink audit', ALL, 16, 3, 9),
  socket('netlink netfilter', ALL, 16, 3, 12),
  socket('vsock', ALL, 40, 1, 0),
  socket('kernel crypto', ALL, 38, 5, 0),
  socket('Bluetooth', ALL, 31, 3, 0),
  socket('XDP', ALL, 44, 3, 0),
];

const UNIX_SOCKETS: readonly Attack[] = [
  attack('unix-sockets', 'connect to a Unix socket by path', ALL, (t) => [
    ['socket', 1, 1, 0],
    ['connect', '$0', ...unixPath(t.unixPath)],
  ]),
  attack('unix-sockets', 'connect to an abstract Unix socket', ALL, (t) => [
    ['socket', 1, 1, 0],
    ['connect', '$0', ...unixAbstract(t.unixAbstract)],
  ]),
  attack('unix-sockets', 'send from a datagram pair to a Unix socket by path', ALL, (t) => [
    ['socketpair', 1, 2, 0, '&8'],
    ['sendto', 3, text('x'), 1, 0, ...unixPath(`${t.unixPath}.datagram`)],
  ]),
  attack('unix-sockets', 'connect with high bits set in the domain', ALL, (t) => [
    ['socket', HIGH + 1, HIGH + 1, 0],
    ['connect', '$0', ...unixPath(t.unixPath)],
  ]),
];

const PROCESSES: readonly Attack[] = [
  attack('processes', 'attach to a process', ALL, (t) => [['ptrace', 16, t.victimPid, 0, 0]]),
  attack('processes', 'seize a process', ALL, (t) => [['ptrace', 0x4206, t.victimPid, 0, 0]]),
  attack('processes', 'read the memory of a process', ALL, (t) => [
    ['process_vm_readv', t.victimPid, BAD, 0, BAD, 0, 0],
  ]),
  attack('processes', 'write the memory of a process', ALL, (t) => [
    ['process_vm_writev', t.victimPid, BAD, 0, BAD, 0, 0],
  ]),
  attack('processes', 'open the memory of a process', ALL, (t) => [
    ['openat', AT_FDCWD, text(`/proc/${String(t.victimPid)}/mem`), 0],
  ]),
  attack('processes', 'read the environment of a process', ALL, (t) => [
    ['openat', AT_FDCWD, text(`/proc/${String(t.victimPid)}/environ`), 0],
  ]),
  attack('processes', 'reach files through a process', ALL, (t) => [
    ['openat', AT_FDCWD, text(`/proc/${String(t.victimPid)}/root${t.secretFile}`), 0],
  ]),
  attack('processes', 'take a descriptor of a process', ALL, (t) => [
    ['pidfd_open', t.victimPid, 0],
    ['pidfd_getfd', '$0', 0, 0],
  ]),
  attack('processes', 'compare with a process', ALL, (t) => [['kcmp', t.victimPid, t.victimPid, 0, 0, 0]]),
  attack('processes', 'signal a process', ALL, (t) => [['kill', t.victimPid, 18]]),
  attack('processes', 'signal a process by pidfd', ALL, (t) => [
    ['pidfd_open', t.victimPid, 0],
    ['pidfd_send_signal', '$0', 18, 0, 0],
  ]),
  attack('processes', 'lower the limits of a process', ALL, (t) => [['prlimit64', t.victimPid, 7, 0, '&16']]),
  single('processes', ALL, 'process_madvise', -1, BAD, 0, 0, 0),
  single('processes', ALL, 'process_mrelease', -1, 0),
];

const LEASES: readonly Attack[] = [
  single('files', ALL, 'fcntl', 1, 1024, 2),
  single('files', ALL, 'fcntl', -1, 1026, 1),
];

const IO_URING: readonly Attack[] = [
  single('io-uring', ALL, 'io_uring_setup', 8, BAD),
  single('io-uring', ALL, 'io_uring_enter', -1, 0, 0, 0, 0),
  single('io-uring', ALL, 'io_uring_register', -1, 0, BAD, 0),
];

const NAMESPACES: readonly Attack[] = [
  single('namespaces', ALL, 'unshare', 0x10000000),
  single('namespaces', ALL, 'unshare', 0x20000),
  single('namespaces', ALL, 'unshare', 0x40000000),
  single('namespaces', ALL, 'unshare', 0x80),
  single('namespaces', ALL, 'unshare', HIGH + 0x10000000),
  single('namespaces', ALL, 'clone', 0x10000000, 0, 0, 0, 0),
  single('namespaces', ALL, 'clone', 0x20000000, 0, 0, 0, 0),
  single('namespaces', ALL, 'clone3', BAD, 88),
  single('namespaces', ALL, 'setns', -1, 0),
  single('namespaces', ALL, 'mount', BAD, BAD, BAD, 0, 0),
  single('namespaces', ALL, 'umount2', BAD, 0),
  single('namespaces', ALL, 'pivot_root', BAD, BAD),
  single('namespaces', ALL, 'chroot', BAD),
  single('namespaces', ALL, 'open_tree', -1, BAD, 0),
  single('namespaces', ALL, 'open_tree_attr', -1, BAD, 0, BAD, 0),
  single('namespaces', ALL, 'move_mount', -1, BAD, -1, BAD, 0),
  single('namespaces', ALL, 'fsopen', BAD, 0),
  single('namespaces', ALL, 'fsconfig', -1, 0, BAD, BAD, 0),
  single('namespaces', ALL, 'fsmount', -1, 0, 0),
  single('namespaces', ALL, 'fspick', -1, BAD, 0),
  single('namespaces', ALL, 'mount_setattr', -1, BAD, 0, BAD, 32),
];

const KERNEL: readonly Attack[] = [
  single('kernel', ALL, 'keyctl', 0, -3, 0, 0, 0),
  single('kernel', ALL, 'add_key', BAD, BAD, BAD, 0, 0),
  single('kernel', ALL, 'request_key', BAD, BAD, BAD, 0),
  dependent(single('kernel', ALL, 'bpf', 0, BAD, 8)),
  dependent(single('kernel', ALL, 'perf_event_open', BAD, 0, -1, -1, 0)),
  dependent(single('kernel', ALL, 'userfaultfd', 1)),
  dependent(single('kernel', ALL, 'init_module', BAD, 0, BAD)),
  dependent(single('kernel', ALL, 'finit_module', -1, BAD, 0)),
  dependent(single('kernel', ALL, 'delete_module', BAD, 0)),
  dependent(single('kernel', ALL, 'kexec_load', 0, 0, BAD, 0)),
  dependent(single('kernel', ALL, 'kexec_file_load', -1, -1, 0, BAD, 0)),
  dependent(single('kernel', ALL, 'swapon', BAD, 0)),
  dependent(single('kernel', ALL, 'acct', BAD)),
  dependent(single('kernel', ALL, 'quotactl', 0, BAD, 0, BAD)),
  single('kernel', ALL, 'sethostname', BAD, 1),
  single('kernel', ALL, 'setdomainname', BAD, 1),
  single('kernel', ALL, 'syslog', 3, BAD, 1),
  single('kernel', ALL, 'clock_settime', 0, BAD),
  single('kernel', ALL, 'settimeofday', BAD, 0),
  single('kernel', ALL, 'fanotify_init', 0, 0),
  dependent(single('kernel', ALL, 'iopl', 0)),
  dependent(single('kernel', ALL, 'ioperm', 0, 1, 0)),
  dependent(single('kernel', ALL, 'modify_ldt', 0, BAD, 1)),
  attack('kernel', 'switch address randomisation off', ALL, () => [['personality', 0x40000]]),
];

const X32 = 0x40000000;
const FOREIGN_ABI: readonly Attack[] = [
  dependent(attack('foreign-abi', 'make a call by its x32 number', ALL, () => [[String(X32 + 39)]])),
  dependent({
    ...attack('foreign-abi', 'ptrace by its x32 number', ALL, () => [[String(X32 + 521), 0, 0, 0, 0]]),
    probe: true,
  }),
  dependent(attack('foreign-abi', 'make a 32-bit call', ALL, () => [['int80:20']])),
  dependent({ ...attack('foreign-abi', 'open by a 32-bit call', ALL, () => [['int80:5', 0, 0, 0]]), probe: true }),
];

const IPC: readonly Attack[] = [
  single('ipc', CONFINED, 'shmget', 0x7a70, 0, 0),
  single('ipc', CONFINED, 'shmat', -1, 0, 0),
  single('ipc', CONFINED, 'semget', 0x7a70, 0, 0),
  single('ipc', CONFINED, 'msgget', 0x7a70, 0),
  single('ipc', CONFINED, 'mq_open', BAD, 0, 0, 0),
  single('ipc', CONFINED, 'mq_unlink', BAD),
  attack('ipc', 'make shared memory by name', CONFINED, () => [
    ['openat', AT_FDCWD, text('/dev/shm/tappass-selftest'), 0o102, 0o600],
  ]),
];

const TERMINAL: readonly Attack[] = [
  single('terminal', ALL, 'ioctl', -1, 0x5412, BAD),
  single('terminal', ALL, 'ioctl', -1, HIGH + 0x5412, BAD),
  single('terminal', ALL, 'ioctl', -1, 0x541c, BAD),
  single('terminal', ALL, 'ioctl', -1, 0x541d, 0),
  single('terminal', ALL, 'ioctl', -1, 0x5423, BAD),
  attack('terminal', "reach the user's terminals", ALL, () => [['openat', AT_FDCWD, text('/dev/pts'), 0o200000]]),
];

export const ATTACKS: readonly Attack[] = [
  ...FILES,
  ...LEASES,
  ...METADATA,
  ...PROGRAMS,
  ...NETWORK,
  ...UNIX_SOCKETS,
  ...PROCESSES,
  ...IO_URING,
  ...NAMESPACES,
  ...KERNEL,
  ...FOREIGN_ABI,
  ...IPC,
  ...TERMINAL,
];

/** Tells apart attacks that differ by their arguments only. */
export const titleOf = (attack: Attack): string => {
  const same = ATTACKS.filter(({ way, name }) => way === attack.way && name === attack.name);
  return same.length === 1 ? attack.name : `${attack.name} (${String(same.indexOf(attack) + 1)})`;
};
