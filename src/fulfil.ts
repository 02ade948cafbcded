/** Door-internal: step 6 of a call, the obligations on what goes back: masked where the flags say so, or withheld. */
import { classify, higher } from './content/classify.ts';
import { ItemWindow } from './content/items.ts';
import { wasRead } from './content/pieces.ts';
import type { Verdict } from './judge.ts';
import { countByType } from './model/content.ts';
import type { Findings } from './model/content.ts';
import type { Classification, Decision, Detection, Step } from './model/decision.ts';
import { decideContent } from './policy/content.ts';
import { settle } from './policy/mode.ts';

export interface Released {
  readonly value: unknown;
  readonly withheld?: { readonly blockedBy: Step; readonly code: string; readonly reason: string };
  readonly detections: readonly Detection[];
  readonly classification: Classification;
  /** What was replaced, by type; empty when the value is as the body gave it. */
  readonly redactions: readonly { readonly type: string; readonly count: number }[];
}

const NO_DETECTIONS: readonly Detection[] = Object.freeze([]);
const NO_FINDINGS: Findings = Object.freeze([]);
const NOTHING_REDACTED: Released['redactions'] = Object.freeze([]);

const withheldBy = ({ blockedBy, code, reason }: Decision): NonNullable<Released['withheld']> => ({
  blockedBy: blockedBy ?? 'detect_secrets',
  code: code ?? 'content.found',
  reason: reason ?? 'the result was withheld',
});

/**
 * Never throws: a value that cannot be looked through is withheld. `live` says what takes the place of what cannot be read
 * yet; by default such things go on as they are.
 */
export const release = (
  { request }: Verdict,
  given: unknown,
  live?: (part: object) => object | undefined,
): Released => {
  let value = given;
  let detections = NO_DETECTIONS;
  let classification: Classification = 'PUBLIC';
  let replaced = NO_FINDINGS;
  try {
    // What was made for the first layer is not looked into by the others.
    const made = live === undefined || request.rules.length === 1 ? undefined : new Set<object>();
    let lives = made === undefined ? live : (part: object) => added(made, live?.(part));
    for (const { flags, scanner } of request.rules) {
      const transformed = scanner.transform(value, { live: lives });
      if (made !== undefined) lives = (part) => (made.has(part) ? part : undefined);
      const { findings } = transformed;
      ({ value } = transformed);
      if (findings.length === 0) continue;
      if (transformed.changed) replaced = [...replaced, ...findings];
      const rulings = decideContent({ findings, pii: flags.pii, secrets: flags.secrets });
      const decision = settle(flags.mode, { rulings, effects: [], basis: 'declared', ...classify(findings) });
      detections = [...detections, ...decision.detections];
      classification = higher(classification, decision.classification);
      if (!decision.allowed) {
        return { value: undefined, withheld: withheldBy(decision), detections, classification, redactions: [] };
      }
    }
  } catch {
    const reason = 'the result cannot be looked through for secrets, so it was withheld';
    const withheld = { blockedBy: 'detect_secrets' as const, code: 'content.unreadable', reason };
    return { value: undefined, withheld, detections, classification: 'RESTRICTED', redactions: [] };
  }
  return {
    value,
    detections,
    classification,
    redactions: replaced.length === 0 ? NOTHING_REDACTED : countByType(replaced),
  };
};

const added = (to: Set<object>, part: object | undefined): object | undefined => {
  if (part !== undefined) to.add(part);
  return part;
};

/** The obligations on a stream: each value masked or withheld, texts held back so that no border hides a match. */
export class StreamRelease {
  readonly #verdict: Verdict;
  readonly #windows: readonly ItemWindow[];
  #detections: readonly Detection[] = NO_DETECTIONS;
  #classification: Classification = 'PUBLIC';
  #withheld: Released['withheld'];

  constructor(verdict: Verdict) {
    this.#verdict = verdict;
    this.#windows = verdict.request.rules.map(
      ({ scanner }, index) => new ItemWindow(scanner, (findings) => this.note(findings, index)),
    );
  }

  /** Takes down what one layer's scanner found, and whether that layer's flags let it go on. */
  note(findings: Findings, layer: number): void {
    const { flags } = this.#verdict.request.rules[layer] ?? {};
    if (flags === undefined) return;
    const rulings = decideContent({ findings, pii: flags.pii, secrets: flags.secrets });
    const decision = settle(flags.mode, { rulings, effects: [], basis: 'declared', ...classify(findings) });
    this.#add(decision.detections, decision.classification);
    if (!decision.allowed) this.#withheld ??= withheldBy(decision);
  }

  /** Values that may go on now, in order. Throws nothing: look at `withheld` before handing them on. */
  next(value: unknown): readonly unknown[] {
    return this.#through((window, item) => window.push(item), [value]);
  }

  end(): readonly unknown[] {
    let values: readonly unknown[] = [];
    for (const window of this.#windows) {
      values = [...values.flatMap((item) => window.push(item)), ...window.end()];
    }
    return this.#judged(values);
  }

  /** Something that stands beside the stream: judged by itself, counted with the rest. */
  aside<T>(value: T): T {
    const released = release(this.#verdict, value);
    this.#add(released.detections, released.classification);
    this.#withheld ??= released.withheld;
    return released.value as T;
  }

  /** What was found in all of it, for the record; `withheld` once something must not go on. */
  get released(): Released {
    return {
      value: undefined,
      detections: this.#detections,
      classification: this.#classification,
      redactions: [],
      ...(this.#withheld !== undefined && { withheld: this.#withheld }),
    };
  }

  #through(
    step: (window: ItemWindow, item: unknown) => readonly unknown[],
    first: readonly unknown[],
  ): readonly unknown[] {
    let values = first;
    for (const window of this.#windows) values = values.flatMap((item) => step(window, item));
    return this.#judged(values);
  }

  /** Texts were judged by the windows; everything else is judged by itself. */
  #judged(values: readonly unknown[]): readonly unknown[] {
    return values.map((value) => (typeof value === 'string' || wasRead(value) ? value : this.aside(value)));
  }

  #add(detections: readonly Detection[], classification: Classification): void {
    if (detections.length > 0) this.#detections = [...this.#detections, ...detections].slice(0, MOST_DETECTIONS);
    this.#classification = higher(this.#classification, classification);
  }
}

/** Of a stream that finds something in every piece, so many are recorded. */
export const MOST_DETECTIONS = 1000;
