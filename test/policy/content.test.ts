import { expect, test } from 'vitest';
import type { Findings } from '../../src/model/content.ts';
import { decideContent } from '../../src/policy/content.ts';

const finding = (kind: 'pii' | 'secret', type: string, pointer = '/text') => ({
  kind,
  type,
  rule: type.toLowerCase(),
  pointer,
  start: 0,
  end: 3,
});
const pii: Findings = [finding('pii', 'PHONE_NUMBER'), finding('pii', 'EMAIL'), finding('pii', 'EMAIL')];
const secret: Findings = [finding('secret', 'SECRET')];

test('block denies with the types in the reason; flag and mask allow and record', () => {
  const [blocked] = decideContent({ findings: pii, pii: 'block', secrets: 'redact' });
  expect(blocked).toMatchObject({ step: 'detect_pii', outcome: 'deny', reason: 'PII detected: EMAIL, PHONE_NUMBER' });
  for (const action of ['flag', 'mask'] as const) {
    const [ruling] = decideContent({ findings: pii, pii: action, secrets: 'redact' });
    expect(ruling?.outcome).toBe('allow');
    expect(ruling?.detections).toEqual([
      { step: 'detect_pii', type: 'PHONE_NUMBER', detail: 'phone_number', at: '/text', count: 1 },
      { step: 'detect_pii', type: 'EMAIL', detail: 'email', at: '/text', count: 2 },
    ]);
  }
});

test('a secret is judged by its own flag and step', () => {
  const [one, two] = decideContent({ findings: secret, pii: 'block', secrets: 'block' });
  expect(one).toEqual({ step: 'detect_pii', outcome: 'allow' });
  expect(two).toMatchObject({ step: 'detect_secrets', outcome: 'deny', reason: 'Secrets detected: secret' });
});

test('lockdown turns a finding into a block whatever the flag says; nothing found stays allowed', () => {
  const rulings = decideContent({ findings: [...pii, ...secret], pii: 'mask', secrets: 'flag', mode: 'lockdown' });
  expect(rulings.map(({ outcome }) => outcome)).toEqual(['deny', 'deny']);
  expect(
    decideContent({ findings: [], pii: 'block', secrets: 'block', mode: 'lockdown' }).map(({ outcome }) => outcome),
  ).toEqual(['allow', 'allow']);
});

test('the rewrites are carried once, by a ruling that asks for them', () => {
  const rewrites = [{ pointer: '/text', value: '[REDACTED]' }];
  const of = (pii: 'mask' | 'flag', secrets: 'redact' | 'flag', findings: Findings): number[] =>
    decideContent({ findings, pii, secrets, rewrites }).map((ruling) => ruling.rewrites?.length ?? 0);
  expect(of('mask', 'redact', [...pii, ...secret])).toEqual([0, 1]);
  expect(of('mask', 'redact', pii)).toEqual([1, 0]);
  expect(of('mask', 'flag', [...pii, ...secret])).toEqual([1, 0]);
  expect(of('flag', 'flag', [...pii, ...secret])).toEqual([0, 0]);
});
