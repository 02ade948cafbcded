/** What `govern()` is told beside the tools, checked at once: what bounds nothing is an error before the first call. */
import { requireJournalOptions } from './audit/journal.ts';
import type { RepeatOptions } from './budget.ts';
import type { ContentScannerOptions } from './content/scanner.ts';
import { isSink, type JournalSettings } from './journals.ts';
import type { LayerExtras } from './layer.ts';
import { RATE_SCOPES } from './model/budget.ts';
import type { Subject } from './model/call.ts';
import type { EffectDeclaration } from './model/effect.ts';
import type { EventSink, JournalEntry } from './model/event.ts';
import { FLAG_NAMES, type FlagName, type FlagsInput } from './model/flags.ts';
import { DEFAULT_LIMITS, type Limits } from './model/limits.ts';
import {
  CAP,
  COUNT,
  fault,
  FLAGS,
  FUNCTION,
  OBJECT,
  oneOf,
  type OptionRule,
  type OptionRules,
  requireOptions,
  SIGNAL,
  SPAN,
  SWITCH,
  TEXT,
  TEXTS,
} from './model/options.ts';

export interface GovernOptions extends LayerExtras {
  /** `'mode=observe, pii=mask'` or `{mode: 'observe', pii: 'mask'}`; over `TAPPASS_FLAGS`, under session and call. */
  readonly flags?: string | FlagsInput;
  /** Default: `TAPPASS_WORKSPACE`, else the current directory. Resolved by realpath once. */
  readonly workspace?: string;
  /** On whose behalf calls are made. Default: the session's subject, else `{agent: 'agent'}`. */
  readonly subject?: Subject;
  /** Flags that sessions and calls can only tighten. */
  readonly locked?: readonly FlagName[];
  /** Throw `TapPassConfigError` for flags that would be ignored. Default: ignore and report. */
  readonly strictFlags?: boolean;
  /** What tools do, by tool name; stands over what a tool says of itself. */
  readonly effects?: Readonly<Record<string, EffectDeclaration>>;
  /** A journal, where to open one, or `false` for none. Default: `.tappass/audit` under the workspace. */
  readonly audit?: EventSink | JournalSettings | false;
  /** Cancels calls that are running and refuses new ones. */
  readonly signal?: AbortSignal;
  readonly limits?: Partial<Limits>;
  /** Called with every event after it is recorded. */
  readonly onEvent?: (event: JournalEntry) => void;
  /** Throw `RedactionApplied`, which carries the redacted result, where a result was redacted. Default: return it. */
  readonly raiseOnRedaction?: boolean;
  /** Detect the same call repeated too often in one session (`repeated_call`; blocks under lockdown). Default: off. */
  readonly loopGuard?: true | RepeatOptions;
}

const some = (expected: string, holds: (value: unknown) => boolean): OptionRule => ({ expected, holds });

/** Also of `checkContent`. */
export const CONTENT_OPTIONS: OptionRules<Omit<ContentScannerOptions, 'pii' | 'secrets'>> = {
  detectors: some('a list of detectors', (value) => Array.isArray(value)),
  registeredSecrets: TEXTS,
  names: SWITCH,
  addresses: SWITCH,
  phoneCheck: FUNCTION,
};

type Inner = 'network' | 'content' | 'rate' | 'loopGuard' | 'limits';
const INNER: { readonly [name in Inner]: OptionRules<Exclude<NonNullable<GovernOptions[name]>, true>> } = {
  network: { allowedDomains: TEXTS },
  content: CONTENT_OPTIONS,
  rate: { max_calls: CAP, window_seconds: SPAN, max_tokens: CAP, scope: oneOf(RATE_SCOPES) },
  loopGuard: { most: COUNT, windowSeconds: SPAN },
  // Without an end is a bound that the program chose.
  limits: Object.fromEntries(
    Object.keys(DEFAULT_LIMITS).map((name) => [
      name,
      some('a positive number', (value) => typeof value === 'number' && value > 0),
    ]),
  ) as OptionRules<Limits>,
};

const OPTIONS: OptionRules<GovernOptions> = {
  flags: FLAGS,
  workspace: TEXT,
  subject: OBJECT,
  locked: some(
    `a list of flags (${FLAG_NAMES.join(', ')})`,
    (value) => Array.isArray(value) && value.every((name) => (FLAG_NAMES as readonly unknown[]).includes(name)),
  ),
  strictFlags: SWITCH,
  effects: OBJECT,
  audit: some('a journal, its options, or false', (value) => value === false || OBJECT.holds(value)),
  signal: SIGNAL,
  limits: OBJECT,
  onEvent: FUNCTION,
  network: OBJECT,
  commands: TEXTS,
  harmlessFunctions: TEXTS,
  content: OBJECT,
  rate: OBJECT,
  ledger: some(
    'where budgets are kept (openSqliteLedger, createMemoryLedger)',
    (value) => OBJECT.holds(value) && typeof (value as { transact?: unknown }).transact === 'function',
  ),
  raiseOnRedaction: SWITCH,
  loopGuard: some('true or an object', (value) => value === true || OBJECT.holds(value)),
};

/** Throws `TapPassConfigError`. */
export const requireGovernOptions = (options: GovernOptions): void => {
  requireOptions('govern', options, OPTIONS);
  for (const [name, rules] of Object.entries(INNER)) {
    const inner = options[name as Inner];
    if (typeof inner === 'object') requireOptions(`govern: ${name}`, inner, rules);
  }
  const { audit, rate } = options;
  if (rate !== undefined && rate.max_calls === undefined && rate.max_tokens === undefined) {
    throw fault('Expected the option `rate` of `govern` to have `max_calls` or `max_tokens`, got neither');
  }
  if (typeof audit === 'object' && !isSink(audit)) requireJournalOptions(audit);
};
