/** Launches under the namespaces that this host permits: found once by trying, and remembered for the process. */
import type { CompiledProfile, Namespace } from './compiled.ts';
import { launch } from './launcher.ts';
import type { Launched, LaunchOptions } from './launcher.ts';

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

/**
 * Nothing of the command has run when a namespace or a mount failed, so the next attempt is safe. A namespace that the
 * profile *requires* is never left out: then the failure stands. Resolves once the program runs, or cannot.
 */
export const launchConfined = async (options: LaunchOptions): Promise<Launched> => {
  const wanted = options.namespaces ?? options.profile.namespaces;
  const key = wanted.join();
  const attempts = attemptsFor(wanted, isPrivileged()).filter((names) => holdsRequired(names, options.profile));
  for (let index = Math.min(settled.get(key) ?? 0, attempts.length - 1); ; index += 1) {
    const launched = launch({ ...options, namespaces: attempts[index] ?? wanted });
    if ((await launched.started) || index >= attempts.length - 1) return launched;
    const end = await launched.ended;
    if (end.kind === 'ended' || (end.step !== 'namespaces' && end.step !== 'mounts')) return launched;
    settled.set(key, index + 1);
  }
};

const REQUIRED_PREFIX = 'namespace-';

const holdsRequired = (names: readonly Namespace[], profile: CompiledProfile): boolean =>
  profile.required
    .filter((layer) => layer.startsWith(REQUIRED_PREFIX))
    .every((layer) => names.some((name) => `${REQUIRED_PREFIX}${name}` === layer));
