/** Programs under a tier: what works, how each end is told, and what is refused before anything starts. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openMemoryJournal, readJournal, verifyJournal } from '../src/audit-log.ts';
import { prepareCommand, resolveCommand, start } from '../src/command-prepare.ts';
import type { Launched } from '../src/kernel/launcher.ts';
import { nativeFile } from '../src/native/addon.ts';
import { runCommand } from '../src/run-command.ts';
import type { CommandResult, RunCommandOptions } from '../src/run-command.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'run-command-')));
/** Seconds that nobody else on this machine sleeps. */
const MARK = `${42_000_000 + process.pid}`;
const workspace = join(root, 'workspace');

beforeAll(() => {
  mkdirSync(join(workspace, 'inner'), { recursive: true });
  writeFileSync(join(workspace, 'file.txt'), 'content');
  writeFileSync(join(root, 'workspace-sibling'), 'sibling');
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const run = (argv: readonly string[], options: RunCommandOptions = {}): Promise<CommandResult> =>
  runCommand(argv, { workspace, ...options });
const shell = (script: string, options: RunCommandOptions = {}): Promise<CommandResult> =>
  run(['sh', '-c', script], options);

describe('a worker', () => {
  test('reads and writes the workspace, and nothing beside it', async () => {
    const { stdout, exitCode } = await shell('cat file.txt && echo more > inner/made && cat inner/made');
    expect([exitCode, stdout]).toEqual([0, 'contentmore\n']);
    expect(readFileSync(join(workspace, 'inner', 'made'), 'utf8')).toBe('more\n');
    expect((await run(['cat', join(root, 'workspace-sibling')])).exitCode).toBe(1);
    expect((await shell(`echo x > ${join(root, 'outside')}`)).exitCode).not.toBe(0);
    expect(existsSync(join(root, 'outside'))).toBe(false);
  });

  test('has a private HOME and TMPDIR that are gone afterwards', async () => {
    const { stdout } = await shell(
      'echo x > "$TMPDIR/a" && echo y > "$HOME/b" && stat -c %a "$TMPDIR" "$HOME" && echo "$TMPDIR"',
    );
    const [mode, homeMode, path = ''] = stdout.trim().split('\n');
    expect([mode, homeMode]).toEqual(['700', '700']);
    expect(path).not.toBe(tmpdir());
    expect(existsSync(join(path, 'a'))).toBe(false);
    expect((await shell('ls -A "$TMPDIR" "$HOME" | grep -c "^[ab]$"')).stdout).toBe('0\n');
  });

  test('starts listed commands, and others only when they are passed', async () => {
    expect(await run(['who'])).toMatchObject({
      status: 'refused',
      reason: expect.stringContaining('commands: ["who"]'),
    });
    expect(await run(['who'], { commands: ['who'] })).toMatchObject({ status: 'exited', exitCode: 0 });
    expect((await shell('who')).exitCode).toBeGreaterThanOrEqual(126);
  });

  test('is in the directory that was asked for', async () => {
    expect((await run(['pwd'], { cwd: 'inner' })).stdout).toBe(`${join(workspace, 'inner')}\n`);
  });
});

describe('an observer', () => {
  test('reads the workspace, writes nothing', async () => {
    expect((await run(['cat', 'file.txt'], { tier: 'observer' })).stdout).toBe('content');
    expect((await run(['touch', 'made'], { tier: 'observer' })).exitCode).not.toBe(0);
    expect((await run(['touch', 'made'], { tier: 'worker' })).exitCode).toBe(0);
    expect((await run(['chmod', '600', 'file.txt'], { tier: 'observer' })).exitCode).not.toBe(0);
    expect((await run(['chmod', '600', 'file.txt'], { tier: 'worker' })).exitCode).toBe(0);
  });

  test('starts nothing, not even itself again', async () => {
    expect((await shell('true; /bin/true', { tier: 'observer' })).exitCode).not.toBe(0);
    expect((await shell('exec sh -c "echo again"', { tier: 'observer' })).stdout).toBe('');
    expect((await shell('exec sh -c "echo again"', { tier: 'worker' })).stdout).toBe('again\n');
    const execve = 'process.execve(process.execPath, ["node", "-e", "console.log(1)"], {})';
    expect((await run(['node', '-e', execve], { tier: 'observer' })).stdout).toBe('');
    expect((await run(['node', '-e', execve], { tier: 'worker' })).stdout).toBe('1\n');
  });
});

describe('how it ended', () => {
  test('by itself: the code; by a signal: the signal', async () => {
    expect(await shell('exit 3')).toMatchObject({ status: 'exited', exitCode: 3 });
    expect(await shell('kill -USR1 $$')).toMatchObject({ status: 'signalled', signal: 'SIGUSR1' });
  });

  test('by the timeout: SIGTERM first, then SIGKILL', async () => {
    expect(await shell('trap "echo bye; exit 9" TERM; sleep 30 & wait', { timeoutMs: 300 })).toMatchObject({
      status: 'timeout',
      exitCode: 9,
      stdout: 'bye\n',
    });
    const stubborn = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)';
    expect(await run(['node', '-e', stubborn], { timeoutMs: 500 })).toMatchObject({
      status: 'timeout',
      signal: 'SIGKILL',
    });
  });

  test.runIf(process.arch === 'x64')('by the filter: what it kills for', async () => {
    const program = nativeFile('tappass-try') ?? '';
    const x32 = 0x4000_0000;
    const getpid = 39;
    expect(await run([program, String(getpid)], { commands: [program] })).toMatchObject({ status: 'exited' });
    expect(await run([program, String(x32 + getpid)], { commands: [program] })).toMatchObject({
      status: 'signalled',
      signal: 'SIGSYS',
      reason: expect.stringContaining('x32'),
    });
  });

  test('not at all, because a rule could not be applied: which right on which path', async () => {
    const granted = mkdtempSync(join(root, 'granted-'));
    const profile = join(root, 'granted.json');
    const files = [{ path: granted, rights: ['read'], why: 'made up for this test' }];
    writeFileSync(
      profile,
      JSON.stringify({ name: 'mine', description: 'made up for this test', tier: 'worker', extends: 'worker', files }),
    );
    expect(await run(['true'], { profile })).toMatchObject({ status: 'exited' });
    rmSync(granted, { recursive: true });
    expect(await run(['true'], { profile })).toMatchObject({
      status: 'refused',
      reason: `the rule for ${granted} (READ_FILE READ_DIR) could not be applied (ENOENT)`,
    });
  });

  test('by an AbortSignal, before the start and after it', async () => {
    expect(await shell('echo ran', { signal: AbortSignal.abort() })).toMatchObject({ status: 'refused', stdout: '' });
    const controller = new AbortController();
    const running = shell('echo up; sleep 30', { signal: controller.signal, onStdout: () => controller.abort() });
    expect(await running).toMatchObject({
      status: 'signalled',
      signal: 'SIGTERM',
      reason: expect.stringContaining('aborted'),
    });
  });

  test.each<[string, RunCommandOptions['limits'], string, string]>([
    ['memory', { memoryMb: 64 }, 'node -e "const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1))"', 'memoryMb'],
    ['processes', { pids: 8 }, 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 30 & done; wait', 'pids'],
    ['processor time', { cpuSeconds: 1 }, 'while :; do :; done', 'cpuSeconds'],
    ['the length of a file', { fileSizeMb: 1 }, 'exec head -c 2000000 /dev/zero > large', 'fileSizeMb'],
  ])('by the limit on %s', async (_, limits, script, name) => {
    const result = await shell(script, { limits, timeoutMs: 20_000 });
    expect(result.reason ?? '').toContain(name);
    expect(result.status).toBe('limit');
  });

  test('within its limits nothing is said of them', async () => {
    const limits = { memoryMb: 512, pids: 64, cpuSeconds: 10, fileSizeMb: 8 };
    expect(await shell('head -c 1000000 /dev/zero > small && echo fine', { limits })).toMatchObject({
      status: 'exited',
      stdout: 'fine\n',
    });
  });
});

describe('output and input', () => {
  test('a flood is read to its end, cut, and marked', async () => {
    const result = await shell('head -c 5000000 /dev/zero | tr "\\0" x; echo end >&2', {
      limits: { outputBytes: 100 },
    });
    expect(result).toMatchObject({ status: 'exited', exitCode: 0, truncated: true, stderr: 'end\n' });
    expect(result.stdout).toBe(`${'x'.repeat(100)}\n[tappass: 4999900 more bytes were dropped]\n`);
    expect((await shell('echo short', { limits: { outputBytes: 100 } })).truncated).toBe(false);
  });

  test('a character is never cut in half', async () => {
    const { stdout } = await shell('printf "äöü"', { limits: { outputBytes: 3 } });
    expect(stdout.startsWith('ä\n[')).toBe(true);
  });

  test('callbacks see all of it as it comes; one that throws ends the command', async () => {
    const seen: Buffer[] = [];
    await shell('printf abc; sleep 0.1; printf def', {
      limits: { outputBytes: 2 },
      onStdout: (chunk) => seen.push(chunk),
    });
    expect(Buffer.concat(seen).toString()).toBe('abcdef');
    expect(seen.length).toBeGreaterThan(1);
    const failing = (): never => {
      throw new Error('enough');
    };
    await expect(shell('echo x; sleep 30', { onStdout: failing })).rejects.toThrow('enough');
  });

  test.each<[string, RunCommandOptions['stdin'], string]>([
    ['text', 'hello', 'hello'],
    ['bytes', Buffer.from([104, 105]), 'hi'],
    ['a stream', Readable.from(['one ', 'two']), 'one two'],
    ['nothing', undefined, ''],
  ])('%s as stdin', async (_, stdin, expected) => {
    expect((await run(['cat'], stdin === undefined ? {} : { stdin })).stdout).toBe(expected);
  });

  test('a command that does not read its input is no error', async () => {
    expect(await run(['true'], { stdin: 'x'.repeat(1_000_000) })).toMatchObject({ status: 'exited', exitCode: 0 });
  });
});

describe('the environment', () => {
  test('holds nothing of ours that steers a runtime or looks secret, and all that is passed', async () => {
    const planted = {
      NODE_OPTIONS: '--require=/x',
      LD_PRELOAD: '/x.so',
      GIT_SSH_COMMAND: 'x',
      BASH_ENV: '/x',
      OPENAI_API_KEY: 'planted',
      LANG: 'C.UTF-8',
    };
    const before = { ...process.env };
    Object.assign(process.env, planted);
    try {
      const { stdout } = await run(['env'], { env: { GIVEN: 'yes', MY_TOKEN: 'given by hand' } });
      const names = stdout.split('\n').map((line) => line.split('=')[0]);
      expect(names).toEqual(expect.arrayContaining(['PATH', 'HOME', 'TMPDIR', 'LANG', 'GIVEN', 'MY_TOKEN']));
      for (const name of Object.keys(planted).filter((each) => each !== 'LANG')) expect(names).not.toContain(name);
    } finally {
      process.env = before;
    }
  });

  test('PATH has no entry in the workspace: a planted git is not git', async () => {
    mkdirSync(join(workspace, 'bin'), { recursive: true });
    writeFileSync(join(workspace, 'bin', 'git'), '#!/bin/sh\necho planted\n', { mode: 0o755 });
    const before = process.env['PATH'];
    process.env['PATH'] = `${join(workspace, 'bin')}:.::${before ?? ''}`;
    try {
      expect((await run(['git', '--version'])).stdout).toMatch(/^git version/u);
      expect((await shell('git --version')).stdout).toMatch(/^git version/u);
    } finally {
      process.env['PATH'] = before;
    }
  });
});

describe('what is refused, with its reason', () => {
  test.each<[string, readonly string[], RegExp]>([
    ['a program that is not there', ['nosuchprogram'], /nosuchprogram was not found on PATH/u],
    ['a path that is not there', ['/no/such'], /\/no\/such does not exist/u],
    ['a directory', ['/usr'], /\/usr is a directory/u],
    ['a file without the right', ['./plain'], /plain is not executable: its mode is 0644/u],
    ['a script without an interpreter', ['./bare'], /bare is a script without an interpreter/u],
    ['a script whose interpreter is missing', ['./orphan'], /orphan names \/no\/interpreter/u],
    ['text that is no program', ['./text'], /neither an ELF program nor a script/u],
    ['a script in the workspace', ['./script'], /run a script by its interpreter/u],
  ])('%s', async (_, argv, reason) => {
    writeFileSync(join(workspace, 'plain'), 'x', { mode: 0o644 });
    writeFileSync(join(workspace, 'bare'), '#!\n', { mode: 0o755 });
    writeFileSync(join(workspace, 'orphan'), '#!/no/interpreter\n', { mode: 0o755 });
    writeFileSync(join(workspace, 'text'), 'echo hi\n', { mode: 0o755 });
    writeFileSync(join(workspace, 'script'), '#!/bin/sh\necho hi\n', { mode: 0o755 });
    const result = await run(argv);
    expect(result.reason ?? '').toMatch(reason);
    expect(result).toMatchObject({ status: 'refused', stdout: '', stderr: '' });
  });

  test('a script runs by its interpreter', async () => {
    writeFileSync(join(workspace, 'script.sh'), 'ls file.txt | sed s/txt/sed/\n');
    expect((await run(['sh', 'script.sh'])).stdout).toBe('file.sed\n');
  });
});

describe('misuse', () => {
  const many = (value: unknown): RunCommandOptions => value as RunCommandOptions;
  test.each<[string, unknown, unknown, RegExp]>([
    ['no argv', [], {}, /`argv`.*1 to 32768 strings.*0 elements/u],
    ['a NUL in argv', ['a\0b'], {}, /`argv\[0\]`.*NUL/u],
    ['a number in argv', ['a', 1], {}, /`argv\[1\]`.*1 \(number\)/u],
    ['an unknown tier', ['true'], { tier: 'root' }, /`tier`.*observer, worker, standard.*"root"/u],
    ['a missing workspace', ['true'], { workspace: '/no/such' }, /`workspace`.*existing.*ENOENT/u],
    ['a file as workspace', ['true'], { workspace: join(workspace, 'file.txt') }, /`workspace`.*the file/u],
    ['a link as workspace', ['true'], { workspace: join(root, 'link') }, /`workspace`.*symbolic link/u],
    ['the root as workspace', ['true'], { workspace: '/' }, /`workspace`.*everything/u],
    ['a directory to start in outside', ['true'], { cwd: '..' }, /`cwd`.*lie in the workspace/u],
    ['a link that leads outside', ['true'], { cwd: 'out' }, /`cwd`.*lie in the workspace/u],
    ['a limit of 0', ['true'], { limits: { memoryMb: 0 } }, /`limits\.memoryMb`.*from 1.*0 \(number\)/u],
    ['a negative limit', ['true'], { limits: { pids: -1 } }, /`limits\.pids`/u],
    ['a huge limit', ['true'], { limits: { cpuSeconds: 1e300 } }, /`limits\.cpuSeconds`/u],
    ['a limit that is unknown', ['true'], { limits: { memory: 1 } }, /`limits`.*only.*"memory"/u],
    ['a timeout of 0', ['true'], { timeoutMs: 0 }, /`timeoutMs`.*above 0/u],
    ['no number as timeout', ['true'], { timeoutMs: Number.NaN }, /`timeoutMs`/u],
    ['a name with =', ['true'], { env: { 'A=B': 'x' } }, /names in `env`/u],
    ['a NUL in env', ['true'], { env: { A: 'x\0' } }, /`env\.A`/u],
    ['network for an observer', ['true'], { tier: 'observer', network: { connect: ['127.0.0.1:1'] } }, /observer/u],
    ['a host without a port', ['true'], { network: { connect: ['example.com'] } }, /host:port or a port/u],
  ])('%s rejects', async (_, argv, options, message) => {
    if (!existsSync(join(root, 'link'))) {
      symlinkSync(workspace, join(root, 'link'));
      symlinkSync(root, join(workspace, 'out'));
    }
    const failed = run(argv as readonly string[], many(options));
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.toMatchObject({ name: 'TapPassConfigError' });
  });
});

describe('the report', () => {
  test('says of each layer what was asked for and what holds', async () => {
    const { report, usage } = await run(['true']);
    const layers = new Map(report.layers.map((layer) => [layer.layer, layer]));
    for (const layer of [
      'landlock',
      'landlock-net',
      'seccomp',
      'no-new-privs',
      'capabilities',
      'descriptors',
      'session',
    ]) {
      expect([layer, layers.get(layer)?.enforced]).toEqual([layer, 'full']);
    }
    expect(report.profile?.digest).toMatch(/^[0-9a-f]{64}$/u);
    expect(usage.durationMs).toBeGreaterThan(0);
    expect(usage.leftovers).toBe(0);
  });
});

describe('the report about ports', () => {
  test.each([
    [{ connect: [5432] }, 'full', 'TCP ports, on any host: 5432'],
    [{ connect: ['*:5432'] }, 'full', 'TCP ports, on any host: 5432'],
    [{ connect: ['db.example:5432'] }, 'partial', 'TCP ports, on any host: 5432 (asked for db.example:5432)'],
    [{ connect: ['127.0.0.1:5432', 80] }, 'partial', 'TCP ports, on any host: 5432, 80 (asked for 127.0.0.1:5432)'],
    [{}, 'full', 'no TCP'],
  ])('%j: no host looks enforced', async (network, enforced, detail) => {
    const { report } = await runCommand(['true'], { workspace, network });
    expect(report.layers.find(({ layer }) => layer === 'landlock-net')).toEqual({
      layer: 'landlock-net',
      requested: true,
      enforced,
      detail,
    });
  });

  test('a tier with an open network does not say that it has none', async () => {
    const { report } = await runCommand(['true'], { workspace, tier: 'standard' });
    expect(report.layers.find(({ layer }) => layer === 'landlock-net')).toMatchObject({
      requested: false,
      enforced: 'none',
    });
  });
});

describe('a layer that is missing and accepted', () => {
  const degraded = [{ layer: 'landlock-scope', reason: 'made up for this test' }] as const;
  const startWith = async (options: RunCommandOptions): Promise<Launched> => {
    const prepared = prepareCommand(['touch', 'degraded'], { workspace, ...options });
    try {
      const command = resolveCommand(prepared);
      if ('reason' in command) throw new Error(command.reason);
      const launched = await start(prepared, { ...command, degraded });
      await launched.ended;
      return launched;
    } finally {
      await prepared.directories.release();
    }
  };

  test('is in the journal before the command starts', async () => {
    const dir = join(root, 'degraded-journal');
    await startWith({ audit: { dir } });
    expect(existsSync(join(workspace, 'degraded'))).toBe(true);
    const events = await Array.fromAsync(readJournal(dir, { type: 'notice' }));
    expect(events).toMatchObject([
      { type: 'notice', tier: 'worker', degraded, reason: expect.stringContaining('landlock-scope') as string },
    ]);
    expect(await verifyJournal(dir)).toMatchObject({ ok: true });
  });

  test('and a journal that cannot be written means that it does not start', async () => {
    rmSync(join(workspace, 'degraded'), { force: true });
    writeFileSync(join(root, 'no-directory'), '');
    await expect(startWith({ audit: { dir: join(root, 'no-directory') } })).rejects.toMatchObject({
      code: 'TAPPASS_JOURNAL',
    });
    const broken = openMemoryJournal();
    await broken.close();
    await expect(startWith({ audit: broken })).rejects.toThrow();
    expect(existsSync(join(workspace, 'degraded'))).toBe(false);
  });

  test('nothing missing, nothing written', async () => {
    const dir = join(root, 'whole-journal');
    const { status, report } = await runCommand(['true'], {
      workspace,
      audit: { dir },
      allowDegraded: ['landlock-scope'],
    });
    expect(status).toBe('exited');
    // What was accepted is not what is missing.
    expect(report.degraded).toEqual([]);
    expect(existsSync(dir)).toBe(false);
  });
});

test('a process that is killed leaves nothing running, and the next one removes its directories', async () => {
  const program = `
    import { runCommand } from ${JSON.stringify(join(import.meta.dirname, '..', 'src', 'run-command.ts'))};
    await runCommand(['sh', '-c', 'setsid sleep ${MARK} & echo "$TMPDIR"; sleep ${MARK}'], { workspace: ${JSON.stringify(workspace)}, onStdout: (chunk) => process.stdout.write(chunk) });`;
  const parent = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await parent.stdout.take(1).toArray()) as [Buffer];
  const left = join(line.toString().trim(), '..', '..');
  const sleepers = (): string => {
    try {
      return execFileSync('pgrep', ['-f', `sleep ${MARK}`], { encoding: 'utf8' });
    } catch {
      return '';
    }
  };
  expect(sleepers()).not.toBe('');
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await expect.poll(sleepers, { timeout: 10_000 }).toBe('');
  expect(existsSync(left)).toBe(true);
  const next = `import { runCommand } from ${JSON.stringify(join(import.meta.dirname, '..', 'src', 'run-command.ts'))};
    await runCommand(['true'], { workspace: ${JSON.stringify(workspace)} });`;
  execFileSync(process.execPath, ['--input-type=module-typescript', '-e', next]);
  expect(existsSync(left)).toBe(false);
});

test('a tree that cannot be removed at once does not stop the next command', async () => {
  await shell('mkdir -p "$TMPDIR/a/b"; chmod 0 "$TMPDIR/a/b" "$TMPDIR/a"');
  expect((await run(['true'])).exitCode).toBe(0);
  chmodSync(workspace, 0o755);
  expect(readdirSync(workspace)).toContain('file.txt');
});

test('a program that lies where the tier grants nothing else is started when it is the one that was asked for', async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'run-command-program-'));
  try {
    const program = join(elsewhere, 'own-true');
    copyFileSync('/bin/true', program);
    const beside = join(elsewhere, 'not-asked');
    copyFileSync('/bin/true', beside);
    for (const tier of ['observer', 'worker', 'standard'] as const) {
      const allowed = tier === 'worker' ? { commands: [program] } : {};
      expect(await runCommand([program], { tier, ...allowed })).toMatchObject({ status: 'exited', exitCode: 0 });
    }
    const ran = await runCommand(['/bin/sh', '-c', `${program}; ${beside}`], { tier: 'worker', commands: [program] });
    expect([ran.exitCode, ran.stderr]).toEqual([126, expect.stringContaining('not-asked')]);
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});
