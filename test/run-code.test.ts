import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineCodeTool } from '../src/define-code-tool.ts';
import { declareTools, openCodePool, runCode, type CodeOptions, type CodePool } from '../src/run-code.ts';
import { governed } from './isolate/governed.ts';
import { MANNERS } from './isolate/manners.ts';

describe.each(MANNERS)('%s', (_, hosts) => {
  let pool: CodePool;
  beforeAll(async () => {
    pool = openCodePool({ hosts });
    await pool.ready();
  });
  afterAll(() => pool.close());

  const run = (source: string, options: CodeOptions = {}) => pool.run(source, options);

  describe('the value', () => {
    test.each([
      ['1 + 1', 2],
      ['const a = 20;\na * 2 + 2', 42],
      ['export default { answer: [42] }', { answer: [42] }],
      ['const x: number = 21; x * 2', 42],
      ['let t = 0; for (const i of [1, 2, 3]) { t += i }', 6],
      ['if (true) { "yes" } else { "no" }', 'yes'],
      ['try { JSON.parse("{") } catch (e) { e.name }', 'SyntaxError'],
      ['const { a } = await Promise.resolve({ a: 1 }); a', 1],
      ['export { x as default }; const x = "named"', 'named'],
      ['"use strict"', 'use strict'],
      ['Promise.resolve("awaited")', 'awaited'],
      ['function f() { return 5 }\nf()\nfunction g() {}', 5],
      ['', undefined],
      ['// nothing', undefined],
      ['#!/usr/bin/env node\n7', 7],
      ['undefined', undefined],
      ['null', null],
      ['NaN', null],
      ['new Date(0)', '1970-01-01T00:00:00.000Z'],
      ['this === undefined', true],
      ['let $$ = 1; $$ + 1', 2],
    ])('%j is %j', async (source, value) => {
      const result = await run(source);
      expect(result).toMatchObject({ status: 'ok' });
      expect(result.value).toStrictEqual(value);
    });

    test('a function is called with the input when there is one, and an error when there is none', async () => {
      expect(await run('export default (given) => given.n + input.n', { input: { n: 4 } })).toMatchObject({ value: 8 });
      expect(await run('export default () => 1')).toMatchObject({ status: 'error', error: { name: 'TypeError' } });
    });

    test.each(['10n', 'Symbol("s")', 'const o = {}; o.o = o; o', '({ n: 1n })'])(
      '%s cannot be JSON and says so',
      async (source) => {
        expect(await run(source)).toMatchObject({ status: 'error', error: { name: 'TypeError' } });
      },
    );
  });

  describe('errors', () => {
    test('a thrown error has the lines of the author and no paths of the host', async () => {
      const source =
        'const a: number = 1;\n\nconst fail = (x: number) => {\n  throw new RangeError("bad " + x);\n};\nfail(a)';
      const { status, error } = await run(source, { file: 'agent.ts' });
      expect(status).toBe('error');
      expect(error).toMatchObject({ name: 'RangeError', message: 'bad 1', file: 'agent.ts', line: 4, column: 9 });
      expect(error?.stack).toBe('RangeError: bad 1\n    at fail (agent.ts:4:9)\n    at agent.ts:6:1');
      expect(JSON.stringify(error)).not.toMatch(/tappass|\/work|node_modules|isolated-vm/u);
    });

    test('a syntax error has line and column, in JavaScript and in TypeScript', async () => {
      expect((await run('let a = 1;\nlet b = ;', { language: 'javascript' })).error).toMatchObject({
        name: 'SyntaxError',
        line: 2,
        column: 9,
      });
      expect((await run('let a: number = 1;\nlet b: = 2;')).error).toMatchObject({
        name: 'SyntaxError',
        line: 2,
        column: 8,
      });
      expect((await run('enum A { b }')).error).toMatchObject({
        name: 'SyntaxError',
        line: 1,
        message: expect.stringContaining('enum'),
      });
    });

    test('a rejection nobody handled ends the guest; one that is handled does not', async () => {
      expect(
        await run('Promise.reject(new Error("lost"));\nawait new Promise((r) => setTimeout(r, 50)); 1'),
      ).toMatchObject({
        status: 'error',
        error: { message: 'lost', line: 1 },
      });
      expect(
        await run('Promise.reject(new Error("lost")).catch(() => {}); await new Promise((r) => setTimeout(r, 5)); 1'),
      ).toMatchObject({ value: 1 });
    });

    test.each([
      ['throw 5', 'Uncaught 5'],
      ['throw null', 'Uncaught null'],
      ['throw { a: 1 }', 'Uncaught { a: 1 }'],
      ['setTimeout(() => { throw null }); await new Promise(() => {})', 'Uncaught null'],
      ['Promise.reject(5); await new Promise(() => {})', 'Uncaught 5'],
    ])('%s is told', async (source, message) => {
      expect(await run(source)).toMatchObject({ status: 'error', error: { message } });
    });
  });

  describe('limits', () => {
    test.each([
      ['a loop', 'for (;;);'],
      ['a promise that never settles', 'await new Promise(() => {})'],
      ['a catastrophic regular expression', '/(a+)+b/.test("a".repeat(40))'],
      ['native code that nothing interrupts', 'new Array(2 ** 32 - 1).indexOf(1)'],
      ['timers for ever', 'setInterval(() => {}, 1); await new Promise(() => {})'],
      ['microtasks for ever', 'const f = () => Promise.resolve().then(f); await f()'],
      ['a wait on shared memory', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'],
    ])('%s ends as timeout, and the pool lives on', async (_, source) => {
      const allow = source.includes('Atomics') ? (['shared-memory'] as const) : [];
      const result = await run(source, { timeoutMs: 150, allow });
      expect(result.status).toBe('timeout');
      expect(await run('1')).toMatchObject({ value: 1 });
    });

    test.each([
      ['objects', 'const a = []; for (;;) a.push({ x: a.length })'],
      ['one huge array, which V8 cannot undo', 'Array(1e9).fill(0)'],
      ['typed arrays', 'const a = []; for (;;) a.push(new Uint8Array(1e7).fill(1))'],
      ['strings', 'let s = "x"; for (;;) { s += s; s.charCodeAt(0) }'],
    ])('%s: memory, and the pool lives on', async (_, source) => {
      const result = await run(source, { memoryMb: 16, timeoutMs: 20_000 });
      expect(result.status).toBe('memory');
      expect(await run('1')).toMatchObject({ value: 1 });
    });

    test('a guest ends when nothing of it runs any more, not when its value is there', async () => {
      const late = 'let p = Promise.resolve(); for (let i = 0; i < 50; i++) p = p.then(() => 0);';
      expect(await run(`${late} p.then(() => { for (;;); }); 1`, { timeoutMs: 300 })).toMatchObject({
        status: 'timeout',
      });
      expect(await run(`${late} p.then(() => Array(1e8).fill(0)); 1`, { memoryMb: 16 })).toMatchObject({
        status: expect.stringMatching(/memory|crashed/u),
      });
      expect(await run(`${late} p.then(() => { for (let i = 0; i < 1e6; i++); }); 1`)).toMatchObject({ value: 1 });
    });

    test('a guest within its limits is not stopped', async () => {
      const source = 'const a = new Uint8Array(4e6).fill(1); let s = 0; for (let i = 0; i < 1e6; i++) s += a[i]; s';
      expect(await run(source, { memoryMb: 16, timeoutMs: 20_000 })).toMatchObject({ value: 1e6 });
    });

    test('abort before and during ends as an error, and the pool lives on', async () => {
      expect(await run('1', { signal: AbortSignal.abort() })).toMatchObject({
        status: 'error',
        error: { name: 'AbortError' },
      });
      const controller = new AbortController();
      const running = run('await new Promise(() => {})', { signal: controller.signal });
      setTimeout(() => controller.abort(new Error('enough')), 50);
      expect(await running).toMatchObject({ status: 'error', error: { name: 'AbortError', message: 'enough' } });
      expect(await run('1')).toMatchObject({ value: 1 });
    });

    test.each([
      [{ timeoutMs: 0 }],
      [{ timeoutMs: 1.5 }],
      [{ memoryMb: 1 }],
      [{ memoryMb: Infinity }],
      [{ language: 'python' as 'javascript' }],
      [{ limits: { toolCalls: -1 } }],
      [{ limits: { nonsense: 1 } }],
      [{ allow: ['fs' as 'eval'] }],
      [{ file: '../x.ts' }],
      [{ tools: { bare: () => 1 } }],
      [{ input: () => 1 }],
    ])('misuse %o rejects with a clear error', async (options) => {
      await expect(runCode('1', options as CodeOptions)).rejects.toMatchObject({ name: 'TapPassConfigError' });
    });

    test('a source that is too long or binary is an error that says so', async () => {
      expect(await run('x'.repeat(10_000_000))).toMatchObject({
        status: 'error',
        error: { message: expect.stringContaining('at most') },
      });
      expect(await run('1\n2\0')).toMatchObject({ status: 'error', error: { line: 2, column: 2 } });
      expect(await run('['.repeat(100_000))).toMatchObject({ status: 'error', error: { name: 'SyntaxError' } });
    });
  });

  describe('tools', () => {
    const tools = governed({
      add: async ({ a, b }: { a: number; b: number }) => a + b,
      nothing: () => undefined,
      blocked: () => {
        throw Object.assign(new Error('Request blocked by check_files — no'), {
          name: 'PolicyBlockError',
          blockedBy: 'check_files',
          secret: 's3cret',
        });
      },
      delete: () => 'reserved',
    });

    test('calls go out and come back, in parallel too', async () => {
      expect(await run('await Promise.all([1, 2, 3].map((n) => tools.add({ a: n, b: n })))', { tools })).toMatchObject({
        value: [2, 4, 6],
        usage: { toolCalls: 3 },
      });
      expect(await run('[await tools.nothing(), await tools.delete()]', { tools })).toMatchObject({
        value: [null, 'reserved'],
      });
    });

    test('Promise.all over tools runs them at the same time', async () => {
      let open = 0;
      let most = 0;
      const wait = async () => {
        most = Math.max(most, (open += 1));
        await new Promise((resolve) => setTimeout(resolve, 30));
        open -= 1;
      };
      const source = 'await Promise.all(Array.from({ length: 10 }, () => tools.wait()))';
      expect(await run(source, { tools: governed({ wait }), limits: { parallelToolCalls: 4 } })).toMatchObject({
        status: 'ok',
      });
      expect(most).toBe(4);
    });

    test('an error arrives as a plain error with `blockedBy` and nothing else', async () => {
      const source =
        'try { await tools.blocked() } catch (e) { [e.name, e.message, e.blockedBy, e.secret, e instanceof Error, e.stack.includes("/")] }';
      expect(await run(source, { tools })).toMatchObject({
        value: ['PolicyBlockError', 'Request blocked by check_files — no', 'check_files', null, true, false],
      });
      expect(await run('await tools.blocked()', { tools })).toMatchObject({
        status: 'error',
        error: { blockedBy: 'check_files' },
      });
    });

    test('the number of calls is limited', async () => {
      const source = 'let n = 0; try { for (;;) { await tools.nothing(); n++ } } catch (e) { [n, e.name] }';
      expect(await run(source, { tools, limits: { toolCalls: 3 } })).toMatchObject({ value: [3, 'RangeError'] });
    });

    test('a tool with `execute` gets the input and a signal that fires when the guest ends', async () => {
      let signal: AbortSignal | undefined;
      const slow = {
        name: 'slow',
        execute: (_: unknown, context: { abortSignal: AbortSignal }) => {
          ({ abortSignal: signal } = context);
          return new Promise(() => {});
        },
      };
      expect(
        await run('tools.slow({}); await new Promise((r) => setTimeout(r, 20)); 1', { tools: governed({ slow }) }),
      ).toMatchObject({ value: 1 });
      expect(signal?.aborted).toBe(true);
    });

    test('declareTools writes what a model needs to call them', () => {
      const { read, other } = governed({
        read: {
          name: 'read',
          description: 'Reads */ a file',
          inputSchema: z.object({ path: z.string(), max: z.number().optional() }),
          execute: () => 1,
        },
        other: {
          name: 'a-b',
          parameters: { type: 'object', properties: { k: { enum: ['x', 1] } }, required: ['k'] },
          execute: () => 1,
        },
      });
      expect(declareTools([read, other])).toBe(
        'declare const tools: {\n  /** Reads * / a file */\n  read(input: { path: string; max?: number }): Promise<unknown>;\n  "a-b"(input: { k: "x" | 1 }): Promise<unknown>;\n};\n',
      );
    });
  });

  describe('modules, console, world', () => {
    test('given modules can be imported, with types and top-level await', async () => {
      const modules = {
        m: 'import d from "n"; export const a: number = (await Promise.resolve(40)) + d',
        n: 'export default 2',
      };
      expect(await run('import { a } from "m";\nimport * as n from "n";\na + n.default', { modules })).toMatchObject({
        value: 44,
      });
    });

    test('a module is not entered in the middle of its work', async () => {
      const m = `export const seen = [];
      setTimeout(() => seen.push('timer'), 1);
      for (let i = 0; i < 500; i++) { seen.push(i); console.log(i); }`;
      const { value } = await run('import { seen } from "m"; await new Promise((r) => setTimeout(r, 5)); seen', {
        modules: { m },
      });
      expect(value).toEqual([...Array.from({ length: 500 }).keys(), 'timer']);
    });

    test('timers that were stopped do not count', async () => {
      const source = `for (let i = 0; i < 2000; i++) clearTimeout(setTimeout(() => {}, 1e6));
      await new Promise((r) => setTimeout(r, 1)); 1`;
      expect(await run(source, { timeoutMs: 5000 })).toMatchObject({ value: 1 });
    });

    test('WebAssembly is compiled whichever way it is asked for', async () => {
      const source = `const bytes = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
      const module = await WebAssembly.compile(bytes);
      const { instance } = await WebAssembly.instantiate(bytes, {});
      const failed = await WebAssembly.compile(new Uint8Array(3)).catch((error) => error.name);
      [module instanceof WebAssembly.Module, instance instanceof WebAssembly.Instance,
        (await WebAssembly.instantiate(module)) instanceof WebAssembly.Instance, failed]`;
      expect((await run(source, { allow: ['wasm'], timeoutMs: 5000 })).value).toEqual([
        true,
        true,
        true,
        'CompileError',
      ]);
    });

    test('what was not given cannot be imported', async () => {
      expect(await run('1;\nimport { x } from "fs"; x')).toMatchObject({
        status: 'error',
        error: { line: 2, column: 19, message: expect.stringContaining('"fs"') },
      });
      expect(await run('import { x } from "m"; x', { modules: { m: 'export const a = 1' } })).toMatchObject({
        status: 'error',
        error: { name: 'SyntaxError' },
      });
      expect(
        await run('import { a } from "m"; a', { modules: { m: '\nexport const a = 1; throw new Error("inside")' } }),
      ).toMatchObject({
        status: 'error',
        error: { message: 'inside', file: 'm', line: 2 },
      });
      expect(await run('await import("m")', { modules: { m: '' } })).toMatchObject({
        status: 'error',
        error: { name: 'SyntaxError' },
      });
    });

    test('packages are bundled from the directory that was named, and from nowhere else', async () => {
      const from = mkdtempSync(join(tmpdir(), 'tappass-packages-'));
      const put = (name: string, files: Readonly<Record<string, string>>) => {
        mkdirSync(join(from, 'node_modules', name), { recursive: true });
        for (const [file, text] of Object.entries(files)) writeFileSync(join(from, 'node_modules', name, file), text);
      };
      put('old', {
        'package.json': '{"main":"index.js"}',
        'index.js': 'exports.twice = (n) => require("new").one(n) * 2',
      });
      put('new', {
        'package.json': '{"type":"module","exports":"./m.js"}',
        'm.js': 'export const one = (n) => n; export default 7',
      });
      put('reader', {
        'package.json': '{}',
        'index.js': 'module.exports = require("node:fs").readFileSync("/etc/passwd", "utf8")',
      });
      try {
        const source = 'import { twice } from "old";\nimport seven, { one } from "new";\ntwice(4) + seven + one(1)';
        expect(await run(source, { packagesFrom: from })).toMatchObject({ value: 16 });
        expect(await run(source)).toMatchObject({
          status: 'error',
          error: { line: 1, message: expect.stringContaining('"old"') },
        });
        expect(await run('import x from "reader"; x', { packagesFrom: from })).toMatchObject({ status: 'error' });
        await expect(run('import x from "absent"; x', { packagesFrom: from })).rejects.toMatchObject({
          name: 'TapPassConfigError',
        });
        expect(await run('import x from "../old"; x', { packagesFrom: from })).toMatchObject({ status: 'error' });
      } finally {
        rmSync(from, { recursive: true });
      }
    });

    test('a long source is prepared aside, however slow it is, and its lines are still its own', async () => {
      const long = `${'const a: number = 1;\n'.replace('a', 'first')}${'// a comment that makes it long\n'.repeat(1000)}throw new Error('at the end')`;
      const failed = await run(long);
      expect(failed).toMatchObject({ error: { message: 'at the end', line: 1002, column: 7 } });
      // Quadratic in acorn: seconds for half a megabyte. The event loop goes on meanwhile.
      let ticks = 0;
      const ticking = setInterval(() => (ticks += 1), 5);
      let many = '';
      for (let index = 0; many.length < 200_000; index += 1) many += `let a${index};`;
      await run(many);
      clearInterval(ticking);
      expect(ticks).toBeGreaterThan(5);
    });

    test('console is captured, streamed, cut', async () => {
      const seen: string[] = [];
      const result = await run('console.log("a", { b: [1] }); console.error(new Map([[1, 2]]), 5n)', {
        onLog: ({ text }) => seen.push(text),
      });
      expect(result.logs).toEqual([
        { level: 'log', text: 'a { b: [1] }' },
        { level: 'error', text: '{} 5n' },
      ]);
      expect(seen).toHaveLength(2);
      const flood = await run('for (let i = 0; i < 1e5; i++) console.log("x".repeat(1e5)); "done"', {
        limits: { logChars: 50_000 },
      });
      expect(flood).toMatchObject({ value: 'done', usage: { logsDropped: true } });
      expect(flood.logs.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(50_000);
    });

    test('the world has the named interfaces and they work', async () => {
      const source = `
      const url = new URL('../b?x=1&x=2#h', 'http://user@host.example:81/a/c');
      url.searchParams.append('y', 'ä b');
      const bytes = new TextEncoder().encode('aé€😀\\ud800');
      const shared = { a: new Date(5), m: new Map([[1, new Set([2])]]), b: new Uint8Array([1, 2]) };
      shared.self = shared;
      const copy = structuredClone(shared);
      ({
        href: url.href,
        all: url.searchParams.getAll('x'),
        bytes: [...bytes],
        text: new TextDecoder().decode(bytes),
        clone: [copy.a.getTime(), copy.m.get(1).has(2), copy.b[1], copy.self === copy, copy !== shared],
        uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()),
        random: crypto.getRandomValues(new Uint8Array(64)).some((n) => n > 0),
        timer: await new Promise((resolve) => setTimeout(resolve, 1, 'fired')),
        micro: await new Promise((resolve) => queueMicrotask(() => resolve('micro'))),
      })`;
      expect((await run(source)).value).toEqual({
        href: 'http://user@host.example:81/b?x=1&x=2&y=%C3%A4+b#h',
        all: ['1', '2'],
        bytes: [97, 195, 169, 226, 130, 172, 240, 159, 152, 128, 239, 191, 189],
        text: 'aé€😀\ufffd',
        clone: [5, true, 2, true, true],
        uuid: true,
        random: true,
        timer: 'fired',
        micro: 'micro',
      });
    });

    test('string code, WebAssembly and shared memory are there only when named', async () => {
      const source = `[typeof eval, typeof WebAssembly, typeof SharedArrayBuffer, typeof Atomics,
      ...[() => {}, async () => {}, function* () {}, async function* () {}].map((f) => { try { return typeof f.constructor('return 1') } catch (e) { return e.name } })]`;
      expect((await run(source)).value).toEqual([
        'undefined',
        'undefined',
        'undefined',
        'undefined',
        'EvalError',
        'EvalError',
        'EvalError',
        'EvalError',
      ]);
      expect((await run(source, { allow: ['eval', 'wasm', 'shared-memory'] })).value).toEqual([
        'function',
        'object',
        'function',
        'object',
        'function',
        'function',
        'function',
        'function',
      ]);
    });

    test('nothing of Node is there', async () => {
      const names = [
        'process',
        'require',
        'module',
        'global',
        'Buffer',
        'fetch',
        'ivm',
        '$$run',
        '$$modules',
        'WebSocket',
        'Worker',
        'performance',
        'navigator',
      ];
      expect((await run(`${JSON.stringify(names)}.filter((name) => name in globalThis)`)).value).toEqual([]);
    });
  });

  describe('defineCodeTool', () => {
    test('runs the code with its input, and throws what the code did not catch', async () => {
      const tool = defineCodeTool({
        name: 'double',
        description: 'doubles',
        input: z.object({ n: z.number() }),
        source: 'export default async ({ n }: { n: number }) => (await tools.add({ a: n, b: n }));',
        uses: governed({ add: ({ a, b }: { a: number; b: number }) => a + b }),
        pool,
      });
      expect(await tool.execute({ n: 21 })).toBe(42);
      const broken = defineCodeTool({
        name: 'broken',
        description: '',
        input: z.object({}),
        source: 'throw new Error("no")',
        pool,
      });
      await expect(broken.execute({})).rejects.toMatchObject({
        name: 'CodeToolError',
        status: 'error',
        message: expect.stringContaining('no'),
      });
    });

    test('needs one source', () => {
      const base = { name: 'x', description: '', input: z.object({}) };
      expect(() => defineCodeTool({ ...base, file: '/nonexistent/x.ts' })).toThrow(/readable/u);
      expect(() => defineCodeTool(base as never)).toThrow(/either/u);
    });
  });
});

describe('pools', () => {
  test('a guest recurses as deep on either kind of host, in a module and in a timer too', async () => {
    const count = 'let depth = 0; const down = () => { depth += 1; down(); }; try { down(); } catch {}';
    const source = `import { depth as inModule } from 'm';
    ${count}
    const inProgram = depth;
    depth = 0;
    await new Promise((resolve) => setTimeout(() => { try { down(); } catch {} resolve(); }, 1));
    [inModule, inProgram, depth]`;
    const depths: number[] = [];
    for (const [, hosts] of MANNERS) {
      using pool = openCodePool({ hosts });
      const { value } = await pool.run(source, { modules: { m: `${count} export { depth };` } });
      depths.push(...(value as number[]));
    }
    expect(Math.min(...depths)).toBeGreaterThan(5000);
    expect(Math.max(...depths) / Math.min(...depths)).toBeLessThan(1.5);
  });

  test('a dedicated session has a host of its own, kept until it ends', async () => {
    using pool = openCodePool({ hosts: 1 });
    await pool.ready();
    const before = new Set(pool.pids);
    const session = { isolation: 'dedicated', session: 's1' } as const;
    expect(await pool.run('1', session)).toMatchObject({ status: 'ok', value: 1 });
    const mine = pool.pids.filter((pid) => !before.has(pid));
    expect(mine).toHaveLength(1);
    // At once after the end of the one before, and several together.
    for (const value of [2, 3, 4])
      expect(await pool.run(String(value), session)).toMatchObject({ status: 'ok', value });
    const together = await Promise.all([5, 6, 7].map((value) => pool.run(String(value), session)));
    expect(together.map(({ value }) => value)).toEqual([5, 6, 7]);
    expect(pool.pids.filter((pid) => !before.has(pid))).toEqual(mine);
    pool.endSession('s1');
    expect(pool.pids).not.toContain(mine[0]);
  });

  test('guests beside one that kills the host end as crashed, once, and are not repeated', async () => {
    using small = openCodePool({ hosts: 1 });
    let calls = 0;
    const tools = governed({ count: () => new Promise(() => (calls += 1)) });
    const innocent = small.run('await tools.count()', { tools });
    await expect.poll(() => calls).toBe(1);
    const guilty = small.run('Array(1e9).fill(0)', { memoryMb: 16 });
    const [first, second] = await Promise.all([innocent, guilty]);
    expect(first.status).toBe('crashed');
    expect(['memory', 'crashed']).toContain(second.status);
    expect(await small.run('1')).toMatchObject({ value: 1 });
    expect(calls).toBe(1);
  });

  test.each([
    ['without waiting', ''],
    ['waiting now and then', 'await new Promise((r) => setTimeout(r, 1));'],
  ])(
    'who outgrows a host beside others ends as memory where it can be known, the others as crashed: %s',
    async (_, pause) => {
      // V8 does not count such buffers: the kernel does.
      const source = `const held = [];
      for (;;) {
        const buffer = new ArrayBuffer(8e6, { maxByteLength: 9e6 });
        new Uint8Array(buffer).fill(1);
        held.push(buffer);
        for (let i = 0; i < 2e6; i++);
        ${pause}
      }`;
      const attempt = async (): Promise<string> => {
        using small = openCodePool({ hosts: 1 });
        const waiting = small.run('await new Promise((r) => setTimeout(r, 20_000)); 1');
        const stepping = small.run('for (;;) await new Promise((r) => setTimeout(r, 2))');
        const guilty = await small.run(source, { memoryMb: 16 });
        // Nobody else is ever blamed.
        expect([(await waiting).status, (await stepping).status]).toEqual(['crashed', 'crashed']);
        expect(await small.run('1')).toMatchObject({ value: 1 });
        return guilty.status;
      };
      // On a busy machine the kernel may end the host before anything is at rest to be counted: then it is not known.
      let status = await attempt();
      for (let more = 0; more < 9 && status === 'crashed'; more += 1) status = await attempt();
      expect(status).toBe('memory');
    },
    120_000,
  );

  test('closing ends what is under way as crashed, and later use is misuse', async () => {
    const closing = openCodePool({ hosts: 1 });
    await closing.ready();
    const running = closing.run('await new Promise(() => {})');
    await new Promise((resolve) => setTimeout(resolve, 20));
    closing.close();
    expect((await running).status).toBe('crashed');
    await expect(closing.run('1')).rejects.toMatchObject({ name: 'TapPassConfigError' });
    expect(closing.pids).toEqual([]);
  });
});
