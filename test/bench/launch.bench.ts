/**
 * What confinement adds to starting a program: 200 interleaved runs of /bin/true as whole commands, output read to its
 * end, in one process. `node test/bench/launch.bench.ts [runs]`
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Namespace } from '../../src/kernel/compiled.ts';
import type { CommandLimits } from '../../src/command-options.ts';
import { prepareCommand, resolveCommand } from '../../src/command-prepare.ts';
import { openGroup } from '../../src/kernel/group.ts';
import { groupPlan } from '../../src/kernel/group-plan.ts';
import { launch } from '../../src/kernel/launcher.ts';
import { runCommand } from '../../src/run-command.ts';
import { peer } from './peers.ts';

const runs = Number(process.argv[2] ?? 200);
const warmUp = 20;
const workspace = mkdtempSync(join(tmpdir(), 'launch-bench-'));

type Case = () => Promise<unknown>;

const whole = (command: string, args: readonly string[]): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: workspace, stdio: 'pipe' });
    child.stdin.end();
    child.stdout.resume();
    child.stderr.resume();
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(code) : reject(new Error(`${command} ended with ${String(code)}`)),
    );
  });

const confined = async (tier: 'observer' | 'worker', limits?: CommandLimits): Promise<unknown> => {
  const result = await runCommand(['true'], { tier, workspace, limits });
  if (result.exitCode !== 0) throw new Error(JSON.stringify(result));
  return result;
};

/** The same without the namespaces and groups that this host adds: the floor, as in a container. */
const floor = (tier: 'observer' | 'worker', namespaces: readonly Namespace[], grouped = false): Case => {
  const prepared = prepareCommand(['true'], { tier, workspace });
  const command = resolveCommand(prepared);
  if ('reason' in command) throw new Error(command.reason);
  return async () => {
    const group = grouped ? openGroup({ limits: command.profile.limits, slow: true, kill: true }) : undefined;
    const launched = launch({
      ...command,
      ...(group === undefined ? {} : { group: group.orders }),
      args: ['true'],
      environment: { PATH: '/usr/bin' },
      directory: workspace,
      sealed: tier === 'observer',
      namespaces,
    });
    launched.stdin?.end();
    launched.stdout?.resume();
    launched.stderr?.resume();
    const end = await launched.ended;
    group?.close();
    if (end.kind === 'failed') throw new Error(JSON.stringify(end));
  };
};

const bubblewrap = (): Case | string => {
  if (spawnSync('bwrap', ['--version']).status !== 0) spawnSync('apt-get', ['install', '-y', '-qq', 'bubblewrap']);
  const args =
    `--ro-bind / / --proc /proc --dev /dev --tmpfs /tmp --bind ${workspace} ${workspace} ` +
    '--unshare-all --new-session --die-with-parent --cap-drop ALL true';
  const probe = spawnSync('bwrap', args.split(' '), { encoding: 'utf8' });
  if (probe.error) return 'bubblewrap cannot be installed here';
  return probe.status === 0
    ? () => whole('bwrap', args.split(' '))
    : `bubblewrap does not run here: ${probe.stderr.trim()}`;
};

interface SandboxManager {
  initialize(config: unknown): Promise<void>;
  wrapWithSandbox(command: string): Promise<string>;
  reset(): Promise<void>;
}

const sandboxRuntime = async (): Promise<{ readonly run: Case; readonly stop: () => Promise<void> } | string> => {
  const found = await peer('@anthropic-ai/sandbox-runtime', '0.0.83');
  if ('missing' in found) return found.missing;
  const manager = found.module['SandboxManager'] as SandboxManager;
  for (const tool of ['socat', 'ripgrep']) {
    if (spawnSync('which', [tool === 'ripgrep' ? 'rg' : tool]).status !== 0)
      spawnSync('apt-get', ['install', '-y', '-qq', tool]);
  }
  try {
    await manager.initialize({
      network: { allowedDomains: [], deniedDomains: [] },
      filesystem: { denyRead: [], allowWrite: [workspace], denyWrite: [] },
    });
    const run = async (): Promise<unknown> => whole('sh', ['-c', await manager.wrapWithSandbox('true')]);
    await run();
    return { run, stop: () => manager.reset() };
  } catch (error) {
    return `@anthropic-ai/sandbox-runtime does not run here: ${error instanceof Error ? error.message : String(error)}`;
  }
};

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[times.length >> 1] ?? NaN;

const RAW = 'child_process.spawn';
const notes: string[] = [];
const cases = new Map<string, Case>([
  [RAW, () => whole('/bin/true', [])],
  ['execa', () => execa('/bin/true', { cwd: workspace })],
  ['launcher, worker, Landlock + seccomp', floor('worker', [])],
  ['launcher, worker, + pid ipc mount', floor('worker', ['pid', 'ipc', 'mount'])],
  ['launcher, worker, + pid ipc mount net', floor('worker', ['pid', 'ipc', 'mount', 'net'])],
  ['launcher, observer, Landlock + seccomp', floor('observer', [])],
  ['runCommand worker', () => confined('worker')],
  ['runCommand observer', () => confined('observer')],
]);
const bwrap = bubblewrap();
if (typeof bwrap === 'string') notes.push(bwrap);
else cases.set('bubblewrap', bwrap);
const runtime = await sandboxRuntime();
if (typeof runtime === 'string') notes.push(runtime);
else cases.set('@anthropic-ai/sandbox-runtime', runtime.run);

const interleave = async (each: ReadonlyMap<string, Case>, rounds: number): Promise<void> => {
  const times = new Map([...each.keys()].map((name) => [name, [] as number[]]));
  for (let round = 0; round < warmUp + rounds; round += 1) {
    for (const [name, run] of each) {
      const begun = performance.now();
      await run();
      if (round >= warmUp) times.get(name)?.push(performance.now() - begun);
    }
  }
  const base = median(times.get(RAW) ?? []);
  console.log(`median of ${rounds} interleaved runs of /bin/true; ${RAW} = 1.00\n`);
  for (const [name, list] of times) {
    const middle = median(list);
    console.log(`${name.padEnd(42)} ${middle.toFixed(2).padStart(8)} ms ${(middle / base).toFixed(2).padStart(7)} ×`);
  }
};

await interleave(cases, runs);
if (typeof runtime !== 'string') await runtime.stop();

for (const note of notes) console.log(`\n${note}`);

/** By themselves: moving a process into a group of v1 slows down every fork of the machine for a while. */
console.log(`\ncgroup here: ${groupPlan().found}`);
await interleave(
  new Map<string, Case>([
    [RAW, () => whole('/bin/true', [])],
    ['launcher, worker, Landlock + seccomp', floor('worker', [])],
    ['launcher, worker, + cgroup', floor('worker', [], true)],
    ['runCommand worker, limits of its own', () => confined('worker', { memoryMb: 1000, pids: 100 })],
  ]),
  runs / 4,
);

/** Private memory of the launcher beside a running command, from its own smaps. */
const idle = prepareCommand(['sleep', '5'], { tier: 'worker', workspace });
const sleeping = resolveCommand(idle);
if (!('reason' in sleeping)) {
  const launched = launch({ ...sleeping, args: ['sleep', '5'], environment: {}, directory: workspace, namespaces: [] });
  await launched.started;
  const pids = spawnSync('pgrep', ['-P', String(process.pid), 'tappass-launch'], { encoding: 'utf8' }).stdout.trim();
  const rollup = pids.split('\n').map((pid) => readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  const kilobytes = rollup.map((text) => Number(/^Pss:\s+(\d+)/mu.exec(text)?.[1] ?? NaN));
  console.log(`\nmemory of the launcher beside a running command: ${kilobytes.join(' + ')} kB (PSS)`);
  launched.kill();
  await launched.ended;
}

/**
 * The first `secure()` of a process, everything imported: a fresh process each, wall clock and processor of its thread.
 * `compiled`: the same where V8 has compiled every function before (`--no-lazy`), which an ordinary process has not.
 */
const COLD_RUNS = 21;
const script = (tier: string): string => `
  const { secure } = await import(${JSON.stringify(new URL('../../src/secure.ts', import.meta.url).href)});
  const cpu = process.threadCpuUsage();
  const begun = performance.now();
  secure({ tier: ${JSON.stringify(tier)}, workspace: ${JSON.stringify(workspace)} });
  const wall = performance.now() - begun;
  const { user, system } = process.threadCpuUsage(cpu);
  const again = performance.now();
  secure({ tier: ${JSON.stringify(tier)}, workspace: ${JSON.stringify(workspace)} });
  console.log(JSON.stringify({ wall, cpu: (user + system) / 1000, again: performance.now() - again }));`;

interface Cold {
  readonly wall: number;
  readonly cpu: number;
  readonly again: number;
}
const cold = (tier: string, flags: readonly string[]): Cold => {
  const args = [...flags, '--input-type=module', '-e', script(tier)];
  return JSON.parse(spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout) as Cold;
};

const tiers = ['observer', 'worker', 'standard'];
const measured = new Map(tiers.map((tier) => [tier, { lazy: [] as Cold[], compiled: [] as Cold[] }]));
for (let run = 0; run < COLD_RUNS; run += 1) {
  for (const [tier, { lazy, compiled }] of measured) {
    lazy.push(cold(tier, []));
    compiled.push(cold(tier, ['--no-lazy']));
  }
}
console.log(`\nfirst secure() of a process, median of ${COLD_RUNS} interleaved processes (in ms):`);
for (const [tier, { lazy, compiled }] of measured) {
  const of = (list: readonly Cold[], name: keyof Cold): string => median(list.map((each) => each[name])).toFixed(1);
  const best = Math.min(...lazy.map(({ wall }) => wall)).toFixed(1);
  console.log(
    `${tier.padEnd(42)} ${of(lazy, 'wall').padStart(8)} (best ${best}), processor ${of(lazy, 'cpu')}, ` +
      `compiled ${of(compiled, 'wall')}, again ${of(lazy, 'again')}`,
  );
}
rmSync(workspace, { recursive: true, force: true });
process.exit(0);
