/** `secure()` binds for life, so each case is a process of its own. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readJournal, verifyJournal } from '../src/audit-log.ts';
import { runCommand } from '../src/run-command.ts';
import type { CommandResult } from '../src/run-command.ts';
import type { SecureReport } from '../src/secure.ts';
import { ENOSYS, EPERM, nodeOnLesserHost, SYSCALL } from './fixtures/lesser-host.ts';

const root = mkdtempSync(join(tmpdir(), 'secure-'));
const workspace = join(root, 'workspace');
const inside = join(workspace, 'inside.txt');
const outside = join(root, 'workspace-sibling.txt');

beforeAll(() => {
  mkdirSync(workspace);
  writeFileSync(inside, 'inside');
  writeFileSync(outside, 'outside');
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Seconds that nobody else on this machine sleeps. */
const MARK = `${43_000_000 + process.pid}`;

const fixture = (name: string): string => join(import.meta.dirname, 'fixtures', 'secure', name);

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const node = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Ran =>
  spawnSync(process.execPath, args, { cwd: workspace, encoding: 'utf8', env: { ...process.env, ...env } });

/** Runs a module that may use `secure`, imported from the sources. */
const script = (body: string, env: NodeJS.ProcessEnv = {}): Ran =>
  node(
    [
      '--input-type=module-typescript',
      '-e',
      `import { secure } from ${JSON.stringify(join(import.meta.dirname, '..', 'src', 'secure.ts'))};
       const attempt = (act) => { try { return act(); } catch (error) { return { name: error.name, code: error.code, message: error.message, missing: error.missing }; } };
       const workspace = ${JSON.stringify(workspace)};
       ${body}`,
    ],
    env,
  );

const json = (ran: Ran): Record<string, unknown> => {
  expect(ran.stderr).toBe('');
  return JSON.parse(ran.stdout) as Record<string, unknown>;
};

const everywhere = (answer: string, child = answer): Record<string, unknown> => ({
  main: answer,
  pool: [answer],
  oldWorker: [answer, answer],
  newWorker: [answer, answer],
  child,
});

describe('every thread', () => {
  test.each([
    ['worker', 'denied', 'open'],
    ['observer', 'EPERM', 'EPERM'],
  ])('of a %s is denied what is outside and keeps what is inside', (tier, childOutside, childInside) => {
    const seen = json(node([fixture('confined.ts'), tier, workspace, inside, outside]));
    expect(seen['before']).toEqual({ allowed: everywhere('open'), denied: everywhere('open') });
    expect(seen['after']).toEqual({
      allowed: everywhere('open', childInside),
      denied: everywhere('EACCES', childOutside),
    });
  });

  test('is counted, and has proven itself', () => {
    const { report } = json(node([fixture('confined.ts'), 'worker', workspace, inside, outside])) as {
      report: { threads: { found: number; confined: number }; residues: { name: string }[]; layers: unknown[] };
    };
    expect(report.threads.found).toBeGreaterThan(7);
    expect(report.threads.confined).toBe(report.threads.found);
    expect(report.residues.map(({ name }) => name)).toContain('open-descriptors');
  });
});

describe('the temporary directory', () => {
  test.each([
    ['standard', ['written', 'written', 'EACCES']],
    ['worker', ['written', 'written', 'EACCES']],
    ['observer', ['EACCES', 'EACCES', 'EACCES']],
  ])('of %s: its own and the workspace, and not the one that all share', (tier, expected) => {
    const seen = json(
      script(`
        import { writeFileSync } from 'node:fs';
        import { tmpdir } from 'node:os';
        const shared = tmpdir();
        secure({ tier: ${JSON.stringify(tier)}, workspace });
        const write = (folder) => {
          const file = folder + '/secure-temporary-test-' + process.pid;
          try { writeFileSync(file, 'x'); return 'written'; } catch (error) { return error.code; }
        };
        console.log(JSON.stringify({ wrote: [write(workspace), write(tmpdir()), write(shared)] }));`),
    );
    expect(seen).toEqual({ wrote: expected });
  });
});

describe('narrowing', () => {
  test('a second call may tighten, and the same call is the same report', () => {
    const seen = json(
      script(`
        const first = secure({ tier: 'worker', workspace });
        const again = secure({ tier: 'worker', workspace });
        const second = secure({ tier: 'observer', workspace });
        console.log(JSON.stringify({ same: first === again, tiers: [first.tier, second.tier] }));`),
    );
    expect(seen).toEqual({ same: true, tiers: ['worker', 'observer'] });
  });

  test('options may stand beside the tier or hold it; what is unknown among them is an error', () => {
    const seen = json(
      script(`
        const unknown = attempt(() => secure('worker', { workspace, bogus: 1 }));
        const first = secure('worker', { workspace, network: { connect: [5432] } });
        const again = secure({ tier: 'worker', workspace, network: { connect: [5432] } });
        console.log(JSON.stringify({ unknown, same: first === again, layers: first.layers }));`),
    );
    expect(seen).toMatchObject({ same: true, unknown: { message: expect.stringMatching(/got "bogus"/u) as unknown } });
    expect(JSON.stringify(seen['layers'])).toContain('5432');
  });

  test('widening throws TrustTierDenied and names both call sites', () => {
    const seen = json(
      script(`
        secure({ tier: 'observer', workspace });
        console.log(JSON.stringify(attempt(() => secure({ tier: 'worker', workspace }))));`),
    );
    expect(seen).toMatchObject({ name: 'TrustTierDenied', code: 'TAPPASS_TIER_WIDENED' });
    expect(seen['message']).toMatch(/locked at .*\[eval\]:5:\d+, asked for at .*\[eval\]:6:\d+/u);
  });

  test('what can no longer be listed is kept as it was: by a second call, and by a command inside', () => {
    const seen = json(
      script(`
        import { spawnSync } from 'node:child_process';
        import { readFileSync } from 'node:fs';
        const { runCommand } = await import(${JSON.stringify(join(import.meta.dirname, '..', 'src', 'run-command.ts'))});
        secure({ tier: 'standard', workspace });
        const look = () => [spawnSync('ls', ['/usr']).status, attempt(() => readFileSync('/etc/shadow')).code];
        const first = look();
        const inside = await runCommand(['sh', '-c', 'ls /usr > /dev/null; echo $?; cat /etc/shadow'], { tier: 'standard', workspace });
        secure({ tier: 'standard', workspace, commands: ['ls'] });
        console.log(JSON.stringify({ first, second: look(), inside: [inside.status, inside.stdout] }));`),
    );
    const kept = [0, 'EACCES'];
    expect(seen).toEqual({ first: kept, second: kept, inside: ['exited', '0\n'] });
  });

  test('a port that the first call did not list is widening; one that it listed is not', () => {
    const seen = json(
      script(`
        secure({ tier: 'worker', workspace, network: { connect: ['127.0.0.1:5432', '127.0.0.1:6379'] } });
        const fewer = attempt(() => secure({ tier: 'worker', workspace, network: { connect: [5432] } }).tier);
        const other = attempt(() => secure({ tier: 'worker', workspace, network: { connect: [9999] } }));
        console.log(JSON.stringify({ fewer, other }));`),
    );
    expect(seen['fewer']).toBe('worker');
    expect(seen['other']).toMatchObject({ code: 'TAPPASS_TIER_WIDENED' });
    expect((seen['other'] as { message: string }).message).toContain('port 9999');
  });
});

test('a worker thread cannot widen what the main thread locked, and may tighten it', () => {
  const seen = json(
    script(`
      import { Worker } from 'node:worker_threads';
      const checkout = ${JSON.stringify(join(import.meta.dirname, '..'))};
      secure({ tier: 'worker', workspace: checkout });
      const ask = (tier) => new Promise((resolve, reject) => {
        const worker = new Worker(\`
          const { parentPort } = require('node:worker_threads');
          import(${JSON.stringify(join(import.meta.dirname, '..', 'src', 'secure.ts'))}).then(({ secure }) => {
            try { parentPort.postMessage(secure({ tier: '\${tier}', workspace: '\${checkout}' }).tier); } catch (error) { parentPort.postMessage(error.code); }
          }, (error) => parentPort.postMessage(error.code));\`, { eval: true, execArgv: [] });
        worker.on('message', resolve);
        worker.on('error', reject);
      });
      console.log(JSON.stringify({ wider: await ask('standard'), tighter: await ask('observer') }));
      process.exit(0);`),
  );
  expect(seen).toEqual({ wider: 'TAPPASS_TIER_WIDENED', tighter: 'observer' });
});

describe('misuse', () => {
  test.each([
    ['an unknown tier', `'root'`, /Expected `tier` to be one of observer, worker, standard, got "root"/u],
    ['an unknown option', `{ teir: 'worker' }`, /got "teir"/u],
    ['a missing workspace', `{ tier: 'worker', workspace: workspace + '/none' }`, /existing directory.*ENOENT/u],
    ['the root as workspace', `{ tier: 'worker', workspace: '/' }`, /got `\/`/u],
    [
      'a port that is none',
      `{ tier: 'worker', workspace, network: { connect: ['localhost:0'] } }`,
      /port from 1 to 65535/u,
    ],
    ['network for an observer', `{ tier: 'observer', workspace, network: { connect: [1] } }`, /observer/u],
  ])('%s is refused and leaves the process as it was', (_, options, message) => {
    const seen = json(
      script(`
        import { readFileSync } from 'node:fs';
        const error = attempt(() => secure(${options}));
        console.log(JSON.stringify({ error, still: readFileSync(${JSON.stringify(outside)}, 'utf8') }));`),
    );
    expect(seen['error']).toMatchObject({ name: 'TapPassConfigError' });
    expect((seen['error'] as { message: string }).message).toMatch(message);
    expect(seen['still']).toBe('outside');
  });
});

describe('after the lock-down', () => {
  test('a command can still be run, within what the process has', () => {
    const seen = json(
      script(`
        const { runCommand } = await import(${JSON.stringify(join(import.meta.dirname, '..', 'src', 'run-command.ts'))});
        secure({ tier: 'worker', workspace });
        const inner = await runCommand(['cat', ${JSON.stringify(inside)}], { workspace });
        const outer = await runCommand(['cat', ${JSON.stringify(outside)}], { workspace });
        console.log(JSON.stringify({ inner: [inner.status, inner.stdout], outer: [outer.status, outer.exitCode] }));`),
    );
    expect(seen).toEqual({ inner: ['exited', 'inside'], outer: ['exited', 1] });
  });

  test('a daemon does not outlive its command there either, and limits that cannot be watched are reported', async () => {
    const seen = json(
      script(`
        const { runCommand } = await import(${JSON.stringify(join(import.meta.dirname, '..', 'src', 'run-command.ts'))});
        secure({ tier: 'worker', workspace, commands: [process.execPath] });
        const daemon = "require('child_process').spawn('sleep', ['${MARK}'], { detached: true, stdio: 'ignore' }).unref()";
        const { status, exitCode, usage, report } = await runCommand([process.execPath, '-e', daemon], { workspace, commands: [process.execPath] });
        const memory = report.layers.find(({ layer }) => layer === 'limit-memoryMb');
        console.log(JSON.stringify({ status, exitCode, leftovers: usage.leftovers, memory: memory.enforced }));`),
    );
    expect(seen).toEqual({ status: 'exited', exitCode: 0, leftovers: 1, memory: 'none' });
    expect(spawnSync('pgrep', ['-f', `sleep ${MARK}`], { encoding: 'utf8' }).stdout).toBe('');
  });

  test('os.tmpdir() of a worker can be written, the shared one cannot', () => {
    const seen = json(
      script(`
        import { tmpdir } from 'node:os';
        import { writeFileSync } from 'node:fs';
        const shared = tmpdir();
        secure({ tier: 'worker', workspace });
        console.log(JSON.stringify({
          shared: attempt(() => writeFileSync(shared + '/secure-shared', '')).code,
          own: attempt(() => writeFileSync(tmpdir() + '/own', 'x')) ?? 'written',
        }));`),
    );
    expect(seen).toEqual({ shared: 'EACCES', own: 'written' });
  });

  test('what was open stays usable, a listed port can be reconnected, and modules load from the workspace', async () => {
    const echo = (): Promise<Server> =>
      new Promise((resolve) => {
        const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(
          0,
          '127.0.0.1',
          () => resolve(server),
        );
      });
    const [listed, other] = await Promise.all([echo(), echo()]);
    const portOf = (server: Server): string => String((server.address() as AddressInfo).port);
    const child = spawn(process.execPath, [fixture('keeps.ts'), workspace, portOf(listed), portOf(other)], {
      cwd: workspace,
    });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    listed.close();
    other.close();
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      before: { listed: 'connected', other: 'connected' },
      after: { listed: 'connected', other: 'EACCES' },
      journal: 'done',
      reopened: 'EACCES',
      read: 'EACCES',
      open: 'still here',
      late: 42,
    });
  });
});

describe('with a journal', () => {
  const events = async (dir: string): Promise<readonly unknown[]> => {
    expect(await verifyJournal(dir)).toMatchObject({ ok: true });
    return (await Array.fromAsync(readJournal(dir, { type: 'lock-down' }))).toReversed();
  };

  test('a lock-down is written before it happens, and how it ended; the same again is none', async () => {
    const dir = join(root, 'journal');
    const seen = json(
      script(`
        const options = { tier: 'worker', workspace, audit: { dir: ${JSON.stringify(dir)} } };
        const { profile } = secure(options);
        secure(options);
        secure({ ...options, tier: 'observer' });
        console.log(JSON.stringify(profile));`),
    );
    expect(await events(dir)).toMatchObject([
      { outcome: 'asked', tier: 'worker', profile: 'worker', digest: seen['digest'], degraded: [] },
      { outcome: 'enforced', tier: 'worker', threads: { found: expect.any(Number) as number } },
      { outcome: 'asked', tier: 'observer' },
      { outcome: 'enforced', tier: 'observer' },
    ]);
  });

  test('one that cannot be written leaves the process as it was', () => {
    const file = join(root, 'no-journal');
    writeFileSync(file, '');
    const seen = json(
      script(`
        import { readFileSync } from 'node:fs';
        const { code } = attempt(() => secure({ tier: 'worker', workspace, audit: { dir: ${JSON.stringify(file)} } }));
        const broken = { append: () => { throw new Error('full'); }, appendDurable: () => { throw new Error('full'); } };
        const { message } = attempt(() => secure({ tier: 'worker', workspace, audit: broken }));
        const wrong = attempt(() => secure({ tier: 'worker', workspace, audit: 'here' })).code;
        console.log(JSON.stringify({ code, message, wrong, read: readFileSync(${JSON.stringify(outside)}, 'utf8') }));`),
    );
    expect(seen).toEqual({
      code: 'TAPPASS_JOURNAL',
      message: 'full',
      wrong: 'TAPPASS_CONFIG_OPTION',
      read: 'outside',
    });
  });

  test('`tappass audit tail` shows them', async () => {
    const dir = join(root, 'journal-shown');
    json(script(`secure({ tier: 'observer', workspace, audit: { dir: ${JSON.stringify(dir)} } }); console.log('{}');`));
    const cli = join(import.meta.dirname, '..', 'src', 'cli', 'bin.ts');
    const { stdout } = node([cli, 'audit', 'tail', '--dir', dir]);
    expect(stdout).toMatch(/lock-down.*asked.*tier observer/u);
    expect(stdout).toMatch(/lock-down.*enforced.*tier observer/u);
  });
});

describe('on a host that lacks a layer', () => {
  const program = (options: string): readonly string[] => [
    '--input-type=module-typescript',
    '-e',
    `import { secure } from ${JSON.stringify(join(import.meta.dirname, '..', 'src', 'secure.ts'))};
     import { readFileSync } from 'node:fs';
     const attempt = () => { try { return secure(${options}).tier; } catch (error) { return { code: error.code, missing: error.missing }; } };
     const first = attempt();
     console.log(JSON.stringify({ first, second: attempt(), still: readFileSync(${JSON.stringify(outside)}, 'utf8') }));`,
  ];
  const worker = `{ tier: 'worker', workspace: ${JSON.stringify(workspace)} }`;

  test.each([
    ['Landlock', SYSCALL.landlock, 'landlock'],
    ['seccomp', SYSCALL.seccomp, 'seccomp'],
  ])('no %s: TrustTierDenied names it, and nothing has changed', async (_, call, layer) => {
    const { stdout, stderr } = await nodeOnLesserHost([call], ENOSYS, program(worker), workspace);
    expect(stderr).toBe('');
    const denied = { code: 'TAPPASS_TRUST_TIER_DENIED', missing: expect.arrayContaining([layer]) as string[] };
    expect(JSON.parse(stdout)).toEqual({ first: denied, second: denied, still: 'outside' });
  });

  test('a lock-down that stops half-way says so, then and at every later call', async () => {
    const restrictSelf = 446;
    const { stdout, stderr } = await nodeOnLesserHost([restrictSelf], EPERM, program(worker), workspace);
    expect(stderr).toBe('');
    const incomplete = { code: 'TAPPASS_LOCK_DOWN_INCOMPLETE', missing: [] };
    expect(JSON.parse(stdout)).toEqual({ first: incomplete, second: incomplete, still: 'outside' });
  });

  test('and the journal has it', async () => {
    const restrictSelf = 446;
    const dir = join(workspace, 'journal-of-failure');
    const audited = `{ tier: 'worker', workspace: ${JSON.stringify(workspace)}, audit: { dir: ${JSON.stringify(dir)} } }`;
    await nodeOnLesserHost([restrictSelf], EPERM, program(audited), workspace);
    const lines = await Array.fromAsync(readJournal(dir, { type: 'lock-down' }));
    expect(lines.toReversed()).toMatchObject([
      { outcome: 'asked' },
      { outcome: 'failed', reason: expect.stringContaining('EPERM') as string },
    ]);
  });
});

describe('inside `tappass run`', () => {
  const inside = (tier: string, body: string): Promise<CommandResult> =>
    runCommand(
      [
        process.execPath,
        '--input-type=module-typescript',
        '-e',
        `import { secure } from ${JSON.stringify(join(import.meta.dirname, '..', 'src', 'secure.ts'))};
         const attempt = (act) => { try { return act(); } catch (error) { return { code: error.code, message: error.message }; } };
         const workspace = ${JSON.stringify(join(import.meta.dirname, '..'))};
         console.log(JSON.stringify(attempt(() => { ${body} })));`,
      ],
      { tier: tier as 'worker', workspace: join(import.meta.dirname, '..'), commands: [process.execPath] },
    );

  test('the same tier is applied on top, has no ring of io_uring left, and names the outer one', async () => {
    const { stdout, stderr } = await inside('worker', `return secure({ tier: 'worker', workspace });`);
    expect(stderr).toBe('');
    const report = JSON.parse(stdout) as SecureReport;
    expect(report).toMatchObject({ tier: 'worker', inside: 'worker' });
    expect(report.residues.map(({ name }) => name)).not.toContain('io_uring');
  });

  test('a wider tier is refused', async () => {
    const { stdout } = await inside('worker', `return secure({ tier: 'standard', workspace });`);
    expect(JSON.parse(stdout)).toMatchObject({
      code: 'TAPPASS_TIER_WIDENED',
      message: expect.stringContaining('`tappass run`') as string,
    });
  });

  test('a variable alone persuades nobody: without a filter around it the tier is applied in full', () => {
    const seen = json(
      script(
        `const report = secure({ tier: 'worker', workspace });
         console.log(JSON.stringify({ inside: report.inside ?? null, threads: report.threads.confined > 0 }));`,
        { TAPPASS_SANDBOX: 'observer' },
      ),
    );
    expect(seen).toEqual({ inside: null, threads: true });
  });
});
