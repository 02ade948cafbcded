import { expect, test } from 'vitest';
import { ATTACKS } from '../src/kernel/attack-list.ts';
import { gotThrough, WAYS, type Attack, type Target } from '../src/kernel/attacks.ts';
import { runSelftest } from '../src/selftest.ts';

// All of them run in test/escape; here it is the report that is looked at.
test('what works outside is stopped inside, and the report says both', async () => {
  const seen: string[] = [];
  const ways = ['files', 'unix-sockets', 'terminal'] as const;
  const report = await runSelftest({ ways, onRow: ({ way }) => seen.push(way) });
  expect(report.rows.filter(({ inside }) => Object.values(inside).includes('got through'))).toEqual([]);
  expect(report).toMatchObject({ gotThrough: 0, attempted: report.stopped });
  expect(report.stopped).toBeGreaterThan(50);
  expect(new Set(seen)).toEqual(new Set(ways));
  expect(seen).toHaveLength(report.rows.length);
  // The controls are what makes the rest worth something.
  expect(report.rows.filter(({ outside }) => outside === 'works').length).toBeGreaterThan(25);
});

test('a way that does not exist is refused', async () => {
  await expect(runSelftest({ ways: ['file' as 'files'] })).rejects.toThrow(/Expected `ways`/u);
});

test('every way has an attack, and every attack has a tier that stops it', () => {
  expect(new Set(ATTACKS.map(({ way }) => way))).toEqual(new Set(WAYS));
  expect(ATTACKS.filter(({ stoppedBy }) => stoppedBy.length === 0)).toEqual([]);
});

const target = {} as Target;
const two: Attack = {
  way: 'network',
  name: 'two calls',
  stoppedBy: ['worker'],
  calls: () => [['socket'], ['connect']],
};
const probe: Attack = { ...two, probe: true };

test.each([
  [two, '3\n0\n', true],
  [two, '3\n-1\n', false],
  [two, '-1\n-9\n', false],
  [two, '3\n-111\n', false],
  [two, '3\n', false],
  [two, '', false],
  [two, '3\nstarted\n', true],
  [probe, '3\n-14\n', true],
  [probe, '3\n-22\n', true],
  [probe, '3\n-1\n', false],
  [probe, '-13\n-9\n', false],
  [probe, '3\n-38\n', false],
])('%o with %j got through: %s', (attack, stdout, through) => {
  expect(gotThrough(attack, target, stdout)).toBe(through);
});
