/** What every command prints with: one JSON document on stdout with `--json`, tables and colours for people otherwise. */
import { styleText } from 'node:util';
import Table from 'cli-table3';

/** 0 done, 1 the work failed, 2 usage, 3 blocked by policy, 4 the host cannot enforce what was asked. */
export const EXIT = { done: 0, failed: 1, usage: 2, blocked: 3, unenforceable: 4 } as const;

/** Thrown by commands for a wrong use; becomes a line on stderr and exit code 2. */
export class UsageError extends Error {}

export const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

export const printJson = (value: unknown): void => {
  print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0));
};

export const note = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** Colours only where a person looks: a terminal, and neither NO_COLOR nor `--no-color`. */
export const paint = (colour: Colour, text: string): string =>
  styleText(colour, text, { stream: process.stdout, validateStream: true });

// C0, C1, bidirectional and zero-width controls: what a tool name, a path or a reason may carry to fool a terminal.
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROLS = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/gu;

/** Text from outside, safe to print: control characters are shown, not obeyed. */
export const shown = (text: string, most = Infinity): string => {
  const safe = text.replaceAll(CONTROLS, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
  return safe.length > most ? `${safe.slice(0, most - 1)}…` : safe;
};

export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const drawn = new Table({
    head: head.map((title) => paint('bold', title)),
    style: { head: [], border: [], compact: true },
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '  ',
    },
  });
  for (const row of rows) drawn.push([...row]);
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
};

/** The whole of standard input as text, up to a bound. */
export const readStdin = async (mostBytes = 8 * 1024 * 1024): Promise<string> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > mostBytes) throw new UsageError(`Expected at most ${String(mostBytes)} bytes on standard input`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};
