/** The seal, judged by a simulator on every way to miss it. (That the kernel agrees: launcher.test.ts, run-command.test.ts.) */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sealExec, secretAddresses } from '../../src/kernel/seal-exec.ts';
import { filterOf } from './hand-made.ts';

const ALLOW = 0x7fff_0000;
const EACCES = 0x0005_000d;
const ARCH = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const;
const CALL = { x64: { execve: 59, execveat: 322 }, arm64: { execve: 221, execveat: 281 } } as const;

/** Just the instructions that the seal and `filterOf` use. */
const simulate = (filter: Uint8Array, arch: number, number: number, args: readonly bigint[]): number => {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(arch, 4);
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + index * 8);
  const program = Buffer.from(filter);
  let loaded = 0;
  for (let at = 0; at < program.length / 8; at += 1) {
    const code = program.readUInt16LE(at * 8);
    const value = program.readUInt32LE(at * 8 + 4);
    if (code === 0x20) loaded = data.readUInt32LE(value);
    else if (code === 0x15) at += program.readUInt8(at * 8 + (loaded === value ? 2 : 3));
    else if (code === 0x05) at += value;
    else if (code === 0x06) return value;
    else throw new Error(`unexpected instruction ${code}`);
  }
  throw new Error('ran off the end');
};

const address = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

test.each(['x64', 'arm64'] as const)('%s: exactly the three secret pointers start a program', (architecture) => {
  const { execve, execveat } = CALL[architecture];
  const arch = ARCH[architecture];
  fc.assert(
    fc.property(fc.tuple(address, address, address), fc.nat(5), fc.nat(63), (others, which, bit) => {
      const secret = secretAddresses();
      const filter = sealExec(filterOf([]), secret, architecture);
      expect(simulate(filter, arch, execve, secret)).toBe(ALLOW);
      expect(simulate(filter, arch, execveat, secret)).toBe(EACCES);
      fc.pre(others.join() !== secret.join());
      expect(simulate(filter, arch, execve, others)).toBe(EACCES);
      const nearly = secret.map((value, index) => (index === which % 3 ? value ^ (1n << BigInt(bit)) : value));
      expect(simulate(filter, arch, execve, nearly)).toBe(EACCES);
    }),
  );
});

test.each(['x64', 'arm64'] as const)(
  '%s: every other call, and every other architecture, is left to the rest',
  (architecture) => {
    const secret = secretAddresses();
    const { execve, execveat } = CALL[architecture];
    const filter = sealExec(filterOf([7]), secret, architecture);
    fc.assert(
      fc.property(fc.nat(0x7fff_ffff), (number) => {
        fc.pre(number !== execve && number !== execveat && number !== 7);
        expect(simulate(filter, ARCH[architecture], number, [])).toBe(ALLOW);
      }),
    );
    expect(simulate(filter, ARCH[architecture], 7, [])).toBe(0x0005_0001);
    expect(simulate(filter, 0x4000_0003, execve, [])).toBe(ALLOW);
  },
);

test('addresses differ each time, are aligned, and stand far apart', () => {
  const seen = new Set<bigint>();
  for (let round = 0; round < 200; round += 1) {
    const addresses = secretAddresses();
    for (const one of addresses) {
      expect(one % 8n).toBe(0n);
      expect(one).toBeGreaterThanOrEqual(0x10_0000_0000n);
      expect(one).toBeLessThan(0x50_0000_0000n);
      seen.add(one);
      for (const other of addresses)
        expect(one === other || (one > other ? one - other : other - one) >= 0x400_0000n).toBe(true);
    }
  }
  expect(seen.size).toBe(600);
});
