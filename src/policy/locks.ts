/** Which of two flag values gives less authority, and how layers of flags are merged. */
import { DB_LEVELS, FILES_LEVELS, MODES, parametersOf, PII_ACTIONS, SECRETS_ACTIONS } from '../model/flags.ts';
import type { FlagName, Flags, IgnoredFlag } from '../model/flags.ts';

const atLeast =
  (order: readonly string[]) =>
  (current: string, next: string): boolean =>
    order.indexOf(next) >= order.indexOf(current);

const toolsAtLeast = (current: string, next: string): boolean => {
  if (next === 'block' || current === 'log') return true;
  if (current === 'block' || next === 'log') return false;
  const before = new Set(parametersOf(current));
  const after = parametersOf(next);
  const [wasList, isList] = [current.split(':', 1)[0], next.split(':', 1)[0]];
  if (wasList === 'allowlist') return isList === 'allowlist' && after.every((name) => before.has(name));
  if (isList === 'denylist') return [...before].every((name) => after.includes(name));
  return after.every((name) => !before.has(name));
};

const emailAtLeast = (current: string, next: string): boolean =>
  next === 'block' || current === 'allow' || current.toLowerCase() === next.toLowerCase();

/** US dollars per call, session and day. */
export interface BudgetCaps {
  readonly perCall: number;
  readonly perSession: number;
  readonly perDay: number;
}

export const budgetCaps = (flag: string): BudgetCaps => {
  if (flag === 'dev') return { perCall: Infinity, perSession: 1, perDay: 5 };
  if (flag === 'standard') return { perCall: Infinity, perSession: 10, perDay: 50 };
  if (flag === 'unlimited') return { perCall: Infinity, perSession: Infinity, perDay: Infinity };
  const [perCall, perSession] = parametersOf(flag).map(Number);
  return { perCall: capOf(perCall), perSession: capOf(perSession), perDay: Infinity };
};

/** NaN compares false with everything: a cap that cannot be read would never bind, so it binds at zero instead. */
const capOf = (amount: number | undefined): number => (amount !== undefined && amount >= 0 ? amount : 0);

const budgetAtLeast = (current: string, next: string): boolean => {
  const [before, after] = [budgetCaps(current), budgetCaps(next)];
  return after.perCall <= before.perCall && after.perSession <= before.perSession && after.perDay <= before.perDay;
};

const COMPARE: Readonly<Record<FlagName, (current: string, next: string) => boolean>> = {
  mode: atLeast(MODES),
  files: atLeast(FILES_LEVELS),
  db: atLeast(DB_LEVELS),
  pii: atLeast(PII_ACTIONS),
  secrets: atLeast(SECRETS_ACTIONS),
  tools: toolsAtLeast,
  email: emailAtLeast,
  budget: budgetAtLeast,
};

/** True when `next` gives no authority that `current` does not give. Values that cannot be compared are not tighter. */
export const isAsTight = (flag: FlagName, current: string, next: string): boolean => COMPARE[flag](current, next);

/**
 * Lays `over` on `base`, key by key. A locked flag takes a new value only when it is tighter; what is refused comes
 * back, because a caller that believes in a looser flag must be able to see that it does not hold.
 */
export const mergeFlags = (
  base: Flags,
  over: Partial<Flags>,
  locked: ReadonlySet<FlagName>,
): { readonly flags: Flags; readonly ignored: readonly IgnoredFlag[] } => {
  const ignored: IgnoredFlag[] = [];
  // Under a looser mode no flag blocks: a lock on any of them would hold nothing.
  const isLocked = (key: FlagName): boolean => locked.has(key) || (key === 'mode' && locked.size > 0);
  const merged: Record<string, string> = { ...base };
  for (const [key, value] of Object.entries(over) as [FlagName, string][]) {
    if (isLocked(key) && !isAsTight(key, base[key], value)) {
      ignored.push({ flag: key, value, reason: `locked at ${base[key]}: only a tighter value is taken` });
    } else merged[key] = value;
  }
  return { flags: merged as unknown as Flags, ignored };
};
