/** Ends a command when its time is up or nobody wants it any more, and says in words how it ended. */
import type { LaunchEnd, Launched } from './launcher.ts';

const GRACE_MS = 1000;

export type Cause = 'timeout' | 'aborted' | undefined;

/** SIGTERM to the whole tree, then SIGKILL: at the deadline, and when the caller aborts. */
export const watchOver = (
  launched: Launched,
  timeoutMs: number | undefined,
  signal?: AbortSignal,
): { readonly cause: () => Cause; readonly clear: () => void } => {
  let cause: Cause;
  let grace: NodeJS.Timeout | undefined;
  const end = (why: Cause): void => {
    if (cause !== undefined) return;
    cause = why;
    launched.signal('SIGTERM');
    grace = setTimeout(() => launched.kill(), GRACE_MS);
  };
  const deadline = timeoutMs === undefined ? undefined : setTimeout(() => end('timeout'), timeoutMs);
  const onAbort = (): void => end('aborted');
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return {
    cause: () => cause,
    clear: () => {
      clearTimeout(deadline);
      clearTimeout(grace);
      signal?.removeEventListener('abort', onAbort);
    },
  };
};

export interface Ending {
  readonly status: 'exited' | 'signalled' | 'timeout' | 'limit';
  readonly exitCode?: number;
  readonly signal?: NodeJS.Signals;
  readonly reason?: string;
}

const LIMIT_REASONS: Readonly<Record<'memory' | 'pids' | 'cpu', string>> = {
  memory: 'its processes together used more memory than `limits.memoryMb`',
  pids: 'it had more processes than `limits.pids`',
  cpu: 'its processes together used more processor time than `limits.cpuSeconds`',
};

/** What the kernel tells of such an end is the signal alone. */
const SIGSYS_REASON =
  'it ended by SIGSYS, which the filter sends for 32-bit (int 0x80) and x32 system calls, and for those to which its profile says `kill`';

export const endingOf = (end: Extract<LaunchEnd, { kind: 'ended' }>, cause: Cause): Ending => {
  const how = {
    ...(end.exitCode === undefined ? {} : { exitCode: end.exitCode }),
    ...(end.signal === undefined ? {} : { signal: end.signal }),
  };
  if (end.reason === 'memory' || end.reason === 'pids' || end.reason === 'cpu') {
    return { status: 'limit', ...how, reason: LIMIT_REASONS[end.reason] };
  }
  if (end.signal === 'SIGXCPU') return { status: 'limit', ...how, reason: LIMIT_REASONS.cpu };
  if (end.signal === 'SIGXFSZ') {
    return { status: 'limit', ...how, reason: 'it wrote a file longer than `limits.fileSizeMb`' };
  }
  if (cause === 'timeout') return { status: 'timeout', ...how, reason: 'it ran longer than `timeoutMs`' };
  if (cause === 'aborted') return { status: 'signalled', ...how, reason: 'the signal was aborted' };
  if (end.signal === 'SIGSYS') {
    return { status: 'signalled', ...how, reason: SIGSYS_REASON };
  }
  return { status: end.signal === undefined ? 'exited' : 'signalled', ...how };
};
