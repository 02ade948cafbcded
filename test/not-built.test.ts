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
  if (native) symlinkSync(join(repository, 'build'), join(folder, 'build'));
  return folder;
};

const SCRIPT = `
  import { runCommand } from './src/run-command.ts';
  import { secure } from './src/secure.ts';
  const named = (error) => [error.name, error.code];
  const ran = async (tier) => {
    try { return (await runCommand(['true'], { tier, workspace: './workspace' })).exitCode; } catch (error) { return named(error); }
  };
  const locked = (tier) => {
    try { return secure({ tier, workspace: './workspace' }).tier; } catch (error) { return named(error); }
  };
  const tiers = ['standard', 'worker', 'observer'];
  const commands = [];
  for (const tier of tiers) commands.push(await ran(tier));
  console.log(JSON.stringify([...commands, ...tiers.map(locked)]));`;

const run = (folder: string): unknown => {
  const args = ['--input-type=module-typescript', '-e', SCRIPT];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as unknown;
};

test('without the native part no command runs and no process is locked, and the error names the tier that is denied', () => {
  const denied = ['TrustTierDenied', 'TAPPASS_TRUST_TIER_DENIED'];
  expect(run(copy('without', false))).toEqual([denied, denied, denied, denied, denied, denied]);
  expect(run(copy('with', true))).toEqual([0, 0, 0, 'standard', 'worker', 'observer']);
});
