import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { compileProfile } from '../../src/kernel/compile.ts';
import { builtInProfiles, isBuiltIn, loadProfile } from '../../src/kernel/profile-files.ts';
import { parseProfile, profileJsonSchema } from '../../src/kernel/profile.ts';
import { currentProfile, type ProfileNotice } from '../../src/kernel/profile-current.ts';
import { watchProfile } from '../../src/kernel/profile-watch.ts';
import { resolveVariables } from '../../src/kernel/variables.ts';
import { compileNamed, compileOrThrow, optionsFor, repository } from './compiled.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-profile-')));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
const writeProfile = (document: unknown): string => {
  const file = join(root, `profile-${String((count += 1))}.json`);
  writeFileSync(file, typeof document === 'string' ? document : JSON.stringify(document));
  return file;
};
const minimal = { name: 'mine', description: 'made up for this test', tier: 'worker', extends: 'worker' };
const rule = (path: string, ...rights: string[]) => ({ path, rights, why: 'made up for this test' });

describe('the schema', () => {
  test('is published as JSON schema, and the file is the one that zod makes', () => {
    const text = readFileSync(join(repository, 'sandbox-profiles', 'profile.schema.json'), 'utf8');
    expect(JSON.parse(text)).toEqual(profileJsonSchema());
  });

  test('holds every built-in profile, which is not held against it again when it is used', () => {
    const folder = join(repository, 'sandbox-profiles');
    const shipped = readdirSync(folder).filter((file) => file.endsWith('.json') && file !== 'profile.schema.json');
    for (const file of shipped) {
      const document: unknown = JSON.parse(readFileSync(join(folder, file), 'utf8'));
      expect([file, parseProfile(document, file)]).toEqual([file, document]);
    }
    expect(shipped.map((file) => file.slice(0, -'.json'.length)).filter((name) => !isBuiltIn(name))).toEqual([]);
  });

  test('a file of another name is held against it, also in the folder of the built-in ones or under their names', () => {
    const wrong = { ...minimal, files: [{ ...rule('/a', 'read'), recursive: true }] };
    const folder = mkdtempSync(join(root, 'pretender-'));
    writeFileSync(join(folder, 'worker.json'), JSON.stringify(wrong));
    expect(() => loadProfile(join(folder, 'worker.json'))).toThrow(/recursive/u);
    const planted = join(repository, 'sandbox-profiles', `planted-${String(process.pid)}.json`);
    try {
      writeFileSync(planted, JSON.stringify(wrong));
      expect(() => loadProfile(planted)).toThrow(/recursive/u);
      expect(() => loadProfile(basename(planted, '.json'))).toThrow(/recursive/u);
      // And it cannot promise a tier by standing where those stand that may.
      writeFileSync(planted, JSON.stringify({ name: 'mine', description: 'made up for this test', tier: 'observer' }));
      expect(() => loadProfile(planted)).toThrow(/extend a built-in profile/u);
    } finally {
      rmSync(planted, { force: true });
    }
  });

  test('every line of every built-in profile has its why', () => {
    for (const name of ['foundation', 'common', ...builtInProfiles()]) {
      const text = readFileSync(join(repository, 'sandbox-profiles', `${name}.json`), 'utf8');
      const lines: Record<string, unknown>[] = [];
      JSON.parse(text, (_, value: unknown) => {
        if (
          typeof value === 'object' &&
          value !== null &&
          ['path', 'named', 'calls', 'names', 'layer', 'connect'].some((key) => key in value)
        ) {
          lines.push(value as Record<string, unknown>);
        }
        return value;
      });
      expect(lines.length).toBeGreaterThan(0);
      expect(lines.filter(({ why }) => typeof why !== 'string' || why.length < 8)).toEqual([]);
    }
  });

  const bad: readonly (readonly [string, unknown, RegExp])[] = [
    ['an unknown key', { ...minimal, fles: [] }, /fles/u],
    ['an unknown key inside a line', { ...minimal, files: [{ ...rule('/a', 'read'), recursive: true }] }, /recursive/u],
    ['a line without its why', { ...minimal, files: [{ path: '/a', rights: ['read'] }] }, /why/u],
    ['a wrong type', { ...minimal, files: 'all' }, /files/u],
    ['an unknown right', { ...minimal, files: [rule('/a', 'delete')] }, /rights/u],
    ['no right', { ...minimal, files: [rule('/a')] }, /rights/u],
    ['a relative path', { ...minimal, files: [rule('a/b', 'read')] }, /absolute/u],
    ['a path with NUL', { ...minimal, files: [rule('/a\0b', 'read')] }, /NUL/u],
    ['a glob, which the host cannot express', { ...minimal, files: [rule('/a/*.txt', 'read')] }, /glob/u],
    ['a path with ..', { ...minimal, files: [rule('/a/../b', 'read')] }, /\.\./u],
    ['an unknown variable', { ...minimal, files: [rule('${SECRETS}/a', 'read')] }, /variables/u],
    ['a variable inside a path', { ...minimal, files: [rule('/a/${NOPE}', 'read')] }, /variables/u],
    [
      'an unknown system call',
      { ...minimal, syscalls: { rules: [{ calls: ['opne'], action: 'EPERM', why: 'made up line' }] } },
      /system call/u,
    ],
    [
      'an unknown group',
      { ...minimal, syscalls: { rules: [{ calls: ['@all'], action: 'EPERM', why: 'made up line' }] } },
      /system call/u,
    ],
    [
      'a condition without a comparison',
      {
        ...minimal,
        syscalls: { rules: [{ calls: ['read'], when: [{ argument: 0 }], action: 'EPERM', why: 'made up line' }] },
      },
      /equals/u,
    ],
    [
      'an argument that does not exist',
      {
        ...minimal,
        syscalls: {
          rules: [{ calls: ['read'], when: [{ argument: 6, equals: 0 }], action: 'EPERM', why: 'made up line' }],
        },
      },
      /argument/u,
    ],
    ['a limit of 0', { ...minimal, limits: { pids: 0 } }, /pids/u],
    ['a negative limit', { ...minimal, limits: { memoryMb: -1 } }, /memoryMb/u],
    ['a port of 0', { ...minimal, network: { connect: [0], why: 'made up line' } }, /connect/u],
    ['a port beyond 65535', { ...minimal, network: { connect: [65_536], why: 'made up line' } }, /connect/u],
    ['a prototype', JSON.parse('{"__proto__": {"name": "x"}, "name": "mine"}'), /__proto__|description/u],
    ['a list', [], /object/u],
    ['nothing', null, /object/u],
  ];
  test.each(bad)('%s is refused, and the fault says where', (_, document, fault) => {
    const file = writeProfile(document);
    expect(() => loadProfile(file)).toThrow(fault);
    expect(() => loadProfile(file)).toThrow(file);
  });

  test('the document that the bad ones were made from is fine', () => {
    expect(loadProfile(writeProfile(minimal)).profile.name).toBe('mine');
  });

  test('whatever comes in, it is parsed or refused with TapPassConfigError', () => {
    const nameOfError = (value: unknown): string | undefined => {
      try {
        parseProfile(value, 'here');
        return undefined;
      } catch (error) {
        return (error as Error).name;
      }
    };
    fc.assert(
      fc.property(fc.anything(), (value) => ['TapPassConfigError', undefined].includes(nameOfError(value))),
      { numRuns: 300 },
    );
    expect(nameOfError({})).toBe('TapPassConfigError');
    expect(nameOfError({ name: 'mine', description: 'made up for this test' })).toBeUndefined();
  });
});

describe('files of profiles', () => {
  test.each([
    ['not JSON', '{', /JSON/u],
    ['empty', '', /JSON/u],
    ['larger than a profile can be', ' '.repeat(1024 * 1024 + 1), /1 MiB/u],
  ])('%s is refused', (_, text, fault) => {
    expect(() => loadProfile(writeProfile(text))).toThrow(fault);
  });

  test('one that is not there, or is a folder, is refused by name', () => {
    expect(() => loadProfile('no-such-profile')).toThrow(/tappass profile list/u);
    expect(() => loadProfile(join(root, 'none.json'))).toThrow(/none\.json/u);
    expect(() => loadProfile(`${root}/`)).toThrow(/cannot be read/u);
  });

  test('a cycle of extends is refused, and the cycle is named', () => {
    writeFileSync(join(root, 'a.json'), JSON.stringify({ ...minimal, extends: './b.json' }));
    writeFileSync(join(root, 'b.json'), JSON.stringify({ ...minimal, extends: './a.json' }));
    expect(() => loadProfile(join(root, 'a.json'))).toThrow(/cycle: .*a\.json → .*b\.json → .*a\.json/u);
    writeFileSync(join(root, 'self.json'), JSON.stringify({ ...minimal, extends: './self.json' }));
    expect(() => loadProfile(join(root, 'self.json'))).toThrow(/cycle/u);
  });

  test('an endless chain of extends is refused', () => {
    for (let index = 0; index < 20; index += 1) {
      writeFileSync(
        join(root, `chain-${String(index)}.json`),
        JSON.stringify({ ...minimal, extends: `./chain-${String(index + 1)}.json` }),
      );
    }
    expect(() => loadProfile(join(root, 'chain-0.json'))).toThrow(/at most 16/u);
  });

  test('extends reaches a file beside it, and a built-in by name', () => {
    const base = writeProfile(minimal);
    const { profile, files } = loadProfile(writeProfile({ ...minimal, extends: base }));
    expect(files).toContain(base);
    expect(files.at(-1)).toMatch(/foundation\.json$/u);
    expect(profile.syscalls.rules.some(({ calls }) => calls.includes('clone3'))).toBe(true);
  });
});

describe('a tier is a promise', () => {
  test.each([
    ['nothing', undefined],
    ['a profile that is no tier', 'common'],
    ['a tier with more authority', 'standard'],
  ])('a worker that extends %s is refused', (_, extended) => {
    expect(() => loadProfile(writeProfile({ ...minimal, extends: extended }))).toThrow(/extend a built-in profile/u);
  });

  test('a worker that extends a narrower tier is fine', () => {
    expect(loadProfile(writeProfile({ ...minimal, extends: 'observer' })).profile.tier).toBe('worker');
  });

  const beyond: readonly (readonly [string, Record<string, unknown>])[] = [
    ['an observer that writes', { tier: 'observer', extends: 'observer', files: [rule('${WORKSPACE}', 'write')] }],
    [
      'an observer that writes to a device',
      { tier: 'observer', extends: 'observer', files: [rule('/dev/tty', 'write')] },
    ],
    ['an observer that executes', { tier: 'observer', extends: 'observer', files: [rule('/usr', 'execute')] }],
    ['an observer that creates', { tier: 'observer', extends: 'observer', files: [rule('${WORKSPACE}', 'create')] }],
    [
      'an observer with a command',
      { tier: 'observer', extends: 'observer', commands: [{ names: ['ls'], why: 'made up line' }] },
    ],
    [
      'an observer with a port',
      { tier: 'observer', extends: 'observer', network: { connect: [80], why: 'made up line' } },
    ],
    ['a worker with any command', { commands: 'any' }],
    ['a worker with any port', { network: { connect: 'any', why: 'made up line' } }],
    ['a worker that writes to /etc', { files: [rule('/etc', 'write')] }],
    ['a worker that creates in /', { files: [rule('/', 'create')] }],
    ['a worker that writes to the whole home folder', { files: [rule('${HOME}', 'write')] }],
  ];
  test.each(beyond)('%s is refused', (_, change) => {
    const { profile } = loadProfile(writeProfile({ ...minimal, ...change }));
    const options = optionsFor();
    expect(() => compileProfile(profile, { ...options, variables: { ...options.variables, home: root } })).toThrow(
      /stay within tier|folders of its own/u,
    );
  });

  test('a worker that writes to a folder of its own is fine', () => {
    const folder = join(root, 'cache');
    mkdirSync(folder);
    const { compiled } = compileOrThrow(
      loadProfile(writeProfile({ ...minimal, files: [rule(folder, 'read', 'write')] })).profile,
    );
    expect(compiled.landlock.paths.some(({ path }) => path === folder)).toBe(true);
  });

  test('a line that allows cannot undo one that denies in what it extends, and one that denies counts', () => {
    const allow = writeProfile({
      ...minimal,
      syscalls: { rules: [{ calls: ['ptrace', 'mount'], action: 'allow', why: 'made up line' }] },
    });
    const deny = writeProfile({
      ...minimal,
      syscalls: { rules: [{ calls: ['chmod'], action: 'EPERM', why: 'made up line' }] },
    });
    const plain = compileNamed('worker').compiled.seccomp;
    expect(compileOrThrow(loadProfile(allow).profile).compiled.seccomp).toEqual(plain);
    expect(compileOrThrow(loadProfile(deny).profile).compiled.seccomp).not.toEqual(plain);
  });

  test('a list of the only calls allowed cannot be extended by more, nor opened', () => {
    const isolate = { ...minimal, tier: 'observer', extends: 'isolate-host' };
    const more = writeProfile({
      ...isolate,
      syscalls: { rules: [{ calls: ['socket'], action: 'allow', why: 'made up line' }] },
    });
    expect(() => loadProfile(more)).toThrow(/narrow/u);
    const open = loadProfile(writeProfile({ ...isolate, syscalls: { fallback: 'allow', rules: [] } }));
    expect(open.profile.syscalls.fallback).toBe('EPERM');
  });

  test('one that is only there to be extended does not run', () => {
    expect(() => compileProfile(loadProfile('common').profile, optionsFor())).toThrow(/only there to be extended/u);
    expect(builtInProfiles()).toEqual(['isolate-guest', 'isolate-host', 'observer', 'standard', 'worker']);
  });
});

describe('a watched profile', () => {
  test('takes a good change for the next use, keeps the old one over a bad one, and says both', async () => {
    const file = writeProfile({ ...minimal, limits: { pids: 1 } });
    const notices: ProfileNotice[] = [];
    const waiting: (() => void)[] = [];
    const noticed = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
    const watched = await watchProfile(file, (notice) => {
      notices.push(notice);
      waiting.shift()?.();
    });
    const before = watched.current().profile;
    expect(before.limits.pids).toBe(1);

    let next = noticed();
    writeFileSync(file, JSON.stringify({ ...minimal, limits: { pids: 2 } }));
    await next;
    expect(watched.current().profile.limits.pids).toBe(2);
    expect(before.limits.pids).toBe(1);

    next = noticed();
    writeFileSync(file, JSON.stringify({ ...minimal, limits: { pids: 'many' } }));
    await next;
    expect(watched.current().profile.limits.pids).toBe(2);
    expect(notices.map(({ kind }) => kind)).toEqual(['reloaded', 'kept']);
    expect(notices[1]).toMatchObject({ reason: expect.stringMatching(/pids/u) as unknown });

    next = noticed();
    rmSync(file);
    await next;
    expect(watched.current().profile.limits.pids).toBe(2);
    await watched.close();
  });

  test('is asked for again before each command: the same object, the changed one, or the last good one with a notice', () => {
    const file = writeProfile({ ...minimal, limits: { pids: 1 } });
    const notices: unknown[] = [];
    const listen = (notice: unknown): void => void notices.push(notice);
    subscribe('tappass:profile', listen);
    const first = currentProfile(file);
    expect(currentProfile(file)).toBe(first);
    writeFileSync(file, JSON.stringify({ ...minimal, limits: { pids: 22 } }));
    const second = currentProfile(file);
    expect([first.profile.limits.pids, second.profile.limits.pids]).toEqual([1, 22]);
    writeFileSync(file, '{');
    expect(currentProfile(file)).toBe(second);
    expect(currentProfile(file)).toBe(second);
    expect(notices).toMatchObject([{ kind: 'kept', reason: expect.stringMatching(/JSON/u) as unknown }]);
    writeFileSync(file, JSON.stringify({ ...minimal, limits: { pids: 333 } }));
    expect(currentProfile(file).profile.limits.pids).toBe(333);
    expect(() => currentProfile(writeProfile('{'))).toThrow(/JSON/u);
    unsubscribe('tappass:profile', listen);
  });

  test('a profile that is broken from the start is refused', async () => {
    await expect(watchProfile(writeProfile('{'))).rejects.toThrow(/JSON/u);
  });
});

describe('workspaces', () => {
  const home = join(root, 'home', 'user');
  mkdirSync(join(home, '.ssh', 'inner'), { recursive: true });
  mkdirSync(join(home, 'project'));
  writeFileSync(join(home, 'file'), '');
  symlinkSync(join(home, '.ssh'), join(home, 'project-link'));
  const withWorkspace = (workspace: string) => (): unknown => {
    const options = optionsFor();
    return compileProfile(loadProfile('worker').profile, {
      ...options,
      variables: { ...options.variables, workspace, home },
    });
  };

  test.each([
    ['/', /whole system/u],
    [home, /home folder/u],
    [join(root, 'home'), /home folder/u],
    [join(home, '.ssh'), /protected/u],
    [join(home, '.ssh', 'inner'), /protected/u],
    [join(home, 'project-link'), /protected/u],
    ['/etc', /belongs to the system/u],
    ['/proc/self', /belongs to the system/u],
    ['/usr', /belongs to the system/u],
    [join(home, 'file'), /folder/u],
    [join(home, 'none'), /exist/u],
    ['relative', /absolute/u],
    ['/a\0b', /absolute/u],
  ])('%s is refused', (workspace, fault) => {
    expect(withWorkspace(workspace)).toThrow(fault);
  });

  test('an empty HOME is not the current folder: credentials are where the system says', () => {
    const { variables } = optionsFor();
    const homeOf = (given: string) => resolveVariables({ ...variables, home: given }).HOME;
    const { homedir: recorded } = userInfo();
    expect(homeOf('')).toBe(homeOf(recorded));
    expect(homeOf('relative')).toBe(join(realpathSync(process.cwd()), 'relative'));
  });

  test('a folder of its own is fine', () => {
    expect(withWorkspace(join(home, 'project'))).not.toThrow();
  });

  test('an observer is refused the same workspaces: reading credentials is the harm', () => {
    const options = optionsFor();
    expect(() =>
      compileProfile(loadProfile('observer').profile, {
        ...options,
        variables: { ...options.variables, workspace: home, home },
      }),
    ).toThrow(/home folder/u);
  });
});

describe('options', () => {
  test.each([
    ['a port of 0', { connect: [0] }],
    ['a port beyond 65535', { connect: ['127.0.0.1:65536'] }],
    ['a host without a port', { connect: ['example.com'] }],
    ['a command that is not there', { commands: ['no-such-program-anywhere'] }],
    ['a relative command', { commands: ['./program'] }],
    ['an empty command', { commands: [''] }],
    ['a command with NUL', { commands: ['ls\0'] }],
    ['a folder as a command', { commands: ['/usr/bin'] }],
    ['a file that is not executable as a command', { commands: ['/etc/passwd'] }],
  ])('%s is refused', (_, change) => {
    expect(() => compileNamed('worker', change)).toThrow(/Expected/u);
  });

  test('a command and a port that are there are fine', () => {
    const { compiled } = compileNamed('worker', {
      commands: ['/usr/bin/env'],
      connect: ['127.0.0.1:5432', 6379, '[::1]:5432'],
    });
    expect(compiled.landlock.ports.map(({ port }) => port)).toEqual([5432, 6379]);
    expect(compiled.required).toContain('landlock-net');
  });

  test('an observer gets neither commands nor ports', () => {
    expect(() => compileNamed('observer', { commands: ['ls'] })).toThrow(/observer/u);
    expect(() => compileNamed('observer', { connect: [80] })).toThrow(/observer/u);
  });
});

describe('the cache', () => {
  test('equal options return the same object; other options another digest', () => {
    const first = compileNamed('worker');
    expect(compileNamed('worker')).toBe(first);
    expect(compileNamed('worker', { connect: [1] }).compiled.digest).not.toBe(first.compiled.digest);
  });

  test('a change in a folder that was expanded around something protected is seen', () => {
    const home = join(root, 'cached-home');
    mkdirSync(join(home, 'a'), { recursive: true });
    const options = { variables: { ...optionsFor().variables, home } };
    const first = compileNamed('standard', options);
    expect(compileNamed('standard', options)).toBe(first);
    mkdirSync(join(home, 'b'));
    const second = compileNamed('standard', options);
    expect(first.compiled.landlock.paths.some(({ path }) => path === join(home, 'b'))).toBe(false);
    expect(second.compiled.landlock.paths.some(({ path }) => path === join(home, 'b'))).toBe(true);
  });
});
