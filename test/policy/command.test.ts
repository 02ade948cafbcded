import { describe, expect, test } from 'vitest';
import type { Flags } from '../../src/model/flags.ts';
import { decideCommand, resolveCommands, type CommandFlags, type CommandOptions } from '../../src/policy/command.ts';

const open: CommandFlags = { files: 'allow', db: 'allow', email: 'allow' };
const judge = (
  command: string | readonly string[],
  flags: Partial<Flags> = {},
  options: CommandOptions & { readonly contained?: boolean } = {},
) => {
  const { contained, ...rest } = options;
  return decideCommand(
    { kind: 'command', pointer: '/command', command, ...(contained === undefined ? {} : { contained }) },
    { ...open, ...flags },
    rest,
  );
};

describe('what a shell text is shown to be', () => {
  test.each([
    ['ls -la', [['ls', '-la']]],
    [
      `grep -n "a b" 'c d' | head -5 && pwd; cat f`,
      [['grep', '-n', 'a b', 'c d'], ['head', '-5'], ['pwd'], ['cat', 'f']],
    ],
    ['ls 2>&1 | head', [['ls'], ['head']]],
    ['ls 2>/dev/null; pwd >/dev/null', [['ls'], ['pwd']]],
    ['ls\npwd\n', [['ls'], ['pwd']]],
    ['git log HEAD~1', [['git', 'log', 'HEAD~1']]],
    ['bash -lc "git status"', [['git', 'status']]],
  ])('%s is plain', (text, commands) => {
    expect(resolveCommands(text)).toEqual(commands);
  });

  test.each([
    'FOO=1 ls',
    'LD_PRELOAD=./x.so ls',
    'ls > out',
    'ls >> out',
    'cat < /etc/passwd',
    'cat <<E\nx\nE',
    'echo $HOME',
    'echo ${x}',
    'echo $(id)',
    'echo `id`',
    'ls *',
    'ls ?',
    'ls [a]',
    'ls {a,b}',
    'ls &',
    '(ls)',
    '{ ls; }',
    'if true; then ls; fi',
    'f() { ls; }',
    '! ls',
    'time ls',
    'ls # x',
    'ls ~',
    'ls ~/x',
    'a=~/x ls',
    "echo $'a'",
    'echo "$x"',
    'echo a\\;b',
    'ls\\\n -l',
    'ls |& cat',
    'ls &>x',
    'ls;;ls',
    '&& ls',
    'ls &&',
    '| ls',
    'echo "a',
    "echo 'a",
    'ls <(id)',
    'echo !x',
    'ls\u0000',
    'ls\r\nid',
    'coproc ls',
    '[[ -f x ]]',
    '=ls',
    'echo a>/dev/null',
    'ls >/dev/nullx',
    'ls 3>/dev/null',
    'echo a;\u0085id',
  ])('%j is not', (text) => {
    expect(resolveCommands(text)).toBeUndefined();
  });
});

describe('outside a sandbox', () => {
  test('a command that writes is denied under files=read_only, one that reads is allowed', () => {
    for (const text of [
      'rm -rf x',
      'sort -o x y',
      'find . -delete',
      'cp a b',
      'python x.py',
      './ls',
      'ls | tee x',
      'uniq a b',
    ]) {
      expect(judge(text, { files: 'read_only' })).toMatchObject({ outcome: 'deny', code: 'command.uncontained' });
    }
    for (const text of [
      'ls',
      'cat a | sort | uniq',
      'find . -name x',
      'grep -rn x . 2>/dev/null',
      '/bin/ls',
      'rg x src',
    ]) {
      expect(judge(text, { files: 'read_only' }).outcome).toBe('allow');
    }
  });

  test.each([{ files: 'project' }, { db: 'read_only' }, { email: 'block' }, { email: 'mirror:me@x.example' }] as const)(
    'a text that cannot be shown to be plain is denied under %o, and allowed when nothing restricts',
    (flags) => {
      expect(judge('echo $(id)', flags)).toMatchObject({ outcome: 'deny', code: 'command.not-simple' });
      expect(judge('echo $(id)')).toMatchObject({ outcome: 'allow', detections: [{ type: 'uncontained_command' }] });
    },
  );

  test('a limited network counts as a restriction', () => {
    expect(judge('curl https://x.example', {}, { networkLimited: true }).outcome).toBe('deny');
    expect(judge('curl https://x.example').outcome).toBe('allow');
  });

  test('files=block allows no command at all', () => {
    expect(judge('ls', { files: 'block' }, { contained: true, tier: 'observer' }).outcome).toBe('deny');
    expect(judge('ls', { files: 'read_only' }, { contained: true, tier: 'observer' }).outcome).toBe('allow');
  });

  test('a database client is denied wherever db restricts, even in a text that cannot be read', () => {
    for (const text of ['psql -c "DROP TABLE x"', 'echo $(psql)', 'sudo -u pg /usr/bin/psql']) {
      expect(judge(text, { db: 'safe_write' }).outcome).toBe(text.startsWith('sudo') ? 'allow' : 'deny');
      expect(judge(text, { db: 'allow' }).outcome).toBe('allow');
    }
  });

  test('an allow-list is held to the letter', () => {
    const options = { commands: ['git', 'ls', 'python3', 'env', 'find'] };
    for (const text of ['git status', 'ls -l | git diff', 'python3 script.py', '/usr/bin/git status']) {
      expect(judge(text, {}, options).outcome).toBe('allow');
    }
    for (const text of [
      'rm x',
      'git status; rm x',
      './git',
      '/tmp/git',
      'env ls',
      'python3 -c x',
      'python3',
      'python3 -',
      'git status > x',
    ]) {
      expect(judge(text, {}, options).outcome).toBe('deny');
    }
    expect(judge('ls', {}, { commands: [] }).outcome).toBe('deny');
  });

  test('an argv is judged as it stands', () => {
    expect(judge(['ls', '$(id)'], { files: 'read_only' }).outcome).toBe('allow');
    expect(judge(['rm', 'x'], { files: 'read_only' }).outcome).toBe('deny');
    expect(judge(['bash', '-c', 'ls; rm x'], { files: 'read_only' }).outcome).toBe('deny');
    expect(judge(['bash', '-c', 'ls'], { files: 'read_only' }).outcome).toBe('allow');
    expect(judge([], {}).outcome).toBe('deny');
    expect(judge(' ', {}).outcome).toBe('deny');
    expect(judge('ls\0', {}).outcome).toBe('deny');
  });
});

test('a tier must not give what a flag takes', () => {
  const contained = { contained: true };
  expect(judge('rm $x', {}, { ...contained, tier: 'worker' }).outcome).toBe('allow');
  expect(judge('rm $x', { files: 'project' }, { ...contained, tier: 'worker' }).outcome).toBe('allow');
  expect(judge('rm $x', { files: 'read_only' }, { ...contained, tier: 'worker' }).outcome).toBe('deny');
  expect(judge('rm $x', { files: 'read_only' }, { ...contained, tier: 'observer' }).outcome).toBe('allow');
  expect(judge('curl x', { email: 'block' }, { ...contained, tier: 'standard' }).outcome).toBe('deny');
  expect(judge('curl x', { email: 'block' }, contained).outcome).toBe('deny');
  expect(judge('curl x', { email: 'block' }, { ...contained, tier: 'worker' }).outcome).toBe('allow');
});

describe('a reader that is asked for more is no reader', () => {
  test.each([
    ['uniq - out', 'uniq in'],
    ['uniq -- -a out', 'uniq -c in'],
    ['sort --com=sh x', 'sort --reverse x'],
    ['sort -uo out x', 'sort -u x'],
    ['sort --o=out x', 'sort -k 2 x'],
    ['date --se=now', 'date +%F'],
    ['date 01010101', 'date -u'],
    ['find . -execdir rm x +', 'find . -type f'],
    ['find . -fprint x', 'find . -maxdepth 1'],
    ['rg --pre sh x', 'rg -n x'],
    ['fd -x rm', 'fd x'],
    ['xxd -r a b', 'xxd a'],
    ['xxd a b', 'xxd -l 9 -- a'],
    ['diff3 --diff-program=sh a b c', 'diff a b'],
    ['tree -o out', 'tree -L 2'],
    ['hostname evil', 'hostname -f'],
    ['base64 -o out x', 'base64 -d x'],
    ['printf -v x y', 'printf %s y'],
    ['tee out', 'cat in'],
    ['file -C', 'file x'],
  ])('%s', (asking, plain) => {
    expect([judge(asking, { files: 'read_only' }).outcome, judge(plain, { files: 'read_only' }).outcome]).toEqual([
      'deny',
      plain.startsWith('xxd -l') ? 'deny' : 'allow',
    ]);
  });
});

test('an allow-listed program may not be told to start another one', () => {
  const commands = ['git', 'tar', 'find', 'sort', 'rsync', 'node', 'npm', 'vim', 'rg'];
  for (const text of [
    'git -c core.pager=sh log',
    'git --exec-path=/tmp log',
    'git clone ext::sh',
    'tar -xf a --checkpoint-action=exec=sh',
    'tar --to-command=sh -xf a',
    'find . -exec sh x +',
    'sort --compress-program=sh a',
    'rsync -e sh a b',
    'node --require ./x.js',
    'node -e x',
    'npm exec x',
    'vim -c x',
    'rg --pre sh x',
  ]) {
    expect([text, judge(text, {}, { commands }).outcome]).toEqual([text, 'deny']);
  }
  for (const text of [
    'git log -5',
    'tar -xf a',
    'find . -name x',
    'sort a',
    'rsync a b',
    'node x.js',
    'npm ls',
    'vim a',
    'rg x',
  ]) {
    expect([text, judge(text, {}, { commands }).outcome]).toEqual([text, 'allow']);
  }
});
