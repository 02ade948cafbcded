/** The `tappass` command: parses, calls a door, prints. One file for each command. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { registerAudit } from './audit.ts';
import { registerCheck } from './check.ts';
import { registerDemo } from './demo.ts';
import { registerDoctor } from './doctor.ts';
import { registerExec } from './exec.ts';
import { EXIT, note, UsageError } from './output.ts';
import { registerProfile } from './profile.ts';
import { registerRun } from './run.ts';
import { registerSelftest } from './selftest.ts';
import { registerTools } from './tools.ts';

const HELP = `
Examples:
  $ tappass demo                                             an agent's session on a temporary workspace
  $ tappass check path ../secrets --access write --flag project
  $ tappass tools check ./my-tools.ts                        what is known of each tool before an agent gets it
  $ tappass audit tail --blocked                             the last calls that were blocked
  $ tappass audit verify                                     is every line of the journal as it was written?

Exit codes: 0 done, 1 the work failed, 2 usage, 3 blocked by policy, 4 the host cannot enforce what was asked.`;

export const buildProgram = (): Command => {
  const program = new Command('tappass')
    .description('Govern, contain and record the tool calls of AI agents.')
    .version(versionOf(), '-V, --version', 'print the version')
    .option('--no-color', 'print without colours (as NO_COLOR does)')
    .addHelpText('after', HELP)
    .showHelpAfterError('(run with --help for examples)')
    .hook('preAction', (command) => {
      if (command.opts<{ color: boolean }>().color === false) process.env['NO_COLOR'] = '1';
    });
  registerAudit(program);
  registerCheck(program);
  registerDemo(program);
  registerDoctor(program);
  registerExec(program);
  registerProfile(program);
  registerRun(program);
  registerSelftest(program);
  registerTools(program);
  for (const command of withChildren(program)) command.exitOverride();
  return program;
};

/** The same two folders up from `src/cli` and from `dist/cli`. */
const versionOf = (): string => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return String((JSON.parse(text) as { version?: unknown }).version);
};

const withChildren = (command: Command): readonly Command[] => [command, ...command.commands.flatMap(withChildren)];

/** Runs one command line; resolves with its exit code. A closed pipe (`| head`) is no error. */
export const main = async (argv: readonly string[]): Promise<number> => {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    throw error;
  });
  try {
    await buildProgram().parseAsync([...argv], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.done;
  } catch (error) {
    return codeOf(error);
  }
};

const codeOf = (error: unknown): number => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  const { name, message, code } = error as { name?: string; message?: string; code?: string };
  note(`tappass: ${message ?? String(error)}`);
  if (error instanceof UsageError || code?.startsWith('TAPPASS_CONFIG') === true) return EXIT.usage;
  if (name === 'PolicyBlockError' || name === 'ToolIntegrityViolation') return EXIT.blocked;
  if (name === 'TrustTierDenied') return EXIT.unenforceable;
  return EXIT.failed;
};
