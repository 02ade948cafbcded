/** The scanner of a call: what is in its arguments, result or error, and the same value with that replaced. */
import { NO_FINDINGS, type Finding, type FindingKind, type Findings } from '../model/content.ts';
import type { PiiFlag, SecretsFlag } from '../model/flags.ts';
import type { PhoneCheck } from './pii-phone.ts';
import { SecretRegistry } from './registered.ts';
import { findingOf, replaceSpans, resolveSpans, spansOf, type Span } from './spans.ts';
import { TextScanner, type Detector } from './text.ts';
import { ValueWalk, type Transformed, type WalkOptions } from './values.ts';

export type { Transformed } from './values.ts';

export interface ContentScannerOptions {
  /** Default `off`: personal data is not looked for. */
  readonly pii?: PiiFlag;
  /** Default `redact`. */
  readonly secrets?: SecretsFlag;
  readonly detectors?: readonly Detector[];
  /** Further secrets to match exactly, besides those given to `registerSecret`. */
  readonly registeredSecrets?: readonly string[];
  /** Look for names of people too (default false). Weak: see README. */
  readonly names?: boolean;
  /** Look for street addresses too (default false). Weak: see README. */
  readonly addresses?: boolean;
  /** Says whether an international number can exist. Default: calling code and length only. */
  readonly phoneCheck?: PhoneCheck;
}

export interface ScanOptions {
  /**
   * JSON pointers of what the call addresses (paths, SQL, recipients, URLs, commands): found there is reported, and left
   * as it is, together with everything beneath.
   */
  readonly exempt?: readonly string[];
  /** What takes the place of an object in it that cannot be read yet (a stream, a promise); `undefined` for any other. */
  readonly live?: ((value: object) => object | undefined) | undefined;
}

/** One value that has to change, for `Decision.rewrites`. */
export interface ContentRewrite {
  readonly pointer: string;
  readonly value: unknown;
}

export interface ContentScanner {
  /** What is there; the value is not touched. */
  scan(value: unknown): Findings;
  scanText(text: string, label?: string): Findings;
  /** The value as the flags want it: masked where a flag says mask or redact. The same reference when nothing changed. */
  transform(value: unknown, options?: ScanOptions): Transformed;
  /** As `transform`, as the smallest list of replacements of strings and numbers; whole objects where a name changed. */
  rewrites(
    value: unknown,
    options?: ScanOptions,
  ): { readonly rewrites: readonly ContentRewrite[]; readonly findings: Findings };
  /** The copy for the journal: everything found is masked, also what a flag only reports or blocks. */
  record(value: unknown): Transformed;
  transformText(text: string, label?: string): { readonly text: string; readonly findings: Findings };
  /** For streams: how many characters the longest of the secrets has that were registered. */
  reach(): number;
  /** For streams: the spans that `transform` would replace, and all that was found. */
  inspect(text: string): { readonly spans: readonly Span[]; readonly findings: Findings };
}

/** Secrets registered for the whole process. */
const processRegistry = new SecretRegistry();

/**
 * From now on every scanner of this process matches `secret` exactly, plain or encoded (base64, base64url, hex, URL,
 * JSON, HTML). At least six characters.
 */
export const registerSecret = (secret: string): void => processRegistry.add(secret);

/** Registers the values of environment variables that hold secrets, by name or by look. Returns the names it took. */
export const registerEnvironmentSecrets = (
  environment: Readonly<Record<string, string | undefined>>,
): readonly string[] => processRegistry.addEnvironment(environment);

const registriesFor = (secrets: readonly string[] | undefined): readonly SecretRegistry[] => {
  if (secrets === undefined || secrets.length === 0) return [processRegistry];
  const own = new SecretRegistry();
  for (const secret of secrets) own.add(secret);
  return [processRegistry, own];
};

export const createContentScanner = (options: ContentScannerOptions = {}): ContentScanner => {
  const { pii = 'off', secrets = 'redact', detectors = [], names = false, addresses = false } = options;
  const registries = registriesFor(options.registeredSecrets);
  const text = new TextScanner({
    secrets: true,
    pii: pii !== 'off',
    names,
    addresses,
    registries,
    detectors: detectors.filter(({ kind = 'pii' }) => kind === 'secret' || pii !== 'off'),
    phoneCheck: options.phoneCheck,
    apart: secrets !== 'redact' && pii === 'mask',
  });
  const replaced = (kind: FindingKind): boolean => (kind === 'secret' ? secrets === 'redact' : pii === 'mask');
  const walk = (value: unknown, walkOptions: WalkOptions): Transformed => new ValueWalk(text, walkOptions).run(value);

  return {
    scan: (value) => walk(value, { replace: () => false }).findings,
    scanText: (content, label = '') => findingsOf(text.scan(content, label)),
    transform: (value, { exempt = [], live } = {}) => walk(value, { replace: replaced, exempt, live }),
    rewrites: (value, { exempt = [] } = {}) => {
      const changes: ContentRewrite[] = [];
      const { findings } = walk(value, {
        replace: replaced,
        exempt,
        changed: (pointer, now) => changes.push({ pointer, value: now }),
      });
      return { rewrites: changes, findings };
    },
    record: (value) => walk(value, { replace: () => true }),
    transformText: (content, label = '') => {
      const spans = text.scan(content, label);
      return { text: replaceSpans(content, resolveSpans(spansOf(spans, replaced))), findings: findingsOf(spans) };
    },
    reach: () => registries.reduce((longest, registry) => Math.max(longest, registry.longest), 0),
    inspect: (content) => {
      const spans = text.scan(content);
      return { spans: resolveSpans(spansOf(spans, replaced)), findings: findingsOf(spans) };
    },
  };
};

const findingsOf = (spans: readonly Span[]): Findings => {
  if (spans.length === 0) return NO_FINDINGS;
  const findings: Finding[] = [];
  for (let index = 0; index < spans.length; index += 1) findings.push(findingOf(spans[index] as Span, ''));
  return findings;
};
