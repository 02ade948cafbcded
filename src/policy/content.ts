/** What the flags `pii` and `secrets` make of what was found: two rulings, one for each, in the order of the steps. */
import { typesOf, type Finding, type FindingKind, type Findings } from '../model/content.ts';
import { allowRuling, denyRuling, type Detection, type Rewrite, type Ruling, type Step } from '../model/decision.ts';
import type { Mode, PiiFlag, SecretsFlag } from '../model/flags.ts';

export interface ContentCase {
  readonly findings: Findings;
  readonly pii: PiiFlag;
  readonly secrets: SecretsFlag;
  /** Under `lockdown` a finding blocks whatever the flag says. Suppressing blocks (`observe`, `warn`) is not done here. */
  readonly mode?: Mode;
  /** The replacements that the scanner prepared; they go with the ruling of the kind that asks for them. */
  readonly rewrites?: readonly Rewrite[];
}

const STEP_OF: Readonly<Record<FindingKind, Step>> = { pii: 'detect_pii', secret: 'detect_secrets' };

/**
 * `detect_pii`, then `detect_secrets`. A step without findings allows and says nothing. With `pii=off` nothing is found,
 * unless a detector of the program's own is a secret's.
 */
export const decideContent = (content: ContentCase): readonly Ruling[] => [
  decideKind(content, 'pii', content.pii === 'block', content.pii === 'mask'),
  decideKind(content, 'secret', content.secrets === 'block', content.secrets === 'redact'),
];

const decideKind = (content: ContentCase, kind: FindingKind, blocks: boolean, replaces: boolean): Ruling => {
  const step = STEP_OF[kind];
  const findings = content.findings.filter((finding) => finding.kind === kind);
  if (findings.length === 0) return allowRuling(step);
  const detections = detectionsOf(step, findings);
  if (blocks || content.mode === 'lockdown') return denyRuling(step, CODES[kind], reasonOf(kind, findings), detections);
  // One string may hold both kinds and is replaced once: the ruling that comes last and replaces carries the list.
  const rewrites = replaces && (kind === 'secret' || !carriesSecrets(content)) ? content.rewrites : undefined;
  return allowRuling(step, rewrites === undefined || rewrites.length === 0 ? { detections } : { detections, rewrites });
};

const carriesSecrets = (content: ContentCase): boolean =>
  content.secrets === 'redact' && content.findings.some(({ kind }) => kind === 'secret');

const CODES: Readonly<Record<FindingKind, string>> = { pii: 'content.pii', secret: 'content.secret' };

/** `PII detected: EMAIL, PHONE_NUMBER`; `Secrets detected: aws-key-id, jwt`. Never the text itself. */
export const reasonOf = (kind: FindingKind, findings: Findings): string => {
  if (kind === 'pii') return `PII detected: ${typesOf(findings, 'pii').join(', ')}`;
  return `Secrets detected: ${[...new Set(findings.map(({ rule }) => rule))].sort().join(', ')}`;
};

const detectionsOf = (step: Step, findings: readonly Finding[]): readonly Detection[] => {
  const counted = new Map<string, { readonly finding: Finding; count: number }>();
  for (const finding of findings) {
    const key = `${finding.type} ${finding.rule} ${finding.pointer}`;
    const known = counted.get(key);
    if (known === undefined) counted.set(key, { finding, count: 1 });
    else known.count += 1;
  }
  return [...counted.values()].map(({ finding, count }) => ({
    step,
    type: finding.type,
    detail: finding.rule,
    at: finding.pointer,
    count,
  }));
};
