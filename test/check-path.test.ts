/** `checkPath`: the decision of a governed call about one path, and no more. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkPath } from '../src/check-path.ts';
import type { FileAccess } from '../src/model/effect.ts';
import type { FilesFlag } from '../src/model/flags.ts';

let top: string;
let workspace: string;
beforeAll(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-check-')));
  workspace = join(top, 'ws');
  mkdirSync(workspace);
  writeFileSync(join(top, 'secret'), '');
  symlinkSync('../secret', join(workspace, 'link'));
});
afterAll(() => rmSync(top, { recursive: true }));

const check = (path: string, access: FileAccess, flag: FilesFlag) => checkPath(path, { access, flag, workspace });

test('project: writes beneath the workspace, reads anywhere', async () => {
  expect(await check('new', 'write', 'project')).toEqual({
    allowed: true,
    access: 'write',
    path: 'new',
    resolved: { real: join(workspace, 'new'), exists: false, beneath: 'new' },
  });
  expect(await check('../secret', 'read', 'project')).toMatchObject({ allowed: true });
  expect(await check('../secret', 'write', 'project')).toMatchObject({
    allowed: false,
    code: 'file.outside-workspace',
  });
  expect(await check('link', 'write', 'project')).toMatchObject({ allowed: false, code: 'file.outside-workspace' });
  expect(await check('/proc/self/cwd/x', 'write', 'project')).toMatchObject({
    allowed: false,
    code: 'file.unresolvable',
  });
});

test('read_only, block and allow', async () => {
  expect(await check('new', 'read', 'read_only')).toMatchObject({ allowed: true });
  expect(await check('new', 'write', 'read_only')).toMatchObject({ allowed: false, code: 'file.read-only' });
  expect(await check('new', 'read', 'block')).toMatchObject({ allowed: false, code: 'file.blocked' });
  expect(await check('/etc/passwd', 'write', 'allow')).toEqual({ allowed: true, access: 'write', path: '/etc/passwd' });
});

test('a rule that cannot be read denies; case and blanks are read', async () => {
  expect(await check('new', 'read', ' Project ' as FilesFlag)).toMatchObject({ allowed: true });
  for (const flag of ['', 'projekt', undefined, null, {}]) {
    expect(await check('new', 'read', flag as FilesFlag)).toMatchObject({ allowed: false, code: 'file.unknown-flag' });
  }
  for (const access of ['', 'READ', 'execute', undefined]) {
    expect(await check('new', access as FileAccess, 'allow')).toMatchObject({
      allowed: false,
      code: 'file.unknown-access',
    });
  }
});

test('a workspace that is no directory is an error of the program', async () => {
  const options = { access: 'read', flag: 'project', workspace: join(top, 'secret') } as const;
  await expect(checkPath('x', options)).rejects.toMatchObject({ code: 'TAPPASS_CONFIG' });
});
