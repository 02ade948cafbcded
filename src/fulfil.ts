/** Door-internal: step 6 of a call, the obligations on what goes back: masked where the flags say so, or withheld. */
import { classify, higher } from './content/classify.ts';
import type { Verdict } from './judge.ts';
import { countByType } from './model/content.ts';
import type { Findings } from './model/content.ts';
import type { Classification, Detection, Step } from './model/decision.ts';
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

/** Never throws: a value that cannot be looked through is withheld. */
export const release = ({ request }: Verdict, given: unknown): Released => {
  let value = given;
  let detections = NO_DETECTIONS;
  let classification: Classification = 'PUBLIC';
  let replaced: Findings = [];
  try {
    for (const { flags, scanner } of request.rules) {
      const transformed = scanner.transform(value);
      const { findings } = transformed;
      if (findings.length === 0) continue;
      ({ value } = transformed);
      if (transformed.changed) replaced = [...replaced, ...findings];
      const rulings = decideContent({ findings, pii: flags.pii, secrets: flags.secrets });
      const decision = settle(flags.mode, { rulings, effects: [], basis: 'declared', ...classify(findings) });
      detections = [...detections, ...decision.detections];
      classification = higher(classification, decision.classification);
      if (!decision.allowed) {
        const withheld = {
          blockedBy: decision.blockedBy ?? 'detect_secrets',
          code: decision.code ?? 'content.found',
          reason: decision.reason ?? 'the result was withheld',
        };
        return { value: undefined, withheld, detections, classification, redactions: [] };
      }
    }
  } catch {
    const reason = 'the result cannot be looked through for secrets, so it was withheld';
    const withheld = { blockedBy: 'detect_secrets' as const, code: 'content.unreadable', reason };
    return { value: undefined, withheld, detections, classification: 'RESTRICTED', redactions: [] };
  }
  return { value, detections, classification, redactions: countByType(replaced) };
};
