/**
 * What a profile becomes for one host and one set of variables: numbers and bytes that the native part applies without
 * a decision of its own. Compiled by `profile.ts`, `landlock.ts` and `seccomp.ts`; applied by `lock-down.ts` (this
 * process) and `launcher.ts` (a child).
 */
import type { Tier } from '../model/tier.ts';

/** One Landlock rule: everything beneath `path` gets `access` (LANDLOCK_ACCESS_FS_* bits). */
export interface LandlockPathRule {
  readonly path: string;
  readonly access: bigint;
}

/** One Landlock port rule (LANDLOCK_ACCESS_NET_* bits). */
export interface LandlockPortRule {
  readonly port: number;
  readonly access: bigint;
}

export interface CompiledLandlock {
  readonly handledFs: bigint;
  readonly handledNet: bigint;
  readonly scoped: bigint;
  readonly paths: readonly LandlockPathRule[];
  /**
   * Granted in addition only where the process gets a pid namespace *and* a /proc of its own: elsewhere they would show
   * the command lines of everybody's processes.
   */
  readonly pathsWithOwnProc: readonly LandlockPathRule[];
  readonly ports: readonly LandlockPortRule[];
}

export interface CompiledLimits {
  readonly memoryMb?: number;
  readonly pids?: number;
  readonly fileSizeMb?: number;
  readonly outputBytes?: number;
  readonly cpuSeconds?: number;
  readonly openFiles?: number;
}

export type Namespace = 'user' | 'pid' | 'ipc' | 'mount' | 'net';

export interface CompiledProfile {
  /** Name of the profile: a tier, `isolate-host`, or the user's own. */
  readonly name: string;
  /** The tier whose authority it does not exceed. */
  readonly tier: Tier;
  /** SHA-256 (hex) of the resolved profile and variables: the cache key, and what reports and events name. */
  readonly digest: string;
  readonly landlock: CompiledLandlock;
  /** `struct sock_filter[]`, little-endian, 8 bytes each: for a program that has not started yet. */
  readonly seccomp: Uint8Array;
  /** The same for a Node that is already running: io_uring_enter stays open, a residue that reports name. */
  readonly seccompInProcess: Uint8Array;
  readonly limits: CompiledLimits;
  /** Names (or `PREFIX_*`) of environment variables that are passed on; everything else is dropped. */
  readonly environment: readonly string[];
  /** Namespaces to add where the host permits; a layer that the tier *needs* is in `required` instead. */
  readonly namespaces: readonly Namespace[];
  /**
   * Layers without which the profile must not run: `landlock`, `landlock-net`, `landlock-scope`, `seccomp`,
   * `no-new-privs`, `capabilities`, `namespace-pid` (where it stands in for a Landlock scope that the kernel lacks) …
   */
  readonly required: readonly string[];
  /** Absolute paths of programs that may be started (empty: none; `undefined`: any). */
  readonly commands?: readonly string[];
  /** PATH inside the sandbox: the folders its commands were found in, without the shims of version managers. */
  readonly searchPath: readonly string[];
}
