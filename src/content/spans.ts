/** Spans: stretches of one text, what was found in them, which win where they meet, and how they are replaced. */
import type { Disguise, Finding, FindingKind } from '../model/content.ts';

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

const rank = (span: Span): number => (span.kind === 'secret' ? 10 : 0) + span.score;

const areApart = (spans: readonly Span[]): boolean => {
  let last = 0;
  for (const { start, end } of spans) {
    if (start < last) return false;
    last = end;
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

/** The mask of one span: `[REDACTED]` for secrets, `[MASKED_<TYPE>]` for personal data. */
export const maskOf = (span: Pick<Span, 'kind' | 'type'>): string =>
  span.kind === 'secret' ? '[REDACTED]' : `[MASKED_${span.type}]`;

/** `spans` must be ordered and disjoint, as `resolveSpans` returns them. */
export const replaceSpans = (text: string, spans: readonly Span[]): string => {
  if (spans.length === 0) return text;
  const parts: string[] = [];
  let from = 0;
  let type = '';
  let kind = '';
  let mask = '';
  for (const span of spans) {
    if (span.type !== type || span.kind !== kind) {
      ({ type, kind } = span);
      mask = maskOf(span);
    }
    if (span.start > from) parts.push(text.slice(from, span.start));
    parts.push(mask);
    from = span.end;
  }
  parts.push(text.slice(from));
  return parts.join('');
};

/** What is told of a span; `pointer` says where its text stands. */
export const findingOf = (span: Span, pointer: string, inKey = false): Finding => {
  const { kind, type, rule, start, end, disguise } = span;
  // No spread of nothing: there may be very many of these.
  const finding = { kind, type, rule, pointer, start, end };
  if (disguise === undefined) return inKey ? { ...finding, inKey } : finding;
  return inKey ? { ...finding, disguise, inKey } : { ...finding, disguise };
};
