/**
 * Rules about system calls → the BPF program that the kernel runs before each of them. Pure: the same rules make the
 * same bytes, for either architecture, on any machine; `test/kernel/bpf-simulator.ts` runs them.
 *
 * What every program starts with: a call of a foreign architecture (int 0x80 on x86-64, AArch32 on arm64) and, on
 * x86-64, of the x32 numbering (bit 30) kills the process, because its numbers mean something else; a number above the
 * newest known answers ENOSYS, which is what an older kernel would say, so that a call added later is not open by
 * accident. Arguments are compared as 32 bits, as the kernel itself reads `int` and `unsigned int` parameters: high
 * bits must neither hide nor cause a match (CVE-2019-10063).
 */
import { createAssembler, DATA_ARCH, DATA_NUMBER, lowWordOf, type Assembler, type Label } from './bpf.ts';
import { SYSCALLS_ARM64 } from './syscalls/arm64.ts';
import { SYSCALLS_X64 } from './syscalls/x64.ts';

export type Architecture = 'x64' | 'arm64';

/** `errno`: the call fails with it. `kill`: the whole process dies by SIGSYS; only for calls no honest program makes. */
export type SyscallAction = 'allow' | 'kill' | 'EPERM' | 'EACCES' | 'ENOSYS';

/** `(argument & mask) === equals`, or any bit of `anyBits` set; on the low 32 bits of the argument. */
export type ArgumentCondition =
  | { readonly argument: number; readonly mask: number; readonly equals: number }
  | { readonly argument: number; readonly anyBits: number };

export interface SyscallRule {
  readonly calls: readonly string[];
  /** All must hold. Absent: the rule always applies. */
  readonly when?: readonly ArgumentCondition[];
  readonly action: SyscallAction;
  readonly why: string;
}

/** The first rule that names the call and whose conditions hold decides; else `fallback`. */
export interface SyscallPolicy {
  readonly fallback: SyscallAction;
  readonly rules: readonly SyscallRule[];
}

export const SYSCALL_TABLES: Readonly<Record<Architecture, Readonly<Record<string, number>>>> = {
  x64: SYSCALLS_X64,
  arm64: SYSCALLS_ARM64,
};

export const isKnownSyscall = (name: string): boolean =>
  Object.hasOwn(SYSCALLS_X64, name) || Object.hasOwn(SYSCALLS_ARM64, name);

export const newestSyscall = (architecture: Architecture): number =>
  Math.max(...Object.values(SYSCALL_TABLES[architecture]));

const AUDIT_ARCH: Readonly<Record<Architecture, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 };
const X32_BIT = 0x40000000;

const RETURN_VALUES: Readonly<Record<SyscallAction, number>> = {
  allow: 0x7fff0000, // SECCOMP_RET_ALLOW
  kill: 0x80000000, // SECCOMP_RET_KILL_PROCESS
  EPERM: 0x00050000 | 1,
  EACCES: 0x00050000 | 13,
  ENOSYS: 0x00050000 | 38,
};

/** What happens to one number: conditional clauses in order, then a verdict. */
interface Handler {
  readonly clauses: readonly SyscallRule[];
  readonly verdict: SyscallAction;
}

/** Returns `struct sock_filter[]` in little-endian bytes. Calls that the architecture does not have are left out. */
export const compileSeccomp = (policy: SyscallPolicy, architecture: Architecture): Uint8Array => {
  const newest = newestSyscall(architecture);
  const handlers = handlersOf(policy, architecture, newest);
  const program = createAssembler();

  // Assembled backwards: verdicts at the end, clauses before them, the search tree, and the checks first.
  const verdicts = new Map<SyscallAction, Label>();
  const verdict = (action: SyscallAction): Label =>
    memoize(verdicts, action, () => program.returns(RETURN_VALUES[action]));
  for (const action of Object.keys(RETURN_VALUES) as SyscallAction[]) verdict(action);

  const entries = new Map<string, Label>();
  const entryOf = (handler: Handler): Label => {
    if (handler.clauses.length === 0) return verdict(handler.verdict);
    return memoize(entries, keyOf(handler), () => placeClauses(program, handler, verdict));
  };
  const ranges = rangesOf(handlers).map(({ from, handler }) => ({ from, entry: entryOf(handler) }));
  const tree = placeTree(program, ranges, 0, ranges.length);
  const known = program.branch('greater', newest, verdict('ENOSYS'), tree);
  const numbered = architecture === 'x64' ? program.branch('atLeast', X32_BIT, verdict('kill'), known) : known;
  requireNext(program.load(DATA_NUMBER), numbered);
  const loaded = program.branch('equal', AUDIT_ARCH[architecture], numbered + 1, verdict('kill'));
  requireNext(program.load(DATA_ARCH), loaded);
  return program.bytes();
};

const UNKNOWN: Handler = { clauses: [], verdict: 'ENOSYS' };

const handlersOf = (policy: SyscallPolicy, architecture: Architecture, newest: number): readonly Handler[] => {
  const rulesByName = new Map<string, SyscallRule[]>();
  for (const rule of policy.rules) {
    for (const name of rule.calls) {
      const rules = rulesByName.get(name);
      if (rules === undefined) rulesByName.set(name, [rule]);
      else rules.push(rule);
    }
  }
  const unnamed: Handler = { clauses: [], verdict: policy.fallback };
  // A hole in the numbering is a call of another time: what an unknown newer number gets.
  const handlers = Array.from({ length: newest + 1 }, () => UNKNOWN);
  for (const [name, number] of Object.entries(SYSCALL_TABLES[architecture])) {
    const rules = rulesByName.get(name);
    handlers[number] = rules === undefined ? unnamed : handlerOf(rules, policy);
  }
  return handlers;
};

const handlerOf = (rules: readonly SyscallRule[], policy: SyscallPolicy): Handler => {
  const final = rules.findIndex((rule) => rule.when === undefined || rule.when.length === 0);
  return final === -1
    ? { clauses: rules, verdict: policy.fallback }
    : { clauses: rules.slice(0, final), verdict: rules[final]?.action ?? policy.fallback };
};

const keyOf = (handler: Handler): string =>
  handler.clauses.length === 0
    ? handler.verdict
    : JSON.stringify([handler.clauses.map(({ when, action }) => [when, action]), handler.verdict]);

interface Range {
  readonly from: number;
  readonly handler: Handler;
}

const rangesOf = (handlers: readonly Handler[]): readonly Range[] => {
  const ranges: Range[] = [];
  let last = '';
  handlers.forEach((handler, from) => {
    const key = keyOf(handler);
    if (key !== last) ranges.push({ from, handler });
    last = key;
  });
  return ranges;
};

const placeClauses = (program: Assembler, handler: Handler, verdict: (action: SyscallAction) => Label): Label => {
  let next = verdict(handler.verdict);
  for (const clause of handler.clauses.toReversed()) {
    let at = verdict(clause.action);
    for (const condition of (clause.when ?? []).toReversed()) {
      if ('anyBits' in condition) {
        at = program.branch('anyBits', condition.anyBits, at, next);
      } else {
        at = program.branch('equal', condition.equals, at, next);
        if (condition.mask >>> 0 !== 0xffffffff) at = program.and(condition.mask);
      }
      at = program.load(lowWordOf(condition.argument));
    }
    next = at;
  }
  return next;
};

/** A balanced search: seven or eight comparisons decide among five hundred numbers. */
const placeTree = (
  program: Assembler,
  ranges: readonly { readonly from: number; readonly entry: Label }[],
  low: number,
  high: number,
): Label => {
  if (high - low === 1) return ranges[low]?.entry ?? 0;
  const middle = (low + high) >> 1;
  const upper = placeTree(program, ranges, middle, high);
  const lower = placeTree(program, ranges, low, middle);
  return program.branch('atLeast', ranges[middle]?.from ?? 0, upper, lower);
};

const requireNext = (placed: Label, follower: Label): void => {
  if (placed !== follower + 1) throw new RangeError('Expected a load directly before the comparison that reads it');
};

const memoize = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
};
