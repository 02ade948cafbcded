/**
 * Preparing a program reads hostile text with parsers whose worst case is quadratic (acorn: 28 s for 512 KB of exports)
 * or fatal (deep nesting breaks an instance of amaro). A short one in JavaScript costs microseconds and is done here;
 * others are done on a thread of their own, which is ended when it takes too long or breaks, so that no source can hold
 * up the program around.
 */
import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { NEEDS_TYPES, prepareProgram, type Preparation, type PreparedProgram, type ProgramSource } from './prepare.ts';
import type { ThreadAnswer } from './prepare-thread.ts';

/** Longest program, in UTF-16 units with its modules, that is prepared on this thread: at its worst some milliseconds. */
const SHORT = 8 * 1024;
/** What an honest program of the largest size takes, many times over. */
const DEADLINE_MS = 10_000;

export const prepareBounded = async (program: ProgramSource): Promise<Preparation> => {
  let length = program.source.length;
  for (const source of Object.values(program.modules)) length += source.length;
  const key = length <= MOST_KEPT_LENGTH ? keyOf(program) : undefined;
  const known = key === undefined ? undefined : kept.get(key);
  if (known !== undefined) return known;
  const here = length <= SHORT ? prepareProgram(program) : NEEDS_TYPES;
  const prepared = typeof here === 'symbol' ? await (thread ??= new PreparingThread()).prepare(program) : here;
  if (key !== undefined && 'body' in prepared) keep(key, prepared);
  return prepared;
};

/** A code tool runs the same program at each call. The last programs are kept, 64 of at most 32 KB. */
const MOST_KEPT = 64;
const MOST_KEPT_LENGTH = 32 * 1024;
const kept = new Map<string, PreparedProgram>();

const keyOf = ({ source, file, language, modules, sourceBytes }: ProgramSource): string =>
  JSON.stringify([file, language, sourceBytes, source, modules]);

const keep = (key: string, program: PreparedProgram): void => {
  const [oldest] = kept.keys();
  if (kept.size >= MOST_KEPT && oldest !== undefined) kept.delete(oldest);
  kept.set(key, program);
};

interface Job {
  readonly program: ProgramSource;
  readonly done: (preparation: Preparation) => void;
}

/** One thread, one program at a time; kept for the next, and no reason for the process to stay. */
class PreparingThread {
  #worker: Worker | undefined;
  #queue: Job[] = [];
  #current: Job | undefined;
  #deadline: NodeJS.Timeout | undefined;

  prepare(program: ProgramSource): Promise<Preparation> {
    return new Promise((done) => {
      this.#queue.push({ program, done });
      this.#next();
    });
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const job = this.#queue.shift();
    if (job === undefined) {
      this.#worker?.unref();
      return;
    }
    this.#current = job;
    this.#deadline = setTimeout(
      () => this.#fail(`Expected a source that can be parsed within ${DEADLINE_MS} ms`),
      DEADLINE_MS,
    );
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    worker.postMessage(job.program, []);
  }

  #start(): Worker {
    const worker = new Worker(join(import.meta.dirname, `prepare-thread${extname(import.meta.filename)}`), {
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 512 },
    });
    worker.on('message', ({ preparation, isBroken }: ThreadAnswer) => {
      if (isBroken) this.#discard();
      this.#end(preparation);
    });
    worker.on('error', (error) => this.#fail(`Expected a source that can be parsed, got: ${error.message}`));
    return worker;
  }

  #discard(): void {
    this.#worker?.removeAllListeners('message');
    void this.#worker?.terminate();
    this.#worker = undefined;
  }

  #fail(message: string): void {
    this.#discard();
    this.#end({ fault: { file: this.#current?.program.file ?? '', message, line: 1, column: 1 } });
  }

  #end(preparation: Preparation): void {
    clearTimeout(this.#deadline);
    const job = this.#current;
    this.#current = undefined;
    job?.done(preparation);
    this.#next();
  }
}

let thread: PreparingThread | undefined;
