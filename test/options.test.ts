/** A misspelled option must not be a limit that somebody believes in. */
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { z } from 'zod';
import * as tappass from '../src/index.ts';
import { openJournal, openMemoryJournal, verifyJournal } from '../src/audit-log.ts';

const { govern, runCode, runCommand, tappassSession } = tappass;
const anything = (options: object): never => options as never;

test('unknown options are errors of the program, with the known ones named', async () => {
  await expect(runCommand(['true'], anything({ teir: 'observer' }))).rejects.toThrow(/`runCommand`.*tier.*got `teir`/u);
  await expect(runCommand(['true'], anything({ memoryMb: 100 }))).rejects.toThrow(/limits.*got `memoryMb`/u);
  await expect(runCode('1', anything({ timeout: 1 }))).rejects.toThrow(/`runCode`.*timeoutMs.*got `timeout`/u);
  expect(() => tappassSession(anything({ flag: 'files=block' }), () => 1)).toThrow(/`tappassSession`.*got `flag`/u);
  expect(tappassSession({ flags: 'files=block' }, () => 1)).toBe(1);
  expect(await runCommand(['true'], { tier: 'observer' })).toMatchObject({ status: 'exited', exitCode: 0 });
});

const tool = { name: 'x', description: 'x', input: z.object({}) };
const mail = { sendMail: () => Promise.resolve({}) };

test.each<readonly [name: string, wrong: () => unknown, right: () => unknown]>([
  [
    'fetchTool',
    () => tappass.fetchTool(anything({ allowedDomain: ['a.example'] })),
    () => tappass.fetchTool({ allowedDomains: ['a.example'], redirects: 1 }),
  ],
  [
    'fileTools',
    () => tappass.fileTools(anything({ workspce: '/tmp' })),
    () => tappass.fileTools({ workspace: '/tmp' }),
  ],
  [
    'sqlTools',
    () => tappass.sqlTools(anything({ connection: new DatabaseSync(':memory:'), maxRow: 1 })),
    () => tappass.sqlTools({ connection: new DatabaseSync(':memory:'), maxRows: 1 }),
  ],
  [
    'emailTools',
    () => tappass.emailTools(anything({ transport: mail, form: 'a@b.example' })),
    () => tappass.emailTools({ transport: mail, from: 'a@b.example' }),
  ],
  [
    'governPool',
    () => tappass.governPool({}, 'db=read_only', anything({ harmless: [] })),
    () => tappass.governPool({}, 'db=read_only', { harmlessFunctions: [] }),
  ],
  ['openCodePool', () => tappass.openCodePool(anything({ host: 1 })), () => tappass.openCodePool({ hosts: 1 }).close()],
  [
    'defineCommandTool',
    () => tappass.defineCommandTool(anything({ ...tool, command: () => ['true'], teir: 'observer' })),
    () => tappass.defineCommandTool({ ...tool, command: () => ['true'], tier: 'observer' }),
  ],
  [
    'defineCodeTool',
    () => tappass.defineCodeTool(anything({ ...tool, source: '1', limit: {} })),
    () => tappass.defineCodeTool({ ...tool, source: '1', limits: {} }),
  ],
  [
    'checkPath',
    () => tappass.checkPath('a', anything({ access: 'read', flag: 'project', workspce: '/tmp' })),
    () => tappass.checkPath('a', { access: 'read', flag: 'project', workspace: '/tmp' }),
  ],
  [
    'checkSql',
    () => tappass.checkSql('SELECT 1', 'read_only', anything({ dailect: 'mysql' })),
    () => tappass.checkSql('SELECT 1', 'read_only', { dialect: 'sqlite' }),
  ],
  [
    'checkUrl',
    () => tappass.checkUrl('http://a.example/', anything({ allowedDomain: [] })),
    () => tappass.checkUrl('http://a.example/', { allowedDomains: [] }),
  ],
  [
    'checkCommand',
    () => tappass.checkCommand('ls', anything({ command: [] })),
    () => tappass.checkCommand('ls', { commands: [] }),
  ],
  [
    'checkContent',
    () => tappass.checkContent('a', anything({ pi: 'mask' })),
    () => tappass.checkContent('a', { pii: 'mask' }),
  ],
  [
    'verifyJournal',
    () => verifyJournal('/tmp', anything({ publickey: 'key' })),
    () => verifyJournal('/tmp', { lineBytes: 1000 }),
  ],
  [
    'govern: network',
    () => govern({}, { network: anything({ allowedDomain: [] }) }),
    () => govern({}, { network: { allowedDomains: [] } }),
  ],
  ['govern: rate', () => govern({}, { rate: anything({ maxCalls: 1 }) }), () => govern({}, { rate: { max_calls: 1 } })],
  [
    'govern: loopGuard',
    () => govern({}, { loopGuard: anything({ max: 1 }) }),
    () => govern({}, { loopGuard: { most: 1 } }),
  ],
])('%s: a misspelled option is an error, the right one is none', async (name, wrong, right) => {
  await expect(async () => wrong()).rejects.toMatchObject({
    name: 'TapPassConfigError',
    code: 'TAPPASS_CONFIG_OPTION',
    message: expect.stringContaining(`\`${name}\``),
  });
  await expect((async () => right())()).resolves.not.toThrow();
});

const NO_BOUND: readonly unknown[] = [Number.NaN, -1, '5', Number.POSITIVE_INFINITY, null, {}];
const database = () => new DatabaseSync(':memory:');

test.each<readonly [name: string, open: (value: never) => unknown, right: unknown]>([
  ['maxRows', (maxRows) => tappass.sqlTools({ connection: database(), maxRows }), 1],
  ['maxBytes', (maxBytes) => tappass.sqlTools({ connection: database(), maxBytes }), 1],
  ['timeoutMs', (timeoutMs) => tappass.sqlTools({ connection: database(), timeoutMs }), 1],
  ['level', (level) => tappass.sqlTools({ connection: database(), level }), 'block'],
  ['max_calls', (max_calls) => govern({}, { rate: { max_calls } }), 0],
  ['max_tokens', (max_tokens) => govern({}, { rate: { max_tokens } }), 0],
  ['window_seconds', (window_seconds) => govern({}, { rate: { max_calls: 1, window_seconds } }), 0.5],
  ['scope', (scope) => govern({}, { rate: { max_calls: 1, scope } }), 'org'],
  ['most', (most) => govern({}, { loopGuard: { most } }), 1],
  ['windowSeconds', (windowSeconds) => govern({}, { loopGuard: { windowSeconds } }), 1],
  ['allowedDomains', (allowedDomains) => govern({}, { network: { allowedDomains } }), []],
  ['commands', (commands) => govern({}, { commands }), []],
  ['ledger', (ledger) => govern({}, { ledger }), tappass.createMemoryLedger()],
  ['onEvent', (onEvent) => govern({}, { onEvent }), () => 1],
  ['signal', (signal) => govern({}, { signal }), new AbortController().signal],
  ['registeredSecrets', (registeredSecrets) => govern({}, { content: { registeredSecrets } }), ['long enough']],
  ['lineBytes', (lineBytes) => verifyJournal('/tmp', { lineBytes }), 1000],
  ['allowedDomains', (allowedDomains) => tappass.checkUrl('http://a.example/', { allowedDomains }), []],
  ['allowedDomains', (allowedDomains) => tappass.fetchTool({ allowedDomains }), []],
  ['commands', (commands) => tappass.checkCommand('ls', { commands }), []],
  ['pii', (pii) => tappass.checkContent('ls', { pii }), 'mask'],
])('%s bounds something or is an error at once, before the first call', async (name, open, right) => {
  for (const value of NO_BOUND) {
    await expect(async () => open(value as never)).rejects.toMatchObject({
      code: 'TAPPASS_CONFIG_OPTION',
      message: expect.stringContaining(`\`${name}\``),
    });
  }
  await expect((async () => open(right as never))()).resolves.not.toThrow();
});

test('a limit that is `undefined` is the default, not no limit', async () => {
  const { f } = govern(
    { f: (text: string) => text.length },
    { limits: anything({ argumentBytes: undefined }), audit: false },
  );
  expect(() => f('x'.repeat(5 * 1024 * 1024))).toThrow(/argumentBytes/u);
  expect(f('x')).toBe(1);
  const limits = anything({ sourceBytes: undefined });
  const ended = await runCode(`/*${'x'.repeat(1024 * 1024)}*/`, { limits });
  expect(ended).toMatchObject({
    status: 'error',
    error: { message: expect.stringContaining('at most 524288 bytes') as string },
  });
});

test('an option is checked where it is read: on a prototype, behind a getter', () => {
  const hidden = (name: string, value: unknown): never => anything(Object.create({ [name]: value }) as object);
  expect(() => govern({}, hidden('signal', {}))).toThrow(/`signal`/u);
  expect(() => govern({}, { rate: hidden('max_calls', Number.NaN) })).toThrow(/`max_calls`/u);
  expect(() => govern({}, { effects: anything(new Map()) })).toThrow(/`effects`/u);
});

test('a rate without a cap bounds nothing', () => {
  for (const rate of [{}, { window_seconds: 60 }, { max_calls: undefined }])
    expect(() => govern({}, { rate: anything(rate) })).toThrow(/`max_calls` or `max_tokens`/u);
  expect(() => govern({}, { rate: { max_tokens: 5 } })).not.toThrow();
});

test('no flags, and a signal of another realm, are honest', async () => {
  expect(tappass.checkCommand('ls', { flags: '' })).toEqual(tappass.checkCommand('ls'));
  // What jsdom and polyfills have: all of it but the class.
  const controller = new AbortController();
  const foreign = {
    get aborted() {
      return controller.signal.aborted;
    },
    get reason(): unknown {
      return controller.signal.reason;
    },
    throwIfAborted: () => controller.signal.throwIfAborted(),
    addEventListener: controller.signal.addEventListener.bind(controller.signal),
    removeEventListener: controller.signal.removeEventListener.bind(controller.signal),
  };
  const { f } = govern({ f: () => 1 }, { signal: anything(foreign), audit: false });
  expect(f()).toBe(1);
  controller.abort(new Error('enough'));
  expect(() => f()).toThrow(/enough/u);
});

test('an error about an option does not show what was given: it may be a secret in the wrong place', () => {
  expect(() => govern({}, { workspace: ['hunter2'] as never })).toThrow(/to be text, got another list$/u);
  expect(() => govern({}, { ledger: 'hunter2' as never })).toThrow(/got a value of type string$/u);
});

test('a transport that nobody could tell of a misspelled flag refuses it', () => {
  expect(() => tappass.governTransport(mail, anything({ emial: 'block' }))).toThrow(/emial/u);
  expect(() => tappass.governTransport(mail, { email: 'block' }, { audit: false })).not.toThrow();
});

test('a list that a tool needs, and the function that it is made of, must be there', () => {
  expect(() => tappass.fetchTool(anything({}))).toThrow(
    /`allowedDomains` of `fetchTool` to be a list of texts, got null/u,
  );
  expect(() => tappass.defineCommandTool(anything({ ...tool }))).toThrow(/`command`.*undefined/u);
});

test('a journal that cannot be is an error of the program, not of its first call', async () => {
  await expect(openJournal(anything({ dir: 'audit', durable: 'fsync' }))).rejects.toThrow(/durability.*got `durable`/u);
  expect(() => openMemoryJournal(anything({ size: 1 }))).toThrow(/capacity.*got `size`/u);
  expect(() => govern({}, { audit: anything({ directory: 'audit' }) })).toThrow(/dir, durability.*got `directory`/u);
  expect(() => govern({}, { audit: 'audit' as never })).toThrow(
    /`audit` of `govern` to be a journal, its options, or false/u,
  );
  expect(() => govern({}, { audit: true as never })).toThrow(/got true/u);
  expect(() => govern({}, { audit: { dir: '/nowhere', durability: 'fsync' } })).not.toThrow();
});

test('no tool takes the place of coverage()', () => {
  expect(() => govern({ coverage: () => 1 }, { audit: false })).toThrow(/no tool under the key `coverage`/u);
  expect(
    govern(
      [
        function coverage() {
          return 1;
        },
      ],
      { audit: false },
    ).coverage(),
  ).toMatchObject({ declared: [] });
});
