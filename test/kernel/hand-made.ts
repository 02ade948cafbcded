/** A profile made by hand, so that the launcher is tested without the compiler: enough of a machine to run programs. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import type { CompiledProfile } from '../../src/kernel/compiled.ts';

export const FS = {
  execute: 1n << 0n,
  writeFile: 1n << 1n,
  readFile: 1n << 2n,
  readDirectory: 1n << 3n,
} as const;

export const READ = FS.readFile | FS.readDirectory;
export const RUN = READ | FS.execute;
/** Every right of ABI 3 except execute: REFER and TRUNCATE included. */
export const WRITE = ((1n << 15n) - 1n) & ~FS.execute;
const ALL_OF_ABI_5 = (1n << 16n) - 1n;

/** One BPF program: allow all but `denied` system call numbers, which fail with EPERM. */
export const filterOf = (denied: readonly number[]): Uint8Array => {
  const lines = [
    [0x20, 0, 0, 0],
    ...denied.flatMap((number) => [
      [0x15, 0, 1, number],
      [0x06, 0, 0, 0x0005_0001],
    ]),
    [0x06, 0, 0, 0x7fff_0000],
  ];
  const bytes = Buffer.alloc(lines.length * 8);
  for (const [index, [code = 0, yes = 0, no = 0, value = 0]] of lines.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(yes, index * 8 + 2);
    bytes.writeUInt8(no, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  }
  return bytes;
};

const runtime = ['/usr', '/bin', '/lib', '/lib64', '/etc/ld.so.cache', '/etc/passwd', realpathSync(process.execPath)];

export const handMade = (
  workspace: string,
  change: Partial<CompiledProfile> = {},
  more: readonly { path: string; access: bigint }[] = [],
): CompiledProfile => ({
  name: 'hand-made',
  tier: 'worker',
  digest: '0'.repeat(64),
  landlock: {
    handledFs: ALL_OF_ABI_5,
    handledNet: 3n,
    scoped: 3n,
    paths: [
      ...runtime
        .filter((path) => existsSync(path))
        .map((path) => realpathSync(path))
        .map((path) => ({ path, access: statSync(path).isDirectory() ? RUN : RUN & ~FS.readDirectory })),
      { path: '/dev/null', access: FS.readFile | FS.writeFile },
      { path: '/dev/urandom', access: FS.readFile },
      { path: workspace, access: WRITE },
      ...more,
    ],
    pathsWithOwnProc: [],
    ports: [],
  },
  seccomp: filterOf([]),
  seccompInProcess: filterOf([]),
  limits: {},
  environment: ['PATH'],
  namespaces: [],
  required: ['landlock', 'seccomp'],
  searchPath: ['/usr/bin', '/bin'],
  ...change,
});
