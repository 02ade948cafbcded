/** `tappass audit`: look at, verify and export the journal. */
import { createWriteStream, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { EXPORT_FORMATS, exportJournal, readJournal, verifyJournal } from '../audit-log.ts';
import type { AuditFilter } from '../audit-log.ts';
import { STEP_ALIASES } from '../model/decision.ts';
import type { AuditEvent } from '../model/event.ts';
import { EXIT, note, paint, print, printJson, shown, table, UsageError } from './output.ts';

interface FilterOptions {
  readonly dir?: string;
  readonly agent?: string;
  readonly tool?: string;
  readonly session?: string;
  readonly after?: string;
  readonly before?: string;
  readonly blocked?: boolean;
  readonly blockedBy?: string;
  readonly limit?: string;
  readonly json?: boolean;
}

const directoryOf = ({ dir }: FilterOptions): string =>
  resolve(dir ?? join(process.env['TAPPASS_WORKSPACE'] ?? process.cwd(), '.tappass', 'audit'));

const MOST = 1000;

const limitOf = (text: string | undefined, most: number): number => {
  if (text === undefined) return 100;
  const limit = Number(text);
  if (Number.isSafeInteger(limit) && limit > 0 && limit <= most) return limit;
  throw new UsageError(`Expected --limit to be a whole number from 1 to ${String(most)}, got ${JSON.stringify(text)}`);
};

const filterOf = (options: FilterOptions): AuditFilter => ({
  ...(options.agent !== undefined && { agent: options.agent }),
  ...(options.tool !== undefined && { tool: options.tool }),
  ...(options.session !== undefined && { session: options.session }),
  ...(options.after !== undefined && { after: options.after }),
  ...(options.before !== undefined && { before: options.before }),
  ...((options.blocked === true || options.blockedBy !== undefined) && { blocked: true }),
});

const text = (event: AuditEvent, field: string): string => {
  const value = (event as unknown as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : '';
};

const matchesStep = (event: AuditEvent, step: string | undefined): boolean =>
  step === undefined || text(event, 'blocked_by') === (STEP_ALIASES[step] ?? step);

const outcomeOf = (event: AuditEvent): string => {
  const outcome = text(event, 'outcome');
  if (outcome === 'deny' || outcome === 'denied') return paint('red', outcome);
  if ('would_block' in event && event.would_block !== undefined) return paint('yellow', `${outcome} (would block)`);
  return outcome === 'threw' || outcome === 'failed' ? paint('yellow', outcome) : paint('green', outcome);
};

const rowOf = (event: AuditEvent): readonly string[] => [
  event.time.slice(0, 23).replace('T', ' '),
  event.type === 'call-decided' || event.type === 'call-ended' ? event.type.slice(5) : event.type,
  outcomeOf(event),
  shown(text(event, 'agent'), 20),
  shown(text(event, 'tool'), 32),
  shown(text(event, 'call_id')),
  shown(detailOf(event), 100),
];

const detailOf = (event: AuditEvent): string => {
  if (text(event, 'blocked_by') !== '') return `${text(event, 'blocked_by')} — ${text(event, 'reason')}`;
  if (event.type === 'notice') return text(event, 'reason');
  return event.type === 'lock-down' ? `tier ${text(event, 'tier')} ${text(event, 'reason')}`.trimEnd() : '';
};

const HEAD = ['time', 'event', 'outcome', 'agent', 'tool', 'call', 'blocked by'];

const take = async (options: FilterOptions, most: number): Promise<readonly AuditEvent[]> => {
  const limit = limitOf(options.limit, most);
  const found: AuditEvent[] = [];
  for await (const event of readJournal(directoryOf(options), filterOf(options))) {
    if (matchesStep(event, options.blockedBy)) found.push(event);
    if (found.length >= limit) break;
  }
  return found;
};

const printEvents = (events: readonly AuditEvent[], json: boolean | undefined): void => {
  if (json === true) for (const event of events) print(JSON.stringify(event));
  else if (events.length > 0) print(table(HEAD, events.map(rowOf)));
};

/** Newest last, as `tail` prints; `--follow` goes on with what arrives. */
const tail = async (options: FilterOptions & { readonly follow?: boolean }): Promise<void> => {
  const newestFirst = await take(options, MOST);
  printEvents(newestFirst.toReversed(), options.json);
  if (newestFirst.length === 0) note('No events match.');
  const keyOf = (event: AuditEvent): string => event.hash;
  let seen = new Set(newestFirst.map(keyOf));
  while (options.follow === true) {
    await sleep(300);
    const recent = await take({ ...options, limit: String(MOST) }, MOST);
    printEvents(
      recent
        .filter(
          (event) => !seen.has(keyOf(event)) && (newestFirst[0] === undefined || event.time >= newestFirst[0].time),
        )
        .toReversed(),
      options.json,
    );
    seen = new Set(recent.map(keyOf));
  }
};

const show = async (id: string, options: FilterOptions): Promise<void> => {
  const found: AuditEvent[] = [];
  for await (const event of readJournal(directoryOf(options), {})) {
    if (text(event, 'call_id') === id || text(event, 'session_id') === id || event.hash.startsWith(id))
      found.push(event);
    if (found.length >= MOST) break;
  }
  if (found.length === 0) {
    note(
      `tappass: expected a call id, a session id or the beginning of a hash, got ${JSON.stringify(id)}: no event has it`,
    );
    process.exitCode = EXIT.failed;
  } else if (options.json === true) printJson(found.toReversed());
  else for (const event of found.toReversed()) print(JSON.stringify(event, null, 2));
};

interface VerifyFlags extends FilterOptions {
  readonly head?: string;
  readonly publicKey?: string;
}

const verify = async (options: VerifyFlags): Promise<void> => {
  const started = performance.now();
  const report = await verifyJournal(directoryOf(options), {
    ...(options.head !== undefined && { head: options.head }),
    ...(options.publicKey !== undefined && { publicKey: readFileSync(options.publicKey, 'utf8') }),
  });
  if (options.json === true) printJson(report);
  else {
    for (const { file, line, kind, reason } of report.errors) {
      print(`${paint('red', '✖')} ${shown(file)}:${String(line)}  ${kind}  ${shown(reason)}`);
    }
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    const torn =
      report.torn === 0 ? '' : `, ${String(report.torn)} torn last lines (a process was killed while writing)`;
    const verdict = report.ok
      ? paint('green', '✔ every line is as it was written')
      : paint('red', '✖ not as it was written');
    print(`${verdict}: ${String(report.events)} events in ${String(report.files)} files${torn}, ${seconds} s`);
  }
  if (!report.ok) process.exitCode = EXIT.failed;
};

const exportEvents = async (
  options: FilterOptions & { readonly format: string; readonly output?: string },
): Promise<void> => {
  const format = EXPORT_FORMATS.find((known) => known === options.format);
  if (format === undefined)
    throw new UsageError(
      `Expected --format to be one of ${EXPORT_FORMATS.join(', ')}, got ${JSON.stringify(options.format)}`,
    );
  const filter = {
    ...filterOf(options),
    ...(options.limit !== undefined && { limit: limitOf(options.limit, Number.MAX_SAFE_INTEGER) }),
  };
  const lines = Readable.from(exportJournal(readJournal(directoryOf(options), filter), format));
  if (options.output === undefined) for await (const line of lines) process.stdout.write(String(line));
  else await pipeline(lines, createWriteStream(options.output, { mode: 0o600, flags: 'wx' }));
};

const withFilters = (command: Command): Command =>
  command
    .option('--dir <dir>', 'the journal (default: .tappass/audit under the workspace)')
    .option('--agent <name>', 'only this agent')
    .option('--tool <name>', 'only this tool')
    .option('--session <id>', 'only this session')
    .option('--after <time>', 'RFC 3339, included')
    .option('--before <time>', 'RFC 3339, excluded')
    .option('--blocked', 'only what was blocked')
    .option('--blocked-by <step>', 'only what this step blocked')
    .option('--limit <n>', `at most so many, newest first (default 100)`)
    .option('--json', 'machine-readable on stdout');

export const registerAudit = (program: Command): void => {
  const audit = program.command('audit').description('look at, verify and export the journal');
  withFilters(audit.command('tail').description('the newest events'))
    .option('-f, --follow', 'go on with what arrives')
    .addHelpText(
      'after',
      '\nExample:\n  $ tappass audit tail --blocked --after 2026-03-01T00:00:00Z --json | jq .reason',
    )
    .action(tail);
  audit
    .command('show <id>')
    .description('every event of a call or a session, whole')
    .option('--dir <dir>', 'the journal')
    .option('--json', 'one JSON document on stdout')
    .action(show);
  audit
    .command('verify')
    .description('is every line as it was written? exit 1 and the place when not')
    .option('--dir <dir>', 'the journal')
    .option('--head <text>', 'what journal.head() gave earlier: shows a truncated tail too')
    .option('--public-key <file>', 'Ed25519 public key (PEM): shows a chain that was recomputed')
    .option('--json', 'one JSON document on stdout')
    .action(verify);
  withFilters(audit.command('export').description('events for other programs'))
    .option('--format <format>', EXPORT_FORMATS.join(', '), 'ndjson')
    .option('--output <file>', 'a new file (default: stdout)')
    .addHelpText('after', '\nExample:\n  $ tappass audit export --format csv --agent finance-bot --output finance.csv')
    .action(exportEvents);
};
