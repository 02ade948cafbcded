/**
 * Parent side: the one place where an isolate host comes into being. It starts under the profile `isolate-host`, which
 * lets it read its own code, and is told the profile `isolate-guest`, which it puts on itself before it takes a guest.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, extname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { compileProfile } from '../kernel/compile.ts';
import type { CompiledProfile } from '../kernel/compiled.ts';
import { hostAbilities } from '../kernel/host.ts';
import { errnoName } from '../kernel/errno.ts';
import { launch, LaunchRefused, type LaunchEnd, type LaunchOptions, type Launched } from '../kernel/launcher.ts';
import { loadProfile } from '../kernel/profile-files.ts';
import { HOST_STACK_KB, STACK_SPARE_KB } from './limits.ts';
import type { LockMessage } from './message.ts';

const HERE = import.meta.dirname;
const ENTRY = join(HERE, `entry${extname(import.meta.filename)}`);

/**
 * isolated-vm needs `--no-node-snapshot`; SIGUSR1 would open an inspector, and with it the process. Without
 * `--liftoff-only` V8 compiles WebAssembly (of the type stripper, of a guest) once more in the background, and its end
 * may hold the last reference to an isolate that was disposed of: it then deletes the isolate under a lock that the
 * deletion takes as well, and the next isolate waits for ever. A small
 * young generation costs guests nothing that can be measured, and saves each host 4 MB.
 */
const NODE_FLAGS = [
  '--no-node-snapshot',
  '--disable-sigusr1',
  '--liftoff-only',
  '--no-warnings',
  '--max-semi-space-size=1',
] as const;

/**
 * A guest on a thread of its own has all of it: as much as this user's processes may have, of an unlimited one what glibc
 * takes. On the main thread it has nearly as much, so that no guest recurses deeper for the kind of host that it got.
 */
const stackFlag = (): string => {
  let threadKb = 0;
  try {
    const [, bytes] = /^Max stack size +(\S+)/mu.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    threadKb = bytes === 'unlimited' ? 2048 : Math.floor(Number(bytes ?? 0) / 1024);
  } catch {
    // No /proc: then there is what is usual.
  }
  return `--stack-size=${Math.max(HOST_STACK_KB, threadKb - STACK_SPARE_KB)}`;
};

/** Longest piece of a message that is read at one time. */
const READ_BYTES = 64 * 1024;

export interface StartedHost {
  readonly input: Writable;
  /** Writes past `input` what the pipe takes at once, and returns the rest. */
  readonly writeNow?: (frame: Buffer) => Buffer;
  readonly output: Readable;
  /** Where what comes out is to be taken from here, not from the stream: chunks that are overwritten by the next. */
  readonly onOutput?: (take: (chunk: Buffer) => void) => void;
  readonly errors: Readable;
  /** Sent first: what the host puts on itself. Absent when it runs unlocked. */
  readonly lock?: Omit<LockMessage, 'single'>;
  kill(): void;
  /** Whether it keeps this program alive. */
  hold(held: boolean): void;
  /** How it ended, in words; never rejects. */
  readonly ended: Promise<string>;
}

/** This machine cannot lock a host; the message names the missing layer. */
export class CannotLock extends Error {
  override readonly name = 'CannotLock';
}

export interface HostCode {
  readonly entry: string;
  /** Folders that it may read until it has locked itself. */
  readonly folders: readonly string[];
}

/** Throws CannotLock. */
export const startLockedHost = (code: HostCode = ownCode()): StartedHost => {
  const profile = compiled('isolate-host', code, false);
  let take: (chunk: Buffer) => void = () => {};
  const launched = launchOrRefuse({
    profile,
    program: process.execPath,
    args: [...NODE_FLAGS, stackFlag(), code.entry],
    // One heap for all threads, and what is free at its end goes back: guests leave holes behind.
    environment: { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' },
    directory: '/',
    sealed: true,
    // A namespace of pids would hide from us which process to watch; without Landlock's scope it is what keeps signals in.
    namespaces: profile.landlock.scoped === 0n ? profile.namespaces : [],
    onStdout: {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (length, buffer) => {
        take((buffer as Buffer).subarray(0, length));
        return true;
      },
    },
  });
  const { stdin, stdout, stderr } = launched;
  try {
    if (stdin === undefined || stdout === undefined || stderr === undefined) throw new CannotLock('it has no pipes');
    // One handle that holds the program is enough, and is turned on and off at each call.
    for (const pipe of [stdin, stdout, stderr]) pipe.unref();
    return {
      input: stdin,
      writeNow: (frame) => {
        if (stdin.destroyed || stdin.writableLength > 0) return frame;
        try {
          return frame.subarray(writeSync(launched.stdinFd, frame));
        } catch {
          // Full, which the stream waits for; or broken, which it tells.
          return frame;
        }
      },
      output: stdout,
      onOutput: (taker) => {
        take = taker;
      },
      errors: stderr,
      // While the host loads: it needs this only then.
      lock: lockMessage(compiled('isolate-guest', code, true), code),
      kill: () => launched.kill(),
      hold: (held) => launched.hold(held),
      ended: launched.ended.then(wordsOf),
    };
  } catch (error) {
    launched.kill();
    throw error;
  }
};

const launchOrRefuse = (options: LaunchOptions): Launched => {
  try {
    return launch(options);
  } catch (error) {
    throw error instanceof LaunchRefused ? new CannotLock(`the launcher did not start: ${error.message}`) : error;
  }
};

/** Nothing but isolated-vm between the guest and this user's authority: only where the program asked for it by name. */
export const startUnlockedHost = ({ entry }: HostCode = ownCode()): StartedHost => {
  const child = spawn(process.execPath, [...NODE_FLAGS, stackFlag(), entry], { cwd: '/', env: {}, stdio: 'pipe' });
  const { stdin, stdout, stderr } = child;
  // Sockets, to Node.
  for (const pipe of [stdin, stdout, stderr]) (pipe as unknown as { unref(): void }).unref();
  return {
    input: stdin,
    output: stdout,
    errors: stderr,
    kill: () => void child.kill('SIGKILL'),
    hold: (held) => {
      if (held) child.ref();
      else child.unref();
    },
    ended: new Promise((resolve) => {
      child.on('error', (error) => resolve(`it could not be started: ${error.message}`));
      child.on('exit', (exitCode, signal) => resolve(signal ?? `it exited with code ${exitCode}`));
    }),
  };
};

const wordsOf = (end: LaunchEnd): string => {
  if (end.kind === 'failed') return `it could not be started: ${end.step} (${errnoName(end.errno)})`;
  if (end.reason !== 'none') return `it was ended over ${end.reason}`;
  return end.signal === undefined ? `it exited with code ${end.exitCode}` : `it got ${end.signal}`;
};

const compiled = (name: string, { folders }: HostCode, inProcess: boolean): CompiledProfile => {
  const result = compileProfile(loadProfile(name).profile, {
    variables: { workspace: HERE, node: process.execPath, home: homedir(), runtime: folders },
    host: hostAbilities(),
    searchPath: [],
    ...(inProcess ? {} : { program: process.execPath }),
    inProcess,
  });
  if ('compiled' in result) return result.compiled;
  throw new CannotLock(result.missing.map(({ layer, reason }) => `${layer} is missing (${reason})`).join('; '));
};

const lockMessage = (
  { landlock, seccompInProcess }: CompiledProfile,
  { entry }: HostCode,
): Omit<LockMessage, 'single'> => ({
  type: 'lock',
  handledFs: String(landlock.handledFs),
  handledNet: String(landlock.handledNet),
  scoped: String(landlock.scoped),
  filter: Buffer.from(seccompInProcess).toString('base64'),
  probe: dirname(entry),
});

let own: HostCode | undefined;

export const ownCode = (): HostCode => {
  if (own !== undefined) return own;
  const root = join(HERE, '..', '..');
  const packages = ['isolated-vm', 'node-gyp-build'].map((name, index, names) => {
    const from = index === 0 ? import.meta.filename : createRequire(import.meta.filename).resolve(names[0] as string);
    return dirname(createRequire(from).resolve(`${name}/package.json`));
  });
  const native = ['build', 'prebuilds'].map((name) => join(root, name)).filter((folder) => existsSync(folder));
  return (own = { entry: ENTRY, folders: [dirname(HERE), ...packages, ...native] });
};
