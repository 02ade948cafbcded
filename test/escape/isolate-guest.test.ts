/**
 * Ways out of a guest, by the classes known from vm2, isolated-vm and SES. Invariants, each asserted without a trick at
 * the end of the file:
 *
 *  1. Nothing that a guest can reach belongs to another world than its own: no function or object of the host.
 *  2. What crosses is JSON text: results, arguments and errors are plain data on both sides.
 *  3. Whatever a guest does, its call ends once, the program lives, and the next call works.
 *  4. When a guest has ended, nothing of it runs any more.
 *
 * Each attack returns the process id where it reached `process`. Beside each stands whether it gets there in a naive
 * sandbox (node:vm, host functions passed in), which shows that the attack is one.
 *
 * Considered and ruled out: cachedData and snapshots (CVE-2022-39266) are made by the host of its own text only;
 * Reference and Callback handles (CVE-2021-21413) never enter a guest but as closures of its runtime.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HOST_STACK_KB, HOST_STACK_ROOM_KB } from '../../src/isolate/limits.ts';
import { openCodePool, type CodeOptions, type CodePool } from '../../src/run-code.ts';
import { governed } from '../isolate/governed.ts';
import { MANNERS } from '../isolate/manners.ts';

const hostFunctions = {
  echo: (value: unknown) => value,
  give: async (value: unknown) => ({ given: value }),
  fail: async () => {
    throw new TypeError('no');
  },
  call: async (callback: unknown) => (typeof callback === 'function' ? (callback as (x: object) => unknown)({}) : 0),
  list: async () => [1, 2, 3],
};

const PID = "('return process.pid')()";
const attacks: readonly (readonly [name: string, body: string, worksNaively: boolean])[] = [
  ['the constructor of a host function', `return tools.echo.constructor${PID}`, true],
  [
    'the constructor of an error of the host',
    `try { await tools.fail() } catch (e) { return e.constructor.constructor${PID} }`,
    true,
  ],
  ['the constructor of a result', `return (await tools.give({})).constructor.constructor${PID}`, true],
  ['the constructor of an array of the host', `return (await tools.list()).constructor.constructor${PID}`, true],
  ['the promise of a host call', `return tools.give({}).constructor.constructor${PID}`, true],
  ['the prototype of that promise', `return Object.getPrototypeOf(tools.give({})).then.constructor${PID}`, true],
  ['the console', `return console.log.constructor${PID}`, true],
  ['the global object', `return globalThis.constructor.constructor${PID}`, true],
  ['a thenable that is awaited', `return { then(resolve) { resolve(resolve.constructor${PID}) } }`, false],
  [
    'a callback that the host calls',
    `let hit; await tools.call((x) => { hit = x.constructor.constructor${PID} }); return hit`,
    true,
  ],
  [
    'a proxied callback',
    `let hit; await tools.call(new Proxy(function () {}, { apply: (t, s, args) => { hit = args.constructor.constructor${PID} } })); return hit`,
    true,
  ],
  [
    'a getter at the border',
    `let hit; await tools.give({ get x() { try { hit = arguments.callee.caller.constructor${PID} } catch {} return 1 } }); return hit`,
    false,
  ],
  [
    'toJSON at the border',
    `let hit; await tools.give({ toJSON() { try { hit = this.constructor.constructor${PID} } catch {} return 1 } }); return hit`,
    false,
  ],
  [
    'frames of a stack',
    `let hit; Error.prepareStackTrace = (e, frames) => { for (const f of frames) try { hit ??= (f.getThis() ?? f.getFunction()).constructor.constructor${PID} } catch {} return '' }; new Error().stack; return hit`,
    true,
  ],
  ['an async generator', `return (async function* () {}).constructor${PID}().next()`, false],
  [
    'species of a promise',
    `let hit; class P extends Promise { static get [Symbol.species]() { return function (e) { hit = e.constructor${PID}; e(() => {}, () => {}) } } } try { await P.resolve(1).then(() => 1) } catch {} return hit`,
    false,
  ],
  ['Reflect.construct', `return Reflect.construct(Function, ['return process.pid'])()`, false],
  ['a tagged template of the constructor', 'return (() => {}).constructor`return process.pid`()', false],
  [
    'a class that extends Function',
    `return new (class extends (() => {}).constructor {})('return process.pid')()`,
    false,
  ],
  ['import()', `return (await (0, eval)('import("node:process")')).pid`, false],
];

test('a host that a guest calls at the end of its stack has stack left, and shows nothing of itself', () => {
  const seen = (stackKb: number): string => {
    const fixture = join(import.meta.dirname, '..', 'fixtures', 'isolate', 'overflow.ts');
    const flags = ['--no-node-snapshot', `--stack-size=${stackKb}`];
    return spawnSync(process.execPath, [...flags, fixture], { encoding: 'utf8' }).stdout;
  };
  expect(seen(HOST_STACK_KB - HOST_STACK_ROOM_KB)).toMatch(/^$|file:\/\/|node:/u);
  expect(seen(HOST_STACK_KB)).toMatch(/Maximum call stack/u);
  expect(seen(HOST_STACK_KB)).not.toMatch(/file:\/\/|node:/u);
});

/** Processor time that these processes have had, in hundredths of a second. */
const ticksOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => {
    const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ');
    const [user, system] = fields.split(' ').slice(11, 13);
    return sum + Number(user) + Number(system);
  }, 0);

describe.each(MANNERS)('%s', (_, hosts) => {
  let pool: CodePool;
  beforeAll(async () => {
    pool = openCodePool({ hosts });
    await pool.ready();
  });
  afterAll(() => pool.close());

  const run = (source: string, options: CodeOptions = {}) => pool.run(source, { timeoutMs: 10_000, ...options });
  const lives = async () => expect(await run('6 * 7')).toMatchObject({ status: 'ok', value: 42 });

  describe('invariant 1: nothing of the host is reachable', () => {
    test.each(attacks)('%s', async (_, body, worksNaively) => {
      const naive = (await runInNewContext(`(async () => { ${body} })()`, { tools: hostFunctions, console }).catch(
        () => 0,
      )) as unknown;
      expect(naive === process.pid).toBe(worksNaively);
      const result = await run(`const attack = async () => { ${body} };\nawait attack()`, {
        tools: governed(hostFunctions),
      });
      expect(['ok', 'error']).toContain(result.status);
      expect(typeof result.value).not.toBe('number');
      await lives();
    });

    test('a guest at the end of its stack sees nothing of the host, and harms itself only', async () => {
      const source = `
      const seen = [];
      let max = 0;
      const count = () => { max += 1; count(); };
      try { count(); } catch {}
      const at = (depth, act) => (depth > 0 ? at(depth - 1, act) : act());
      const acts = [() => console.log('x'), () => void tools.echo(1).catch(() => {}), () => new URL('http://a'), () => crypto.randomUUID(), () => setTimeout(() => {}, 1)];
      for (const act of acts) for (let less = 0; less < 40; less += 1) {
        try { at(max - less * 9, act); } catch (error) { seen.push(error.stack); }
      }
      seen.join()`;
      const limits = { toolCalls: 1000, logLines: 1000 };
      const { status, value } = await run(source, { tools: governed(hostFunctions), limits, timeoutMs: 60_000 });
      expect(status).toBe('ok');
      expect(value).toMatch(/Maximum call stack/u);
      expect(value).not.toMatch(/file:\/\/|node:|isolate\//u);
      await lives();
    });

    test('no object that a guest can walk to is of isolated-vm, and no function is foreign', async () => {
      const walk = `
      const seen = new Set(), found = [];
      const open = [globalThis, tools, tools.echo, tools.echo(1), console, new Error(), (() => { try { null.x } catch (e) { return e } })()];
      try { await tools.fail() } catch (e) { open.push(e) }
      try { new URL('nonsense') } catch (e) { open.push(e) }
      open.push(new URL('http://a'), crypto, structuredClone, setTimeout, new TextDecoder());
      while (open.length > 0) {
        const at = open.pop();
        if ((typeof at !== 'object' && typeof at !== 'function') || at === null || seen.has(at)) continue;
        seen.add(at);
        if (typeof at === 'function' && at !== Function.prototype && !(at instanceof Function)) found.push('foreign function ' + at.name);
        if (typeof at === 'object' && Object.getPrototypeOf(at) !== null && !(at instanceof Object) && at !== Object.prototype && at !== globalThis) found.push('foreign object');
        if (/^(Isolate|Context|Reference|ExternalCopy|Callback|NativeModule|Dereference|Copy)$/.test(at.constructor?.name ?? '')) found.push(at.constructor.name);
        open.push(Object.getPrototypeOf(at));
        for (const key of Reflect.ownKeys(at)) {
          const property = Object.getOwnPropertyDescriptor(at, key);
          open.push(property.value, property.get, property.set);
        }
      }
      ({ found, many: seen.size > 500 })`;
      expect((await run(walk, { tools: governed(hostFunctions) })).value).toEqual({ found: [], many: true });
    });
  });

  describe('invariant 2: what crosses is plain data', () => {
    test('prototypes are not polluted by arguments or results, on either side', async () => {
      const seen: unknown[] = [];
      const tools = governed({
        take: (value: unknown) => {
          seen.push(value);
          return JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}') as unknown;
        },
      });
      const source = `
      const given = await tools.take(JSON.parse('{"__proto__":{"polluted":1},"a":{"__proto__":null}}'));
      ({ here: ({}).polluted ?? 'clean', own: Object.hasOwn(given, '__proto__'), ...JSON.parse('{"__proto__":{"polluted":1}}'), ['__proto__']: { polluted: 1 } })`;
      const { value } = await run(source, { tools });
      expect(value).toEqual({ here: 'clean', own: true });
      expect(Object.hasOwn(value as object, '__proto__')).toBe(false);
      expect(seen).toEqual([{ a: {} }]);
      expect(Reflect.ownKeys(seen[0] as object)).toEqual(['a']);
      expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    });

    test.each([
      ['a function', '() => 1'],
      ['a symbol', 'Symbol.iterator'],
      ['a cycle', '(() => { const o = {}; o.o = o; return o })()'],
      ['a bigint', '1n'],
      ['a proxy that throws at every trap', 'new Proxy({}, new Proxy({}, { get() { throw new Error("trap") } }))'],
      ['a toJSON that throws', '({ toJSON() { throw new Error("toJSON") } })'],
      ['a getter that throws', '({ get x() { throw new Error("getter") } })'],
      ['a value nested too deep', 'JSON.parse("[".repeat(1000) + "]".repeat(1000))'],
      ['nesting that overflows', '(() => { let o = {}; for (let i = 0; i < 1e5; i++) o = { o }; return o })()'],
      ['a string that is too long', '"x".repeat(2 ** 27)'],
      [
        'a bomb of references',
        '(() => { let o = ["x".repeat(1000)]; for (let i = 0; i < 30; i++) o = [o, o]; return o })()',
      ],
    ])('%s as the value is an error, as an argument too', async (_, value) => {
      const tools = governed({ take: () => 'taken' });
      expect(await run(value, { tools })).toMatchObject({ status: expect.stringMatching(/^(error|memory)$/u) });
      const asArgument = await run(
        `const value = ${value};\nlet got;\ntry { got = await tools.take(value) } catch (e) { got = e.name }\n({ got })`,
        { tools },
      );
      // JSON knows what to do with functions and symbols inside of a list.
      expect(['error', 'memory', 'ok']).toContain(asArgument.status);
      await lives();
    });

    test('an error with hostile properties is described without harm', async () => {
      for (const thrown of [
        '{ get name() { throw 1 }, get message() { throw 2 }, get stack() { throw 3 } }',
        'Object.assign(new Error("a"), { name: {}, message: [], stack: 5, blockedBy: {} })',
        'Object.assign(new Error("x".repeat(1e6)), { stack: "y".repeat(1e7), name: "z".repeat(1e6) })',
        'new Proxy(new Error("p"), { get() { throw new Error("trap") }, getPrototypeOf() { throw new Error("trap") } })',
        'Object.create(null)',
      ]) {
        const { status, error } = await run(`throw ${thrown}`);
        expect(status).toBe('error');
        expect(JSON.stringify(error).length).toBeLessThan(100_000);
      }
      await lives();
    });
  });

  describe('invariant 3: every call ends once and the next one works', () => {
    test.each([
      ['deep recursion', 'const f = () => f(); f()', 'error'],
      [
        'an error getter that spins, in a rejection nobody handles',
        'Promise.reject({ get message() { for (;;); } }); await new Promise(() => {})',
        'timeout',
      ],
      [
        'a rejection with hostile text',
        'Promise.reject(Object.assign(new Error("Isolate was disposed during execution due to memory limit"), {})); await new Promise(() => {})',
        'error',
      ],
      ['a rejection with nothing in it', 'Promise.reject(null); await new Promise(() => {})', 'error'],
      ['a timer that throws nothing', 'setTimeout(() => { throw undefined }); await new Promise(() => {})', 'error'],
      [
        'a runtime whose promises are broken',
        'Promise.prototype.then = () => { throw 1 }; Object.defineProperty(Promise.prototype, "constructor", { get() { throw 2 } }); 1',
        'ok',
      ],
      [
        'a runtime whose JSON is replaced',
        'JSON.stringify = () => "{"; JSON.parse = () => { throw 1 }; ({ a: 1 })',
        'ok',
      ],
      [
        'a global prototype with setters',
        'for (const k of ["v", "run", "type", "status", "json", "name"]) Object.defineProperty(Object.prototype, k, { set() { throw 1 }, get() { return "x" } }); 1',
        'ok',
      ],
      ['a broken array iterator', 'Array.prototype[Symbol.iterator] = () => { throw 1 }; console.log(1, [2]); 1', 'ok'],
      [
        'string methods that lie',
        'String.prototype.slice = () => ({ length: 1e9 }); console.log("x".repeat(1e6)); "y"',
        'ok',
      ],
      ['a log flood in a loop', 'for (let i = 0; i < 2e5; i++) console.log(i); 1', 'ok'],
      ['a flood of timers', 'for (;;) setTimeout(() => {}, 1e6)', 'error'],
      [
        'a flood of tool calls',
        'const all = []; for (let i = 0; i < 5000; i++) all.push(tools.one().catch(() => 0)); await Promise.all(all); 1',
        'ok',
      ],
      ['a flood of URLs', 'for (let i = 0; i < 3000; i++) new URL("http://a/" + i); 1', 'ok'],
      ['random bytes beyond the limit', 'crypto.getRandomValues(new Uint8Array(1e6))', 'error'],
      ['a bomb in a regular expression', 'new RegExp("(".repeat(1e5))', 'error'],
      [
        'growing buffers',
        'const a = []; for (;;) a.push(new ArrayBuffer(1, { maxByteLength: 2 ** 30 }), new Uint8Array(1e6).fill(1))',
        'memory',
      ],
      ['unterminated source', 'const a = `${', 'error'],
      ['a source that closes its wrapper', '}); globalThis.x = 1; (async function () {', 'error'],
      ['an HTML comment, which only scripts know', '1 <!-- 2\n', 'error'],
    ])('%s', async (_, source, status) => {
      const tools = governed({ one: () => 1 });
      const result = await run(source, { tools, memoryMb: 32, timeoutMs: status === 'timeout' ? 300 : 10_000 });
      expect(result.status).toBe(status);
      await lives();
    });
  });

  describe('invariant 4: nothing of a guest runs after its end', () => {
    test('timers, finalizers and calls under way stop with the guest', async () => {
      let calls = 0;
      const tools = governed({ count: () => (calls += 1) });
      const source = `
      const registry = new FinalizationRegistry(() => tools.count());
      for (let i = 0; i < 1e4; i++) registry.register({ big: new Array(100) }, i);
      setInterval(() => tools.count(), 5);
      (async () => { for (;;) { await new Promise((r) => setTimeout(r, 1)); tools.count() } })();
      await new Promise((r) => setTimeout(r, 30));
      'ended'`;
      expect(await run(source, { tools })).toMatchObject({ value: 'ended' });
      expect(calls).toBeGreaterThan(0);
      const atEnd = calls;
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(calls).toBe(atEnd);
    });

    test('what V8 would call back, on a thread of its own, does not outlive the guest: it is never called', async () => {
      const garbage = 'for (let i = 0; i < 3e4; i++) registry.register({ x: new Array(1000) }, i);';
      const modules = { m: '' };
      const haunt = `import 'm';
      let once = false;
      const registry = new FinalizationRegistry(() => {
        if (!once) for (once = true; ; ) new Array(2 ** 32 - 1).indexOf(1);
      });
      ${garbage} 1`;
      expect(await run(haunt, { modules, memoryMb: 32 })).toMatchObject({ value: 1 });
      await new Promise((resolve) => setTimeout(resolve, 50));
      const before = ticksOf(pool.pids);
      await new Promise((resolve) => setTimeout(resolve, 400));
      expect(ticksOf(pool.pids) - before).toBeLessThan(20);

      const source = `
      let calls = 0;
      const registry = new FinalizationRegistry(() => (calls += 1));
      ${garbage}
      for (let i = 0; i < 30; i++) await new Promise((r) => setTimeout(r, 2));
      [calls, registry.unregister({}), typeof Atomics.waitAsync]`;
      const allow = ['shared-memory'] as const;
      expect((await run(source, { allow, memoryMb: 32 })).value).toEqual([0, false, 'undefined']);
    });

    test('memory that a guest leaves in the hands of the allocator is not blamed on the next', async () => {
      const heavy = 'globalThis.kept = Array.from({ length: 5e4 }, () => new Uint8Array(4000).fill(1)); kept.length';
      for (let round = 0; round < 3; round += 1) {
        expect(await run(heavy, { memoryMb: 512 })).toMatchObject({ value: 5e4 });
        expect(await run('await new Promise((r) => setTimeout(r, 60)); 1', { memoryMb: 8 })).toMatchObject({
          value: 1,
        });
      }
    });

    test('guests side by side have each their own console, tools, timers and input', async () => {
      const runs = Array.from({ length: 12 }, (_, index) => {
        const name = `mine${index}`;
        const tools = governed({ [name]: () => index });
        const source = `console.log(input); setTimeout(() => console.log(input), 5);
        await new Promise((r) => setTimeout(r, 15));
        [Object.keys(tools), await tools.${name}()]`;
        return run(source, { tools, input: name });
      });
      for (const [index, result] of (await Promise.all(runs)).entries()) {
        const name = `mine${index}`;
        expect(result).toMatchObject({ value: [[name], index], usage: { toolCalls: 1 } });
        expect(result.logs.map(({ text }) => text)).toEqual([name, name]);
      }
    });

    test('what one was allowed, another that was prepared beside it is not', async () => {
      for (let round = 0; round < 4; round += 1) {
        expect(await run('eval("1 + 1")', { allow: ['eval'] })).toMatchObject({ value: 2 });
        expect((await run('typeof eval + typeof WebAssembly')).value).toBe('undefinedundefined');
        expect((await run('typeof WebAssembly', { allow: ['wasm'], memoryMb: 32 })).value).toBe('object');
      }
    });

    test('an abort at any moment ends its own call once, and the next one is whole', async () => {
      for (let round = 0; round < 40; round += 1) {
        const controller = new AbortController();
        const aborted = run('await new Promise((r) => setTimeout(r, 50)); 1', { signal: controller.signal });
        const beside = run(String(round));
        if (round % 4 === 1) await Promise.resolve();
        if (round % 4 === 2) await new Promise((resolve) => setImmediate(resolve));
        if (round % 4 === 3) await new Promise((resolve) => setTimeout(resolve, 1));
        controller.abort();
        expect(await aborted).toMatchObject({ status: 'error', error: { name: 'AbortError' } });
        expect(await beside).toMatchObject({ value: round });
      }
    });

    test('a guest that is slow to be thrown away keeps nobody waiting for its end', async () => {
      const heavy = 'globalThis.kept = Array.from({ length: 5e5 }, (_, i) => ({ i, text: "x" + i })); kept.length';
      for (let round = 0; round < 4; round += 1) {
        expect(await run(heavy)).toMatchObject({ value: 5e5 });
        expect(await run('typeof kept')).toMatchObject({ value: 'undefined' });
      }
    });

    test('guests share nothing: neither globals nor prototypes', async () => {
      await run('globalThis.left = 1; Object.prototype.left = 2; Array.prototype.push = () => 3; 1');
      for (let round = 0; round < 6; round += 1) {
        expect((await run('[typeof left, [].push(1), ({}).left ?? null]')).value).toEqual(['undefined', 1, null]);
      }
    });
  });
});
