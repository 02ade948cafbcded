/** Invariant 3: only listed programs start. */
import { expect, test } from 'vitest';
import { attemptInside, attemptOutside } from '../../src/kernel/attempt.ts';
import { findProgram, resolveCommand } from '../../src/kernel/commands.ts';
import { DEFAULT_PATH } from '../../src/kernel/program.ts';
import { describeWay, useStage } from './harness.ts';

const stage = useStage();
describeWay('programs', stage);

const searchPath = DEFAULT_PATH.split(':');
const sh = findProgram('sh', searchPath) ?? '';
const unlisted = findProgram('factor', searchPath);
const loader = resolveCommand('sh', searchPath)?.files.find((file) => /ld-/u.test(file));

test.runIf(unlisted !== undefined && loader !== undefined)(
  'the loader starts no program that is not listed, and does start one that is',
  async () => {
    const { workspace } = stage().target;
    const script = (program: string): readonly string[] => ['-c', `${String(loader)} ${program} 12 2>&1; echo done`];
    const options = { workspace, strength: 'floor', searchPath } as const;
    expect((await attemptOutside(sh, script(String(unlisted)), workspace)).stdout).toContain('12: 2 2 3');
    const refused = await attemptInside('worker', sh, script(String(unlisted)), options);
    expect(refused.stdout).not.toContain('12: 2 2 3');
    expect(refused.stdout).toContain('done');
    const allowed = await attemptInside('worker', sh, script(String(unlisted)), { ...options, commands: ['factor'] });
    expect(allowed.stdout).toContain('12: 2 2 3');
  },
);

test.runIf(unlisted !== undefined)('a copy of a program, made in the workspace, does not start', async () => {
  const { workspace } = stage().target;
  const script = ['-c', 'cp "$(command -v sort)" copied && chmod 755 copied && ./copied data; echo "code $?"'];
  const options = { workspace, strength: 'floor', searchPath } as const;
  expect((await attemptInside('worker', sh, script, options)).stdout).toContain('code 126');
  expect((await attemptInside('standard', sh, script, options)).stdout).not.toContain('code 126');
});
