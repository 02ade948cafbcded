/** Who is to blame for a host that holds too much: whoever is left alone with the memory, or takes it along, or nobody. */
import { describe, expect, test } from 'vitest';
import { MemoryWatch, type Verdict, type Weighed } from '../../src/isolate/memory-watch.ts';

const host = (residentMb: number, runs: readonly number[], more: Partial<Weighed> = {}): Weighed => ({
  residentMb,
  busy: () => [],
  limits: new Map(runs.map((run) => [run, 100])),
  isHaunted: false,
  served: 10,
  ...more,
});

type Answer = Parameters<MemoryWatch['answered']>[0];
const answer = (gone: readonly number[], left: readonly number[], isStill = false): Answer => ({ gone, left, isStill });

/** A watch that has asked about runs 1 and 2, which may have 160 + 2 * 150 MB. */
const asked = (more: Partial<Weighed> = {}): MemoryWatch => {
  const watch = new MemoryWatch();
  expect(watch.tick(host(461, [1, 2], more))).toEqual({ kind: 'ask', cull: false });
  return watch;
};

const told = (watch: MemoryWatch, what: Answer, now: Weighed): Verdict => {
  expect(watch.answered(what)).toBe(true);
  return watch.tick(now);
};

/** A watch that has asked the host to let guests go. */
const culling = (): MemoryWatch => {
  const watch = asked();
  expect(told(watch, answer([], [1, 2]), host(461, [1, 2]))).toEqual({ kind: 'ask', cull: true });
  return watch;
};

describe('what a host may hold', () => {
  test('its room and half as much again as its guests have', () => {
    expect(new MemoryWatch().tick(host(460, [1, 2]))).toEqual({ kind: 'fine' });
    expect(new MemoryWatch().tick(host(460, [1]))).toMatchObject({ kind: 'ask' });
  });

  test('what had ended and was not cleared away yet is no fault', () => {
    const watch = asked();
    expect(told(watch, answer([], [1, 2]), host(300, [1, 2]))).toEqual({ kind: 'fine' });
    expect(watch.tick(host(461, [1, 2]))).toMatchObject({ kind: 'ask' });
  });
});

describe('who is guilty', () => {
  test('the only guest there is', () => {
    expect(told(asked(), answer([], [2]), host(461, [2]))).toMatchObject({ kind: 'kill', guilty: [2] });
  });

  test('the one that is left when the others have gone', () => {
    expect(told(culling(), answer([1], [2]), host(461, [1, 2]))).toMatchObject({ kind: 'kill', guilty: [2] });
  });

  test('the one that takes more along than it may have, when all are at rest', () => {
    const watch = culling();
    expect(told(watch, answer([], [1, 2], true), host(470, [1, 2]))).toMatchObject({ kind: 'ask' });
    expect(told(watch, answer([1], [2], true), host(319, [1, 2]))).toMatchObject({ kind: 'kill', guilty: [1] });
  });

  test.each([
    ['it takes along what it may have', answer([1], [2], true), 320],
    ['two take it along', answer([1, 2], [], true), 100],
  ])('nobody, where all were at rest and %s', (_, what, resident) => {
    const watch = culling();
    told(watch, answer([], [1, 2], true), host(470, [1, 2]));
    expect(told(watch, what, host(resident, [1, 2]))).toMatchObject({ kind: 'kill', guilty: [] });
  });

  test.each([
    ['the memory went with others that were not at rest', answer([1], [2]), host(200, [1, 2])],
    ['two are left', answer([], [1, 2]), host(461, [1, 2])],
    ['nobody is left', answer([1, 2], []), host(461, [1, 2])],
    ['the host names a guest that it does not have', answer([1], [7]), host(461, [1, 2])],
    ['an ended guest may still hold memory', answer([1], [2]), host(461, [1, 2], { isHaunted: true })],
  ])('nobody, where %s', (_, what, now) => {
    expect(told(culling(), what, now)).toMatchObject({ kind: 'kill', guilty: [] });
  });
});

describe('nothing is judged', () => {
  test('before what went is gone: while another thread is at work, and by a look that finds less than the last', () => {
    const watch = culling();
    const looks: readonly (readonly [number, readonly string[] | undefined])[] = [
      [461, ['7', '8']],
      [461, undefined],
      [470, ['7']],
      [465, ['7']],
      [465, ['8']],
      [465, ['7', '8']],
      [465, ['7']],
    ];
    expect(watch.answered(answer([1], [2]))).toBe(true);
    for (const [resident, busy] of looks) {
      expect(watch.tick(host(resident, [1, 2], { busy: () => busy }))).toEqual({ kind: 'fine' });
    }
    expect(watch.tick(host(465, [1, 2], { busy: () => ['7'] }))).toMatchObject({ kind: 'kill', guilty: [2] });
  });

  test('of guests at rest while any thread is at work', () => {
    const watch = culling();
    expect(watch.answered(answer([1], [2], true))).toBe(true);
    for (let look = 0; look < 3; look += 1) {
      expect(watch.tick(host(461, [1, 2], { busy: () => ['7'] }))).toEqual({ kind: 'fine' });
    }
    expect(watch.tick(host(461, [1, 2]))).toMatchObject({ kind: 'kill', guilty: [2] });
  });

  test('by an answer that nobody asked for, or a second one', () => {
    expect(new MemoryWatch().answered(answer([], [1]))).toBe(false);
    const watch = asked();
    expect([watch.answered(answer([], [1])), watch.answered(answer([], [1]))]).toEqual([true, false]);
  });

  test('without an answer: a host that grows on is killed, and its guest is guilty only if it never had another', () => {
    const alone = { served: 1, limits: new Map([[1, 200]]) };
    const [first, tenth] = [asked(alone), asked()];
    expect(first.tick(host(690, [1], alone))).toEqual({ kind: 'fine' });
    expect(first.tick(host(691, [1], alone))).toMatchObject({ kind: 'kill', guilty: [1] });
    expect(tenth.tick(host(691, [1]))).toMatchObject({ kind: 'kill', guilty: [] });
  });
});
