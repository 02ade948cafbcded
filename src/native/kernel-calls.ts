/** System calls of the sandbox. Each returns a count or 0, else `-errno`. */
export interface KernelCalls {
  /** The newest Landlock ABI that the kernel speaks; `-ENOSYS` not built, `-EOPNOTSUPP` not enabled at boot. */
  landlockAbi(): number;
  /** `st_mode` of what `path` leads to. */
  fileMode(path: string): number;
  /** Where `path` leads to; `undefined` when nowhere. */
  realPath(path: string): string | undefined;
  /** Whether the extended attribute is there with the value `1`. */
  hasAttribute(path: string, name: string): boolean;
  /** Files and folders in `folder`, to that depth and without following links, that lack one of the mode bits. */
  findWithoutMode(folder: string, depth: number, fileBits: number, folderBits: number): readonly string[];
  /**
   * Appends to `named` the names in `folder` that match one of `patterns` (a star at the end stands for any rest), and to
   * `folders` those of its other folders. The number of entries.
   */
  listNamed(folder: string, patterns: readonly string[], named: string[], folders: string[]): number;
  /** A regular file that this process may execute. */
  isProgram(path: string): boolean;
  /**
   * Fills `results` with the number of the first of `folders` that holds a program of that name, else -1; and for those
   * that are found, where they really stand and what `interpreterOf` says.
   */
  findPrograms(
    folders: readonly string[],
    names: readonly string[],
    results: Int32Array,
    reals: string[],
    interpreters: (string | undefined)[],
  ): number;
  /** The first line of a script; the path that an ELF file names; `undefined` for what has neither. */
  interpreterOf(path: string): string | undefined;
  /** How many descriptors of this process lead, by /proc, to something whose name holds `text`. */
  countDescriptors(text: string): number;
  /**
   * Starts the launcher at `path`. `stdio` holds three descriptors to pass on, -1 for a new pipe. Fills `results` with
   * pid, control socket, and our ends of the pipes (-1 where a descriptor was passed on).
   */
  startLauncher(path: string, stdio: Int32Array, results: Int32Array): number;
  /** Writes all of `orders` to the control socket, blocking. */
  sendOrders(control: number, orders: Uint8Array): number;
  /** The pid when that launcher has ended and is gone from the process table; 0 while it still runs. */
  reapLauncher(pid: number): number;
  /** A new, empty ruleset: its descriptor. */
  landlockRuleset(handledFs: bigint, handledNet: bigint, scoped: bigint): number;
  landlockAllowBeneath(ruleset: number, path: string, access: bigint): number;
  landlockAllowPort(ruleset: number, port: number, access: bigint): number;
  /**
   * Restricts every thread of this process for good and has each prove it: `probe`, a directory that can be opened now,
   * must not be openable afterwards. `results` = [step that failed, its thread, threads found, threads confined].
   */
  lockDown(ruleset: number, flags: number, filter: Uint8Array, probe: string, results: Int32Array): number;
  /** Fills [no_new_privs, seccomp mode] of the calling thread. */
  securityState(results: Int32Array): number;
}
