/**
 * Door: a program under a tier with the stdio of this process as its own; `tappass run`. It has a session of its own, so
 * what the terminal sends to us is passed on, and TIOCSTI, which would type into the terminal, is refused by the filter.
 */
import { constants } from 'node:os';
import { refusalOf, reportOf } from './command-report.ts';
import type { CommandReport } from './command-report.ts';
import { prepareCommand, resolveCommand, start } from './command-prepare.ts';
import type { ConfinedOptions } from './command-prepare.ts';
import { endingOf, watchOver } from './kernel/ending.ts';
import type { Ending } from './kernel/ending.ts';
import type { Launched } from './kernel/launcher.ts';

export interface AttachedResult {
  /** For our own exit: the command's code; 128 + signal; 124 time is up; 127, 126 not found, not startable; 3 not allowed. */
  readonly code: number;
  readonly status: Ending['status'] | 'refused';
  readonly reason?: string;
  readonly report?: CommandReport;
}

const REFUSED = { missing: 127, unusable: 126, 'not-listed': 3 } as const;
const TIMED_OUT = 124;

const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const;

/** Rejects like `runCommand`. Without `timeoutMs` it runs as long as it takes. */
export const runAttached = async (argv: readonly string[], options: ConfinedOptions): Promise<AttachedResult> => {
  const prepared = prepareCommand(argv, options);
  let stop: ReturnType<typeof watchOver> | undefined;
  try {
    const command = resolveCommand(prepared);
    if ('reason' in command) return { code: REFUSED[command.kind], status: 'refused', reason: command.reason };
    // Listened to before the start: the command may be up, and its sender know it, before we do.
    const passing = passSignals();
    const end = await start(prepared, command, [0, 1, 2])
      .then(async (launched) => {
        passing.to(launched);
        stop = watchOver(launched, prepared.timeoutMs);
        return launched.ended;
      })
      .finally(() => {
        stop?.clear();
        passing.end();
      });
    const report = reportOf(prepared, command, end);
    if (end.kind === 'failed') {
      return { code: REFUSED.unusable, status: 'refused', reason: refusalOf(prepared, command.profile, end), report };
    }
    const ending = endingOf(end, stop?.cause());
    return {
      code: codeOf(ending),
      status: ending.status,
      ...(ending.reason === undefined ? {} : { reason: ending.reason }),
      report,
    };
  } finally {
    await prepared.directories.release();
  }
};

const codeOf = ({ status, exitCode, signal }: Ending): number => {
  if (status === 'timeout') return TIMED_OUT;
  return exitCode ?? 128 + (signal === undefined ? 0 : constants.signals[signal]);
};

const passSignals = (): { readonly to: (launched: Launched) => void; readonly end: () => void } => {
  let target: Launched | undefined;
  const early: NodeJS.Signals[] = [];
  const listeners = PASSED_ON.map((signal) => {
    const pass = (): void => {
      if (target === undefined) early.push(signal);
      else target.signal(signal);
    };
    process.on(signal, pass);
    return () => process.off(signal, pass);
  });
  return {
    to: (launched) => {
      target = launched;
      for (const signal of early) launched.signal(signal);
    },
    end: () => listeners.forEach((stop) => stop()),
  };
};
