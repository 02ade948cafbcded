import { describe, expect, test } from 'vitest';
import { DEFAULT_FLAGS } from '../../src/model/flags.ts';
import type { FlagName } from '../../src/model/flags.ts';
import { budgetCaps, isAsTight, mergeFlags } from '../../src/policy/locks.ts';

test('a lock on any flag is a lock on the mode that would lift it', () => {
  const over = { mode: 'observe' } as const;
  expect(mergeFlags(DEFAULT_FLAGS, over, new Set(['files'])).flags.mode).toBe('enforce');
  expect(mergeFlags(DEFAULT_FLAGS, over, new Set(['files'])).ignored).toMatchObject([
    { flag: 'mode', value: 'observe' },
  ]);
  expect(mergeFlags(DEFAULT_FLAGS, { mode: 'lockdown' }, new Set(['files'])).flags.mode).toBe('lockdown');
  expect(mergeFlags(DEFAULT_FLAGS, over, new Set()).flags.mode).toBe('observe');
});

describe('a locked flag', () => {
  test.each<[FlagName, string, string, boolean]>([
    ['mode', 'enforce', 'lockdown', true],
    ['mode', 'enforce', 'observe', false],
    ['files', 'project', 'read_only', true],
    ['files', 'read_only', 'project', false],
    ['db', 'read_only', 'allow', false],
    ['db', 'safe_write', 'block', true],
    ['pii', 'mask', 'block', true],
    ['pii', 'mask', 'flag', false],
    ['secrets', 'redact', 'flag', false],
    ['tools', 'log', 'denylist:a', true],
    ['tools', 'allowlist:a:b', 'allowlist:a', true],
    ['tools', 'allowlist:a', 'allowlist:a:b', false],
    ['tools', 'allowlist:a', 'denylist:b', false],
    ['tools', 'denylist:a', 'denylist:a:b', true],
    ['tools', 'denylist:a:b', 'denylist:a', false],
    ['tools', 'denylist:a', 'allowlist:b', true],
    ['tools', 'denylist:a', 'allowlist:a:b', false],
    ['tools', 'block', 'log', false],
    ['tools', 'allowlist:a', 'block', true],
    ['email', 'internal:a.com', 'internal:b.com', false],
    ['email', 'internal:a.com', 'INTERNAL:A.com', true],
    ['email', 'internal:a.com', 'mirror:x@a.com', false],
    ['email', 'mirror:x@a.com', 'mirror:y@a.com', false],
    ['email', 'mirror:x@a.com', 'allow', false],
    ['email', 'allow', 'mirror:x@a.com', true],
    ['email', 'mirror:x@a.com', 'block', true],
    ['budget', 'standard', 'dev', true],
    ['budget', 'dev', 'standard', false],
    ['budget', 'dev', 'custom:0.1:0.5', false],
    ['budget', 'unlimited', 'custom:0.1:0.5', true],
    ['budget', 'custom:0.1:5', 'custom:0.05:5', true],
  ])('%s: from %s to %s is as tight: %s', (flag, current, next, expected) => {
    expect(isAsTight(flag, current, next)).toBe(expected);
  });

  test('takes a tighter value and refuses a looser one, which is reported', () => {
    const base = { ...DEFAULT_FLAGS, files: 'project' as const };
    const locked = new Set<FlagName>(['files', 'mode']);
    expect(mergeFlags(base, { files: 'block' }, locked)).toEqual({ flags: { ...base, files: 'block' }, ignored: [] });
    const refused = mergeFlags(base, { files: 'allow', mode: 'observe', pii: 'mask' }, locked);
    expect(refused.flags).toEqual({ ...base, pii: 'mask' });
    expect(refused.ignored.map(({ flag }) => flag)).toEqual(['files', 'mode']);
  });

  test('an unlocked flag takes any value', () => {
    expect(mergeFlags({ ...DEFAULT_FLAGS, files: 'block' }, { files: 'allow' }, new Set()).flags.files).toBe('allow');
  });
});

test('a budget that cannot be read caps at zero', () => {
  expect(budgetCaps('custom:x:y')).toEqual({ perCall: 0, perSession: 0, perDay: Infinity });
  expect(budgetCaps('dev')).toEqual({ perCall: Infinity, perSession: 1, perDay: 5 });
  expect(budgetCaps('standard')).toEqual({ perCall: Infinity, perSession: 10, perDay: 50 });
});
