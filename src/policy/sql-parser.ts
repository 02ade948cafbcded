/**
 * PostgreSQL's own parser (libpg_query, WebAssembly), driven synchronously. The package's loader is asynchronous, but
 * all it awaits is the instance, which is handed to it at once; what its `run()` would do later is done here.
 */

/** The members of an Emscripten module that are used; `libpg-query` 18 exports them. */
export interface PgModule {
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  _wasm_parse_query_raw(text: number): number;
  _wasm_free_parse_result(result: number): void;
  /** Replaced when the memory grows. */
  readonly HEAPU8: Uint8Array<ArrayBuffer>;
  getValue(pointer: number, type: 'i32'): number;
}

/** The part of WebAssembly that is used: the language's own declarations come only with those of a browser. */
interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>;
}
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => WasmInstance;
}
const wasmOf = (): Wasm => (globalThis as unknown as { readonly WebAssembly: Wasm }).WebAssembly;

export type PgFactory = (module: Record<string, unknown>) => Promise<unknown>;

export interface SqlParser {
  /** The parse tree as JSON text, or what is wrong with the text. Throws when the parser itself failed. */
  parse(text: string): { readonly tree: string } | { readonly error: string };
}

/**
 * Most instances that one process makes (default 1000). An instance that failed is never used again: after a few dozen
 * stack overflows libpg-query hangs. Bounds the memory and time that hostile texts cost.
 */
const MAX_INSTANCES = 1000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** As the module's own `UTF8ToString`, which looks for the end byte by byte: trees are long. */
const textAt = ({ HEAPU8 }: PgModule, pointer: number): string =>
  decoder.decode(HEAPU8.subarray(pointer, HEAPU8.indexOf(0, pointer)));

const instantiate = (factory: PgFactory, compiled: object): PgModule => {
  const module: Record<string, unknown> = { print: () => undefined, printErr: () => undefined };
  module['instantiateWasm'] = (
    imports: object,
    receive: (instance: WasmInstance) => void,
  ): Readonly<Record<string, unknown>> => {
    const exports = { ...new (wasmOf().Instance)(compiled, imports).exports };
    // The loader calls the C constructors after its first await; they must run now, and once.
    const constructors = exports['A'] as () => void;
    exports['A'] = () => undefined;
    receive({ exports });
    constructors();
    return exports;
  };
  factory(module).catch(() => undefined);
  return module as unknown as PgModule;
};

/** `wasm` is the text of `libpg-query/wasm/libpg-query.wasm`; `factory` its loader. Compiles at once (about 10 ms). */
export const createSqlParser = (factory: PgFactory, wasm: Uint8Array): SqlParser => {
  const compiled = new (wasmOf().Module)(wasm);
  let instances = 0;
  let instance: PgModule | undefined;
  const usable = (): PgModule => {
    if (instance === undefined) {
      if (++instances > MAX_INSTANCES) throw new Error('The SQL parser failed too often: restart the process');
      instance = instantiate(factory, compiled);
    }
    return instance;
  };
  const run = (pg: PgModule, text: string): { readonly tree: string } | { readonly error: string } => {
    const query = pg._malloc(3 * text.length + 1);
    const memory = pg.HEAPU8;
    memory[query + encoder.encodeInto(text, memory.subarray(query)).written] = 0;
    const result = pg._wasm_parse_query_raw(query);
    const tree = pg.getValue(result, 'i32');
    const error = pg.getValue(result + 8, 'i32');
    const answer = error === 0 ? { tree: textAt(pg, tree) } : { error: textAt(pg, pg.getValue(error, 'i32')) };
    pg._free(query);
    pg._wasm_free_parse_result(result);
    return answer;
  };
  return {
    parse(text) {
      const pg = usable();
      instance = undefined;
      const answer = run(pg, text);
      // A throw never comes here. What PostgreSQL reports itself unwinds cleanly, unless it ran out of memory or stack.
      if ('tree' in answer || !/memory|stack|exhaust/iu.test(answer.error)) instance = pg;
      return answer;
    },
  };
};
