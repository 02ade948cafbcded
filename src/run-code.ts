/**
 * Door: untrusted JavaScript or TypeScript in an isolate that holds no authority, inside a process that the kernel has
 * locked. What it may do are the governed tools that it is handed.
 */
import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { declarationsOf } from './isolate/declarations.ts';
import { execute } from './isolate/execute.ts';
import type { Failure } from './isolate/failure.ts';
import { DEFAULT_CODE_LIMITS, MEMORY_MB, TIMEOUT_MS, type CodeLimits } from './isolate/limits.ts';
import { type OptionRules, overDefaults, requireOptions } from './model/options.ts';
import type { LogLevel } from './isolate/message.ts';
import { Pool, type PoolOptions } from './isolate/pool.ts';
import { LANGUAGES, type Language } from './isolate/prepare.ts';
import { callableTools, type GuestTools } from './isolate/tools.ts';
import { TapPassConfigError } from './model/errors.ts';
import { governedBody } from './brand.ts';
import { withParentCall } from './call-context.ts';

export type { CodeLimits } from './isolate/limits.ts';
export type { LogLevel } from './isolate/message.ts';

/** `shared`: beside other guests of the pool. `dedicated`: in a host process of its own. */
export type Isolation = 'shared' | 'dedicated';
export const ALLOWANCES = ['eval', 'wasm', 'shared-memory'] as const;
export type Allowance = (typeof ALLOWANCES)[number];

export interface CodeOptions {
  /** Governed tools: the guest's `tools.<name>(…)`, asynchronous, JSON in and out. */
  readonly tools?: GuestTools;
  /** Deadline in milliseconds, 1 to 3 600 000 (default 30 000). Kept from outside: the host is killed if need be. */
  readonly timeoutMs?: number;
  /**
   * Memory in MB, 8 to 2048 (default 128). V8 keeps it roughly, the watch from outside within half as much again. While
   * the watch finds out whose fault it was, the whole host may grow by half once more.
   */
  readonly memoryMb?: number;
  /** Default: JavaScript where the source parses as that, else TypeScript. */
  readonly language?: Language;
  /** Ends the guest; the result is an `error` named `AbortError`. */
  readonly signal?: AbortSignal;
  /** The guest's global `input`, by JSON. When the value of the program is a function, it is called with it. */
  readonly input?: unknown;
  /** Modules that the program may import, by the exact name it imports them by. */
  readonly modules?: Readonly<Record<string, string>>;
  /** A directory whose `node_modules` the program's other imports are bundled from (needs `rolldown`). Default: none. */
  readonly packagesFrom?: string;
  /** The name of the program in stacks (default `code.ts`). */
  readonly file?: string;
  /** Called with each console line as it comes. */
  readonly onLog?: (log: CodeLog) => void;
  /** What a guest does not have unless it is named here. `Atomics.waitAsync` it never has, and finalizers do not call back. */
  readonly allow?: readonly Allowance[];
  readonly limits?: Partial<CodeLimits>;
  readonly isolation?: Isolation;
  /** With `dedicated`: the host is kept for further calls of this session, until the pool closes or `endSession`. */
  readonly session?: string;
  /** Default: one pool for the whole program. */
  readonly pool?: CodePool;
  /** The id that the guest's tool calls carry as their parent (default: a new one). */
  readonly callId?: string;
}

export interface CodeLog {
  readonly level: LogLevel;
  readonly text: string;
}

export type { Failure as CodeError } from './isolate/failure.ts';

export interface CodeUsage {
  /** From the call of `runCode` to its end. */
  readonly durationMs: number;
  /** Of the guest's thread, as the host tells it. */
  readonly cpuMs: number;
  readonly toolCalls: number;
  /** True when console output was over its limit and the rest was dropped. */
  readonly logsDropped: boolean;
}

export interface CodeResult {
  /**
   * `ok`: there is a value. `error`: the source is faulty, the guest threw, or its value is no JSON. `timeout`,
   * `memory`: over its limit. `crashed`: the host died of something else, such as another guest on it; never repeated.
   * `refused`: this machine cannot lock a host, and nothing ran.
   */
  readonly status: 'ok' | 'error' | 'timeout' | 'memory' | 'crashed' | 'refused';
  readonly value?: unknown;
  readonly error?: Failure;
  readonly logs: readonly CodeLog[];
  readonly usage: CodeUsage;
  /** `kernel-lock`: it ran in a host that the kernel does not hold, as the pool's `allowDegraded` accepts. */
  readonly degraded?: readonly string[];
}

/** Hosts kept ready for guests. Pools know nothing of each other. */
export interface CodePool extends Disposable, AsyncDisposable {
  run(source: string, options?: Omit<CodeOptions, 'pool'>): Promise<CodeResult>;
  /** Resolves when the pool's first hosts are ready. */
  ready(): Promise<void>;
  /** Process ids of its hosts. */
  readonly pids: readonly number[];
  /** Kills the host that was dedicated to a session. */
  endSession(session: string): void;
  /** Kills every host; guests still under way end as `crashed`. */
  close(): void;
}

export type CodePoolOptions = Omit<PoolOptions, 'startHost'>;

const pools = new WeakMap<object, Pool>();
let shared: CodePool | undefined;

export const openCodePool = (options: CodePoolOptions = {}): CodePool => {
  requireOptions('openCodePool', options, POOL_OPTIONS);
  for (const [name, value] of Object.entries(options)) {
    if (name === 'allowDegraded') {
      for (const layer of Array.isArray(value) ? value : [value]) requireOneOf(name, layer, ['kernel-lock']);
    } else if (value !== undefined) requireInteger(name, value, name === 'prewarm' ? 0 : 1, 100_000);
  }
  return codePool(new Pool(options));
};

const codePool = (pool: Pool): CodePool => {
  const made: CodePool = {
    run: (source, given) => runCode(source, { ...given, pool: made }),
    ready: () => pool.ready(),
    get pids() {
      return pool.pids;
    },
    endSession: (session) => pool.endSession(session),
    close: () => pool.close(),
    [Symbol.dispose]: () => pool.close(),
    [Symbol.asyncDispose]: () => Promise.resolve(pool.close()),
  };
  pools.set(made, pool);
  return made;
};

/**
 * Runs `source` and tells how it ended. Rejects only for misuse (`TapPassConfigError`): a wrong option, a tool that is
 * not governed, a closed pool.
 */
export const runCode = async (source: string, options: CodeOptions = {}): Promise<CodeResult> => {
  const given = { ...options };
  requireOptions('runCode', given, OPTIONS);
  if (typeof source !== 'string') throw misuse('`source`', 'to be text', source);
  const tools = callableTools(given.tools, governedBody);
  const timeoutMs = requireInteger(
    'timeoutMs',
    given.timeoutMs ?? TIMEOUT_MS.default,
    TIMEOUT_MS.least,
    TIMEOUT_MS.most,
  );
  const memoryMb = requireInteger('memoryMb', given.memoryMb ?? MEMORY_MB.default, MEMORY_MB.least, MEMORY_MB.most);
  const pool = pools.get(given.pool ?? (shared ??= openCodePool())) as Pool;
  if (pool.isClosed) throw misuse('`pool`', 'to be open', 'a closed one');
  return execute({
    source,
    tools,
    timeoutMs,
    memoryMb,
    pool,
    language: given.language === undefined ? undefined : requireOneOf('language', given.language, LANGUAGES),
    file: requireFile(given.file ?? 'code.ts'),
    modules: requireTexts(given.modules ?? {}),
    packagesFrom: given.packagesFrom,
    input: 'input' in given && given.input !== undefined ? requireJson(given.input) : undefined,
    allow: (given.allow ?? []).map((name) => requireOneOf('allow', name, ALLOWANCES)),
    limits: limitsOf(given.limits),
    dedicated: requireOneOf('isolation', given.isolation ?? 'shared', ['shared', 'dedicated']) === 'dedicated',
    session: given.session,
    signal: given.signal,
    onLog: given.onLog,
    callTool: tools.size === 0 ? noTools : callerOf(given.callId ?? randomUUID()),
  });
};

const noTools = (): never => {
  throw new TypeError('Expected no tool call of a guest that has no tools');
};

/** Tool calls arrive on the pipe of a host that another caller may have started: they belong to this caller's session. */
const callerOf = (callId: string): (<R>(fn: () => R) => R) => {
  const caller = new AsyncResource('TapPassGuest', { requireManualDestroy: true });
  return (fn) => caller.runInAsyncScope(withParentCall<ReturnType<typeof fn>>, undefined, callId, fn);
};

/**
 * The `.d.ts` text of the global `tools` that a guest sees: one asynchronous function for each tool, its input typed by
 * the tool's schema (zod, any Standard Schema that can tell its JSON Schema, or JSON Schema itself), `unknown` otherwise.
 * Throws TapPassConfigError for a tool that is not governed.
 */
export const declareTools = (tools: GuestTools): string => declarationsOf(callableTools(tools, governedBody));

const limitsOf = (given: Partial<CodeLimits> | undefined): CodeLimits => {
  if (given === undefined) return DEFAULT_CODE_LIMITS;
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_CODE_LIMITS, name))
      throw misuse('`limits`', `to name ${Object.keys(DEFAULT_CODE_LIMITS).join(', ')}`, name);
    const most = name === 'sourceBytes' || name.endsWith('Chars') ? 5 * 1024 * 1024 : 1_000_000;
    if (value !== undefined) requireInteger(`limits.${name}`, value, name === 'toolCalls' ? 0 : 1, most);
  }
  return overDefaults(DEFAULT_CODE_LIMITS, given);
};

const POOL_OPTIONS: OptionRules<CodePoolOptions> = {
  hosts: true,
  prewarm: true,
  guestsPerHost: true,
  runsPerHost: true,
  idleHostMb: true,
  allowDegraded: true,
};

const OPTIONS: OptionRules<CodeOptions> = {
  tools: true,
  timeoutMs: true,
  memoryMb: true,
  language: true,
  signal: true,
  input: true,
  modules: true,
  packagesFrom: true,
  file: true,
  onLog: true,
  allow: true,
  limits: true,
  isolation: true,
  session: true,
  pool: true,
  callId: true,
};

const misuse = (what: string, expected: string, got: unknown): TapPassConfigError =>
  new TapPassConfigError(
    `Expected ${what} ${expected}, got ${typeof got === 'string' || typeof got === 'number' ? JSON.stringify(got) : got === null ? 'null' : typeof got}`,
  );

const requireInteger = (name: string, value: unknown, least: number, most: number): number => {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
  throw misuse(`\`${name}\``, `to be a whole number from ${least} to ${most}`, value);
};

const requireOneOf = <const W extends string>(name: string, value: unknown, words: readonly W[]): W => {
  const word = words.find((known) => known === value);
  if (word === undefined) throw misuse(`\`${name}\``, `to be one of ${words.join(', ')}`, value);
  return word;
};

const requireFile = (file: unknown): string => {
  if (typeof file === 'string' && /^[\w.-]{1,100}$/u.test(file)) return file;
  throw misuse('`file`', 'to be a plain file name of letters, digits, dots and dashes', file);
};

const requireTexts = (modules: unknown): Readonly<Record<string, string>> => {
  if (
    typeof modules === 'object' &&
    modules !== null &&
    Object.values(modules).every((text) => typeof text === 'string')
  ) {
    return modules as Readonly<Record<string, string>>;
  }
  throw misuse('`modules`', 'to be a record of sources by name', modules);
};

const requireJson = (value: unknown): string => {
  try {
    const json = JSON.stringify(value) as string | undefined;
    if (json !== undefined && json.length <= 5 * 1024 * 1024) return json;
  } catch {
    // Told below.
  }
  throw misuse('`input`', 'to be JSON of at most 5 MiB', value);
};
