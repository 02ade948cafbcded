/** The simulator is only as good as its likeness to the kernel: the same calls, simulated and made in a real child. */
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import { capture } from '../../src/kernel/capture.ts';
import type { CompiledProfile } from '../../src/kernel/compiled.ts';
import { launch } from '../../src/kernel/launcher.ts';
import { SYSCALL_TABLES } from '../../src/kernel/seccomp.ts';
import { nativeFile } from '../../src/native/addon.ts';
import { simulate } from './bpf-simulator.ts';
import { compileNamed, optionsFor } from './compiled.ts';

const architecture = process.arch === 'arm64' ? 'arm64' : 'x64';
const arch = { x64: 0xc000003e, arm64: 0xc00000b7 }[architecture];
const HIGH = 0x1_0000_0000;
const BAD = 1;

/** Harmless whatever the filter says: wrong descriptors, unreadable pointers, questions. */
const sample: readonly (readonly [name: string, ...args: readonly number[]])[] = [
  ['getpid'],
  ['read', -1, BAD, 1],
  ['write', -1, BAD, 1],
  ['close', -1],
  ['openat', -100, BAD, 0],
  ['fcntl', -1, 1],
  ['fcntl', -1, 1024],
  ['fcntl', -1, HIGH + 1026],
  ['ioctl', -1, 0x5421, 0],
  ['ioctl', -1, 0x5412, BAD],
  ['ioctl', -1, HIGH + 0x5412, BAD],
  ['ioctl', -1, 0x541c, BAD],
  ['ioctl', -1, 0x40086602, BAD],
  ...[1, 2, 10, 16, 17, 38, 40].flatMap((domain) =>
    [1, 2, 3, 0x80001, 0x801, HIGH + 1].flatMap((type) =>
      [0, 6, 17, 262].map((protocol) => ['socket', domain, type, protocol] as const),
    ),
  ),
  ...[1, 2].flatMap((domain) =>
    [1, 2, 5, 0x80001, 0x80005].map((type) => ['socketpair', domain, type, 0, BAD] as const),
  ),
  ['connect', -1, BAD, 16],
  ['bind', -1, BAD, 16],
  ['listen', -1, 1],
  ['sendto', -1, BAD, 1, 0, BAD, 16],
  ['sendto', -1, BAD, 1, 0x20000000, BAD, 16],
  ['sendmsg', -1, BAD, 0x20000000],
  ['sendmsg', -1, BAD, 0],
  ['sendmmsg', -1, BAD, 1, 0x20000000],
  ['unshare', 0x10000000],
  ['unshare', 0x80],
  ['unshare', 0x400],
  ['clone3', BAD, 88],
  ['setns', -1, 0],
  ['prlimit64', 0, 7, 0, BAD],
  ['prlimit64', 1, 7, 0, BAD],
  ['prlimit64', HIGH, 7, 0, BAD],
  ['personality', 0xffffffff],
  ['personality', 0x40000],
  ['ptrace', 0x4200, -1, 0, 0],
  ['keyctl', 99, 0, 0, 0],
  ['mount', BAD, BAD, BAD, 0, 0],
  ['memfd_create', BAD, 0],
  ['execveat', -1, BAD, BAD, BAD, 0],
  ['io_uring_setup', 0, BAD],
  ['io_uring_enter', -1, 0, 0, 0, 0],
  ['fchmod', -1, 0],
  ['fsetxattr', -1, BAD, BAD, 0, 0],
  ['setxattrat', -1, BAD, 0, BAD, 0],
  ['shmget', 0x7a7, 0, 0],
  ['mq_unlink', BAD],
  ['statx', -1, BAD, 0, 0, BAD],
  ['futex_waitv', BAD, 0, 0, 0],
];
const beyond = [472, 500, 1000];

const runReal = async (compiled: CompiledProfile, args: readonly string[]): Promise<readonly number[]> => {
  const program = nativeFile('tappass-try') ?? '';
  const profile: CompiledProfile = {
    ...compiled,
    // Landlock stays out of it: only EXECUTE is handled, and granted everywhere.
    landlock: {
      handledFs: 1n,
      handledNet: 0n,
      scoped: 0n,
      paths: [{ path: '/', access: 1n }],
      pathsWithOwnProc: [],
      ports: [],
    },
    limits: {},
  };
  const launched = launch({
    profile,
    program,
    args: [program, ...args],
    environment: {},
    directory: tmpdir(),
    namespaces: [],
  });
  launched.stdin?.destroy();
  launched.stderr?.destroy();
  const [{ text }, end] = await Promise.all([capture(launched.stdout, 1 << 20), launched.ended]);
  expect(end).toMatchObject({ kind: 'ended', exitCode: 0 });
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
};

const BATCH = 60;

describe.each(['observer', 'worker', 'standard', 'worker with a port'])('%s', (name) => {
  test('the kernel answers what the simulator says', async () => {
    const { compiled } = compileNamed(name.split(' ')[0] ?? '', {
      host: { ...optionsFor().host, architecture },
      ...(name.endsWith('port') ? { connect: [5432] } : {}),
    });
    const calls = [
      ...sample.flatMap(([call, ...args]) => {
        const number = SYSCALL_TABLES[architecture][call];
        return number === undefined ? [] : [[number, ...args]];
      }),
      ...beyond.map((number) => [number]),
    ];
    for (let at = 0; at < calls.length; at += BATCH) {
      const batch = calls.slice(at, at + BATCH);
      const answers = await runReal(
        compiled,
        batch.flatMap((call, index) => [...(index === 0 ? [] : ['/']), ...call.map(String)]),
      );
      expect(answers).toHaveLength(batch.length);
      for (const [index, [number = 0, ...args]] of batch.entries()) {
        const { action } = simulate(compiled.seccomp, {
          number,
          arch,
          args: Array.from({ length: 6 }, (_, argument) => BigInt(args[argument] ?? 0)),
        });
        const answer = answers[index] ?? 0;
        const said = answer === -1 ? 'EPERM' : answer === -38 ? 'ENOSYS' : 'allow';
        // Some kernels lack a call, and refuse some to this user: an allowed call may answer the same, never the reverse.
        const expected = action === 'allow' && said !== 'allow' ? said : action;
        expect([number, args, said]).toEqual([number, args, expected]);
      }
    }
  });
});
