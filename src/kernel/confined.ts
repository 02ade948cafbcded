/** Launches in the control group and under the namespaces that this host permits: found by trying, and remembered. */
import type { CompiledProfile, Namespace } from './compiled.ts';
import { openGroup, type Group } from './group.ts';
import { launch } from './launcher.ts';
import type { Launched, LaunchEnd, LaunchOptions } from './launcher.ts';

/** Attempts, from most to least, by the namespaces asked for: how far down this host has made us go. */
const settled = new Map<string, number>();

/** CAP_SYS_ADMIN creates namespaces directly: a user namespace is then only more kernel surface. */
export const attemptsFor = (wanted: readonly Namespace[], privileged: boolean): readonly (readonly Namespace[])[] => {
  const all = wanted.filter((name) => name !== 'user' || !privileged);
  const whole = !privileged && all.length > 0 && !all.includes('user') ? [] : [all];
  const withoutMounts = all.filter((name) => name !== 'mount');
  const attempts = [...whole, withoutMounts, []].filter(
    (names) => names.some((name) => name !== 'user') || names.length === 0,
  );
  return attempts.filter((names, index) => attempts.findIndex((other) => other.join() === names.join()) === index);
};

const isPrivileged = (): boolean => process.geteuid?.() === 0;

export interface ConfinedLaunch extends LaunchOptions {
  /** Its limits on memory and processes are worth the milliseconds that a control group of v1 takes. */
  readonly bounded?: boolean;
}

/**
 * Nothing of the command has run when a namespace or a mount failed, so the next attempt is safe. A namespace that the
 * profile *requires* is never left out: then the failure stands. Resolves once the program runs, or cannot.
 */
export const launchConfined = async (options: ConfinedLaunch): Promise<Launched> => {
  const wanted = options.namespaces ?? options.profile.namespaces;
  const key = wanted.join();
  const attempts = attemptsFor(wanted, isPrivileged()).filter((names) => holdsRequired(names, options.profile));
  let grouped = true;
  for (let index = Math.min(settled.get(key) ?? 0, attempts.length - 1); ;) {
    const namespaces = attempts[index] ?? wanted;
    const { limits } = options.profile;
    const wish = { limits, slow: options.bounded === true, kill: !namespaces.includes('pid') };
    const group = grouped ? openGroup(wish) : undefined;
    const launched = launchIn(group, { ...options, namespaces });
    if (await launched.started) return launched;
    const end = await launched.ended;
    if (end.kind === 'ended') return launched;
    if (end.step === 'group') grouped = false;
    else if ((end.step === 'namespaces' || end.step === 'mounts') && index < attempts.length - 1) {
      index += 1;
      settled.set(key, index);
    } else return launched;
  }
};

const launchIn = (group: Group | undefined, options: LaunchOptions): Launched => {
  if (group === undefined) return launch(options);
  let launched: Launched;
  try {
    launched = launch({ ...options, group: group.orders });
  } catch (error) {
    group.close();
    throw error;
  }
  const ended = launched.ended.then((end): LaunchEnd => {
    group.close();
    return end.kind === 'ended' ? { ...end, group: group.holds } : end;
  });
  return { ...launched, ended };
};

const REQUIRED_PREFIX = 'namespace-';

const holdsRequired = (names: readonly Namespace[], profile: CompiledProfile): boolean =>
  profile.required
    .filter((layer) => layer.startsWith(REQUIRED_PREFIX))
    .every((layer) => names.some((name) => `${REQUIRED_PREFIX}${name}` === layer));
