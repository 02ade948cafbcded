import { expect, test } from 'vitest';
import { NO_TOTALS } from '../../src/model/budget.ts';
import { budgetLimits, decideBudget, decideRate, startOfDay } from '../../src/policy/budget.ts';

test('the named budgets are those of the documents', () => {
  expect(budgetLimits('dev')).toEqual({ perSession: 1, perDay: 5 });
  expect(budgetLimits('standard')).toEqual({ perSession: 10, perDay: 50 });
  expect(budgetLimits('custom:0.10:5')).toEqual({ perCall: 0.1, perSession: 5 });
  expect(budgetLimits('unlimited')).toEqual({});
});

test('a budget that cannot be read allows nothing that costs', () => {
  const limits = budgetLimits('custom:-1:5');
  expect(decideBudget({ limits, cost: { usd: 0.01 }, session: NO_TOTALS, day: NO_TOTALS }).outcome).toBe('deny');
  expect(decideBudget({ limits, cost: {}, session: NO_TOTALS, day: NO_TOTALS }).outcome).toBe('allow');
});

test('the cap itself is reached, not one millionth more', () => {
  const limits = budgetLimits('custom:1:0.3');
  const session = { ...NO_TOTALS, micros: 100_000 };
  expect(decideBudget({ limits, cost: { usd: 0.2 }, session, day: NO_TOTALS }).outcome).toBe('allow');
  expect(decideBudget({ limits, cost: { usd: 0.200001 }, session, day: NO_TOTALS })).toMatchObject({
    step: 'budget_enforcement',
    code: 'budget.session',
    reason: 'Token budget exceeded: $0.300001 of $0.30 per session',
  });
  expect(decideBudget({ limits, cost: { usd: Number.NaN }, session, day: NO_TOTALS }).outcome).toBe('deny');
});

test('the texts of rate limits are those of the documents', () => {
  const rate = { max_calls: 100, window_seconds: 3600, max_tokens: 1_000_000 };
  expect(decideRate(rate, { ...NO_TOTALS, calls: 100, attempts: 104 }, {})).toMatchObject({
    step: 'rate_limit',
    reason: 'Rate limit exceeded: 105/100 calls in 3600s',
  });
  expect(
    decideRate(rate, { ...NO_TOTALS, calls: 7, attempts: 7, tokens: 1_000_000 }, { tokens: 50_000 }),
  ).toMatchObject({
    step: 'rate_limit',
    reason: 'Token rate limit exceeded: 1,050,000/1,000,000 tokens in 3600s',
  });
  expect(
    decideRate(rate, { ...NO_TOTALS, calls: 99, attempts: 104, tokens: 900_000 }, { tokens: 100_000 }).outcome,
  ).toBe('allow');
});

test('a day begins at midnight UTC', () => {
  expect(new Date(startOfDay(Date.UTC(2026, 10, 21, 23, 59, 59, 999))).toISOString()).toBe('2026-11-21T00:00:00.000Z');
  expect(new Date(startOfDay(Date.UTC(2026, 10, 22))).toISOString()).toBe('2026-11-22T00:00:00.000Z');
});
