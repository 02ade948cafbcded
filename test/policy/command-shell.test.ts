/** What a real shell starts is among what was shown: the text is run, with programs that only write down their arguments. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { array, assert, constantFrom, property } from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decideCommand, resolveCommands } from '../../src/policy/command.ts';

const shells = ['/bin/sh', '/bin/bash', '/bin/dash', '/bin/zsh'].filter((shell) => existsSync(shell));
let directory: string;
let log: string;
let bin: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tappass-shell-'));
  bin = join(directory, 'bin');
  log = join(directory, 'log');
  mkdirSync(bin);
  for (const name of ['p', 'q']) {
    const program = join(bin, name);
    // By one write: the programs of a pipeline write at the same time.
    writeFileSync(program, `#!/bin/sh\nargv=$(printf '%s\\001' ${name} "$@")\nprintf '%s\\002' "$argv" >> '${log}'\n`);
    chmodSync(program, 0o755);
  }
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** The argv of every program that the shell started. */
const startedBy = (shell: string, text: string): readonly string[] => {
  writeFileSync(log, '');
  spawnSync(shell, ['-c', text], { cwd: directory, env: { PATH: bin }, stdio: 'ignore', timeout: 10_000 });
  return readFileSync(log, 'utf8')
    .split('\u0002')
    .filter((argv) => argv !== '');
};

const shownAs = (text: string): ReadonlySet<string> =>
  new Set((resolveCommands(text) ?? []).map((argv) => argv.map((word) => `${word}\u0001`).join('')));

const bits = constantFrom(
  'p',
  'q',
  'p a',
  'q "b c"',
  "p 'd e'",
  ' ',
  '  ',
  '\t',
  '\n',
  ';',
  '&&',
  '||',
  '|',
  '&',
  'a',
  '-x',
  '--y=z',
  'a=b',
  '~',
  '~/x',
  '#',
  ' #',
  '$HOME',
  '$(p)',
  '`q`',
  '*',
  '?',
  '[a]',
  '{a,b}',
  '"',
  "'",
  '\\',
  '\\\n',
  '>',
  '> f',
  '2>&1',
  '2>/dev/null',
  '</dev/null',
  '<<E',
  '!',
  '! p',
  'if p',
  'then',
  'fi',
  '(',
  ')',
  '{',
  '}',
  'x',
  '1',
  '2',
  ':',
  '.',
  '..',
  '/',
  ',',
  '@',
  '%',
  '^',
  '+',
  '=',
  '=p',
  'é',
  '\u00a0',
  '\u0085',
  '\r',
  'eval p',
  'exec q',
  'time p',
  'p\\ q',
  '"a$b"',
  "$'a'",
  '|&',
  '&>f',
  ';;',
);
const texts = array(bits, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));

const isAllowed = (text: string): boolean =>
  decideCommand(
    { kind: 'command', pointer: '', command: text },
    { files: 'allow', db: 'allow', email: 'allow' },
    { commands: ['p', 'q'] },
  ).outcome === 'allow';

test('what an allow-list of two programs lets through starts those two, as shown, in every shell', () => {
  expect(shells.length).toBeGreaterThan(0);
  let allowed = 0;
  assert(
    property(texts, (text) => {
      if (!isAllowed(text)) return;
      allowed += 1;
      // Each costs a process in every shell; the first ones are as random as the others.
      if (allowed > 80) return;
      const commands = shownAs(text);
      for (const shell of shells) {
        expect([shell, text, startedBy(shell, text).filter((argv) => !commands.has(argv))]).toEqual([shell, text, []]);
      }
    }),
    { numRuns: 6_000 },
  );
  expect(allowed).toBeGreaterThan(80);
});

test.each([
  [`p "a b" 'c' d\\ e`, undefined],
  [`p "a b" 'c'; q 2>&1 | p x && q`, ['p a b c', 'q', 'p x', 'q']],
  ['bash -c "p x"', ['p x']],
  [`p 'a\nb' -x`, ['p a\nb -x']],
])('%j is shown as what it starts', (text, expected) => {
  expect(resolveCommands(text)?.map((argv) => argv.join(' '))).toEqual(expected);
});

test.each([
  '$(printf p) x',
  'x=p; $x',
  'eval "p x"',
  'exec q',
  'p `q`',
  '{ p; }',
  'p & q',
  'command p',
  'if p; then q; fi',
])('%s does start a program, and is not allowed', (text) => {
  expect(startedBy('/bin/sh', text).length).toBeGreaterThan(0);
  expect(isAllowed(text)).toBe(false);
  expect(isAllowed('p x; q')).toBe(true);
});
