/**
 * The two filters of a profile: for a program that has not started yet, and for a process that runs. What they are made
 * of is text, the same on every machine, so those of the built-in profiles are compiled beforehand: `sandbox-profiles/filters`
 * holds them beside the very text that they were compiled from, and where that is not ours, letter for letter, they are
 * compiled here.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LandlockGap } from './landlock.ts';
import { networkRules } from './network-rules.ts';
import type { Profile } from './profile.ts';
import { compileSeccomp, type Architecture, type SyscallRule } from './seccomp.ts';
import { gapRules, lowerRule, NO_MORE_PROGRAMS } from './syscall-rules.ts';

/** All that a filter depends on. */
export interface FilterSource {
  readonly architecture: Architecture;
  readonly connect: 'any' | 'listed' | 'none';
  /** Those of this Landlock's gaps that a filter can close, in the order of `gapsOf`. */
  readonly gaps: readonly LandlockGap[];
  /** The process that runs is the only one. */
  readonly startsNothing: boolean;
  readonly syscalls: Profile['syscalls'];
}

export interface Filters {
  /** What they are made of: the same text, the same filters. */
  readonly source: string;
  /** `struct sock_filter[]`, compiled when first asked for; so are the rules. */
  readonly newProcess: () => Uint8Array;
  readonly running: () => Uint8Array;
  readonly rules: () => readonly SyscallRule[];
  readonly runningRules: () => readonly SyscallRule[];
}

/** As ports: a filter knows whether there are any, not which. */
const ANY_PORT = [1];

export const sourceOf = (
  profile: Pick<Profile, 'commands' | 'syscalls'>,
  architecture: Architecture,
  connect: 'any' | readonly number[],
  gaps: readonly LandlockGap[],
): FilterSource => ({
  architecture,
  connect: connect === 'any' ? 'any' : connect.length === 0 ? 'none' : 'listed',
  gaps: gaps.filter((gap) => gap === 'truncate' || (gap === 'unix-paths' && connect === 'any')),
  startsNothing: profile.commands !== 'any' && profile.commands.length === 0,
  syscalls: profile.syscalls,
});

/** `name`: of the profile, under which its filters may be found ready-made. */
export const filtersOf = (name: string, given: FilterSource): Filters => {
  const source = textOf(given);
  const made = once(() => readyMade(name, given, source));
  const generated = once(() => generatedRules(given));
  const variant = (which: 'new-process' | 'running-process') =>
    once(() => [
      ...generated(),
      ...lowered().flatMap(({ only, rules }) => (only === undefined || only === which ? rules : [])),
    ]);
  const lowered = once(() => given.syscalls.rules.map((rule) => ({ only: rule.in, rules: lowerRule(rule) })));
  const rules = variant('new-process');
  const ofRunning = variant('running-process');
  const runningRules = once(() => (given.startsNothing ? [NO_MORE_PROGRAMS, ...ofRunning()] : ofRunning()));
  const compile = (asked: readonly SyscallRule[]): Uint8Array =>
    compileSeccomp({ fallback: given.syscalls.fallback, rules: asked }, given.architecture);
  return {
    source,
    newProcess: once(() => made()?.newProcess() ?? compile(rules())),
    running: once(() => made()?.running() ?? compile(runningRules())),
    rules,
    runningRules,
  };
};

/** Without the reasons, which change nothing. */
const textOf = (given: FilterSource): string => {
  const rules = given.syscalls.rules.map(({ calls, when, action, in: only }) => ({ calls, when, action, in: only }));
  return JSON.stringify({ ...given, syscalls: { fallback: given.syscalls.fallback, rules } });
};

/** An allow-list means what it says: what the network line would leave open is not added to it. */
const generatedRules = ({ connect, gaps, syscalls }: FilterSource): readonly SyscallRule[] =>
  [...gapRules(gaps), ...networkRules(connect === 'any' ? connect : connect === 'listed' ? ANY_PORT : [], gaps)].filter(
    (rule) => rule.action !== 'allow' || syscalls.fallback === 'allow',
  );

const folder = join(import.meta.dirname, '..', '..', 'sandbox-profiles', 'filters');

/** Of the built-in profiles that can be run: no other name is looked for. */
export const READY_MADE = ['observer', 'worker', 'standard', 'isolate-host', 'isolate-guest'] as const;

/** One file for each architecture, since a host has one. */
export const readyMadeFile = (name: string, { architecture, connect, gaps }: FilterSource): string =>
  join(folder, architecture, `${[name, connect, ...gaps].join('.')}.txt`);

/** The text that was compiled, and both filters in base64: a line each. */
export const writeReadyMade = ({ source, newProcess, running }: Filters): string =>
  [source, ...[newProcess, running].map((make) => Buffer.from(make()).toString('base64')), ''].join('\n');

const readyMade = (name: string, given: FilterSource, source: string): ReadyMade | undefined => {
  if (!READY_MADE.some((each) => each === name)) return undefined;
  try {
    return parseReadyMade(readFileSync(readyMadeFile(name, given), 'latin1'), source);
  } catch {
    return undefined;
  }
};

/** `undefined` for a filter that is not whole. */
export interface ReadyMade {
  readonly newProcess: () => Uint8Array | undefined;
  readonly running: () => Uint8Array | undefined;
}

/** `undefined` for what was compiled from another text than `source`, and for a file that does not end where it should. */
export const parseReadyMade = (text: string, source: string): ReadyMade | undefined => {
  if (!text.startsWith(source) || text[source.length] !== '\n') return undefined;
  const [newProcess = '', running = '', end, ...more] = text.slice(source.length + 1).split('\n');
  if (end !== '' || more.length > 0) return undefined;
  return { newProcess: () => decode(newProcess), running: () => decode(running) };
};

const decode = (line: string): Uint8Array | undefined => {
  const bytes = Buffer.from(line, 'base64');
  return line !== '' && bytes.toString('base64') === line ? new Uint8Array(bytes) : undefined;
};

const once = <T>(make: () => T): (() => T) => {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
};
