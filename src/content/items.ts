/**
 * A stream whose pieces must keep their number and order: what a generator yields. Texts, and bytes that may be text, are
 * held back just far enough that a match across several of them is seen; each comes out as the item it went in, its part
 * of a match masked.
 */
import type { Finding, Findings } from '../model/content.ts';
import type { ContentScanner } from './scanner.ts';
import { maskOf, resolveSpans, type Span } from './spans.ts';
import { sameKind } from './values.ts';

/** How many characters of text are held back behind the last item that was given on. */
const WINDOW = 256;
/** Text already given on that is kept as context: names and labels stand in it. */
const CONTEXT = 512;
/** Longest word or open secret that is waited for; a longer one is masked as far as it goes, and its rest as it comes. */
const LONGEST_HELD = 65_536;
/** From so much on, what is held is not looked at for each piece, but once a window. */
const MUCH_HELD = 4 * WINDOW;
/** So much of where such a secret begins, and of what stands before it, stays as context: by that its rest is recognised. */
const OPENING = 256;
const BEFORE_OPENING = 64;

interface Item {
  readonly text: string;
  /** What `text` was made from, one character for each byte: pieces of bytes are cut anywhere, characters included. */
  readonly bytes?: Uint8Array;
  /** Read by itself; bytes still will be, when they are given on. */
  alone?: ReturnType<ContentScanner['inspect']>;
}

/** Text, as a piece of it can be told: no text in UTF-8 has a NUL. */
const asItem = (value: unknown): Item | undefined => {
  if (typeof value === 'string') return { text: value };
  const bytes = bytesOf(value);
  if (bytes === undefined || bytes.includes(0)) return undefined;
  let text = '';
  for (let at = 0; at < bytes.length; at += PART) text += String.fromCharCode(...bytes.subarray(at, at + PART));
  return { text, bytes };
};
/** As many arguments as any engine takes. */
const PART = 8192;

/** Where the pieces of a stream are bytes in another wrapping, they are handed on as plain bytes. */
const bytesOf = (value: unknown): Uint8Array | undefined => {
  if (value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return value instanceof DataView ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : undefined;
};

const asBytes = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
};

export class ItemWindow {
  readonly #scanner: ContentScanner;
  readonly #found: (findings: Findings) => void;
  #context = '';
  /** How much of the context is the opening of a secret whose rest is still to come. */
  #opening = 0;
  #held: Item[] = [];
  #heldLength = 0;
  /** Held text of no more characters than this is not looked at. */
  #enough = WINDOW;
  /** Offset of the context in the whole text. */
  #offset = 0;
  /** Where the findings start, in the whole text, that were told of and may be seen again. */
  readonly #reported = new Set<number>();

  constructor(scanner: ContentScanner, found: (findings: Findings) => void) {
    this.#scanner = scanner;
    this.#found = found;
  }

  /** What may be given on now; a value that is no text ends the text before it. Bytes are still to be judged by themselves. */
  push(value: unknown): readonly unknown[] {
    const item = asItem(value);
    if (item === undefined) return [...this.end(), value];
    this.#held.push(item);
    this.#heldLength += item.text.length;
    if (this.#heldLength <= this.#enough) return [];
    const given = this.#release(this.#heldLength - WINDOW);
    this.#enough = given.length === 0 && this.#heldLength > MUCH_HELD ? this.#heldLength + WINDOW : WINDOW;
    return given;
  }

  end(): readonly unknown[] {
    const given = this.#held.length === 0 ? [] : this.#release(this.#heldLength);
    this.#enough = WINDOW;
    return given;
  }

  /** Each finding once, although both readings may see it, and the next look sees it again. */
  #report(findings: Findings): void {
    const fresh: Finding[] = [];
    for (const start of this.#reported) if (start < this.#offset) this.#reported.delete(start);
    for (const finding of findings) {
      // Told of when its beginning was given on.
      if (finding.start < this.#opening) continue;
      const start = finding.start + this.#offset;
      if (this.#reported.has(start)) continue;
      this.#reported.add(start);
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
    let at = base;
    for (const item of this.#held) {
      const from = at;
      at += item.text.length;
      // Pieces of bytes are cut anywhere, and judged by themselves later on; but what begins before one may hide its beginning.
      if (item.bytes !== undefined && !whole.spans.some((span) => span.start < from && span.end > from)) continue;
      const alone = (item.alone ??= this.#scanner.inspect(item.text));
      if (alone.findings.length === 0) continue;
      spans.push(...alone.spans.map((span) => ({ ...span, start: span.start + from, end: span.end + from })));
      findings.push(...alone.findings.map((one) => ({ ...one, start: one.start + from, end: one.end + from })));
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
      const kept = masked(text, at, end, spans);
      if (item.bytes === undefined) out.push(kept);
      else out.push(kept === item.text ? item.bytes : sameKind(item.bytes, asBytes(kept)));
      at = end;
    }
    if (out.length === 0) return out;
    this.#held = this.#held.slice(out.length);
    this.#heldLength -= at - base;
    this.#report(findings.filter(({ start, end }) => end > base && start < at));
    const open = findings.find(({ start, end }) => start < at && end > at);
    const from = Math.max(0, at - CONTEXT);
    const begins = open === undefined ? from : Math.max(0, open.start - BEFORE_OPENING);
    const opening = open !== undefined && begins < from ? text.slice(begins, Math.min(open.start + OPENING, from)) : '';
    this.#context = opening + text.slice(from, at);
    this.#opening = opening.length;
    this.#offset += from - opening.length;
    return out;
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
    while (word > floor && !/\s/u.test(text.charAt(word - 1))) word -= 1;
    if (word > floor) border = startOfMatch(word);
    const ends: number[] = [];
    let end = base;
    for (const item of this.#held) if ((end += item.text.length) <= border) ends.push(end);
    return ends.findLast((at) => matchAcross(matches, at) === undefined) ?? base;
  }
}

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
