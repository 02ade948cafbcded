/** Who may import whom. The table is the design; this test is what keeps it true. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', 'src');

/** Rooms each room may import from, besides itself. `node` stands for any `node:*` module. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  model: [],
  effect: ['model'],
  policy: ['model'],
  content: ['model'],
  audit: ['model', 'node', 'native'],
  kernel: ['model', 'node', 'native'],
  broker: ['model', 'node', 'native'],
  isolate: ['model', 'kernel', 'node'],
  tools: ['model'],
  native: ['node'],
  cli: ['model', 'door', 'node'],
  door: ['model', 'effect', 'policy', 'content', 'audit', 'kernel', 'broker', 'isolate', 'tools', 'native', 'node'],
};

const roomOf = (file: string): string => {
  const [first = '', ...rest] = relative(root, file).split('/');
  return rest.length === 0 ? 'door' : first;
};

const IMPORT =
  /^\s*(?:import|export)\b[^;'"]*?from\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|^\s*import\s*['"]([^'"]+)['"]/gmu;

const importsOf = (source: string): readonly string[] =>
  [...source.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');

const violationsIn = (file: string, source: string): readonly string[] => {
  const from = roomOf(file);
  const allowed = MAY_IMPORT[from];
  if (allowed === undefined) return [`${file}: the room ${from} is not in the table`];
  return importsOf(source).flatMap((specifier) => {
    if (!specifier.startsWith('.')) {
      return specifier.startsWith('node:') && !allowed.includes('node')
        ? [`${relative(root, file)} → ${specifier}`]
        : [];
    }
    const to = roomOf(resolve(dirname(file), specifier));
    return to === from || allowed.includes(to) ? [] : [`${relative(root, file)} → ${specifier}`];
  });
};

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && name !== join('native', 'build.ts'))
  .map((name) => join(root, name));

test('every import follows the table of rooms', () => {
  expect(files.length).toBeGreaterThan(5);
  expect(files.flatMap((file) => violationsIn(file, readFileSync(file, 'utf8')))).toEqual([]);
});

test('a forbidden import is seen, an allowed one is not', () => {
  const file = join(root, 'policy', 'made-up.ts');
  expect(violationsIn(file, `import { open } from 'node:fs';`)).toHaveLength(1);
  expect(violationsIn(file, `import { openFile } from '../broker/file.ts';`)).toHaveLength(1);
  expect(violationsIn(file, `export {\n  a,\n} from '../audit/journal.ts';`)).toHaveLength(1);
  expect(violationsIn(file, `const x = await import('node:fs');`)).toHaveLength(1);
  expect(violationsIn(file, `import type { Effect } from '../model/effect.ts';`)).toEqual([]);
});
