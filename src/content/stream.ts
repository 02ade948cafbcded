/**
 * Streams: text that arrives in pieces is held back just far enough that no border between pieces hides a match. What is
 * held is a look-ahead window, and the unbroken word before it: a token is judged when its end is known.
 */
import type { Finding, Findings } from '../model/content.ts';
import type { ContentScanner } from './scanner.ts';
import { replaceSpans, type Span } from './spans.ts';
import { bytesLike } from './values.ts';

export interface StreamOptions {
  /** How many characters are held back behind the last one that was given (default 256). */
  readonly window?: number;
  /**
   * `deltas` (default): texts are pieces of one text. `snapshots`: every text is the whole so far, as in the AI SDK, and
   * is judged by itself. Other values are always judged by themselves.
   */
  readonly texts?: 'deltas' | 'snapshots';
  /** Told of what is found, as it is found; offsets count from the start of the stream. */
  readonly found?: (findings: Findings) => void;
}

const DEFAULT_WINDOW = 256;
/** Text already given that is kept as context: names, labels and words stand in it. */
const CONTEXT = 512;
/** Longest unbroken word or open secret that is held; a longer one is masked so far, and its rest as it comes. */
const LONGEST_HELD = 65_536;
/** So much of a masked secret's beginning is kept as context that its rest is recognised. */
const OPENING = 256;

/** One text in pieces. `push` returns what may be given on now; `end` returns the rest. */
export class TextWindow {
  readonly #scanner: ContentScanner;
  readonly #window: number;
  readonly #found: ((findings: Findings) => void) | undefined;
  /** Context that was given on (or masked) already, then what is held. */
  #buffer = '';
  #given = 0;
  /** Offset of the start of `#buffer` in the whole text. */
  #offset = 0;
  /** Where the findings start, in the whole text, that were told of and may be seen again. */
  readonly #reported = new Set<number>();

  constructor(
    scanner: ContentScanner,
    { window = DEFAULT_WINDOW, found }: Pick<StreamOptions, 'window' | 'found'> = {},
  ) {
    this.#scanner = scanner;
    this.#window = window;
    this.#found = found;
  }

  push(piece: string): string {
    if (piece === '') return '';
    this.#buffer += piece;
    if (this.#buffer.length - this.#given <= this.#window) return '';
    return this.#release(this.#safeEnd());
  }

  end(): string {
    return this.#release(this.#buffer.length);
  }

  /** The last place before which nothing can change any more, as far as words go. */
  #safeEnd(): number {
    let end = this.#buffer.length - this.#window;
    const floor = Math.max(this.#given, end - LONGEST_HELD);
    while (end > floor && !/\s/u.test(this.#buffer.charAt(end - 1))) end -= 1;
    return end === floor && floor > this.#given ? this.#buffer.length - this.#window : end;
  }

  #release(wanted: number): string {
    if (wanted <= this.#given && wanted < this.#buffer.length) return '';
    const last = wanted === this.#buffer.length;
    const { spans, findings } = this.#scanner.inspect(this.#buffer);
    let end = wanted;
    let opening = '';
    // Found, not only replaced: what a flag blocks or reports is held whole as well, or it would go on unseen.
    const across = (at: number): Finding | undefined =>
      last ? undefined : findings.find(({ start, end: to }) => start < at && to > at);
    for (let found = across(end); found !== undefined && end > this.#given; found = across(end)) {
      // A match lies across the border: it is held whole, or masked so far when it has grown too long.
      if (found.end - Math.max(found.start, this.#given) > LONGEST_HELD) {
        end = found.end;
        opening = this.#buffer.slice(found.start, found.start + OPENING);
        break;
      }
      end = Math.max(this.#given, found.start);
    }
    if (end <= this.#given) return '';
    const out = this.#masked(spans, end);
    this.#report(findings, end);
    const keep = opening === '' ? Math.max(0, end - CONTEXT) : end;
    this.#offset += keep - opening.length;
    this.#buffer = opening + this.#buffer.slice(keep);
    this.#given = opening.length + end - keep;
    return out;
  }

  #masked(spans: readonly Span[], end: number): string {
    const parts: Span[] = [];
    let from = this.#given;
    for (const span of spans) {
      if (span.end <= from || span.start >= end) continue;
      // The part of it that was given on already is masked already: its rest just goes.
      if (span.start < this.#given) from = Math.min(span.end, end);
      else parts.push({ ...span, start: span.start - from, end: Math.min(span.end, end) - from });
    }
    return replaceSpans(this.#buffer.slice(from, end), parts);
  }

  /** Each finding once, as soon as any of it is given on, also where it began in what was given on before. */
  #report(findings: Findings, end: number): void {
    if (this.#found === undefined) return;
    const fresh = findings.filter(
      (finding) =>
        finding.end > this.#given && finding.start < end && !this.#reported.has(finding.start + this.#offset),
    );
    for (const start of this.#reported) if (start < this.#offset) this.#reported.delete(start);
    for (const finding of fresh) this.#reported.add(finding.start + this.#offset);
    if (fresh.length > 0) {
      this.#found(
        fresh.map((finding) => ({ ...finding, start: finding.start + this.#offset, end: finding.end + this.#offset })),
      );
    }
  }
}

/** How many bytes of `bytes` are whole characters of UTF-8: the rest, three at most, waits for the next piece. */
const completeLength = (bytes: Uint8Array): number => {
  for (let back = 1; back <= 3 && back <= bytes.length; back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
};

const joined = (first: Uint8Array, second: Uint8Array): Uint8Array => {
  if (first.length === 0) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
};

const NO_BYTES = new Uint8Array(0);
type Encode = (text: string) => unknown;
const plain: Encode = (text) => text;

/** What each value of a stream becomes: nothing yet, itself, or what was held and itself. */
class Pieces {
  readonly #scanner: ContentScanner;
  readonly #options: StreamOptions;
  #text: TextWindow | undefined;
  #encode: Encode = plain;
  /** Bytes of a character that is not whole yet. */
  #waiting: Uint8Array = NO_BYTES;

  constructor(scanner: ContentScanner, options: StreamOptions) {
    this.#scanner = scanner;
    this.#options = options;
  }

  next(value: unknown): readonly unknown[] {
    const deltas = this.#options.texts !== 'snapshots';
    if (typeof value === 'string' && deltas) {
      const before = this.#encode === plain ? [] : this.end();
      return [...before, ...this.#pushed(value)];
    }
    if (value instanceof Uint8Array && deltas) return this.#bytes(value);
    return [...this.end(), this.#whole(value)];
  }

  end(): readonly unknown[] {
    const out = this.#text?.end() ?? '';
    const ended = out === '' ? [] : [this.#encode(out)];
    const waiting = this.#waiting.length === 0 ? [] : [this.#waiting];
    this.#text = undefined;
    this.#encode = plain;
    this.#waiting = NO_BYTES;
    return [...ended, ...waiting];
  }

  #whole(value: unknown): unknown {
    const { value: now, findings } = this.#scanner.transform(value);
    if (findings.length > 0) this.#options.found?.(findings);
    return now;
  }

  #pushed(text: string): readonly unknown[] {
    this.#text ??= new TextWindow(this.#scanner, this.#options);
    const out = this.#text.push(text);
    return out === '' ? [] : [this.#encode(out)];
  }

  /** Bytes are text as long as they are UTF-8; a piece that is not passes as it is. */
  #bytes(bytes: Uint8Array): readonly unknown[] {
    const before = this.#encode === plain ? this.end() : [];
    const all = joined(this.#waiting, bytes);
    const length = completeLength(all);
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(all.subarray(0, length));
      this.#encode = (out) => bytesLike(bytes, out);
      this.#waiting = all.slice(length);
      return [...before, ...this.#pushed(text)];
    } catch {
      this.#waiting = NO_BYTES;
      return [...before, ...this.end(), this.#whole(all)];
    }
  }
}

/** What a generator yields, held back and masked; what it returns is masked too. */
export async function* transformAsyncIterable(
  source: AsyncIterable<unknown>,
  scanner: ContentScanner,
  options: StreamOptions = {},
): AsyncGenerator<unknown, unknown> {
  const pieces = new Pieces(scanner, options);
  const iterator = source[Symbol.asyncIterator]();
  let open = true;
  try {
    for (;;) {
      const step = await nextMasked(iterator, scanner, () => (open = false));
      if (step.done === true) {
        yield* pieces.end();
        return scanner.transform(step.value).value;
      }
      yield* pieces.next(step.value);
    }
  } finally {
    if (open) await iterator.return?.();
  }
}

/** An error that the source throws is a result as well. */
const nextMasked = async (
  iterator: AsyncIterator<unknown>,
  scanner: ContentScanner,
  ended: () => void,
): Promise<IteratorResult<unknown>> => {
  try {
    const step = await iterator.next();
    if (step.done === true) ended();
    return step;
  } catch (error) {
    ended();
    throw scanner.transform(error).value;
  }
};

export function* transformIterable(
  source: Iterable<unknown>,
  scanner: ContentScanner,
  options: StreamOptions = {},
): Generator<unknown, unknown> {
  const pieces = new Pieces(scanner, options);
  const iterator = source[Symbol.iterator]();
  let open = true;
  try {
    for (;;) {
      let step: IteratorResult<unknown>;
      try {
        step = iterator.next();
      } catch (error) {
        open = false;
        throw scanner.transform(error).value;
      }
      if (step.done === true) {
        open = false;
        yield* pieces.end();
        return scanner.transform(step.value).value;
      }
      yield* pieces.next(step.value);
    }
  } finally {
    if (open) iterator.return?.();
  }
}

/** For `ReadableStream.pipeThrough`: texts, bytes and values as above. */
export const createContentStream = (
  scanner: ContentScanner,
  options: StreamOptions = {},
): TransformStream<unknown, unknown> => {
  const pieces = new Pieces(scanner, options);
  return new TransformStream({
    transform: (value, controller) => {
      for (const piece of pieces.next(value)) controller.enqueue(piece);
    },
    flush: (controller) => {
      for (const piece of pieces.end()) controller.enqueue(piece);
    },
  });
};

/** A result of whatever kind: streams and generators are wrapped, anything else is transformed at once. */
export const transformResult = (value: unknown, scanner: ContentScanner, options: StreamOptions = {}): unknown => {
  if (typeof value !== 'object' || value === null) return scanner.transform(value).value;
  if (value instanceof ReadableStream) return value.pipeThrough(createContentStream(scanner, options));
  if (Symbol.asyncIterator in value) return transformAsyncIterable(value as AsyncIterable<unknown>, scanner, options);
  if (Symbol.iterator in value && 'next' in value)
    return transformIterable(value as Iterable<unknown>, scanner, options);
  return scanner.transform(value).value;
};
