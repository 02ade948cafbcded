/**
 * Classic BPF as seccomp runs it, assembled from the end to the beginning: a jump only goes forward, so when an
 * instruction is placed its targets are already known, and one that is too far for eight bits gets a `ja` in between.
 */

const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP = 0x05; // BPF_JMP | BPF_JA
const RETURN = 0x06; // BPF_RET | BPF_K
const BYTES = 8;

/** Offsets in `struct seccomp_data`; arguments are 64 bits wide, and both architectures are little-endian. */
export const DATA_NUMBER = 0;
export const DATA_ARCH = 4;
export const lowWordOf = (argument: number): number => 16 + argument * 8;

/** The kernel's own bound (BPF_MAXINSNS). */
export const MAX_INSTRUCTIONS = 4096;

const COMPARISONS = { equal: 0x15, greater: 0x25, atLeast: 0x35, anyBits: 0x45 } as const;
export type Comparison = keyof typeof COMPARISONS;

/** Where an instruction stands, counted from the end of the program. */
export type Label = number;

interface Instruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly k: number;
}

/** Each call places one instruction *before* all those placed so far and returns its label. */
export interface Assembler {
  readonly returns: (value: number) => Label;
  readonly load: (offset: number) => Label;
  readonly and: (mask: number) => Label;
  readonly branch: (comparison: Comparison, value: number, whenTrue: Label, whenFalse: Label) => Label;
  readonly jump: (target: Label) => Label;
  readonly bytes: () => Uint8Array;
}

export const createAssembler = (): Assembler => {
  const backwards: Instruction[] = [];

  const place = (code: number, k: number, jumpTrue = 0, jumpFalse = 0): Label => {
    if (backwards.length >= MAX_INSTRUCTIONS) {
      throw new RangeError(`Expected a filter of at most ${String(MAX_INSTRUCTIONS)} instructions, got more`);
    }
    backwards.push({ code, jumpTrue, jumpFalse, k: k >>> 0 });
    return backwards.length - 1;
  };
  const distance = (target: Label): number => backwards.length - 1 - target;
  const jump = (target: Label): Label => (distance(target) === 0 ? target : place(JUMP, distance(target)));

  return {
    returns: (value) => place(RETURN, value),
    load: (offset) => place(LOAD_WORD, offset),
    and: (mask) => place(AND, mask),
    jump,
    branch: (comparison, value, whenTrue, whenFalse) => {
      // One trampoline can push the other target out of reach, hence the margin.
      const near = (target: Label): Label => (distance(target) <= 0xfe ? target : place(JUMP, distance(target)));
      const isFalse = near(whenFalse);
      const isTrue = near(whenTrue);
      return place(COMPARISONS[comparison], value, distance(isTrue), distance(isFalse));
    },
    bytes: () => {
      const bytes = new Uint8Array(backwards.length * BYTES);
      const view = new DataView(bytes.buffer);
      backwards.toReversed().forEach((instruction, index) => {
        view.setUint16(index * BYTES, instruction.code, true);
        view.setUint8(index * BYTES + 2, instruction.jumpTrue);
        view.setUint8(index * BYTES + 3, instruction.jumpFalse);
        view.setUint32(index * BYTES + 4, instruction.k, true);
      });
      return bytes;
    },
  };
};
