/**
 * System calls of the file broker. Each returns a descriptor or 0, else `-errno`; names with a NUL are EINVAL and names
 * of PATH_MAX bytes ENAMETOOLONG, so that nothing is ever cut. Descriptors are close-on-exec.
 */
export interface FileCalls {
  /** 0 when the absolute `path` exists and none of its components is a symbolic link (ELOOP otherwise). */
  isReal(path: string): number;
  /** openat2(2); `flags` are O_* bits, `resolve` RESOLVE_* bits. */
  openat2(directory: number, path: string, flags: number, mode: number, resolve: number): number;
  /** close(2). For descriptors that these calls opened; one that `fs` opened is closed by `fs`. */
  close(descriptor: number): number;
  mkdirat(directory: number, name: string, mode: number): number;
  unlinkat(directory: number, name: string, flags: number): number;
  renameat2(fromDirectory: number, fromName: string, toDirectory: number, toName: string, flags: number): number;
}
