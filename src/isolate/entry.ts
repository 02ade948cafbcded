/**
 * Child side: the program that an isolate host runs. It loads isolated-vm, locks itself, prepares isolates and takes
 * guests. Why a process of its own: guest code can abort or hang whatever process isolated-vm lives in, and whoever
 * breaks V8 owns that process. So this one holds nothing, may do nothing, and dies at a word from outside.
 */
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import type ivm from 'isolated-vm';
import { encodeFrame, FrameReader } from './channel.ts';
import { Guest, isKind, type GuestKind } from './guest.ts';
import { MAX_FRAME_BYTES, MEMORY_MB } from './limits.ts';
import type { HostMessage, ParentMessage, RunMessage } from './message.ts';

/** The descriptor that the parent left open for the channel. */
const CHANNEL_FD = 3;
/** Isolates kept ready. Each costs about 1.5 ms to make and 1 MB to keep. */
const RESERVE = 4;

const vm = createRequire(import.meta.url)('isolated-vm') as typeof ivm;
const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
const post = (message: HostMessage): void => {
  socket.write(encodeFrame(message));
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

const receive = (message: ParentMessage): void => {
  switch (message.type) {
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
socket.on('data', (chunk) => {
  for (const text of reader.read(chunk)) receive(JSON.parse(text) as ParentMessage);
});
// Without a parent there is nothing to live for; guests may still be running on other threads.
socket.on('close', () => process.exit(0));
socket.on('error', () => process.exit(1));

reserve.push(new Guest(vm, wanted, post));
post({ type: 'ready', layers: [] });
refill();
