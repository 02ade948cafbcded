/** The check of one journal file, line by line, in one pass and constant memory. */
import { hash, type KeyObject } from 'node:crypto';
import { canonicalize } from '../model/canonical.ts';
import { FORMAT, FORMAT_VERSION, isFileName, NO_HASH, TAIL_LENGTH } from './format.ts';
import type { Position } from './format.ts';
import { isEventSigned } from './head.ts';
import type { LineEnd } from './lines.ts';
import { LineScan, storedHash } from './scan.ts';

export const FAULT_KINDS = [
  'changed',
  'missing',
  'order',
  'duplicate',
  'chain',
  'malformed',
  'too-long',
  'after-close',
  'foreign',
  'version',
  'renamed',
  'signature',
  'unsigned',
  'truncated',
  'missing-file',
  'head',
  'unreadable',
] as const;

/**
 * What is wrong: `changed` a line's content does not match its hash; `missing` lines were removed before this one;
 * `order`, `duplicate` a line stands where another belongs, or twice; `chain` a line follows another than the one before
 * it; `malformed`, `too-long` no line of ours; `after-close` something follows the last line; `foreign`, `version` not
 * our file, or of a later format; `renamed` a file under another name; `signature` a signed line that the key did not
 * sign; `unsigned` no signature where the key says there must be one; `truncated`, `missing-file` lines or a file that a
 * head or a later file names are gone; `head` a head that fits nothing; `unreadable` the system refused.
 */
export type FaultKind = (typeof FAULT_KINDS)[number];

export type ReportFault = (kind: FaultKind, line: number, reason: string) => void;

const BRACE = 0x7d;
const COMMA = 0x2c;
const OWN_TYPES: ReadonlySet<string> = new Set(['journal-opened', 'journal-closed', 'checkpoint']);

export class FileCheck {
  readonly #name: string;
  readonly #key: KeyObject | undefined;
  /** What heads kept elsewhere say of this file. */
  readonly #claims: readonly Position[];
  readonly #report: ReportFault;
  readonly #scan = new LineScan();
  #seq = 0;
  /** `undefined` after a line that could not be read: what follows it is not blamed for that. */
  #hash: string | undefined = NO_HASH;
  #signedSeq = 0;
  #line = 0;
  #closed = false;
  #abandoned = false;
  events = 0;
  torn = false;
  /** Where the file before this one ended, as this one's first line says. */
  previous: Position | undefined;

  constructor(name: string, key: KeyObject | undefined, claims: readonly Position[], report: ReportFault) {
    this.#name = name;
    this.#key = key;
    this.#claims = claims;
    this.#report = report;
  }

  get seq(): number {
    return this.#seq;
  }

  get hash(): string | undefined {
    return this.#hash;
  }

  get lines(): number {
    return this.#line;
  }

  /** Lines after the last good signature. */
  get unsigned(): number {
    return this.#seq - this.#signedSeq;
  }

  line(bytes: Buffer, start: number, end: number, line: number, ending: LineEnd): void {
    if (this.#abandoned) return;
    this.#line = line;
    if (this.#closed) {
      this.#report('after-close', line, 'Expected nothing after the line that closed the journal, got another line.');
    }
    switch (ending) {
      case 'complete':
        this.#complete(bytes, start, end);
        return;
      case 'torn':
        this.#torn(bytes, start, end);
        return;
      case 'too-long':
        this.#unread('too-long', 'Expected a line within `lineBytes`, got a longer one.');
    }
  }

  #complete(bytes: Buffer, start: number, end: number): void {
    const stored = storedHash(bytes, start, end);
    if (this.#line === 1 && !this.#isOurs(bytes, start, end)) return;
    const scan = this.#scan;
    if (stored === undefined || !scan.read(bytes, start, end) || scan.seq < 1 || !scan.prevHash || !scan.type) {
      this.#unread('malformed', 'Expected a journal line ending in its hash, got something else.');
      return;
    }
    this.events++;
    const { seq, prevHash, type } = scan;
    const digest = digestOf(bytes, start, end);
    if (digest !== stored) this.#report('changed', this.#line, `Expected the SHA-256 ${stored}, got ${digest}.`);
    this.#link(seq, prevHash, stored, type);
    for (const claim of this.#claims) {
      if (claim.seq === seq && claim.hash !== stored) {
        this.#report('head', this.#line, `Expected ${claim.hash}, which a head names for seq ${seq}, got ${stored}.`);
      }
    }
    this.#seq = seq;
    this.#hash = stored;
    if (OWN_TYPES.has(type)) this.#own(bytes, start, end, type);
  }

  /** The line's place: its seq counts on, and its prev_hash is the hash of the line before it. */
  #link(seq: number, prevHash: string, stored: string, type: string): void {
    const expected = this.#seq + 1;
    if ((type === 'journal-opened') !== (seq === 1)) {
      this.#report('order', this.#line, `Expected journal-opened at seq 1 and only there, got ${type} at seq ${seq}.`);
    }
    if (seq === expected && (this.#hash === undefined || prevHash === this.#hash)) return;
    if (seq === this.#seq && stored === this.#hash) {
      this.#report('duplicate', this.#line, `Expected seq ${expected}, got the line before it a second time.`);
    } else if (seq > expected) {
      this.#report('missing', this.#line, `Expected seq ${expected}, got ${seq}: ${seq - expected} missing before it.`);
    } else if (seq < expected) {
      this.#report('order', this.#line, `Expected seq ${expected}, got ${seq}: it belongs elsewhere.`);
    } else {
      this.#report('chain', this.#line, `Expected prev_hash ${this.#hash}, got ${prevHash}.`);
    }
  }

  /** A line of the journal's own: what it says of the file, and its signature. */
  #own(bytes: Buffer, start: number, end: number, type: string): void {
    const event = parseObject(bytes, start, end);
    // What is signed is the parsed event; what is chained are the bytes. Only in canonical text are they surely the same:
    // a key spelled `prev_has\u0068` is one to the parser and another to the scan.
    if (event === undefined || !isCanonical(event, bytes, start, end)) {
      this.#report('malformed', this.#line, `Expected the canonical JSON of ${type}, got another text.`);
      return;
    }
    if (type === 'journal-closed') this.#closed = true;
    if (this.#line === 1 && type === 'journal-opened') {
      if (event['file'] !== this.#name) {
        this.#report('renamed', 1, `Expected the file to be named ${String(event['file'])}, got ${this.#name}.`);
      }
      this.previous = parsePosition(event['previous']);
    }
    if (this.#key === undefined) return;
    if (event['signature'] === undefined) {
      this.#report('unsigned', this.#line, `Expected ${type} to be signed, got no signature.`);
    } else if (isEventSigned(event, this.#key)) this.#signedSeq = this.#seq;
    else
      this.#report('signature', this.#line, `Expected ${type} to be signed by the given key, got another signature.`);
  }

  /** False for a file that is not to be read further: no journal, or one of a later format. */
  #isOurs(bytes: Buffer, start: number, end: number): boolean {
    const event = parseObject(bytes, start, end);
    if (event?.['format'] === FORMAT && event['version'] !== FORMAT_VERSION) {
      this.#abandon('version', `Expected format version ${FORMAT_VERSION}, got ${JSON.stringify(event['version'])}.`);
      return false;
    }
    if (event?.['format'] !== FORMAT && !isFileName(this.#name)) {
      this.#abandon('foreign', `Expected the first line of a ${FORMAT}, got something else.`);
      return false;
    }
    return true;
  }

  /** What stands after the last LF: the beginning of a line whose writer was killed, and nothing else. */
  #torn(bytes: Buffer, start: number, end: number): void {
    if (this.#line === 1 && !isFileName(this.#name)) {
      this.#abandon('foreign', `Expected the first line of a ${FORMAT}, got something else.`);
      return;
    }
    const whole = this.#scan.read(bytes, start, end);
    const stored = whole ? storedHash(bytes, start, end) : undefined;
    if (whole && (stored === undefined || stored !== digestOf(bytes, start, end))) {
      this.#report('changed', this.#line, 'Expected a last line that matches its hash, got another.');
    } else if (whole || (this.#scan.open && isBeginning(bytes, start, end))) {
      this.torn = true;
    } else {
      this.#report('malformed', this.#line, 'Expected the beginning of a line at the end, got something else.');
    }
  }

  #unread(kind: FaultKind, reason: string): void {
    this.#report(kind, this.#line, reason);
    this.#seq++;
    this.#hash = undefined;
  }

  #abandon(kind: FaultKind, reason: string): void {
    this.#report(kind, this.#line, reason);
    this.#abandoned = true;
  }
}

/** Of the bytes that were hashed: the line with its hash member left out. The span is put back as it was. */
const digestOf = (bytes: Buffer, start: number, end: number): string => {
  const cut = end - TAIL_LENGTH;
  bytes[cut] = BRACE;
  const digest = hash('sha256', bytes.subarray(start, cut + 1), 'hex');
  bytes[cut] = COMMA;
  return digest;
};

const isCanonical = (event: Readonly<Record<string, unknown>>, bytes: Buffer, start: number, end: number): boolean => {
  const { hash: _hash, ...hashed } = event;
  return Buffer.from(canonicalize(hashed).slice(0, -1)).equals(bytes.subarray(start, end - TAIL_LENGTH));
};

const parseObject = (bytes: Buffer, start: number, end: number): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8', start, end));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
};

const parsePosition = (value: unknown): Position | undefined => {
  if (typeof value !== 'object' || value === null) return undefined;
  const { file, seq, hash: digest } = value as Record<string, unknown>;
  return typeof file === 'string' && typeof seq === 'number' && typeof digest === 'string'
    ? { file, seq, hash: digest }
    : undefined;
};

/** `{"…`, or the zeros that some file systems leave where a power cut came before the data. */
const isBeginning = (bytes: Buffer, start: number, end: number): boolean =>
  bytes[start] === 0 ||
  (bytes[start] === 0x7b && (end - start === 1 || bytes[start + 1] === 0x22 || bytes[start + 1] === 0));
