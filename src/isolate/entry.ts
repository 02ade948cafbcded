/**
 * Child side: the program that an isolate host runs. It loads isolated-vm, locks itself, prepares isolates and takes
 * guests. Why a process of its own: guest code can abort or hang whatever process isolated-vm lives in, and whoever
 * breaks V8 owns that process. So this one holds nothing, may do nothing, and dies at a word from outside.
 */
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import type ivm from 'isolated-vm';
import { lockDown } from '../kernel/lock-down.ts';
import { encodeFrame, FrameReader } from './channel.ts';
import { Guest, isKind, type GuestKind } from './guest.ts';
import { HOST_STACK_KB, HOST_STACK_ROOM_KB, MAX_FRAME_BYTES, MEMORY_MB, OVERSHOOT } from './limits.ts';
import type { HostMessage, LockMessage, ParentMessage, RunMessage } from './message.ts';

/** Isolates kept ready. Each costs about 1.5 ms to make and 1 MB to keep. */
const RESERVE = 2;
/**
 * Milliseconds between the end of a guest and the work of throwing its isolate away and making the next one: the answer
 * is on its way, and the kernel tends to wake whoever waits for it on the very core that this work would take.
 */
const REST_MS = 1;
/** What a guest's thread may take to notice that it was ended; longer is native code that V8 cannot interrupt. */
const LEAVE_MS = 250;
/** How often guests that are at work are looked at again before they count as such, and the milliseconds between. */
const CULL_TRIES = 6;
const CULL_MS = 3;
/** Longest piece of a message that is read at one time. */
const READ_BYTES = 64 * 1024;

const vm = createRequire(import.meta.url)('isolated-vm') as typeof ivm;
// Standard input and output are the channel: two pipes, so that there is no socket to pass descriptors over.
const output = new Socket({ fd: 1, readable: false, writable: true });
const post = (message: HostMessage): void => {
  let frame = encodeFrame(message);
  // Straight into the pipe while it has room: a stream in between costs as much as the message.
  if (output.writableLength === 0) {
    try {
      frame = frame.subarray(writeSync(1, frame));
    } catch {
      // Full; or broken, which the stream tells.
    }
  }
  if (frame.length > 0) output.write(frame);
};

const guests = new Map<number, Guest>();
const reserve: Guest[] = [];
const spent: Guest[] = [];
const leaving = new Set<Guest>();
let wanted: GuestKind = { memoryMb: MEMORY_MB.default, allow: '', single: false };
let isReady = false;
let isTidying = false;

const clear = (): void => {
  for (const guest of spent.splice(0)) {
    guest.stop();
    if (guest.isIdle) continue;
    leaving.add(guest);
    setTimeout(() => {
      leaving.delete(guest);
      if (!guest.isIdle) post({ type: 'haunted' });
    }, LEAVE_MS);
  }
};

const tidy = (): void => {
  if (isTidying || (spent.length === 0 && reserve.length >= RESERVE)) return;
  isTidying = true;
  const work = (): void => {
    isTidying = false;
    clear();
    // One at a time, behind whatever the channel and the guests want: preparing blocks this thread for a millisecond.
    if (reserve.length < RESERVE) reserve.push(new Guest(vm, wanted, post));
    tidy();
  };
  if (reserve.length === 0) setImmediate(work);
  else setTimeout(work, REST_MS);
};

const takeGuest = (kind: GuestKind): Guest => {
  if (!isKind(kind, wanted)) {
    wanted = kind;
    for (const guest of reserve.splice(0)) guest.stop();
  }
  return reserve.shift() ?? new Guest(vm, kind, post);
};

const start = (message: RunMessage): void => {
  // Not locked: then there must be no guest, whatever the parent thinks.
  if (!isReady) process.exit(1);
  // What the guest before it left behind must not count as its own.
  if (wanted.single) clear();
  const guest = takeGuest({ memoryMb: message.memoryMb, allow: message.allow, single: wanted.single });
  guests.set(message.run, guest);
  guest.start(message, () => {
    guests.delete(message.run);
    spent.push(guest);
    tidy();
  });
};

const weigh = (cull: boolean): void => {
  clear();
  if ([...leaving].some((guest) => !guest.isIdle)) post({ type: 'haunted' });
  if (cull) search(CULL_TRIES);
  else answer([], false);
};

const answer = (gone: readonly number[], isStill: boolean): void =>
  post({ type: 'weighed', gone, left: [...guests.keys()], isStill });

let wasStill = false;

/**
 * Which guest has the memory? Nobody is entered any more while that is asked, for the host will not outlive the answer.
 * Guests that wait are let go, the lightest first: one at a time where all of them wait, so that what the kernel counts
 * less afterwards was the memory of that one.
 */
const search = (tries: number): void => {
  for (const guest of guests.values()) guest.freeze();
  const waiting = [...guests]
    .filter(([, guest]) => guest.isIdle)
    .map(([run, guest]) => ({ run, guest, heldMb: guest.heldMb }))
    .sort((a, b) => a.heldMb - b.heldMb);
  const guilty = waiting.filter(({ guest, heldMb }) => heldMb > guest.kind.memoryMb * OVERSHOOT);
  const isStill = waiting.length === guests.size;
  if (guilty.length > 0) post({ type: 'memory', runs: guilty.map(({ run }) => run) });
  else if (!isStill && tries > 1) setTimeout(() => search(tries - 1), CULL_MS);
  else {
    const going = isStill ? waiting.slice(0, wasStill ? 1 : 0) : waiting;
    for (const { guest } of going) guest.stop();
    wasStill = isStill;
    answer(
      going.map(({ run }) => run),
      isStill,
    );
  }
};

/** Nothing of a guest has come yet: what it says of itself here is true. */
const lock = ({ single, handledFs, handledNet, scoped, filter, probe }: LockMessage): void => {
  try {
    const { threads } = lockDown(
      {
        landlock: {
          handledFs: BigInt(handledFs),
          handledNet: BigInt(handledNet),
          scoped: BigInt(scoped),
          paths: [],
          pathsWithOwnProc: [],
          ports: [],
        },
        seccompInProcess: Buffer.from(filter, 'base64'),
      },
      probe,
    );
    prepare(single, threads.confined);
  } catch (error) {
    post({ type: 'unlocked', missing: error instanceof Error ? error.message.slice(0, 1000) : 'unknown reason' });
  }
};

const prepare = (single: boolean, threads: number): void => {
  wanted = { ...wanted, single };
  // For isolates made from now on: what the guest's stack ends with, ours still fits on top of.
  if (single) setFlagsFromString(`--stack-size=${stackKb() - HOST_STACK_ROOM_KB}`);
  reserve.push(new Guest(vm, wanted, post));
  isReady = true;
  post({ type: 'ready', pid: process.pid, threads });
  tidy();
};

/** As this process was started with. */
const stackKb = (): number => {
  const flag = '--stack-size=';
  const given = process.execArgv.find((argument) => argument.startsWith(flag));
  return given === undefined ? HOST_STACK_KB : Number(given.slice(flag.length));
};

const receive = (message: ParentMessage): void => {
  switch (message.type) {
    case 'lock':
      lock(message);
      return;
    case 'run-unlocked':
      prepare(message.single, 0);
      return;
    case 'run':
      start(message);
      return;
    case 'reply':
      guests.get(message.run)?.reply(message);
      return;
    case 'weigh':
      weigh(message.cull);
      return;
    case 'stop':
      guests.get(message.run)?.stop();
      return;
    default:
  }
};

const reader = new FrameReader(MAX_FRAME_BYTES);
const input = new Socket({
  fd: 0,
  readable: true,
  writable: false,
  onread: {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback: (length, buffer) => {
      for (const text of reader.read((buffer as Buffer).subarray(0, length)))
        receive(JSON.parse(text) as ParentMessage);
      return true;
    },
  },
});
// Without a parent there is nothing to live for; guests may still be running on other threads.
input.on('close', () => process.exit(0));
for (const pipe of [input, output]) pipe.on('error', () => process.exit(1));
