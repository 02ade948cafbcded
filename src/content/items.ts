/**
 * A stream whose pieces must keep their number and order: what a generator yields. Texts are held back just far enough
 * that a match across several of them is seen; each comes out as the item it went in, its part of a match masked.
 */
import type { Finding, Findings } from '../model/content.ts';
import type { ContentScanner } from './scanner.ts';
import { maskOf, resolveSpans, type Span } from './spans.ts';

/** How many characters of text are held back behind the last item that was given on. */
const WINDOW = 256;
/** Text already given on that is kept as context: names and labels stand in it. */
const CONTEXT = 512;
/** Longest word or open secret that is waited for; a longer one is masked as far as it goes. */
const LONGEST_HELD = 65_536;

export class ItemWindow {
  readonly #scanner: ContentScanner;
  readonly #found: (findings: Findings) => void;
  #context = '';
  #held: string[] = [];
  /** Offset of the context in the whole text. */
  #offset = 0;
  /** Where the findings start, in the whole text, that were told of and may be seen again. */
  readonly #reported = new Set<number>();

  constructor(scanner: ContentScanner, found: (findings: Findings) => void) {
    this.#scanner = scanner;
    this.#found = found;
  }

  /** What may be given on now; a value that is no text ends the text before it. */
  push(value: unknown): readonly unknown[] {
    if (typeof value !== 'string') return [...this.end(), value];
    this.#held.push(value);
    const length = this.#length();
    return length <= WINDOW ? [] : this.#release(length - WINDOW);
  }

  end(): readonly unknown[] {
    return this.#held.length === 0 ? [] : this.#release(this.#length());
  }

  #length(): number {
    return this.#held.reduce((sum, item) => sum + item.length, 0);
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
      const alone = this.#scanner.inspect(item);
      const from = at;
      spans.push(...alone.spans.map((span) => ({ ...span, start: span.start + from, end: span.end + from })));
      findings.push(...alone.findings.map((one) => ({ ...one, start: one.start + from, end: one.end + from })));
      at += item.length;
    }
    return { spans: spans.length === whole.spans.length ? spans : resolveSpans(spans), findings };
  }

  /** Gives on the items that end before `wanted`, counted from the first held character. */
  #release(wanted: number): readonly unknown[] {
    const base = this.#context.length;
    const text = this.#context + this.#held.join('');
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
    const out: string[] = [];
    let at = base;
    while (this.#held.length > 0) {
      const [item = ''] = this.#held;
      if (at + item.length > limit && !last) break;
      out.push(masked(text, at, at + item.length, spans));
      at += item.length;
      this.#held.shift();
    }
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
