/** Door: what is in a value, without running anything: `tappass check content`, and programs that only want to look. */
import { createContentScanner, type ContentScannerOptions } from './content/scanner.ts';
import { classify } from './content/classify.ts';
import { CONTENT_OPTIONS } from './govern-options.ts';
import { countByType, type Findings } from './model/content.ts';
import type { Classification } from './model/decision.ts';
import { PII_ACTIONS, SECRETS_ACTIONS } from './model/flags.ts';
import { oneOf, requireOptions, type OptionRules } from './model/options.ts';
import { decideContent } from './policy/content.ts';

const OPTIONS: OptionRules<ContentScannerOptions> = {
  pii: oneOf(PII_ACTIONS),
  secrets: oneOf(SECRETS_ACTIONS),
  ...CONTENT_OPTIONS,
};

export interface ContentDecision {
  readonly allowed: boolean;
  /** `PII detected: EMAIL, PHONE_NUMBER`, or `Secrets detected: jwt`. */
  readonly reason?: string;
  readonly findings: Findings;
  readonly counts: readonly { readonly type: string; readonly count: number }[];
  readonly classification: Classification;
  readonly because: string;
  /** The value with what the flags mask replaced; the same reference when nothing was. */
  readonly value: unknown;
}

/** `pii` is `mask` here unless said otherwise: who asks wants to know. `secrets` is `redact`. */
export const checkContent = (value: unknown, options: ContentScannerOptions = {}): ContentDecision => {
  requireOptions('checkContent', options, OPTIONS);
  const { pii = 'mask', secrets = 'redact' } = options;
  const scanner = createContentScanner({ ...options, pii, secrets });
  const { value: transformed, findings } = scanner.transform(value);
  const denied = decideContent({ findings, pii, secrets }).find(({ outcome }) => outcome === 'deny');
  return {
    allowed: denied === undefined,
    ...(denied?.reason === undefined ? {} : { reason: denied.reason }),
    findings,
    counts: countByType(findings),
    ...classify(findings),
    value: transformed,
  };
};
