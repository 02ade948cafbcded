/** The launcher on hand-made profiles: what it takes away, what it tells, and what it leaves behind (nothing). */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, describe, expect, test } from 'vitest';
import type { CompiledProfile, Namespace } from '../../src/kernel/compiled.ts';
import { launch, REASONS, STEPS } from '../../src/kernel/launcher.ts';
import type { LaunchEnd, LaunchOptions } from '../../src/kernel/launcher.ts';
import { filterOf, FS, handMade, WRITE } from './hand-made.ts';

const workspace = mkdtempSync(join(tmpdir(), 'launcher-'));
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

interface Ran {
  readonly end: LaunchEnd;
  readonly stdout: string;
  readonly stderr: string;
}

const run = async (
  args: readonly [string, ...string[]],
  change: Partial<CompiledProfile> = {},
  more: Partial<LaunchOptions> = {},
): Promise<Ran> => {
  const launched = launch({
    profile: handMade(workspace, change),
    program: args[0],
    args,
    environment: { PATH: '/usr/bin:/bin' },
    directory: workspace,
    ...more,
  });
  launched.stdin?.end();
  const [stdout, stderr, end] = await Promise.all([
    launched.stdout === undefined ? '' : text(launched.stdout),
    launched.stderr === undefined ? '' : text(launched.stderr),
    launched.ended,
  ]);
  return { end, stdout, stderr };
};

const shell = (
  script: string,
  change: Partial<CompiledProfile> = {},
  more: Partial<LaunchOptions> = {},
): Promise<Ran> => run(['/bin/sh', '-c', script], change, more);

const isRoot = process.geteuid?.() === 0;
const namespaced = isRoot && spawnSync('unshare', ['-p', '-f', '-m', 'true']).status === 0;

test('the words for steps and reasons stand in the order of launcher.h', () => {
  const header = readFileSync(join(import.meta.dirname, '../../src/native/launcher.h'), 'utf8');
  const steps = [...(/enum step \{([^}]*)\}/u.exec(header)?.[1] ?? '').matchAll(/STEP_(\w+)/gu)];
  const reasons = [...(/enum reason \{([^}]*)\}/u.exec(header)?.[1] ?? '').matchAll(/REASON_(\w+)/gu)];
  const word = (match: RegExpExecArray): string => (match[1] ?? '').toLowerCase();
  expect(steps.map(word)).toEqual(STEPS.map((step) => (step === 'no-new-privileges' ? 'privileges' : step)));
  expect(reasons.map(word)).toEqual([...REASONS]);
});

describe('the end', () => {
  test('tells the exit code, and the signal', async () => {
    expect((await shell('exit 7')).end).toMatchObject({ kind: 'ended', exitCode: 7, reason: 'none', leftovers: 0 });
    expect((await shell('kill -TERM $$')).end).toMatchObject({ kind: 'ended', signal: 'SIGTERM' });
  });

  test('counts the time and the memory that were used', async () => {
    const { end } = await shell('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done');
    expect(end.kind === 'ended' && end.usage.userMs + end.usage.systemMs).toBeGreaterThan(1);
    expect(end.kind === 'ended' && end.usage.peakMemoryMb).toBeGreaterThan(0.5);
  });
});

describe('a launch that cannot be', () => {
  test.each<[string, Partial<CompiledProfile>, Partial<LaunchOptions>, object]>([
    ['a program that is not there', {}, { program: '/nonexistent' }, { step: 'exec', errno: 2 }],
    ['a directory to start in that is not there', {}, { directory: '/nonexistent' }, { step: 'directory', errno: 2 }],
    ['a filter that the kernel refuses', { seccomp: Buffer.alloc(8, 0xff) }, {}, { step: 'seccomp', errno: 22 }],
    ['no filter at all', { seccomp: Buffer.alloc(0) }, {}, { step: 'orders', errno: 74 }],
  ])('%s is told by its step and errno, and nothing runs', async (_, change, more, expected) => {
    const { end, stdout } = await shell('echo ran', change, more);
    expect(end).toMatchObject({ kind: 'failed', ...expected });
    expect(stdout).toBe('');
  });

  test('a rule on a missing path names the rule', async () => {
    const { landlock } = handMade(workspace);
    const paths = [...landlock.paths, { path: '/nonexistent', access: FS.readFile }];
    const { end } = await shell('echo ran', { landlock: { ...landlock, paths } });
    expect(end).toMatchObject({ kind: 'failed', step: 'path', errno: 2, index: paths.length - 1 });
  });

  test.each<{ readonly namespaces: readonly Namespace[] }>([{ namespaces: [] }, { namespaces: ['pid', 'mount'] }])(
    'a granted folder that has become a symbolic link since it was checked leads nowhere with the namespaces $namespaces',
    async ({ namespaces }) => {
      const moved = join(workspace, `moved-${namespaces.length}-${Math.random()}`);
      symlinkSync('/etc', moved);
      const { landlock } = handMade(workspace);
      const paths = [...landlock.paths, { path: moved, access: WRITE }];
      const { end, stdout } = await shell(
        'cat /etc/hostname',
        { landlock: { ...landlock, paths } },
        { namespaces: namespaced ? namespaces : [] },
      );
      expect(end).toMatchObject({ kind: 'failed', errno: 40 });
      expect(stdout).toBe('');
    },
  );

  test('rights that this kernel does not know are refused, not skipped', async () => {
    const { landlock } = handMade(workspace);
    const { end } = await shell('echo ran', { landlock: { ...landlock, handledFs: landlock.handledFs | (1n << 60n) } });
    expect(end).toMatchObject({ kind: 'failed', step: 'ruleset', errno: 22 });
  });
});

describe('what is taken away', () => {
  test('files that no rule grants; those that one grants stay', async () => {
    writeFileSync(join(workspace, 'granted'), 'granted');
    expect((await shell('cat granted')).stdout).toBe('granted');
    expect((await shell('cat /etc/hostname')).end).toMatchObject({ exitCode: 1 });
  });

  test('Linux capabilities, every set, and new privileges', async () => {
    const status = { path: '/proc', access: FS.readFile | FS.readDirectory };
    const { landlock } = handMade(workspace);
    const { stdout } = await shell('grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status', {
      landlock: { ...landlock, paths: [...landlock.paths, status] },
    });
    const lines = new Map(stdout.split('\n').map((line) => line.split(':\t') as [string, string]));
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb', ...(isRoot ? ['CapBnd'] : [])]) {
      expect([set, lines.get(set)]).toEqual([set, '0000000000000000']);
    }
    expect(lines.get('NoNewPrivs')).toBe('1');
    expect(lines.get('Seccomp')).toBe('2');
  });

  test('system calls that the filter denies', async () => {
    const mkdir = process.arch === 'x64' ? 83 : 34;
    expect((await shell('mkdir allowed')).end).toMatchObject({ exitCode: 0 });
    expect((await shell('mkdir denied', { seccomp: filterOf([mkdir]) })).end).toMatchObject({ exitCode: 1 });
    expect(readdirSync(workspace)).not.toContain('denied');
  });

  test('with a seal, every execve but the first', async () => {
    expect((await shell('/bin/true && echo started')).stdout).toBe('started\n');
    const sealed = await shell('/bin/true && echo started', {}, { sealed: true });
    expect(sealed.stdout).toBe('');
    expect(sealed.end).toMatchObject({ exitCode: 126 });
  });
});

const asks: readonly { namespaces: readonly Namespace[] }[] = [
  { namespaces: [] },
  ...(namespaced ? [{ namespaces: ['pid', 'ipc', 'mount'] as const }] : []),
];

describe.each(asks)('with the namespaces $namespaces', ({ namespaces }) => {
  const options: Partial<LaunchOptions> = { namespaces };

  test('daemons in sessions of their own do not outlive the command', async () => {
    const { end, stdout } = await shell(
      '(setsid sleep 300 &) ; (setsid sh -c "setsid sleep 300 & sleep 300" &) ; sleep 0.2; echo done',
      {},
      options,
    );
    expect(stdout).toBe('done\n');
    expect(end).toMatchObject({ exitCode: 0 });
    expect(end.kind === 'ended' && end.leftovers).toBeGreaterThanOrEqual(3);
  });

  test('a kill ends all of them', async () => {
    const launched = launch({
      profile: handMade(workspace),
      program: '/bin/sh',
      args: ['sh', '-c', 'trap "" TERM; setsid sleep 300 & echo up; sleep 300'],
      environment: { PATH: '/usr/bin:/bin' },
      directory: workspace,
      ...options,
    });
    await new Promise((resolve) => launched.stdout?.once('data', resolve));
    launched.kill();
    expect(await launched.ended).toMatchObject({ kind: 'ended', signal: 'SIGKILL', reason: 'killed' });
  });

  test('more processes than allowed end it; as many as allowed do not', async () => {
    const limits = { pids: 20 };
    const spawn = (count: number): string =>
      `i=0; while [ $i -lt ${count} ]; do sleep 300 & i=$((i+1)); done; sleep 0.3; echo kept`;
    expect((await shell(spawn(5), { limits }, options)).stdout).toBe('kept\n');
    expect((await shell(spawn(40), { limits }, options)).end).toMatchObject({ reason: 'pids', signal: 'SIGKILL' });
  });

  test('more memory than allowed ends it', async () => {
    const use = (mib: number): Promise<Ran> =>
      run(
        ['/usr/bin/perl', '-e', `my $x = "x" x (${mib} << 20); select(undef, undef, undef, 0.3); print "kept"`],
        { limits: { memoryMb: 128 } },
        options,
      );
    expect((await use(16)).stdout).toBe('kept');
    expect((await use(512)).end).toMatchObject({ reason: 'memory' });
  });

  const perl = (script: string, change: Partial<CompiledProfile> = {}): Promise<Ran> =>
    run(['/usr/bin/perl', '-e', `use POSIX; my $end = time + 20; ${script}`], change, options);

  // 2048 processes at most, each in a session of its own: enough to be a bomb, too few to take the machine along.
  test('a fork bomb ends', async () => {
    const { end } = await perl('for (1..11) { fork; setsid() } sleep 20', { limits: { pids: 100 } });
    expect(end).toMatchObject({ kind: 'ended', reason: 'pids' });
  });

  test('a chain whose links fork and exit ends with the command', async () => {
    const { end } = await perl('while (time < $end) { exit if fork; setsid() }');
    expect(end).toMatchObject({ kind: 'ended', exitCode: 0 });
    expect(end.kind === 'ended' && end.leftovers).toBeGreaterThan(0);
  });
});

test.runIf(namespaced)(
  'a mount namespace makes everything but the writable places read-only, metadata included',
  async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'launcher-metadata-'));
    const attempt = `chmod 700 ${scratch} && echo changed; touch own && chmod 600 own && echo kept`;
    expect((await shell(attempt)).stdout).toBe('changed\nkept\n');
    expect((await shell(attempt, {}, { namespaces: ['pid', 'mount'] })).stdout).toBe('kept\n');
    rmSync(scratch, { recursive: true });
  },
);
