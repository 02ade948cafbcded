/** A package whose native part is missing: each door says which layer that costs, and nothing runs without it. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const repository = join(import.meta.dirname, '..');
const root = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-not-built-')));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const copy = (name: string, native: boolean): string => {
  const folder = join(root, name);
  mkdirSync(join(folder, 'workspace'), { recursive: true });
  for (const part of ['src', 'sandbox-profiles', 'package.json']) {
    cpSync(join(repository, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
  if (native) cpSync(join(repository, 'build'), join(folder, 'build'), { recursive: true });
  return folder;
};

/** All that one process does under one tier: a command, then the lock-down of itself. */
const SCRIPT = `
  import { runCommand } from './src/run-command.ts';
  import { secure } from './src/secure.ts';
  const tier = process.argv[1];
  const named = ({ name, code, message }) => [name, code, message];
  const told = [];
  try { told.push((await runCommand(['true'], { tier, workspace: './workspace' })).exitCode); } catch (error) { told.push(named(error)); }
  try { told.push(secure({ tier, workspace: './workspace' }).tier); } catch (error) { told.push(named(error)); }
  console.log(JSON.stringify(told));`;

const run = (folder: string, tier: string): unknown => {
  const args = ['--input-type=module-typescript', '-e', SCRIPT, tier];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as unknown;
};

test('without the native part no command runs and no process is locked, and the error names the tier that is denied', () => {
  const [without, whole] = [copy('without', false), copy('with', true)];
  for (const tier of ['standard', 'worker', 'observer']) {
    const text = expect.stringMatching(new RegExp(`tier \`${tier}\`.*no native addon.*npm rebuild`, 'u'));
    const denied = ['TrustTierDenied', 'TAPPASS_TRUST_TIER_DENIED', text];
    expect(run(without, tier)).toEqual([denied, denied]);
    expect(run(whole, tier)).toEqual([0, tier]);
  }
});

test('in a temporary folder, where the tiers grant next to nothing, a process can still be tightened step by step', () => {
  const folder = copy('temporary', true);
  const script = `
    import { secure } from './src/secure.ts';
    import { runCommand } from './src/run-command.ts';
    const told = [];
    for (const tier of ['standard', 'worker']) {
      told.push(secure({ tier, workspace: './workspace' }).tier);
      told.push((await runCommand(['true'], { tier: 'worker', workspace: './workspace' })).exitCode);
    }
    told.push(secure({ tier: 'observer', workspace: './workspace' }).tier);
    console.log(JSON.stringify(told));`;
  // Node too: installed there, and found there by the name that the tier lists.
  const prefix = join(root, 'node');
  cpSync(join(process.execPath, '..', '..'), prefix, { recursive: true });
  const { stdout, stderr } = spawnSync(join(prefix, 'bin', 'node'), ['--input-type=module-typescript', '-e', script], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(prefix, 'bin')}:${process.env['PATH'] ?? ''}` },
  });
  expect({ stderr, told: stdout === '' ? [] : (JSON.parse(stdout) as unknown) }).toEqual({
    stderr: '',
    told: ['standard', 0, 'worker', 0, 'observer'],
  });
});
