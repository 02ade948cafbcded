import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tappass-exec-'));
  writeFileSync(join(folder, 'a.txt'), 'hello');
});
afterAll(() => rmSync(folder, { recursive: true }));

const main = join(import.meta.dirname, 'exec-main.ts');

const exec = async (source: string, args: readonly string[] = [], stdin = '') => {
  const file = join(folder, 'script.ts');
  writeFileSync(file, source);
  const child = spawn(process.execPath, [
    '--no-warnings',
    main,
    'exec',
    file,
    '--workspace',
    folder,
    '--no-audit',
    ...args,
  ]);
  child.stdin.end(stdin);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
};

test('input from stdin, value to stdout, console to stderr', async () => {
  const source = 'console.log("working", input.n); export default ({ n }: { n: number }) => ({ double: n * 2 })';
  expect(await exec(source, [], '{"n":21}')).toEqual({ code: 0, stdout: '{"double":42}\n', stderr: 'working 21\n' });
});

test('tools of the workspace, under flags: what is blocked is 3 when the script does not catch it', async () => {
  const files = ['--tools', 'files', '--flags', 'files=read_only'];
  expect(await exec('(await tools.read_file({ path: "a.txt" })).content', files)).toMatchObject({
    code: 0,
    stdout: '"hello"\n',
  });
  const blocked = await exec('await tools.write_file({ path: "b.txt", content: "" })', files);
  expect(blocked).toMatchObject({ code: 3, stdout: '' });
  expect(blocked.stderr).toContain('Request blocked by check_files');
});

test('a failing script is 1 with its own line, wrong use is 2', async () => {
  const failed = await exec('1;\nthrow new Error("no\\u001b[31m")');
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain('script.ts:2:7');
  expect(failed.stderr).not.toContain('\u001b');
  expect((await exec('1', ['--timeout', 'soon'])).code).toBe(2);
  expect((await exec('1', [], 'no json')).code).toBe(2);
  expect((await exec('1', ['--tools', './nowhere.ts'])).code).toBe(2);
});

test('--timeout, --module and --json', async () => {
  const late = await exec('for (;;);', ['--timeout', '0.2', '--json']);
  expect(late.code).toBe(1);
  expect(JSON.parse(late.stdout)).toMatchObject({ status: 'timeout' });
  writeFileSync(join(folder, 'm.ts'), 'export const n: number = 5');
  expect(await exec('import { n } from "m"; n', ['--module', `m=${join(folder, 'm.ts')}`])).toMatchObject({
    stdout: '5\n',
  });
});

test('--declarations prints the tools without running anything', async () => {
  const { stdout, code } = await exec('throw 1', ['--tools', 'files', '--declarations']);
  expect(code).toBe(0);
  expect(stdout).toContain('read_file(input: {');
});
