/** The flags that judge what a call would do, end to end: the same call denied under one flag and run under another. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineCommandTool, defineTool, govern, openMemoryJournal, PolicyBlockError } from '../src/index.ts';
import type { GovernOptions } from '../src/index.ts';

const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-effects-')));
afterAll(() => {
  rmSync(workspace, { recursive: true });
});

const journal = openMemoryJournal();
const latest = (type: string): Record<string, unknown> =>
  ([...journal.read({ limit: 5 })].find((event) => event.type === type) ?? {}) as unknown as Record<string, unknown>;

const toolsWith = (flags: GovernOptions['flags'], more: Partial<GovernOptions> = {}) =>
  govern(
    {
      query: defineTool({
        name: 'query',
        description: '',
        input: z.object({ sql: z.string() }),
        effects: { sql: 'sql' },
        execute: ({ sql }) => sql,
      }),
      send: defineTool({
        name: 'send',
        description: '',
        input: z.object({ to: z.string(), cc: z.string().optional(), subject: z.string(), text: z.string() }),
        effects: { email: true },
        execute: (message) => message,
      }),
      get: defineTool({
        name: 'get',
        description: '',
        input: z.object({ url: z.string() }),
        effects: { url: 'url' },
        execute: ({ url }) => url,
      }),
      shell: defineTool({
        name: 'shell',
        description: '',
        input: z.object({ command: z.string() }),
        effects: { command: 'command' },
        execute: ({ command }) => command,
      }),
    },
    { workspace, audit: journal, ...(flags !== undefined && { flags }), ...more },
  );

const blockedBy = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof PolicyBlockError) return error.blockedBy;
    throw error;
  }
  return 'nothing';
};

describe('db', () => {
  const steal = 'WITH d AS (DELETE FROM users RETURNING *) SELECT * FROM d';
  test.each([
    ['db=read_only', 'SELECT 1', 'nothing'],
    ['db=read_only', 'INSERT INTO t VALUES (1)', 'check_db'],
    ['db=safe_write', 'INSERT INTO t VALUES (1)', 'nothing'],
    ['db=safe_write', steal, 'check_db'],
    ['', steal, 'check_db'],
    ['db=allow', steal, 'nothing'],
    ['db=block', 'SELECT 1', 'check_db'],
    ['mode=observe, db=block', 'SELECT 1', 'nothing'],
    ['mode=lockdown', 'UPDATE t SET a = 1', 'check_db'],
    ['', 'UPDATE t SET a = 1', 'nothing'],
    ['', 'SELEC', 'check_db'],
  ])('%s: %s → %s', (flags, sql, expected) => {
    expect(blockedBy(() => toolsWith(flags).query.execute({ sql }))).toBe(expected);
  });

  test('a mass update is recorded as a detection', () => {
    toolsWith('').query.execute({ sql: 'UPDATE t SET a = 1' });
    expect(latest('call-decided')['detections']).toMatchObject([{ step: 'check_db', type: 'mass_update' }]);
  });
});

describe('email', () => {
  const message = { to: 'Ada <ada@customer.example>', cc: 'ben@customer.example', subject: 'Hi', text: 'x' };
  test('mirror redirects, and keeps the original recipients in the record alone', () => {
    const sent = toolsWith('email=mirror:dev@company.example').send.execute(message);
    expect(JSON.stringify(sent)).not.toContain('customer.example');
    expect(sent).toMatchObject({ subject: '[AI TEST] Hi' });
    expect(latest('call-decided')['effect_list']).toMatchObject([
      { kind: 'email', recipients: ['ada@customer.example', 'ben@customer.example'] },
    ]);
  });

  test('mirror also redirects where nothing is blocked', () => {
    const sent = toolsWith('mode=observe, email=mirror:dev@company.example').send.execute(message);
    expect(JSON.stringify(sent)).not.toContain('customer.example');
  });

  test.each([
    ['email=internal:company.example', 'check_email'],
    ['email=internal:customer.example', 'nothing'],
    ['email=internal:', 'check_email'],
    ['email=mirror:', 'check_email'],
    ['email=block', 'check_email'],
    ['', 'nothing'],
  ])('%s → %s', (flags, expected) => {
    expect(blockedBy(() => toolsWith(flags).send.execute(message))).toBe(expected);
  });

  test('masking personal data leaves the address lines as they are', () => {
    const sent = toolsWith('pii=mask').send.execute({ ...message, text: 'Call ada@customer.example' });
    // The result goes back masked; what ran is in the arguments that the decision let through.
    expect(sent).toMatchObject({ text: 'Call [MASKED_EMAIL]' });
    let ran: unknown;
    const [send] = govern(
      [
        function send(to: string, text: string) {
          ran = [to, text];
        },
      ],
      {
        flags: 'pii=mask',
        workspace,
        audit: false,
        effects: { send: { email: true } },
      },
    );
    send('ada@customer.example', 'write to ben@customer.example');
    expect(ran).toEqual(['ada@customer.example', 'write to [MASKED_EMAIL]']);
  });
});

describe('network', () => {
  test.each<[string, readonly string[] | undefined, string]>([
    ['https://api.company.example/x', ['api.company.example'], 'nothing'],
    ['https://evil.example/', ['api.company.example'], 'check_exfiltration'],
    ['https://api.company.example/', [], 'check_exfiltration'],
    ['http://169.254.169.254/', undefined, 'check_exfiltration'],
    ['https://anywhere.example/', undefined, 'nothing'],
  ])('%s with %j → %s', (url, allowedDomains, expected) => {
    const tools = toolsWith('', allowedDomains === undefined ? {} : { network: { allowedDomains } });
    expect(blockedBy(() => tools.get.execute({ url }))).toBe(expected);
  });
});

describe('commands', () => {
  test.each([
    ['files=read_only', 'cat a.txt | sort', 'nothing'],
    ['files=read_only', 'rm -rf .', 'check_command'],
    ['files=read_only', 'cat $(echo x > y)', 'check_command'],
    ['', 'psql -c "DROP TABLE t"', 'check_command'],
  ])('%s: %s → %s', (flags, command, expected) => {
    expect(blockedBy(() => toolsWith(flags).shell.execute({ command }))).toBe(expected);
  });

  test('a command tool is judged by its tier, and contained', async () => {
    const make = (flags: string, tier: 'observer' | 'worker') =>
      govern(
        [
          defineCommandTool({
            name: 'count',
            description: '',
            input: z.object({ text: z.string() }),
            command: () => ['/usr/bin/wc', '-c'],
            stdin: ({ text }) => text,
            tier,
            workspace,
          }),
        ],
        { flags, workspace, audit: journal },
      )[0];
    expect(await make('files=read_only', 'observer').execute({ text: 'four' })).toMatchObject({
      status: 'exited',
      stdout: '4\n',
    });
    await expect(make('files=read_only', 'worker').execute({ text: 'four' })).rejects.toMatchObject({
      blockedBy: 'check_command',
    });
  });
});

describe('budget', () => {
  const paid = (
    flags: GovernOptions['flags'],
    cost: number | ((input: unknown, result?: unknown) => number),
    more: Partial<GovernOptions> = {},
  ) =>
    govern(
      [
        defineTool({
          name: 'buy',
          description: '',
          input: z.object({}),
          effects: { none: true },
          cost,
          execute: async () => 'bought',
        }),
      ],
      { workspace, audit: false, ...(flags !== undefined && { flags }), ...more },
    )[0];

  test('a call over its cap is blocked; calls within the session’s cap run', async () => {
    await expect(paid('budget=custom:0.10:5', 0.2).execute({})).rejects.toMatchObject({
      blockedBy: 'budget_enforcement',
    });
    const tool = paid('budget=custom:0.10:0.25', 0.1);
    expect([await tool.execute({}), await tool.execute({})]).toEqual(['bought', 'bought']);
    await expect(tool.execute({})).rejects.toMatchObject({ blockedBy: 'budget_enforcement' });
  });

  test('parallel calls never overshoot', async () => {
    const tool = paid('budget=custom:1:1', 0.3);
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => tool.execute({})));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  });

  test('what a call really cost replaces what was reserved', async () => {
    const tool = paid('budget=custom:1:1', (_input, result) => (result === undefined ? 0.9 : 0.1));
    await tool.execute({});
    expect(await tool.execute({})).toBe('bought');
  });

  test('a cost that is no amount denies', async () => {
    await expect(paid('budget=dev', () => Number.NaN).execute({})).rejects.toMatchObject({
      reasonCode: 'decision.threw',
    });
  });

  test('a rate limit counts attempts and says so in the documented words', async () => {
    const tool = paid(undefined, 0, { rate: { max_calls: 2, window_seconds: 3600 } });
    await tool.execute({});
    await tool.execute({});
    await expect(tool.execute({})).rejects.toThrow(
      'Request blocked by rate_limit — Rate limit exceeded: 3/2 calls in 3600s',
    );
  });

  test('the same call again and again is a detection, and blocks under lockdown', async () => {
    const calm = paid('mode=enforce', 0, { loopGuard: { most: 2 } });
    for (let index = 0; index < 5; index += 1) expect(await calm.execute({})).toBe('bought');
    const strict = paid('mode=lockdown', 0, { loopGuard: { most: 2 } });
    await strict.execute({});
    await strict.execute({});
    await expect(strict.execute({})).rejects.toMatchObject({ blockedBy: 'rate_limit' });
  });
});

test('an undeclared tool is judged by inference, and the record says so', () => {
  const tools = govern(
    { write_file: (path: string) => path, run_sql: (query: string) => query, add: (a: number, b: number) => a + b },
    { flags: 'files=project, db=read_only', workspace, audit: journal },
  );
  expect(blockedBy(() => tools.write_file('/etc/passwd'))).toBe('check_files');
  expect(blockedBy(() => tools.run_sql('DROP TABLE t'))).toBe('check_db');
  expect(tools.write_file('a.txt')).toBe(join(workspace, 'a.txt'));
  expect(latest('call-decided')).toMatchObject({ effects: 'inferred', tool: 'write_file' });
  expect(tools.add(1, 2)).toBe(3);
});
