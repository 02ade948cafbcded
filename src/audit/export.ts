/** Events as texts for other programs. Pieces of text come one by one: an export of any size needs no memory of its size. */
import type { AuditEvent } from '../model/event.ts';
import { unreachable } from '../model/decision.ts';

export const EXPORT_FORMATS = ['json', 'ndjson', 'csv'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** `json`: one array, an event a line. `ndjson`: an event a line. `csv`: RFC 4180 with a header, the columns below. */
export const exportJournal = (events: AsyncIterable<AuditEvent>, format: ExportFormat): AsyncGenerator<string> => {
  switch (format) {
    case 'json':
      return asJson(events);
    case 'ndjson':
      return asNdjson(events);
    case 'csv':
      return asCsv(events);
    default:
      return unreachable(format);
  }
};

async function* asJson(events: AsyncIterable<AuditEvent>): AsyncGenerator<string> {
  let lead = '[\n';
  for await (const event of events) {
    yield `${lead}${JSON.stringify(event)}`;
    lead = ',\n';
  }
  yield lead === '[\n' ? '[]\n' : '\n]\n';
}

async function* asNdjson(events: AsyncIterable<AuditEvent>): AsyncGenerator<string> {
  for await (const event of events) yield `${JSON.stringify(event)}\n`;
}

export const CSV_COLUMNS = [
  'time',
  'type',
  'agent',
  'user',
  'tool',
  'outcome',
  'blocked',
  'blocked_by',
  'reason',
  'classification',
  'duration_ms',
  'call_id',
  'session_id',
  'task_id',
  'audit_url',
  'args',
  'args_sha256',
  'detections',
  'seq',
  'hash',
] as const;

async function* asCsv(events: AsyncIterable<AuditEvent>): AsyncGenerator<string> {
  yield `${CSV_COLUMNS.join(',')}\r\n`;
  for await (const event of events) {
    const fields: Readonly<Record<string, unknown>> = { ...event };
    yield `${CSV_COLUMNS.map((column) => cell(fields[column])).join(',')}\r\n`;
  }
}

/**
 * A spreadsheet runs a cell that begins with one of these as a formula (CWE-1236), and the agent chose the text: an
 * apostrophe in front makes it text. Full-width forms count, for spreadsheets fold them.
 */
const FORMULA = /^\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20|%]/;

const cell = (value: unknown): string => {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const inert = FORMULA.test(text) ? `'${text}` : text;
  return /[",\r\n']/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
};
