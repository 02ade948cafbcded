/** What compiling a profile costs: the first time, again, and when nothing has changed. `node test/bench/profile.bench.ts` */
import { homedir, tmpdir } from 'node:os';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compileProfile, type CompileOptions } from '../../src/kernel/compile.ts';
import { hostAbilities } from '../../src/kernel/host.ts';
import { loadProfile } from '../../src/kernel/profile-files.ts';
import { compileSeccomp } from '../../src/kernel/seccomp.ts';

const ROUNDS = 50;
const workspace = mkdtempSync(join(tmpdir(), 'tappass-bench-'));
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
const timed = (work: () => unknown): number => {
  const begun = performance.now();
  work();
  return (performance.now() - begun) * 1000;
};

console.log('profile        rules   filter   first µs   again µs   cached µs   filter alone µs');
for (const name of ['observer', 'worker', 'standard', 'isolate-host']) {
  const { profile } = loadProfile(name);
  const options: CompileOptions = {
    variables: { workspace, node: process.execPath, home: homedir(), runtime: [import.meta.dirname] },
    host: hostAbilities(),
    searchPath: (process.env['PATH'] ?? '').split(':'),
  };
  const first = timed(() => compileProfile(profile, options));
  const result = compileProfile(profile, options);
  if ('missing' in result) throw new Error(JSON.stringify(result.missing));
  const cached = median(Array.from({ length: ROUNDS }, () => timed(() => compileProfile(profile, options))));
  // A copy of the profile has a cache of its own.
  const again = median(Array.from({ length: ROUNDS }, () => timed(() => compileProfile({ ...profile }, options))));
  const { rules, fallback } = result.explanation;
  const filter = median(Array.from({ length: ROUNDS }, () => timed(() => compileSeccomp({ rules, fallback }, 'x64'))));
  const { landlock, seccomp } = result.compiled;
  const columns = [landlock.paths.length, seccomp.length / 8, first, again, cached, filter].map((value) =>
    String(Math.round(value)),
  );
  console.log(
    `${name.padEnd(13)}${columns.map((text, index) => text.padStart([7, 9, 11, 11, 12, 18][index] ?? 8)).join('')}`,
  );
}
rmSync(workspace, { recursive: true });
