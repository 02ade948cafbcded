/** Parent side: the one place where an isolate host comes into being. */
import { spawn, type ChildProcess } from 'node:child_process';
import { extname, join } from 'node:path';
import type { Duplex } from 'node:stream';

const extension = extname(import.meta.filename);
const ENTRY = join(import.meta.dirname, `entry${extension}`);

/** isolated-vm needs `--no-node-snapshot`; SIGUSR1 would open an inspector, and with it the process. */
const NODE_FLAGS = ['--no-node-snapshot', '--disable-sigusr1', '--no-warnings'] as const;

export interface StartedHost {
  readonly process: ChildProcess;
  readonly channel: Duplex;
}

export const startHost = (entry: string = ENTRY): StartedHost => {
  const child = spawn(process.execPath, [...NODE_FLAGS, entry], {
    cwd: '/',
    env: {},
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  return { process: child, channel: child.stdio[3] as Duplex };
};
