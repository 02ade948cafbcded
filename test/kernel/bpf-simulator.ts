/** Runs a seccomp program as the kernel would (classic BPF, the subset that seccomp accepts), and checks that it would load it. */

export interface SyscallData {
  readonly number: number;
  readonly arch: number;
  readonly args: readonly bigint[];
}

interface Instruction {
  readonly code: number;
  readonly yes: number;
  readonly no: number;
  readonly k: number;
}

const decode = (program: Uint8Array): readonly Instruction[] => {
  if (program.length === 0 || program.length % 8 !== 0)
    throw new Error(`not a program: ${String(program.length)} bytes`);
  const view = new DataView(program.buffer, program.byteOffset, program.length);
  return Array.from({ length: program.length / 8 }, (_, index) => ({
    code: view.getUint16(index * 8, true),
    yes: view.getUint8(index * 8 + 2),
    no: view.getUint8(index * 8 + 3),
    k: view.getUint32(index * 8 + 4, true),
  }));
};

/** What `seccomp_check_filter` and `bpf_check_classic` refuse: wrong opcodes, offsets, jumps past the end, no return. */
export const faultOf = (program: Uint8Array): string | undefined => {
  const instructions = decode(program);
  if (instructions.length > 4096) return 'longer than BPF_MAXINSNS';
  for (const [at, { code, yes, no, k }] of instructions.entries()) {
    switch (code) {
      case 0x20:
        if (k % 4 !== 0 || k >= 64) return `load outside of seccomp_data at ${String(at)}`;
        break;
      case 0x54:
      case 0x06:
        break;
      case 0x05:
        if (at + 1 + k >= instructions.length) return `jump past the end at ${String(at)}`;
        break;
      case 0x15:
      case 0x25:
      case 0x35:
      case 0x45:
        if (at + 1 + Math.max(yes, no) >= instructions.length) return `branch past the end at ${String(at)}`;
        break;
      default:
        return `opcode ${code.toString(16)} at ${String(at)}`;
    }
  }
  return instructions.at(-1)?.code === 0x06 ? undefined : 'does not end in a return';
};

const NAMES: Readonly<Record<number, string>> = {
  0x7fff0000: 'allow',
  0x80000000: 'kill',
  0x50001: 'EPERM',
  0x5000d: 'EACCES',
  0x50026: 'ENOSYS',
};

/** The action, named; and how many instructions it took. */
export const simulate = (
  program: Uint8Array,
  data: SyscallData,
): { readonly action: string; readonly steps: number } => {
  const bytes = new DataView(new ArrayBuffer(64));
  bytes.setInt32(0, data.number | 0, true);
  bytes.setUint32(4, data.arch, true);
  data.args.forEach((value, index) => bytes.setBigUint64(16 + index * 8, BigInt.asUintN(64, value), true));
  const instructions = decode(program);
  let accumulator = 0;
  let steps = 0;
  for (let at = 0; ; at += 1) {
    const instruction = instructions[at];
    if (instruction === undefined) throw new Error('ran past the end');
    steps += 1;
    const { code, yes, no, k } = instruction;
    if (code === 0x06) return { action: NAMES[k] ?? `return ${k.toString(16)}`, steps };
    if (code === 0x20) accumulator = bytes.getUint32(k, true);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x05) at += k;
    else {
      const holds =
        code === 0x15
          ? accumulator === k
          : code === 0x25
            ? accumulator > k
            : code === 0x35
              ? accumulator >= k
              : (accumulator & k) !== 0;
      at += holds ? yes : no;
    }
  }
};
