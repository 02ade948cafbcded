/**
 * Door: an untrusted agent's session over a real workspace, database and mail server: each call of a plan is governed,
 * executed and recorded. The plan is the built-in one or the user's own (JSON Lines: `{"tool": …, "args": …}`).
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { z } from 'zod';
import { openJournal, verifyJournal } from './audit-log.ts';
import type { VerifyReport } from './audit-log.ts';
import { defineCommandTool } from './define-command-tool.ts';
import { openMailSink } from './demo-mail.ts';
import type { MailSink } from './demo-mail.ts';
import { DEMO_FILES, DEMO_FLAGS, DEMO_PLAN, DEMO_SQL } from './demo-plan.ts';
import type { PlannedCall } from './demo-plan.ts';

import { emailTools } from './email-tools.ts';
import { fetchTool } from './fetch-tool.ts';
import { fileTools } from './file-tools.ts';
import { govern } from './govern.ts';
import type { CallDecided, CallEnded, JournalEntry } from './model/event.ts';
import { runCode } from './run-code.ts';
import { tappassSession } from './session.ts';
import { sqlTools } from './sql-tools.ts';
import { defineTool } from './tools/define.ts';

export type { PlannedCall } from './demo-plan.ts';

export interface DemoOptions {
  /** Default: the built-in plan. */
  readonly plan?: readonly PlannedCall[];
  readonly flags?: string;
  /** Default: a temporary one with a few files, removed afterwards. */
  readonly workspace?: string;
  /** Told of each stage of the set-up, which takes a few seconds. */
  readonly onProgress?: (what: string) => void;
}

export interface DemoRow {
  readonly call: PlannedCall;
  readonly outcome: 'allowed' | 'rewritten' | 'masked' | 'denied' | 'failed' | 'would block';
  /** Why, or what came back, in a line. */
  readonly detail: string;
  readonly durationMs: number;
}

export interface DemoEnd {
  readonly audit: VerifyReport;
  readonly auditDir: string;
  /** What the mail server received, as it came over the wire; absent where there was none. */
  readonly mail: readonly string[] | undefined;
  readonly kept: boolean;
}

const makeWorkspace = (): string => {
  const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-demo-')));
  for (const [name, text] of Object.entries(DEMO_FILES)) {
    mkdirSync(dirname(join(workspace, name)), { recursive: true });
    writeFileSync(join(workspace, name), text);
  }
  symlinkSync('/etc', join(workspace, 'shortcut'));
  return workspace;
};

const oneLine = (value: unknown): string => {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return text.replaceAll(/\s+/gu, ' ').slice(0, 400);
};

/** What a result says in a line: of known shapes the part that matters. */
const summaryOf = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return oneLine(value);
  const { status, stdout, reason, error, value: inner, content, rows } = value as Record<string, unknown>;
  if (typeof status === 'string' && stdout !== undefined) {
    return `${status}: ${oneLine(stdout === '' ? (reason ?? (value as { stderr?: unknown }).stderr) : stdout)}`;
  }
  if (typeof status === 'string')
    return `${status}: ${oneLine(error === undefined ? inner : (error as { message?: unknown }).message)}`;
  return oneLine(content ?? rows ?? value);
};

interface Seen {
  decided?: CallDecided;
  ended?: CallEnded;
}

const rowOf = (
  call: PlannedCall,
  seen: Seen,
  result: { value: unknown } | { error: unknown },
  durationMs: number,
): DemoRow => {
  const { decided, ended } = seen;
  if ('error' in result) {
    const { message } = result.error as { message?: string };
    const blocked = decided?.blocked === true || ended?.blocked === true;
    return { call, outcome: blocked ? 'denied' : 'failed', detail: message ?? String(result.error), durationMs };
  }
  const detail = summaryOf(result.value);
  if (decided?.would_block !== undefined)
    return { call, outcome: 'would block', detail: decided.would_block.reason, durationMs };
  const masked =
    (ended?.detections ?? []).length > 0 || (decided?.detections ?? []).some(({ step }) => step.startsWith('detect_'));
  const mailed = decided?.rewrites?.some(({ pointer }) => pointer === '') === true;
  return { call, outcome: mailed ? 'rewritten' : masked ? 'masked' : 'allowed', detail, durationMs };
};

// A list of tools whose inputs have nothing in common: the plan says what each gets, and its schema whether that fits.
// oxlint-disable-next-line typescript/no-explicit-any -- as above
type DemoTool = { readonly name: string; readonly execute: (input: any, context?: any) => unknown };

interface World {
  readonly workspace: string;
  readonly tools: readonly DemoTool[];
  readonly mail: MailSink | undefined;
  readonly close: () => Promise<void>;
}

const buildWorld = async (workspace: string, onProgress: (what: string) => void): Promise<World> => {
  onProgress('starting PostgreSQL (embedded)');
  const database = await PGlite.create();
  for (const statement of DEMO_SQL) await database.query(statement);
  onProgress('starting a mail server (loopback)');
  const mail = await openMailSink();
  const files = fileTools(workspace);
  const fetching = fetchTool({ allowedDomains: ['api.company.example'] });
  const tools: readonly DemoTool[] = [
    ...Object.values(files),
    ...sqlTools({ connection: database }),
    ...(mail === undefined
      ? []
      : Object.values(emailTools({ transport: mail.transport, from: 'agent@company.example' }))),
    fetching,
    defineCommandTool({
      name: 'run_command',
      description: 'Runs a program in the workspace, under the worker tier.',
      input: z.object({ argv: z.array(z.string()).min(1) }),
      command: ({ argv }) => argv,
      workspace,
      timeoutMs: 10_000,
    }),
  ];
  return {
    workspace,
    tools,
    mail,
    close: async () => {
      await fetching.close();
      await mail?.close();
      await database.close();
    },
  };
};

/** Yields one row for each call as it ends; returns how the journal stands. */
export async function* runDemo(options: DemoOptions = {}): AsyncGenerator<DemoRow, DemoEnd> {
  const { plan = DEMO_PLAN, flags = DEMO_FLAGS, onProgress = () => undefined } = options;
  const workspace = options.workspace === undefined ? makeWorkspace() : realpathSync(resolve(options.workspace));
  const world = await buildWorld(workspace, onProgress);
  const auditDir = join(workspace, '.tappass', 'audit');
  const journal = await openJournal({ dir: auditDir });
  const seen = new Map<string, Seen>();
  let latest: Seen = {};
  const onEvent = (event: JournalEntry): void => {
    if (event.type === 'call-decided' && event.parent_call_id === undefined) {
      latest = { decided: event };
      seen.set(event.call_id, latest);
    } else if (event.type === 'call-ended') {
      const known = seen.get(event.call_id);
      if (known !== undefined) known.ended = event;
    }
  };
  const governOptions = {
    flags,
    workspace,
    audit: journal,
    onEvent,
    network: { allowedDomains: ['api.company.example'] },
  };
  const inner = govern(world.tools, governOptions);
  const { run_code } = govern(
    {
      run_code: defineTool({
        name: 'run_code',
        description: 'Runs TypeScript in an isolate; it may use the other tools.',
        input: z.object({ source: z.string() }),
        effects: { none: true },
        execute: async ({ source }, context) =>
          await runCode(source, {
            tools: inner,
            timeoutMs: 10_000,
            memoryMb: 64,
            ...(context?.callId !== undefined && { callId: context.callId }),
          }),
      }),
    },
    governOptions,
  );
  const tools = new Map<string, DemoTool>([...inner, run_code].map((tool) => [tool.name, tool]));

  try {
    for (const call of plan) {
      const started = performance.now();
      latest = {};
      let result: { value: unknown } | { error: unknown };
      try {
        const tool = tools.get(call.tool);
        if (tool === undefined)
          throw new Error(`there is no tool ${JSON.stringify(call.tool)}; tools: ${[...tools.keys()].join(', ')}`);
        result = {
          value: await tappassSession({ subject: { agent: 'demo-agent' }, sessionId: 'demo' }, () =>
            tool.execute(call.args),
          ),
        };
      } catch (error) {
        result = { error };
      }
      yield rowOf(call, latest, result, performance.now() - started);
    }
    await journal.close();
    const audit = await verifyJournal(auditDir);
    return { audit, auditDir, mail: world.mail?.received(), kept: options.workspace !== undefined };
  } finally {
    await world.close();
    if (options.workspace === undefined) rmSync(workspace, { recursive: true, force: true });
  }
}
