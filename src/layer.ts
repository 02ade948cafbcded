/**
 * Door-internal: one layer of governance around a tool, made by one `govern()`: its flags and locks, its workspace, its
 * journal. A tool governed twice has two layers; both decide, one record is written.
 */
import type { Budget } from './budget.ts';
import { createBudget, createMemoryLedger } from './budget.ts';
import type { ContentScanner, ContentScannerOptions } from './content/scanner.ts';
import { createContentScanner } from './content/scanner.ts';
import type { DeciderExtras, EffectDeciders } from './decide-effects.ts';
import { compileEffectDeciders } from './decide-effects.ts';
import type { LedgerStore, RateLimit } from './model/budget.ts';
import type { Subject } from './model/call.ts';
import type { Detection, Ruling } from './model/decision.ts';
import type { EventSink, JournalEntry } from './model/event.ts';
import type { FlagName, Flags, IgnoredFlag, ParsedFlags } from './model/flags.ts';
import type { Limits } from './model/limits.ts';
import { mergeFlags } from './policy/locks.ts';
import { compileTools } from './policy/tools.ts';
import type { Scope } from './session.ts';
import { uuidOf } from './session.ts';

/** Flags of one precedence level, compiled: what a call is judged by. */
export interface Rules {
  readonly flags: Flags;
  readonly ignored: readonly IgnoredFlag[];
  readonly filterTools: (tool: string) => Ruling;
  readonly effects: EffectDeciders;
  readonly scanner: ContentScanner;
  /** Absent where nothing is counted: no cap, no rate. */
  readonly budget: Budget | undefined;
  /** Names this set of rules on every event. */
  readonly pipelineUuid: string;
}

/** Options of single deciders, scanners and counters, passed through unread. */
export interface LayerExtras extends DeciderExtras {
  /** Further detectors, registered secrets, names and addresses. */
  readonly content?: Omit<ContentScannerOptions, 'pii' | 'secrets'>;
  readonly rate?: RateLimit;
  /** Where spending is remembered. Default: this process's memory, shared by everything it governs. */
  readonly ledger?: LedgerStore;
}

/** Says whether a call repeats itself too often. */
export type RepeatGuard = (
  call: { readonly sessionId: string; readonly tool: string; readonly digest: string },
  now: number,
) => Detection | undefined;

export interface LayerOptions {
  readonly parsed: ParsedFlags;
  readonly environment: ParsedFlags;
  readonly base: Flags;
  readonly locked: ReadonlySet<FlagName>;
  readonly limits: Limits;
  readonly subject: Subject | undefined;
  readonly workspace: string;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: ((event: JournalEntry) => void) | undefined;
  /** Opens the journal at the first call; none when it was turned off. */
  readonly sinks: () => readonly EventSink[];
  readonly protectedPaths: readonly string[];
  readonly extras: LayerExtras;
  readonly repeatGuard: RepeatGuard | undefined;
  readonly raiseOnRedaction: boolean;
}

export interface Layer extends LayerOptions {
  /** Stands for the session in budgets where there is none: everything this layer governs outside sessions. */
  readonly id: string;
  /** The rules in force here and now: those of the layer, the session around the call and the call itself, merged. */
  rulesFor(scope: Scope | undefined, call: ParsedFlags | undefined): Rules;
}

let layers = 0;

export const makeLayer = (options: LayerOptions): Layer => {
  const { workspace, protectedPaths, extras } = options;

  const budgetFor = (flags: Flags): Budget | undefined => {
    const { rate, ledger } = extras;
    if (flags.budget === 'unlimited' && rate === undefined) return undefined;
    return createBudget({
      flag: flags.budget,
      store: ledger ?? processLedger(),
      ...(rate !== undefined && { rate }),
    });
  };

  const compile = (flags: Flags, ignored: readonly IgnoredFlag[]): Rules => {
    const scanner = createContentScanner({ ...extras.content, pii: flags.pii, secrets: flags.secrets });
    return {
      flags: Object.freeze(flags),
      // What could not be read as a flag may be anything, a key in the wrong place included.
      ignored: Object.freeze(scanner.record(ignored).value as readonly IgnoredFlag[]),
      filterTools: compileTools(flags.tools),
      effects: compileEffectDeciders({ flags, workspace, protectedPaths, extras }),
      scanner,
      budget: budgetFor(flags),
      pipelineUuid: uuidOf(`pipeline:${JSON.stringify(flags)}`),
    };
  };
  const own = compile(options.base, [...options.environment.ignored, ...options.parsed.ignored]);
  const ofScope = new WeakMap<Scope, Rules>();
  const ofCall = new WeakMap<Rules, WeakMap<ParsedFlags, Rules>>();

  const over = (rules: Rules, given: Partial<Flags>, unread: readonly IgnoredFlag[]): Rules => {
    const merged = mergeFlags(rules.flags, given, options.locked);
    return compile(merged.flags, [...rules.ignored, ...unread, ...merged.ignored]);
  };

  const rulesFor = (scope: Scope | undefined, call: ParsedFlags | undefined): Rules => {
    let rules = own;
    if (scope !== undefined && (Object.keys(scope.given).length > 0 || scope.ignored.length > 0)) {
      rules = ofScope.get(scope) ?? over(own, scope.given, scope.ignored);
      ofScope.set(scope, rules);
    }
    if (call === undefined) return rules;
    const known = ofCall.get(rules) ?? new WeakMap<ParsedFlags, Rules>();
    ofCall.set(rules, known);
    const merged = known.get(call) ?? over(rules, call.given, call.ignored);
    known.set(call, merged);
    return merged;
  };
  layers += 1;
  return { ...options, id: `govern-${String(layers)}`, rulesFor };
};

let ledgerOfProcess: LedgerStore | undefined;

const processLedger = (): LedgerStore => (ledgerOfProcess ??= createMemoryLedger());
