/**
 * Each gap of an older Landlock is covered another way: a profile compiled for that ABI is run on this kernel, where the
 * rights that the older one lacks are then not asked for. What stops the attack here stops it there.
 */
import { describe, expect, test } from 'vitest';
import { ATTACKS, titleOf } from '../../src/kernel/attack-list.ts';
import { argumentsOf, gotThrough } from '../../src/kernel/attacks.ts';
import { hostAbilities } from '../../src/kernel/host.ts';
import { architecture, tryInside, tryOutside, useStage } from './harness.ts';

const stage = useStage();
const isRoot = process.geteuid?.() === 0;

/** What TRUNCATE, the port rights, the scopes and RESOLVE_UNIX would have stopped. */
const TITLES: readonly string[] = [
  'truncate a file outside',
  'truncate by opening for reading',
  'write a file outside',
  'read a file outside',
  'connect by TCP',
  'listen without bind',
  'send by UDP',
  'connect to a Unix socket by path',
  'connect to an abstract Unix socket',
  'signal a process',
  'signal a process by pidfd',
];
const attacks = ATTACKS.filter((attack) => TITLES.includes(titleOf(attack)));

test('each of them is an attack', () => {
  expect(attacks).toHaveLength(TITLES.length);
});

// Below ABI 6 a pid namespace stands in for the scopes: only where this user may make one.
describe.each([1, 3, 5, 6].filter((abi) => abi >= 6 || isRoot))('Landlock ABI %i', (landlockAbi) => {
  test.each(attacks.map((attack) => [titleOf(attack), attack] as const))('%s', async (_, attack) => {
    const { target, reset } = stage();
    const args = argumentsOf(attack, target, architecture) ?? [];
    reset();
    expect(gotThrough(attack, target, (await tryOutside(args, target.workspace)).stdout)).toBe(true);
    // By the filter alone, where no read-only view helps; only signals need the namespace that the floor lacks.
    const strengths = attack.way === 'processes' ? (['full'] as const) : (['full', 'floor'] as const);
    for (const [tier, strength] of attack.stoppedBy.flatMap((tier) => strengths.map((each) => [tier, each] as const))) {
      reset();
      const host = { ...hostAbilities(), landlockAbi, pidNamespace: isRoot };
      const outcome = await tryInside(tier, args, {
        workspace: target.workspace,
        strength,
        host: strength === 'full' ? host : { ...host, pidNamespace: false },
        allowDegraded: strength === 'full' ? [] : ['landlock-scope'],
      });
      expect(outcome.failure).toBeUndefined();
      expect([tier, strength, gotThrough(attack, target, outcome.stdout)]).toEqual([tier, strength, false]);
    }
  });
});
