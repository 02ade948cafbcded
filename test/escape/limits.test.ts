/** Ways round a limit: spread over processes, or in memory that is not a process's own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/run-command.ts';
import type { CommandLimits } from '../../src/command-options.ts';
import type { CommandResult } from '../../src/run-command.ts';

const workspace = mkdtempSync(join(tmpdir(), 'escape-limits-'));
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

const run = (script: string, limits: CommandLimits): Promise<CommandResult> =>
  runCommand(['sh', '-c', script], { workspace, limits, commands: ['perl'], timeoutMs: 20_000 });

const hold = (mib: number): string => `perl -e 'my $x = "x" x (${mib} << 20); sleep 1; print "kept"'`;
const spin = `perl -e '1 while 1'`;
const shared = (mib: number): string =>
  `perl -MPOSIX -e 'open my $f, "+>", "$ENV{TMPDIR}/shared"; unlink "$ENV{TMPDIR}/shared"; my $x = "x" x (${mib} << 20); fork; my $y = $x . "y"; sleep 1; print "kept"'`;

describe('each works within a limit that allows it, and ends at one that does not', () => {
  test.each<[string, string, CommandLimits, CommandLimits]>([
    [
      'memory over several processes',
      `for i in 1 2 3 4; do ${hold(40)} & done; wait`,
      { memoryMb: 2000 },
      { memoryMb: 100 },
    ],
    [
      'memory of a child that left its session',
      `perl -MPOSIX -e 'if (fork) { wait } else { setsid(); my $x = "x" x (150 << 20); sleep 1; print "kept" }'`,
      { memoryMb: 2000 },
      { memoryMb: 100 },
    ],
    ['memory copied after a fork', shared(60), { memoryMb: 2000 }, { memoryMb: 150 }],
  ])('%s', async (_, script, enough, little) => {
    expect(await run(script, enough)).toMatchObject({
      status: 'exited',
      stdout: expect.stringContaining('kept') as string,
    });
    expect(await run(script, little)).toMatchObject({
      status: 'limit',
      reason: expect.stringContaining('memoryMb') as string,
    });
  });

  test('processor time over several processes', async () => {
    const script = `for i in 1 2 3 4 5 6; do ${spin} & done; wait`;
    const { status, usage } = await run(script, { cpuSeconds: 1 });
    expect(status).toBe('limit');
    expect(usage.userMs).toBeLessThan(4000);
  });

  test('processor time of children that have ended', async () => {
    const brief = `perl -e 'my \\$end = (times)[0] + 0.3; 1 while (times)[0] < \\$end'`;
    const { status } = await run(`while :; do sh -c "${brief}"; done`, { cpuSeconds: 1 });
    expect(status).toBe('limit');
  });
});

test('a core dump is not written, not even through a pipe', async () => {
  const { stdout } = await runCommand(['sh', '-c', 'grep "core file" /proc/self/limits || ulimit -c'], { workspace });
  expect(stdout).toMatch(/Max core file size\s+1\s+1\s|^0$/u);
  const crashed = await runCommand(['sh', '-c', 'kill -SEGV $$'], { workspace });
  expect(crashed).toMatchObject({ status: 'signalled', signal: 'SIGSEGV' });
});

test('an endless flood on both outputs costs no memory and ends with its time', async () => {
  const before = process.memoryUsage.rss();
  const result = await runCommand(['sh', '-c', 'yes & yes >&2'], {
    workspace,
    timeoutMs: 700,
    limits: { outputBytes: 1000 },
  });
  expect(result).toMatchObject({ status: 'timeout', truncated: true });
  expect(result.stdout.length + result.stderr.length).toBeLessThan(2200);
  expect(process.memoryUsage.rss() - before).toBeLessThan(150 << 20);
});
