/**
 * Checks that a directory of journal files is what the journal wrote: every line's hash, every link of the chain, the
 * first and last lines, signatures where a key is given, and heads that were kept elsewhere.
 *
 * Without a key this finds every change by someone who did not recompute the chain from there on. With a key
 * recomputing is found too, up to the last signed line. What only a head shows: a tail cut off, a whole file removed.
 */
import type { KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TapPassConfigError } from '../model/errors.ts';
import { COUNT, requireOptions, type OptionRules } from '../model/options.ts';
import { DEFAULT_LIMITS } from '../model/limits.ts';
import { EXTENSION } from './format.ts';
import type { Position } from './format.ts';
import { FileCheck } from './file-check.ts';
import type { FaultKind } from './file-check.ts';
import { isHeadSigned, parseHead, publicKey } from './head.ts';
import type { Head, SigningKey } from './head.ts';
import { eachLine } from './lines.ts';

export interface VerifyOptions {
  /** Texts that `journal.head()` gave and that were kept elsewhere. */
  readonly head?: string | readonly string[];
  /** Ed25519: every file must be signed by it. */
  readonly publicKey?: SigningKey;
  /** Longest line, in bytes (default 16 MiB). */
  readonly lineBytes?: number;
}

export interface JournalFault {
  /** Name of the file in the directory. */
  readonly file: string;
  /** From 1; 0 where the whole file is meant. */
  readonly line: number;
  readonly kind: FaultKind;
  /** Expected and got. */
  readonly reason: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  /** The first 1000, by file and line. */
  readonly errors: readonly JournalFault[];
  /** How many more errors there were. */
  readonly moreErrors: number;
  /** Whole lines that were read, the journal's own included. */
  readonly events: number;
  readonly files: number;
  /** Files whose last line was cut off by a crash: no error. */
  readonly torn: number;
  /** With a `publicKey`: lines that stand after the last signature of their file, and could have been recomputed. */
  readonly unsigned: number;
}

/** Bounds memory on a directory full of garbage. */
const MAX_ERRORS = 1000;

/** Reads `dir` (or one file) as a stream. Rejects only for misuse; what is wrong with the journal is in the report. */
export const verifyJournal = async (dir: string, options: VerifyOptions = {}): Promise<VerifyReport> => {
  // A misspelled key would be a check that nobody makes.
  requireOptions('verifyJournal', options, {
    head: true,
    publicKey: true,
    lineBytes: COUNT,
  } satisfies OptionRules<VerifyOptions>);
  return await new Verification(options).run(dir);
};

class Verification {
  readonly #key: KeyObject | undefined;
  readonly #heads: readonly Head[];
  readonly #lineBytes: number;
  readonly #errors: JournalFault[] = [];
  readonly #ends = new Map<
    string,
    { readonly seq: number; readonly hash: string | undefined; readonly line: number }
  >();
  readonly #previous: { readonly by: string; readonly position: Position }[] = [];
  #moreErrors = 0;
  #events = 0;
  #torn = 0;
  #unsigned = 0;

  constructor({ head = [], publicKey: key, lineBytes = DEFAULT_LIMITS.lineBytes }: VerifyOptions) {
    this.#key = key === undefined ? undefined : publicKey(key);
    this.#heads = (typeof head === 'string' ? [head] : head).map((text) => requireHead(text));
    this.#lineBytes = lineBytes;
  }

  async run(dir: string): Promise<VerifyReport> {
    const files = await this.#list(dir);
    for (const path of files) await this.#file(path);
    for (const head of this.#heads) this.#checkHead(head);
    for (const { by, position } of this.#previous) this.#checkPrevious(by, position);
    return {
      ok: this.#errors.length === 0,
      errors: this.#errors,
      moreErrors: this.#moreErrors,
      events: this.#events,
      files: files.length,
      torn: this.#torn,
      unsigned: this.#unsigned,
    };
  }

  async #list(dir: string): Promise<readonly string[]> {
    try {
      if ((await stat(dir)).isFile()) return [dir];
      const entries = await readdir(dir, { withFileTypes: true });
      const journals = entries.filter(({ name }) => name.endsWith(EXTENSION));
      for (const entry of journals) {
        if (!entry.isFile()) this.#fault(entry.name, 0, 'foreign', 'Expected a regular file, got something else.');
      }
      return journals
        .filter((entry) => entry.isFile())
        .map(({ name }) => join(dir, name))
        .sort();
    } catch (error) {
      this.#fault(dir, 0, 'unreadable', `Expected a directory of journal files, got ${messageOf(error)}.`);
      return [];
    }
  }

  async #file(path: string): Promise<void> {
    const name = basename(path);
    const claims = this.#heads.filter(({ file }) => file === name);
    const check = new FileCheck(name, this.#key, claims, (kind, line, reason) => {
      this.#fault(name, line, kind, reason);
    });
    try {
      await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      await eachLine(file, this.#lineBytes, (bytes, start, end, line, ending) => {
        check.line(bytes, start, end, line, ending);
      });
    } catch (error) {
      this.#fault(name, 0, 'unreadable', `Expected a readable file, got ${messageOf(error)}.`);
    }
    this.#events += check.events;
    // No line at all: its writer was stopped between making the file and the first line.
    if (check.torn || check.lines === 0) this.#torn++;
    if (this.#key !== undefined) this.#unsigned += check.unsigned;
    if (check.previous !== undefined) this.#previous.push({ by: name, position: check.previous });
    this.#ends.set(name, { seq: check.seq, hash: check.hash, line: check.lines });
  }

  #checkHead(head: Head): void {
    if (this.#key !== undefined && head.signature !== undefined && !isHeadSigned(head, this.#key)) {
      this.#fault(head.file, 0, 'head', 'Expected the head to be signed by the given key, got another signature.');
    }
    this.#checkReached(head, 'the head');
  }

  #checkPrevious(by: string, position: Position): void {
    if (!this.#checkReached(position, by)) return;
    const end = this.#ends.get(position.file);
    if (end?.hash !== position.hash) {
      const reason = `Expected the file to end with ${position.hash}, as ${by} says, got ${String(end?.hash)}.`;
      this.#fault(position.file, end?.line ?? 0, 'chain', reason);
    }
  }

  #checkReached({ file, seq }: Position, by: string): boolean {
    const end = this.#ends.get(file);
    if (end === undefined) {
      this.#fault(file, 0, 'missing-file', `Expected the file that ${by} names, got none.`);
      return false;
    }
    if (end.seq < seq) {
      this.#fault(file, end.line, 'truncated', `Expected seq ${seq}, which ${by} names, got no line after ${end.seq}.`);
      return false;
    }
    return true;
  }

  #fault(file: string, line: number, kind: FaultKind, reason: string): void {
    if (this.#errors.length < MAX_ERRORS) this.#errors.push({ file, line, kind, reason });
    else this.#moreErrors++;
  }
}

const requireHead = (text: string): Head => {
  const head = parseHead(text);
  if (head !== undefined) return head;
  throw new TapPassConfigError(
    `Expected \`head\` to be a text from journal.head(), got ${JSON.stringify(text.slice(0, 80))}.`,
  );
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
