/**
 * Door: this process under a tier, from here on and for good. Synchronous: when it returns, every thread has proven its
 * confinement; when it throws, either nothing has changed or the error says that the process is half confined.
 */
import { homedir } from 'node:os';
import {
  misuse,
  requireAudit,
  requireConnect,
  requireNames,
  requireTier,
  requireWorkspace,
} from './command-options.ts';
import type { AllowDegraded, AuditOption, NetworkOptions } from './command-options.ts';
import { portLayer } from './command-report.ts';
import { tierDenied } from './tier-denied.ts';
import { compileProfile } from './kernel/compile.ts';
import type { CompiledProfile } from './kernel/compiled.ts';
import { hostAbilities } from './kernel/host.ts';
import type { MissingLayer } from './kernel/layers.ts';
import { isConfined, lockDown, LockDownFailure } from './kernel/lock-down.ts';
import type { LockDownReport } from './kernel/lock-down.ts';
import { lockDownFault, lockState, setLockDownFault, setLockState } from './kernel/lock-state.ts';
import { wideningOf } from './kernel/narrowing.ts';
import { privateRoot } from './kernel/private-directory.ts';
import { currentProfile } from './kernel/profile-current.ts';
import { readBuiltIn } from './kernel/profile-files.ts';
import { cleanPath } from './kernel/program.ts';
import { nativeFile } from './native/addon.ts';
import { TrustTierDenied } from './model/errors.ts';
import type { LayerReport } from './model/layer.ts';
import { DEFAULT_TIER, narrows, TIERS } from './model/tier.ts';
import type { Tier } from './model/tier.ts';

export interface SecureOptions {
  /** Default `standard`. */
  readonly tier?: Tier;
  /** A profile of your own, by path, instead of the tier's. */
  readonly profile?: string;
  /** Default: TAPPASS_WORKSPACE, else the current directory. */
  readonly workspace?: string;
  readonly commands?: readonly string[];
  readonly network?: NetworkOptions;
  readonly allowDegraded?: AllowDegraded;
  /**
   * Has a `lock-down` event before anything happens (cannot write: nothing happens), and one that says how it ended.
   * Default: nobody is told.
   */
  readonly audit?: AuditOption;
}

export interface SecureReport {
  readonly tier: Tier;
  readonly profile: { readonly name: string; readonly digest: string };
  /** What was asked for beside what holds, layer by layer. */
  readonly layers: readonly LayerReport[];
  /** Landlock's ABI on this kernel. */
  readonly abi: number;
  /** All threads, and those that proved their confinement: equal, or `secure` has thrown. */
  readonly threads: { readonly found: number; readonly confined: number };
  /** What the kernel still lets through, by name. */
  readonly residues: readonly { readonly name: string; readonly detail: string }[];
  readonly degraded: readonly string[];
  /** The tier around this process (`tappass run`, a secured parent or main thread), when the kernel confirms that there is one. */
  readonly inside?: Tier;
}

const NO_SESSION = { sessionId: '', taskId: '', agentUuid: '', pipelineUuid: '', auditUrl: null };

let report: SecureReport | undefined;

/**
 * `secure('worker')`, `secure('worker', {network})` or `secure({tier: 'worker', network})`. Irreversible. A second call may
 * only tighten; the same again returns the same report. Throws TapPassConfigError for misuse and TrustTierDenied where the
 * host cannot enforce the tier or a call would widen.
 */
export const secure = (tier: Tier | SecureOptions = {}, more: Omit<SecureOptions, 'tier'> = {}): SecureReport => {
  const site = callSite();
  const options = { ...requireOptions(more), ...requireOptions(tier) };
  const asked = requireTier(options.tier ?? DEFAULT_TIER);
  const fault = lockDownFault();
  if (fault !== undefined) throw incomplete(asked, fault);
  const outer = outerTier();
  requireNarrowing(asked, outer, site);

  const openSink = requireAudit(options.audit);
  const { profile, degraded } = compileFor(asked, options);
  const before = lockState();
  if (before !== undefined) {
    if (before.profile.digest === profile.digest && report !== undefined) return report;
    const wider = wideningOf(before.profile, profile);
    if (wider !== undefined) throw widened(asked, before.tier, before.site(), site(), wider);
  }
  const sink = openSink?.();
  const record = (outcome: string, facts: object): void =>
    sink?.appendDurable({
      type: 'lock-down',
      outcome,
      tier: asked,
      profile: profile.name,
      digest: profile.digest,
      site: site(),
      degraded,
      ...facts,
    });
  record('asked', {});
  const held = apply(asked, profile, (reason) => {
    try {
      record('failed', { reason });
    } catch {
      // `asked` without an end says as much, and why it failed is thrown.
    }
  });
  // For worker_threads and child processes, which do not share this module: they, too, cannot widen.
  process.env['TAPPASS_SANDBOX'] = asked;
  const temporary = temporaryFor(asked);
  if (temporary !== undefined) for (const name of ['TMPDIR', 'TMP', 'TEMP']) process.env[name] = temporary;
  setLockState({ tier: asked, profile, site });
  report = reportOf(asked, profile, degraded, held, options, outer);
  const { abi, threads, layers, residues } = report;
  record('enforced', { abi, threads, layers, residues: residues.map(({ name }) => name) });
  return report;
};

const OPTIONS = ['tier', 'profile', 'workspace', 'commands', 'network', 'allowDegraded', 'audit'] as const;

const requireOptions = (given: unknown): SecureOptions => {
  if (typeof given === 'string') return { tier: requireTier(given) };
  if (typeof given !== 'object' || given === null) {
    throw misuse(`Expected a tier (${TIERS.join(', ')}) or options, got ${String(given)} (${typeof given})`);
  }
  const unknown = Object.keys(given).find((key) => !OPTIONS.some((name) => name === key));
  if (unknown !== undefined) {
    throw misuse(
      `Expected the options of \`secure\` to be among ${OPTIONS.join(', ')}, got ${JSON.stringify(unknown)}`,
    );
  }
  return given;
};

/** Who may write has a temporary directory of its own, from which `runCommand` later takes those of its commands. */
const temporaryFor = (tier: Tier): string | undefined => (tier === 'observer' ? undefined : privateRoot());

const compileFor = (
  tier: Tier,
  options: SecureOptions,
): { readonly profile: CompiledProfile; readonly degraded: readonly MissingLayer[] } => {
  const workspace = requireWorkspace(options.workspace);
  const tmp = temporaryFor(tier);
  const launcher = nativeFile('tappass-launcher');
  const commands = requireNames('commands', options.commands);
  // What a later, tighter call will need can no longer be read then.
  for (const name of TIERS.filter((each) => narrows(tier, each))) readBuiltIn(name);
  const result = compileProfile(currentProfile(options.profile ?? tier).profile, {
    variables: { workspace, node: process.execPath, home: homedir(), ...(tmp === undefined ? {} : { tmp }) },
    host: hostAbilities(),
    searchPath: cleanPath(process.env['PATH'], workspace).split(':'),
    // What starts commands, and Node with what it is installed with: a tighter tier grants both, wherever they stand.
    commands: tier === 'observer' || launcher === undefined ? commands : [...commands, launcher, process.execPath],
    connect: requireConnect(options.network),
    allowDegraded: requireNames('allowDegraded', options.allowDegraded),
    inProcess: true,
  });
  if ('missing' in result) throw tierDenied(tier, result.missing);
  return { profile: result.compiled, degraded: result.explanation.degraded };
};

const apply = (tier: Tier, profile: CompiledProfile, onFailure: (reason: string) => void): LockDownReport => {
  try {
    return lockDown(profile);
  } catch (error) {
    if (!(error instanceof LockDownFailure)) throw error;
    if (error.applied) setLockDownFault(error.message);
    onFailure(error.message);
    if (!error.applied) throw tierDenied(tier, [{ layer: error.layer, reason: error.message }]);
    throw incomplete(tier, error.message);
  }
};

/**
 * The name that `tappass run` leaves. Anybody can set a variable, so it is believed only where the kernel confirms a
 * filter, and then only to refuse: whatever it says, the profile is applied on top.
 */
const outerTier = (): Tier | undefined => {
  const named = TIERS.find((tier) => tier === process.env['TAPPASS_SANDBOX']);
  return named !== undefined && lockState() === undefined && isConfined() ? named : undefined;
};

const requireNarrowing = (asked: Tier, outer: Tier | undefined, site: () => string): void => {
  const before = lockState();
  if (before !== undefined && !narrows(before.tier, asked)) {
    throw widened(asked, before.tier, before.site(), site(), `tier \`${asked}\``);
  }
  if (outer !== undefined && !narrows(outer, asked)) {
    throw widened(
      asked,
      outer,
      'the process around this one (`tappass run`, a secured parent or main thread)',
      site(),
      `tier \`${asked}\``,
    );
  }
};

const widened = (asked: Tier, held: Tier, first: string, second: string, what: string): TrustTierDenied =>
  new TrustTierDenied(
    `Cannot widen tier \`${held}\` by ${what}: locked at ${first}, asked for at ${second}. Ask for the wider one first, or not at all`,
    { requiredTier: asked, actualTier: held },
    NO_SESSION,
    { code: 'TAPPASS_TIER_WIDENED' },
  );

const incomplete = (tier: Tier, fault: string): TrustTierDenied =>
  new TrustTierDenied(
    `The lock-down stopped half-way: ${fault}. Some threads are confined and some may not be; end this process`,
    { requiredTier: tier, actualTier: null },
    NO_SESSION,
    { code: 'TAPPASS_LOCK_DOWN_INCOMPLETE' },
  );

const reportOf = (
  tier: Tier,
  profile: CompiledProfile,
  degraded: readonly MissingLayer[],
  held: LockDownReport,
  options: SecureOptions,
  inside: Tier | undefined,
): SecureReport => {
  const { landlock } = profile;
  const full = (layer: string): LayerReport => ({ layer, requested: true, enforced: 'full' });
  return Object.freeze({
    tier,
    profile: Object.freeze({
      name: profile.name,
      get digest() {
        return profile.digest;
      },
    }),
    layers: [
      full('landlock'),
      portLayer(profile, requireConnect(options.network)),
      landlock.scoped === 0n
        ? { layer: 'landlock-scope', requested: true, enforced: 'none' as const }
        : full('landlock-scope'),
      { ...full('seccomp'), ...(held.rings > 0 ? { enforced: 'partial' as const, detail: 'io_uring' } : {}) },
      full('no-new-privs'),
      full('capabilities'),
    ],
    abi: held.abi,
    threads: held.threads,
    residues: residuesOf(profile, held),
    degraded: degraded.map(({ layer }) => layer),
    ...(inside === undefined ? {} : { inside }),
  });
};

const residuesOf = (profile: CompiledProfile, held: LockDownReport): SecureReport['residues'] => [
  ...(held.rings > 0
    ? [
        {
          name: 'io_uring',
          detail:
            `Node holds ${held.rings} io_uring instances from its start; native code in this process could use them for system ` +
            'calls that the filter refuses. Landlock holds for them too. Start with `tappass run` instead to have none',
        },
      ]
    : []),
  ...(profile.landlock.ports.length > 0
    ? [
        {
          name: 'hosts',
          detail: 'Landlock restricts TCP ports, not hosts: the listed ports can be reached on any host',
        },
      ]
    : []),
  { name: 'open-descriptors', detail: 'what was open before stays usable: files, sockets, the journal' },
];

/** The first frame outside of this file: put into words only when somebody asks, which is rare. */
const callSite = (): (() => string) => {
  const here = new Error('where');
  return () => {
    const lines = (here.stack ?? '').split('\n').slice(1);
    const outside = lines.find((line) => !line.includes(import.meta.filename) && !line.includes(import.meta.url));
    return (
      outside
        ?.trim()
        .replace(/^at (?:.*\()?/u, '')
        .replace(/\)$/u, '') ?? 'an unknown place'
    );
  };
};
