/**
 * Child side: the program that an isolate host runs. It loads isolated-vm, locks itself, prepares isolates and takes
 * guests. Why a process of its own: guest code can abort or hang whatever process isolated-vm lives in, and whoever
 * breaks V8 owns that process. So this one holds nothing, may do nothing, and dies at a word from outside.
 */
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import type ivm from 'isolated-vm';
import { lockDown } from '../kernel/lock-down.ts';
import { encodeFrame, FrameReader } from './channel.ts';
import { Guest, isKind, type GuestKind } from './guest.ts';
import { MAX_FRAME_BYTES, MEMORY_MB } from './limits.ts';
import type { HostMessage, LockMessage, ParentMessage, RunMessage } from './message.ts';

/** Isolates kept ready. Each costs about 1.5 ms to make and 1 MB to keep. */
const RESERVE = 2;

const vm = createRequire(import.meta.url)('isolated-vm') as typeof ivm;
// Standard input and output are the channel: two pipes, so that there is no socket to pass descriptors over.
const input = new Socket({ fd: 0, readable: true, writable: false });
const output = new Socket({ fd: 1, readable: false, writable: true });
const post = (message: HostMessage): void => {
  output.write(encodeFrame(message));
};

const guests = new Map<number, Guest>();
const reserve: Guest[] = [];
let wanted: GuestKind = { memoryMb: MEMORY_MB.default, allow: '' };
let refilling = false;

const refill = (): void => {
  if (refilling || reserve.length >= RESERVE) return;
  refilling = true;
  // One at a time, behind whatever the channel and the guests want: preparing blocks this thread for a millisecond.
  setImmediate(() => {
    refilling = false;
    reserve.push(new Guest(vm, wanted, post));
    refill();
  });
};

const takeGuest = (kind: GuestKind): Guest => {
  if (!isKind(kind, wanted)) {
    wanted = kind;
    for (const guest of reserve.splice(0)) guest.stop();
  }
  return reserve.shift() ?? new Guest(vm, kind, post);
};

const start = (message: RunMessage): void => {
  const guest = takeGuest({ memoryMb: message.memoryMb, allow: message.allow });
  guests.set(message.run, guest);
  guest.start(message, () => {
    guests.delete(message.run);
    refill();
  });
};

/** Nothing of a guest has come yet: what it says of itself here is true. */
const lock = ({ handledFs, handledNet, scoped, filter, probe }: LockMessage): void => {
  // What is loaded late is loaded now: afterwards there are no files.
  randomBytes(1);
  encodeFrame(new URL('http://a'));
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
    prepare(threads.confined);
  } catch (error) {
    post({ type: 'unlocked', missing: error instanceof Error ? error.message.slice(0, 1000) : 'unknown reason' });
  }
};

const prepare = (threads: number): void => {
  reserve.push(new Guest(vm, wanted, post));
  post({ type: 'ready', pid: process.pid, threads });
  refill();
};

const receive = (message: ParentMessage): void => {
  switch (message.type) {
    case 'lock':
      lock(message);
      return;
    case 'run-unlocked':
      prepare(0);
      return;
    case 'run':
      start(message);
      return;
    case 'reply':
      guests.get(message.run)?.reply(message);
      return;
    case 'stop':
      guests.get(message.run)?.stop();
      return;
    default:
  }
};

const reader = new FrameReader(MAX_FRAME_BYTES);
input.on('data', (chunk) => {
  for (const text of reader.read(chunk)) receive(JSON.parse(text) as ParentMessage);
});
// Without a parent there is nothing to live for; guests may still be running on other threads.
input.on('close', () => process.exit(0));
for (const pipe of [input, output]) pipe.on('error', () => process.exit(1));
