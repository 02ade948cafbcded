/** `runCode` with tools of the real `govern()`: same flags, same journal, same session as everything else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { defineCodeTool } from '../src/define-code-tool.ts';
import { fileTools } from '../src/file-tools.ts';
import { govern } from '../src/govern.ts';
import type { JournalEntry } from '../src/model/event.ts';
import { openCodePool, runCode, type CodePool } from '../src/run-code.ts';
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

test('a code tool is governed itself, and the calls it makes have it as their parent', async () => {
  const uses = govern(fileTools(workspace), options());
  const tool = defineCodeTool({
    name: 'count_letters',
    description: 'Counts the letters of a file',
    input: z.object({ path: z.string() }),
    source: 'export default async ({ path }: { path: string }) => (await tools.read_file({ path })).content.length',
    uses,
    pool,
  });
  const { count_letters: governed } = govern({ count_letters: tool }, options());
  expect(await governed.execute({ path: 'a.txt' })).toBe(5);
  const outer = events.findLast((event) => event.type === 'call-decided' && event['tool'] === 'count_letters');
  expect(outer).toMatchObject({ effects: 'declared', outcome: 'allow' });
  expect(decided(String(outer?.['call_id']))).toMatchObject([{ tool: 'read_file' }]);
});

test('tools that were not governed are refused', async () => {
  await expect(runCode('1', { tools: { bare: () => 1 } as never, pool })).rejects.toMatchObject({
    code: 'TAPPASS_CONFIG_TOOL_NOT_GOVERNED',
  });
});
