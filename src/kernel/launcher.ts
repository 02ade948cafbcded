/**
 * Starts one command through the static launcher and tells how it ended. The addon starts it by `posix_spawn`: no copy
 * of Node's page tables, which is why a sandboxed start is quicker than Node's own (test/bench/launch.bench.ts).
 */
import { constants } from 'node:os';
import { Socket, type OnReadOpts } from 'node:net';
import { loadAddon, nativeFile } from '../native/addon.ts';
import type { NativeAddon } from '../native/addon.ts';
import type { CompiledProfile, Namespace } from './compiled.ts';
import { errnoName } from './errno.ts';
import { encodeOrders } from './orders.ts';
import type { Held } from './group-plan.ts';
import type { GroupOrders, Identity } from './orders.ts';
import { sealExec, secretAddresses } from './seal-exec.ts';

export interface LaunchOptions {
  readonly profile: CompiledProfile;
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly identity?: Identity;
  /** The program may start nothing, not even itself again. */
  readonly sealed?: boolean;
  /** Namespaces to ask for; those of the profile when left out. */
  readonly namespaces?: readonly Namespace[];
  /** Folders inside writable places that stay read-only where the command gets mounts of its own; 64 at the most. */
  readonly readOnly?: readonly string[];
  /** Control groups to start in. */
  readonly group?: GroupOrders;
  /** Descriptors to pass on, or a new pipe for each `undefined`. */
  readonly stdio?: readonly [number | undefined, number | undefined, number | undefined];
  /** Takes what comes out of a new pipe for `stdout`, in a buffer that is used again, in place of that stream. */
  readonly onStdout?: OnReadOpts;
}

/** In the order of `enum step` in launcher.h; the first is 1. */
export const STEPS = [
  'orders',
  'namespaces',
  'mounts',
  'ruleset',
  'path',
  'port',
  'fork',
  'session',
  'descriptors',
  'limits',
  'identity',
  'capabilities',
  'no-new-privileges',
  'directory',
  'landlock',
  'seccomp',
  'exec',
  'group',
] as const;
export type LaunchStep = (typeof STEPS)[number] | 'launcher';

/** In the order of `enum reason` in launcher.h. */
export const REASONS = ['none', 'memory', 'pids', 'cpu', 'killed', 'parent'] as const;
export type EndReason = (typeof REASONS)[number];

export interface LaunchUsage {
  readonly userMs: number;
  readonly systemMs: number;
  readonly peakMemoryMb: number;
}

export type LaunchEnd =
  | { readonly kind: 'failed'; readonly step: LaunchStep; readonly errno: number; readonly index: number }
  | {
      readonly kind: 'ended';
      readonly exitCode?: number;
      readonly signal?: NodeJS.Signals;
      readonly reason: EndReason;
      /** Descendants that outlived the command and were killed. */
      readonly leftovers: number;
      readonly usage: LaunchUsage;
      readonly namespaces: readonly Namespace[];
      /** False where /proc is out of reach: then the processes were not looked at. */
      readonly watched: boolean;
      /** What a control group held. */
      readonly group?: readonly Held[];
    };

export interface Launched {
  readonly stdin: Socket | undefined;
  /** The descriptor of `stdin`, its own until it is destroyed; -1 without it. */
  readonly stdinFd: number;
  readonly stdout: Socket | undefined;
  readonly stderr: Socket | undefined;
  /** True once the program has been started inside; false when it never will be. Never rejects. */
  readonly started: Promise<boolean>;
  /** Settles when nothing of the command is left; never rejects. */
  readonly ended: Promise<LaunchEnd>;
  /** Sends a signal to every process of the command. */
  signal(signal: NodeJS.Signals): void;
  /** Kills every process of the command. */
  kill(): void;
  /** Whether waiting for its end keeps this program alive (it does until told otherwise). */
  hold(held: boolean): void;
}

export class LaunchRefused extends Error {}

const CLONE: Readonly<Record<Namespace, number>> = {
  mount: 0x0002_0000,
  ipc: 0x0800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  net: 0x4000_0000,
};

/** `enum report` and `struct report_record` in launcher.h. */
const REPORT = { failed: 1, started: 2, ended: 3 } as const;
const REPORT_BYTES = 40;
const KILL = 'K'.charCodeAt(0);

/** Throws `LaunchRefused` when nothing could be started; everything later is told by `ended`. */
export const launch = (options: LaunchOptions): Launched => {
  const addon = requireAddon();
  const path = nativeFile('tappass-launcher');
  if (path === undefined) throw new LaunchRefused('the launcher is not built: run `npm rebuild tappass`');

  const namespaces = options.namespaces ?? options.profile.namespaces;
  const execAt = options.sealed === true ? secretAddresses() : undefined;
  const { arch } = process;
  if (execAt !== undefined && arch !== 'x64' && arch !== 'arm64') {
    throw new LaunchRefused(`Expected an x64 or arm64 machine, got ${arch}`);
  }
  const orders = encodeOrders({
    profile: options.profile,
    program: options.program,
    args: options.args,
    environment: options.environment,
    directory: options.directory,
    namespaces: namespaces.reduce((flags, name) => flags | CLONE[name], 0),
    ...(options.identity === undefined ? {} : { identity: options.identity }),
    ...(execAt === undefined ? {} : { execAt }),
    ...(options.group === undefined ? {} : { group: options.group }),
    ...(options.readOnly === undefined ? {} : { readOnly: options.readOnly }),
    seccomp:
      execAt === undefined
        ? options.profile.seccomp
        : sealExec(options.profile.seccomp, execAt, arch === 'arm64' ? 'arm64' : 'x64'),
  });

  const given = Int32Array.from(options.stdio ?? [undefined, undefined, undefined], (fd) => fd ?? -1);
  const results = new Int32Array(5);
  const failed = addon.startLauncher(path, given, results);
  if (failed < 0) throw new LaunchRefused(`the launcher ${path} could not be started: ${errnoName(-failed)}`);
  const [pid = -1, control = -1, stdin = -1, stdout = -1, stderr = -1] = results;
  // A launcher that has died of bad orders has said so on the socket: the answer is read below either way.
  addon.sendOrders(control, orders);

  const channel = new Socket({ fd: control, readable: true, writable: true });
  return {
    stdin: pipeEnd(stdin, false),
    stdinFd: stdin,
    stdout: pipeEnd(stdout, true, options.onStdout),
    stderr: pipeEnd(stderr, true),
    ...listen(channel, () => reap(addon, pid)),
    signal: (signal) => void channel.write(Uint8Array.of(constants.signals[signal])),
    kill: () => void channel.write(Uint8Array.of(KILL)),
    hold: (held) => void (held ? channel.ref() : channel.unref()),
  };
};

const requireAddon = (): Required<Pick<NativeAddon, 'startLauncher' | 'sendOrders' | 'reapLauncher'>> => {
  const load = loadAddon();
  if ('missing' in load) throw new LaunchRefused(load.missing);
  const { startLauncher, sendOrders, reapLauncher } = load.addon;
  if (!startLauncher || !sendOrders || !reapLauncher) {
    throw new LaunchRefused('the native addon was built without its kernel part: run `npm rebuild tappass`');
  }
  return { startLauncher, sendOrders, reapLauncher };
};

const pipeEnd = (fd: number, readable: boolean, onread?: OnReadOpts): Socket | undefined =>
  fd < 0 ? undefined : new Socket({ fd, readable, writable: !readable, ...(onread === undefined ? {} : { onread }) });

const listen = (channel: Socket, onEnd: () => void): Pick<Launched, 'started' | 'ended'> => {
  const started = Promise.withResolvers<boolean>();
  const ended = Promise.withResolvers<LaunchEnd>();
  let pending = Buffer.alloc(0);
  let held: readonly Namespace[] = [];
  let watched = false;
  channel.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (; pending.length >= REPORT_BYTES; pending = pending.subarray(REPORT_BYTES)) {
      const kind = pending.readInt32LE(0);
      if (kind === REPORT.started) {
        held = namespacesOf(pending.readInt32LE(8));
        watched = pending.readInt32LE(12) === 1;
        started.resolve(true);
      } else {
        ended.resolve(kind === REPORT.ended ? endOf(pending, held, watched) : failureOf(pending));
      }
    }
  });
  // Writing to a launcher that has just ended is no news; its end is told by `close`.
  channel.on('error', () => undefined);
  channel.on('close', () => {
    ended.resolve({ kind: 'failed', step: 'launcher', errno: 0, index: 0 });
    started.resolve(false);
    onEnd();
  });
  return {
    started: started.promise,
    ended: ended.promise.finally(() => channel.destroy()),
  };
};

const failureOf = (report: Buffer): LaunchEnd => ({
  kind: 'failed',
  step: STEPS[report.readInt32LE(4) - 1] ?? 'launcher',
  errno: report.readInt32LE(8),
  index: report.readInt32LE(12),
});

const endOf = (report: Buffer, namespaces: readonly Namespace[], watched: boolean): LaunchEnd => ({
  kind: 'ended',
  ...exitOf(report.readInt32LE(4)),
  reason: REASONS[report.readInt32LE(8)] ?? 'killed',
  leftovers: report.readInt32LE(12),
  usage: {
    userMs: Number(report.readBigUInt64LE(16)) / 1000,
    systemMs: Number(report.readBigUInt64LE(24)) / 1000,
    peakMemoryMb: Number(report.readBigUInt64LE(32)) / 1024,
  },
  namespaces,
  watched,
});

const namespacesOf = (flags: number): readonly Namespace[] =>
  (Object.keys(CLONE) as Namespace[]).filter((name) => (flags & CLONE[name]) !== 0);

/** wait(2): the low seven bits are the signal, the next byte is the code. */
const exitOf = (status: number): { exitCode: number } | { signal: NodeJS.Signals } => {
  const number = status & 0x7f;
  if (number === 0) return { exitCode: (status >> 8) & 0xff };
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return { signal: (name ?? `SIG${number}`) as NodeJS.Signals };
};

/** The process table entry of a launcher that has said its last word goes away within microseconds. */
const reap = (addon: Pick<Required<NativeAddon>, 'reapLauncher'>, pid: number, wait = 1): void => {
  if (addon.reapLauncher(pid) !== 0) return;
  setTimeout(() => reap(addon, pid, Math.min(wait * 2, 1000)), wait).unref();
};
