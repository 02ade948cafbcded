/**
 * The guest's world. `installGuest` is not called here: its text is evaluated inside each isolate before the guest
 * arrives, so it may use nothing but the language and its arguments. It is no boundary: it holds no authority, and all
 * that it can say to the host is text that the host checks. It keeps originals of what it needs because the guest may
 * replace them, which would harm only the guest.
 */

import type { RunConfig } from './config.ts';

/** One message out, without an answer: strings and numbers only. */
export type GuestSend = (kind: string, a?: unknown, b?: unknown, c?: unknown) => void;
/** One question out, answered at once with text. */
export type GuestAsk = (kind: string, a: unknown) => string;
/** The only way in after the start: a timer that is due, or the reply to a tool call. */
export type GuestWake = (kind: string, id: number, ok?: boolean, json?: string) => void;

interface Slot {
  v: unknown;
  readonly g: (module: number, name: string) => unknown;
  readonly n: (module: number) => unknown;
}

export const installGuest = (
  send: GuestSend,
  ask: GuestAsk,
  allow: string,
  usualConfig: string,
  lineChars: number,
  maxTimers: number,
  installWeb: (world: Record<string, unknown>, ask: GuestAsk) => void,
): GuestWake => {
  'use strict';
  const world = globalThis as unknown as Record<string, unknown>;
  const { apply, defineProperty, deleteProperty, getPrototypeOf, ownKeys, getOwnPropertyDescriptor } = Reflect;
  const { freeze, create } = Object;
  const { stringify, parse } = JSON;
  const { isArray } = Array;
  const Promise_ = Promise;
  const Error_ = Error;
  const RangeError_ = RangeError;
  const String_ = String;
  const Number_ = Number;
  type Method = (...args: unknown[]) => unknown;
  const methodOf = (prototype: object, name: string): Method =>
    getOwnPropertyDescriptor(prototype, name)?.value as Method;
  const then = methodOf(Promise.prototype, 'then');
  const slice = methodOf(String.prototype, 'slice');
  const isError = (value: unknown): boolean => typeof value === 'object' && value !== null && value instanceof Error_;
  const cut = (text: string, length: number): string =>
    text.length > length ? (apply(slice, text, [0, length]) as string) : text;
  const hide = (target: object, key: PropertyKey, value: unknown): void => {
    defineProperty(target, key, { value, writable: true, enumerable: false, configurable: true });
  };

  // ── What the language brings and a guest does not get unless it was asked for by name.
  const denied = (name: string): unknown => {
    const stub = function stub(): never {
      throw new EvalError(`${name} is not available to a guest: code from strings was not allowed`);
    };
    defineProperty(stub, 'name', { value: name });
    return stub;
  };
  if (allow !== 'eval' && !allow.includes('eval')) {
    const kinds = [function () {}, async function () {}, function* () {}, async function* () {}];
    const names = ['Function', 'AsyncFunction', 'GeneratorFunction', 'AsyncGeneratorFunction'];
    for (let index = 0; index < kinds.length; index += 1) {
      const prototype = getPrototypeOf(kinds[index] as object) as object;
      const stub = denied(names[index] as string) as object;
      defineProperty(stub, 'prototype', { value: prototype });
      defineProperty(prototype, 'constructor', { value: stub, writable: false, configurable: false });
      if (index === 0) hide(world, 'Function', stub);
    }
    deleteProperty(world, 'eval');
  }
  if (!allow.includes('wasm')) deleteProperty(world, 'WebAssembly');
  if (!allow.includes('shared-memory')) {
    deleteProperty(world, 'SharedArrayBuffer');
    deleteProperty(world, 'Atomics');
  }

  // ── What V8 would do behind the guest's back, on whichever thread is free, whenever that is, its end not excepted.
  hide(
    world,
    'FinalizationRegistry',
    // The language does not promise that it ever calls back.
    class FinalizationRegistry {
      constructor(cleanup: unknown) {
        if (typeof cleanup !== 'function') throw new TypeError('FinalizationRegistry: cleanup must be callable');
      }
      register(): void {}
      unregister(): boolean {
        return false;
      }
      get [Symbol.toStringTag](): string {
        return 'FinalizationRegistry';
      }
    },
  );
  if (allow.includes('shared-memory')) deleteProperty(world['Atomics'] as object, 'waitAsync');
  if (allow.includes('wasm')) {
    type Constructor = new (...args: unknown[]) => object;
    const { Module, Instance } = world['WebAssembly'] as {
      readonly Module: Constructor;
      readonly Instance: Constructor;
    };
    const wasm = world['WebAssembly'] as object;
    // At once: a compilation in the background ends where no guest can hear of it.
    hide(wasm, 'compile', async (...args: unknown[]) => new Module(...args));
    hide(wasm, 'instantiate', async (source: unknown, imports: unknown, ...rest: unknown[]) => {
      if (source instanceof Module) return new Instance(source, imports);
      const module = new Module(source, ...rest);
      return { module, instance: new Instance(module, imports) };
    });
  }

  // ── console: text only, cut per line and in total.
  let config = parse(usualConfig) as RunConfig;
  let logged = 0;
  let lines = 0;
  const quote = (value: unknown): string => {
    try {
      return stringify(value) ?? String_(value);
    } catch {
      return '[unprintable]';
    }
  };
  const show = (value: unknown, depth: number, seen: readonly unknown[]): string => {
    if (typeof value === 'string') return depth === 0 ? value : quote(value);
    if (typeof value === 'bigint') return `${String_(value)}n`;
    if (typeof value === 'function') {
      const name = getOwnPropertyDescriptor(value, 'name')?.value as unknown;
      return `[Function${typeof name === 'string' && name !== '' ? `: ${cut(name, 100)}` : ''}]`;
    }
    if (typeof value !== 'object' || value === null) return String_(value);
    for (let index = 0; index < seen.length; index += 1) if (seen[index] === value) return '[Circular]';
    if (isError(value)) {
      const { name, message, stack } = describe(value);
      return stack === undefined || depth > 0 ? `${name}: ${message}` : stack;
    }
    if (depth > 3) return isArray(value) ? '[Array]' : '[Object]';
    const inner = [...seen, value];
    let text = '';
    let count = 0;
    const keys = ownKeys(value);
    for (let index = 0; index < keys.length; index += 1) {
      const key = keys[index] as string | symbol;
      const property = getOwnPropertyDescriptor(value, key);
      if (property?.enumerable !== true) continue;
      if ((count += 1) > 100 || text.length > lineChars) {
        text += ', …';
        break;
      }
      const shown = 'value' in property ? show(property.value, depth + 1, inner) : '[Getter]';
      const label = isArray(value) && typeof key === 'string' ? '' : `${String_(key)}: `;
      text += `${text === '' ? '' : ', '}${label}${shown}`;
    }
    if (isArray(value)) return `[${text}]`;
    return text === '' ? '{}' : `{ ${text} }`;
  };
  const print = (level: string, values: readonly unknown[]): void => {
    if (lines >= config.logLines || logged >= config.logChars) {
      if (lines !== Infinity) send('dropped');
      lines = Infinity;
      return;
    }
    let text = '';
    try {
      for (let index = 0; index < values.length && text.length < lineChars; index += 1) {
        text += `${index === 0 ? '' : ' '}${show(values[index], 0, [])}`;
      }
    } catch {
      text += '[unprintable]';
    }
    if (text.length > lineChars) text = `${cut(text, lineChars - 1)}…`;
    text = cut(text, config.logChars - logged);
    logged += text.length + 1;
    lines += 1;
    send('log', level, text);
  };
  const console_ = create(null) as Record<string, unknown>;
  const levels = ['log', 'info', 'warn', 'error', 'debug', 'trace', 'dir', 'table', 'group'];
  for (let index = 0; index < levels.length; index += 1) {
    const name = levels[index] as string;
    const level = index < 5 ? name : name === 'trace' ? 'debug' : 'log';
    hide(console_, name, (...values: unknown[]) => print(level, values));
  }
  hide(console_, 'groupEnd', () => {});
  hide(console_, 'assert', (holds: unknown, ...values: unknown[]) => {
    if (!holds) print('error', ['Assertion failed', ...values]);
  });
  hide(world, 'console', console_);

  // ── Timers: bounded in number; the deadline of the run bounds them in time.
  const timers = create(null) as Record<number, (() => void) | undefined>;
  let timerCount = 0;
  let lastTimer = 0;
  const startTimer = (callback: unknown, delay: unknown, args: readonly unknown[], repeat: boolean): number => {
    if (typeof callback !== 'function') throw new TypeError('Expected a function to call, got something else');
    if (timerCount >= maxTimers) throw new RangeError_(`Expected at most ${maxTimers} timers to be pending`);
    const wait = Number_(delay);
    const milliseconds = wait > 0 && wait < 2_147_483_647 ? wait : 0;
    const id = (lastTimer += 1);
    timerCount += 1;
    timers[id] = () => {
      if (repeat) send('timer', id, milliseconds);
      else dropTimer(id);
      apply(callback as (...a: unknown[]) => unknown, undefined, args as unknown[]);
    };
    send('timer', id, milliseconds);
    return id;
  };
  const dropTimer = (id: number): void => {
    timers[id] = undefined;
    deleteProperty(timers, id);
    timerCount -= 1;
  };
  const stopTimer = (id: unknown): void => {
    const key = Number_(id);
    if (timers[key] === undefined) return;
    dropTimer(key);
    // It counts there too, until it is due.
    send('no-timer', key);
  };
  hide(world, 'setTimeout', (f: unknown, ms?: unknown, ...args: unknown[]) => startTimer(f, ms, args, false));
  hide(world, 'setInterval', (f: unknown, ms?: unknown, ...args: unknown[]) => startTimer(f, ms, args, true));
  hide(world, 'setImmediate', (f: unknown, ...args: unknown[]) => startTimer(f, 0, args, false));
  hide(world, 'clearTimeout', stopTimer);
  hide(world, 'clearInterval', stopTimer);
  hide(world, 'clearImmediate', stopTimer);
  const settled = Promise_.resolve();
  hide(world, 'queueMicrotask', (callback: unknown) => {
    if (typeof callback !== 'function') throw new TypeError('Expected a function to call, got something else');
    apply(then, settled, [() => void (callback as () => unknown)()]);
  });

  // ── Tools: each call is a message to the parent, each reply a message back.
  interface Pending {
    readonly resolve: (value: unknown) => void;
    readonly reject: (reason: unknown) => void;
  }
  const pending = create(null) as Record<number, Pending | undefined>;
  const waiting = create(null) as Record<number, (() => void) | undefined>;
  let calls = 0;
  let running = 0;
  let firstWaiting = 1;
  let lastWaiting = 0;
  const toolFunction = (name: string): ((...args: unknown[]) => unknown) =>
    function tool(...args: unknown[]): unknown {
      return new Promise_((resolve, reject) => {
        if (calls >= config.toolCalls) {
          throw new RangeError_(`Expected at most ${config.toolCalls} tool calls in one run: this call was not made`);
        }
        const json = stringify(args);
        if (json.length > config.argumentChars) {
          throw new RangeError_(`Expected at most ${config.argumentChars} characters of arguments, got ${json.length}`);
        }
        const id = (calls += 1);
        pending[id] = { resolve, reject };
        const start = (): void => {
          running += 1;
          send('call', id, name, json);
        };
        if (running < config.parallelToolCalls) start();
        else waiting[(lastWaiting += 1)] = start;
      });
    };
  const settle = (id: number, ok: boolean, json: string | undefined): void => {
    const call = pending[id];
    if (call === undefined) return;
    deleteProperty(pending, id);
    running -= 1;
    const next = waiting[firstWaiting];
    if (next !== undefined) {
      deleteProperty(waiting, firstWaiting);
      firstWaiting += 1;
      next();
    }
    const value: unknown = json === undefined ? undefined : parse(json);
    if (ok) {
      call.resolve(value);
      return;
    }
    const from = value as Record<string, unknown>;
    const error = new Error_(from['message'] as string);
    if (from['name'] !== 'Error') hide(error, 'name', from['name']);
    if (from['code'] !== undefined) hide(error, 'code', from['code']);
    if (from['blockedBy'] !== undefined) hide(error, 'blockedBy', from['blockedBy']);
    call.reject(error);
  };

  // ── The end: a value as JSON, or an error as text.
  const describe = (
    thrown: unknown,
  ): { name: string; message: string; stack?: string; code?: string; blockedBy?: string } => {
    if (!isError(thrown)) return { name: 'Error', message: `Uncaught ${cut(show(thrown, 1, []), 2000)}` };
    const text = (key: string, most: number): string | undefined => {
      try {
        const value = (thrown as Record<string, unknown>)[key];
        return typeof value === 'string' ? cut(value, most) : undefined;
      } catch {
        return undefined;
      }
    };
    const about = create(null) as Record<string, string | undefined>;
    about['name'] = text('name', 200) ?? 'Error';
    about['message'] = text('message', 8192) ?? '';
    about['stack'] = text('stack', 16_384);
    about['code'] = text('code', 200);
    about['blockedBy'] = text('blockedBy', 200);
    return about as unknown as { name: string; message: string };
  };
  let rehearsing = true;
  const end = (status: string, json: string | undefined): void => {
    if (rehearsing) rehearsing = false;
    else send('end', status, json);
  };
  const fail = (thrown: unknown): void => {
    let json: string;
    try {
      json = stringify(describe(thrown));
    } catch {
      json = '{"name":"Error","message":"The guest threw something that cannot be described"}';
    }
    end('error', json);
  };
  const finish = (value: unknown): void => {
    try {
      if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint') {
        throw new TypeError(
          `Expected the value to be JSON, got a ${typeof value}: return data${typeof value === 'bigint' ? ', such as the text of the number' : ''}`,
        );
      }
      const json = stringify(value) as string | undefined;
      if (json !== undefined && json.length > config.resultChars) {
        throw new RangeError_(
          `Expected a value of at most ${config.resultChars} characters of JSON, got ${json.length}`,
        );
      }
      end('ok', json);
    } catch (error) {
      fail(error);
    }
  };

  // Whatever need not wait for the guest is here: it may be the first code to run in this isolate for a long time.
  let namespaces: readonly { readonly [name: string]: unknown }[] = [];
  let input: unknown;
  const slot: Slot = {
    v: undefined,
    n: (module) => namespaces[module],
    g: (module, name) => {
      let namespace = namespaces[module];
      if (namespace !== undefined && !(name in namespace) && '$$all' in namespace) {
        namespace = namespace['$$all'] as Record<string, unknown>;
      }
      if (namespace === undefined || !(name in namespace)) {
        throw new SyntaxError(`The requested module does not provide an export named '${name}'`);
      }
      return namespace[name];
    },
  };
  const done = (): void => {
    const value = slot.v;
    const isPlain = typeof value !== 'function' && (typeof value !== 'object' || value === null);
    if (isPlain) {
      finish(value);
      return;
    }
    const result = new Promise_((resolve) => {
      const isCalled = config.input !== undefined && typeof value === 'function';
      resolve(isCalled ? (value as (given: unknown) => unknown)(input) : value);
    });
    defineProperty(result, 'constructor', { value: undefined });
    apply(then, result, [finish, fail]);
  };
  hide(world, 'tools', freeze(create(null)));
  hide(world, 'input', undefined);

  // Read and taken away before a line of the guest runs. `$$modules` was left by the module that links the others.
  const run = (given: string, entry: (slot: Slot) => Promise<void>): void => {
    deleteProperty(world, '$$run');
    if ('$$modules' in world) {
      namespaces = world['$$modules'] as typeof namespaces;
      deleteProperty(world, '$$modules');
    }
    if (given !== usualConfig) config = parse(given) as RunConfig;
    slot.v = undefined;
    if (config.tools.length > 0) {
      const tools = create(null) as Record<string, unknown>;
      for (let index = 0; index < config.tools.length; index += 1) {
        const name = config.tools[index] as string;
        defineProperty(tools, name, { value: freeze(toolFunction(name)), enumerable: true });
      }
      hide(world, 'tools', freeze(tools));
    }
    if (config.input !== undefined) hide(world, 'input', (input = parse(config.input)));
    const ended = entry(slot);
    defineProperty(ended, 'constructor', { value: undefined });
    apply(then, ended, [done, fail]);
  };
  // V8 compiles a function when it is first called: one run of nothing, now, is time that no guest waits for.
  run(usualConfig, async (taken) => {
    taken.v = {};
  });
  hide(world, '$$run', run);

  // Made when first asked for: most guests want none of them, and every guest would wait for them.
  let webInstalled = false;
  const web = ['TextEncoder', 'TextDecoder', 'URL', 'URLSearchParams', 'structuredClone', 'crypto'];
  for (let index = 0; index < web.length; index += 1) {
    const name = web[index] as string;
    defineProperty(world, name, {
      get() {
        if (!webInstalled) installWeb(world, ask);
        webInstalled = true;
        return world[name];
      },
      set: (value: unknown) => hide(world, name, value),
      enumerable: false,
      configurable: true,
    });
  }

  return (kind, id, ok, json) => {
    if (kind === 'timer') timers[id]?.();
    else settle(id, ok === true, json);
  };
};
