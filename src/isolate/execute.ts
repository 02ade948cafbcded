/** One run from source to result: prepares it, puts it on a host, answers its tool calls, words its end. */
import { configText } from './config.ts';
import { aborted, failureJson, plainFailure, sourceFailure, type Failure } from './failure.ts';
import type { HostEnd, HostRun } from './host.ts';
import { parseGuestJson } from './json.ts';
import type { CodeLimits } from './limits.ts';
import type { LogLevel } from './message.ts';
import { originalPosition, type Move, type Position } from './edits.ts';
import { HostUnavailable, type Pool, type Running } from './pool.ts';
import { programCode, type Language, type Preparation, type ProgramSource } from './prepare.ts';
import { prepareBounded } from './prepare-bounded.ts';
import { mapStack } from './stack.ts';
import type { CallableTool } from './tools.ts';
import { bundlePackage, isPackageName } from './packages.ts';

interface Log {
  readonly level: LogLevel;
  readonly text: string;
}

export interface Execution {
  readonly source: string;
  readonly file: string;
  readonly language: Language | undefined;
  readonly modules: Readonly<Record<string, string>>;
  readonly packagesFrom: string | undefined;
  /** As JSON. */
  readonly input: string | undefined;
  readonly tools: ReadonlyMap<string, CallableTool>;
  readonly timeoutMs: number;
  readonly memoryMb: number;
  readonly allow: readonly string[];
  readonly limits: CodeLimits;
  readonly pool: Pool;
  readonly dedicated: boolean;
  readonly session: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onLog: ((log: Log) => void) | undefined;
  /** Wraps each tool call, so that it carries the id of this run. */
  readonly callTool: <R>(fn: () => R) => R;
}

type Status = 'ok' | 'error' | 'timeout' | 'memory' | 'crashed' | 'refused';

interface Outcome {
  readonly status: Status;
  readonly value?: unknown;
  readonly error?: Failure;
  readonly logs: readonly Log[];
  readonly usage: { durationMs: number; cpuMs: number; toolCalls: number; logsDropped: boolean };
  readonly degraded?: readonly string[];
}

export const execute = async (execution: Execution): Promise<Outcome> => new Run(execution).outcome();

class Run implements HostRun {
  readonly #given: Execution;
  readonly #started = performance.now();
  readonly #logs: Log[] = [];
  readonly #done = Promise.withResolvers<HostEnd>();
  /** Told to the tools: the guest that wanted their result is gone. */
  #over: AbortController | undefined;
  #logChars = 0;
  #logsDropped = false;
  #toolCalls = 0;
  #openCalls = 0;
  #running: Running | undefined;
  #moves: readonly Move[] = [];
  message: HostRun['message'] = NOTHING;

  constructor(given: Execution) {
    this.#given = given;
  }

  async outcome(): Promise<Outcome> {
    const { signal, limits } = this.#given;
    if (isAborted(signal)) return this.#told('error', 0, aborted(signal));
    const prepared = await this.#prepare();
    if ('fault' in prepared) return this.#told('error', 0, sourceFailure(prepared.fault));
    const abort = (): void => this.#running?.stop();
    signal?.addEventListener('abort', abort);
    try {
      this.#running = await this.#start();
      if (isAborted(signal)) abort();
      const end = await this.#done.promise;
      if (isAborted(signal) && end.status === 'error' && end.json === undefined) {
        return this.#told('error', 0, aborted(signal));
      }
      return this.#word(end, limits);
    } catch (error) {
      if (isAborted(signal)) return this.#told('error', 0, aborted(signal));
      if (!(error instanceof HostUnavailable)) throw error;
      return this.#told('refused', 0, { name: 'Refused', message: `Nothing ran: ${error.message}` });
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#over?.abort(new DOMException('The guest has ended', 'AbortError'));
    }
  }

  onLog(level: LogLevel, text: string): void {
    const { limits, onLog } = this.#given;
    this.#logChars += text.length;
    // The guest's own world keeps the limit; a host that lets more through is not to be believed.
    if (this.#logs.length >= limits.logLines || this.#logChars > limits.logChars) {
      this.#logsDropped = true;
      this.#running?.fault('more console output than the guest may make');
      return;
    }
    const log: Log = { level, text: text.includes('\n    at ') ? this.#mapped(text) : text };
    this.#logs.push(log);
    try {
      onLog?.(log);
    } catch {
      // A broken listener is not the guest's fault, and must not take the host down.
    }
  }

  onDropped(): void {
    this.#logsDropped = true;
  }

  onCall(call: number, name: string, args: string): boolean {
    const { tools, limits } = this.#given;
    const tool = tools.get(name);
    if (tool === undefined || call > limits.toolCalls || this.#openCalls >= limits.parallelToolCalls) return false;
    const parsed = parseGuestJson(args, { chars: limits.argumentChars, depth: limits.depth });
    this.#toolCalls += 1;
    if ('fault' in parsed) {
      this.#reply(call, false, failureJson({ name: 'RangeError', message: parsed.fault }));
      return true;
    }
    if (!Array.isArray(parsed.value)) return false;
    this.#openCalls += 1;
    void this.#callTool(tool, parsed.value as readonly unknown[], call).finally(() => {
      this.#openCalls -= 1;
    });
    return true;
  }

  onEnd(end: HostEnd): void {
    this.#done.resolve(end);
  }

  async #prepare(): Promise<Preparation> {
    const { source, file, language, modules, packagesFrom, input, tools, limits, allow, timeoutMs, memoryMb } =
      this.#given;
    const { sourceBytes } = limits;
    let program: ProgramSource = { source, file, language, modules, sourceBytes };
    let prepared = await prepareBounded(program);
    for (let bundled = 0; bundled < MAX_PACKAGES; bundled += 1) {
      const missing = 'fault' in prepared ? prepared.fault.missing : undefined;
      if (missing === undefined || packagesFrom === undefined || !isPackageName(missing)) break;
      program = { ...program, modules: { ...program.modules, [missing]: await bundlePackage(missing, packagesFrom) } };
      prepared = await prepareBounded(program);
    }
    if (!('fault' in prepared)) {
      const { modules: ready, links } = prepared;
      const { code, moves } = programCode(prepared, configText(limits, [...tools.keys()], input));
      this.#moves = moves;
      this.message = { code, file, modules: ready, links, timeoutMs, memoryMb, allow: allow.toSorted().join(' ') };
    }
    return prepared;
  }

  #start(): Promise<Running> {
    const { pool, dedicated, session, signal } = this.#given;
    return dedicated ? pool.runDedicated(this, session) : pool.run(this, signal);
  }

  async #callTool(tool: CallableTool, args: readonly unknown[], call: number): Promise<void> {
    const { signal } = (this.#over ??= new AbortController());
    const context = { toolCallId: `guest-${call}`, messages: [], abortSignal: signal };
    try {
      const result: unknown = await this.#given.callTool(() => tool.call(args, context));
      const json = JSON.stringify(result) as string | undefined;
      if (json !== undefined && json.length > this.#given.limits.resultChars) {
        throw new RangeError(
          `Expected a result of at most ${this.#given.limits.resultChars} characters of JSON, got ${json.length}`,
        );
      }
      this.#reply(call, true, json);
    } catch (error) {
      this.#reply(call, false, failureJson(plainFailure(error)));
    }
  }

  #reply(call: number, ok: boolean, json: string | undefined): void {
    this.#running?.reply({ call, ok, ...(json === undefined ? {} : { json }) });
  }

  #word(end: HostEnd, limits: CodeLimits): Outcome {
    const { timeoutMs, memoryMb } = this.#given;
    const cpuMs = end.cpuMs ?? 0;
    switch (end.status) {
      case 'ok': {
        const parsed = parseGuestJson(end.json, { chars: limits.resultChars, depth: limits.depth });
        if ('fault' in parsed) return this.#told('error', cpuMs, { name: 'RangeError', message: parsed.fault });
        return { ...this.#told('ok', cpuMs), ...(parsed.value === undefined ? {} : { value: parsed.value }) };
      }
      case 'error':
        return this.#wordError(cpuMs, this.#guestFailure(end.json));
      case 'timeout':
        return this.#told('timeout', cpuMs, {
          name: 'TimeoutError',
          message: `The guest did not end within ${timeoutMs} ms`,
        });
      case 'memory':
        return this.#told('memory', cpuMs, {
          name: 'MemoryError',
          message: `The guest needed more than its ${memoryMb} MB${end.reason === undefined ? '' : `: ${end.reason}`}`,
        });
      case 'crashed':
        return this.#told('crashed', cpuMs, {
          name: 'CrashError',
          message: `The guest was lost: ${end.reason ?? 'unknown reason'}`,
        });
      default:
        return end.status satisfies never;
    }
  }

  /** A buffer over the limit is refused by an error that the guest may catch; uncaught, it is an end for want of memory. */
  #wordError(cpuMs: number, failure: Failure): Outcome {
    const isMemory = failure.name === 'RangeError' && failure.message === 'Array buffer allocation failed';
    return this.#told(isMemory ? 'memory' : 'error', cpuMs, failure);
  }

  #guestFailure(json: string | undefined): Failure {
    const parsed = parseGuestJson(json, { chars: 100_000, depth: 2 });
    const about = ('fault' in parsed ? {} : (parsed.value ?? {})) as Readonly<Record<string, unknown>>;
    const text = (key: string): string | undefined => (typeof about[key] === 'string' ? about[key] : undefined);
    const name = (text('name') ?? 'Error').slice(0, 200);
    const message = text('message') ?? 'The guest ended without a word';
    const code = text('code');
    const blockedBy = text('blockedBy');
    const { stack, at } = mapStack(`${name}: ${message}`, text('stack') ?? '', this.#files(), this.#positionOf);
    return {
      name,
      message,
      stack,
      ...at,
      ...(code === undefined ? {} : { code }),
      ...(blockedBy === undefined ? {} : { blockedBy }),
    };
  }

  /** A stack that the guest printed: its frames in the author's terms, ours left out. */
  #mapped(text: string): string {
    const [head = '', ...frames] = text.split(/\n(?= {4}at )/u);
    return mapStack(head, frames.join('\n'), this.#files(), this.#positionOf).stack;
  }

  readonly #positionOf = (file: string, at: Position): Position =>
    file === this.#given.file ? originalPosition(this.#moves, at) : at;

  #files(): ReadonlySet<string> {
    return new Set([this.#given.file, ...this.message.modules.map((module) => module.name)]);
  }

  #told(status: Status, cpuMs: number, error?: Failure): Outcome {
    const durationMs = Math.round((performance.now() - this.#started) * 1000) / 1000;
    const usage = { durationMs, cpuMs, toolCalls: this.#toolCalls, logsDropped: this.#logsDropped };
    const degraded = this.#running?.locked === false ? { degraded: ['kernel-lock'] as const } : {};
    return { status, ...(error === undefined ? {} : { error }), logs: this.#logs, usage, ...degraded };
  }
}

/** Packages that one program may have bundled for it. */
const MAX_PACKAGES = 50;

const NOTHING: HostRun['message'] = {
  code: '',
  file: '',
  modules: [],
  links: [],
  timeoutMs: 1,
  memoryMb: 8,
  allow: '',
};

/** Asked anew each time: it changes while we wait. */
const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;
