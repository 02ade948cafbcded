/** `tappass profile`, `doctor` and `selftest`, as a user's shell would run them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const root = mkdtempSync(join(tmpdir(), 'tappass-cli-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const entry = join(root, 'entry.mts');
const source = (file: string): string => JSON.stringify(join(import.meta.dirname, '..', '..', 'src', 'cli', file));
const commander = JSON.stringify(import.meta.resolve('commander'));
writeFileSync(
  entry,
  `import { Command } from ${commander};
import { registerDoctor } from ${source('doctor.ts')};
import { registerProfile } from ${source('profile.ts')};
import { registerSelftest } from ${source('selftest.ts')};
const program = new Command('tappass');
for (const register of [registerDoctor, registerProfile, registerSelftest]) register(program);
program.parseAsync(process.argv).catch((error) => { console.error(error.constructor.name, error.message); process.exitCode = 2; });
`,
);

const run = async (...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
  try {
    return {
      code: 0,
      ...(await promisify(execFile)(process.execPath, [entry, ...args], { cwd: root, maxBuffer: 1 << 26 })),
    };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
};

describe('profile', () => {
  test('list names the built-in profiles', async () => {
    expect((await run('profile', 'list')).stdout).toMatch(/isolate-host[^]*observer[^]*standard[^]*worker/u);
    const { stdout } = await run('profile', 'list', '--json');
    expect(JSON.parse(stdout)).toContainEqual(expect.objectContaining({ name: 'worker', tier: 'worker' }));
  });

  test('show prints the joined profile and its files', async () => {
    const shown = JSON.parse((await run('profile', 'show', 'worker')).stdout) as {
      files: string[];
      profile: { files: unknown[] };
    };
    expect(shown.files).toHaveLength(3);
    expect(shown.profile.files.length).toBeGreaterThan(30);
  });

  test('explain prints each right with its why, for people and as JSON', async () => {
    const { stdout } = await run('profile', 'explain', 'worker', '--allow-host', '127.0.0.1:5432');
    expect(stdout).toContain('what the work is done on');
    expect(stdout).toContain('TCP port 5432, on any host');
    expect(stdout).toContain('EPERM');
    const explained = JSON.parse((await run('profile', 'explain', 'observer', '--json')).stdout) as {
      landlock: { files: { path: string; rights: string; why: string }[] };
      seccomp: { rules: { why: string }[] };
    };
    const own = explained.landlock.files.find(
      ({ path }) => path.startsWith(root.slice(0, 5)) && path.includes('tappass-cli-'),
    );
    expect(own).toMatchObject({ rights: 'READ_FILE READ_DIR' });
    expect([...explained.landlock.files, ...explained.seccomp.rules].filter(({ why }) => why.length < 8)).toEqual([]);
  });

  test.each([
    [['profile', 'explain', 'no-such-profile'], /tappass profile list/u],
    [['profile', 'explain', 'worker', '--workspace', '/'], /whole system/u],
    [['profile', 'explain', 'worker', '--allow-command', 'no-such-program'], /no-such-program/u],
    [['profile', 'explain', 'worker', '--allow-host', 'example.com'], /example\.com/u],
    [['selftest', '--way', 'window'], /--way/u],
  ])('%j is wrong use', async (args, fault) => {
    const { code, stderr } = await run(...args);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(fault) as unknown });
    expect(stderr).toContain('UsageError');
  });
});

test('doctor says what works here, and exits 0 where every tier can be had', async () => {
  const { code, stdout } = await run('doctor');
  expect(stdout).toMatch(/landlock +works/u);
  expect(stdout).toMatch(/worker +can be enforced/u);
  expect(code).toBe(0);
  const report = JSON.parse((await run('doctor', '--json')).stdout) as { abilities: unknown[]; tiers: unknown[] };
  expect(report.abilities.length).toBeGreaterThan(10);
  expect(report.tiers).toHaveLength(3);
});

test('selftest prints the matrix and exits 0 where nothing gets through', async () => {
  const { code, stdout } = await run('selftest', '--way', 'terminal');
  expect(stdout).toMatch(/way +attack +outside +observer +worker +standard/u);
  expect(stdout).toMatch(/attempts, \d+ stopped, 0 got through/u);
  expect(code).toBe(0);
  expect(JSON.parse((await run('selftest', '--way', 'ipc', '--json')).stdout)).toMatchObject({ gotThrough: 0 });
});
