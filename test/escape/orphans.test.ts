/** Ways to outlive one's command. Each is first seen to work with a plain spawn. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { Namespace } from '../../src/kernel/compiled.ts';
import { launch } from '../../src/kernel/launcher.ts';
import { handMade } from '../kernel/hand-made.ts';

const workspace = mkdtempSync(join(tmpdir(), 'escape-orphans-'));
afterAll(() => rmSync(workspace, { recursive: true, force: true }));

/** So long that no other test sleeps for it. */
const MARK = `${31_000 + (process.pid % 1000)}.5`;
const survivors = (): readonly string[] => {
  try {
    return execFileSync('pgrep', ['-f', `sleep ${MARK}`], { encoding: 'utf8' })
      .trim()
      .split('\n');
  } catch {
    return [];
  }
};
afterEach(() => {
  for (const pid of survivors()) process.kill(Number(pid), 'SIGKILL');
});

const ways: readonly [string, string][] = [
  ['in the background', `sleep ${MARK} >/dev/null 2>&1 &`],
  ['in a session of its own', `setsid sleep ${MARK} >/dev/null 2>&1 &`],
  ['as a daemon, forked twice', `(setsid sh -c "setsid sleep ${MARK} & exit" >/dev/null 2>&1 &)`],
  ['deaf to SIGTERM and SIGHUP', `(trap "" TERM HUP; exec setsid sleep ${MARK}) >/dev/null 2>&1 &`],
  ['stopped', `setsid sleep ${MARK} >/dev/null 2>&1 & kill -STOP $!`],
  [
    'beneath a subreaper',
    `perl -e 'syscall(157, 36, 1, 0, 0, 0); exit if fork; system("setsid sleep ${MARK} &"); sleep 300' >/dev/null 2>&1 &`,
  ],
];

const variants: readonly { readonly namespaces: readonly Namespace[] }[] = [
  { namespaces: [] },
  ...(process.geteuid?.() === 0 ? [{ namespaces: ['pid', 'mount'] as const }] : []),
];

describe.each(ways)('%s', (_, script) => {
  const whole = `${script}\nsleep 0.2; exit 0`;

  test('a process outlives a plain spawn', () => {
    spawnSync('sh', ['-c', whole], { cwd: workspace, stdio: 'ignore' });
    expect(survivors().length).toBeGreaterThan(0);
  });

  test.each(variants)('none outlives a command with the namespaces $namespaces', async ({ namespaces }) => {
    const launched = launch({
      profile: handMade(workspace),
      program: '/bin/sh',
      args: ['sh', '-c', whole],
      environment: { PATH: '/usr/bin:/bin' },
      directory: workspace,
      namespaces,
    });
    launched.stdin?.end();
    launched.stdout?.resume();
    launched.stderr?.resume();
    const end = await launched.ended;
    expect(survivors()).toEqual([]);
    expect(end).toMatchObject({ kind: 'ended', exitCode: 0 });
    expect(end.kind === 'ended' && end.leftovers).toBeGreaterThan(0);
  });
});
