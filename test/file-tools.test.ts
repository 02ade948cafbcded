/** The file tools on a real workspace, by both methods: what works, and that nothing outside is read or changed. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { FileMethod } from '../src/broker/file-calls.ts';
import { type FileTools, fileTools } from '../src/file-tools.ts';

const METHODS: readonly FileMethod[] = ['openat2', 'fallback'];

let top: string;
let root: string;
beforeEach(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-tools-')));
  root = join(top, 'ws');
  mkdirSync(join(root, 'a', 'b'), { recursive: true });
  mkdirSync(join(top, 'outside'));
  writeFileSync(join(top, 'outside', 'secret'), 'secret');
  writeFileSync(join(root, 'f'), 'one\ntwo\nthree\n');
  writeFileSync(join(root, 'a', 'g'), 'g');
  symlinkSync('../outside', join(root, 'out'));
  symlinkSync('../outside/secret', join(root, 'out-file'));
  symlinkSync('../outside/new', join(root, 'dangling'));
  symlinkSync('a', join(root, 'in'));
  symlinkSync('../f', join(root, 'a', 'f-link'));
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

const at = (name: string): string => join(root, name);
const text = (name: string): string => readFileSync(at(name), 'utf8');
const outside = (): string =>
  JSON.stringify([readdirSync(join(top, 'outside')), readFileSync(join(top, 'outside', 'secret'), 'utf8')]);

/** What this process holds open beneath `directory`: others' descriptors come and go with the collector. */
const openBeneath = (directory: string): readonly string[] =>
  readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    })
    .filter((path) => path.startsWith(directory));

/** Runs a tool as a caller does: the schema first. */
const call = async <S extends StandardSchemaV1, R>(
  tool: {
    readonly input: S;
    readonly execute: (input: StandardSchemaV1.InferOutput<S>, context?: { callId: string; signal?: AbortSignal }) => R;
  },
  input: StandardSchemaV1.InferInput<S>,
  signal?: AbortSignal,
): Promise<Awaited<R>> => {
  const checked = await tool.input['~standard'].validate(input);
  if (checked.issues) throw new Error(JSON.stringify(checked.issues));
  return await tool.execute(checked.value, {
    callId: 'call',
    ...(signal && { signal }),
  });
};

const REFUSED = { code: 'TAPPASS_REFUSED', message: expect.stringMatching(/^Access denied/u) };
const failed = (code: string) => ({ code: 'TAPPASS_FAILED', cause: expect.objectContaining({ code }) });

describe.each(METHODS)('by %s', (method) => {
  let tools: FileTools;
  beforeEach(() => {
    tools = fileTools({ workspace: root, method });
  });

  test('reads a file: whole, its head, its tail, in base64', async () => {
    expect(await call(tools.read_file, { path: 'f' })).toEqual({
      path: 'f',
      content: 'one\ntwo\nthree\n',
      encoding: 'utf8',
      size: 14,
      truncated: false,
    });
    expect(await call(tools.read_file, { path: at('f'), head: 2 })).toMatchObject({ content: 'one\ntwo' });
    expect(await call(tools.read_file, { path: 'f', head: 9 })).toMatchObject({ content: 'one\ntwo\nthree\n' });
    expect(await call(tools.read_file, { path: 'f', tail: 2 })).toMatchObject({ content: 'two\nthree\n' });
    expect(await call(tools.read_file, { path: 'f', tail: 9 })).toMatchObject({ content: 'one\ntwo\nthree\n' });
    expect(await call(tools.read_file, { path: 'f', encoding: 'base64' })).toMatchObject({
      content: Buffer.from(text('f')).toString('base64'),
    });
    expect(await call(tools.read_file, { path: 'a/f-link' })).toMatchObject({ path: 'f', content: text('f') });
    await expect(call(tools.read_file, { path: 'f', head: 1, tail: 1 })).rejects.toThrow(/either/u);
  });

  test('head and tail agree with coreutils across chunk borders', async () => {
    const long = Array.from({ length: 10_000 }, (_, line) => `${'é'.repeat(line % 40)}${String(line)}`).join('\n');
    writeFileSync(at('long'), long);
    for (const count of [1, 2, 1000, 9999, 10_000, 20_000]) {
      const by = (tool: string): string =>
        spawnSync(tool, ['-n', String(count), at('long')], { encoding: 'utf8', maxBuffer: 1e8 }).stdout;
      const { content: head } = await call(tools.read_file, { path: 'long', head: count });
      expect(head === by('head').replace(/\n$/u, '')).toBe(true);
      expect((await call(tools.read_file, { path: 'long', tail: count })).content === by('tail')).toBe(true);
    }
  });

  test('a limit cuts between characters and says so', async () => {
    const small = fileTools({ workspace: root, method, maxReadBytes: 4 });
    writeFileSync(at('é'), 'xéééx');
    expect(await call(small.read_file, { path: 'é' })).toMatchObject({ content: 'xé', size: 8, truncated: true });
    expect(await call(small.read_file, { path: 'é', tail: 1 })).toMatchObject({ content: 'éx', truncated: true });
    expect(await call(small.read_file, { path: 'é', encoding: 'base64' })).toMatchObject({
      content: Buffer.from('xéé').subarray(0, 4).toString('base64'),
    });
    expect(await call(small.read_file, { path: 'a/g' })).toMatchObject({ content: 'g', truncated: false });
    writeFileSync(at('four'), '1234');
    expect(await call(small.read_file, { path: 'four' })).toMatchObject({ content: '1234', truncated: false });
  });

  test('a huge sparse file costs no more than its limit', async () => {
    writeFileSync(at('huge'), 'x');
    truncateSync(at('huge'), 2 ** 40);
    expect(await call(tools.read_file, { path: 'huge', encoding: 'base64' })).toMatchObject({
      size: 2 ** 40,
      truncated: true,
    });
  });

  test('what is not text is an error, not a changed text', async () => {
    writeFileSync(at('binary'), Buffer.from([0xff, 0xfe, 0]));
    await expect(call(tools.read_file, { path: 'binary' })).rejects.toThrow(/not UTF-8.*base64/u);
    const { content } = await call(tools.read_file, { path: 'binary', encoding: 'base64' });
    await call(tools.write_file, { path: 'copy', content, encoding: 'base64' });
    expect(readFileSync(at('copy'))).toEqual(Buffer.from([0xff, 0xfe, 0]));
    await expect(call(tools.write_file, { path: 'x', content: 'not base64', encoding: 'base64' })).rejects.toThrow(
      /base64/u,
    );
    await expect(call(tools.write_file, { path: 'x', content: '\uD800' })).rejects.toThrow(/Unicode/u);
    writeFileSync(at('bom'), '\uFEFFx');
    expect((await call(tools.read_file, { path: 'bom' })).content).toBe('\uFEFFx');
  });

  test('writes a new file, replaces one, keeps its mode, leaves nothing beside it', async () => {
    expect(await call(tools.write_file, { path: 'new', content: 'é' })).toEqual({
      path: 'new',
      size: 2,
      created: true,
    });
    expect(statSync(at('new')).mode & 0o777).toBe(0o666 & ~process.umask());
    chmodSync(at('f'), 0o751);
    expect(await call(tools.write_file, { path: 'f', content: '' })).toEqual({ path: 'f', size: 0, created: false });
    expect(statSync(at('f')).mode & 0o777).toBe(0o751);
    await call(tools.write_file, { path: 'in/new', content: 'through a link that stays' });
    expect(text('a/new')).toBe('through a link that stays');
    await call(tools.write_file, { path: 'a/f-link', content: 'through a link to a file' });
    expect(text('f')).toBe('through a link to a file');
    expect(readlinkSync(at('a/f-link'))).toBe('../f');
    expect(
      readdirSync(root)
        .concat(readdirSync(at('a')))
        .filter((name) => name.includes('tmp')),
    ).toEqual([]);
  });

  test('a failed write leaves the old contents and nothing beside them', async () => {
    mkdirSync(at('full'));
    const before = readdirSync(root);
    await expect(call(tools.write_file, { path: 'full', content: 'x' })).rejects.toMatchObject(failed('EISDIR'));
    await expect(call(tools.write_file, { path: 'f', content: 'x' }, AbortSignal.abort())).rejects.toThrow(/abort/u);
    await expect(call(tools.write_file, { path: 'no/such', content: 'x' })).rejects.toMatchObject({
      message: 'ENOENT: the parent directory does not exist, write "no/such"',
    });
    await expect(call(tools.write_file, { path: 'x'.repeat(255), content: 'longest' })).resolves.toBeDefined();
    rmSync(at('x'.repeat(255)));
    expect(text('f')).toBe('one\ntwo\nthree\n');
    expect(readdirSync(root)).toEqual(before);
  });

  test('a full disk leaves the old contents and nothing beside them', async () => {
    // RLIMIT_FSIZE stands in for a full disk: the write fails half-way. Only a process of its own can have that limit.
    const script = `
      import { fileTools } from ${JSON.stringify(join(import.meta.dirname, '..', 'src', 'file-tools.ts'))};
      process.on('SIGXFSZ', () => {});
      const tools = fileTools({ workspace: ${JSON.stringify(root)}, method: ${JSON.stringify(method)} });
      const big = 'x'.repeat(100_000);
      const outcome = (promise) => promise.then(() => 'written', (error) => error.cause?.code ?? String(error));
      const context = { callId: 'c' };
      console.log(JSON.stringify([
        await outcome(tools.write_file.execute({ path: 'f', content: 'y', encoding: 'utf8' }, context)),
        await outcome(tools.write_file.execute({ path: 'f', content: big, encoding: 'utf8' }, context)),
        await outcome(tools.append_file.execute({ path: 'f', content: big, encoding: 'utf8' }, context)),
      ]));`;
    const { stdout, stderr } = spawnSync(
      'bash',
      ['-c', 'ulimit -f 8; exec "$0" --input-type=module -e "$1"', process.execPath, script],
      { encoding: 'utf8' },
    );
    expect({ stdout: stdout.trim(), stderr }).toEqual({ stdout: '["written","EFBIG","EFBIG"]', stderr: '' });
    expect(text('f')).toBe('y');
    expect(readdirSync(root).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  test('appends, creating the file', async () => {
    expect(await call(tools.append_file, { path: 'f', content: 'four\n' })).toEqual({
      path: 'f',
      size: 19,
      created: false,
    });
    expect(await call(tools.append_file, { path: 'log', content: 'x' })).toEqual({
      path: 'log',
      size: 1,
      created: true,
    });
    await Promise.all(Array.from({ length: 20 }, () => call(tools.append_file, { path: 'log', content: 'yy' })));
    expect(text('log')).toBe(`x${'yy'.repeat(20)}`);
    await expect(call(tools.append_file, { path: 'a', content: 'x' })).rejects.toMatchObject(failed('EISDIR'));
  });

  test('lists a directory: links are named, not followed; a limit cuts and says so', async () => {
    expect(await call(tools.list_directory, {})).toEqual({
      path: '.',
      entries: [
        { name: 'a', type: 'directory' },
        { name: 'dangling', type: 'symlink' },
        { name: 'f', type: 'file' },
        { name: 'in', type: 'symlink' },
        { name: 'out', type: 'symlink' },
        { name: 'out-file', type: 'symlink' },
      ],
      truncated: false,
    });
    const small = fileTools({ workspace: root, method, maxEntries: 2 });
    const { entries, truncated } = await call(small.list_directory, { path: '.' });
    expect([entries.length, truncated]).toEqual([2, true]);
    expect(await call(small.list_directory, { path: 'in/b' })).toEqual({ path: 'a/b', entries: [], truncated: false });
    await expect(call(tools.list_directory, { path: 'f' })).rejects.toMatchObject(failed('ENOTDIR'));
  });

  test('tells about a file', async () => {
    chmodSync(at('f'), 0o640);
    expect(await call(tools.get_file_info, { path: 'f' })).toMatchObject({
      path: 'f',
      type: 'file',
      isFile: true,
      isDirectory: false,
      size: 14,
      permissions: '640',
      modified: statSync(at('f')).mtime.toISOString(),
    });
    expect(await call(tools.get_file_info, { path: '.' })).toMatchObject({
      path: '.',
      type: 'directory',
      isDirectory: true,
    });
    await expect(call(tools.get_file_info, { path: 'nope' })).rejects.toMatchObject({
      ...failed('ENOENT'),
      message: 'ENOENT: no such file or directory, stat "nope"',
    });
  });

  test('moves: files, directories, links themselves; never over something unless asked', async () => {
    expect(await call(tools.move_file, { source: 'f', destination: 'a/b/f' })).toEqual({
      source: 'f',
      destination: 'a/b/f',
    });
    expect(existsSync(at('f'))).toBe(false);
    await call(tools.move_file, { source: 'a', destination: 'c' });
    expect(text('c/b/f')).toBe('one\ntwo\nthree\n');
    await expect(call(tools.move_file, { source: 'c/b/f', destination: 'c/g' })).rejects.toMatchObject(
      failed('EEXIST'),
    );
    expect(text('c/g')).toBe('g');
    await expect(call(tools.move_file, { source: 'c/g', destination: 'no/g' })).rejects.toMatchObject({
      message: 'ENOENT: the parent directory does not exist, rename "c/g" to "no/g"',
    });
    await call(tools.move_file, { source: 'c/b/f', destination: 'c/g', overwrite: true });
    expect(text('c/g')).toBe('one\ntwo\nthree\n');
    await call(tools.move_file, { source: 'c/f-link', destination: 'moved-link' });
    expect(readlinkSync(at('moved-link'))).toBe('../f');
  });

  test('copies: contents and mode; never over something unless asked', async () => {
    chmodSync(at('f'), 0o600);
    const big = Buffer.alloc(3 * 1024 * 1024, 'abc');
    writeFileSync(at('big'), big);
    expect(await call(tools.copy_file, { source: 'f', destination: 'f2' })).toEqual({
      source: 'f',
      destination: 'f2',
      size: 14,
      created: true,
    });
    expect(statSync(at('f2')).mode & 0o777).toBe(0o600);
    await call(tools.copy_file, { source: 'big', destination: 'in/big' });
    expect(readFileSync(at('a/big')).equals(big)).toBe(true);
    await expect(call(tools.copy_file, { source: 'big', destination: 'f' })).rejects.toMatchObject(failed('EEXIST'));
    await call(tools.copy_file, { source: 'big', destination: 'f', overwrite: true });
    expect(readFileSync(at('f')).equals(big)).toBe(true);
    await expect(call(tools.copy_file, { source: 'a', destination: 'x' })).rejects.toMatchObject(failed('EISDIR'));
  });

  test('removes: a file, a link and not its target, a directory only when asked', async () => {
    await call(tools.remove_file, { path: 'f' });
    await call(tools.remove_file, { path: 'out' });
    await call(tools.remove_file, { path: 'dangling' });
    expect(readdirSync(root)).toEqual(['a', 'in', 'out-file']);
    await expect(call(tools.remove_file, { path: 'a' })).rejects.toMatchObject(failed('ENOTEMPTY'));
    await call(tools.remove_file, { path: 'a/b' });
    symlinkSync('../../outside', at('a/out'));
    await call(tools.remove_file, { path: 'a', recursive: true });
    expect(existsSync(at('a'))).toBe(false);
    expect(outside()).toBe('[["secret"],"secret"]');
    await expect(call(tools.remove_file, { path: 'f' })).rejects.toMatchObject(failed('ENOENT'));
  });

  test('the workspace itself is not removed or moved', async () => {
    for (const path of ['.', root, 'a/..', 'in/..']) {
      await expect(call(tools.remove_file, { path, recursive: true })).rejects.toMatchObject(REFUSED);
      await expect(call(tools.move_file, { source: path, destination: 'x' })).rejects.toMatchObject(REFUSED);
    }
    expect(existsSync(at('f'))).toBe(true);
  });

  test('a directory deeper than the broker goes is refused as a whole call, not by a crash', async () => {
    await call(tools.create_directory, { path: Array.from({ length: 250 }, () => 'd').join('/') });
    await expect(call(tools.remove_file, { path: 'd', recursive: true })).rejects.toMatchObject(failed('ENAMETOOLONG'));
    await call(tools.remove_file, { path: Array.from({ length: 100 }, () => 'd').join('/'), recursive: true });
    await call(tools.remove_file, { path: 'd', recursive: true });
    expect(existsSync(at('d'))).toBe(false);
  });

  test('a directory of a thousand is listed and removed whole', async () => {
    mkdirSync(at('many'));
    for (let one = 0; one < 1000; one += 1) writeFileSync(at(`many/${String(one)}`), '');
    expect((await call(tools.list_directory, { path: 'many' })).entries.length).toBe(1000);
    await call(tools.remove_file, { path: 'many', recursive: true });
    expect(existsSync(at('many'))).toBe(false);
  });

  test('the journal in the workspace is not written', async () => {
    mkdirSync(at('.tappass/audit'), { recursive: true });
    writeFileSync(at('.tappass/audit/1.jsonl'), 'line');
    symlinkSync('.tappass', at('alias'));
    for (const path of ['.tappass/audit/1.jsonl', 'alias/audit/1.jsonl', './.tappass//audit/1.jsonl']) {
      await expect(call(tools.append_file, { path, content: 'x' })).rejects.toMatchObject(REFUSED);
      await expect(call(tools.remove_file, { path })).rejects.toMatchObject(REFUSED);
      expect((await call(tools.read_file, { path })).content).toBe('line');
    }
    await expect(call(tools.move_file, { source: '.tappass', destination: 'gone' })).rejects.toMatchObject(REFUSED);
  });

  test('makes directories, and those above; an existing one is fine', async () => {
    expect(await call(tools.create_directory, { path: 'x/y/z' })).toEqual({ path: 'x/y/z', created: true });
    expect(await call(tools.create_directory, { path: 'x/y' })).toEqual({ path: 'x/y', created: false });
    expect(await call(tools.create_directory, { path: '.' })).toEqual({ path: '.', created: false });
    expect(await call(tools.create_directory, { path: 'in' })).toEqual({ path: 'a', created: false });
    await call(tools.create_directory, { path: 'in/n' });
    expect(statSync(at('a/n')).isDirectory()).toBe(true);
    await expect(call(tools.create_directory, { path: 'f' })).rejects.toMatchObject(failed('ENOTDIR'));
  });

  test('nothing outside is read, changed, made, moved or removed by any tool, whatever the path', async () => {
    const before = outside();
    const secret = join(top, 'outside', 'secret');
    const paths = [
      secret,
      '../outside/secret',
      'out/secret',
      'out-file',
      'a/../../outside/secret',
      `file://${secret}`,
      `${root}/../outside/secret`,
      `/proc/self/root${secret}`,
      `/proc/${String(process.pid)}/cwd`,
      '~/x',
      'in/../out/secret',
      'f\0',
      '',
    ];
    for (const path of paths) {
      await expect(call(tools.read_file, { path })).rejects.toMatchObject(REFUSED);
      await expect(call(tools.get_file_info, { path })).rejects.toMatchObject(REFUSED);
      await expect(call(tools.write_file, { path, content: 'x' })).rejects.toMatchObject(REFUSED);
      await expect(call(tools.append_file, { path, content: 'x' })).rejects.toMatchObject(REFUSED);
      await expect(call(tools.copy_file, { source: path, destination: 'leak' })).rejects.toMatchObject(REFUSED);
      await expect(call(tools.copy_file, { source: 'f', destination: path, overwrite: true })).rejects.toMatchObject(
        REFUSED,
      );
      await expect(call(tools.move_file, { source: path, destination: 'leak' })).rejects.toMatchObject(REFUSED);
      await expect(call(tools.move_file, { source: 'f', destination: path, overwrite: true })).rejects.toMatchObject(
        REFUSED,
      );
    }
    for (const path of paths.filter((path) => path !== 'out-file')) {
      await expect(call(tools.remove_file, { path, recursive: true })).rejects.toMatchObject(REFUSED);
      await expect(call(tools.create_directory, { path })).rejects.toMatchObject(REFUSED);
    }
    for (const path of ['out', '..', '/', 'out/', '/etc']) {
      await expect(call(tools.list_directory, { path })).rejects.toMatchObject(REFUSED);
    }
    await expect(call(tools.write_file, { path: 'dangling', content: 'x' })).rejects.toMatchObject(REFUSED);
    await expect(call(tools.create_directory, { path: 'out/new' })).rejects.toMatchObject(REFUSED);
    expect(outside()).toBe(before);
    expect(existsSync(at('leak'))).toBe(false);
    expect(lstatSync(at('out-file')).isSymbolicLink()).toBe(true);
  });

  test('an error names no path of the host', async () => {
    const errors = await Promise.all(
      [join(top, 'outside', 'secret'), '../outside/secret', 'out/secret', 'nope', at('nope')].map((path) =>
        call(tools.read_file, { path }).then(
          () => 'read',
          (error: Error) => `${error.message} ${JSON.stringify(error.cause ?? null)}`,
        ),
      ),
    );
    expect(errors.filter((message) => message === 'read' || message.includes(top))).toEqual([]);
  });

  test('a FIFO, a socket and a device neither hang nor are read or written', async () => {
    spawnSync('mkfifo', [at('fifo')]);
    const server = createServer().listen(at('socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    for (const path of ['fifo', 'socket']) {
      await expect(call(tools.read_file, { path })).rejects.toMatchObject({ code: 'TAPPASS_FAILED' });
      await expect(call(tools.append_file, { path, content: 'x' })).rejects.toMatchObject(failed('EINVAL'));
      await expect(call(tools.write_file, { path, content: 'x' })).rejects.toMatchObject(failed('EINVAL'));
      await expect(call(tools.copy_file, { source: path, destination: 'copy' })).rejects.toMatchObject({
        code: 'TAPPASS_FAILED',
      });
      expect(await call(tools.get_file_info, { path })).toMatchObject({ type: 'other' });
      await call(tools.remove_file, { path });
    }
    server.close();
  });

  test('a whole-file write detaches a hard link; an append goes through it, as documented', async () => {
    linkSync(join(top, 'outside', 'secret'), at('hard'));
    await call(tools.write_file, { path: 'hard', content: 'mine' });
    expect(outside()).toBe('[["secret"],"secret"]');
    linkSync(join(top, 'outside', 'secret'), at('hard2'));
    await call(tools.append_file, { path: 'hard2', content: '!' });
    expect(outside()).toBe('[["secret"],"secret!"]');
  });

  test('no descriptor is left open, after success and after failure', async () => {
    const before = openBeneath(top);
    for (const path of ['f', 'nope', 'a', 'out-file', 'no/such', 'a/b']) {
      await Promise.allSettled([
        call(tools.read_file, { path }),
        call(tools.write_file, { path, content: 'x' }),
        call(tools.append_file, { path, content: 'x' }),
        call(tools.list_directory, { path }),
        call(tools.get_file_info, { path }),
        call(tools.copy_file, { source: path, destination: 'copied' }),
        call(tools.move_file, { source: path, destination: 'a' }),
        call(tools.create_directory, { path: `${path}/x/y` }),
        call(tools.remove_file, { path: `${path}/x`, recursive: true }),
      ]);
    }
    expect(openBeneath(top)).toEqual(before);
  });
});

test('a workspace that is no directory is an error of the program, at once', () => {
  expect(() => fileTools(at('f'))).toThrow(/directory/u);
  expect(() => fileTools(at('nope'))).toThrow(/directory/u);
});

test('a worker thread uses every kind of descriptor without a warning, and leaves none behind', () => {
  const fixture = join(import.meta.dirname, 'fixtures', 'file-worker.ts');
  const run = (...args: readonly string[]) =>
    spawnSync(process.execPath, [fixture, top, ...args], { encoding: 'utf8' });
  expect(run()).toMatchObject({ stderr: '', stdout: '0\n' });
  expect(run('warn').stderr).toMatch(/closed but not opened/u);
});

test('the directory of tools that nobody holds any more is closed', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const open = (): number => openBeneath(top).length;
  let held: unknown[] = Array.from({ length: 50 }, () => fileTools(root));
  expect(open()).toBe(held.length);
  held = [];
  for (let round = 0; round < 1000 && open() > 10; round += 1) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(open()).toBeLessThanOrEqual(10);
});

test.each([0, -1, NaN, Infinity, 1.5, '5'])('a limit of %s is an error of the program', (limit) => {
  expect(() => fileTools({ workspace: root, maxReadBytes: limit as number })).toThrow(/positive integer/u);
  expect(() => fileTools({ workspace: root, maxEntries: limit as number })).toThrow(/positive integer/u);
});

test('every tool declares which of its arguments are paths', () => {
  const declared = Object.values(fileTools(root)).map(({ name, effects }) => [name, JSON.stringify(effects)]);
  expect(Object.fromEntries(declared)).toEqual({
    read_file: '{"read":"path"}',
    write_file: '{"write":"path"}',
    append_file: '{"files":{"append":"path"}}',
    list_directory: '{"files":{"list":"path"}}',
    get_file_info: '{"files":{"stat":"path"}}',
    move_file: '{"files":{"rename":["source","destination"]}}',
    copy_file: '{"files":{"copy":["source","destination"]}}',
    remove_file: '{"files":{"remove":"path"}}',
    create_directory: '{"files":{"mkdir":"path"}}',
  });
});
