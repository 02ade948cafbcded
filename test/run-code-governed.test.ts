/** `runCode` with tools of the real `govern()`: same flags, same journal, same session as everything else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineCodeTool } from '../src/define-code-tool.ts';
import { fileTools } from '../src/file-tools.ts';
import { govern } from '../src/govern.ts';
import type { JournalEntry } from '../src/model/event.ts';
import { declareTools, openCodePool, runCode, type CodePool } from '../src/run-code.ts';
import { tappassSession } from '../src/session.ts';

let pool: CodePool;
let workspace: string;
const events: JournalEntry[] = [];
const options = () => ({
  workspace,
  audit: false as const,
  flags: 'files=read_only',
  onEvent: (event: JournalEntry) => events.push(event),
});
const decided = (callId: string) =>
  events.filter((event) => event.type === 'call-decided' && event['parent_call_id'] === callId);

beforeAll(async () => {
  workspace = mkdtempSync(join(tmpdir(), 'tappass-code-'));
  writeFileSync(join(workspace, 'a.txt'), 'hello');
  pool = openCodePool({ hosts: 1 });
  await pool.ready();
});
afterAll(() => {
  pool.close();
  rmSync(workspace, { recursive: true });
});

test('a call of a guest is judged like any other, and names the run as its parent', async () => {
  const tools = govern(fileTools(workspace), options());
  const source = `
    const { content } = await tools.read_file({ path: 'a.txt' });
    const blocked = await tools.write_file({ path: 'b.txt', content }).catch((e) => ({ name: e.name, by: e.blockedBy, text: e.message }));
    ({ content, blocked })`;
  const result = await runCode(source, { tools, pool, callId: 'run-1' });
  expect(result.value).toEqual({
    content: 'hello',
    blocked: {
      name: 'PolicyBlockError',
      by: 'check_files',
      text: expect.stringContaining('Request blocked by check_files'),
    },
  });
  expect(decided('run-1')).toMatchObject([
    { tool: 'read_file', outcome: 'allow' },
    { tool: 'write_file', outcome: 'deny', blocked_by: 'check_files' },
  ]);
  const uncaught = await runCode('await tools.write_file({ path: "c", content: "" })', { tools, pool });
  expect(uncaught).toMatchObject({ status: 'error', error: { name: 'PolicyBlockError', blockedBy: 'check_files' } });
});

test('calls belong to the session of whoever called runCode, also side by side on one host', async () => {
  const tools = govern({ note: (text: string) => text.length }, { ...options(), flags: {} });
  const run = (name: string, flags: string) =>
    tappassSession({ sessionId: name, flags }, () =>
      runCode('await new Promise((r) => setTimeout(r, 20)); await tools.note("x")', {
        tools,
        pool,
        callId: `of-${name}`,
      }),
    );
  const [one, two] = await Promise.all([run('one', 'tools=log'), run('two', 'tools=block')]);
  expect(one).toMatchObject({ status: 'ok', value: 1 });
  expect(two).toMatchObject({ status: 'error', error: { blockedBy: 'filter_tools' } });
  expect(decided('of-one')).toMatchObject([{ session_id: 'one', outcome: 'allow' }]);
  expect(decided('of-two')).toMatchObject([{ session_id: 'two', outcome: 'deny' }]);
});

describe('a code tool is governed itself, and the calls it makes have its own call as their parent', () => {
  const governedTool = () => {
    const uses = govern(fileTools(workspace), options());
    const tool = defineCodeTool({
      name: 'count_letters',
      description: 'Counts the letters of a file',
      input: z.object({ path: z.string() }),
      source: 'export default async ({ path }: { path: string }) => (await tools.read_file({ path })).content.length',
      uses,
      pool,
    });
    return govern({ count_letters: tool }, options()).count_letters;
  };
  const outer = () =>
    events.filter((event) => event.type === 'call-decided' && event['tool'] === 'count_letters').slice(-1);
  const idOf = (event: JournalEntry | undefined) => String(event?.['call_id']);

  test('called with its input alone', async () => {
    expect(await governedTool().execute({ path: 'a.txt' })).toBe(5);
    expect(outer()).toMatchObject([{ effects: 'declared', outcome: 'allow' }]);
    expect(decided(idOf(outer()[0]))).toMatchObject([{ tool: 'read_file' }]);
  });

  test('called as a framework does, with a context that has ids of its own', async () => {
    const tool = governedTool() as { execute: (input: unknown, context: object) => unknown };
    const context = { toolCallId: 'call_of_the_sdk', messages: [], callId: 'not_ours' };
    expect(await tool.execute({ path: 'a.txt' }, context)).toBe(5);
    const id = idOf(outer()[0]);
    expect(id).not.toBe('not_ours');
    expect(decided(id)).toMatchObject([{ tool: 'read_file' }]);
    expect(decided('not_ours')).toEqual([]);
  });

  test('its `execute` in the shape of a framework', async () => {
    const { execute } = defineCodeTool({
      name: 'count_letters',
      description: '',
      input: z.object({ path: z.string() }),
      source: 'export default async ({ path }) => (await tools.read_file({ path })).content.length',
      uses: govern(fileTools(workspace), options()),
      pool,
    });
    const sdk = { description: '', inputSchema: z.object({ path: z.string() }), execute };
    const { count_letters: tool } = govern(
      { count_letters: sdk },
      { ...options(), effects: { count_letters: { none: true } } },
    );
    await (tool.execute as (input: unknown, context: object) => unknown)({ path: 'a.txt' }, { toolCallId: 'x' });
    expect(decided(idOf(outer()[0]))).toMatchObject([{ tool: 'read_file' }]);
  });

  test('in parallel, and inside one another', async () => {
    const tool = governedTool();
    const before = events.length;
    const count = 6;
    await Promise.all(Array.from({ length: count }, () => tool.execute({ path: 'a.txt' })));
    const mine = events.slice(before).filter((event) => event.type === 'call-decided');
    const outers = mine.filter((event) => event['tool'] === 'count_letters');
    expect(new Set(outers.map(idOf)).size).toBe(count);
    for (const each of outers) expect(decided(idOf(each))).toMatchObject([{ tool: 'read_file' }]);
    await runCode('await Promise.all([1, 2].map(() => tools.count_letters({ path: "a.txt" })))', {
      tools: { count_letters: tool },
      pool,
      callId: 'the-outermost',
    });
    const middle = decided('the-outermost');
    expect(middle).toMatchObject([{ tool: 'count_letters' }, { tool: 'count_letters' }]);
    for (const each of middle) expect(decided(idOf(each))).toMatchObject([{ tool: 'read_file' }]);
  });
});

describe('only what `govern()` returned is a governed tool', () => {
  const refused = { code: 'TAPPASS_CONFIG_TOOL_NOT_GOVERNED' };

  test('a bare function and a bare object are refused', async () => {
    await expect(runCode('1', { tools: { bare: () => 1 } as never, pool })).rejects.toMatchObject(refused);
    const bare = { name: 'bare', execute: () => 1 };
    await expect(runCode('1', { tools: [bare] as never, pool })).rejects.toMatchObject(refused);
  });

  test('a forged `check`, a copy and a proxy are refused, by declareTools and defineCodeTool too', async () => {
    const real = govern({ note: (text: string) => text }, options()).note;
    const { execute, ...texts } = govern(fileTools(workspace), options()).read_file;
    const check = () => Promise.resolve({ allowed: true });
    const forged: readonly object[] = [
      Object.assign(() => 1, { check }),
      { name: 'read_file', execute: () => 1, check },
      { ...texts, execute, check },
      new Proxy(real, {}),
      Object.create(real) as object,
    ];
    for (const tool of forged) {
      const tools = { tool } as never;
      await expect(runCode('await tools.tool({})', { tools, pool })).rejects.toMatchObject(refused);
      expect(() => declareTools(tools)).toThrow(/to be governed/u);
    }
    const code = defineCodeTool({
      name: 'code',
      description: '',
      input: z.object({}),
      source: '1',
      uses: { tool: forged[0] } as never,
      pool,
    });
    await expect(code.execute({})).rejects.toMatchObject(refused);
    expect(await runCode('await tools.note("x")', { tools: { note: real }, pool })).toMatchObject({ value: 'x' });
  });

  test('another body put in its place afterwards is never reached', async () => {
    const { read_file: tool } = govern(fileTools(workspace), options());
    Object.assign(tool, { execute: () => 'ungoverned' });
    const result = await runCode('(await tools.read_file({ path: "a.txt" })).content', { tools: [tool], pool });
    expect(result).toMatchObject({ value: 'hello' });
  });
});
