import { describe, expect, test } from 'vitest';
import { allowRuling, denyRuling } from '../../src/model/decision.ts';
import type { Ruling } from '../../src/model/decision.ts';
import { MODES } from '../../src/model/flags.ts';
import { settle } from '../../src/policy/mode.ts';

const judged = (...rulings: Ruling[]) => ({
  rulings,
  effects: [],
  basis: 'declared' as const,
  classification: 'PUBLIC' as const,
});
const denied = denyRuling('check_files', 'file.outside-workspace', 'writes stay in the workspace');
const noticed = allowRuling('check_db', { detections: [{ step: 'check_db', type: 'mass_update' }] });
const rewritten = allowRuling('check_email', { rewrites: [{ pointer: '/to', value: 'me@company.com' }] });

test.each(MODES)('%s allows a call that nothing objects to', (mode) => {
  expect(settle(mode, judged(allowRuling('filter_tools')))).toMatchObject({
    outcome: 'allow',
    allowed: true,
    flagged: false,
  });
});

describe('a denial', () => {
  test.each(['enforce', 'lockdown'] as const)('blocks under %s', (mode) => {
    expect(settle(mode, judged(denied))).toMatchObject({
      outcome: 'deny',
      blockedBy: 'check_files',
      code: 'file.outside-workspace',
    });
  });

  test.each(['observe', 'warn'] as const)('is recorded and let pass under %s', (mode) => {
    const decision = settle(mode, judged(denied));
    expect(decision).toMatchObject({
      outcome: 'allow',
      wouldBlock: { blockedBy: 'check_files' },
      flagged: mode === 'warn',
    });
    expect(decision).not.toHaveProperty('blockedBy');
    expect(decision.detections).toHaveLength(1);
  });

  test.each(MODES)('that is hard blocks under %s', (mode) => {
    expect(settle(mode, judged({ ...denied, hard: true })).allowed).toBe(false);
  });

  test('without a code or a reason still blocks', () => {
    expect(settle('enforce', judged({ step: 'check_db', outcome: 'deny' })).allowed).toBe(false);
  });
});

describe('a detection', () => {
  test.each(['observe', 'warn', 'enforce'] as const)('does not block under %s', (mode) => {
    expect(settle(mode, judged(noticed))).toMatchObject({ allowed: true, flagged: mode === 'warn' });
  });

  test('blocks under lockdown', () => {
    expect(settle('lockdown', judged(noticed))).toMatchObject({ allowed: false, blockedBy: 'check_db' });
  });
});

test.each(MODES)('a rewrite stands under %s', (mode) => {
  expect(settle(mode, judged(rewritten)).rewrites).toHaveLength(1);
});

test('unknown effects block under lockdown, inferred ones do not', () => {
  expect(settle('lockdown', { ...judged(), basis: 'unknown' }).allowed).toBe(false);
  expect(settle('lockdown', { ...judged(), basis: 'inferred' }).allowed).toBe(true);
  expect(settle('enforce', { ...judged(), basis: 'unknown' }).allowed).toBe(true);
});
