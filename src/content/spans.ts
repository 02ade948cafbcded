/** Spans: stretches of one text, what was found in them, which win where they meet, and how they are replaced. */
import type { Disguise, Finding, FindingKind } from '../model/content.ts';
import { giveUnits, readUnits, takeUnits } from './units.ts';

export interface Span {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly kind: FindingKind;
  readonly type: string;
  readonly rule: string;
  /** 0 … 1: decides between spans that overlap, and whether a span counts at all. */
  readonly score: number;
  readonly disguise?: Disguise;
}

export type Emit = (span: Span) => void;

/** Those of the kinds that `wanted` names; the same list when that is all. Still ordered and disjoint. */
export const spansOf = (spans: readonly Span[], wanted: (kind: FindingKind) => boolean): readonly Span[] => {
  const [secrets, pii] = [wanted('secret'), wanted('pii')];
  return secrets && pii ? spans : spans.filter(({ kind }) => (kind === 'secret' ? secrets : pii));
};

const rank = (span: Span): number => (span.kind === 'secret' ? 10 : 0) + span.score;

const areApart = (spans: readonly Span[]): boolean => {
  let last = 0;
  for (let index = 0; index < spans.length; index += 1) {
    const span = spans[index] as Span;
    if (span.start < last) return false;
    last = span.end;
  }
  return true;
};

/**
 * Spans in order, none overlapping. Where two meet, the surer one (a secret before personal data) gives the name and the
 * result covers both: what a losing span covered is never left behind as readable half.
 */
export const resolveSpans = (spans: readonly Span[]): readonly Span[] => {
  if (areApart(spans)) return spans;
  const ordered = [...spans].sort((a, b) => a.start - b.start || b.end - a.end || rank(b) - rank(a));
  const resolved: Span[] = [];
  for (const span of ordered) {
    const last = resolved.at(-1);
    if (last === undefined || span.start >= last.end) {
      resolved.push(span);
      continue;
    }
    const winner = rank(span) > rank(last) ? span : last;
    const end = Math.max(last.end, span.end);
    if (winner.start !== last.start || winner.end !== end)
      resolved[resolved.length - 1] = { ...winner, start: last.start, end };
    else resolved[resolved.length - 1] = winner;
  }
  return resolved;
};

/** The spans found so far, to be asked for each that is found again in what the text turns into: nearly in order. */
export class KnownSpans {
  readonly #spans: readonly Span[];
  /** Where they start: read far more often than the spans themselves. */
  readonly #starts: Uint32Array;
  #next = 0;

  constructor(spans: readonly Span[]) {
    let starts = startsOf(spans);
    let ordered = true;
    for (let index = 1; ordered && index < starts.length; index += 1)
      ordered = (starts[index - 1] as number) <= (starts[index] as number);
    this.#spans = ordered ? spans : spans.toSorted((a, b) => a.start - b.start);
    if (!ordered) starts = startsOf(this.#spans);
    this.#starts = starts;
  }

  has(start: number, end: number, type: string, rule: string): boolean {
    const starts = this.#starts;
    let next = this.#next;
    while (next < starts.length && (starts[next] as number) < start) next += 1;
    while (next > 0 && (starts[next - 1] as number) >= start) next -= 1;
    this.#next = next;
    for (; next < starts.length && starts[next] === start; next += 1) {
      const span = this.#spans[next] as Span;
      if (span.end === end && span.type === type && span.rule === rule && span.disguise === undefined) return true;
    }
    return false;
  }
}

const startsOf = (spans: readonly Span[]): Uint32Array => {
  const starts = new Uint32Array(spans.length);
  for (let index = 0; index < starts.length; index += 1) starts[index] = (spans[index] as Span).start;
  return starts;
};

/** The mask of one span: `[REDACTED]` for secrets, `[MASKED_<TYPE>]` for personal data. */
export const maskOf = (span: Pick<Span, 'kind' | 'type'>): string =>
  span.kind === 'secret' ? '[REDACTED]' : `[MASKED_${span.type}]`;

/** So few that joining texts is quicker than writing all units anew. */
const FEW = 24;

/** `spans` must be ordered and disjoint, as `resolveSpans` returns them. */
export const replaceSpans = (text: string, spans: readonly Span[]): string => {
  if (spans.length === 0) return text;
  // Halves of pairs do not survive being written as units and read again.
  return spans.length > FEW && text.isWellFormed() ? rewritten(text, spans) : joined(text, spans);
};

const joined = (text: string, spans: readonly Span[]): string => {
  const parts: string[] = [];
  let from = 0;
  for (const span of spans) {
    if (span.start > from) parts.push(text.slice(from, span.start));
    parts.push(maskOf(span));
    from = span.end;
  }
  parts.push(text.slice(from));
  return parts.join('');
};

const rewritten = (text: string, spans: readonly Span[]): string => {
  const units = takeUnits(text.length);
  try {
    const plain = readUnits(text, units);
    const masks = masksOf(spans);
    let room = text.length;
    let ascii = plain;
    for (let index = 0; index < spans.length; index += 1) {
      const { start, end } = spans[index] as Span;
      const mask = masks[index] as string;
      room += mask.length - end + start;
      if (ascii && mask !== masks[index - 1]) ascii = !NOT_ASCII.test(mask);
    }
    if (ascii) return utf8.decode(write(units, text.length, spans, masks, new Uint8Array(room)));
    return utf16.decode(write(units, text.length, spans, masks, new Uint16Array(room)));
  } finally {
    giveUnits();
  }
};

const NOT_ASCII = /[\u0080-\u{10ffff}]/u;
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const utf16 = new TextDecoder('utf-16le', { ignoreBOM: true });

/** One text for all masks that are alike. */
const masksOf = (spans: readonly Span[]): readonly string[] => {
  const masks: string[] = [];
  let mask = '';
  let type = '';
  let kind = '';
  for (let index = 0; index < spans.length; index += 1) {
    const span = spans[index] as Span;
    if (span.type !== type || span.kind !== kind) {
      ({ type, kind } = span);
      mask = maskOf(span);
    }
    masks.push(mask);
  }
  return masks;
};

/** Fills `out`. */
const write = <T extends Uint8Array | Uint16Array>(
  units: Uint16Array,
  length: number,
  spans: readonly Span[],
  masks: readonly string[],
  out: T,
): T => {
  let at = 0;
  let from = 0;
  for (let index = 0; index < spans.length; index += 1) {
    const { start, end } = spans[index] as Span;
    const mask = masks[index] as string;
    for (; from < start; from += 1) out[at++] = units[from] as number;
    for (let sign = 0; sign < mask.length; sign += 1) out[at++] = mask.charCodeAt(sign);
    from = end;
  }
  for (; from < length; from += 1) out[at++] = units[from] as number;
  return out;
};

/** What is told of a span; `pointer` says where its text stands. */
export const findingOf = (span: Span, pointer: string, inKey = false): Finding => {
  const { kind, type, rule, start, end, disguise } = span;
  // No spread of nothing: there may be very many of these.
  const finding = { kind, type, rule, pointer, start, end };
  if (disguise === undefined) return inKey ? { ...finding, inKey } : finding;
  return inKey ? { ...finding, disguise, inKey } : { ...finding, disguise };
};
