/**
 * What parent and isolate host say to each other. The host is taken to be hostile: `parseHostMessage` makes a message
 * from unknown, field by field, and knows no other fields.
 */

/** One module of a run, ready for V8. */
export interface GuestModule {
  readonly name: string;
  readonly code: string;
}

/** One guest's work. */
export interface RunMessage {
  readonly type: 'run';
  readonly run: number;
  /** A call of `$$run`, made by `prepare.ts`. */
  readonly code: string;
  readonly file: string;
  readonly modules: readonly GuestModule[];
  /** The modules that the program itself imports, in the order in which the program's code counts them. */
  readonly links: readonly string[];
  readonly timeoutMs: number;
  readonly memoryMb: number;
  /** `eval`, `wasm`, `shared-memory`, joined by spaces. */
  readonly allow: string;
}

export interface ReplyMessage {
  readonly type: 'reply';
  readonly run: number;
  readonly call: number;
  readonly ok: boolean;
  readonly json?: string;
}

export interface StopMessage {
  readonly type: 'stop';
  readonly run: number;
}

export interface HostManner {
  /**
   * One guest at a time, on the host's main thread: no other thread has to be woken to enter it or to hear from it.
   * Meanwhile the host hears nothing from outside. Else each guest has a thread, and the host always hears.
   */
  readonly single: boolean;
}

/** The first message to a host that locks itself: a compiled profile as text. */
export interface LockMessage extends HostManner {
  readonly type: 'lock';
  readonly handledFs: string;
  readonly handledNet: string;
  readonly scoped: string;
  /** Base64. */
  readonly filter: string;
  /** A directory that it can open before and must not be able to open after. */
  readonly probe: string;
}

/** The first message to a host that runs unlocked. */
export interface UnlockedMessage extends HostManner {
  readonly type: 'run-unlocked';
}

/** The host holds too much: it throws away what has ended, and with `cull` lets guests go, one or more each time. */
export interface WeighMessage {
  readonly type: 'weigh';
  readonly cull: boolean;
}

/** The answer, when nothing of those that are `gone` is there any more. */
export interface WeighedMessage {
  readonly type: 'weighed';
  readonly gone: readonly number[];
  readonly left: readonly number[];
  /** None of them ran while the others went, and none will. */
  readonly isStill: boolean;
}

export type ParentMessage = LockMessage | UnlockedMessage | RunMessage | ReplyMessage | StopMessage | WeighMessage;

export const LOG_LEVELS = ['log', 'info', 'warn', 'error', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type HostMessage =
  /** Locked, with so many threads that proved it, and able to take a guest. Said before any guest could lie. */
  | { readonly type: 'ready'; readonly pid: number; readonly threads: number }
  /** The host could not lock itself, and will take no guest. */
  | { readonly type: 'unlocked'; readonly missing: string }
  | { readonly type: 'log'; readonly run: number; readonly level: LogLevel; readonly text: string }
  /** Console output was over its limit: what follows is lost. */
  | { readonly type: 'dropped'; readonly run: number }
  | { readonly type: 'call'; readonly run: number; readonly call: number; readonly tool: string; readonly args: string }
  | {
      readonly type: 'end';
      readonly run: number;
      readonly status: 'ok' | 'error' | 'timeout' | 'memory';
      /** The value or the error, as JSON; absent for `undefined` and for an end without words. */
      readonly json?: string;
      readonly cpuMs: number;
    }
  /** These runs ate the host's memory; it is about to die. */
  | { readonly type: 'memory'; readonly runs: readonly number[] }
  | WeighedMessage
  /** A guest that has ended holds on to its thread, and perhaps to memory: nothing ends it but the end of the host. */
  | { readonly type: 'haunted' };

type Check = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Check>>;

const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) > 0;
const isAmount: Check = (value) => Number.isFinite(value) && (value as number) >= 0;
const isBoolean: Check = (value) => typeof value === 'boolean';
const isText: Check = (value) => typeof value === 'string';
const isShortText: Check = (value) => typeof value === 'string' && value.length <= 1000;
const isOptionalText: Check = (value) => value === undefined || typeof value === 'string';
const isOneOf =
  (words: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && words.includes(value);
const isListOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.length <= 1000 && value.every(check);

const SHAPES: Readonly<Record<HostMessage['type'], Shape>> = {
  ready: { pid: isCount, threads: isAmount },
  unlocked: { missing: isShortText },
  log: { run: isCount, level: isOneOf(LOG_LEVELS), text: isText },
  dropped: { run: isCount },
  call: { run: isCount, call: isCount, tool: isText, args: isText },
  end: { run: isCount, status: isOneOf(['ok', 'error', 'timeout', 'memory']), json: isOptionalText, cpuMs: isAmount },
  memory: { runs: isListOf(isCount) },
  weighed: { gone: isListOf(isCount), left: isListOf(isCount), isStill: isBoolean },
  haunted: {},
};

/** `undefined` for anything that is not exactly a message. */
export const parseHostMessage = (value: unknown): HostMessage | undefined => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const fields = value as Readonly<Record<string, unknown>>;
  const type = Object.hasOwn(fields, 'type') ? fields['type'] : undefined;
  if (typeof type !== 'string' || !Object.hasOwn(SHAPES, type)) return undefined;
  const shape = SHAPES[type as HostMessage['type']];
  const message: Record<string, unknown> = { type };
  for (const [key, check] of Object.entries(shape)) {
    const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (!check(field)) return undefined;
    if (field !== undefined) message[key] = field;
  }
  return Object.keys(fields).length === Object.keys(message).length ? (message as unknown as HostMessage) : undefined;
};
