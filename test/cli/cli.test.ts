/** The command as a shell sees it: output, exit codes, JSON. */
import { execFile } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileTools, govern } from '../../src/index.ts';

const bin = resolve(import.meta.dirname, '..', '..', 'src', 'cli', 'bin.ts');
let workspace: string;

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const tappass = (argv: readonly string[], stdin = '', env: Record<string, string> = {}): Promise<Ran> =>
  new Promise((done) => {
    const child = execFile(
      process.execPath,
      [bin, ...argv],
      { cwd: workspace, env: { ...process.env, NO_COLOR: '1', ...env }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => done({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.end(stdin);
  });

beforeAll(async () => {
  workspace = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-cli-')));
  const tools = govern(fileTools(workspace), { flags: 'files=project', workspace, subject: { agent: 'cli-test' } });
  await tools.write_file.execute({ path: 'a.txt', content: 'hello' } as never);
  await expect(tools.write_file.execute({ path: '/etc/x', content: '' } as never)).rejects.toThrow('check_files');
});
afterAll(() => {
  rmSync(workspace, { recursive: true });
});

describe('check', () => {
  test.each<[readonly string[], string, number, string]>([
    [['path', 'a.txt', '--access', 'write'], '', 0, 'allow'],
    [['path', '../a.txt', '--access', 'write'], '', 3, 'outside the workspace'],
    [['path'], 'a.txt\n', 0, 'allow'],
    [['sql', 'SELECT 1', '--level', 'read_only'], '', 0, 'SELECT'],
    [['sql', '-', '--level', 'read_only'], 'DELETE FROM t', 3, 'DELETE'],
    [['sql', 'SELECT 1', '--level', 'nonsense'], '', 2, ''],
    [['email', '{"to":"a@customer.example"}', '--flag', 'internal:company.example'], '', 3, 'a@customer.example'],
    [['email', '{"to":"a@company.example"}', '--flag', 'internal:company.example'], '', 0, 'allow'],
    [['url', 'http://169.254.169.254/'], '', 3, 'metadata'],
    [['url', 'https://api.example/', '--allow-domain', 'api.example'], '', 0, 'allow'],
    [['command', 'cat a.txt | sort', '--flags', 'files=read_only'], '', 0, 'starts cat a.txt'],
    [['command', 'rm -rf .', '--flags', 'files=read_only'], '', 3, 'deny'],
    [['content', 'write to ada@customer.example'], '', 0, '[MASKED_EMAIL]'],
  ])('%j', async (argv, stdin, code, text) => {
    const ran = await tappass(['check', ...argv], stdin);
    expect([ran.code, ran.stderr]).toEqual([code, code === 2 ? (expect.any(String) as string) : '']);
    expect(ran.stdout).toContain(text);
  });

  test('--json is one document', async () => {
    const ran = await tappass(['check', 'sql', 'DROP TABLE t', '--json']);
    expect(JSON.parse(ran.stdout)).toMatchObject({
      allowed: false,
      statements: [{ verb: expect.stringContaining('DROP') as string }],
    });
  });
});

describe('audit', () => {
  test('tail shows the newest last, and filters', async () => {
    const all = await tappass(['audit', 'tail', '--json']);
    const types = all.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types.slice(-4)).toEqual(['call-decided', 'call-ended', 'call-decided', 'call-ended']);
    const blocked = await tappass(['audit', 'tail', '--blocked', '--agent', 'cli-test', '--blocked-by', 'check_files']);
    expect(blocked.stdout).toContain('write_file');
    expect(blocked.stdout.trim().split('\n')).toHaveLength(3);
    expect((await tappass(['audit', 'tail', '--agent', 'nobody'])).stderr).toContain('No events match');
  });

  test('show, export and verify', async () => {
    const line = (await tappass(['audit', 'tail', '--limit', '1', '--json'])).stdout;
    const { call_id: id } = JSON.parse(line) as { call_id: string };
    expect(JSON.parse((await tappass(['audit', 'show', id, '--json'])).stdout)).toHaveLength(2);
    expect((await tappass(['audit', 'show', 'nothing'])).code).toBe(1);
    expect((await tappass(['audit', 'export', '--format', 'csv'])).stdout).toContain('write_file');
    expect(JSON.parse((await tappass(['audit', 'export', '--format', 'json'])).stdout)).toHaveLength(5);
    expect(await tappass(['audit', 'verify'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('✔') as string,
    });
  });

  test('verify says where a line was changed, and exits with 1', async () => {
    const dir = join(workspace, 'changed');
    const exported = (await tappass(['audit', 'export'])).stdout;
    const { mkdirSync } = await import('node:fs');
    mkdirSync(dir);
    writeFileSync(join(dir, '20260101T000000.000Z-1-0123456789abcdef.jsonl'), exported.replace('cli-test', 'somebody'));
    expect(await tappass(['audit', 'verify', '--dir', dir])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('✖') as string,
    });
  });
});

describe('the command itself', () => {
  test.each([
    [[], 0],
    [['--help'], 0],
    [['audit', '--help'], 0],
    [['nope'], 2],
    [['check', 'email', 'x'], 2],
    [['audit', 'tail', '--limit', '0'], 2],
    [['tools', 'check', 'missing.ts'], 2],
    [['demo', '--plan', 'missing.jsonl'], 2],
  ])('%j exits with %i', async (argv, code) => {
    expect((await tappass(argv)).code).toBe(code);
  });

  test('a closed pipe is no error', async () => {
    const { spawnSync } = await import('node:child_process');
    const ran = spawnSync('sh', ['-c', `"${process.execPath}" "${bin}" audit tail --json | head -n 1 >/dev/null`], {
      cwd: workspace,
      encoding: 'utf8',
    });
    expect([ran.status, ran.stderr]).toEqual([0, '']);
  });

  test('tools check says what is known of a module’s tools, and decides without running', async () => {
    writeFileSync(
      join(workspace, 'tools.mjs'),
      'export const tools = { write_file: (path) => { throw new Error("ran"); }, mystery: () => 1 };',
    );
    expect((await tappass(['tools', 'check', 'tools.mjs'])).stdout).toMatch(/write_file +inferred/u);
    expect((await tappass(['tools', 'check', 'tools.mjs', '--strict'])).code).toBe(1);
    const denied = [
      'tools',
      'check',
      'tools.mjs',
      '--tool',
      'write_file',
      '--args',
      '["/etc/x"]',
      '--flags',
      'files=project',
    ];
    expect((await tappass(denied)).code).toBe(3);
    expect((await tappass([...denied.slice(0, 6), '["a.txt"]', ...denied.slice(7)])).code).toBe(0);
  });
});

test('the demonstration runs a plan of the user’s own in a workspace of the user’s own', async () => {
  writeFileSync(
    join(workspace, 'plan.jsonl'),
    '{"tool":"write_file","args":{"path":"made.txt","content":"x"}}\n{"tool":"write_file","args":{"path":"../made.txt","content":"x"}}\n' +
      '{"tool":"send_email","args":{"to":"ada@customer.example","subject":"Hi","text":"x"}}\n',
  );
  const ran = await tappass(['demo', '--plan', 'plan.jsonl', '--workspace', '.', '--json']);
  const { calls, audit, mail } = JSON.parse(ran.stdout) as {
    calls: { outcome: string }[];
    audit: { ok: boolean };
    mail: string[];
  };
  expect(calls.map(({ outcome }) => outcome)).toEqual(['allowed', 'denied', 'rewritten']);
  expect(audit.ok).toBe(true);
  // On the wire, envelope and headers and body alike: nowhere the customer.
  expect(mail).toHaveLength(1);
  expect(mail[0]).toContain('RCPT TO:<dev@company.example>');
  expect(mail[0]).not.toContain('customer.example');
});
