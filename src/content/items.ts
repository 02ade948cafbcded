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
/** Longest word or open secret that is waited for; a longer one is masked as far as it goes. */
const LONGEST_HELD = 65_536;

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
  #held: Item[] = [];
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
    const length = this.#length();
    return length <= WINDOW ? [] : this.#release(length - WINDOW);
  }

  end(): readonly unknown[] {
    return this.#held.length === 0 ? [] : this.#release(this.#length());
  }

  #length(): number {
    return this.#held.reduce((sum, { text }) => sum + text.length, 0);
  }

  /** Each finding once, although both readings may see it, and the next look sees it again. */
  #report(findings: Findings): void {
    const fresh: Finding[] = [];
    for (const start of this.#reported) if (start < this.#offset) this.#reported.delete(start);
    for (const finding of findings) {
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

  /** Gives on the items that end before `wanted`, counted from the first held character. */
  #release(wanted: number): readonly unknown[] {
    const base = this.#context.length;
    const text = this.#context + this.#held.map((item) => item.text).join('');
    const last = base + wanted >= text.length;
    const { spans, findings } = this.#inspect(text, base);
    let limit = base + wanted;
    if (!last) {
      // Found, not only replaced: what a flag blocks or reports is held whole as well.
      const across = (): Finding | undefined =>
        findings.find(({ start, end }) => start < limit && end > limit && end - start <= LONGEST_HELD);
      for (let found = across(); found !== undefined; found = across()) limit = found.start;
      const floor = Math.max(base, limit - LONGEST_HELD);
      let word = limit;
      while (word > floor && !/\s/u.test(text.charAt(word - 1))) word -= 1;
      if (word > floor) limit = word;
    }
    const out: unknown[] = [];
    let at = base;
    for (const item of this.#held) {
      const end = at + item.text.length;
      if (end > limit && !last) break;
      const kept = masked(text, at, end, spans);
      if (item.bytes === undefined) out.push(kept);
      else out.push(kept === item.text ? item.bytes : sameKind(item.bytes, asBytes(kept)));
      at = end;
    }
    this.#held = this.#held.slice(out.length);
    this.#report(findings.filter(({ start, end }) => end > base && start < at));
    const keep = Math.max(0, at - CONTEXT);
    this.#offset += keep;
    this.#context = text.slice(keep, at);
    return out;
  }
}

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
