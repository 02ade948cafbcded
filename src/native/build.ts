/**
 * Compiles the native part with the C compiler alone: no node-gyp, no Python, no network. Node-API is a stable ABI, so
 * the headers of any Node do; those of the running one come first.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;
const root = join(here, '..', '..');
const out = join(root, 'build', `${process.platform}-${process.arch}`);

const headers = [
  join(dirname(dirname(process.execPath)), 'include', 'node'),
  join(root, 'node_modules', 'node', 'node_modules', `node-linux-${process.arch}`, 'include', 'node'),
  '/usr/include/node',
  '/usr/local/include/node',
].find((directory) => existsSync(join(directory, 'node_api.h')));

const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-fstack-protector-strong', '-D_FORTIFY_SOURCE=2'];
const sources = (belongs: (name: string) => boolean): string[] =>
  readdirSync(here)
    .filter((name) => name.endsWith('.c') && belongs(name))
    .map((name) => join(here, name));

const isStale = (target: string): boolean => {
  if (!existsSync(target)) return true;
  const built = statSync(target).mtimeMs;
  return readdirSync(here).some((name) => statSync(join(here, name)).mtimeMs > built);
};

const compile = (target: string, args: readonly string[]): void => {
  if (!isStale(target)) return;
  const compiler = process.env['CC'] ?? 'cc';
  const result = spawnSync(compiler, [...flags, ...args, '-o', target], { stdio: 'inherit' });
  if (result.status === 0) return;
  console.error(
    `tappass: could not build ${target}: expected \`${compiler}\` to compile it, got ` +
      `${result.error?.message ?? `exit code ${String(result.status)}`}. Install gcc, or set CC. ` +
      'Without it the kernel sandbox is refused and files are opened by the slower JavaScript path.',
  );
  process.exitCode = 1;
};

if (process.platform === 'linux') {
  mkdirSync(out, { recursive: true });
  if (headers === undefined) {
    console.error(
      'tappass: could not build the addon: no node_api.h found; reinstall so that the `node` package arrives.',
    );
    process.exitCode = 1;
  } else {
    const addon = sources((name) => name.startsWith('addon') || name === 'kernel.c');
    compile(join(out, 'tappass.node'), ['-shared', '-fPIC', '-I', headers, ...addon]);
  }
  const launcher = sources((name) => name.startsWith('launcher') || name === 'kernel.c');
  compile(join(out, 'tappass-try'), ['-Os', '-s', '-static', join(here, 'try.c')]);
  if (existsSync(join(here, 'launcher.c'))) compile(join(out, 'tappass-launcher'), ['-static', ...launcher]);
}
