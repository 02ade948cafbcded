/** Reads what a server answered, within limits: a body that decodes to more is cut off, not expanded. */
import type { Readable, Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';
import { NetworkRefusal } from './network-refusal.ts';

type RawHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export const plainHeaders = (headers: RawHeaders): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      // Cookies are for browsers: whoever reads the result has no use for a session of somebody else.
      value === undefined || name === 'set-cookie'
        ? []
        : [[name, typeof value === 'string' ? value : value.join(', ')]],
    ),
  );

export const encodingOf = (headers: RawHeaders): string => {
  const value = headers['content-encoding'];
  return (typeof value === 'string' ? value : (value ?? []).join(',')).trim().toLowerCase();
};

const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/** Decodes and reads until `most` bytes are there; the rest is not read. */
export const readBody = async (
  body: Readable,
  encoding: string,
  most: number,
  signal: AbortSignal,
): Promise<{ readonly body: Uint8Array; readonly truncated: boolean }> => {
  const decoder = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding]?.() : undefined;
  if (encoding !== '' && encoding !== 'identity' && decoder === undefined) {
    body.on('error', () => undefined).destroy();
    throw new NetworkRefusal(`the response has the content encoding ${JSON.stringify(encoding.slice(0, 40))}`);
  }
  const decoded: Readable = decoder === undefined ? body : body.pipe(decoder);
  body.on('error', (error) => decoded.destroy(error));
  const onAbort = (): void => void decoded.destroy(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  const chunks: Buffer[] = [];
  let size = 0;
  let truncated = false;
  try {
    for await (const chunk of decoded as AsyncIterable<Buffer>) {
      const room = most - size;
      chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
      size += Math.min(chunk.length, room);
      truncated = chunk.length > room;
      if (truncated) break;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    body.on('error', () => undefined).destroy();
    decoded.on('error', () => undefined).destroy();
  }
  return { body: new Uint8Array(Buffer.concat(chunks)), truncated };
};
