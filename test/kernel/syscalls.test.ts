import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isKnownSyscall, newestSyscall, SYSCALL_TABLES } from '../../src/kernel/seccomp.ts';
import { SYSCALL_GROUPS } from '../../src/kernel/syscalls/groups.ts';
import { syscallTable } from './generate-syscalls.ts';

describe.each(['x64', 'arm64'] as const)('the table of %s', (architecture) => {
  const table = SYSCALL_TABLES[architecture];

  test.runIf(process.arch === 'x64' && existsSync('/usr/include/asm-generic/unistd.h'))(
    'is what its script makes of the headers here, which may be older but never disagree',
    () => {
      for (const [name, number] of syscallTable(architecture)) expect([name, table[name]]).toEqual([name, number]);
    },
  );

  test('gives each number to one call', () => {
    const numbers = Object.values(table);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers.length).toBeGreaterThan(300);
  });

  test('knows the calls that are newer than the headers of most distributions', () => {
    expect(table).toMatchObject({
      fchmodat2: 452,
      mseal: 462,
      setxattrat: 463,
      removexattrat: 466,
      open_tree_attr: 467,
      file_setattr: 469,
      listns: 470,
      rseq_slice_yield: 471,
    });
    expect(newestSyscall(architecture)).toBe(471);
  });

  test('shares all numbers from 424 on with the other', () => {
    const from424 = (of: Readonly<Record<string, number>>) => Object.entries(of).filter(([, number]) => number >= 424);
    expect(from424(table)).toEqual(from424(SYSCALL_TABLES[architecture === 'x64' ? 'arm64' : 'x64']));
  });
});

test('known numbers are where the kernel has them', () => {
  expect(SYSCALL_TABLES.x64).toMatchObject({
    read: 0,
    execve: 59,
    ptrace: 101,
    seccomp: 317,
    uretprobe: 335,
    clone3: 435,
  });
  expect(SYSCALL_TABLES.arm64).toMatchObject({
    read: 63,
    execve: 221,
    ptrace: 117,
    seccomp: 277,
    fstat: 80,
    clone3: 435,
  });
});

test('every group names calls that some architecture has, each once', () => {
  for (const [group, calls] of Object.entries(SYSCALL_GROUPS)) {
    expect([group, calls.filter((call) => !isKnownSyscall(call))]).toEqual([group, []]);
    expect([group, new Set(calls).size]).toEqual([group, calls.length]);
  }
});

test('every call that is about metadata, mounts or keys is in its group, by the look of its name', () => {
  const names = Object.keys(SYSCALL_TABLES.x64);
  const matching = (pattern: RegExp) => names.filter((name) => pattern.test(name)).sort();
  const metadata = matching(/chmod|chown|setxattr|removexattr|utime|file_setattr/u);
  expect(metadata.filter((name) => !SYSCALL_GROUPS['metadata']?.includes(name))).toEqual([]);
  const mounts = matching(/mount|^fs(?:open|config|pick)|open_tree|chroot|pivot/u).filter(
    // These two only tell what is mounted.
    (name) => name !== 'statmount' && name !== 'listmount',
  );
  expect(mounts.filter((name) => !SYSCALL_GROUPS['mounts']?.includes(name))).toEqual([]);
  const code = matching(/module|kexec|^bpf$|userfaultfd|perf_event/u).filter(
    (name) => !/create_|query_|lsm_list/u.test(name),
  );
  expect(code.filter((name) => !SYSCALL_GROUPS['kernel-code']?.includes(name))).toEqual([]);
});
