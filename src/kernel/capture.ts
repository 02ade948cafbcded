/** Keeps the beginning of what a command writes and counts the rest: a flood costs no memory. */
import type { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';

export interface Captured {
  readonly text: string;
  readonly droppedBytes: number;
}

export const truncationMark = (droppedBytes: number): string =>
  `\n[tappass: ${droppedBytes} more bytes were dropped]\n`;

/** Resolves at the end of the stream. `onChunk` sees every byte, kept or not. */
export const capture = (
  stream: Socket | undefined,
  mostBytes: number,
  onChunk?: (chunk: Buffer) => void,
): Promise<Captured> => {
  const { promise, resolve, reject } = Promise.withResolvers<Captured>();
  if (stream === undefined) return Promise.resolve({ text: '', droppedBytes: 0 });
  const chunks: Buffer[] = [];
  let kept = 0;
  let droppedBytes = 0;
  stream.on('data', (chunk: Buffer) => {
    const room = Math.min(chunk.length, mostBytes - kept);
    if (room > 0) chunks.push(room === chunk.length ? chunk : Buffer.from(chunk.subarray(0, room)));
    kept += room;
    droppedBytes += chunk.length - room;
    if (onChunk === undefined) return;
    try {
      onChunk(chunk);
    } catch (error) {
      reject(error instanceof Error ? error : new Error(String(error)));
    }
  });
  stream.on('error', () => stream.destroy());
  const settle = (): void => {
    const whole = Buffer.concat(chunks);
    // A decoder leaves out the beginning of a character whose rest was dropped.
    const text =
      droppedBytes > 0 ? new StringDecoder('utf8').write(whole) + truncationMark(droppedBytes) : whole.toString('utf8');
    resolve({ text, droppedBytes });
  };
  // An empty stream may have ended before anybody listened.
  if (stream.closed) settle();
  else stream.on('close', settle);
  return promise;
};
