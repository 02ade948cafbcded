/**
 * Builds the native part: `node src/native/build.ts` for this machine, into `build/`; with `--prebuilds` for every
 * architecture that the package is published for, into `prebuilds/`.
 *
 * Compiles with the C compiler alone: no node-gyp, no Python, no network. Node-API is a stable ABI, so
 * the headers of any Node do; those of the running one come first.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

const here = import.meta.dirname;
const root = join(here, '..', '..');
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

const compile = (compiler: string, target: string, args: readonly string[]): void => {
  if (!isStale(target)) return;
  const result = spawnSync(compiler, [...flags, ...args, '-o', target], { stdio: 'inherit' });
  if (result.status === 0) return;
  console.error(
    `tappass: could not build ${target}: expected \`${compiler}\` to compile it, got ` +
      `${result.error?.message ?? `exit code ${String(result.status)}`}. Install gcc, or set CC. ` +
      'Without it the kernel sandbox is refused and files are opened by the slower JavaScript path.',
  );
  process.exitCode = 1;
};

const buildInto = (folder: string, compiler: string, include: string): void => {
  mkdirSync(folder, { recursive: true });
  const addon = sources((name) => name.startsWith('addon') || name === 'kernel.c');
  compile(compiler, join(folder, 'tappass.node'), ['-shared', '-fPIC', '-s', '-I', include, ...addon]);
  const launcher = sources((name) => name.startsWith('launcher') || name === 'kernel.c');
  compile(compiler, join(folder, 'tappass-launcher'), ['-s', '-static', ...launcher]);
  compile(compiler, join(folder, 'tappass-try'), ['-Os', '-s', '-static', join(here, 'try.c')]);
};

const own = process.env['CC'] ?? 'cc';
const COMPILERS: Readonly<Record<string, string>> = {
  x64: process.arch === 'x64' ? own : 'x86_64-linux-gnu-gcc',
  arm64: process.arch === 'arm64' ? own : 'aarch64-linux-gnu-gcc',
};

if (process.platform !== 'linux') {
  console.error('tappass: the kernel sandbox is for Linux; here tools are governed, and nothing is contained.');
} else if (headers === undefined) {
  console.error(
    'tappass: expected node_api.h beside Node or in /usr/include/node, found none: reinstall with `npm ci`.',
  );
  process.exitCode = 1;
} else if (process.argv.includes('--prebuilds')) {
  for (const [arch, compiler] of Object.entries(COMPILERS)) {
    if (spawnSync(compiler, ['--version']).status === 0) {
      buildInto(join(root, 'prebuilds', `linux-${arch}`), compiler, headers);
    } else {
      console.error(
        `tappass: no prebuilds for linux-${arch}: ${compiler} is not installed (Debian: gcc-aarch64-linux-gnu).`,
      );
      if (process.env['TAPPASS_PUBLISH'] === '1') process.exitCode = 1;
    }
  }
} else buildInto(join(root, 'build', `linux-${process.arch}`), own, headers);
