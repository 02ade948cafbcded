/** What is known about programs: which only read, which run others, which talk to databases. */
import type { Argv } from './command-text.ts';

/** Text after the last `/`, where the path is one of the system's program directories; the whole of it otherwise. */
export const programOf = (word: string): string => /^\/(?:usr\/(?:local\/)?)?s?bin\/([^/]+)$/u.exec(word)?.[1] ?? word;

const set = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/u));

/** They run what their arguments, their input or their configuration says: allow-listing one would allow everything. */
const LAUNCHERS = set(
  `env xargs parallel nohup nice ionice timeout time setsid stdbuf chrt taskset setarch sudo doas su runuser pkexec exec
  command builtin eval source . watch strace ltrace gdb script chroot unshare nsenter ssh docker podman nerdctl kubectl
  busybox toybox at batch crontab systemd-run flock entr expect trap alias unalias export declare typeset readonly local
  set shopt enable hash unset coproc fc bind complete ld.so ld-linux.so rlwrap screen tmux proxychains torsocks firejail`,
);

export const isLauncher = (program: string): boolean =>
  LAUNCHERS.has(program) || /^(?:.*\/)?ld(?:-linux[^/]*|-musl[^/]*)?\.so/u.test(program);

const INTERPRETER =
  /^(?:(?:ba|da|z|k|mk|a|fi|tc|c)?sh|python[\d.]*|pypy[\d.]*|node|nodejs|deno|bun|tsx|ts-node|perl[\d.]*|ruby[\d.]*|php[\d.]*|lua[\d.]*|luajit|R|Rscript|julia|osascript|pwsh|powershell|tclsh|guile|racket|sqlite3|[gmn]?awk|sed)$/u;

/** Code on the command line of an interpreter, or from its input: `python -c`, `node -e`, `perl`, `sh -`. */
export const runsInlineCode = ([word = '', ...args]: Argv): boolean => {
  const program = programOf(word);
  if (!INTERPRETER.test(program)) return false;
  if (/^(?:[gmn]?awk|sed)$/u.test(program)) return true;
  const first = args.find((arg) => !/^-(?:[bBdEiIOqRsSuvVWx]+|-[a-z-]+)$/u.test(arg) || INLINE.test(arg));
  return first === undefined || first.startsWith('-');
};

const INLINE = /^-(?:[a-zA-Z]*[ceprEis]|-(?:eval|print|command|execute|run|import|require|exec))/u;

const SHELL = /^(?:\/(?:usr\/)?bin\/)?(?:ba|da|z|k)?sh$/u;

/** The text of `sh -c text`: the one way of starting a shell that is looked through. */
export const shellTextOf = (argv: Argv): string | undefined => {
  const [program = '', option = '', text] = argv;
  return SHELL.test(program) && /^-[le]*c$/u.test(option) && argv.length === 3 ? text : undefined;
};

/** Programs that speak to a database server or file with whatever SQL they are given. */
const DATABASE_CLIENTS = set(
  `psql pgcli createdb dropdb pg_restore pg_dump mysql mysqladmin mysqldump mariadb mycli sqlite3 litecli sqlcmd
  sqlplus mongosh mongo redis-cli cqlsh clickhouse-client clickhouse duckdb usql snowsql bq influx cockroach`,
);

export const isDatabaseClient = (program: string): boolean => DATABASE_CLIENTS.has(program);

/** A word of an unreadable text that names a database client. A hurdle, no wall: text can be built at run time. */
export const mentionsDatabaseClient = (text: string): boolean =>
  text.split(/[^A-Za-z0-9_.-]+/u).some((word) => DATABASE_CLIENTS.has(word));

/** Programs that change nothing and reach nothing, whatever their arguments. */
const READERS = set(
  `ls dir vdir cat head tail wc pwd echo printf true false test stat readlink realpath basename dirname cut tr nl tac
  rev paste join comm cmp fold fmt expand unexpand column od hexdump strings md5sum sha1sum sha224sum
  sha256sum sha384sum sha512sum cksum b2sum sum id whoami groups uname hostid arch nproc df du free uptime ps
  pgrep tty which whereis grep egrep fgrep seq sleep jq lsblk lscpu locale cal factor numfmt users exit`,
);

/** Programs that only read unless one of these arguments asks for more. GNU long options may be cut short: `--se`. */
const READERS_UNLESS: Readonly<Record<string, RegExp>> = {
  date: /^(?:-[^-]*s|--s|[0-9])/u,
  find: /^-(?:exec|execdir|ok|okdir|delete|fprint|fprint0|fprintf|fls)/u,
  rg: /^(?:--pre|--hostname-bin|--search-zip|-[a-zA-Z]*z)/u,
  diff: /^(?:-[^-]*l|--p)/u,
  sort: /^(?:-[^-]*[oT]|--[ocft])/u,
  tree: /^(?:-[^-]*[oR]|--o)/u,
  file: /^(?:-[^-]*[Cm]|--[cm])/u,
  fd: /^(?:-[^-]*[xX]|--exec)/u,
  base64: /^(?:-[^-]*o|--o)/u,
  hostname: /^(?:[^-]|-[^-]*[bF]|--[bf])/u,
  cd: /^-./u,
};

/** Programs whose last operand is an output file, and how many operands come before it. */
const OPERANDS_BEFORE_OUTPUT: Readonly<Record<string, number>> = { uniq: 1, xxd: 1 };

/** `-` alone is an operand, and after `--` everything is. */
const operandsOf = (args: Argv): number => {
  const end = args.indexOf('--');
  const options = end < 0 ? args : args.slice(0, end);
  return options.filter((arg) => arg === '-' || !arg.startsWith('-')).length + (end < 0 ? 0 : args.length - end - 1);
};

/** Options by which well-known programs run others: an allow-listed name must not be a way round the list. */
const OPENING_OPTIONS: Readonly<Record<string, RegExp>> = {
  git: /^(?:-c|--config-env|--exec-path|--upload-pack|--receive-pack|--exec|--ext-diff|--open-files-in-pager|-O|ext::)/u,
  tar: /^(?:--checkpoint-action|--to-command|--use-compress|--rsh-command|--info-script|--new-volume-script|-[^-]*[IF])/u,
  find: /^-(?:exec|ok)/u,
  fd: /^(?:-[^-]*[xX]|--exec)/u,
  rg: /^--(?:pre|hostname-bin)/u,
  rsync: /^(?:-[^-]*e|--rsh|--rsync-path)/u,
  sort: /^--c/u,
  diff3: /^--d/u,
  sdiff: /^--d/u,
  zip: /^(?:-[^-]*T|--unzip-command)/u,
  man: /^(?:-[^-]*[PHT]|--[phg])/u,
  vim: /^(?:-[cS]|--cmd|\+)/u,
  vi: /^(?:-[cS]|--cmd|\+)/u,
  less: /^\+/u,
  npm: /^(?:exec|x|run|run-script|start|test|install|i|ci|explore)$/u,
};

export const opensOthers = ([word = '', ...args]: Argv): boolean => {
  const program = programOf(word);
  const opening = Object.hasOwn(OPENING_OPTIONS, program) ? OPENING_OPTIONS[program] : undefined;
  return opening !== undefined && args.some((arg) => opening.test(arg));
};

/** True only for what is known to read and nothing else. */
export const onlyReads = ([word = '', ...args]: Argv): boolean => {
  const program = programOf(word);
  const most = Object.hasOwn(OPERANDS_BEFORE_OUTPUT, program) ? OPERANDS_BEFORE_OUTPUT[program] : undefined;
  if (most !== undefined) return operandsOf(args) <= most && !args.some((arg) => /^-[a-zA-Z]*r/u.test(arg));
  if (READERS.has(program)) return !(program === 'printf' && args[0]?.startsWith('-v') === true);
  const unless = Object.hasOwn(READERS_UNLESS, program) ? READERS_UNLESS[program] : undefined;
  return unless !== undefined && !args.some((arg) => unless.test(arg));
};
