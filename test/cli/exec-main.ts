/** The one command under test, with the exit codes of the whole program. */
import { Command, CommanderError } from 'commander';
import { registerExec } from '../../src/cli/exec.ts';
import { EXIT, note, UsageError } from '../../src/cli/output.ts';

const program = new Command('tappass').exitOverride();
registerExec(program);
for (const command of program.commands) command.exitOverride();
try {
  await program.parseAsync(process.argv.slice(2), { from: 'user' });
} catch (error) {
  if (!(error instanceof CommanderError)) note(String(error));
  const { code } = error as { readonly code?: string };
  const isUsage = error instanceof CommanderError || error instanceof UsageError || code?.startsWith('TAPPASS_CONFIG');
  process.exitCode = isUsage === true ? EXIT.usage : EXIT.failed;
}
