/** A PGlite behind a socket that speaks PostgreSQL's protocol, so that the real `pg` driver talks to a real engine. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { PGlite } from '@electric-sql/pglite';

const SSL_REQUEST = 80_877_103;

export interface PgliteServer {
  readonly port: number;
  close(): Promise<void>;
}

/** All connections share the one session of PGlite: use pools of one client. */
export const servePglite = async (db: PGlite): Promise<PgliteServer> => {
  let queue = Promise.resolve();
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    let pending = Buffer.alloc(0);
    let started = false;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      queue = queue.then(async () => {
        for (;;) {
          const header = started ? 1 : 0;
          if (pending.length < header + 4) return;
          const length = header + pending.readInt32BE(header);
          if (pending.length < length) return;
          const message = Uint8Array.from(pending.subarray(0, length));
          pending = pending.subarray(length);
          if (!started && pending.length === 0 && Buffer.from(message).readInt32BE(4) === SSL_REQUEST) {
            socket.write('N');
            continue;
          }
          started = true;
          // 'X' ends this connection, not the engine.
          if (message[0] === 0x58) socket.end();
          else socket.write(await db.execProtocolRaw(message));
        }
      });
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
};
