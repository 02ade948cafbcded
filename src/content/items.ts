/**
 * A stream whose pieces must keep their number and order: what a generator yields. Texts, and bytes that may be text, are
 * held back just far enough that a match across several of them is seen; each comes out as the item it went in, its part
 * of a match masked.
 */
import type { Finding, Findings } from '../model/content.ts';
import type { ContentScanner } from './scanner.ts';
import { maskOf, resolveSpans, type Span } from './spans.ts';
import { bytesOf, forget, pieceOf, unfinishedBytes, writtenAs, type Piece } from './pieces.ts';
import { sameKind } from './copies.ts';

/** How many characters of text are held back behind the last item that was given on. */
const WINDOW = 256;
/** Text already given on that is kept as context: names and labels stand in it. */
const CONTEXT = 512;
/** Longest word or open secret that is waited for; a longer one is masked as far as it goes, and its rest as it comes. */
const LONGEST_HELD = 65_536;
const NO_BYTES = new Uint8Array(0);
/** From so much on, what is held is not looked at for each piece, but once a window. */
const MUCH_HELD = 4 * WINDOW;
/** So much of where such a secret begins, and of what stands before it, stays as context: by that its rest is recognised. */
const OPENING = 1_024;
const BEFORE_OPENING = 64;

interface Item extends Piece {
  /** Read by itself. */
  alone?: ReturnType<ContentScanner['inspect']>;
}

export class ItemWindow {
  readonly #scanner: ContentScanner;
  readonly #found: (findings: Findings) => void;
  #context = '';
  /** How much of the context is the opening of a secret whose rest is still to come. */
  #opening = 0;
  #held: Item[] = [];
  #heldLength = 0;
  /** The beginning of a character whose other bytes are in the next piece: it goes on with them. */
  #unfinished: Uint8Array | undefined;
  /** Held text of no more characters than this is not looked at. */
  #enough = 0;
  /** Offset of the context in the whole text. */
  #offset = 0;
  /** Where the findings start, in the whole text, that were told of and may be seen again. */
  readonly #reported = new Map<string, number>();

  constructor(scanner: ContentScanner, found: (findings: Findings) => void) {
    this.#scanner = scanner;
    this.#found = found;
  }

  /** What may be given on now; a value that is no text ends the text before it, and is still to be judged by itself. */
  push(value: unknown): readonly unknown[] {
    const item = this.#itemOf(value);
    if (item === undefined) {
      forget(value);
      return [...this.end(), value];
    }
    // Nothing but the beginning of a character: it is part of the next piece.
    if (item.text === '' && this.#unfinished !== undefined) return [];
    if (item.text === '' && this.#held.length === 0) return [writtenAs(item, '')];
    this.#held.push(item);
    this.#heldLength += item.text.length;
    const window = Math.max(WINDOW, this.#scanner.reach());
    if (item.text === '' || this.#heldLength <= Math.max(window, this.#enough)) return [];
    const given = this.#release(this.#heldLength - window);
    const isMuch = window > MUCH_HELD || (given.length === 0 && this.#heldLength > MUCH_HELD);
    this.#enough = isMuch ? this.#heldLength + Math.max(WINDOW, this.#heldLength >> 2) : 0;
    return given;
  }

  end(): readonly unknown[] {
    this.#finish();
    this.#enough = 0;
    return this.#held.length === 0 ? [] : this.#release(this.#heldLength);
  }

  /** Text, as a piece of it can be told: no text in UTF-8 has a NUL. */
  #itemOf(value: unknown): Item | undefined {
    if (typeof value === 'string') {
      this.#finish();
      return { text: value };
    }
    const piece = bytesOf(value);
    if (piece === undefined || piece.includes(0)) return undefined;
    const before = this.#unfinished ?? NO_BYTES;
    const bytes = sameKind(piece, new Uint8Array(before.length + piece.length));
    bytes.set(before);
    bytes.set(piece, before.length);
    const whole = bytes.length - unfinishedBytes(bytes);
    this.#unfinished = whole === bytes.length ? undefined : bytes.slice(whole);
    return pieceOf(bytes.subarray(0, whole));
  }

  /** Nothing goes on from it: it is no character. */
  #finish(): void {
    if (this.#unfinished === undefined) return;
    this.#held.push(pieceOf(this.#unfinished));
    this.#heldLength += this.#unfinished.length;
    this.#unfinished = undefined;
  }

  /** Each finding once, although both readings may see it, and the next look sees it again. */
  #report(findings: Findings): void {
    const fresh: Finding[] = [];
    for (const [key, start] of this.#reported) if (start < this.#offset) this.#reported.delete(key);
    for (const finding of findings) {
      // Told of when its beginning was given on.
      if (finding.start < this.#opening) continue;
      const start = finding.start + this.#offset;
      const key = `${finding.kind} ${finding.type} ${start}`;
      if (this.#reported.has(key)) continue;
      this.#reported.set(key, start);
      fresh.push({ ...finding, start, end: finding.end + this.#offset });
    }
    if (fresh.length > 0) this.#found(fresh);
  }

  /**
   * Items may be pieces of one text or texts of their own, and nobody says which: what either reading finds counts. Read
   * as one, a key after a letter is the rest of a word; read apart, half a key is nothing.
   */
  #inspect(text: string, base: number): { readonly spans: readonly Span[]; readonly findings: Findings } {
    const whole = this.#scanner.inspect(text);
    const spans: Span[] = [...whole.spans];
    const findings: Finding[] = [...whole.findings];
    const known = {
      secret: joined(whole.findings.filter(({ kind }) => kind === 'secret')),
      pii: joined(whole.findings.filter(({ kind }) => kind === 'pii')),
    };
    let at = base;
    for (const item of this.#held) {
      const from = at;
      at += item.text.length;
      const alone = (item.alone ??= this.#scanner.inspect(item.text));
      if (alone.findings.length === 0) continue;
      for (const span of alone.spans) spans.push({ ...span, start: span.start + from, end: span.end + from });
      for (const one of alone.findings) {
        const moved = { ...one, start: one.start + from, end: one.end + from };
        // A part of what is known is no second one.
        const around = matchAcross(known[one.kind], moved.start + 1);
        if (around === undefined || around.end < moved.end) findings.push(moved);
      }
    }
    return { spans: spans.length === whole.spans.length ? spans : resolveSpans(spans), findings };
  }

  /** Gives on items that end before `wanted`, counted from the first held character. */
  #release(wanted: number): readonly unknown[] {
    const base = this.#context.length;
    const text = this.#context + this.#held.map((item) => item.text).join('');
    const { spans, findings } = this.#inspect(text, base);
    const border = wanted === this.#heldLength ? text.length : this.#borderBefore(base + wanted, text, findings);
    const out: unknown[] = [];
    let at = base;
    for (const item of this.#held) {
      const end = at + item.text.length;
      if (end > border) break;
      out.push(writtenAs(item, masked(text, at, end, spans)));
      at = end;
    }
    if (out.length === 0) return out;
    this.#held = this.#held.slice(out.length);
    this.#heldLength -= at - base;
    this.#report(findings.filter(({ start, end }) => end > base && start < at));
    this.#keepContext(
      text,
      at,
      findings.find(({ start, end }) => start < at && end > at),
    );
    return out;
  }

  /** Of what was given on: its end, and where a match that goes on from there begins. */
  #keepContext(text: string, at: number, open: Finding | undefined): void {
    let from = Math.max(0, at - CONTEXT);
    let opening = '';
    if (open !== undefined && open.start < from) {
      const until = Math.min(open.start + OPENING, from);
      opening = text.slice(Math.max(0, open.start - BEFORE_OPENING), until);
      // Whole groups of base64 are left out, and whole bytes of hexadecimal.
      from -= (from - until) % 4;
    }
    this.#context = opening + text.slice(from, at);
    this.#opening = opening.length;
    this.#offset += from - opening.length;
  }

  /**
   * The last end of an item that is not behind `wanted` and lies neither in a word that may go on nor in a match: what has
   * begun to be given on no longer shows what it is. Matches count that are only found, too: a flag may block or report.
   */
  #borderBefore(wanted: number, text: string, findings: Findings): number {
    const base = this.#context.length;
    const matches = joined(findings.filter(({ start }) => start >= base)).filter(
      ({ start, end }) => end - start <= LONGEST_HELD,
    );
    const startOfMatch = (at: number): number => matchAcross(matches, at)?.start ?? at;
    let border = startOfMatch(wanted);
    const floor = Math.max(base, border - LONGEST_HELD);
    let word = border;
    while (word > floor && !isBreak(text, word - 1)) word -= 1;
    const begins = word > floor || (border - word < LONGEST_HELD && isBreak(text, word - 1));
    if (begins) border = startOfMatch(word);
    border = startOfKey(text, base, border);
    const ends: number[] = [];
    let end = base;
    for (const item of this.#held) if ((end += item.text.length) <= border) ends.push(end);
    return ends.findLast((at) => matchAcross(matches, at) === undefined) ?? base;
  }
}

/** The start of a key block whose end is not there yet: it may have more lines in front of the key than are looked at. */
const startOfKey = (text: string, from: number, border: number): number => {
  const start = text.lastIndexOf('-----BEGIN', border);
  if (start < from || start >= border || text.length - start > LONGEST_HELD) return border;
  const head = /^-----BEGIN[ A-Z0-9_-]{0,80}PRIVATE KEY/u.test(text.slice(start, start + 128));
  return head && !text.slice(start, border).includes('-----END') ? start : border;
};

/** A place before the text, or white space: not U+FEFF, which has no width, and could stand inside a word. */
const isBreak = (text: string, at: number): boolean => at < 0 || /[^\S\uFEFF]/u.test(text.charAt(at));

interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** In order, those that overlap as one. */
const joined = (stretches: readonly Stretch[]): readonly Stretch[] => {
  const all: Stretch[] = [];
  for (const { start, end } of stretches.toSorted((a, b) => a.start - b.start)) {
    const last = all.at(-1);
    if (last === undefined || start >= last.end) all.push({ start, end });
    else all[all.length - 1] = { start: last.start, end: Math.max(last.end, end) };
  }
  return all;
};

/** The one that begins before `at` and ends behind it, out of stretches in order. */
const matchAcross = (matches: readonly Stretch[], at: number): Stretch | undefined => {
  let low = 0;
  for (let high = matches.length; low < high;) {
    const middle = (low + high) >> 1;
    if ((matches[middle]?.end ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  const match = matches[low];
  return match !== undefined && match.start < at ? match : undefined;
};

/** One item's part of the text; the mask stands in the item in which its match begins. */
const masked = (text: string, from: number, to: number, spans: readonly Span[]): string => {
  let out = '';
  let at = from;
  for (const span of spans) {
    if (span.end <= from || span.start >= to) continue;
    if (span.start > at) out += text.slice(at, span.start);
    if (span.start >= from) out += maskOf(span);
    at = Math.min(span.end, to);
  }
  return at < to ? out + text.slice(at, to) : out;
};
