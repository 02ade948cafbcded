/** What attacks aim at: files beside a workspace, servers, and a process of the same user; all removed at the end. */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { SYSCALL_TABLES, type Architecture } from './seccomp.ts';
import type { Target } from './attacks.ts';

export interface Stage {
  readonly target: Target;
  /** Puts back what an attempt may have moved, removed or made. */
  readonly reset: () => void;
  readonly close: () => Promise<void>;
}

/** `tryProgram`: the path of `tappass-try`. */
export const openStage = async (tryProgram: string, architecture: Architecture): Promise<Stage> => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-stage-')));
  const outsideFolder = join(root, 'outside');
  const workspace = join(root, 'workspace');
  const secretFile = join(outsideFolder, 'secret');
  const ownFile = join(workspace, 'own');
  const unlistedProgram = join(outsideFolder, 'program');
  const unixPath = join(root, 'socket');
  const unixAbstract = `tappass-stage-${String(process.pid)}-${root.slice(-6)}`;
  const reset = (): void => {
    rmSync(outsideFolder, { recursive: true, force: true });
    rmSync(workspace, { recursive: true, force: true });
    rmSync('/dev/shm/tappass-selftest', { force: true });
    mkdirSync(outsideFolder);
    mkdirSync(workspace);
    for (const file of [secretFile, join(outsideFolder, 'removable'), join(outsideFolder, 'movable'), ownFile]) {
      writeFileSync(file, 'secret');
    }
    symlinkSync(secretFile, join(workspace, 'link-to-secret'));
    for (const program of [unlistedProgram, join(workspace, 'program')]) {
      copyFileSync(tryProgram, program);
      chmodSync(program, 0o755);
    }
  };
  reset();

  const tcp = createServer((socket) => socket.destroy());
  const unix = createServer((socket) => socket.destroy());
  const abstract = createServer((socket) => socket.destroy());
  const udp = createSocket('udp4');
  await listening(tcp, 0);
  await listening(unix, unixPath);
  await listening(abstract, `\0${unixAbstract}`);
  udp.bind(0, '127.0.0.1');
  await once(udp, 'listening');
  const victim = await startVictim(tryProgram, `${unixPath}.datagram`, architecture);

  const target: Target = {
    secretFile,
    outsideFolder,
    workspace,
    ownFile,
    unlistedProgram,
    tcpPort: (tcp.address() as AddressInfo).port,
    udpPort: udp.address().port,
    unixPath,
    unixAbstract,
    victimPid: victim.pid ?? -1,
  };
  return {
    target,
    reset,
    close: async () => {
      victim.kill('SIGKILL');
      for (const server of [tcp, unix, abstract]) server.close();
      udp.close();
      await once(victim, 'exit').catch(() => undefined);
      rmSync(root, { recursive: true, force: true });
      rmSync('/dev/shm/tappass-selftest', { force: true });
    },
  };
};

const listening = async (server: Server, where: number | string): Promise<void> => {
  if (typeof where === 'number') server.listen(where, '127.0.0.1');
  else server.listen(where);
  await once(server, 'listening');
};

/** Binds a Unix datagram socket, which Node cannot, and then waits for ever. */
const startVictim = async (tryProgram: string, path: string, architecture: Architecture) => {
  const { socket, bind, ppoll } = SYSCALL_TABLES[architecture];
  const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(`${path}\0`)]);
  const calls = [
    socket,
    1,
    2,
    0,
    '/',
    bind,
    '$0',
    `#${address.toString('hex')}`,
    address.length,
    '/',
    ppoll,
    0,
    0,
    0,
    0,
    0,
  ];
  const victim = spawn(tryProgram, calls.map(String), {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { SECRET: 'of the victim' },
  });
  let answered = '';
  for await (const chunk of victim.stdout) {
    answered += String(chunk);
    if (answered.split('\n').length > 2) break;
  }
  return victim;
};
