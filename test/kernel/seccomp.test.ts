import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compileSeccomp,
  newestSyscall,
  SYSCALL_TABLES,
  type ArgumentCondition,
  type Architecture,
  type SyscallAction,
  type SyscallPolicy,
  type SyscallRule,
} from '../../src/kernel/seccomp.ts';
import { builtInProfiles } from '../../src/kernel/profile-files.ts';
import { faultOf, simulate } from './bpf-simulator.ts';
import { compileNamed, optionsFor } from './compiled.ts';

const ARCH: Readonly<Record<Architecture, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };
const architectures = ['x64', 'arm64'] as const;
const NOTHING = [0n, 0n, 0n, 0n, 0n, 0n];

const run = (
  program: Uint8Array,
  architecture: Architecture,
  call: string | number,
  args: readonly bigint[] = NOTHING,
): string => {
  const number = typeof call === 'number' ? call : SYSCALL_TABLES[architecture][call];
  if (number === undefined) throw new Error(`no ${String(call)} on ${architecture}`);
  return simulate(program, { number, arch: ARCH[architecture], args }).action;
};

/** The meaning of a policy, written a second time and as plainly as possible. */
const expected = (policy: SyscallPolicy, call: string, args: readonly bigint[]): SyscallAction => {
  const low = (argument: number): number => Number(BigInt.asUintN(32, args[argument] ?? 0n));
  const holds = (condition: ArgumentCondition): boolean =>
    'anyBits' in condition
      ? (low(condition.argument) & condition.anyBits) !== 0
      : (low(condition.argument) & condition.mask) >>> 0 === condition.equals >>> 0;
  return (
    policy.rules.find((rule) => rule.calls.includes(call) && (rule.when ?? []).every(holds))?.action ?? policy.fallback
  );
};

/** Arguments that make the conditions of a rule true. */
const satisfying = (rule: SyscallRule): bigint[] => {
  const args = [...NOTHING];
  for (const condition of rule.when ?? []) {
    const before = args[condition.argument] ?? 0n;
    args[condition.argument] =
      'anyBits' in condition ? before | BigInt(condition.anyBits >>> 0) : before | BigInt(condition.equals >>> 0);
  }
  return args;
};

/** The same, with different values where the conditions leave a choice. */
const probesOf = (rule: SyscallRule): readonly (readonly bigint[])[] =>
  [0n, 1n, 0x7fffffffn].flatMap((other) => [
    satisfying(rule).map((value, argument) =>
      (rule.when ?? []).some((condition) => condition.argument === argument) ? value : other,
    ),
    satisfying(rule).map((value, argument) => {
      const condition = (rule.when ?? []).find((each) => each.argument === argument);
      if (condition === undefined) return other;
      return 'anyBits' in condition ? 0xffffffffn : value | BigInt(~condition.mask >>> 0);
    }),
  ]);

/** For each condition, arguments that break that one. */
const breaking = (rule: SyscallRule): readonly (readonly bigint[])[] =>
  (rule.when ?? []).map((condition) => {
    const args = satisfying(rule);
    const value = args[condition.argument] ?? 0n;
    args[condition.argument] =
      'anyBits' in condition
        ? value & ~BigInt(condition.anyBits >>> 0)
        : value ^ BigInt((condition.mask & -condition.mask) >>> 0);
    return args;
  });

const variants = builtInProfiles().flatMap((name) =>
  architectures.flatMap((architecture) =>
    [2, 7, 9].flatMap((landlockAbi) => {
      const options = optionsFor();
      const connect = name === 'worker' && landlockAbi >= 4 ? { connect: [5432] } : {};
      const { compiled, explanation } = compileNamed(name, {
        host: { ...options.host, architecture, landlockAbi, pidNamespace: true },
        ...connect,
      });
      return [
        [
          name,
          architecture,
          landlockAbi,
          'a new process',
          compiled.seccomp,
          { fallback: explanation.fallback, rules: explanation.rules },
        ],
        [
          name,
          architecture,
          landlockAbi,
          'a running process',
          compiled.seccompInProcess,
          { fallback: explanation.fallback, rules: explanation.runningRules },
        ],
      ] as const;
    }),
  ),
);

describe.each(variants)(
  '%s on %s with Landlock ABI %i, for %s',
  (_name, architecture, _abi, _variant, program, policy) => {
    test('the kernel would load it', () => {
      expect(faultOf(program)).toBeUndefined();
    });

    test('every rule decides where its conditions hold, and does not where one is broken, whatever the high bits', () => {
      for (const rule of policy.rules) {
        for (const call of rule.calls) {
          if (SYSCALL_TABLES[architecture][call] === undefined) continue;
          for (const args of [satisfying(rule), ...breaking(rule)]) {
            const want = expected(policy, call, args);
            expect([call, args, run(program, architecture, call, args)]).toEqual([call, args, want]);
            const noisy = args.map((value) => value | 0xdeadbeef00000000n);
            expect([call, noisy, run(program, architecture, call, noisy)]).toEqual([call, noisy, want]);
          }
        }
      }
    });

    test('every call that no rule names gets the fallback', () => {
      const named = new Set(policy.rules.flatMap(({ calls }) => calls));
      const others = Object.keys(SYSCALL_TABLES[architecture]).filter((call) => !named.has(call));
      expect(others.length).toBeGreaterThan(10);
      for (const call of others) expect([call, run(program, architecture, call)]).toEqual([call, policy.fallback]);
    });

    test('numbers beyond the newest known, and holes, answer ENOSYS', () => {
      const newest = newestSyscall(architecture);
      for (const number of [newest + 1, newest + 2, 1000, 0x3fffffff]) {
        expect([number, run(program, architecture, number)]).toEqual([number, 'ENOSYS']);
      }
      const known = new Set(Object.values(SYSCALL_TABLES[architecture]));
      const holes = Array.from({ length: newest }, (_, number) => number).filter((number) => !known.has(number));
      for (const number of holes) expect([number, run(program, architecture, number)]).toEqual([number, 'ENOSYS']);
    });

    test('foreign architectures, and x32 numbers, kill the process', () => {
      for (const arch of [0x40000003, 0x40000028, 0xc00000b7, 0xc000003e, 0x80000016, 0].filter(
        (arch) => arch !== ARCH[architecture],
      )) {
        expect(simulate(program, { number: 1, arch, args: NOTHING }).action).toBe('kill');
      }
      for (const number of [0x40000000, 0x40000000 + 59, 0x40000200, 0x7fffffff, 0xffffffff]) {
        expect(run(program, architecture, number)).toBe(architecture === 'x64' ? 'kill' : 'ENOSYS');
      }
      expect(run(program, architecture, 'read')).not.toBe('kill');
    });

    test('no rule is needless: leaving one out changes an answer', () => {
      for (const [index, rule] of policy.rules.entries()) {
        // The network rules stand before the lines of every profile, so that none of these can open a socket.
        if (policy.fallback !== 'allow' && rule.action === policy.fallback) continue;
        const without: SyscallPolicy = { ...policy, rules: policy.rules.toSpliced(index, 1) };
        const calls = rule.calls.filter((call) => SYSCALL_TABLES[architecture][call] !== undefined);
        if (calls.length === 0) continue;
        const changes = calls.some((call) =>
          probesOf(rule).some((args) => expected(policy, call, args) !== expected(without, call, args)),
        );
        expect([rule.calls, rule.why, changes]).toEqual([rule.calls, rule.why, true]);
      }
    });
  },
);

const conditions = fc.oneof(
  fc.record({ argument: fc.nat(5), mask: fc.constantFrom(0xffffffff, 0xf, 0x80000000), equals: fc.nat(20) }),
  fc.record({ argument: fc.nat(5), anyBits: fc.constantFrom(1, 0x7e020000, 0x80000000) }),
);
const actions = fc.constantFrom<SyscallAction>('allow', 'kill', 'EPERM', 'EACCES', 'ENOSYS');
const policies = fc.record({
  fallback: actions,
  rules: fc.array(
    fc.record({
      calls: fc.array(fc.constantFrom(...Object.keys(SYSCALL_TABLES.x64)), { minLength: 1, maxLength: 40 }),
      when: fc.array(conditions, { maxLength: 3 }),
      action: actions,
      why: fc.constant('made up for this test'),
    }),
    { maxLength: 60 },
  ),
});

test('any policy compiles to a program that answers like the policy', () => {
  fc.assert(
    fc.property(
      policies,
      fc.constantFrom(...architectures),
      fc.array(fc.bigInt(0n, 2n ** 64n - 1n), { minLength: 6, maxLength: 6 }),
      (policy, architecture, args) => {
        const program = compileSeccomp(policy, architecture);
        expect(faultOf(program)).toBeUndefined();
        for (const rule of policy.rules) {
          for (const call of rule.calls) {
            if (SYSCALL_TABLES[architecture][call] === undefined) continue;
            for (const values of [args, satisfying(rule)]) {
              expect(run(program, architecture, call, values)).toBe(expected(policy, call, values));
            }
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('the same rules make the same bytes', () => {
  const { explanation, compiled } = compileNamed('worker');
  expect(compileSeccomp({ fallback: explanation.fallback, rules: explanation.rules }, 'x64')).toEqual(compiled.seccomp);
});

test('a call is decided within 20 instructions of the search', () => {
  const { compiled } = compileNamed('standard');
  const most = Math.max(
    ...Object.values(SYSCALL_TABLES.x64).map(
      (number) => simulate(compiled.seccomp, { number, arch: ARCH.x64, args: NOTHING }).steps,
    ),
  );
  expect(most).toBeLessThan(60);
});
