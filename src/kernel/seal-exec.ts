/**
 * One execve and no other. A filter cannot be put on after the execve that starts the program, and one put on before it
 * cannot read paths; but it sees pointers. So the launcher places the three arguments of its execve at three secret
 * addresses, and the filter lets only those through. The new program has a fresh address space and no way to learn them
 * (reading a filter back needs CAP_SYS_ADMIN): to guess means 3 × 38 random bits.
 */
import { randomBytes } from 'node:crypto';

export type ExecAddresses = readonly [bigint, bigint, bigint];

const LOWEST = 0x10_0000_0000n;
/** Ends below 2^39: the smallest user address space of arm64; clear of the program, its heap and its stack on both. */
const SPAN = 0x40_0000_0000n;

/** Three random addresses, each aligned for a pointer, at least 64 MiB apart so that no argument list reaches the next. */
export const secretAddresses = (): ExecAddresses => {
  const random = randomBytes(24);
  const at = (index: number): bigint => LOWEST + ((random.readBigUInt64LE(index * 8) % SPAN) & ~7n);
  const addresses: ExecAddresses = [at(0), at(1), at(2)];
  const sorted = [...addresses].sort((a, b) => Number(a - b));
  const near = sorted.some((address, index) => index > 0 && address - (sorted[index - 1] ?? 0n) < 0x400_0000n);
  return near ? secretAddresses() : addresses;
};

const LOAD = 0x20;
const EQUAL = 0x15;
const ALWAYS = 0x05;
const RETURN = 0x06;
const EACCES_RESULT = 0x0005_0000 | 13;

const NATIVE = {
  x64: { arch: 0xc000_003e, execve: 59, execveat: 322 },
  arm64: { arch: 0xc000_00b7, execve: 221, execveat: 281 },
} as const;

export type Architecture = keyof typeof NATIVE;

/** `filter` with the seal before it. The rest still judges the execve that the seal lets through. */
export const sealExec = (filter: Uint8Array, addresses: ExecAddresses, architecture: Architecture): Uint8Array => {
  const { arch, execve, execveat } = NATIVE[architecture];
  const comparisons = addresses.flatMap((address, argument) => [
    { offset: 16 + argument * 8, value: Number(address & 0xffff_ffffn) },
    { offset: 20 + argument * 8, value: Number(address >> 32n) },
  ]);
  const deny = 6 + comparisons.length * 2;
  const rest = deny + 1;
  const program: (readonly [code: number, yes: number, no: number, value: number])[] = [
    [LOAD, 0, 0, 4],
    [EQUAL, 0, rest - 2, arch],
    [LOAD, 0, 0, 0],
    [EQUAL, deny - 4, 0, execveat],
    [EQUAL, 0, rest - 5, execve],
    ...comparisons.flatMap(({ offset, value }, index) => {
      const at = 5 + index * 2 + 1;
      return [[LOAD, 0, 0, offset] as const, [EQUAL, 0, deny - at - 1, value] as const];
    }),
    [ALWAYS, 0, 0, 1],
    [RETURN, 0, 0, EACCES_RESULT],
  ];
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, yes, no, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(yes, index * 8 + 2);
    bytes.writeUInt8(no, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  }
  return Buffer.concat([bytes, filter]);
};
