/** Where paths lead: the same table for both methods, with the kernel's own answer as the oracle where it has one. */
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fileCalls, type FileMethod, type PathCalls } from '../../src/broker/file-calls.ts';
import { resolvePath } from '../../src/broker/file-resolve.ts';
import { openWorkspace, type Workspace } from '../../src/broker/file.ts';
import { FILE_OPERATIONS, type FileEffect, type FileOperation } from '../../src/model/effect.ts';
import { decideFile } from '../../src/policy/file.ts';

type BeneathRow = readonly [path: string, beneath: string, exists: boolean, operation?: FileOperation];
type OutsideRow = readonly [path: string, real: string, exists: boolean, operation?: FileOperation];

const METHODS: readonly FileMethod[] = ['openat2', 'fallback'];

let top: string;
let root: string;
let outside: string;

beforeAll(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-resolve-')));
  root = join(top, 'ws');
  outside = join(top, 'outside');
  for (const directory of ['a/b', 'ünïcode', '...', 'a b']) mkdirSync(join(root, directory), { recursive: true });
  for (const directory of [outside, join(top, 'ws-old'), join(top, 'ws2')]) mkdirSync(directory);
  for (const file of ['ws/f', 'ws/a/g', 'ws/a/b/h', 'outside/secret', 'ws-old/f', 'ws/~tilde']) {
    writeFileSync(join(top, file), file);
  }
  const links: Readonly<Record<string, string>> = {
    'ws/in': 'a',
    'ws/in-absolute': join(root, 'a'),
    'ws/in-file': 'a/g',
    'ws/out': '../outside',
    'ws/out-absolute': outside,
    'ws/out-file': '../outside/secret',
    'ws/a/up': '..',
    'ws/dangling-in': 'a/new',
    'ws/dangling-out': '../outside/new',
    'ws/chain1': 'chain2',
    'ws/chain2': 'chain3',
    'ws/chain3': 'out',
    'ws/loop1': 'loop2',
    'ws/loop2': 'loop1',
    'ws/self': 'self',
    'ws/proc': '/proc/self/root',
    'ws/slash': 'a/',
    'outside/back': join(root, 'a'),
    'ws-link': 'ws',
  };
  for (const [link, target] of Object.entries(links)) symlinkSync(target, join(top, link));
});
afterAll(() => rmSync(top, { recursive: true, force: true }));

const resolve = (workspace: Workspace, path: string | URL | Uint8Array, operation: FileOperation = 'read') =>
  workspace.resolve(path, { operation });

describe.each(METHODS)('method %s', (method) => {
  let workspace: Workspace;
  beforeAll(() => {
    workspace = openWorkspace(root, { method });
  });
  afterAll(() => workspace[Symbol.dispose]());

  const BENEATH: readonly BeneathRow[] = [
    ['f', 'f', true],
    ['./f', 'f', true],
    ['a//g', 'a/g', true],
    ['a/./b/../g', 'a/g', true],
    ['a/b/', 'a/b', true],
    ['a/b/.', 'a/b', true],
    ['.', '', true],
    ['a/..', '', true],
    ['..././f', '.../f', false],
    ['a b', 'a b', true],
    ['ünïcode/x', 'ünïcode/x', false],
    ['./~tilde', '~tilde', true],
    ['a%20b', 'a%20b', false],
    ['100%', '100%', false],
    ['https%3A%2F%2Fhost', 'https%3A%2F%2Fhost', false],
    ['F', 'F', false],
    ['new', 'new', false, 'write'],
    ['a/new', 'a/new', false, 'write'],
    ['a/n1/n2/n3', 'a/n1/n2/n3', false, 'mkdir'],
    ['new/', 'new', false, 'mkdir'],
    ['in/g', 'a/g', true],
    ['in-absolute/g', 'a/g', true],
    ['in-file', 'a/g', true],
    ['in-file', 'a/g', true, 'write'],
    ['slash/g', 'a/g', true],
    ['dangling-in', 'a/new', false, 'write'],
    ['in/new', 'a/new', false, 'write'],
    ['in/../f', 'f', true],
    ['a/up/f', 'f', true],
    ['a/up/a/up/f', 'f', true],
    ['out/back/g', 'a/g', true],
    ['out/../ws/f', 'f', true],
    ['../ws/f', 'f', true],
    ['../ws-link/f', 'f', true],
    // The name itself: the kernel does not follow it.
    ['out', 'out', true, 'remove'],
    ['out-file', 'out-file', true, 'remove'],
    ['dangling-out', 'dangling-out', true, 'remove'],
    ['loop1', 'loop1', true, 'remove'],
    ['in-file', 'in-file', true, 'rename'],
    ['in', 'in', true, 'rename'],
    ['in', 'a', true, 'mkdir'],
    ['dangling-in', 'a/new', false, 'mkdir'],
  ];

  test('paths that are beneath, relative and absolute', () => {
    expect.hasAssertions();
    for (const [path, beneath, exists, operation] of BENEATH) {
      const expected = { resolved: { real: beneath === '' ? root : join(root, beneath), exists, beneath } };
      expect({ path, ...resolve(workspace, path, operation) }).toEqual({ path, ...expected });
      expect({ path, ...resolve(workspace, `${root}/${path}`, operation) }).toEqual({ path, ...expected });
    }
  });

  const OUTSIDE: readonly OutsideRow[] = [
    ['..', '', true],
    ['../ws-old/f', 'ws-old/f', true],
    ['../ws-old/new', 'ws-old/new', false, 'write'],
    ['../ws2', 'ws2', true],
    ['a/../../outside/secret', 'outside/secret', true],
    ['out', 'outside', true],
    ['out/', 'outside', true, 'remove'],
    ['out/.', 'outside', true, 'remove'],
    ['out', 'outside', true, 'rename'],
    ['out/secret', 'outside/secret', true],
    ['out/secret', 'outside/secret', true, 'remove'],
    ['out/new', 'outside/new', false, 'write'],
    ['out/n1/n2', 'outside/n1/n2', false, 'mkdir'],
    ['out-absolute/new', 'outside/new', false, 'write'],
    ['out-file', 'outside/secret', true, 'write'],
    ['out-file', 'outside/secret', true, 'copy'],
    ['out-file', 'outside/secret', true, 'link'],
    ['out-file', 'outside/secret', true, 'chmod'],
    ['dangling-out', 'outside/new', false, 'write'],
    ['dangling-out', 'outside/new', false, 'rename'],
    ['dangling-out', 'outside/new', false, 'mkdir'],
    ['out', 'outside', true, 'mkdir'],
    ['chain1', 'outside', true],
    ['chain1/secret', 'outside/secret', true],
    // Lexically `in/..` is the workspace and `out/..` too; the kernel says otherwise of the second.
    ['out/../outside/secret', 'outside/secret', true],
    ['in/../../outside', 'outside', true],
    ['a/up/../outside/secret', 'outside/secret', true],
  ];

  test('paths that are outside, relative and absolute', () => {
    expect.hasAssertions();
    for (const [path, real, exists, operation] of OUTSIDE) {
      const expected = { resolved: { real: real === '' ? top : join(top, real), exists } };
      expect({ path, ...resolve(workspace, path, operation) }).toEqual({ path, ...expected });
      expect({ path, ...resolve(workspace, `${root}/${path}`, operation) }).toEqual({ path, ...expected });
    }
  });

  const FAULTS: readonly (readonly [path: string, fault: RegExp])[] = [
    ['', /empty/u],
    ['f\0', /NUL/u],
    ['a/\0/g', /NUL/u],
    ['\uD800', /Unicode/u],
    ['a/\uDC00x', /Unicode/u],
    ['x'.repeat(4096), /longer/u],
    ['./'.repeat(2040) + 'in/g', /longer/u],
    ['x'.repeat(5_000_000), /longer/u],
    ['é'.repeat(2048), /longer/u],
    ['x'.repeat(256), /ENAMETOOLONG/u],
    ['~', /~/u],
    ['~/f', /~/u],
    ['~root/f', /~/u],
    ['loop1', /loop/u],
    ['self/x', /loop/u],
    ['f/x', /not a directory/u],
    ['f/', /not a directory/u],
    ['f/..', /not a directory/u],
    ['in-file/', /not a directory/u],
    ['missing/../f', /does not exist/u],
    ['missing/../../outside/secret', /does not exist/u],
    ['%2e%2e/outside/secret', /percent/u],
    ['a/..%2foutside', /percent/u],
    ['a%5c..%5c..%5coutside', /percent/u],
    ['proc/etc/passwd', /magic/u],
    ['/proc/self/root/etc/passwd', /magic/u],
    ['/proc/thread-self/root/etc/passwd', /magic/u],
    ['/proc/self/cwd', /magic/u],
    ['/proc/1/root', /magic|EACCES|EPERM/u],
    ['/proc/self/task/../cwd/f', /magic/u],
    ['/dev/stdin', /magic/u],
    ['/dev/fd/0', /magic/u],
    ['/proc/self/exe', /magic/u],
    ['/proc/self/ns/mnt', /magic/u],
    ['file://host/etc/passwd', /URL/u],
    ['file:etc/passwd', /URL/u],
    ['file:///etc/passwd?x', /URL/u],
    ['file:///etc/passwd#x', /URL/u],
    ['file:///etc%2fpasswd', /URL/u],
    ['file:///etc/%00', /NUL/u],
    ['file:///etc/%ff', /URL/u],
  ];

  test.each(FAULTS)('%j is a fault', (path, fault) => {
    const answer = resolve(workspace, path);
    expect(answer).toEqual({ fault: expect.stringMatching(fault) });
    expect(JSON.stringify(answer)).not.toContain(top);
  });

  test('a path whose end does not fit is not judged by its beginning', () => {
    // Once, a text that Node-API had cut before a character that did not fit passed for the whole of it.
    const beneath: unknown[] = [];
    for (let start = 4085; start <= 4100; start += 1) {
      for (const name of ['🙂', '€', 'é', 'x']) {
        const slashes = '/'.repeat(start - `${root}/.`.length);
        const answer = resolve(workspace, `.${slashes}${name}/../out/new`, 'write');
        beneath.push(...[answer].filter((one) => 'resolved' in one && one.resolved.beneath !== undefined));
      }
    }
    expect(beneath).toEqual([]);
    expect(resolve(workspace, `.${'/'.repeat(3900)}a/new`, 'write')).toMatchObject({ resolved: { beneath: 'a/new' } });
  });

  test('a descriptor under /proc names an object, not a path: it is a fault even when it leads inside', () => {
    const descriptor = openSync(join(root, 'f'), 'r');
    try {
      const path = `/proc/self/fd/${String(descriptor)}`;
      expect(readFileSync(path, 'utf8')).toBe('ws/f');
      expect(resolve(workspace, path)).toEqual({ fault: expect.stringMatching(/magic/u) });
    } finally {
      closeSync(descriptor);
    }
  });

  test('the text links of /proc are followed', () => {
    expect(resolve(workspace, '/proc/self/status')).toEqual({
      resolved: { real: `/proc/${String(process.pid)}/status`, exists: true },
    });
  });

  test('a file URL is decoded first and judged then', () => {
    expect(resolve(workspace, pathToFileURL(join(root, 'a b')).href)).toMatchObject({ resolved: { beneath: 'a b' } });
    expect(resolve(workspace, new URL(`file://${root}/%61/g`))).toMatchObject({ resolved: { beneath: 'a/g' } });
    expect(resolve(workspace, `FILE://localhost${root}/f`)).toMatchObject({ resolved: { beneath: 'f' } });
    expect(resolve(workspace, `file://${root}/%2e%2e/outside/secret`)).toEqual({
      resolved: { real: join(outside, 'secret'), exists: true },
    });
    expect(resolve(workspace, new URL('https://example.com/f'))).toHaveProperty('fault');
  });

  test('bytes are a path when they are UTF-8', () => {
    expect(resolve(workspace, Buffer.from('a/g'))).toMatchObject({ resolved: { beneath: 'a/g' } });
    expect(resolve(workspace, Buffer.from([0x61, 0xff]))).toEqual({ fault: expect.stringMatching(/UTF-8/u) });
    expect(resolve(workspace, Buffer.from([0xef, 0xbb, 0xbf, 0x66]))).toMatchObject({
      resolved: { beneath: '\uFEFFf' },
    });
  });

  test('an argument that throws when it is looked at is a fault', () => {
    const hostile = new Proxy(
      {},
      {
        getPrototypeOf: () => {
          throw new Error('boo');
        },
      },
    );
    expect(resolve(workspace, hostile as URL)).toHaveProperty('fault');
  });

  test.each([undefined, null, 7, {}, ['f'], { toString: () => 'f' }])('%j in place of a path is a fault', (path) => {
    expect(resolve(workspace, path as unknown as string)).toHaveProperty('fault');
  });

  test('a workspace named through a link is the directory behind it', () => {
    using linked = openWorkspace(join(top, 'ws-link'), { method });
    expect(linked.root).toBe(root);
    expect(resolve(linked, join(top, 'ws-link', 'f'))).toMatchObject({ resolved: { beneath: 'f' } });
    // The link is outside: removing it is not a change inside.
    expect(resolve(linked, join(top, 'ws-link'), 'remove')).toEqual({
      resolved: { real: join(top, 'ws-link'), exists: true },
    });
  });

  test('in a workspace at the root everything is beneath', () => {
    using whole = openWorkspace('/', { method });
    expect(resolve(whole, join(outside, 'secret'))).toEqual({
      resolved: { real: join(outside, 'secret'), exists: true, beneath: join(outside, 'secret').slice(1) },
    });
    expect(resolve(whole, '..')).toEqual({ resolved: { real: '/', exists: true, beneath: '' } });
    expect(resolve(whole, '/no-such-name')).toMatchObject({ resolved: { beneath: 'no-such-name', exists: false } });
  });

  test('a workspace that was removed, moved or closed resolves nothing beneath it', () => {
    const path = join(top, `moving-${method}`);
    mkdirSync(path);
    const moving = openWorkspace(path, { method });
    expect(resolve(moving, 'new', 'write')).toMatchObject({ resolved: { beneath: 'new' } });
    renameSync(path, `${path}-away`);
    expect(resolve(moving, 'new', 'write')).toHaveProperty('fault');
    symlinkSync(outside, path);
    expect(resolve(moving, 'secret', 'write')).toHaveProperty('fault');
    moving[Symbol.dispose]();
    expect(resolve(moving, 'new', 'write')).toHaveProperty('fault');
  });

  test('random trees of links: the answer is the answer of the kernel', () => {
    const names = ['a', 'b', 'c', 'l', 'm', 'n'];
    const component = fc.constantFrom(...names, '..', '.', '');
    const relative = fc.array(component, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'));
    const target = fc.oneof(
      relative,
      relative.map((text) => `../${text}`),
      fc.constantFrom('ABS/a', 'ABS', 'OUT', 'OUT/a'),
    );
    const tree = fc.record({
      directories: fc.array(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
      files: fc.array(fc.array(fc.constantFrom('a', 'b', 'c', 'n'), { minLength: 1, maxLength: 3 }), { maxLength: 3 }),
      links: fc.array(fc.tuple(fc.constantFrom('l', 'm', 'a/l', 'b/m', 'a/b/l'), target), { maxLength: 4 }),
      paths: fc.array(relative, { minLength: 1, maxLength: 8 }),
    });
    let seen = 0;
    let agreed = 0;
    let allowed = 0;
    fc.assert(
      fc.property(tree, ({ directories, files, links, paths }) => {
        const here = join(top, `random-${method}-${String((seen += 1))}`);
        const ws = join(here, 'ws');
        mkdirSync(join(here, 'out', 'a'), { recursive: true });
        mkdirSync(ws);
        const attempt = (act: () => void): void => {
          try {
            act();
          } catch {
            // A name that is taken: the tree has one thing less.
          }
        };
        for (const parts of directories) attempt(() => mkdirSync(join(ws, ...parts), { recursive: true }));
        for (const parts of files) attempt(() => writeFileSync(join(ws, ...parts), '', { flag: 'wx' }));
        for (const [link, to] of links) {
          attempt(() => symlinkSync(to.replace('ABS', ws).replace('OUT', join(here, 'out')) || '.', join(ws, link)));
        }
        using random = openWorkspace(ws, { method });
        const disagreements: unknown[] = [];
        for (const path of paths) {
          if (path === '') continue;
          const absolute = path.startsWith('/') ? path : `${ws}/${path}`;
          let expected: string | undefined;
          attempt(() => {
            expected = realpathSync.native(absolute);
          });
          const answer = resolve(random, path);
          const isRight =
            expected === undefined
              ? // The kernel finds nothing: a fault, or a name that is free.
                !('resolved' in answer && answer.resolved.exists)
              : 'resolved' in answer && answer.resolved.real === expected && answer.resolved.exists;
          if (expected !== undefined) agreed += 1;
          // Writing creates the file where the answer says, and nowhere else.
          const writing = resolve(random, path, 'write');
          let written: string | undefined;
          attempt(() => {
            const descriptor = openSync(absolute, 'a');
            written = readlinkSync(`/proc/self/fd/${String(descriptor)}`);
            closeSync(descriptor);
          });
          const isWrittenThere = written === undefined || ('resolved' in writing && writing.resolved.real === written);
          // What `project` allows to be written was written beneath, or nowhere.
          const effect: FileEffect = {
            kind: 'file',
            pointer: '',
            operation: 'write',
            access: 'write',
            path,
            ...writing,
          };
          const isAllowed = decideFile(effect, 'project').outcome === 'allow';
          const isSafe = !isAllowed || written === undefined || written.startsWith(`${ws}/`);
          if (isAllowed && written !== undefined) allowed += 1;
          if (!isRight || !isWrittenThere || !isSafe) disagreements.push({ path, expected, answer, written, writing });
        }
        rmSync(here, { recursive: true });
        expect(disagreements).toEqual([]);
      }),
      { numRuns: 120 },
    );
    expect(agreed).toBeGreaterThan(50);
    expect(allowed).toBeGreaterThan(20);
  });
});

test('a link that is repointed while it is resolved is noticed: the kernel has the last word', () => {
  const { path: kernel } = fileCalls('openat2');
  if (kernel === undefined) throw new Error('no openat2');
  const handle = openSync(root, 'r');
  const link = join(root, 'fickle');
  const point = (target: string): void => {
    rmSync(link, { force: true });
    symlinkSync(target, link);
  };
  const resolveWhile = (act: () => void) => {
    point('a');
    const openResolved: PathCalls['openResolved'] = (path, followLast) => {
      act();
      return kernel.openResolved(path, followLast);
    };
    return resolvePath({ real: root, handle }, 'fickle/g', 'write', { ...kernel, openResolved });
  };
  expect(resolveWhile(() => undefined)).toMatchObject({ resolved: { beneath: 'a/g' } });
  writeFileSync(join(outside, 'g'), '');
  expect(resolveWhile(() => point('../outside'))).toEqual({ fault: expect.stringMatching(/changed/u) });
  expect(resolveWhile(() => point('nowhere'))).toEqual({ fault: expect.stringMatching(/changed/u) });
  expect(resolveWhile(() => point('a/up/a'))).toMatchObject({ resolved: { beneath: 'a/g' } });
  rmSync(join(outside, 'g'));
  closeSync(handle);
});

test('whatever the text or the bytes: no throw, one answer from both methods, and beneath means beneath', () => {
  using one = openWorkspace(root, { method: 'openat2' });
  using other = openWorkspace(root, { method: 'fallback' });
  const piece = fc.constantFrom(
    'a',
    'f',
    'in',
    'out',
    'chain1',
    'loop1',
    'dangling-out',
    'new',
    '..',
    '.',
    '',
    '~',
    'file:',
    '%2e%2e',
    '\0',
    '\uD800',
    '🙂',
    root,
    'proc/self/root',
  );
  const path = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.uint8Array({ maxLength: 64 }),
    fc.array(piece, { maxLength: 8 }).map((parts) => parts.join('/')),
    fc.array(piece, { maxLength: 8 }).map((parts) => `/${parts.join('/')}`),
  );
  const seen = { beneath: 0, outside: 0, fault: 0 };
  fc.assert(
    fc.property(path, fc.constantFrom(...FILE_OPERATIONS), (input, operation) => {
      const answer = one.resolve(input, { operation });
      expect(other.resolve(input, { operation })).toEqual(answer);
      const resolved = 'resolved' in answer ? answer.resolved : undefined;
      seen[resolved === undefined ? 'fault' : resolved.beneath === undefined ? 'outside' : 'beneath'] += 1;
      const isInside = resolved !== undefined && (resolved.real === root || resolved.real.startsWith(`${root}/`));
      expect(resolved?.beneath !== undefined).toBe(isInside);
      expect((resolved?.real ?? '/').split('/').filter((name) => name === '..' || name === '.')).toEqual([]);
    }),
    { numRuns: 1500 },
  );
  expect(Object.values(seen).filter((count) => count < 20)).toEqual([]);
});

test.each(METHODS)('forty links are followed and no more, as the kernel does, by %s', (method) => {
  const chain = join(root, `chain-${method}`);
  mkdirSync(chain);
  writeFileSync(join(chain, '0'), '');
  for (let at = 1; at <= 41; at += 1) symlinkSync(String(at - 1), join(chain, String(at)));
  using workspace = openWorkspace(chain, { method });
  expect(realpathSync.native(join(chain, '40'))).toBe(join(chain, '0'));
  expect(resolve(workspace, '40')).toMatchObject({ resolved: { beneath: '0' } });
  expect(() => readFileSync(join(chain, '41'))).toThrow(/ELOOP/u);
  expect(resolve(workspace, '41')).toEqual({ fault: expect.stringMatching(/loop/u) });
});

test('a workspace must be a directory that exists', () => {
  expect(() => openWorkspace(join(top, 'nowhere'))).toThrow(/directory that exists/u);
  expect(() => openWorkspace(join(root, 'f'))).toThrow(/directory/u);
  expect(() => openWorkspace('a\0b')).toThrow(/directory/u);
});

test('openat2 is used wherever the host has it', () => {
  using workspace = openWorkspace(root);
  expect(workspace.method).toBe('openat2');
  expect(workspace.fallbackReason).toBeUndefined();
  using fallback = openWorkspace(root, { method: 'fallback' });
  expect(fallback.method).toBe('fallback');
  expect(fallback.fallbackReason).toBe('asked for');
});
