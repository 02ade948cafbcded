/** What each wall leaves open: without these a program that is missing, or a filter that refuses all, would pass for a sandbox. */
import { describe, expect, test } from 'vitest';
import { SYSCALL_TABLES } from '../../src/kernel/seccomp.ts';
import type { Tier } from '../../src/model/tier.ts';
import { architecture, tryInside, useStage } from './harness.ts';

const stage = useStage();
const table = SYSCALL_TABLES[architecture];
const AT_FDCWD = -100;
const HIGH = 0x100000000;

type Twin = readonly [name: string, tiers: readonly Tier[], calls: () => readonly (readonly (string | number)[])[]];
const ALL: readonly Tier[] = ['observer', 'worker', 'standard'];
const WRITERS: readonly Tier[] = ['worker', 'standard'];
const own = (): string => `=${stage().target.ownFile}`;
const inWorkspace = (name: string): string => `=${stage().target.workspace}/${name}`;

const twins: readonly Twin[] = [
  ['files: its own file is read', ALL, () => [['openat', AT_FDCWD, own(), 0]]],
  ['files: by openat2', ALL, () => [['openat2', AT_FDCWD, own(), '&24', 24]]],
  ['files: the workspace is listed', ALL, () => [['openat', AT_FDCWD, inWorkspace(''), 0o200000]]],
  ['files: through /proc/self/cwd', ALL, () => [['openat', AT_FDCWD, '=/proc/self/cwd/own', 0]]],
  ['files: its own file is written', WRITERS, () => [['openat', AT_FDCWD, own(), 1]]],
  ['files: a file is made', WRITERS, () => [['openat', AT_FDCWD, inWorkspace('new'), 0o101, 0o600]]],
  [
    'files: a file is linked and moved',
    WRITERS,
    () => [
      ['linkat', AT_FDCWD, own(), AT_FDCWD, inWorkspace('second'), 0],
      ['renameat', AT_FDCWD, inWorkspace('second'), AT_FDCWD, inWorkspace('third')],
      ['unlinkat', AT_FDCWD, inWorkspace('third'), 0],
    ],
  ],
  ['files: truncation', WRITERS, () => [['truncate', own(), 1]]],
  ['metadata: chmod', WRITERS, () => [['fchmodat', AT_FDCWD, own(), 0o600]]],
  ['metadata: times', WRITERS, () => [['utimensat', AT_FDCWD, own(), 0, 0]]],
  ['programs: fork', WRITERS, () => [['clone', 17, 0, 0, 0, 0]]],
  ['programs: a program of the workspace', ['standard'], () => [['execve', inWorkspace('program'), '&8', '&8']]],
  ['programs: memory with a name', ['standard'], () => [['memfd_create', '=name', 0]]],
  ['network: a pair', ALL, () => [['socketpair', 1, 1, 0, '&8']]],
  ['network: a pair, with flags and high bits', ALL, () => [['socketpair', HIGH + 1, HIGH + 0x80001, 0, '&8']]],
  [
    'network: TCP and UDP',
    ['standard'],
    () => [
      ['socket', 2, 1, 0],
      ['socket', 10, 2, 17],
    ],
  ],
  ['network: address lists', ['standard'], () => [['socket', 16, 3, 0]]],
  ['processes: itself', ALL, () => [['getpid'], ['kill', '$0', 0]]],
  ['processes: its own limits', ALL, () => [['prlimit64', 0, 7, 0, '&16']]],
  ['kernel: asking for the personality', ALL, () => [['personality', 0xffffffff]]],
  ['kernel: locking itself down further', ALL, () => [['landlock_create_ruleset', 0, 0, 1]]],
  ['namespaces: unshare of what is its own', ALL, () => [['unshare', 0x400]]],
  ['ipc: System V', ['standard'], () => [['shmget', 0, 4096, 0o600]]],
  ['terminal: asking whether there is one', ALL, () => [['getpid'], ['ioctl', 1, 0x5421, '&8']]],
];

describe.each(twins)('%s', (_, tiers, calls) => {
  test.each(tiers.flatMap((tier) => [[tier, 'floor'] as const, [tier, 'full'] as const]))(
    'works in %s (%s)',
    async (tier, strength) => {
      const { target, reset } = stage();
      reset();
      const list = calls();
      const args = list.flatMap(([name = '', ...rest], index) => [
        ...(index === 0 ? [] : ['/']),
        String(table[name]),
        ...rest.map(String),
      ]);
      const outcome = await tryInside(tier, args, { workspace: target.workspace, strength });
      const answers = outcome.stdout.split('\n').filter((line) => line !== '');
      const started = answers.includes('started');
      expect({
        outcome,
        through: started || (answers.length >= list.length && answers.every((answer) => Number(answer) >= 0)),
      }).toMatchObject({
        through: true,
      });
    },
  );
});
