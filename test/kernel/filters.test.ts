/** Filters that are compiled beforehand are the compiler's own, and are taken only for what they were compiled from. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { filtersOf, parseReadyMade, READY_MADE, readyMadeFile, sourceOf } from '../../src/kernel/filters.ts';
import { loadProfile } from '../../src/kernel/profile-files.ts';
import { compileSeccomp } from '../../src/kernel/seccomp.ts';
import { compileNamed, compileOrThrow } from './compiled.ts';
import { readyMadeFiles } from './ready-made.ts';

const folder = join(import.meta.dirname, '..', '..', 'sandbox-profiles', 'filters');
const worker = loadProfile('worker').profile;
const given = sourceOf(worker, 'x64', [], []);
const compiledHere = filtersOf('', given);
const { source } = compiledHere;

test('each is what the compiler makes of it today, and there is no other: `node test/kernel/generate-filters.ts`', () => {
  const expected = readyMadeFiles();
  const present = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  expect(present.sort()).toEqual([...expected.keys()].sort());
  for (const [path, content] of expected) expect([path, readFileSync(path, 'latin1')]).toEqual([path, content]);
});

test.each(READY_MADE)('%s has the filters that its rules make, on each host', (name) => {
  for (const architecture of ['x64', 'arm64'] as const) {
    for (const landlockAbi of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
      for (const connect of name === 'worker' && landlockAbi >= 4 ? [[], [443]] : [[]]) {
        const { compiled, explanation } = compileNamed(name, {
          host: { architecture, landlockAbi, seccomp: true, pidNamespace: true },
          connect,
          allowDegraded: ['landlock-scope'],
        });
        const { fallback, rules, runningRules } = explanation;
        const at = [name, architecture, landlockAbi, connect];
        expect([...at, Buffer.from(compiled.seccomp)]).toEqual([
          ...at,
          Buffer.from(compileSeccomp({ fallback, rules }, architecture)),
        ]);
        expect([...at, Buffer.from(compiled.seccompInProcess)]).toEqual([
          ...at,
          Buffer.from(compileSeccomp({ fallback, rules: runningRules }, architecture)),
        ]);
      }
    }
  }
});

test('a profile of one’s own by the same name is compiled from its own rules', () => {
  const { syscalls } = worker;
  const stricter = {
    ...worker,
    syscalls: {
      ...syscalls,
      rules: [{ calls: ['mkdir'], action: 'EPERM' as const, why: 'for this' }, ...syscalls.rules],
    },
  };
  const plain = compileOrThrow(worker).compiled;
  const own = compileOrThrow(stricter).compiled;
  expect(Buffer.from(own.seccomp)).not.toEqual(Buffer.from(plain.seccomp));
  expect(Buffer.from(own.seccomp)).toEqual(Buffer.from(filtersOf('', sourceOf(stricter, 'x64', [], [])).newProcess()));
  expect(own.digest).not.toBe(plain.digest);
});

const [first = '', newProcess = '', running = ''] = readFileSync(readyMadeFile('worker', given), 'latin1').split('\n');
const lax = Buffer.from(compileSeccomp({ fallback: 'allow', rules: [] }, 'x64')).toString('base64');

test('a file is taken where it was compiled from this very text', () => {
  expect(first).toBe(source);
  const taken = parseReadyMade([source, lax, running, ''].join('\n'), source);
  expect([taken?.newProcess(), taken?.running()]).toEqual(
    [lax, running].map((line) => new Uint8Array(Buffer.from(line, 'base64'))),
  );
});

test.each([
  ['of other rules', [first.replace('EPERM', 'allow'), lax, lax, '']],
  ['of rules that begin the same', [`${first} `, lax, lax, '']],
  ['of another architecture', [first.replace('x64', 'arm64'), lax, lax, '']],
  ['of another network line', [first.replace('"none"', '"any"'), lax, lax, '']],
  ['without its last line', [first, lax]],
  ['cut short', [first, newProcess, running.slice(0, -3)]],
  ['whose first filter is cut short', [first, newProcess.slice(0, -3), running, '']],
  ['with bytes that are no base64', [first, `!${lax}`, lax, '']],
  ['with an empty filter', [first, '', lax, '']],
  ['with lines as on another system', [`${first}\r`, `${lax}\r`, `${lax}\r`, '']],
  ['with more in it', [first, lax, lax, 'more']],
  ['with more lines', [first, lax, lax, '', lax]],
  ['that is empty', []],
])('a file %s is left alone', (_, lines) => {
  expect(parseReadyMade(lines.join('\n'), source)?.newProcess()).toBeUndefined();
});

test('without a file the filters are compiled, and no name leads out of the folder', () => {
  expect(READY_MADE.map((name) => dirname(dirname(readyMadeFile(name, given))))).toEqual(READY_MADE.map(() => folder));
  for (const name of ['../worker', 'mine', 'observer']) {
    const filters = filtersOf(name, given);
    expect(Buffer.from(filters.running())).toEqual(Buffer.from(compiledHere.running()));
    expect(Buffer.from(filters.newProcess())).toEqual(Buffer.from(compiledHere.newProcess()));
  }
});
