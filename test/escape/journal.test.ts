/** The journal of a workspace, before a command that may write there. */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openJournal, verifyJournal } from '../../src/audit-log.ts';
import { govern } from '../../src/govern.ts';
import { runCommand } from '../../src/run-command.ts';

const directory = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'escape-journal-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
};

/** Each writes `yes` when it got through; `$1` is the folder that holds the journal's, `$2` the name of that. */
const attacks: readonly (readonly [name: string, script: string])[] = [
  ['appending', 'echo "{}" >> "$1/$2/audit/"*.jsonl && echo yes'],
  ['truncating', 'for f in "$1/$2/audit/"*.jsonl; do : > "$f" && echo yes; done'],
  ['deleting', 'rm -f "$1/$2/audit/"*.jsonl && echo yes'],
  ['a file beside it', 'echo x > "$1/$2/audit/more.jsonl" && echo yes'],
  ['moving its folder away', 'mv "$1/$2" "$1/away" && echo yes'],
  ['another folder in its place', 'mkdir "$1/mine" && mv -T "$1/mine" "$1/$2" && echo yes'],
  ['a hard link', 'for f in "$1/$2/audit/"*.jsonl; do ln "$f" "$1/link" && echo x >> "$1/link" && echo yes; done'],
  ['its mode', 'chmod 777 "$1/$2" && echo yes'],
  ['by way of /proc', 'cd "$1/$2" && echo x > /proc/self/cwd/file && echo yes'],
];

const hasMounts = ({ layers }: { readonly layers: readonly { readonly layer: string; readonly enforced: string }[] }) =>
  layers.some(({ layer, enforced }) => layer === 'namespace-mount' && enforced === 'full');

const withJournal = async (): Promise<string> => {
  const workspace = directory();
  const { act } = govern({ act: () => 1 }, { workspace });
  act();
  return workspace;
};

test.each(attacks)('%s: works outside, and beside the journal; not on it', async (_, script) => {
  const workspace = await withJournal();
  const copy = directory();
  cpSync(join(workspace, '.tappass'), join(copy, '.tappass'), { recursive: true });
  // For the move that replaces a folder: an empty one.
  const emptied = script.includes('mv -T') ? `rm -r "$1/$2"/*; ${script}` : script;
  const outside = spawnSync('sh', ['-c', emptied, 'sh', copy, '.tappass'], { encoding: 'utf8' });
  expect(outside.stdout).toContain('yes');

  const inside = async (name: string, text: string) =>
    runCommand(['sh', '-c', text, 'sh', workspace, name], { workspace });
  cpSync(join(workspace, '.tappass'), join(workspace, '.other'), { recursive: true });
  const twin = await inside('.other', emptied);
  expect(twin.stdout).toContain('yes');

  const before = await verifyJournal(join(workspace, '.tappass', 'audit'));
  const { stdout, report } = await inside('.tappass', emptied);
  const mounts = report.layers.find(({ layer }) => layer === 'namespace-mount');
  if (mounts?.enforced === 'full') expect(stdout).not.toContain('yes');
  else console.log(`not held here: ${mounts?.detail ?? 'no mount namespace'}`);
  if (mounts?.enforced === 'full') expect(await verifyJournal(join(workspace, '.tappass', 'audit'))).toEqual(before);
});

test('a journal elsewhere in the workspace is kept as well, for as long as it is open', async () => {
  const workspace = directory();
  const journal = await openJournal({ dir: join(workspace, 'records') });
  journal.append({ type: 'notice', reason: 'before' });
  const append = () =>
    runCommand(['sh', '-c', 'echo x >> "$1/records/"*.jsonl && echo yes', 'sh', workspace], { workspace });
  const open = await append();
  if (open.report.layers.some(({ layer, enforced }) => layer === 'namespace-mount' && enforced === 'full')) {
    expect(open.stdout).toBe('');
  }
  journal.append({ type: 'notice', reason: 'after' });
  await journal.close();
  expect((await verifyJournal(join(workspace, 'records'))).ok).toBe(true);
  expect((await append()).stdout).toBe('yes\n');
});

/** Those that get through would leave a folder of the command's own where readers look for the journal. */
const above: readonly (readonly [name: string, script: string])[] = [
  ['the folder above it', 'mv "$1/a/b" "$1/a/away" && mkdir -p "$1/a/b/audit" && echo yes'],
  ['the folder above that', 'mv "$1/a" "$1/away" && mkdir -p "$1/a/b/audit" && echo yes'],
  ['both, by an exchange', 'mkdir -p "$1/mine/b/audit" && mv --exchange "$1/a" "$1/mine" && echo yes'],
];

test.each(above)('%s cannot be renamed to make room for another journal', async (_, script) => {
  const workspace = directory();
  mkdirSync(join(workspace, 'a', 'b', 'audit'), { recursive: true });
  const run = async () => runCommand(['sh', '-c', script, 'sh', workspace], { workspace });
  const canExchange = !script.includes('--exchange') || spawnSync('mv', ['--exchange', '--help']).status === 0;
  const free = await run();
  expect(free.stdout).toBe(canExchange ? 'yes\n' : '');
  for (const name of readdirSync(workspace)) rmSync(join(workspace, name), { recursive: true });

  const dir = join(workspace, 'a', 'b', 'audit');
  const journal = await openJournal({ dir });
  journal.append({ type: 'notice', reason: 'before' });
  const { stdout, report } = await run();
  if (!hasMounts(report)) return;
  expect(stdout).toBe('');
  await journal.close();
  expect(await verifyJournal(dir)).toMatchObject({ ok: true, events: 3 });
});

test('what the path of a journal names is the same file after any command, and its folders can still be written', async () => {
  const workspace = directory();
  const dir = join(workspace, 'a', 'b', 'audit');
  const journal = await openJournal({ dir });
  journal.append({ type: 'notice', reason: 'before' });
  const folders = ['a', 'a/b', 'a/b/audit'].map((name) => join(workspace, name));
  const inodes = () => folders.map((folder) => statSync(folder).ino);
  const before = inodes();
  const script = `cd "$1"; echo x > a/b/new && mkdir a/more && echo beside; mv a/b/new a/more/ && echo moved
    for f in a a/b a/b/audit; do mv $f gone; rmdir $f; rm -rf $f; mkdir -p $f; mv -T a/more $f; ln -sfn . $f; done 2> /dev/null; true`;
  const { stdout, report } = await runCommand(['sh', '-c', script, 'sh', workspace], { workspace });
  expect(stdout).toBe('beside\nmoved\n');
  if (!hasMounts(report)) return;
  expect(inodes()).toEqual(before);
  await journal.close();
  expect(await verifyJournal(dir)).toMatchObject({ ok: true, events: 3 });
});

test.each([
  ['is the workspace', (workspace: string) => workspace],
  ['lies around it', (workspace: string) => join(workspace, '..')],
  ['lies around the private folder of a command', () => tmpdir()],
])('a journal that %s leaves the command what it may write', async (_, dirOf) => {
  const workspace = join(directory(), 'work');
  mkdirSync(workspace);
  const dir = dirOf(workspace);
  const before = new Set(readdirSync(dir));
  const journal = await openJournal({ dir });
  journal.append({ type: 'notice', reason: 'open' });
  onTestFinished(async () => {
    await journal.close();
    for (const name of readdirSync(dir)) if (name.endsWith('.jsonl') && !before.has(name)) rmSync(join(dir, name));
  });
  const script = 'echo x > "$1/new" && echo x > "$TMPDIR/new" && mkdir "$1/folder" && echo written';
  const { stdout } = await runCommand(['sh', '-c', script, 'sh', workspace], { workspace });
  expect(stdout).toBe('written\n');
});

test('a link that a command left in the place of the folder takes nothing from the next one', async () => {
  const workspace = directory();
  mkdirSync(join(workspace, 'src'));
  for (const target of ['.', 'src']) {
    const run = async (script: string) => runCommand(['sh', '-c', script, 'sh', workspace], { workspace });
    await run(`ln -s ${target} "$1/.tappass"`);
    expect((await run('echo x > "$1/src/new" && echo x > "$1/new" && echo written')).stdout).toBe('written\n');
    rmSync(join(workspace, '.tappass'));
  }
});

test('a link in the place of the folder costs a command none of its walls', async () => {
  const workspace = directory();
  const elsewhere = directory();
  const plain = await runCommand(['true'], { workspace });
  symlinkSync(elsewhere, join(workspace, '.tappass'));
  const linked = await runCommand(['sh', '-c', 'echo x > "$1/new"', 'sh', workspace], { workspace });
  expect(linked.exitCode).toBe(0);
  expect(linked.report.layers).toEqual(plain.report.layers);
  rmSync(join(workspace, '.tappass'));
  writeFileSync(join(workspace, '.tappass'), 'a file');
  expect((await runCommand(['true'], { workspace })).report.layers).toEqual(plain.report.layers);
});

test('who reads the workspace reads the journal, and the rest of the workspace can be written', async () => {
  const workspace = await withJournal();
  const script = 'cat "$1/.tappass/audit/"*.jsonl | wc -l; mkdir "$1/a" && echo x > "$1/a/b" && mv "$1/a" "$1/c"';
  const { stdout, exitCode } = await runCommand(['sh', '-c', script, 'sh', workspace], { workspace });
  expect({ exitCode, lines: Number(stdout) }).toEqual({ exitCode: 0, lines: 3 });
  expect(readFileSync(join(workspace, 'c', 'b'), 'utf8')).toBe('x\n');
  mkdirSync(join(workspace, '.tappass', 'later'));
  expect(readdirSync(join(workspace, '.tappass'))).toEqual(['audit', 'later']);
});
