/** What each `files` flag allows, and that nothing else is. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  accessOf,
  FILE_OPERATIONS,
  type FileEffect,
  type FileOperation,
  type ResolvedPath,
} from '../../src/model/effect.ts';
import { FILES_LEVELS, type FilesFlag } from '../../src/model/flags.ts';
import { decideConfined, decideFile } from '../../src/policy/file.ts';

const INSIDE: ResolvedPath = { real: '/ws/a', exists: true, beneath: 'a' };
const OUTSIDE: ResolvedPath = { real: '/ws-old/a', exists: true };
const ROOT: ResolvedPath = { real: '/ws', exists: true, beneath: '' };

const effect = (operation: FileOperation, resolved?: ResolvedPath, path = resolved?.real ?? 'a'): FileEffect => ({
  kind: 'file',
  pointer: '/path',
  operation,
  access: accessOf(operation),
  path,
  ...(resolved && { resolved }),
});

const READS: readonly FileOperation[] = ['read', 'list', 'stat'];
const outcome = (one: FileEffect, flag: FilesFlag) => decideFile(one, flag).outcome;

describe.each(FILE_OPERATIONS)('%s', (operation) => {
  const isRead = READS.includes(operation);
  test('allow: anywhere, resolved or not', () => {
    expect(outcome(effect(operation, OUTSIDE), 'allow')).toBe('allow');
    expect(outcome(effect(operation), 'allow')).toBe('allow');
  });
  test('project: inside yes, outside only to read, unresolved no', () => {
    expect(outcome(effect(operation, INSIDE), 'project')).toBe('allow');
    expect(outcome(effect(operation, OUTSIDE), 'project')).toBe(isRead ? 'allow' : 'deny');
    expect(decideFile(effect(operation), 'project')).toMatchObject({ outcome: 'deny', code: 'file.unresolvable' });
  });
  test('read_only: reads only, wherever', () => {
    expect(outcome(effect(operation, INSIDE), 'read_only')).toBe(isRead ? 'allow' : 'deny');
    expect(outcome(effect(operation, OUTSIDE), 'read_only')).toBe(isRead ? 'allow' : 'deny');
    expect(outcome(effect(operation), 'read_only')).toBe('deny');
  });
  test('block: nothing', () => {
    expect(decideFile(effect(operation, INSIDE), 'block')).toMatchObject({ outcome: 'deny', code: 'file.blocked' });
  });
  test('confined: inside only, reads included', () => {
    expect(decideConfined(effect(operation, INSIDE)).outcome).toBe('allow');
    expect(decideConfined(effect(operation, OUTSIDE))).toMatchObject({
      outcome: 'deny',
      code: 'file.outside-workspace',
    });
    expect(decideConfined(effect(operation)).outcome).toBe('deny');
  });
});

test('the workspace itself may be listed and made, but not removed or moved: that changes the directory above', () => {
  expect(outcome(effect('list', ROOT), 'project')).toBe('allow');
  expect(outcome(effect('mkdir', ROOT), 'project')).toBe('allow');
  expect(outcome(effect('remove', ROOT), 'project')).toBe('deny');
  expect(outcome(effect('rename', ROOT), 'project')).toBe('deny');
  expect(decideConfined(effect('remove', ROOT)).outcome).toBe('deny');
});

test('the directory of the runtime may be read but not changed: the journal is in it', () => {
  for (const beneath of ['.tappass', '.tappass/audit/1.jsonl', 'sub/.tappass/audit', '.TapPass/audit']) {
    const resolved = { real: `/ws/${beneath}`, exists: true, beneath };
    for (const operation of FILE_OPERATIONS.filter((name) => accessOf(name) === 'write')) {
      expect(decideFile(effect(operation, resolved), 'project')).toMatchObject({ code: 'file.reserved' });
      expect(decideConfined(effect(operation, resolved))).toMatchObject({ code: 'file.reserved' });
    }
    expect(outcome(effect('read', resolved), 'project')).toBe('allow');
    expect(outcome(effect('write', resolved), 'allow')).toBe('allow');
  }
  const beside = { real: '/ws/.tappass-notes', exists: true, beneath: '.tappass-notes' };
  expect(outcome(effect('write', beside), 'project')).toBe('allow');
});

test('nor under any name that a file system which folds names has for it', () => {
  const names = [
    '.TAPPASS',
    '.tappaß',
    '.TAPPAẞ',
    '.tappa\u017fs',
    '.tap\u200cpass',
    '.tappass\ufeff',
    '.t\u00adappass',
  ];
  const ofWindows = ['.tappass.', '.tappass . ', '.tappass::$INDEX_ALLOCATION', 'TAPPAS~1', 'tappas~12', 'TA3F0C~1'];
  for (const name of [...names, ...ofWindows]) {
    for (const beneath of [name, `${name}/audit/1.jsonl`, `sub/${name}/x`]) {
      const resolved = { real: `/ws/${beneath}`, exists: false, beneath };
      expect(decideFile(effect('write', resolved), 'project')).toMatchObject({ code: 'file.reserved' });
      expect(outcome(effect('read', resolved), 'project')).toBe('allow');
    }
  }
  const others = [
    '.tappäss',
    'tappass',
    '.tappass.bak',
    '.tappasses/x',
    'x.tappass',
    'straße',
    'TAPE~1',
    'notes~1',
    '漢字',
  ];
  for (const beneath of others) {
    const resolved = { real: `/ws/${beneath}`, exists: false, beneath };
    expect(outcome(effect('write', resolved), 'project')).toBe('allow');
  }
});

test.each(['', 'Project', 'readonly', 'ALLOW', 'toString', undefined, null, 1])('the flag %j denies', (flag) => {
  expect(decideFile(effect('read', INSIDE), flag as FilesFlag)).toMatchObject({
    outcome: 'deny',
    step: 'check_files',
    code: 'file.unknown-flag',
  });
});

test('access and operation that disagree are judged as a write', () => {
  expect(outcome({ ...effect('read', OUTSIDE), access: 'write' }, 'project')).toBe('deny');
  expect(outcome({ ...effect('write', OUTSIDE), access: 'read' }, 'project')).toBe('deny');
  expect(outcome({ ...effect('read', OUTSIDE), operation: 'chown' as FileOperation }, 'project')).toBe('deny');
});

test('a fault denies, whatever else the effect says', () => {
  const ruling = decideFile({ ...effect('read', INSIDE), fault: 'the path contains a NUL byte' }, 'project');
  expect(ruling).toMatchObject({ outcome: 'deny', code: 'file.unresolvable', reason: expect.stringContaining('NUL') });
});

test('the argument becomes the real path, where it was written differently', () => {
  expect(decideFile(effect('write', INSIDE, './x/../a'), 'project').rewrites).toEqual([
    { pointer: '/path', value: '/ws/a' },
  ]);
  expect(decideFile(effect('read', OUTSIDE, '../ws-old/a'), 'read_only').rewrites).toEqual([
    { pointer: '/path', value: '/ws-old/a' },
  ]);
  expect(decideFile(effect('write', INSIDE, '/ws/a'), 'project').rewrites).toBeUndefined();
});

test('a reason names paths of the workspace, never a path of the host', () => {
  const reason = (path: string, resolved?: ResolvedPath) =>
    decideFile(effect('write', resolved, path), 'project').reason;
  expect(reason('link/secret', OUTSIDE)).toContain('"link/secret"');
  expect(decideFile(effect('write', INSIDE), 'read_only').reason).toContain('"a"');
  for (const path of [
    '/ws-old/a',
    '../ws-old/a',
    'x/../../ws-old/a',
    'file:///ws-old/a',
    '~root/ws-old',
    'C:\\ws-old',
    '..\\ws-old',
  ]) {
    expect(reason(path, OUTSIDE)).not.toContain('ws-old');
    expect(reason(path)).not.toContain('ws-old');
  }
  expect(reason('x'.repeat(4000), OUTSIDE)?.length).toBeLessThan(400);
  expect(reason('a\n\u001b[31m', OUTSIDE)).toContain('"a\\n\\u001b[31m"');
});

test('whatever the effect: an allowed write is beneath, and a denial has a step, a code and a reason', () => {
  const resolved = fc.option(
    fc.record({ real: fc.string(), exists: fc.boolean(), beneath: fc.string() }, { requiredKeys: ['real', 'exists'] }),
    { nil: undefined },
  );
  const anyEffect = fc.record({
    operation: fc.constantFrom(...FILE_OPERATIONS),
    path: fc.string({ unit: 'binary' }),
    resolved,
  });
  fc.assert(
    fc.property(
      anyEffect,
      fc.oneof(fc.constantFrom(...FILES_LEVELS), fc.string()),
      ({ operation, path, resolved }, flag) => {
        const ruling = decideFile(effect(operation, resolved, path), flag as FilesFlag);
        expect(ruling.step).toBe('check_files');
        const isSafe =
          flag === 'allow' || accessOf(operation) === 'read' || (flag === 'project' && resolved?.beneath !== undefined);
        expect(ruling.outcome === 'deny' || isSafe).toBe(true);
        expect(ruling.outcome === 'allow' || /^file\../u.test(ruling.code ?? '')).toBe(true);
        expect(ruling.outcome === 'allow' || (ruling.reason ?? '') !== '').toBe(true);
      },
    ),
  );
});
