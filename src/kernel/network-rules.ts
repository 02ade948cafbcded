/**
 * What a profile's network line means for system calls. Landlock knows TCP ports and nothing else (no UDP below ABI 10,
 * no MPTCP, SCTP, raw, netlink, vsock at any), so the filter decides which *kinds* of socket can exist at all: domain,
 * type and protocol, each as 32 bits.
 */
import type { LandlockGap } from './landlock.ts';
import type { ArgumentCondition, SyscallRule } from './seccomp.ts';
import { ARGUMENT_VALUES } from './syscalls/groups.ts';

const value = (name: string): number => {
  const known = ARGUMENT_VALUES[name];
  if (known === undefined) throw new TypeError(`Expected a UAPI name, got ${name}`);
  return known;
};

const ALL_BITS = 0xffffffff;
const is = (argument: number, name: string): ArgumentCondition => ({ argument, mask: ALL_BITS, equals: value(name) });
const TYPE_WITHOUT_FLAGS = ~(value('SOCK_CLOEXEC') | value('SOCK_NONBLOCK')) >>> 0;
const isType = (name: string): ArgumentCondition => ({ argument: 1, mask: TYPE_WITHOUT_FLAGS, equals: value(name) });

const pairsOf = (types: readonly string[]): readonly SyscallRule[] =>
  types.map((type) => ({
    calls: ['socketpair'],
    when: [is(0, 'AF_UNIX'), isType(type)],
    action: 'allow',
    why: 'a pair that only talks to itself: stdio and IPC of Node children, process substitution of shells',
  }));

/** A datagram pair is not among them: it can send to any address, so it is a Unix socket with another name. */
const CLOSED_PAIRS = pairsOf(['SOCK_STREAM', 'SOCK_SEQPACKET']);

const NO_OTHER_PAIR: SyscallRule = {
  calls: ['socketpair'],
  action: 'EPERM',
  why: 'datagram pairs can send to any Unix address; pairs of other domains have no use here',
};

const NO_FAST_OPEN: readonly SyscallRule[] = [
  ['sendto', 3],
  ['sendmsg', 2],
  ['sendmmsg', 3],
].map(([call, argument]) => ({
  calls: [String(call)],
  when: [{ argument: Number(argument), anyBits: value('MSG_FASTOPEN') }],
  action: 'EPERM',
  why: 'MSG_FASTOPEN connects without connect(), past the port rule of Landlock',
}));

const NO_SERVING: SyscallRule = {
  calls: ['bind', 'listen'],
  action: 'EPERM',
  why: 'nothing in here serves: listen() without bind() takes a port that no Landlock rule sees',
};

const noOtherSocket = (why: string): SyscallRule => ({ calls: ['socket'], action: 'EPERM', why });

const noNetwork: readonly SyscallRule[] = [
  noOtherSocket('no network: a socket of any domain, Unix included, is a way out'),
  ...CLOSED_PAIRS,
  NO_OTHER_PAIR,
  { calls: ['connect'], action: 'EPERM', why: 'no network: also not by a socket that came from elsewhere' },
  NO_SERVING,
  ...NO_FAST_OPEN,
];

const tcpClient: readonly SyscallRule[] = [
  ...['AF_INET', 'AF_INET6'].flatMap((domain) =>
    ['IPPROTO_IP', 'IPPROTO_TCP'].map((protocol): SyscallRule => ({
      calls: ['socket'],
      when: [is(0, domain), isType('SOCK_STREAM'), is(2, protocol)],
      action: 'allow',
      why: 'plain TCP, whose ports Landlock restricts',
    })),
  ),
  noOtherSocket('only plain TCP: MPTCP, SCTP, UDP, raw, netlink, vsock and Unix sockets know no Landlock port rule'),
  ...CLOSED_PAIRS,
  NO_OTHER_PAIR,
  NO_SERVING,
  ...NO_FAST_OPEN,
];

const openNetwork = (unixPathsCovered: boolean): readonly SyscallRule[] => [
  ...['AF_INET', 'AF_INET6'].flatMap((domain) =>
    ['SOCK_STREAM', 'SOCK_DGRAM'].map((type): SyscallRule => ({
      calls: ['socket'],
      when: [is(0, domain), isType(type)],
      action: 'allow',
      why: 'the network is open to this tier',
    })),
  ),
  {
    calls: ['socket'],
    when: [is(0, 'AF_NETLINK'), is(2, 'NETLINK_ROUTE')],
    action: 'allow',
    why: 'address lists: getaddrinfo and os.networkInterfaces ask the routing table; changing it needs a Linux capability',
  },
  ...(unixPathsCovered
    ? [
        {
          calls: ['socket'],
          when: [is(0, 'AF_UNIX')],
          action: 'allow',
          why: 'Landlock refuses Unix sockets made outside of the sandbox',
        } satisfies SyscallRule,
        ...pairsOf(['SOCK_STREAM', 'SOCK_SEQPACKET', 'SOCK_DGRAM']),
      ]
    : CLOSED_PAIRS),
  noOtherSocket(
    'raw, packet, vsock, AF_ALG and the rest; and Unix sockets while Landlock cannot tell paths apart (below ABI 9): ' +
      'docker.sock, ssh-agent and D-Bus are ways to other authority',
  ),
  NO_OTHER_PAIR,
];

export const networkRules = (
  connect: 'any' | readonly number[],
  gaps: readonly LandlockGap[],
): readonly SyscallRule[] => {
  if (connect === 'any') return openNetwork(!gaps.includes('unix-paths'));
  return connect.length === 0 ? noNetwork : tcpClient;
};
