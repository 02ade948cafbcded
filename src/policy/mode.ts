/**
 * From what every step said to one decision, under a mode.
 *
 * `observe` and `warn` suppress blocking, never transforming: a mirrored mail stays mirrored. `lockdown` turns every
 * detection into a block. A ruling marked `hard` stands under every mode: it is no policy but a call that cannot be made.
 */
import type { Basis, Classification, Decision, Detection, Rewrite, Ruling, Step } from '../model/decision.ts';
import type { Effect } from '../model/effect.ts';
import type { Mode } from '../model/flags.ts';

export interface Judged {
  readonly rulings: readonly Ruling[];
  readonly effects: readonly Effect[];
  readonly basis: Basis;
  readonly classification: Classification;
}

const NO_DETECTIONS: readonly Detection[] = Object.freeze([]);
const NO_REWRITES: readonly Rewrite[] = Object.freeze([]);

interface Block {
  readonly blockedBy: Step;
  readonly code: string;
  readonly reason: string;
  readonly hard: boolean;
}

/** What blocks, before the mode has its say: the first hard denial, else the first denial in order of the steps. */
const blockOf = (rulings: readonly Ruling[]): Block | undefined => {
  let first: Block | undefined;
  for (const ruling of rulings) {
    if (ruling.outcome === 'allow') continue;
    const block = {
      blockedBy: ruling.step,
      code: ruling.code ?? 'denied',
      reason: ruling.reason ?? 'denied without a reason',
      hard: ruling.hard === true,
    };
    if (block.hard) return block;
    first ??= block;
  }
  return first;
};

const lockdownBlock = (detections: readonly Detection[], basis: Basis): Block | undefined => {
  const [first] = detections;
  if (first !== undefined) {
    return {
      blockedBy: first.step,
      code: 'mode.lockdown-detection',
      reason: `${first.detail ?? first.type} (any detection blocks under lockdown)`,
      hard: false,
    };
  }
  if (basis !== 'unknown') return undefined;
  return {
    blockedBy: 'filter_tools',
    code: 'mode.lockdown-unknown-effects',
    reason:
      'Tool not allowed: its effects are unknown, and lockdown runs only tools whose effects are declared or inferred',
    hard: false,
  };
};

const gather = <T>(
  rulings: readonly Ruling[],
  pick: (ruling: Ruling) => readonly T[] | undefined,
  none: readonly T[],
) => {
  let all: T[] | undefined;
  for (const ruling of rulings) {
    const found = pick(ruling);
    if (found !== undefined && found.length > 0) (all ??= []).push(...found);
  }
  return all ?? none;
};

export const settle = (mode: Mode, { rulings, effects, basis, classification }: Judged): Decision => {
  const detections = gather(rulings, (ruling) => ruling.detections, NO_DETECTIONS);
  const rewrites = gather(rulings, (ruling) => ruling.rewrites, NO_REWRITES);
  const block = blockOf(rulings) ?? (mode === 'lockdown' ? lockdownBlock(detections, basis) : undefined);
  const rest = { detections, rewrites, effects, basis, classification };
  if (block === undefined) {
    return { outcome: 'allow', allowed: true, flagged: mode === 'warn' && detections.length > 0, ...rest };
  }
  const { hard, ...why } = block;
  if (!hard && (mode === 'observe' || mode === 'warn')) {
    return { outcome: 'allow', allowed: true, wouldBlock: why, flagged: mode === 'warn', ...rest };
  }
  return { outcome: 'deny', allowed: false, ...why, flagged: false, ...rest };
};
