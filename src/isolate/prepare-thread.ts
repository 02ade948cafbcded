/** The other end of `prepare-bounded.ts`: a thread that prepares one program after the other. */
import { parentPort } from 'node:worker_threads';
import { prepareProgram, type Preparation, type ProgramSource } from './prepare.ts';
import { loadTypeStripper, type Strip } from './typescript.ts';

export interface ThreadAnswer {
  readonly preparation: Preparation;
  /** The thread must not be given another program. */
  readonly isBroken: boolean;
}

let stripper: Promise<Strip> | undefined;

const prepare = async (program: ProgramSource): Promise<ThreadAnswer> => {
  const load = await (stripper ??= loadTypeStripper());
  let isBroken = false;
  const preparation = prepareProgram(program, (source, file) => {
    const stripped = load(source, file);
    if ('isBroken' in stripped) isBroken = true;
    return stripped;
  });
  if (typeof preparation === 'symbol') throw new TypeError('Expected a program that was prepared');
  return { preparation, isBroken };
};

parentPort?.on('message', (program: ProgramSource) => {
  void prepare(program).then((answer) => parentPort?.postMessage(answer, []));
});
