/** Makes one attempt of `tappass-try`, outside or inside a tier, and tells what it printed. */
import { spawn } from 'node:child_process';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import type { Tier } from '../model/tier.ts';
import { capture } from './capture.ts';
import { compileProfile } from './compile.ts';
import type { HostAbilities } from './layers.ts';
import type { CompiledProfile, Namespace } from './compiled.ts';
import { launchConfined } from './confined.ts';
import { hostAbilities } from './host.ts';
import { launch } from './launcher.ts';
import { loadProfile } from './profile-files.ts';

export interface Attempted {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode?: number;
  readonly signal?: string;
  /** Those that held. */
  readonly namespaces?: readonly Namespace[];
  /** The sandbox could not be started: nothing was attempted. */
  readonly failure?: string;
}

/** `floor`: Landlock and seccomp alone. `full`: with the namespaces that this host permits, as `runCommand` does. */
export type Strength = 'floor' | 'full';

const MOST_OUTPUT_BYTES = 1024 * 1024;
const LONGEST_MS = 10_000;

export const attemptOutside = async (program: string, args: readonly string[], cwd: string): Promise<Attempted> => {
  const child = spawn(program, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const { promise, resolve } = Promise.withResolvers<Attempted>();
  child.on('error', (error) => resolve({ stdout, stderr, failure: error.message }));
  child.on('close', (code, signal) => resolve({ stdout, stderr, ...ending(code, signal) }));
  return promise;
};

const ending = (
  code: number | null | undefined,
  signal: string | null | undefined,
): Pick<Attempted, 'exitCode' | 'signal'> => ({
  ...(typeof code === 'number' ? { exitCode: code } : {}),
  ...(typeof signal === 'string' ? { signal } : {}),
});

export interface InsideOptions {
  readonly workspace: string;
  /** A private folder for TMPDIR. */
  readonly temporary?: string;
  readonly strength: Strength;
  /** Default: what this host can enforce. A test makes up an older one. */
  readonly host?: HostAbilities;
  readonly allowDegraded?: readonly string[];
  readonly connect?: readonly (string | number)[];
  readonly commands?: readonly string[];
  /** Folders of PATH; default: that of the program. */
  readonly searchPath?: readonly string[];
}

/** `undefined` with the missing layers where the host cannot enforce the tier. */
export const compileFor = (profile: string, program: string, options: InsideOptions): CompiledProfile => {
  const loaded = loadProfile(profile).profile;
  const result = compileProfile(loaded, {
    variables: {
      workspace: options.workspace,
      node: process.execPath,
      home: homedir(),
      ...(options.temporary === undefined ? {} : { tmp: options.temporary }),
    },
    host: options.host ?? hostAbilities(),
    searchPath: options.searchPath ?? [dirname(program)],
    program,
    ...(options.allowDegraded === undefined ? {} : { allowDegraded: options.allowDegraded }),
    ...(options.connect === undefined ? {} : { connect: options.connect }),
    ...(options.commands === undefined ? {} : { commands: options.commands }),
  });
  if ('missing' in result)
    throw new MissingLayers(result.missing.map(({ layer, reason }) => `${layer}: ${reason}`).join('; '));
  return result.compiled;
};

export class MissingLayers extends Error {}

export const attemptInside = async (
  tier: Tier | 'isolate-host',
  program: string,
  args: readonly string[],
  options: InsideOptions,
): Promise<Attempted> => {
  const profile = compileFor(tier, program, options);
  const order = {
    profile,
    program,
    args: [program, ...args],
    environment: {
      PATH: profile.searchPath.join(':'),
      HOME: options.temporary ?? options.workspace,
      TMPDIR: options.temporary ?? options.workspace,
    },
    directory: options.workspace,
  };
  const launched = options.strength === 'floor' ? launch({ ...order, namespaces: [] }) : await launchConfined(order);
  launched.stdin?.destroy();
  const timer = setTimeout(() => launched.kill(), LONGEST_MS);
  const [stdout, stderr, end] = await Promise.all([
    capture(launched.stdout, MOST_OUTPUT_BYTES),
    capture(launched.stderr, MOST_OUTPUT_BYTES),
    launched.ended,
  ]);
  clearTimeout(timer);
  if (end.kind === 'failed') {
    return {
      stdout: '',
      stderr: '',
      failure: `step ${end.step} failed with errno ${String(end.errno)} (rule ${String(end.index)})`,
    };
  }
  return {
    stdout: stdout.text,
    stderr: stderr.text,
    namespaces: end.namespaces,
    ...ending(end.exitCode, end.signal),
  };
};
