/** The environment of a sandboxed program: what the profile lists, and nothing that steers a runtime or looks secret. */

/** Variables that make a program load code, or read a configuration, of somebody else's choosing. */
const STEERING =
  /^(?:NODE_.*|LD_.*|DYLD_.*|GIT_.*|BASH_.*|ENV|SHELLOPTS|BASHOPTS|PS4|IFS|CDPATH|GLOBIGNORE|PROMPT_COMMAND|PYTHON.*|PERL.*|RUBY.*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|npm_.*|GCONV_PATH|LOCPATH|NLSPATH|HOSTALIASES|RES_OPTIONS|MALLOC_.*|GLIBC_TUNABLES|OPENSSL_.*|SSLKEYLOGFILE|EDITOR|VISUAL|PAGER|.*_PAGER|.*_EDITOR|LESSOPEN|LESSCLOSE|SSH_.*|.*_PROXY|.*_proxy)$/u;

const SECRET_NAME =
  /(?:secret|token|passw|passphrase|credential|api_?key|access_?key|private_?key|auth|cookie|session|dsn|connection_?string|_key$|_pat$|^pat$)/iu;

/** Shapes of well-known credentials, key blocks, and addresses with a password in them. */
const SECRET_VALUE =
  /(?:^(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|^gh[pousr]_|^github_pat_|^glpat-|^xox[abprs]-|^AKIA[A-Z0-9]{12,}|^ASIA[A-Z0-9]{12,}|^AIza|^npm_|^eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.|-----BEGIN |:\/\/[^/\s:@]*:[^/\s@]+@)/u;

const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

/** Also true of a name that no allowlist can pass on: only the caller can, by writing it out. */
export const isScrubbed = (name: string, value: string): boolean =>
  STEERING.test(name) || SECRET_NAME.test(name) || SECRET_VALUE.test(value);

/** The variables of `from` that a pattern of `allowed` (`NAME` or `PREFIX_*`) passes and `isScrubbed` does not stop. */
export const scrubEnvironment = (
  from: Readonly<Record<string, string | undefined>>,
  allowed: readonly string[],
): Record<string, string> => {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(from)) {
    if (value === undefined || value.includes('\0') || isScrubbed(name, value)) continue;
    if (allowed.some((pattern) => matches(pattern, name))) passed[name] = value;
  }
  return passed;
};
