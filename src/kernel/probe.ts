/** What this host can enforce, found by doing it: each layer is put on a child, which then tries what the layer forbids. */
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { loadAddon, nativeFile } from '../native/addon.ts';
import { attemptInside, attemptOutside, compileFor, type Attempted } from './attempt.ts';
import { capture } from './capture.ts';
import type { CompiledProfile, Namespace } from './compiled.ts';
import { cureFor, type AbilityName, type HostFacts } from './cures.ts';
import { groupPlan } from './group-plan.ts';
import { hostAbilities } from './host.ts';
import { errnoName } from './errno.ts';
import { launch } from './launcher.ts';
import { compileSeccomp, SYSCALL_TABLES } from './seccomp.ts';
import { openStage, type Stage } from './stage.ts';

export interface Ability {
  readonly name: AbilityName;
  readonly works: boolean;
  /** What was done and what came of it. */
  readonly found: string;
  /** `needed`: a tier is refused without it. `bonus`: added where it is there. */
  readonly role: 'needed' | 'bonus';
  readonly cure?: string;
}

const EFAULT = 14;

export const readFacts = (): HostFacts => {
  const load = loadAddon();
  const landlock = 'addon' in load ? (load.addon.landlockAbi?.() ?? 0) : 0;
  const apparmor = sysctl('kernel/apparmor_restrict_unprivileged_userns');
  const clone = sysctl('kernel/unprivileged_userns_clone');
  const most = sysctl('user/max_user_namespaces');
  return {
    release: release(),
    uid: process.geteuid?.() ?? -1,
    container: existsSync('/.dockerenv') || existsSync('/run/.containerenv'),
    filtered: /^Seccomp:\s*2$/mu.test(readText('/proc/self/status') ?? ''),
    landlock,
    ...(apparmor === undefined ? {} : { apparmorRestrictsUserns: apparmor !== '0' }),
    ...(clone === undefined ? {} : { unprivilegedUsernsClone: clone !== '0' }),
    ...(most === undefined ? {} : { maxUserNamespaces: Number(most) }),
  };
};

const readText = (file: string): string | undefined => {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
};

const sysctl = (name: string): string | undefined => readText(`/proc/sys/${name}`);

/** Takes a few dozen milliseconds and leaves nothing behind. Never throws: what cannot be tried does not work. */
export const probeHost = async (): Promise<readonly Ability[]> => {
  const facts = readFacts();
  const load = loadAddon();
  const program = nativeFile('tappass-try');
  const launcher = nativeFile('tappass-launcher');
  const absent =
    'missing' in load
      ? load.missing
      : program === undefined || launcher === undefined
        ? 'the launcher is not built'
        : undefined;
  const native = ability(facts, 'native', 'needed', {
    works: absent === undefined,
    found: absent ?? 'addon, launcher and probe are there',
  });
  if (absent !== undefined || program === undefined) return [native];
  const stage = await openStage(program, hostAbilities().architecture);
  try {
    const probes: readonly Promise<Ability>[] = [
      probe(facts, 'landlock', 'needed', () => landlockHolds(program, stage)),
      Promise.resolve(ability(facts, 'landlock-net', 'needed', byAbi(facts, 4, 'TCP ports can be restricted'))),
      Promise.resolve(
        ability(facts, 'landlock-scope', 'needed', byAbi(facts, 6, 'signals and abstract sockets can be kept in')),
      ),
      probe(facts, 'seccomp', 'needed', () => seccompHolds(program, stage)),
      probe(facts, 'seccomp-all-threads', 'needed', () => allThreads(program, stage)),
      probe(facts, 'openat2', 'bonus', () => openat2(program, stage)),
      ...(['user', 'pid', 'ipc', 'mount', 'net'] as const).map((name) =>
        probe(facts, `namespace-${name}`, 'bonus', () => namespaceHolds(program, stage, name)),
      ),
      probe(facts, 'cgroup', 'bonus', () => Promise.resolve(cgroupHolds())),
    ];
    return [native, ...(await Promise.all(probes))];
  } finally {
    await stage.close();
  }
};

interface Found {
  readonly works: boolean;
  readonly found: string;
  readonly errno?: number;
}

const ability = (
  facts: HostFacts,
  name: AbilityName,
  role: Ability['role'],
  { works, found, errno }: Found,
): Ability => ({
  name,
  works,
  found,
  role,
  ...(works ? {} : { cure: cureFor(name, facts, errno) }),
});

const probe = async (
  facts: HostFacts,
  name: AbilityName,
  role: Ability['role'],
  look: () => Promise<Found>,
): Promise<Ability> => {
  try {
    return ability(facts, name, role, await look());
  } catch (error) {
    return ability(facts, name, role, { works: false, found: error instanceof Error ? error.message : String(error) });
  }
};

const byAbi = ({ landlock }: HostFacts, needed: number, what: string): Found => ({
  works: landlock >= needed,
  found:
    landlock >= needed
      ? `ABI ${String(landlock)}: ${what}`
      : `ABI ${String(Math.max(0, landlock))}, and ${String(needed)} is needed`,
});

const answersOf = ({ stdout, failure }: Attempted): readonly number[] => {
  if (failure !== undefined) throw new Error(failure);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
};

const numberOf = (name: string): string => String(SYSCALL_TABLES[hostAbilities().architecture][name]);

const openFiles = (stage: Stage): readonly string[] => {
  const open = (file: string): readonly string[] => [numberOf('openat'), '-100', `=${file}`, '0'];
  return [...open(stage.target.ownFile), '/', ...open(stage.target.secretFile)];
};

const landlockHolds = async (program: string, stage: Stage): Promise<Found> => {
  const [own = -1, secret = 0] = answersOf(await withProfile(program, openFiles(stage), stage, withoutFilter));
  const works = own >= 0 && secret === -13;
  return {
    works,
    found: works
      ? 'a child could open its own file and not another'
      : `a child got ${String(own)} and ${String(secret)}`,
  };
};

const withoutFilter = (profile: CompiledProfile): CompiledProfile => ({
  ...profile,
  seccomp: compileSeccomp({ fallback: 'allow', rules: [] }, hostAbilities().architecture),
});

const withProfile = async (
  program: string,
  args: readonly string[],
  stage: Stage,
  change: (profile: CompiledProfile) => CompiledProfile,
  namespaces: readonly Namespace[] = [],
): Promise<Attempted & { readonly errno?: number }> => {
  const { workspace } = stage.target;
  const profile = change(compileFor('observer', program, { workspace, strength: 'floor' }));
  const launched = launch({
    profile,
    program,
    args: [program, ...args],
    environment: {},
    directory: workspace,
    namespaces,
  });
  launched.stdin?.destroy();
  launched.stderr?.destroy();
  const [stdout, end] = await Promise.all([capture(launched.stdout, 4096), launched.ended]);
  if (end.kind === 'failed') {
    return {
      stdout: '',
      stderr: '',
      failure: `the step \`${end.step}\` answered ${errnoName(end.errno)}`,
      errno: end.errno,
    };
  }
  return { stdout: stdout.text, stderr: '' };
};

const seccompHolds = async (program: string, stage: Stage): Promise<Found> => {
  const args = [numberOf('getpid'), '/', numberOf('keyctl'), '0', '-3', '0'];
  const outcome = await attemptInside('observer', program, args, {
    workspace: stage.target.workspace,
    strength: 'floor',
  });
  const [pid = -1, denied = 0] = answersOf(outcome);
  const works = pid > 0 && denied === -1;
  return {
    works,
    found: works
      ? 'a child could ask for its pid and not for its keys'
      : `a child got ${String(pid)} and ${String(denied)}`,
  };
};

/** With a filter that cannot be read the kernel answers EFAULT where it knows the flag, EINVAL where it does not. */
const allThreads = async (program: string, stage: Stage): Promise<Found> => {
  const [answer = 0] = answersOf(
    await attemptOutside(program, [numberOf('seccomp'), '1', '1', '@'], stage.target.workspace),
  );
  return {
    works: answer === -EFAULT,
    found: answer === -EFAULT ? 'the kernel knows the flag' : `the kernel answered ${String(answer)}`,
  };
};

const openat2 = async (program: string, stage: Stage): Promise<Found> => {
  const args = [numberOf('openat2'), '-100', `=${stage.target.ownFile}`, '&24', '24'];
  const [answer = -1] = answersOf(await attemptOutside(program, args, stage.target.workspace));
  return answer >= 0
    ? { works: true, found: 'a child opened a file with it' }
    : { works: false, found: `a child got ${errnoName(-answer)}`, errno: -answer };
};

const namespaceHolds = async (program: string, stage: Stage, name: Namespace): Promise<Found> => {
  const isRoot = process.geteuid?.() === 0;
  const wanted: readonly Namespace[] = name === 'user' || isRoot ? [name] : ['user', name];
  const outcome = await withProfile(program, [numberOf('getpid')], stage, (profile) => profile, wanted);
  if (outcome.failure !== undefined) {
    return { works: false, found: outcome.failure, ...(outcome.errno === undefined ? {} : { errno: outcome.errno }) };
  }
  return { works: true, found: 'a child ran in one of its own' };
};

const cgroupHolds = (): Found => {
  const { places, found } = groupPlan();
  const works = (['pids', 'memory'] as const).every((held) => places.some(({ holds }) => holds.includes(held)));
  return { works, found: places.length === 0 ? found : `groups were made (${found})` };
};
