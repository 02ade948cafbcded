/** The arithmetic of limits: what a flag allows, whether one more call fits, and what to say when it does not. Pure. */
import { toMicros, type BudgetLimits, type Cost, type RateLimit, type Totals } from '../model/budget.ts';
import { allowRuling, denyRuling, type Ruling } from '../model/decision.ts';
import type { BudgetFlag } from '../model/flags.ts';

const NAMED: Readonly<Record<string, BudgetLimits>> = {
  unlimited: {},
  dev: { perSession: 1, perDay: 5 },
  standard: { perSession: 10, perDay: 50 },
};

/** A text that cannot be read allows nothing that costs: what was meant as a cap must not become none. */
export const budgetLimits = (flag: BudgetFlag): BudgetLimits => {
  const named = Object.hasOwn(NAMED, flag) ? NAMED[flag] : undefined;
  if (named !== undefined) return named;
  const amounts = /^custom:(\d{1,12}(?:\.\d{1,12})?):(\d{1,12}(?:\.\d{1,12})?)$/u.exec(flag);
  if (amounts === null) return { perCall: 0, perSession: 0, perDay: 0 };
  return { perCall: Number(amounts[1]), perSession: Number(amounts[2]) };
};

export interface BudgetCase {
  readonly limits: BudgetLimits;
  readonly cost: Cost;
  /** Reserved and spent so far, without this call. */
  readonly session: Totals;
  readonly day: Totals;
}

const fits = (spent: number, cost: number, cap: number | undefined): boolean =>
  cap === undefined || spent + cost <= toMicros(cap);

/** Cents, or millionths where cents would say `$0.00`. */
const dollars = (micros: number): string => `$${(micros / 1e6).toFixed(micros % 10_000 === 0 ? 2 : 6)}`;

/** `Token budget exceeded: $1.20 of $1.00 per session`. A call that costs nothing is never refused for what others spent. */
export const decideBudget = ({ limits, cost, session, day }: BudgetCase): Ruling => {
  const usd = cost.usd ?? 0;
  if (!Number.isFinite(usd) || usd < 0) {
    return denyRuling(
      'budget_enforcement',
      'budget.cost-unknown',
      'Expected the cost of a call to be a number of US dollars, 0 or more',
    );
  }
  const micros = toMicros(usd);
  const caps = [
    { code: 'budget.call', spent: 0, cap: limits.perCall, what: 'call' },
    { code: 'budget.session', spent: session.micros, cap: limits.perSession, what: 'session' },
    { code: 'budget.day', spent: day.micros, cap: limits.perDay, what: 'day' },
  ];
  if (micros === 0) return allowRuling('budget_enforcement');
  for (const { code, spent, cap, what } of caps) {
    if (fits(spent, micros, cap)) continue;
    const reason = `Token budget exceeded: ${dollars(spent + micros)} of ${dollars(toMicros(cap ?? 0))} per ${what}`;
    return denyRuling('budget_enforcement', code, reason);
  }
  return allowRuling('budget_enforcement');
};

export const DEFAULT_WINDOW_SECONDS = 3_600;

export const windowSeconds = (rate: RateLimit): number => rate.window_seconds ?? DEFAULT_WINDOW_SECONDS;

const grouped = (count: number): string => String(count).replaceAll(/\B(?=(?:\d{3})+$)/gu, ',');

/**
 * Admission counts admitted calls, the message counts attempts, this one included: after five refusals a full window of
 * 100 reads `105/100`. Tokens count this call's own.
 */
export const decideRate = (rate: RateLimit, window: Totals, cost: Cost): Ruling => {
  const seconds = windowSeconds(rate);
  if (rate.max_calls !== undefined && window.calls >= rate.max_calls) {
    return denyRuling(
      'rate_limit',
      'rate.calls',
      `Rate limit exceeded: ${window.attempts + 1}/${rate.max_calls} calls in ${seconds}s`,
    );
  }
  const tokens = window.tokens + (cost.tokens ?? 0);
  if (
    rate.max_tokens !== undefined &&
    (tokens > rate.max_tokens || (window.tokens >= rate.max_tokens && cost.tokens === undefined))
  ) {
    return denyRuling(
      'rate_limit',
      'rate.tokens',
      `Token rate limit exceeded: ${grouped(tokens)}/${grouped(rate.max_tokens)} tokens in ${seconds}s`,
    );
  }
  return allowRuling('rate_limit');
};

/** Midnight before `time`, UTC, in milliseconds. */
export const startOfDay = (time: number): number => time - (((time % 86_400_000) + 86_400_000) % 86_400_000);
