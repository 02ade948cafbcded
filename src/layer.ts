/**
 * Door-internal: one layer of governance around a tool, made by one `govern()`: its flags and locks, its workspace, its
 * journal. A tool governed twice has two layers; both decide, one record is written.
 */
import type { Subject } from './model/call.ts';
import type { EventSink, JournalEntry } from './model/event.ts';
import type { FlagName, Flags, IgnoredFlag, ParsedFlags } from './model/flags.ts';
import type { Limits } from './model/limits.ts';
import type { Ruling } from './model/decision.ts';
import { mergeFlags } from './policy/locks.ts';
import { compileTools } from './policy/tools.ts';
import { uuidOf } from './session.ts';
import type { Scope } from './session.ts';
import type { EffectDeciders } from './decide-effects.ts';
import { compileEffectDeciders } from './decide-effects.ts';

/** Flags of one precedence level, compiled: what a call is judged by. */
export interface Rules {
  readonly flags: Flags;
  readonly ignored: readonly IgnoredFlag[];
  readonly filterTools: (tool: string) => Ruling;
  readonly effects: EffectDeciders;
  /** Names this set of rules on every event. */
  readonly pipelineUuid: string;
}

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
  /** Opens the journal at the first call; `undefined` when it was turned off. */
  readonly sink: () => EventSink | undefined;
  readonly protectedPaths: readonly string[];
  readonly extras: LayerExtras;
}

/** Options of single deciders, passed through unread. */
export interface LayerExtras {
  readonly network?: { readonly allowedDomains?: readonly string[] };
  readonly commands?: { readonly allow?: readonly string[] };
  readonly harmlessFunctions?: readonly string[];
}

export interface Layer extends LayerOptions {
  /** The rules in force here and now: those of the layer, the session around the call and the call itself, merged. */
  rulesFor(scope: Scope | undefined, call: ParsedFlags | undefined): Rules;
}

export const makeLayer = (options: LayerOptions): Layer => {
  const compile = (flags: Flags, ignored: readonly IgnoredFlag[]): Rules => ({
    flags: Object.freeze(flags),
    ignored: Object.freeze(ignored),
    filterTools: compileTools(flags.tools),
    effects: compileEffectDeciders({
      flags,
      workspace: options.workspace,
      protectedPaths: options.protectedPaths,
      extras: options.extras,
    }),
    pipelineUuid: uuidOf(`pipeline:${JSON.stringify(flags)}`),
  });
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
  return { ...options, rulesFor };
};
