/** What the process that calls `runCommand` has, and its commands must not get: descriptors, environment, its own life. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Namespace } from '../../src/kernel/compiled.ts';
import { launch } from '../../src/kernel/launcher.ts';
import { handMade } from '../kernel/hand-made.ts';

const root = mkdtempSync(join(tmpdir(), 'escape-parent-'));
const workspace = join(root, 'workspace');
const secret = join(root, 'secret');
const PLANTED = 'planted-7f3a';

beforeAll(() => {
  mkdirSync(workspace);
  writeFileSync(secret, PLANTED);
  writeFileSync(join(workspace, 'granted'), PLANTED);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const parent = (where: readonly string[], script: string, env: NodeJS.ProcessEnv = {}): string => {
  const fd = openSync(secret, 'r');
  try {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [join(import.meta.dirname, '..', 'fixtures', 'escape', 'parent.ts'), ...where, workspace, script],
      { encoding: 'utf8', env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe', fd] },
    );
    expect(stderr).toBe('');
    return stdout;
  } finally {
    closeSync(fd);
  }
};

const EVERY_ENVIRONMENT = `for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ; done 2>/dev/null | grep -q ${PLANTED} && echo found; env | grep -q ${PLANTED} && echo inherited; true`;
const ways: readonly [string, string, RegExp][] = [
  ['an inherited descriptor', 'cat <&3', /planted/u],
  ['an inherited descriptor by its name in /proc', 'cat /proc/self/fd/3', /planted/u],
  ["descriptors of the parent's in /proc", 'cat /proc/@PARENT/fd/3 /proc/$PPID/fd/3 2>/dev/null', /planted/u],
  ['environments in /proc, and its own', EVERY_ENVIRONMENT, /found|inherited/u],
  ['command lines in /proc', `cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '`, /parent\.ts/u],
];

describe.each(ways)('%s', (_, script, found) => {
  const env = { APP_SETTING: PLANTED };
  test('leads there outside', () => expect(parent(['outside', '-'], script, env)).toMatch(found));
  test.each(['observer', 'worker'])('leads nowhere for a %s', (tier) => {
    expect(parent(['inside', tier], script, env)).not.toMatch(found);
  });
});

test('what is granted can be read by the same means', () => {
  expect(parent(['inside', 'worker'], 'exec 3< granted; cat <&3')).toBe(PLANTED);
});

const shell = async (script: string, namespaces: readonly Namespace[], scoped: bigint): Promise<string> => {
  const profile = handMade(workspace);
  const launched = launch({
    profile: { ...profile, landlock: { ...profile.landlock, scoped } },
    program: '/bin/sh',
    args: ['sh', '-c', script],
    environment: { PATH: '/usr/bin:/bin' },
    directory: workspace,
    namespaces,
  });
  launched.stdin?.end();
  if (launched.stdout === undefined) throw new Error('expected a pipe');
  const [stdout, end] = await Promise.all([text(launched.stdout), launched.ended]);
  return end.kind === 'ended' ? stdout : `${stdout}${end.step}`;
};

describe('killing the launcher', () => {
  const script = 'kill -9 $PPID; sleep 0.1; kill -0 $PPID && echo survived';
  const scopes = 3n;
  test('works where no layer forbids it, and takes the command along', async () => {
    expect(await shell(script, [], 0n)).toBe('launcher');
  });
  test('is refused by the scope of Landlock alone', async () => {
    expect(await shell('kill -9 $PPID || echo refused', [], scopes)).toBe('refused\n');
  });
  test.runIf(process.geteuid?.() === 0)('does not happen to the first process of a namespace', async () => {
    expect(await shell(script, ['pid', 'mount'], 0n)).toBe('survived\n');
  });
});

test('the orders are in no command line and no environment', async () => {
  const launched = launch({
    profile: handMade(workspace),
    program: '/bin/sh',
    args: ['sh', '-c', 'echo up; sleep 30'],
    environment: { PATH: '/usr/bin:/bin', GIVEN: PLANTED },
    directory: workspace,
    namespaces: [],
  });
  await new Promise((resolve) => launched.stdout?.once('data', resolve));
  const look = 'for p in $(pgrep tappass-launch); do cat /proc/$p/cmdline /proc/$p/environ; done | tr "\\0" "\\n"';
  const seen = spawnSync('sh', ['-c', look], { encoding: 'utf8' }).stdout;
  launched.kill();
  await launched.ended;
  expect(seen).toContain('tappass-launcher');
  expect(seen).not.toContain(PLANTED);
  expect(seen).not.toContain('GIVEN');
});
