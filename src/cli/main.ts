/** The `tappass` command: parses, calls a door, prints. One file for each command. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT, note, UsageError } from './output.ts';

type Register = (program: Command) => void;

/** Loaded when asked for: `tappass run` must not wait for a SQL parser. */
const COMMANDS: Readonly<Record<string, { readonly description: string; readonly load: () => Promise<Register> }>> = {
  demo: {
    description: 'an untrusted agent at work on a temporary workspace, database and mail server',
    load: async () => (await import('./demo.ts')).registerDemo,
  },
  run: {
    description: 'run a program under a tier; its exit code is passed on',
    load: async () => (await import('./run.ts')).registerRun,
  },
  exec: {
    description: 'run untrusted TypeScript in an isolate, with tools that you name',
    load: async () => (await import('./exec.ts')).registerExec,
  },
  check: {
    description: 'decide without acting; exit 3 when the answer is no',
    load: async () => (await import('./check.ts')).registerCheck,
  },
  tools: {
    description: 'look at tools before an agent gets them',
    load: async () => (await import('./tools.ts')).registerTools,
  },
  audit: {
    description: 'look at, verify and export the journal',
    load: async () => (await import('./audit.ts')).registerAudit,
  },
  profile: {
    description: 'the kernel profiles behind the tiers: list, show, explain',
    load: async () => (await import('./profile.ts')).registerProfile,
  },
  doctor: {
    description: 'what this host can enforce, found by doing it, and the cure for what it cannot',
    load: async () => (await import('./doctor.ts')).registerDoctor,
  },
  selftest: {
    description: 'the attack list, run on this host: without the sandbox, then inside',
    load: async () => (await import('./selftest.ts')).registerSelftest,
  },
};

const HELP = `
Examples:
  $ tappass demo                                             an agent's session on a temporary workspace
  $ tappass check path ../secrets --access write --flag project
  $ tappass tools check ./my-tools.ts                        what is known of each tool before an agent gets it
  $ tappass audit tail --blocked                             the last calls that were blocked
  $ tappass audit verify                                     is every line of the journal as it was written?

Exit codes: 0 done, 1 the work failed, 2 usage, 3 blocked by policy, 4 the host cannot enforce what was asked.`;

/** The whole program, with the one command that is asked for in full and the others by name. */
const buildProgram = async (asked: string | undefined): Promise<Command> => {
  const program = new Command('tappass')
    .description('Govern, contain and record the tool calls of AI agents.')
    .version(versionOf(), '-V, --version', 'print the version')
    .option('--no-color', 'print without colours (as NO_COLOR does)')
    .addHelpText('after', HELP)
    .showHelpAfterError('(run with --help for examples)')
    .enablePositionalOptions()
    .hook('preAction', (command) => {
      if (!command.opts<{ color: boolean }>().color) process.env['NO_COLOR'] = '1';
    });
  for (const [name, { description, load }] of Object.entries(COMMANDS)) {
    if (name === asked) (await load())(program);
    else program.command(name).description(description);
  }
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
    const words = argv.filter((word) => !word.startsWith('-'));
    const program = await buildProgram(words[0] === 'help' ? words[1] : words[0]);
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync([...argv], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.done;
  } catch (error) {
    return codeOf(error);
  }
};

const codeOf = (error: unknown): number => {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  const { name, message } = error as { name?: string; message?: string };
  note(`tappass: ${message ?? String(error)}`);
  if (error instanceof UsageError || name === 'TapPassConfigError') return EXIT.usage;
  if (name === 'PolicyBlockError' || name === 'ToolIntegrityViolation') return EXIT.blocked;
  if (name === 'TrustTierDenied') return EXIT.unenforceable;
  return EXIT.failed;
};
