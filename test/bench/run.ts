/** Runs every benchmark, or those named: `npm run bench -- govern journal`; `decide` stands for those of all deciders. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const DECIDERS = ['sql', 'comms', 'file'];

const wanted = process.argv.slice(2).flatMap((name) => (name === 'decide' ? DECIDERS : [name]));
const files = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.bench.ts'))
  .filter((name) => wanted.length === 0 || wanted.includes(name.replace('.bench.ts', '')));
if (files.length === 0) {
  console.error(`Expected the name of a benchmark, got ${wanted.join(', ')}`);
  process.exit(2);
}
for (const name of files) {
  console.log(`\n# ${name}\n`);
  const { status } = spawnSync(process.execPath, ['--expose-gc', join(import.meta.dirname, name)], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
