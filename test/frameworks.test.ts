/** Governed tools in the frameworks that people have: real servers, real loops; only the model is a script. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tool as langchainTool } from '@langchain/core/tools';
import { Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { McpServer } from '@modelcontextprotocol/server';
import { generateText, isStepCount, tool as aiTool } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { govern, openMemoryJournal } from '../src/index.ts';

const SECRET = 'AKIAZ7Q2M4T6W8XKPL3N';
const BLOCKED = /Request blocked by check_files — writing to the path, outside the workspace, is not allowed/u;

let top: string;
let workspace: string;
let journal: ReturnType<typeof openMemoryJournal>;
beforeEach(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-frameworks-')));
  workspace = join(top, 'project');
  mkdirSync(workspace);
  writeFileSync(join(top, 'other.md'), 'untouched');
  journal = openMemoryJournal();
});
afterEach(() => {
  expect(readFileSync(join(top, 'other.md'), 'utf8')).toBe('untouched');
  expect(readFileSync(join(workspace, 'notes.md'), 'utf8')).toBe('hello');
  expect(journal.lines().join('')).not.toContain(SECRET);
  const outcomes = [...journal.read({ type: 'call-ended' })].map((event) => (event as { outcome: unknown }).outcome);
  expect([outcomes.length, new Set(outcomes)]).toEqual([2, new Set(['denied', 'returned'])]);
  rmSync(top, { recursive: true, force: true });
});

const options = () => ({ flags: 'files=project', workspace, audit: journal });
const schema = z.object({ path: z.string(), text: z.string() });
const ASKED = { path: 'notes.md', text: 'hello' };
const FORBIDDEN = { path: '../other.md', text: 'overwritten' };

test('an MCP server: the handler and its context', async () => {
  const { save_notes } = govern(
    {
      save_notes: {
        description: 'Saves a note.',
        inputSchema: schema,
        execute: async (
          { path, text }: z.infer<typeof schema>,
          context: { readonly mcpReq: { readonly id: unknown } },
        ) => {
          await writeFile(path, text);
          return { content: [{ type: 'text' as const, text: `${SECRET} for request ${typeof context.mcpReq.id}` }] };
        },
      },
    },
    options(),
  );
  const server = new McpServer({ name: 'notes', version: '1.0.0' });
  server.registerTool('save_notes', save_notes, save_notes.execute);
  const [near, far] = InMemoryTransport.createLinkedPair();
  const client = new Client({ name: 'client', version: '1.0.0' });
  await Promise.all([server.connect(near), client.connect(far)]);
  expect(await client.callTool({ name: 'save_notes', arguments: ASKED })).toMatchObject({
    content: [{ text: '[REDACTED] for request number' }],
  });
  const denied = await client.callTool({ name: 'save_notes', arguments: FORBIDDEN });
  expect(denied).toMatchObject({ isError: true, content: [{ text: expect.stringMatching(BLOCKED) as unknown }] });
  await client.close();
});

test('the AI SDK: the model reads the block and goes on', async () => {
  const { coverage, ...tools } = govern(
    {
      save_notes: aiTool({
        description: 'Saves a note.',
        inputSchema: schema,
        execute: async ({ path, text }, { toolCallId }) => {
          await writeFile(path, text);
          return `${SECRET} for call ${toolCallId}`;
        },
      }),
    },
    options(),
  );
  expect(coverage()).toEqual({ declared: [], inferred: ['save_notes'], unknown: [] });
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 },
  };
  const asks = [ASKED, FORBIDDEN].map((input, index) => ({
    content: [
      {
        type: 'tool-call' as const,
        toolCallId: `call-${String(index)}`,
        toolName: 'save_notes',
        input: JSON.stringify(input),
      },
    ],
    finishReason: { unified: 'tool-calls' as const, raw: undefined },
    usage,
    warnings: [],
  }));
  const last = {
    content: [{ type: 'text' as const, text: 'done' }],
    finishReason: { unified: 'stop' as const, raw: undefined },
    usage,
    warnings: [],
  };
  const answers = [...asks, last];
  const model = new MockLanguageModelV4({ doGenerate: async () => answers.shift() ?? last });
  const { text } = await generateText({ model, tools, prompt: 'Save my notes.', stopWhen: isStepCount(5) });
  expect(text).toBe('done');
  const seen = JSON.stringify(model.doGenerateCalls.at(-1)?.prompt);
  expect(seen).toContain('[REDACTED] for call call-0');
  expect(seen).toMatch(BLOCKED);
  expect(seen).not.toContain(SECRET);
});

test('LangChain: the function is governed before the tool is made of it', async () => {
  const [save] = govern(
    [
      {
        name: 'save_notes',
        description: 'Saves a note.',
        schema,
        execute: async ({ path, text }: z.infer<typeof schema>, config?: { readonly runId?: string }) => {
          await writeFile(path, text);
          return `${SECRET} for run ${String(config?.runId)}`;
        },
      },
    ],
    options(),
  );
  const made = langchainTool(save.execute, save);
  const runId = '00000000-0000-4000-8000-000000000001';
  expect(await made.invoke(ASKED, { runId, callbacks: [{ handleToolEnd: () => undefined }] })).toContain('[REDACTED]');
  await expect(made.invoke(FORBIDDEN)).rejects.toThrow(BLOCKED);
  expect(() => govern([made as unknown as () => void], options())).toThrow(
    /`invoke`.*govern its function first, and make the tool of what comes back/u,
  );
});
