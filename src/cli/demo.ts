/** `tappass demo`: what the package does, on real input, in a live table. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { DemoRow, PlannedCall } from '../demo.ts';
import { runDemo } from '../demo.ts';
import { EXIT, note, paint, print, printJson, shown, UsageError } from './output.ts';

interface DemoFlags {
  readonly plan?: string;
  readonly flags?: string;
  readonly workspace?: string;
  readonly json?: boolean;
}

const readPlan = (file: string): readonly PlannedCall[] => {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new UsageError(`Expected --plan to be a readable file, got ${JSON.stringify(file)}`);
  }
  return text
    .split('\n')
    .flatMap((line, index) => (line.trim() === '' ? [] : [planned(line, `${file}:${String(index + 1)}`)]));
};

const planned = (line: string, where: string): PlannedCall => {
  let call: unknown;
  try {
    call = JSON.parse(line);
  } catch {
    call = undefined;
  }
  if (typeof call !== 'object' || call === null || typeof (call as PlannedCall).tool !== 'string') {
    throw new UsageError(`Expected ${where} to be {"tool": "…", "args": {…}}, got ${line.slice(0, 80)}`);
  }
  const { tool, args = {}, note: text } = call as { tool: string; args?: unknown; note?: unknown };
  return { tool, args, ...(typeof text === 'string' && { note: text }) };
};

const COLOURS = {
  allowed: 'green',
  rewritten: 'cyan',
  masked: 'cyan',
  denied: 'red',
  failed: 'yellow',
  'would block': 'yellow',
} as const;

const width = (): number => Math.max(60, Math.min(process.stdout.columns ?? 120, 200));

const lineOf = (index: number, { call, outcome, detail, durationMs }: DemoRow): string => {
  const ms = durationMs < 10 ? durationMs.toFixed(1) : durationMs.toFixed(0);
  const head = `${String(index).padStart(2)}  ${paint(COLOURS[outcome], outcome.padEnd(11))} ${call.tool.padEnd(16)}`;
  const asked = shown(JSON.stringify(call.args)?.replaceAll(/\s+/gu, ' ') ?? '', width() - 42);
  const why = call.note === undefined ? '' : `${' '.repeat(4)}${paint('dim', `(${call.note})`)}\n`;
  return `${head} ${asked}  ${paint('dim', `${ms} ms`)}\n${why}    ${paint('dim', '→')} ${shown(detail, width() - 8)}`;
};

const demo = async (options: DemoFlags): Promise<void> => {
  const running = runDemo({
    ...(options.plan !== undefined && { plan: readPlan(options.plan) }),
    ...(options.flags !== undefined && { flags: options.flags }),
    ...(options.workspace !== undefined && { workspace: options.workspace }),
    onProgress: (what) => {
      note(paint('dim', `… ${what}`));
    },
  });
  let index = 0;
  let step = await running.next();
  const rows: DemoRow[] = [];
  while (step.done !== true) {
    index += 1;
    rows.push(step.value);
    if (options.json !== true) print(lineOf(index, step.value));
    step = await running.next();
  }
  const { audit, auditDir, mail, kept } = step.value;
  if (options.json === true) printJson({ calls: rows, audit, mail: mail ?? null });
  else {
    print('');
    if (mail === undefined) print('mail: no mail server here (npm install smtp-server), so no mail tool was offered');
    else for (const message of mail) print(`mail received: ${shown(envelopeOf(message))}`);
    const verdict = audit.ok ? paint('green', '✔ verified') : paint('red', '✖ damaged');
    print(
      `journal: ${String(audit.events)} events, ${verdict}${kept ? `, kept in ${auditDir}` : ' (removed with the temporary workspace)'}`,
    );
  }
  if (!audit.ok) process.exitCode = EXIT.failed;
};

/** The recipients on the wire, the To line and the subject: enough to see where a mail went. */
const envelopeOf = (message: string): string =>
  message
    .split(/\r?\n/u)
    .filter((line) => /^(?:RCPT TO|To|Cc|Subject):/u.test(line))
    .join(' · ');

export const registerDemo = (program: Command): void => {
  program
    .command('demo')
    .description('an untrusted agent at work on a temporary workspace, database and mail server')
    .option(
      '--plan <file>',
      'your own calls, JSON Lines: {"tool": "write_file", "args": {"path": "a", "content": "b"}}',
    )
    .option('--flags <flags>', 'your own flags')
    .option('--workspace <dir>', 'your own workspace; the journal is kept there')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ npm start
  $ npm start -- --flags "mode=lockdown, files=read_only, email=block"
  $ npm start -- --plan my.jsonl --workspace ./project`,
    )
    .action(demo);
};
