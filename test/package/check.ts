/**
 * What a consumer gets: packs the tarball, looks at it with publint and attw, installs it into an empty project without
 * the developers' tools, and runs it there.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..', '..');
const work = mkdtempSync(join(tmpdir(), 'tappass-package-'));

const run = (command: string, args: readonly string[], cwd = root): string => {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.status === 0) return result.stdout;
  console.error(
    `${command} ${args.join(' ')} failed with ${String(result.status)}\n${result.stdout}\n${result.stderr}`,
  );
  rmSync(work, { recursive: true, force: true });
  throw new Error(`${command} failed`);
};

const PROGRAM = `
import { govern, defineTool, PolicyBlockError, runCommand } from 'tappass';
import { TapPassError } from 'tappass/errors';
const [save] = govern([function save(path) { return path; }], { flags: 'files=project', effects: { save: { write: 'path' } } });
if (!save('a.txt').endsWith('/a.txt')) throw new Error('an allowed call did not run');
try { save('/etc/passwd'); throw new Error('not denied'); }
catch (error) { if (!(error instanceof PolicyBlockError) || !(error instanceof TapPassError)) throw error; }
const result = await runCommand(['/bin/echo', 'contained'], { tier: 'observer' });
if (result.stdout !== 'contained\\n') throw new Error('the kernel sandbox does not run: ' + JSON.stringify(result));
console.log(typeof defineTool);
`;

run('npm', ['run', 'prepack']);
run('npm', ['pack', '--ignore-scripts', '--pack-destination', work]);
const tarball = readdirSync(work).find((name) => name.endsWith('.tgz'));
if (tarball === undefined) throw new Error('npm pack made no tarball');
run('npx', ['publint', '--strict', join(work, tarball)]);
run('npx', ['attw', '--profile', 'esm-only', join(work, tarball)]);

const consumer = join(work, 'consumer');
run('mkdir', [consumer]);
writeFileSync(join(consumer, 'package.json'), '{"private":true,"type":"module"}');
writeFileSync(join(consumer, 'program.mjs'), PROGRAM);
run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', join(work, tarball)], consumer);
const printed = run(process.execPath, ['program.mjs'], consumer);
if (printed.trim() !== 'function') throw new Error(`expected the installed package to work, got ${printed}`);
const version = run(
  process.execPath,
  [join(consumer, 'node_modules', 'tappass', 'dist', 'cli', 'bin.js'), '--version'],
  consumer,
);
if (readdirSync(join(consumer, 'node_modules')).includes('node'))
  throw new Error('a consumer must not download a Node');
rmSync(work, { recursive: true, force: true });
console.log(`package: publint, attw, install and use of tappass ${version.trim()} are fine`);
