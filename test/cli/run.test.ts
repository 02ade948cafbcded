/** `tappass run`: what passes through it, and what its exit codes say. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ENOSYS, EPERM, nodeOnLesserHost, SYSCALL } from '../fixtures/lesser-host.ts';

const workspace = mkdtempSync(join(tmpdir(), 'cli-run-'));
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

const cli = join(import.meta.dirname, '..', 'fixtures', 'cli', 'run.ts');

const tappass = (
  args: readonly string[],
  input = '',
): { readonly code: number | null; readonly stdout: string; readonly stderr: string } => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'run', ...args], {
    cwd: workspace,
    encoding: 'utf8',
    input,
    env: { ...process.env, OPENAI_API_KEY: 'sk-planted-0123456789abcdef', GIVEN: 'on' },
  });
  return { code: status, stdout, stderr };
};

describe('passes through', () => {
  test('stdin, stdout, stderr and the exit code', () => {
    expect(tappass(['--', 'sh', '-c', 'cat; echo err >&2; exit 42'], 'in')).toEqual({
      code: 42,
      stdout: 'in',
      stderr: 'err\n',
    });
  });

  test('128 + the signal that ended it', () => {
    expect(tappass(['--', 'sh', '-c', 'kill -TERM $$']).code).toBe(143);
  });

  test('signals', async () => {
    const script = 'trap "echo caught; exit 7" TERM; echo up; while :; do sleep 0.05; done';
    const child = spawn(process.execPath, [cli, 'run', '--', 'sh', '-c', script], {
      cwd: workspace,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (stdout === 'up\n') child.kill('SIGTERM');
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect([code, stdout]).toEqual([7, 'up\ncaught\n']);
  });

  test('the size of the terminal', () => {
    const inside = `${process.execPath} ${cli} run -- node -e 'const o = process.stdout; console.log([o.isTTY, o.columns, o.rows].join())'`;
    const { stdout } = spawnSync('script', ['-qec', `stty cols 77 rows 33; ${inside}`, '/dev/null'], {
      cwd: workspace,
      encoding: 'utf8',
    });
    expect(stdout).toContain('true,77,33');
  });

  test('variables that are named, and no secrets', () => {
    const { stdout } = tappass(['--env', 'GIVEN', '--env', 'SET=here', '--', 'env']);
    expect(stdout).toContain('GIVEN=on\n');
    expect(stdout).toContain('SET=here\n');
    expect(stdout).not.toContain('planted');
    expect(tappass(['--', 'env']).stdout).not.toContain('GIVEN');
  });
});

describe('exit codes of its own', () => {
  test.each<[string, readonly string[], number, RegExp]>([
    ['2 for an unknown option', ['--nonsense', '--', 'true'], 2, /unknown option/u],
    ['2 for an unknown tier', ['--tier', 'root', '--', 'true'], 2, /observer, worker, standard/u],
    ['2 for a limit that is no number', ['--memory', 'much', '--', 'true'], 2, /`limits\.memoryMb`/u],
    ['2 for a workspace that is missing', ['--workspace', '/no/such', '--', 'true'], 2, /`workspace`/u],
    ['2 for a profile that is missing', ['--profile', '/no/such.json', '--', 'true'], 2, /profile/u],
    ['3 for a program that the tier does not start', ['--', 'who'], 3, /commands: \["who"\]/u],
    ['126 for what cannot be started', ['--', '/usr'], 126, /is a directory/u],
    ['127 for what is not there', ['--', 'nosuchprogram'], 127, /was not found on PATH/u],
    ['124 when its time is up', ['--timeout', '0.2', '--', 'sleep', '30'], 124, /`timeoutMs`/u],
  ])('%s', (_, args, code, message) => {
    const ran = tappass(args);
    expect(ran.stderr).toMatch(message);
    expect(ran.code).toBe(code);
  });

  test('--allow-command lets that program be started', () => {
    expect(tappass(['--allow-command', 'who', '--', 'who']).code).toBe(0);
  });

  test('--json reports on stderr and leaves stdout to the command', () => {
    const { stdout, stderr } = tappass(['--json', '--', 'echo', 'out']);
    expect(stdout).toBe('out\n');
    expect(JSON.parse(stderr)).toMatchObject({ status: 'exited', code: 0, report: { tier: 'worker' } });
  });
});

describe('on a host that lacks a layer nothing runs, and the exit code is 4', () => {
  const flag = join(workspace, 'ran');
  test.each<[string, readonly number[], number, RegExp]>([
    ['Landlock not built', [SYSCALL.landlock], ENOSYS, /landlock/u],
    ['Landlock refused by a container', [SYSCALL.landlock], EPERM, /landlock/u],
    ['no seccomp', [SYSCALL.seccomp], ENOSYS, /seccomp/u],
  ])('%s', async (_, denied, errno, message) => {
    writeFileSync(flag, '');
    const ran = await nodeOnLesserHost(denied, errno, [cli, 'run', '--', 'rm', flag], workspace);
    expect(ran.stderr).toMatch(message);
    expect(ran.exitCode).toBe(4);
    const { stdout } = await nodeOnLesserHost(
      [],
      ENOSYS,
      ['-e', `console.log(fs.existsSync(${JSON.stringify(flag)}))`],
      workspace,
    );
    expect(stdout).toBe('true\n');
  });

  test('without namespaces it runs all the same, and says so', async () => {
    const ran = await nodeOnLesserHost(
      [SYSCALL.unshare],
      EPERM,
      [cli, 'run', '--json', '--', 'echo', 'out'],
      workspace,
    );
    expect(ran).toMatchObject({ exitCode: 0, stdout: 'out\n' });
    const { report } = JSON.parse(ran.stderr) as { report: { layers: { layer: string; enforced: string }[] } };
    expect(
      report.layers.filter(({ layer }) => layer.startsWith('namespace-')).every(({ enforced }) => enforced === 'none'),
    ).toBe(true);
  });
});
