/** Bounds of one guest, and of what an isolate host may send. Each names the attack it bounds. */

export interface CodeLimits {
  /** Longest source, in bytes, of the program and of each module (default 512 KiB). Bounds parsing in the parent. */
  readonly sourceBytes: number;
  /** Longest result, and longest result of a tool, in characters of JSON (default 4 MiB). Bounds one JSON bomb. */
  readonly resultChars: number;
  /** Longest arguments of one tool call, in characters of JSON (default 4 MiB). */
  readonly argumentChars: number;
  /** Deepest nesting of a result or of arguments (default 200). Bounds recursion in whoever walks the value. */
  readonly depth: number;
  /** Tool calls in one run (default 1000). Bounds what one prompt can set in motion. */
  readonly toolCalls: number;
  /** Tool calls under way at one time (default 16); further ones wait. */
  readonly parallelToolCalls: number;
  /** Characters of console output kept and streamed (default 256 KiB); what follows is dropped and counted. */
  readonly logChars: number;
  /** Console lines kept and streamed (default 10 000). */
  readonly logLines: number;
}

export const DEFAULT_CODE_LIMITS: CodeLimits = Object.freeze({
  sourceBytes: 512 * 1024,
  resultChars: 4 * 1024 * 1024,
  argumentChars: 4 * 1024 * 1024,
  depth: 200,
  toolCalls: 1000,
  parallelToolCalls: 16,
  logChars: 256 * 1024,
  logLines: 10_000,
});

/** Time and memory of one run: default, least, most. */
export const TIMEOUT_MS = { default: 30_000, least: 1, most: 3_600_000 } as const;
export const MEMORY_MB = { default: 128, least: 8, most: 2048 } as const;

/** A guest may overshoot V8's own accounting of its memory by this much before it counts. */
export const OVERSHOOT = 1.5;

/** What the host needs of its stack on top of what a guest on the main thread may use, for when the guest calls. */
export const HOST_STACK_ROOM_KB = 128;
/** Least stack of a host's main thread: V8's usual one for the guest. */
export const HOST_STACK_KB = 984 + HOST_STACK_ROOM_KB;
/** What V8 must leave of the stack that the kernel gives: for the frames below its first, and for native code at the end. */
export const STACK_SPARE_KB = 256;

/**
 * Longest frame, in bytes, that either side accepts. Bounds the memory that a hostile host can make the parent hold: a
 * frame is refused by its length, before a byte of it is kept. Six times the longest text: JSON inside JSON, escaped.
 */
export const MAX_FRAME_BYTES = 32 * 1024 * 1024;

/** Longest console line; longer ones are cut. Bounds one line of a flood. */
export const MAX_LOG_LINE_CHARS = 16 * 1024;

/** Timers a guest may have pending. Bounds the host's own memory. */
export const MAX_TIMERS = 1000;

/** The name that frames of the guest's runtime carry, so that they can be told from the guest's own. */
export const RUNTIME_FILE = 'tappass:guest';
