/**
 * Child side: one isolate, prepared before its guest comes and thrown away after it. Everything of isolated-vm stays in
 * this file and never reaches the guest: what crosses is text and numbers.
 */
import type ivm from 'isolated-vm';
import { USUAL_CONFIG } from './config.ts';
import { answer } from './guest-answers.ts';
import { MAX_LOG_LINE_CHARS, MAX_TIMERS, RUNTIME_FILE } from './limits.ts';
import type { HostMessage, LogLevel, ReplyMessage, RunMessage } from './message.ts';
import { installGuest } from './runtime.ts';
import { installWeb } from './runtime-web.ts';

const RUNTIME = `(function (send, ask, allow) {
  return (${installGuest.toString()})(send, ask, allow, ${JSON.stringify(USUAL_CONFIG)}, ${MAX_LOG_LINE_CHARS}, ${MAX_TIMERS}, ${installWeb.toString()}
  );
})`;

/** V8's compiled form of RUNTIME, made by this process of its own text. */
let cachedRuntime: ivm.ExternalCopy<ArrayBuffer> | undefined;

export interface GuestKind {
  readonly memoryMb: number;
  readonly allow: string;
  /** It is entered on the main thread, which it then has for itself. */
  readonly single: boolean;
}

export const isKind = (a: GuestKind, b: GuestKind): boolean =>
  a.memoryMb === b.memoryMb && a.allow === b.allow && a.single === b.single;

type Wake = ivm.Reference<(kind: string, id: number, ok?: boolean, json?: string) => void>;
type Post = (message: HostMessage) => void;

export class Guest {
  readonly kind: GuestKind;
  readonly #post: Post;
  readonly #isolate: ivm.Isolate;
  readonly #context: ivm.Context;
  readonly #wake: Wake;
  readonly #timers = new Map<number, NodeJS.Timeout>();
  readonly #cpuBefore: bigint;
  #run = 0;
  #deadline: NodeJS.Timeout | undefined;
  #inside = 0;
  #frozen = false;
  /** How it ended, which is told when its thread has come back: until then it may still be at work. */
  #outcome: { readonly status: 'ok' | 'error'; readonly json: string | undefined } | undefined;
  #ended = false;
  #freed = false;
  #onEnd: () => void = () => {};

  constructor(vm: typeof ivm, kind: GuestKind, post: Post) {
    this.kind = kind;
    this.#post = post;
    this.#isolate = new vm.Isolate({
      memoryLimit: kind.memoryMb,
      // V8 has lost this isolate: its thread sleeps for ever, and only the end of the process frees it. On the main
      // thread nobody would be awake to say so: there V8 ends the process at once.
      ...(kind.single ? {} : { onCatastrophicError: () => post({ type: 'memory', runs: [this.#run] }) }),
    });
    this.#context = this.#isolate.createContextSync();
    const script = this.#isolate.compileScriptSync(RUNTIME, {
      filename: RUNTIME_FILE,
      ...(cachedRuntime === undefined ? { produceCachedData: true } : { cachedData: cachedRuntime }),
    }) as ivm.Script & { cachedData?: ivm.ExternalCopy<ArrayBuffer> };
    cachedRuntime ??= script.cachedData;
    const install = script.runSync(this.#context, { reference: true }) as unknown as ivm.Reference<
      (send: unknown, ask: unknown, allow: string) => unknown
    >;
    const receive = (...message: unknown[]): void => {
      try {
        this.#receive(message);
      } catch {
        // Nothing of an error of ours may reach the guest, and a host that errs is not to be trusted with another.
        process.exit(1);
      }
    };
    const send = new vm.Callback(receive, kind.single ? { sync: true } : { ignored: true });
    const ask = new vm.Callback((kind: unknown, about: unknown) => answer(kind, about), { sync: true });
    this.#wake = install.applySync(undefined, [send, ask, kind.allow], {
      result: { reference: true },
    }) as unknown as Wake;
    this.#cpuBefore = this.#isolate.cpuTime;
  }

  get run(): number {
    return this.#run;
  }

  /** Starts the guest; `onEnd` is called once, when nothing of it is wanted any more: then `stop` frees what it held. */
  start(message: RunMessage, onEnd: () => void): void {
    this.#run = message.run;
    this.#onEnd = onEnd;
    const { code, file, links, timeoutMs } = message;
    const dueAt = performance.now() + timeoutMs;
    if (!this.kind.single) void this.#enter(this.#begin(message));
    else if (links.length === 0) this.#enterHere(() => this.#context.evalSync(code, { filename: file }));
    else this.#enterHere(() => this.#linkHere(message));
    // Afterwards: most guests have ended by then, and making a timer and taking it back costs more than they did.
    if (!this.#ended) this.#deadline = setTimeout(() => this.#end('timeout'), dueAt - performance.now());
  }

  /** The reply to a tool call. */
  reply({ call, ok, json }: ReplyMessage): void {
    this.#call('reply', call, ok, json);
  }

  /** Ends the guest, without a word if it has not ended yet, and frees its isolate. */
  stop(): void {
    this.#leave();
    if (this.#freed) return;
    this.#freed = true;
    try {
      this.#isolate.dispose();
    } catch {
      // Gone already.
    }
  }

  /** It is not entered any more: neither timers nor replies reach it. */
  freeze(): void {
    this.#frozen = true;
  }

  /** False while its thread is at work, and once V8 has lost it. */
  get isIdle(): boolean {
    return this.#inside === 0;
  }

  /** Heap and buffers, in MB, of a guest that is idle. */
  get heldMb(): number {
    if (this.#isolate.isDisposed) return 0;
    const { used_heap_size: heap, externally_allocated_size: outside } = this.#isolate.getHeapStatisticsSync();
    return (heap + outside) / 1e6;
  }

  async #begin({ code, file, modules, links }: RunMessage): Promise<void> {
    if (links.length > 0) await this.#link(modules, links);
    await this.#context.eval(code, { filename: file });
  }

  /** As `#link` and what follows it, but on this thread: a guest that has two would be entered in the middle of its work. */
  #linkHere({ code, file, modules, links }: RunMessage): void {
    const compiled = new Map<string, ivm.Module>();
    for (const module of modules) {
      compiled.set(module.name, this.#isolate.compileModuleSync(module.code, { filename: module.name }));
    }
    const linker = this.#isolate.compileModuleSync(linkerCode(links), { filename: RUNTIME_FILE });
    linker.instantiateSync(this.#context, (specifier) => given(compiled, specifier));
    linker.evaluateSync();
    const runWhenLinked = (): void => {
      if (this.#ended) return;
      if (this.#context.evalSync(IS_LINKING) !== true) this.#context.evalSync(code, { filename: file });
      else setTimeout(() => this.#enterHere(runWhenLinked), 1);
    };
    runWhenLinked();
  }

  /** Instantiates the given modules and leaves the namespaces that the program imports where `$$run` takes them. */
  async #link(modules: RunMessage['modules'], links: readonly string[]): Promise<void> {
    const compiled = new Map<string, ivm.Module>();
    for (const { name, code } of modules) {
      compiled.set(name, await this.#isolate.compileModule(code, { filename: name }));
    }
    const linker = await this.#isolate.compileModule(linkerCode(links), { filename: RUNTIME_FILE });
    await linker.instantiate(this.#context, (specifier) => given(compiled, specifier));
    await linker.evaluate();
    // A module that waits (top-level await) finishes later: so does the linker, and so do we.
    while (!this.#ended && (await this.#context.eval(IS_LINKING)) === true) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  #receive([kind, a, b, c]: readonly unknown[]): void {
    if (this.#ended || this.#outcome !== undefined || this.#run === 0) return;
    switch (kind) {
      case 'call':
        if (typeof a === 'number' && typeof b === 'string' && typeof c === 'string') {
          this.#post({ type: 'call', run: this.#run, call: a, tool: b, args: c });
        }
        return;
      case 'end':
        this.#outcome = { status: a === 'ok' ? 'ok' : 'error', json: typeof b === 'string' ? b : undefined };
        this.#settle();
        return;
      case 'log':
        if (typeof b === 'string') this.#post({ type: 'log', run: this.#run, level: a as LogLevel, text: b });
        return;
      case 'dropped':
        this.#post({ type: 'dropped', run: this.#run });
        return;
      case 'timer':
        if (typeof a === 'number' && typeof b === 'number' && this.#timers.size < MAX_TIMERS) this.#startTimer(a, b);
        return;
      case 'no-timer':
        clearTimeout(this.#timers.get(a as number));
        this.#timers.delete(a as number);
        return;
      default:
    }
  }

  #startTimer(id: number, milliseconds: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(id);
      this.#call('timer', id);
    }, milliseconds);
    this.#timers.set(id, timer);
  }

  /** Enters the guest. A rejection nobody handled ends it, as it ends a Node program. */
  #call(kind: string, id: number, ok?: boolean, json?: string): void {
    if (this.#ended || this.#frozen) return;
    if (this.kind.single) this.#enterHere(() => this.#wake.applySync(undefined, [kind, id, ok, json]));
    else void this.#enter(this.#wake.apply(undefined, [kind, id, ok, json]));
  }

  #enterHere(work: () => unknown): void {
    this.#inside += 1;
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
    this.#inside -= 1;
    this.#settle();
  }

  async #enter(work: Promise<unknown>): Promise<void> {
    this.#inside += 1;
    try {
      await work;
    } catch (error) {
      this.#fail(error);
    }
    this.#inside -= 1;
    this.#settle();
  }

  #settle(): void {
    if (this.#outcome !== undefined && this.#inside === 0) this.#end(this.#outcome.status, this.#outcome.json);
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    // Nobody but isolated-vm disposes of an isolate that has not ended: over its memory limit.
    if (this.#isolate.isDisposed) {
      this.#end('memory');
      return;
    }
    const text = (value: unknown, most: number): string => String(value).slice(0, most);
    // What is thrown need not be an error: isolated-vm hands on primitives as they are, null and undefined too.
    const thrown = typeof error === 'string' ? JSON.stringify(error) : error;
    const { name, message, stack } = thrown instanceof Error ? thrown : new Error(`Uncaught ${text(thrown, 2000)}`);
    this.#end(
      'error',
      JSON.stringify({ name: text(name, 200), message: text(message, 8192), stack: text(stack, 16_384) }),
    );
  }

  #end(status: 'ok' | 'error' | 'timeout' | 'memory', json?: string): void {
    if (this.#ended) return;
    let cpuMs = 0;
    try {
      cpuMs = Math.max(0, Number(this.#isolate.cpuTime - this.#cpuBefore) / 1e6);
    } catch {
      // Disposed already: its clock is gone.
    }
    this.#post({ type: 'end', run: this.#run, status, ...(json === undefined ? {} : { json }), cpuMs });
    this.#leave();
    // Still running, perhaps, and over a limit already.
    if (status === 'timeout' || status === 'memory') this.stop();
  }

  #leave(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#deadline);
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#onEnd();
  }
}

const IS_LINKING = 'globalThis.$$modules===undefined';

const linkerCode = (links: readonly string[]): string => {
  const imports = links.map((name, index) => `import*as m${index} from ${JSON.stringify(name)};`).join('');
  return `${imports}globalThis.$$modules=[${links.map((_, index) => `m${index}`).join()}];`;
};

const given = (compiled: ReadonlyMap<string, ivm.Module>, specifier: string): ivm.Module => {
  const found = compiled.get(specifier);
  if (found === undefined) throw new Error(`Expected a given module, got ${specifier}`);
  return found;
};
