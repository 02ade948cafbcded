/**
 * One text, everything in it: the words that wake rules are found in one pass, digits in a second, and both again in what
 * the text turns into when its disguises are taken off. Each rule is bounded, so the whole is linear in the text.
 */
import type { FindingKind } from '../model/content.ts';
import { compileKeywords, eachKeyword, type KeywordMachine } from './keywords.ts';
import { SHORTEST_RUN, eachDecodedRun, type DecodedRun } from './decode.ts';
import { undisguise, type DerivedText } from './normalise.ts';
import { TOPIC, TOPICS, TOPIC_WORDS, isWord } from './pii-context.ts';
import { NAME_TRIGGERS } from './pii-names.ts';
import { matchNumbers } from './pii-numbers.ts';
import type { PhoneCheck } from './pii-phone.ts';
import { PII_TRIGGERS } from './pii.ts';
import type { SecretRegistry } from './registered.ts';
import { secretName } from './secret-names.ts';
import { isSecretValue } from './secret-values.ts';
import { SECRET_TRIGGERS, type Trigger } from './secrets.ts';
import { KnownSpans, resolveSpans, type Emit, type Span } from './spans.ts';
import { TextView } from './text-view.ts';
import { giveUnits, readUnits, readable, takeUnits, unitsOf } from './units.ts';

/**
 * A detector of the program's own. `find` must be quick on any text: it is called with hostile ones, synchronously. What
 * it throws, the scanner throws, and the call is denied.
 */
export interface Detector {
  /** Names the mask, `[MASKED_<type>]`, and the reason. Upper case by custom. */
  readonly type: string;
  /** Default `pii`. */
  readonly kind?: FindingKind;
  /** Offsets, end exclusive. `label` is the name of the member that holds the text, `''` if none. */
  readonly find: (text: string, label: string) => Iterable<{ readonly start: number; readonly end: number }>;
}

export interface TextRules {
  readonly secrets: boolean;
  readonly pii: boolean;
  /** Person names: off unless asked for. */
  readonly names: boolean;
  /** Street addresses: off unless asked for. */
  readonly addresses: boolean;
  readonly registries: readonly SecretRegistry[];
  readonly detectors: readonly Detector[];
  readonly phoneCheck?: PhoneCheck | undefined;
  /** Keep personal data that overlaps a secret apart from it: one of the two is replaced, the other only reported. */
  readonly apart: boolean;
}

interface Compiled {
  readonly machine: KeywordMachine;
  readonly triggers: readonly Trigger[];
  readonly lengths: Uint16Array;
}

const compile = (triggers: readonly Trigger[]): Compiled => {
  const machine = compileKeywords(triggers.map(({ word }) => word));
  return { machine, triggers, lengths: Uint16Array.from(triggers, ({ word }) => word.length) };
};

const compiled = new Map<string, Compiled>();
const compiledFor = (rules: TextRules): Compiled => {
  const key = `${rules.secrets}|${rules.pii}|${rules.names || rules.addresses}`;
  let found = compiled.get(key);
  if (found === undefined) {
    found = compile([
      ...(rules.secrets ? SECRET_TRIGGERS : []),
      ...(rules.pii ? PII_TRIGGERS : []),
      ...(rules.pii && (rules.names || rules.addresses) ? NAME_TRIGGERS : []),
    ]);
    compiled.set(key, found);
  }
  return found;
};

const NO_SPANS: readonly Span[] = Object.freeze([]);
/** Shorter texts hold nothing that stands for itself (`a@b.co`, `1.1.1.1`); behind a telling label they may. */
const SHORTEST = 6;

export class TextScanner {
  readonly #rules: TextRules;
  readonly #compiled: Compiled;
  readonly #registered: boolean;

  constructor(rules: TextRules) {
    this.#rules = rules;
    this.#compiled = compiledFor(rules);
    this.#registered = rules.secrets && rules.registries.length > 0;
  }

  /** Spans in order and disjoint. `label` is the name the text stands behind, `''` if none. */
  scan(text: string, label = ''): readonly Span[] {
    const labelled = this.#rules.secrets && label !== '' ? this.#labelled(text, label) : undefined;
    if (labelled !== undefined) return [labelled];
    if (text.length < SHORTEST) return NO_SPANS;
    const units = takeUnits(text.length);
    try {
      return this.#read(text, units, readUnits(text, units), label);
    } finally {
      giveUnits();
    }
  }

  #read(text: string, units: Uint16Array, isAscii: boolean, label: string): readonly Span[] {
    const { length } = text;
    let spans: Span[] | undefined;
    const emit = (span: Span): void => void (spans ??= []).push(span);
    this.#plain(text, units, length, label, emit);
    if (!isAscii || text.includes('%') || text.includes('\\') || text.includes('&#')) {
      const known = new KnownSpans(spans ?? NO_SPANS);
      undisguise(text, units, (found) => this.#derived(found, label, known, emit));
    }
    if (length >= SHORTEST_RUN) eachDecodedRun(units, length, (run) => this.#decoded(run, emit));
    if (spans === undefined) return NO_SPANS;
    if (!this.#rules.apart) return resolveSpans(spans);
    const ofKind = (kind: FindingKind): readonly Span[] =>
      resolveSpans(spans?.filter((span) => span.kind === kind) ?? []);
    return [...ofKind('secret'), ...ofKind('pii')];
  }

  #decoded(run: DecodedRun, emit: Emit): void {
    const { disguise } = run;
    this.#plain(undefined, run.units, run.length, '', ({ start, end, kind, type, rule, score }) =>
      emit({ start: run.startOf(start), end: run.endOf(end - 1), kind, type, rule, score, disguise }),
    );
  }

  #derived(derived: DerivedText, label: string, known: KnownSpans, emit: Emit): void {
    this.#plain(undefined, derived.units, derived.length, label, (span) => {
      const start = derived.startOf(span.start);
      const end = derived.endOf(span.end - 1);
      const { kind, type, rule, score } = span;
      const disguise = derived.disguiseOf(span.start, span.end);
      if (disguise !== undefined) emit({ start, end, kind, type, rule, score, disguise });
      else if (!known.has(start, end, type, rule)) emit({ start, end, kind, type, rule, score });
    });
  }

  /** One text as it stands; `undefined` when only its units are known so far. */
  #plain(text: string | undefined, units: Uint16Array, length: number, label: string, emit: Emit): void {
    const rules = this.#rules;
    const { machine, triggers, lengths } = this.#compiled;
    let view: TextView | undefined;
    const open = (): TextView => (view ??= new TextView(text, emit, rules, topicsOf(label), units, length));
    const hasDigits = eachKeyword(machine, units, length, (keyword, end) => {
      (triggers[keyword] as Trigger).match(open(), end - (lengths[keyword] as number), end);
    });
    if (rules.pii && hasDigits) matchNumbers(open());
    if (this.#registered) {
      for (const registry of rules.registries) {
        registry.search(units, length, (start, end) =>
          emit({ start, end, kind: 'secret', type: 'SECRET', rule: 'registered', score: 1 }),
        );
      }
    }
    for (const { type, kind = 'pii', find } of rules.detectors) {
      for (const found of find(open().text, label)) {
        const start = Math.max(0, found.start);
        const end = Math.min(length, found.end);
        if (end > start) emit({ start, end, kind, type, rule: 'custom', score: 1 });
      }
    }
  }

  /** The whole text is a secret when its label says so and it looks the part. */
  #labelled(text: string, label: string): Span | undefined {
    const strength = secretName(label);
    if (strength === undefined || text.length < 3) return undefined;
    const value = text.trim();
    if (isProse(value) || !isSecretValue(readable(value), 0, value.length, strength, true)) return undefined;
    return { start: 0, end: text.length, kind: 'secret', type: 'SECRET', rule: 'labelled', score: 0.9 };
  }
}

/** Seven words and more are a sentence about a password, not one. */
const isProse = (text: string): boolean => {
  let spaces = 0;
  for (let at = text.indexOf(' '); at !== -1 && spaces < 7; at = text.indexOf(' ', at + 1)) spaces += 1;
  return spaces >= 6 && !text.startsWith('-----BEGIN');
};

const topicsByLabel = new Map<string, number>();

/** What a member name says about the value behind it, as bits: `homePhone` → telephone. */
const topicsOf = (label: string): number => {
  if (label === '') return 0;
  const known = topicsByLabel.get(label);
  if (known !== undefined) return known;
  const lower = label.toLowerCase();
  const units = unitsOf(label);
  let topics = 0;
  for (const topic of TOPICS) {
    for (const word of TOPIC_WORDS[topic]) {
      for (const form of [word, word.replaceAll(' ', '_'), word.replaceAll(' ', '')]) {
        for (let at = lower.indexOf(form); at !== -1; at = lower.indexOf(form, at + 1)) {
          if (isWord(units, at, at + form.length)) topics |= 1 << TOPIC[topic];
        }
      }
    }
  }
  if (topicsByLabel.size >= 4_096) topicsByLabel.clear();
  topicsByLabel.set(label, topics);
  return topics;
};
