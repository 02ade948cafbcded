/** `tappass doctor`: what this host can enforce, found by doing it, and the cure for what it cannot. */
import type { Command } from 'commander';
import { examineHost } from '../doctor.ts';
import { EXIT, paint, print, printJson, table } from './output.ts';

const HELP = `
Examples:
  $ tappass doctor
  $ tappass doctor --json | jq '.tiers[] | select(.enforceable | not)'

Exit codes: 0 every tier can be enforced here, 4 one cannot.`;

export const registerDoctor = (program: Command): void => {
  program
    .command('doctor')
    .description('what this host can enforce, found by doing it, and the cure for what it cannot')
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(async ({ json = false }: { json?: boolean }) => {
      const report = await examineHost();
      const usable = report.tiers.every(({ enforceable }) => enforceable);
      if (json) printJson(report);
      else {
        print(
          `Linux ${report.kernel} on ${report.architecture}, Landlock ABI ${String(report.landlockAbi)}, Node ${report.node}\n`,
        );
        print(
          table(
            ['layer', '', 'found'],
            report.abilities.map(({ name, works, role, found }) => [
              name,
              works
                ? paint('green', 'works')
                : paint(role === 'needed' ? 'red' : 'yellow', role === 'needed' ? 'missing' : 'not here'),
              found,
            ]),
          ),
        );
        const cures = report.abilities.filter(({ cure }) => cure !== undefined);
        if (cures.length > 0) print('\nCures:');
        for (const { name, cure } of cures) print(`  ${name}: ${String(cure)}`);
        print('');
        print(
          table(
            ['tier', ''],
            report.tiers.map(({ tier, enforceable, missing }) => [
              tier,
              enforceable
                ? paint('green', 'can be enforced')
                : paint('red', `refused: ${missing.map(({ layer, reason }) => `${layer} (${reason})`).join('; ')}`),
            ]),
          ),
        );
      }
      process.exitCode = usable ? EXIT.done : EXIT.unenforceable;
    });
};
