/** Becoming more than one is: set-user-id programs, and what uid 0 owns without any Linux capability. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../../src/run-command.ts';

/** Not beneath /tmp, which is mounted nosuid on many machines. */
const root = mkdtempSync('/var/tmp/escape-privileges-');
const theirs = join(root, 'theirs');
const roots = join(root, 'roots');
const setuid = join(root, 'setuid-id');
const SOMEBODY = 4711;

describe.runIf(process.geteuid?.() === 0)('for root', () => {
  beforeAll(() => {
    chmodSync(root, 0o755);
    mkdirSync(theirs);
    mkdirSync(roots);
    writeFileSync(join(theirs, 'theirs'), 'theirs');
    writeFileSync(join(theirs, 'roots'), 'roots', { mode: 0o600 });
    chownSync(theirs, SOMEBODY, SOMEBODY);
    chownSync(join(theirs, 'theirs'), SOMEBODY, SOMEBODY);
    copyFileSync('/usr/bin/id', setuid);
    chmodSync(setuid, 0o4755);
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test('a set-user-id program makes somebody root outside', () => {
    const { stdout } = spawnSync(setuid, ['-u'], { uid: SOMEBODY, gid: SOMEBODY, encoding: 'utf8' });
    expect(stdout).toBe('0\n');
  });

  test("in somebody's workspace root becomes somebody, and no program makes it root again", async () => {
    const { stdout, report } = await runCommand([setuid, '-u'], { workspace: theirs, commands: [setuid] });
    expect(stdout).toBe(`${SOMEBODY}\n`);
    expect(report.layers).toContainEqual({
      layer: 'identity',
      requested: true,
      enforced: 'full',
      detail: `uid ${SOMEBODY}`,
    });
  });

  test('there it can read what is theirs, and not what is only root’s', async () => {
    const { stdout, exitCode } = await runCommand(['cat', 'theirs', 'roots'], { workspace: theirs });
    expect([stdout, exitCode]).toEqual(['theirs', 1]);
  });

  test('it makes files as that user, and has a private HOME to do so', async () => {
    const script = 'touch made "$HOME/made" "$TMPDIR/made" && stat -c %u made "$HOME/made"';
    expect((await runCommand(['sh', '-c', script], { workspace: theirs })).stdout).toBe(`${SOMEBODY}\n${SOMEBODY}\n`);
  });

  test('uid 0 in a workspace of its own has no Linux capability to use', async () => {
    const change = 'touch own && chown 4711 own && echo changed; chmod 600 own && echo kept';
    expect(spawnSync('sh', ['-c', change], { cwd: roots, encoding: 'utf8' }).stdout).toBe('changed\nkept\n');
    rmSync(join(roots, 'own'));
    expect((await runCommand(['sh', '-c', change], { workspace: roots, commands: ['chown'] })).stdout).toBe('kept\n');
  });

  test.each(['/etc/shadow', '/proc/1/environ', '/proc/kcore'])('uid 0 does not read %s', async (path) => {
    expect(readFileSync('/etc/shadow', 'utf8')).not.toBe('');
    expect((await runCommand(['head', '-c', '1', path], { workspace: roots })).stdout).toBe('');
  });
});
