/** Who is to blame for a host that holds too much: whoever is left alone with the memory, or nobody. */
import { describe, expect, test } from 'vitest';
import { MemoryWatch, type Weighed } from '../../src/isolate/memory-watch.ts';

const host = (residentMb: number, runs: readonly number[], more: Partial<Weighed> = {}): Weighed => ({
  residentMb,
  limits: new Map(runs.map((run) => [run, 100])),
  isHaunted: false,
  served: 10,
  ...more,
});

/** A watch that has asked about runs 1 and 2, which may have 160 + 2 * 150 MB. */
const asked = (more: Partial<Weighed> = {}) => {
  const watch = new MemoryWatch();
  expect(watch.tick(host(461, [1, 2], more))).toEqual({ kind: 'ask', cull: false });
  return watch;
};

describe('what a host may hold', () => {
  test('its room and half as much again as its guests have', () => {
    expect(new MemoryWatch().tick(host(460, [1, 2]))).toEqual({ kind: 'fine' });
    expect(new MemoryWatch().tick(host(460, [1]))).toMatchObject({ kind: 'ask' });
  });

  test('what had ended and was not cleared away yet is no fault', () => {
    const watch = asked();
    expect(watch.weighed({ gone: [], left: [1, 2] }, host(300, [1, 2]))).toEqual({ kind: 'fine' });
    expect(watch.tick(host(461, [1, 2]))).toMatchObject({ kind: 'ask' });
  });
});

describe('who is guilty', () => {
  test('the only guest there is', () => {
    expect(asked().weighed({ gone: [], left: [2] }, host(461, [2]))).toMatchObject({ kind: 'kill', guilty: [2] });
  });

  test('the one that is left when the others have gone', () => {
    const watch = asked();
    expect(watch.weighed({ gone: [], left: [1, 2] }, host(461, [1, 2]))).toEqual({ kind: 'ask', cull: true });
    expect(watch.weighed({ gone: [1], left: [2] }, host(461, [1, 2]))).toMatchObject({ kind: 'kill', guilty: [2] });
  });

  test.each([
    ['the memory went with the others', { gone: [1], left: [2] }, host(200, [1, 2])],
    ['two are left', { gone: [], left: [1, 2] }, host(461, [1, 2])],
    ['nobody is left', { gone: [1, 2], left: [] }, host(461, [1, 2])],
    ['the host names a guest that it does not have', { gone: [1], left: [7] }, host(461, [1, 2])],
    ['an ended guest may still hold memory', { gone: [1], left: [2] }, host(461, [1, 2], { isHaunted: true })],
  ])('nobody, where %s', (_, answer, now) => {
    const watch = asked();
    watch.weighed({ gone: [], left: [1, 2] }, host(461, [1, 2]));
    expect(watch.weighed(answer, now)).toMatchObject({ kind: 'kill', guilty: [] });
  });

  test('an answer that nobody asked for is none', () => {
    expect(new MemoryWatch().weighed({ gone: [], left: [1] }, host(461, [1]))).toBeUndefined();
  });

  test('a host that grows on without an answer is killed, and its guest is guilty only if it never had another', () => {
    const alone = { served: 1, limits: new Map([[1, 200]]) };
    const [first, tenth] = [asked(alone), asked()];
    expect(first.tick(host(690, [1], alone))).toEqual({ kind: 'fine' });
    expect(first.tick(host(691, [1], alone))).toMatchObject({ kind: 'kill', guilty: [1] });
    expect(tenth.tick(host(691, [1]))).toMatchObject({ kind: 'kill', guilty: [] });
  });
});
