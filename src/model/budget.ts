/** Words of money and rate: what may be spent, what was, and the ledger that remembers it. */

/** US dollars; absent means no cap. */
export interface BudgetLimits {
  readonly perCall?: number;
  readonly perSession?: number;
  /** From midnight to midnight, UTC. */
  readonly perDay?: number;
}

export const RATE_SCOPES = ['agent', 'org', 'user'] as const;
export type RateScope = (typeof RATE_SCOPES)[number];

/** As in the pipeline policy (`rate_limit`): snake_case, since it is written there. */
export interface RateLimit {
  readonly max_calls?: number;
  /** Length of the sliding window (default 3600). */
  readonly window_seconds?: number;
  readonly max_tokens?: number;
  /** Whose calls count together (default `agent`). */
  readonly scope?: RateScope;
}

/** What one call costs. */
export interface Cost {
  readonly usd?: number;
  readonly tokens?: number;
}

/** Sums of what an account holds. */
export interface Totals {
  /** Millionths of a US dollar: whole numbers, so that sums are exact. */
  readonly micros: number;
  readonly tokens: number;
  /** Admitted calls. */
  readonly calls: number;
  /** All calls, the refused ones as well. */
  readonly attempts: number;
}

export const NO_TOTALS: Totals = Object.freeze({ micros: 0, tokens: 0, calls: 0, attempts: 0 });

export interface Amounts {
  readonly micros: number;
  readonly tokens: number;
}

export interface LedgerLine extends Amounts {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly admitted: boolean;
}

/** What is possible inside one transaction. An account is made by its first line, and is of one kind for good. */
export interface Ledger {
  /** An account that only grows: a session, a day. */
  total(account: string): Totals;
  /** An account whose lines count while they are younger than `after`; older ones are forgotten here. */
  window(account: string, after: number): Totals & { readonly oldest?: number };
  /** Adds a line to accounts that grow and to windows; the id settles it in all of them. */
  add(line: LedgerLine, accounts: { readonly growing: readonly string[]; readonly windows: readonly string[] }): number;
  /** Replaces the amounts of a line by what it came to; unknown ids (settled before, window passed) change nothing. */
  settle(id: number, amounts: Amounts): void;
}

/** Where spending is remembered: memory, a file shared by processes, or later a server. */
export interface LedgerStore {
  /** Runs `work` with nothing in between, and keeps all of it or, when it throws, none. */
  transact<T>(work: (ledger: Ledger) => T): T;
  close(): void;
}

export const toMicros = (usd: number): number => Math.round(usd * 1e6);
