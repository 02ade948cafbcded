/** Every bound on hostile input, each with the attack it bounds. Defaults are far above honest use. */

export interface Limits {
  /** Largest arguments, in bytes of their JSON text (default 4 MiB). Bounds the cost of cloning, judging and recording. */
  readonly argumentBytes: number;
  /** Deepest nesting of arguments (default 200). Bounds recursion: ten thousand levels must not overflow a stack. */
  readonly argumentDepth: number;
  /** Most keys and elements in all of the arguments together (default 200 000). Bounds wide, shallow bombs. */
  readonly argumentNodes: number;
  /**
   * Most bytes of arguments that one journal line holds (default 64 KiB); what is longer is recorded as its digest and
   * its beginning. Bounds the growth of the journal by one call.
   */
  readonly recordedBytes: number;
  /** Longest path, in bytes (default 4096: PATH_MAX of Linux). */
  readonly pathBytes: number;
  /** Longest journal line that a reader accepts, in bytes (default 16 MiB). Bounds memory on a foreign or hostile file. */
  readonly lineBytes: number;
}

export const DEFAULT_LIMITS: Limits = Object.freeze({
  argumentBytes: 4 * 1024 * 1024,
  argumentDepth: 200,
  argumentNodes: 200_000,
  recordedBytes: 64 * 1024,
  pathBytes: 4096,
  lineBytes: 16 * 1024 * 1024,
});
