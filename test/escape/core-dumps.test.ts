/** Invariant 11: a crash leaves no core behind. */
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SYSCALL_TABLES } from '../../src/kernel/seccomp.ts';
import { architecture, tryInside, tryOutside, useStage } from './harness.ts';

const stage = useStage();
const { getpid, kill, prlimit64 } = SYSCALL_TABLES[architecture];
const RLIMIT_CORE = 4;
const SIGSEGV = 11;
/** soft = hard = 2^63: what a program would ask for that wants its core. */
const PLENTY = '#ffffffffffffff7fffffffffffffff7f';

test.each(['observer', 'worker', 'standard'] as const)(
  '%s: a crash writes no core, and the limit cannot be raised',
  async (tier) => {
    const { target, reset } = stage();
    reset();
    const before = readdirSync(target.workspace);
    const outcome = await tryInside(
      tier,
      [prlimit64, 0, RLIMIT_CORE, PLENTY, 0, '/', getpid, '/', kill, '$1', SIGSEGV].map(String),
      { workspace: target.workspace },
    );
    const [raised, pid] = outcome.stdout.split('\n').map(Number);
    expect(raised).toBe(-1);
    expect(pid).toBeGreaterThan(0);
    expect(outcome.signal).toBe('SIGSEGV');
    expect(readdirSync(target.workspace)).toEqual(before);
  },
);

test('outside, the same call changes the limit', async () => {
  const { target } = stage();
  const outcome = await tryOutside(
    [prlimit64, 0, RLIMIT_CORE, '#00000000000000000000000000000000', 0].map(String),
    target.workspace,
  );
  expect(outcome.stdout).toBe('0\n');
});
