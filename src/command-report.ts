/** What a confined command's report says, and the reasons in words, from the kernel's own numbers. */
import type { LayerReport } from './model/layer.ts';
import type { Tier } from './model/tier.ts';
import type { CompiledProfile } from './kernel/compiled.ts';
import { errnoName } from './kernel/errno.ts';
import type { Held } from './kernel/group-plan.ts';
import { mostTasks } from './kernel/group.ts';
import { nameFileRights } from './kernel/landlock.ts';
import type { LaunchEnd, LaunchStep } from './kernel/launcher.ts';
import type { PreparedCommand, ResolvedProgram } from './command-prepare.ts';
import { tierDenied } from './tier-denied.ts';

export interface CommandReport {
  readonly tier: Tier;
  /** Name and digest of the compiled profile; `undefined` when it did not come to that. */
  readonly profile: { readonly name: string; readonly digest: string } | undefined;
  readonly layers: readonly LayerReport[];
  /** Layers that this host lacks, and whose absence the caller accepted. */
  readonly degraded: readonly string[];
}

const full = (layer: string, detail?: string): LayerReport => ({
  layer,
  requested: true,
  enforced: 'full',
  ...(detail === undefined ? {} : { detail }),
});

const ANY_HOST = /^(?:\d+|(?:\*|0\.0\.0\.0|\[::\])?:\d+)$/u;

/** Landlock knows ports, not hosts: who named a host has been given less than that, and is told so. */
export const portLayer = ({ landlock }: CompiledProfile, connect: readonly (string | number)[]): LayerReport => {
  const layer = 'landlock-net';
  if (landlock.handledNet === 0n) {
    return { layer, requested: false, enforced: 'none', detail: 'ports are not restricted by Landlock' };
  }
  if (landlock.ports.length === 0) return full(layer, 'no TCP');
  const hosts = connect.map(String).filter((target) => !ANY_HOST.test(target));
  const detail = `TCP ports, on any host: ${landlock.ports.map(({ port }) => port).join(', ')}`;
  return hosts.length === 0
    ? full(layer, detail)
    : { layer, requested: true, enforced: 'partial', detail: `${detail} (asked for ${hosts.join(', ')})` };
};

/** Every layer that was asked for. The launcher stops at the first that fails, so a started command has them all. */
export const reportOf = (
  prepared: PreparedCommand,
  { profile, degraded }: Pick<ResolvedProgram, 'profile' | 'degraded'>,
  end: LaunchEnd,
): CommandReport => {
  const ran = end.kind === 'ended';
  const held = ran ? end.namespaces : [];
  const layers: LayerReport[] = [
    full('landlock', `${profile.landlock.paths.length} paths`),
    portLayer(profile, prepared.connect),
    {
      layer: 'landlock-scope',
      requested: true,
      enforced: profile.landlock.scoped === 0n ? (held.includes('pid') ? 'partial' : 'none') : 'full',
    },
    full('seccomp'),
    full('no-new-privs'),
    full('capabilities'),
    full('descriptors'),
    full('session'),
    full('environment'),
    full('private-directories'),
    prepared.identity === undefined
      ? {
          layer: 'identity',
          requested: false,
          enforced: 'none',
          detail: `uid ${process.geteuid?.() ?? -1}, without Linux capabilities`,
        }
      : full('identity', `uid ${prepared.identity.uid}`),
    ...limitLayers(profile, ran && end.watched, ran ? (end.group ?? []) : []),
    ...profile.namespaces
      .filter((name) => name !== 'user')
      .map((name): LayerReport => ({
        layer: `namespace-${name}`,
        requested: true,
        enforced: held.includes(name) ? 'full' : 'none',
      })),
  ];
  return {
    tier: prepared.tier,
    profile: { name: profile.name, digest: profile.digest },
    layers: ran ? layers : layers.map((layer) => ({ ...layer, enforced: 'none' })),
    degraded: degraded.map(({ layer }) => layer),
  };
};

/**
 * Where there is no control group, memory, processes and processor time are read every 25 ms: a short burst can exceed
 * them. The group bounds memory itself; processes it bounds together with their threads, so they are counted as well.
 */
const limitLayers = ({ limits }: CompiledProfile, watched: boolean, held: readonly Held[]): readonly LayerReport[] => [
  ...(limits.memoryMb === undefined && limits.pids === undefined ? [] : [groupLayer(held)]),
  ...(['memoryMb', 'pids', 'cpuSeconds', 'fileSizeMb'] as const)
    .filter((name) => limits[name] !== undefined)
    .map((name): LayerReport => {
      const layer = `limit-${name}`;
      const limit = String(limits[name]);
      if (name === 'fileSizeMb') return full(layer, `rlimit ${limit} per file`);
      if (name === 'memoryMb' && held.includes('memory')) return full(layer, `${limit}, by the kernel, in a cgroup`);
      const bound =
        name === 'pids' && held.includes('pids')
          ? `; at most ${mostTasks(limits.pids ?? 0)} with their threads, by the kernel, in a cgroup`
          : '';
      if (watched) {
        const detail = `${limit}, over all processes, looked at every 25 ms${bound}`;
        return { layer, requested: true, enforced: 'partial', detail };
      }
      const hidden = 'a sandbox around this process hides /proc: the processes of a command cannot be counted';
      return { layer, requested: true, enforced: bound === '' ? 'none' : 'partial', detail: `${hidden}${bound}` };
    }),
];

const groupLayer = (held: readonly Held[]): LayerReport => {
  const whole = held.includes('pids') && held.includes('memory');
  return {
    layer: 'cgroup',
    requested: true,
    enforced: held.length === 0 ? 'none' : whole ? 'full' : 'partial',
    detail: held.length === 0 ? 'none: limits are looked at from outside' : held.join(', '),
  };
};

/** Steps whose failure is this host's, not the command's: what it then lacks, in the words of profiles. */
const HOST_LACKS: Partial<Record<LaunchStep, string>> = {
  namespaces: 'namespaces',
  mounts: 'namespace-mount',
  ruleset: 'landlock',
  session: 'session',
  descriptors: 'descriptors',
  limits: 'limits',
  identity: 'identity',
  capabilities: 'capabilities',
  'no-new-privileges': 'no-new-privs',
  landlock: 'landlock',
  seccomp: 'seccomp',
};

type Failed = Extract<LaunchEnd, { kind: 'failed' }>;

/** Throws TrustTierDenied where the host is to blame. Else why the command was not started, from the kernel's errno. */
export const refusalOf = (prepared: PreparedCommand, profile: CompiledProfile, end: Failed): string => {
  const error = errnoName(end.errno);
  const layer = HOST_LACKS[end.step];
  if (layer !== undefined) throw tierDenied(prepared.tier, [{ layer, reason: `the kernel answered ${error}` }]);
  const because: Partial<Record<LaunchStep, string>> = {
    exec: `${prepared.argv[0] ?? ''} could not be started`,
    path: `the rule for ${pathOf(profile, end.index)} could not be applied`,
    port: `the rule for port ${profile.landlock.ports[end.index]?.port ?? ''} could not be applied`,
    directory: `${prepared.cwd} could not be entered`,
  };
  return because[end.step] === undefined
    ? `the launcher ended before the command did (${end.step}, ${error})`
    : `${because[end.step] ?? ''} (${error})`;
};

const pathOf = ({ landlock }: CompiledProfile, index: number): string => {
  const rule = [...landlock.paths, ...landlock.pathsWithOwnProc][index];
  return rule === undefined ? 'a path' : `${rule.path} (${nameFileRights(rule.access)})`;
};
