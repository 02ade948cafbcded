/** The rules of a profile with names turned into numbers, and those that stand in for what an old Landlock lacks. */
import type { LandlockGap } from './landlock.ts';
import { profileFault, type ProfileSyscallRule } from './profile.ts';
import type { ArgumentCondition, SyscallRule } from './seccomp.ts';
import { ARGUMENT_VALUES, SYSCALL_GROUPS } from './syscalls/groups.ts';

export const gapRules = (gaps: readonly LandlockGap[]): readonly SyscallRule[] => {
  if (!gaps.includes('truncate')) return [];
  const why = 'before ABI 3 Landlock does not see truncation, and O_TRUNC with a reading mode truncates';
  const mask = requireValue('O_ACCMODE') | requireValue('O_TRUNC');
  const truncating = (call: string, argument: number): readonly SyscallRule[] =>
    [requireValue('O_RDONLY'), requireValue('O_ACCMODE')].map((mode) => ({
      calls: [call],
      when: [{ argument, mask, equals: mode | requireValue('O_TRUNC') }],
      action: 'EPERM',
      why,
    }));
  return [
    { calls: ['truncate'], action: 'EPERM', why },
    ...truncating('open', 1),
    ...truncating('openat', 2),
    {
      calls: ['openat2'],
      action: 'ENOSYS',
      why: `${why}; its flags are behind a pointer, and libraries fall back to openat`,
    },
  ];
};

export const NO_MORE_PROGRAMS: SyscallRule = {
  calls: ['execve', 'execveat'],
  action: 'EPERM',
  why: 'the process that runs is the only one this profile lets run',
};

const requireValue = (name: string | number): number => {
  const known = typeof name === 'number' ? name : ARGUMENT_VALUES[name];
  if (known === undefined)
    throw profileFault(`Expected a UAPI name this package knows, got ${String(name)}`, 'TAPPASS_PROFILE_INVALID');
  return known;
};

type Values = string | number | readonly (string | number)[];
const list = (values: Values): readonly (string | number)[] =>
  typeof values === 'string' || typeof values === 'number' ? [values] : values;
const joined = (values: Values): number =>
  list(values).reduce<number>((all, one) => (all | requireValue(one)) >>> 0, 0);

/** Names become numbers; several values of `equals` become several rules. */
export const lowerRule = (rule: ProfileSyscallRule): readonly SyscallRule[] => {
  const calls = rule.calls.flatMap((call) => (call.startsWith('@') ? (SYSCALL_GROUPS[call.slice(1)] ?? []) : [call]));
  let alternatives: readonly (readonly ArgumentCondition[])[] = [[]];
  for (const condition of rule.when ?? []) {
    const { argument } = condition;
    const choices: readonly ArgumentCondition[] =
      condition.anyBits === undefined
        ? list(condition.equals ?? []).map((one) => ({
            argument,
            mask: condition.mask === undefined ? 0xffffffff : joined(condition.mask),
            equals: requireValue(one),
          }))
        : [{ argument, anyBits: joined(condition.anyBits) }];
    alternatives = alternatives.flatMap((before) => choices.map((choice) => [...before, choice]));
  }
  return alternatives.map((when) => ({
    calls,
    ...(when.length === 0 ? {} : { when }),
    action: rule.action,
    why: rule.why,
  }));
};
