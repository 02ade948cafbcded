import { anything, assert, constantFrom, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileInference, inferEffects } from '../../src/effect/infer.ts';
import { TOOL_DEFINITIONS } from '../fixtures/tool-definitions.ts';
import { effectKey, inferFor, verdictOn } from '../fixtures/tool-verdicts.ts';

describe('tools that people really use', () => {
  const verdicts = TOOL_DEFINITIONS.map((definition) => ({ definition, verdict: verdictOn(definition) }));

  test('none is inferred to do less than it does', () => {
    expect(TOOL_DEFINITIONS.length).toBeGreaterThanOrEqual(120);
    const permissive = verdicts.filter(({ verdict }) => verdict === 'permissive');
    expect(
      permissive.map(({ definition }) => [definition.from, definition.name, inferFor(definition).effects]),
    ).toEqual([]);
  });

  test('at least nine of ten are inferred exactly', () => {
    const restrictive = verdicts.filter(({ verdict }) => verdict === 'restrictive');
    const list = restrictive.map(
      ({ definition }) => `${definition.name}: ${inferFor(definition).effects.map(effectKey).join(', ')}`,
    );
    expect(list.length > TOOL_DEFINITIONS.length / 10 ? list : []).toEqual([]);
  });
});

describe('arguments cannot make a call look harmless', () => {
  const kinds = (name: string, args: unknown, more: object = {}) =>
    inferEffects({ name, ...more }, args).effects.map((effect) =>
      effect.kind === 'file' ? effect.access : effect.kind,
    );

  test('a verb that the tool does not offer only tightens', () => {
    expect(kinds('write_file', { path: 'a', content: 'x', mode: 'read', action: 'view' })).toEqual(['write']);
    expect(kinds('file_manager', { path: 'a', action: 'read' })).toEqual(['write']);
    const offered = { schema: { properties: { path: {}, action: { enum: ['read', 'delete'] } } } };
    expect(kinds('file_manager', { path: 'a', action: 'read' }, offered)).toEqual(['read']);
    expect(kinds('file_manager', { path: 'a', action: 'delete' }, offered)).toEqual(['write']);
  });

  test('a mark of a remote place counts only in the schema', () => {
    expect(kinds('read_file', { path: 'a', fileId: 'x', owner: 'o' })).toEqual(['read']);
    expect(kinds('read_file', { path: 'a', owner: 'o' }, { schema: { properties: { path: {}, owner: {} } } })).toEqual(
      [],
    );
  });

  test('a shell command is no verb because it is called one', () => {
    expect(kinds('run', { command: 'view', path: 'x' })).toContain('command');
  });

  test('arguments inside a text are looked into', () => {
    expect(kinds('thing', { input: '{"path": "/etc/passwd"}' })).toEqual(['write']);
    expect(kinds('thing', { x: '["https://x.example"]' })).toEqual(['network']);
    expect(kinds('thing', { x: '{"to":"a@x.example","subject":"s"}' })).toEqual(['email']);
  });
});

describe('a program and its arguments are judged together', () => {
  const commands = (args: unknown, parameterNames?: readonly string[]) =>
    inferEffects({ name: 'run', ...(parameterNames === undefined ? {} : { parameterNames }) }, args).effects.flatMap(
      (effect) => (effect.kind === 'command' ? [effect.command] : []),
    );

  test.each<{ readonly args: unknown; readonly names?: readonly string[] }>([
    { args: { command: 'find', args: ['.', '-delete'] } },
    { args: [{ command: 'find', args: ['.', '-delete'] }] },
    { args: { job: { program: 'find', arguments: ['.', '-delete'] } } },
    { args: ['find', ['.', '-delete']], names: ['command', 'args'] },
  ])('%j', ({ args, names }) => {
    expect(commands(args, names)).toEqual([['find', '.', '-delete']]);
  });

  test('as one text where they come as one, and as both where a shell might join them', () => {
    expect(commands({ cmd: 'find', args: '. -delete' })).toEqual(['find . -delete']);
    expect(commands({ command: 'echo', args: ['a; rm x'] })).toEqual([['echo', 'a; rm x'], 'echo a; rm x']);
  });

  test('a verb counts wherever its object stands', () => {
    const [effect] = inferEffects({ name: 'getFile' }, [{ path: 'a', action: 'delete' }]).effects;
    expect(effect).toMatchObject({ kind: 'file', access: 'write', operation: 'remove' });
  });
});

describe('values speak where names do not', () => {
  const kinds = (value: unknown) => inferEffects({ name: 'thing' }, { x: value }).effects.map(({ kind }) => kind);

  test.each([
    ['/etc/passwd', 'file'],
    ['~/.ssh/id_rsa', 'file'],
    ['../x', 'file'],
    ['./x', 'file'],
    ['C:\\Windows', 'file'],
    ['file:///etc/passwd', 'file'],
    ['https://x.example/y', 'network'],
    ['postgres://u@h/db', 'network'],
    ['wss://x.example', 'network'],
    ['DROP TABLE users', 'sql'],
    ['  select * from t', 'sql'],
    ['/* x */ DELETE FROM t', 'sql'],
    ['WITH a AS (SELECT 1) SELECT * FROM a', 'sql'],
    ['TRUNCATE t', 'sql'],
    ['DROP/**/TABLE t', 'sql'],
    ['; ( DROP -- x\n TABLE t', 'sql'],
    [`${' '.repeat(9_000)}DROP TABLE t`, 'sql'],
    [`SELECT /*${'x'.repeat(90_000)}*/ a FROM t`, 'sql'],
    ['SELECT pg_sleep(9)', 'sql'],
    ['--x\nUPDATE t SET a = 1', 'sql'],
    ['*** Begin Patch\n*** Add File: x\n+a', 'file'],
  ])('%j', (value, kind) => {
    expect(kinds(value)).toEqual([kind]);
    expect(kinds([{ deep: [value] }])).toEqual([kind]);
  });

  test.each([
    'hello',
    'Select a plan',
    'Select option (a)',
    'Grant me a wish to fly',
    'Call me (later)',
    'Explain how to do it',
    'a/b',
    '10/2',
    'and/or',
    '//',
    'x@y',
    'Update the page',
    '',
    '#tag',
    '@user',
  ])('%j says nothing', (value) => {
    expect(kinds(value)).toEqual([]);
  });
});

test('a path, a URL and a statement may come in other clothes', () => {
  const kinds = (name: string, args: unknown) => inferEffects({ name }, args).effects.map(({ kind }) => kind);
  expect(kinds('thing', [new URL('https://x.example')])).toEqual(['network']);
  expect(kinds('thing', [new URL('file:///etc/passwd')])).toEqual(['file']);
  expect(kinds('write_file', { path: Buffer.from('a.txt'), content: Buffer.from('/etc/passwd') })).toEqual(['file']);
  expect(kinds('thing', { x: Buffer.from('DROP TABLE t') })).toEqual(['sql']);
});

test('a tool that nothing is known about is unknown, a pure one is not', () => {
  expect(inferEffects({ name: 'frobnicate' }, { level: 3 })).toEqual({ effects: [], basis: 'unknown' });
  expect(inferEffects({ name: 'calculator' }, { expression: '1+1' })).toEqual({ effects: [], basis: 'inferred' });
});

test('a file that is only named in a text or a key is marked as derived', () => {
  const [patch] = inferEffects({ name: 'apply_patch' }, { input: '*** Update File: a.ts' }).effects;
  const [path] = inferEffects({ name: 'read_file' }, { path: 'a.ts' }).effects;
  expect(patch).toMatchObject({ path: 'a.ts', derived: true });
  expect(path).not.toHaveProperty('derived');
});

test('whatever the arguments are, inference answers', () => {
  const names = constantFrom('thing', 'send_email', 'read_file', 'query', 'bash', 'fetch', 'apply_patch', 'web_search');
  assert(
    property(names, anything(), (name, args) => {
      const { basis, effects } = compileInference({ name })(args);
      return basis === 'inferred' || effects.length === 0;
    }),
  );
});

test('hostile texts come to an end', () => {
  for (const bit of [
    'a',
    ' ',
    'a ',
    '/*',
    '--',
    '(',
    'a-',
    '://',
    'grant ',
    'select ',
    '[',
    '{',
    '"',
    '@',
    'a@',
    '--- a\n',
    '\n',
  ]) {
    for (const name of ['thing', 'fetch', 'send_email', 'apply_patch', 'query']) {
      const text = `${bit.repeat(100_000 / bit.length)}x`;
      expect(inferEffects({ name }, { input: text, other: [text], to: text, subject: 's' }).basis).toMatch(
        /inferred|unknown/u,
      );
    }
  }
});
