/** Door: the budget of a program. Limits and texts are `policy`'s, memory is the broker's; here they are joined. */
import { createMemoryLedger } from './broker/budget-store.ts';
import { toMicros, type Cost, type LedgerStore, type RateLimit } from './model/budget.ts';
import type { Subject } from './model/call.ts';
import type { Detection, Ruling } from './model/decision.ts';
import type { BudgetFlag } from './model/flags.ts';
import { budgetLimits, decideBudget, decideRate, startOfDay, windowSeconds } from './policy/budget.ts';

export { createMemoryLedger, openSqliteLedger } from './broker/budget-store.ts';
export type { Cost, LedgerStore, RateLimit } from './model/budget.ts';

export interface BudgetOptions {
  readonly flag: BudgetFlag;
  /** Default: a ledger in memory, this process's own. */
  readonly store?: LedgerStore;
  readonly rate?: RateLimit;
}

/** Room taken for a call that has not ended. */
export interface Reservation {
  readonly id: number;
}

export interface Reserved {
  /** `rate_limit` and `budget_enforcement`, in this order; the first deny is the one that counts. */
  readonly rulings: readonly Ruling[];
  /** Present when both allow. */
  readonly reservation?: Reservation;
  /** Seconds until the window has room again, when `rate_limit` denied: for Retry-After. */
  readonly retryAfter?: number;
}

export interface Budget {
  /** Takes room for one call, or says why there is none. Parallel calls, of all processes on the store, never overshoot. */
  reserve(subject: Subject, sessionId: string, cost: Cost, now: number): Reserved;
  /** Puts the actual cost in place of the reserved one; `{}` gives all of it back. A second time changes nothing. */
  settle(reservation: Reservation, actual: Cost): void;
}

export const createBudget = ({ flag, store = createMemoryLedger(), rate }: BudgetOptions): Budget => {
  const limits = budgetLimits(flag);
  return {
    reserve: (subject, sessionId, cost, now) => {
      const midnight = startOfDay(now);
      const session = `session/${sessionId}`;
      const day = `day/${subject.agent}/${midnight}`;
      const limited = rate === undefined ? undefined : { rate, account: rateAccount(rate, subject) };
      return store.transact((ledger): Reserved => {
        const rulings: Ruling[] = [];
        let retryAfter: number | undefined;
        if (limited !== undefined) {
          const span = windowSeconds(limited.rate) * 1_000;
          const window = ledger.window(limited.account, now - span);
          rulings.push(decideRate(limited.rate, window, cost));
          if (rulings[0]?.outcome === 'deny' && window.oldest !== undefined) {
            retryAfter = Math.max(1, Math.ceil((window.oldest + span - now) / 1_000));
          }
        }
        rulings.push(decideBudget({ limits, cost, session: ledger.total(session), day: ledger.total(day) }));
        const admitted = rulings.every(({ outcome }) => outcome === 'allow');
        const line = { time: now, micros: toMicros(cost.usd ?? 0) || 0, tokens: cost.tokens ?? 0, admitted };
        const windows = limited === undefined ? [] : [limited.account];
        if (!admitted) {
          if (windows.length > 0) ledger.add({ ...line, micros: 0, tokens: 0 }, { growing: [], windows });
          return retryAfter === undefined ? { rulings } : { rulings, retryAfter };
        }
        return { rulings, reservation: { id: ledger.add(line, { growing: [session, day], windows }) } };
      });
    },
    settle: ({ id }, actual) => {
      store.transact((ledger) => ledger.settle(id, { micros: toMicros(actual.usd ?? 0), tokens: actual.tokens ?? 0 }));
    },
  };
};

const rateAccount = ({ scope = 'agent' }: RateLimit, subject: Subject): string => {
  const name = { agent: subject.agent, org: subject.org, user: subject.user }[scope];
  return `rate/${scope}/${name ?? ''}`;
};

export interface RepeatOptions {
  /** How many same calls in the window are still usual (default 10). */
  readonly most?: number;
  /** Default 60. */
  readonly windowSeconds?: number;
}

/** Most different calls remembered; the longest unrepeated is forgotten first. */
const MOST_REMEMBERED = 10_000;

/**
 * Loop guard: the detection `repeated_call` when the same tool is called with the same arguments too often in one
 * session. `digest` stands for the arguments.
 */
export const createRepeatGuard = ({ most = 10, windowSeconds: seconds = 60 }: RepeatOptions = {}): ((
  call: { readonly sessionId: string; readonly tool: string; readonly digest: string },
  now: number,
) => Detection | undefined) => {
  const seen = new Map<string, number[]>();
  return ({ sessionId, tool, digest }, now) => {
    const key = JSON.stringify([sessionId, tool, digest]);
    const times = (seen.get(key) ?? []).filter((time) => time > now - seconds * 1_000).slice(-most);
    times.push(now);
    seen.delete(key);
    seen.set(key, times);
    if (seen.size > MOST_REMEMBERED) seen.delete(seen.keys().next().value ?? '');
    if (times.length <= most) return undefined;
    return {
      step: 'rate_limit',
      type: 'repeated_call',
      detail: `more than ${most} same calls in ${seconds}s`,
      count: times.length,
    };
  };
};
