/**
 * The programs that benchmarks stand beside are installed on demand, pinned, into an ignored cache: nobody who only
 * wants the tests downloads them, and a peer that cannot be had is named in the table, not skipped in silence.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const cache = resolve(import.meta.dirname, '..', '..', '.cache', 'peers');

export type Peer = { readonly module: Record<string, unknown> } | { readonly missing: string };

/** Imports `name` at exactly `version` from the cache, installing it first where needed, with npm's `options`. */
export const peer = async (
  name: string,
  version: string,
  entry = name,
  options: readonly string[] = [],
): Promise<Peer> => {
  const home = join(cache, `${name.replaceAll('/', '+')}@${version}`);
  if (!existsSync(join(home, 'node_modules', name))) {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'package.json'), '{"private":true,"type":"module"}');
    const install = spawnSync('npm', ['install', '--no-audit', '--no-fund', ...options, `${name}@${version}`], {
      cwd: home,
      encoding: 'utf8',
    });
    if (install.status !== 0) return { missing: `${name}@${version} cannot be installed here` };
  }
  try {
    const require = createRequire(join(home, 'package.json'));
    const resolved = require.resolve(entry);
    return { module: (await import(pathToFileURL(resolved).href)) as Record<string, unknown> };
  } catch (error) {
    return { missing: `${name}@${version} does not load: ${error instanceof Error ? error.message : String(error)}` };
  }
};
