/** A sandbox in which nothing works is safe and useless: what must run, with Landlock and seccomp alone and with all that this host adds. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attemptInside } from '../../src/kernel/attempt.ts';
import { findProgram } from '../../src/kernel/commands.ts';
import { DEFAULT_PATH } from '../../src/kernel/program.ts';
import type { Tier } from '../../src/model/tier.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-work-')));
const workspace = join(root, 'workspace');
const temporary = join(root, 'tmp');
let server: Server;
let port = 0;

beforeAll(async () => {
  server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.close();
  rmSync(root, { recursive: true, force: true });
});

const searchPath = [dirname(process.execPath), ...DEFAULT_PATH.split(':')];

const run = async (
  tier: Tier,
  strength: 'floor' | 'full',
  argv: readonly string[],
  connect: readonly number[] = [],
) => {
  rmSync(workspace, { recursive: true, force: true });
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(join(workspace, 'folder'), { recursive: true });
  mkdirSync(temporary);
  writeFileSync(join(workspace, 'data.txt'), 'three\none\ntwo\n');
  const [name = '', ...args] = argv;
  const program = findProgram(name, searchPath);
  if (program === undefined) throw new Error(`${name} is not installed here`);
  return attemptInside(tier, program, args, { workspace, temporary, strength, searchPath, connect });
};

const node = (source: string): readonly string[] => ['node', '-e', source];
const installed = (name: string): boolean => findProgram(name, searchPath) !== undefined;
const NPM = installed('npm');
const GIT = ['-c', 'user.name=a', '-c', 'user.email=a@example.org'].join(' ');

type Work = readonly [title: string, argv: readonly string[], stdout: RegExp, needs?: boolean];

const IN_WORKER: readonly Work[] = [
  [
    'a script of listed commands',
    ['sh', '-c', 'sort data.txt | head -1; ls; for f in *.txt; do wc -l < "$f"; done'],
    /one\ndata\.txt\nfolder\n3/u,
  ],
  ['a script file', ['sh', '-c', 'echo "echo from the file" > run.sh && sh run.sh'], /from the file/u],
  ['process substitution', ['bash', '-c', 'cat <(echo first) <(echo second)'], /first\nsecond/u, installed('bash')],
  [
    'git: init, add, commit, log',
    [
      'sh',
      '-c',
      `git init -q . && git add . && git ${GIT} commit -qm message && git log --oneline && git status --short`,
    ],
    /message/u,
    installed('git'),
  ],
  [
    'node: files and buffers',
    node('const fs = require("fs"); fs.writeFileSync("out", "x".repeat(1e6)); console.log(fs.statSync("out").size)'),
    /1000000/u,
  ],
  [
    'node: the pool',
    node('require("fs").promises.readFile("data.txt", "utf8").then((text) => console.log(text.length))'),
    /14/u,
  ],
  [
    'node: what it knows about itself',
    node(
      'const os = require("os"); console.log(process.memoryUsage().rss > 0, os.cpus().length > 0, os.totalmem() > 0, os.userInfo().username.length > 0)',
    ),
    /true true true true/u,
  ],
  [
    'node: worker threads',
    node(
      'new (require("worker_threads").Worker)("require(\\"worker_threads\\").parentPort.postMessage(42)", { eval: true }).on("message", (m) => console.log(m))',
    ),
    /42/u,
  ],
  [
    'node: children with IPC',
    node(
      'const c = require("child_process").spawn(process.execPath, ["-e", "process.send(process.version)"], { stdio: ["ignore", "inherit", "inherit", "ipc"] }); c.on("message", (m) => console.log(m))',
    ),
    /v\d+/u,
  ],
  [
    'node: file watching',
    node(
      'const fs = require("fs"); const w = fs.watch("folder", () => { console.log("seen"); w.close(); }); setTimeout(() => fs.writeFileSync("folder/new", ""), 20)',
    ),
    /seen/u,
  ],
  [
    'node: locks of SQLite',
    node(
      'const { DatabaseSync } = require("node:sqlite"); const a = new DatabaseSync("a.db"); a.exec("create table t(x); begin immediate; insert into t values(1); commit"); console.log(a.prepare("select count(*) as n from t").get().n)',
    ),
    /1/u,
  ],
  ['node: compression', node('require("zlib").gzip("x".repeat(1000), (e, b) => console.log(b.length > 0))'), /true/u],
  ['node: cryptography', node('require("crypto").scrypt("a", "b", 16, (e, k) => console.log(k.length))'), /16/u],
  ['npm --version', ['npm', '--version'], /^\d+\.\d+/u, NPM],
  [
    'python3: files, temporary files, threads',
    [
      'python3',
      '-c',
      'import tempfile, threading, json, hashlib, ssl; t = tempfile.NamedTemporaryFile(); t.write(b"x"); h = threading.Thread(target=lambda: print("thread")); h.start(); h.join(); print(len(open("data.txt").read()))',
    ],
    /thread\n14/u,
    installed('python3'),
  ],
  [
    'python3: subprocess',
    [
      'python3',
      '-c',
      'import subprocess; print(subprocess.run(["sort", "data.txt"], capture_output=True, text=True).stdout)',
    ],
    /one\nthree\ntwo/u,
    installed('python3'),
  ],
  ['tar with a compressor', ['sh', '-c', 'tar -czf a.tgz data.txt folder && tar -tzf a.tgz'], /data\.txt\nfolder\//u],
  ['temporary files', ['sh', '-c', 'f=$(mktemp) && echo temporary > "$f" && cat "$f" && rm "$f"'], /temporary/u],
  [
    'chmod, ln, mv across folders, touch in the workspace',
    [
      'sh',
      '-c',
      'chmod 600 data.txt && ln data.txt hard && ln -s data.txt soft && mv hard folder/ && touch -d 2020-01-01 data.txt && stat -c "%a %Y" data.txt',
    ],
    /^600 15/u,
  ],
  [
    'find, xargs, grep, sed, awk',
    ['sh', '-c', 'find . -name "*.txt" | xargs grep -n two | sed s/two/2/ | awk -F: \'{print $2 "-" $3}\''],
    /^2-/u,
  ],
  ['limits of its own', ['sh', '-c', 'ulimit -n; ulimit -S -n 100 && ulimit -n'], /100/u],
];

const IN_OBSERVER: readonly Work[] = [
  [
    'node: reading and computing',
    node(
      'const fs = require("fs"); const sorted = fs.readFileSync("data.txt", "utf8").trim().split("\\n").sort(); console.log(sorted[0], fs.readdirSync(".").join())',
    ),
    /one data\.txt,folder/u,
  ],
  [
    'node: the pool',
    node('require("fs").promises.readFile("data.txt", "utf8").then((text) => console.log(text.length))'),
    /14/u,
  ],
  [
    'node: worker threads',
    node(
      'new (require("worker_threads").Worker)("require(\\"worker_threads\\").parentPort.postMessage(42)", { eval: true }).on("message", (m) => console.log(m))',
    ),
    /42/u,
  ],
  [
    'node: what it knows about itself',
    node('console.log(process.memoryUsage().rss > 0, require("os").cpus().length > 0)'),
    /true true/u,
  ],
  [
    'node: time zones and locales',
    node('console.log(new Intl.DateTimeFormat("de", { timeZone: "Europe/Berlin", dateStyle: "long" }).format(0))'),
    /1\. Januar 1970/u,
  ],
  [
    'python3: reading and computing',
    ['python3', '-c', 'import json, re, datetime; print(sorted(open("data.txt").read().split())[0])'],
    /one/u,
    installed('python3'),
  ],
  ['cat', ['cat', 'data.txt'], /three/u],
];

const IN_STANDARD: readonly Work[] = [
  ...IN_WORKER.filter(([title]) => /git|npm|IPC|watching|tar/u.test(title)),
  [
    'a program of the workspace',
    ['sh', '-c', 'printf "#!/bin/sh\\necho own program\\n" > own && chmod +x own && ./own'],
    /own program/u,
  ],
  ['reading the system', ['sh', '-c', 'head -1 /etc/passwd; ls /usr | head -1'], /:/u],
  [
    'python3: multiprocessing',
    ['python3', '-c', 'import multiprocessing as m; print(sum(m.Pool(2).map(abs, [-1, -2])))'],
    /3/u,
    installed('python3'),
  ],
];

const runnable = (table: readonly Work[]) =>
  table.filter(([, , , needs]) => needs !== false).map(([title, argv, stdout]) => [title, argv, stdout] as const);

describe.each(['floor', 'full'] as const)('%s', (strength) => {
  for (const [tier, table] of [
    ['worker', IN_WORKER],
    ['observer', IN_OBSERVER],
    ['standard', IN_STANDARD],
  ] as const) {
    test.each(runnable(table))(`${tier}: %s`, async (title, argv, stdout) => {
      const outcome = await run(tier, strength, argv);
      expect(outcome.failure).toBeUndefined();
      expect(outcome).toMatchObject({ exitCode: 0 });
      expect([title, outcome.stdout]).toEqual([title, expect.stringMatching(stdout)]);
    });
  }

  const connecting = (to: number): readonly string[] =>
    node(
      `require("net").connect(${String(to)}, "127.0.0.1").on("data", (d) => console.log(String(d))).on("error", (e) => console.log(e.code))`,
    );

  test('worker: a listed port is reached, another is not, and none without a list', async () => {
    const listed = await run('worker', strength, connecting(port), [port]);
    const other = await run('worker', strength, connecting(port), [port === 1 ? 2 : 1]);
    const none = await run('worker', strength, connecting(port));
    expect([listed.stdout, other.stdout, none.stdout]).toEqual(['hello\n', 'EACCES\n', 'EPERM\n']);
  });
});
