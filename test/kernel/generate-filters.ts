/** Writes `sandbox-profiles/filters` from the built-in profiles: `node test/kernel/generate-filters.ts`. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readyMadeFiles } from './ready-made.ts';

rmSync(join(import.meta.dirname, '..', '..', 'sandbox-profiles', 'filters'), { recursive: true, force: true });
for (const [file, text] of readyMadeFiles()) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
