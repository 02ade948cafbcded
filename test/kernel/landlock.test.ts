import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { compileProfile } from '../../src/kernel/compile.ts';
import { expandGrant, findNamed, findPrivate, Places, realPlaces } from '../../src/kernel/grants.ts';
import { ACCESS_FS, compileLandlock, gapsOf, handledFileRights, nameFileRights } from '../../src/kernel/landlock.ts';
import { loadProfile } from '../../src/kernel/profile-files.ts';
import { aliasesOf, parseMounts } from '../../src/kernel/mounts.ts';
import { isWithin } from '../../src/kernel/paths.ts';
import { FILE_RIGHTS } from '../../src/kernel/profile.ts';
import { compileNamed, optionsFor } from './compiled.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-landlock-')));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const onAbi = (landlockAbi: number, pidNamespace = false) => ({
  host: { ...optionsFor().host, landlockAbi, pidNamespace },
});

describe('rights by ABI', () => {
  test.each([
    [0, ''],
    [
      1,
      'EXECUTE WRITE_FILE READ_FILE READ_DIR REMOVE_DIR REMOVE_FILE MAKE_CHAR MAKE_DIR MAKE_REG MAKE_SOCK MAKE_FIFO MAKE_BLOCK MAKE_SYM',
    ],
    [2, 'REFER'],
    [3, 'TRUNCATE'],
    [4, ''],
    [5, 'IOCTL_DEV'],
    [6, ''],
    [7, ''],
    [8, ''],
    [9, 'RESOLVE_UNIX'],
    [10, ''],
  ])('ABI %i adds: %s', (abi, added) => {
    expect(nameFileRights(handledFileRights(abi) & ~(abi === 0 ? 0n : handledFileRights(abi - 1)))).toBe(added);
  });

  test.each([
    [3, 0n],
    [4, 0b11n],
    [9, 0b11n],
    [10, 0b1111n],
    [99, 0b1111n],
  ])('on ABI %i the port rights are %s, and none are handled where the network is open', (abi, rights) => {
    expect(compileLandlock({ grants: [], connect: [] }, abi).handledNet).toBe(rights);
    expect(compileLandlock({ grants: [], connect: 'any' }, abi).handledNet).toBe(0n);
  });

  test.each([
    [5, 0n],
    [6, 0b11n],
    [10, 0b11n],
  ])('on ABI %i the scope is %s', (abi, scoped) => {
    expect(compileLandlock({ grants: [], connect: [] }, abi).scoped).toBe(scoped);
  });

  test('no rule ever carries a right that is not handled, or one that only folders have on a file', () => {
    const grants = fc.array(
      fc.record({
        path: fc.constantFrom('/a', '/b'),
        directory: fc.boolean(),
        rights: fc.subarray([...FILE_RIGHTS], { minLength: 1 }),
      }),
      { maxLength: 6 },
    );
    const ofFiles =
      ACCESS_FS.EXECUTE |
      ACCESS_FS.WRITE_FILE |
      ACCESS_FS.READ_FILE |
      ACCESS_FS.TRUNCATE |
      ACCESS_FS.IOCTL_DEV |
      ACCESS_FS.RESOLVE_UNIX;
    fc.assert(
      fc.property(grants, fc.integer({ min: 0, max: 12 }), (list, abi) => {
        const { handledFs, paths } = compileLandlock({ grants: list, connect: [] }, abi);
        for (const { path, access } of paths) {
          expect(access & ~handledFs).toBe(0n);
          const onlyFiles = list.every((grant) => grant.path !== path || !grant.directory);
          expect(onlyFiles ? access & ~ofFiles : 0n).toBe(0n);
          expect(access & (ACCESS_FS.MAKE_CHAR | ACCESS_FS.MAKE_BLOCK)).toBe(0n);
        }
      }),
    );
  });

  test('a port rule connects and does not bind', () => {
    expect(compileLandlock({ grants: [], connect: [80, 80] }, 4).ports).toEqual([{ port: 80, access: 2n }]);
  });
});

describe('what an old kernel lacks', () => {
  test.each([
    [1, ['truncate', 'ports', 'scope', 'unix-paths']],
    [3, ['ports', 'scope', 'unix-paths']],
    [4, ['scope', 'unix-paths']],
    [6, ['unix-paths']],
    [9, []],
  ])('on ABI %i the gaps are %j', (abi, gaps) => {
    expect(gapsOf(abi)).toEqual(gaps);
  });

  test.each(['observer', 'worker', 'standard', 'isolate-host'])(
    'without Landlock %s is refused, and the layer named',
    (name) => {
      const result = compileProfile(loadProfile(name).profile, { ...optionsFor(), ...onAbi(0) });
      expect(result).toMatchObject({
        missing: expect.arrayContaining([expect.objectContaining({ layer: 'landlock' })]) as unknown,
      });
    },
  );

  test('without seccomp every tier is refused', () => {
    const options = optionsFor();
    const result = compileProfile(loadProfile('worker').profile, {
      ...options,
      host: { ...options.host, seccomp: false },
    });
    expect(result).toMatchObject({ missing: [{ layer: 'seccomp' }] });
  });

  test('a port is refused below ABI 4, where no port is fine', () => {
    const without = onAbi(3, true);
    expect(compileProfile(loadProfile('worker').profile, { ...optionsFor(without), connect: [80] })).toMatchObject({
      missing: [{ layer: 'landlock-net' }],
    });
    expect(compileNamed('worker', without).compiled.required).not.toContain('landlock-net');
  });

  test('below ABI 6 a pid namespace stands in for the scope, and is then required; a process that runs cannot have one', () => {
    expect(compileNamed('worker', onAbi(5, true)).compiled.required).toContain('namespace-pid');
    expect(compileNamed('worker', onAbi(6, true)).compiled.required).not.toContain('namespace-pid');
    const missing = { missing: [{ layer: 'landlock-scope' }] };
    expect(compileProfile(loadProfile('worker').profile, optionsFor(onAbi(5, false)))).toMatchObject(missing);
    expect(
      compileProfile(loadProfile('worker').profile, optionsFor({ ...onAbi(5, true), inProcess: true })),
    ).toMatchObject(missing);
  });

  test('a missing layer is left out only where it is named, and the result says so', () => {
    const { compiled, explanation } = compileNamed('worker', { ...onAbi(5), allowDegraded: ['landlock-scope'] });
    expect(compiled.required).not.toContain('landlock-scope');
    expect(explanation.degraded).toMatchObject([{ layer: 'landlock-scope' }]);
    const port = compileNamed('worker', { ...onAbi(3, true), connect: [80], allowDegraded: ['landlock-net'] });
    expect(port.compiled.required).not.toContain('landlock-net');
    expect(port.explanation.degraded).toMatchObject([{ layer: 'landlock-net' }]);
    const other = compileProfile(
      loadProfile('worker').profile,
      optionsFor({ ...onAbi(5), allowDegraded: ['landlock'] }),
    );
    expect(other).toHaveProperty('missing');
  });
});

describe('folders around something protected', () => {
  const home = join(root, 'home');
  for (const folder of ['.ssh', 'a', '.config/gcloud', '.config/other', 'work/one', 'work/two/deep']) {
    mkdirSync(join(home, folder), { recursive: true });
  }
  for (const file of ['.ssh/id', 'a/file', '.npmrc', 'work/one/.env', 'work/two/deep/.env.local', 'work/two/file']) {
    writeFileSync(join(home, file), 'x');
  }
  symlinkSync(join(home, '.ssh'), join(home, 'link'));
  const pathsOf = (): readonly string[] =>
    compileNamed('standard', { variables: { ...optionsFor().variables, home } }).compiled.landlock.paths.map(
      ({ path }) => path,
    );
  const isGranted = (path: string): boolean => pathsOf().some((granted) => isWithin(path, granted));

  test.each([
    '.ssh/id',
    '.npmrc',
    '.config/gcloud/x',
    '.aws/made-later',
    '.config/gh/made-later',
    'link',
    'work/one/.env',
    'work/two/deep/.env.local',
  ])('%s is not granted', (file) => {
    expect(isGranted(join(home, file))).toBe(false);
  });

  test.each(['a/file', '.config/other/x', 'work/two/file'])('%s beside it is', (file) => {
    expect(isGranted(join(home, file))).toBe(true);
  });

  test('no grant of any tier reaches a protected place', () => {
    for (const name of ['observer', 'worker', 'standard', 'isolate-host']) {
      const options = { variables: { ...optionsFor().variables, home } };
      const { compiled } = compileNamed(name, options);
      const protectedPlaces = loadProfile(name).profile.protected.flatMap(({ path }) =>
        path === undefined ? [] : realPlaces([path.replace('${HOME}', home)]),
      );
      expect(protectedPlaces.length).toBeGreaterThan(50);
      for (const { path } of compiled.landlock.paths) {
        for (const place of protectedPlaces)
          expect([path, place, isWithin(place, path) || isWithin(path, place)]).toEqual([path, place, false]);
      }
    }
  });

  test('the temporary files, home folders and runtime state of others are not part of the system', () => {
    for (const path of [
      '/tmp/x',
      '/var/tmp/x',
      '/run/docker.sock',
      '/root/x',
      '/home/somebody/x',
      '/boot/x',
      '/proc/sys/kernel/core_pattern',
      '/sys/kernel/x',
      '/dev/sda',
    ]) {
      const writable = compileNamed('standard').compiled.landlock.paths.filter(({ path: granted }) =>
        isWithin(path, granted),
      );
      // /proc may be read by this tier, and nothing more.
      expect([path, writable.map(({ access }) => nameFileRights(access))]).toEqual([
        path,
        path.startsWith('/proc') ? ['READ_FILE READ_DIR'] : [],
      ]);
    }
  });

  test('what only root may read is kept from the standard tier of root, and named by its modes', () => {
    const place = join(root, 'place');
    for (const [path, mode] of [
      ['open', 0o755],
      ['closed', 0o700],
    ] as const) {
      mkdirSync(join(place, path), { recursive: true, mode });
      writeFileSync(join(place, path, 'file'), 'x', { mode: 0o644 });
    }
    writeFileSync(join(place, 'open', 'private'), 'x', { mode: 0o600 });
    symlinkSync(join(place, 'closed'), join(place, 'open', 'link'));
    expect([...findPrivate([place])].sort()).toEqual([join(place, 'closed'), join(place, 'open', 'private')]);
  });

  test.runIf(process.geteuid?.() === 0)('root reads nothing of /etc that others may not', () => {
    const paths = pathsOf();
    const closed = findPrivate(['/etc']);
    expect(closed).toContain('/etc/shadow');
    for (const path of closed) expect([path, paths.filter((granted) => isWithin(path, granted))]).toEqual([path, []]);
    expect(paths.some((granted) => isWithin('/etc/passwd', granted))).toBe(true);
  });

  test('whatever is blocked, no grant reaches it, and what is not blocked stays reachable', () => {
    const tree = ['a', 'a/b', 'a/b/c', 'a/d', 'e'].map((path) => join(root, 'tree', path));
    for (const path of tree) mkdirSync(path, { recursive: true });
    fc.assert(
      fc.property(fc.subarray(tree), (blocked) => {
        const { grants } = expandGrant(
          { path: join(root, 'tree'), rights: ['read'], why: 'made up line' },
          new Places(blocked),
        );
        for (const path of tree) {
          const granted = grants.some((grant) => isWithin(path, grant.path));
          const isBlocked = blocked.some((place) => isWithin(path, place));
          const isAround = blocked.some((place) => place !== path && isWithin(place, path));
          expect([path, granted]).toEqual([path, !isBlocked && !isAround]);
        }
      }),
    );
  });

  test('the search by name leaves the workspace, hidden folders and node_modules alone', () => {
    for (const folder of ['work/one', '.hidden', 'node_modules/x']) {
      mkdirSync(join(home, folder), { recursive: true });
      writeFileSync(join(home, folder, '.env'), 'x');
    }
    const { found, unsearched } = findNamed(home, ['.env'], join(home, 'work', 'one'));
    expect(found).toEqual([]);
    expect(unsearched).toEqual([]);
    expect(findNamed(home, ['.env', '.env.*'], '/elsewhere').found).toEqual([
      join(home, 'work/one/.env'),
      join(home, 'work/two/deep/.env.local'),
    ]);
  });

  test('a folder whose name is no UTF-8 costs no run, and what nobody can look for in it is not granted', () => {
    const odd = join(root, 'odd');
    mkdirSync(join(odd, 'work', 'plain'), { recursive: true });
    // As bytes they fit; as the text that they become they are longer than any name.
    for (const folder of ['', 'work/'])
      for (const length of [3, 200])
        mkdirSync(Buffer.concat([Buffer.from(`${odd}/${folder}`), Buffer.alloc(length, 0x83)]));
    writeFileSync(Buffer.concat([Buffer.from(`${odd}/work/`), Buffer.alloc(3, 0x83), Buffer.from('/.env')]), 'x');
    writeFileSync(Buffer.concat([Buffer.from(`${odd}/work/.env.`), Buffer.alloc(2, 0x83)]), 'x');
    const { found, unsearched } = findNamed(odd, ['.env', '.env.*'], '/elsewhere');
    const { grants } = expandGrant(
      { path: odd, rights: ['read'], why: 'made up line' },
      new Places([...found, ...unsearched]),
    );
    expect(grants.map(({ path }) => path)).toEqual([join(odd, 'work', 'plain')]);
  });
});

describe('a folder that stands in several places', () => {
  const mounts = parseMounts(
    [
      '1 0 8:1 / / rw - ext4 /dev/a rw',
      '2 1 8:2 / /home rw - ext4 /dev/b rw',
      '3 1 8:2 / /mnt/all rw - ext4 /dev/b rw',
      '4 1 8:2 /user /srv/me\\040too rw - ext4 /dev/b rw',
      '5 1 8:1 /home/user /mnt/hidden rw - ext4 /dev/a rw',
      '6 1 8:3 / /data rw - ext4 /dev/c rw',
      'not a line',
    ].join('\n'),
  );

  test.each([
    [['/home/user/.ssh'], ['/mnt/all/user/.ssh', '/srv/me too/.ssh']],
    [['/home/other'], ['/mnt/all/other']],
    [['/data/x'], []],
    [['/etc/shadow'], []],
    [['/mnt/all/user/.ssh'], ['/home/user/.ssh', '/srv/me too/.ssh']],
  ])('%j is also %j', (places, aliases) => {
    expect([...aliasesOf(places, mounts)].sort()).toEqual([...aliases].sort());
  });
});

test('beneath is by whole components', () => {
  expect(isWithin('/data/a', '/data')).toBe(true);
  expect(isWithin('/data', '/data')).toBe(true);
  expect(isWithin('/data-old/a', '/data')).toBe(false);
  expect(isWithin('/data', '/data/a')).toBe(false);
  expect(isWithin('/anything', '/')).toBe(true);
});
