/**
 * Every way out, tried for real: first outside, where it must work (else the test says so and proves nothing), then
 * inside each tier that must stop it, once with Landlock and seccomp alone (the floor) and once with all that this host adds.
 */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ATTACKS, titleOf } from '../../src/kernel/attack-list.ts';
import { argumentsOf, gotThrough, type Target, type Way } from '../../src/kernel/attacks.ts';
import { attemptInside, attemptOutside, type Attempted, type InsideOptions } from '../../src/kernel/attempt.ts';
import { openStage, type Stage } from '../../src/kernel/stage.ts';
import { nativeFile } from '../../src/native/addon.ts';
import type { Tier } from '../../src/model/tier.ts';

export const architecture = process.arch === 'arm64' ? 'arm64' : 'x64';

export const tryProgram = ((): string => {
  const file = nativeFile('tappass-try');
  if (file === undefined || !existsSync(file)) throw new Error('tappass-try is not built: node src/native/build.ts');
  return file;
})();

/** One stage for a test file. */
export const useStage = (): (() => Stage) => {
  let stage: Stage | undefined;
  beforeAll(async () => {
    stage = await openStage(tryProgram, architecture);
  });
  afterAll(() => stage?.close());
  return () => {
    if (stage === undefined) throw new Error('the stage is not open');
    return stage;
  };
};

export const tryInside = (
  tier: Tier,
  args: readonly string[],
  options: Omit<InsideOptions, 'strength'> & Partial<InsideOptions>,
): Promise<Attempted> => attemptInside(tier, tryProgram, args, { strength: 'floor', ...options });

export const tryOutside = (args: readonly string[], cwd: string): Promise<Attempted> =>
  attemptOutside(tryProgram, args, cwd);

const isRoot = process.geteuid?.() === 0;

export const describeWay = (way: Way, stage: () => Stage): void => {
  for (const attack of ATTACKS.filter((each) => each.way === way)) {
    describe(`${way}: ${titleOf(attack)}`, () => {
      const argsFor = (target: Target): readonly string[] => argumentsOf(attack, target, architecture) ?? [];
      const possible = argumentsOf(attack, PLACEHOLDER, architecture) !== undefined;

      test.runIf(possible)('works outside', async ({ skip }) => {
        const { target, reset } = stage();
        reset();
        const outcome = await tryOutside(argsFor(target), target.workspace);
        const through = gotThrough(attack, target, outcome.stdout);
        // A kernel or a user that cannot do it at all: said aloud, and only where the list of attacks foresees it.
        if (!through && (attack.dependsOnHost === true || !isRoot)) skip('not possible here, even outside');
        expect({ through, outcome }).toMatchObject({ through: true });
      });

      const cases = [
        ...attack.stoppedBy.flatMap((tier) => [[tier, 'floor'] as const, [tier, 'full'] as const]),
        ...(attack.stoppedByViewIn ?? []).map((tier) => [tier, 'full'] as const),
      ];
      test.runIf(possible).each(cases)('is stopped by %s (%s)', async (tier, strength) => {
        const { target, reset } = stage();
        reset();
        const outcome = await tryInside(tier, argsFor(target), { workspace: target.workspace, strength });
        expect(outcome.failure).toBeUndefined();
        expect({ through: gotThrough(attack, target, outcome.stdout), outcome }).toMatchObject({ through: false });
      });
    });
  }
};

const PLACEHOLDER: Target = {
  secretFile: '/s',
  outsideFolder: '/o',
  workspace: '/w',
  ownFile: '/w/own',
  unlistedProgram: '/o/p',
  tcpPort: 1,
  udpPort: 1,
  unixPath: '/u',
  unixAbstract: 'u',
  victimPid: 1,
};
