/** `tappass selftest`: attacks on this host's sandbox, each first without it. */
import type { Command } from 'commander';
import { runSelftest, WAYS } from '../selftest.ts';
import type { SelftestRow, Verdict, Way } from '../selftest.ts';
import { EXIT, note, paint, print, printJson, table, UsageError } from './output.ts';

const COLOURS = { stopped: 'green', 'got through': 'red', open: 'dim', untried: 'yellow' } as const satisfies Record<
  Verdict,
  string
>;

const rowText = ({ way, attack, outside, inside }: SelftestRow): string[] => [
  way,
  attack,
  outside === 'works' ? outside : paint('yellow', outside),
  ...[inside.observer, inside.worker, inside.standard].map((verdict) => paint(COLOURS[verdict], verdict)),
];

const HELP = `
Examples:
  $ tappass selftest
  $ tappass selftest --way network --way unix-sockets
  $ tappass selftest --json > selftest.json

Exit codes: 0 nothing got through, 1 an attack got through, 4 a tier cannot be enforced here.`;

const collect = (value: string, before: readonly Way[] = []): readonly Way[] => {
  const known = WAYS.find((way) => way === value);
  if (known === undefined) throw new UsageError(`Expected --way to be one of ${WAYS.join(', ')}, got ${value}`);
  return [...before, known];
};

export const registerSelftest = (program: Command): void => {
  program
    .command('selftest')
    .description('try to get out of the sandbox on this host: each attack first without it, then inside each tier')
    .option('--way <way>', `only this way out (repeatable): ${WAYS.join(', ')}`, collect)
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(async ({ json = false, way }: { json?: boolean; way?: readonly Way[] }) => {
      let report;
      try {
        report = await runSelftest(way === undefined ? {} : { ways: way });
      } catch (error) {
        if ((error as { code?: string }).code !== 'TAPPASS_UNENFORCEABLE') throw error;
        note(`tappass: ${(error as Error).message}`);
        process.exitCode = EXIT.unenforceable;
        return;
      }
      if (json) printJson(report);
      else {
        print(table(['way', 'attack', 'outside', 'observer', 'worker', 'standard'], report.rows.map(rowText)));
        print(
          `\n${String(report.attempted)} attempts, ${String(report.stopped)} stopped, ${String(report.gotThrough)} got through; ` +
            `${String(report.notPossible)} of ${String(report.rows.length)} attacks are not possible here even without the sandbox. ` +
            '`open`: this tier does not promise to stop it.',
        );
      }
      process.exitCode = report.gotThrough === 0 ? EXIT.done : EXIT.failed;
    });
};
