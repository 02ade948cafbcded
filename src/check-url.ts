/** Door: judges a URL without requesting it. */
import { type OptionRules, requireOptions, TEXTS } from './model/options.ts';
import { decideNetwork } from './policy/network.ts';

export interface CheckUrlOptions {
  readonly allowedDomains?: readonly string[];
}

export interface UrlDecision {
  readonly allowed: boolean;
  readonly code?: string;
  readonly reason?: string;
  readonly url: string;
  /** Noticed without being denied, such as `private_address`. */
  readonly detections: readonly string[];
}

/**
 * Whether a tool may send to `url`. `allowedDomains` absent: no list, only cloud metadata and link-local addresses are
 * denied; `[]`: everything is. What a name resolves to is judged when it is dialled, by `fetchTool`.
 */
export const checkUrl = (url: string, options: CheckUrlOptions = {}): UrlDecision => {
  requireOptions('checkUrl', options, { allowedDomains: TEXTS } satisfies OptionRules<CheckUrlOptions>);
  const ruling = decideNetwork({ kind: 'network', pointer: '', url }, options);
  return {
    allowed: ruling.outcome === 'allow',
    ...(ruling.code === undefined ? {} : { code: ruling.code }),
    ...(ruling.reason === undefined ? {} : { reason: ruling.reason }),
    url,
    detections: (ruling.detections ?? []).map(({ type }) => type),
  };
};
