import { describe, expect, test } from 'vitest';
import { examineHost } from '../../src/doctor.ts';
import { ABILITIES, cureFor, type AbilityName, type HostFacts } from '../../src/kernel/cures.ts';
import { probeHost } from '../../src/kernel/probe.ts';

const facts: HostFacts = { release: '6.12.0', uid: 1000, container: false, filtered: false, landlock: 7 };

describe('cures, for hosts that are made up', () => {
  const cases: readonly (readonly [string, AbilityName, Partial<HostFacts>, number | undefined, RegExp])[] = [
    ['an old kernel', 'landlock', { landlock: -38, release: '5.4.0' }, undefined, /5\.4\.0.*Linux 6\.12/u],
    ['Landlock switched off at boot', 'landlock', { landlock: -95 }, undefined, /lsm=.*boot parameter/u],
    ['a container that refuses Landlock', 'landlock', { landlock: -1, filtered: true }, undefined, /seccomp=/u],
    [
      'a container that hides Landlock',
      'landlock',
      { landlock: -38, filtered: true },
      undefined,
      /container hides.*seccomp=/u,
    ],
    [
      'a kernel without ports',
      'landlock-net',
      { landlock: 3, release: '6.2.0' },
      undefined,
      /6\.7.*6\.2\.0 with ABI 3/u,
    ],
    ['a kernel without scopes', 'landlock-scope', { landlock: 5 }, undefined, /6\.12.*pid namespaces/u],
    ['no Landlock at all, asked about ports', 'landlock-net', { landlock: -95 }, undefined, /lsm=/u],
    ['a filter that forbids filters', 'seccomp', { filtered: true }, undefined, /another filter/u],
    ['a kernel without filters', 'seccomp', {}, undefined, /CONFIG_SECCOMP_FILTER/u],
    ['AppArmor of Ubuntu', 'namespace-user', { apparmorRestrictsUserns: true }, 13, /AppArmor.*userns,/u],
    ['Debian for root only', 'namespace-pid', { unprivilegedUsernsClone: false }, 1, /unprivileged_userns_clone=1/u],
    ['namespaces switched off', 'namespace-user', { maxUserNamespaces: 0 }, 28, /max_user_namespaces/u],
    ['all namespaces used up', 'namespace-net', {}, 28, /max_user_namespaces/u],
    ['a container that forbids namespaces', 'namespace-mount', { container: true, uid: 0 }, 1, /SYS_ADMIN/u],
    ['AppArmor does not stop root', 'namespace-user', { apparmorRestrictsUserns: true, uid: 0 }, 1, /CONFIG_USER_NS/u],
    ['an old kernel without openat2', 'openat2', {}, 38, /5\.6/u],
    ['a filter that refuses openat2', 'openat2', {}, 1, /filter/u],
    ['no delegated cgroup', 'cgroup', {}, undefined, /systemd-run/u],
  ];
  test.each(cases)('%s: %s', (_, name, change, errno, cure) => {
    expect(cureFor(name, { ...facts, ...change }, errno)).toMatch(cure);
  });

  test('every ability has a cure that says what to do', () => {
    for (const name of ABILITIES) expect(cureFor(name, facts).length).toBeGreaterThan(20);
  });
});

describe('this host', () => {
  test('each layer was really tried, and what does not work has its cure', async () => {
    const abilities = await probeHost();
    expect(abilities.map(({ name }) => name)).toEqual(ABILITIES);
    for (const { name, works, found, cure } of abilities) {
      expect([name, found.length > 0, cure === undefined]).toEqual([name, true, works]);
    }
  });

  test('the floor holds here, so every tier can be enforced', async () => {
    const { tiers, abilities } = await examineHost();
    const floor = abilities.filter(({ role }) => role === 'needed');
    expect(floor.map(({ name, works }) => [name, works])).toEqual(floor.map(({ name }) => [name, true]));
    expect(tiers).toEqual(['observer', 'worker', 'standard'].map((tier) => ({ tier, enforceable: true, missing: [] })));
  });
});
