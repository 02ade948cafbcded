/** Door: the list of attacks, tried on this host: first without the sandbox, then inside each tier that must stop it. */
import { ATTACKS, titleOf } from './kernel/attack-list.ts';
import { argumentsOf, gotThrough, WAYS, type Attack, type Way } from './kernel/attacks.ts';
import { attemptInside, attemptOutside, MissingLayers, type Attempted } from './kernel/attempt.ts';
import { hostAbilities } from './kernel/host.ts';
import { openStage, type Stage } from './kernel/stage.ts';
import { TapPassConfigError, TapPassError } from './model/errors.ts';
import { TIERS, type Tier } from './model/tier.ts';
import { nativeFile } from './native/addon.ts';

/**
 * `stopped`; `got through`: the sandbox does not hold; `open`: the tier does not promise to stop it, or only with a
 * namespace that this host refuses; `untried`: it does not work outside either, so trying proves nothing.
 */
export type Verdict = 'stopped' | 'got through' | 'open' | 'untried';

export { WAYS, type Way };

export interface SelftestRow {
  readonly way: Way;
  readonly attack: string;
  /** The negative control: without the sandbox. */
  readonly outside: 'works' | 'not possible here';
  readonly inside: Readonly<Record<Tier, Verdict>>;
}

export interface SelftestReport {
  readonly rows: readonly SelftestRow[];
  readonly attempted: number;
  readonly stopped: number;
  /** Attacks that a tier promises to stop and did not. Anything but 0 is a hole. */
  readonly gotThrough: number;
  readonly notPossible: number;
}

export interface SelftestOptions {
  /** Only these ways out; default: all. */
  readonly ways?: readonly Way[];
  readonly onRow?: (row: SelftestRow) => void;
}

/**
 * Takes a few seconds. Throws TapPassConfigError for a way that does not exist, and TapPassError
 * `TAPPASS_UNENFORCEABLE` where a tier cannot be had on this host: what cannot be tried is not called safe.
 */
export const runSelftest = async ({ ways = WAYS, onRow }: SelftestOptions = {}): Promise<SelftestReport> => {
  for (const way of ways) {
    if (WAYS.includes(way)) continue;
    throw new TapPassConfigError(`Expected \`ways\` to be among ${WAYS.join(', ')}, got ${JSON.stringify(way)}`);
  }
  const program = nativeFile('tappass-try');
  if (program === undefined) throw unenforceable('the native part is not built: run `npm rebuild tappass`');
  const stage = await openStage(program, hostAbilities().architecture);
  const rows: SelftestRow[] = [];
  try {
    for (const attack of ATTACKS.filter(({ way }) => ways.includes(way))) {
      const args = argumentsOf(attack, stage.target, hostAbilities().architecture);
      if (args === undefined) continue;
      const row = await rowOf(attack, program, args, stage);
      rows.push(row);
      onRow?.(row);
    }
  } catch (error) {
    if (error instanceof MissingLayers) throw unenforceable(error.message);
    throw error;
  } finally {
    await stage.close();
  }
  const verdicts = rows.flatMap(({ inside }) => Object.values(inside));
  const count = (verdict: Verdict): number => verdicts.filter((each) => each === verdict).length;
  return {
    rows,
    attempted: count('stopped') + count('got through'),
    stopped: count('stopped'),
    gotThrough: count('got through'),
    notPossible: rows.filter(({ outside }) => outside === 'not possible here').length,
  };
};

const unenforceable = (reason: string): TapPassError =>
  new TapPassError(`Expected this host to enforce every tier, got: ${reason}. Run \`tappass doctor\` for the cures`, {
    code: 'TAPPASS_UNENFORCEABLE',
  });

const rowOf = async (attack: Attack, program: string, args: readonly string[], stage: Stage): Promise<SelftestRow> => {
  const { target } = stage;
  stage.reset();
  const control = await attemptOutside(program, args, target.workspace);
  const works = gotThrough(attack, target, control.stdout);
  const inside: Record<Tier, Verdict> = { observer: 'open', worker: 'open', standard: 'open' };
  for (const tier of TIERS) {
    const always = attack.stoppedBy.includes(tier);
    const withView = attack.stoppedByViewIn?.includes(tier) === true;
    if (!always && !withView) continue;
    stage.reset();
    const attempt = await attemptInside(tier, program, args, { workspace: target.workspace, strength: 'full' });
    if (attempt.failure !== undefined) throw new MissingLayers(attempt.failure);
    inside[tier] = verdictOf(attack, stage, attempt, works, always);
  }
  return { way: attack.way, attack: titleOf(attack), outside: works ? 'works' : 'not possible here', inside };
};

const verdictOf = (attack: Attack, stage: Stage, attempt: Attempted, works: boolean, always: boolean): Verdict => {
  // Said before the control is looked at: what gets through inside is a hole, whatever happened outside.
  if (gotThrough(attack, stage.target, attempt.stdout)) {
    return !always && attempt.namespaces?.includes('mount') !== true ? 'open' : 'got through';
  }
  return works ? 'stopped' : 'untried';
};
