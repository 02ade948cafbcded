/** `tappass tools check`: what is known of each tool before an agent gets it. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import type { GovernOptions, Tools } from '../govern.ts';
import { govern } from '../govern.ts';
import { EXIT, paint, print, printJson, shown, table, UsageError } from './output.ts';

interface CheckOptions {
  readonly flags?: string;
  readonly workspace?: string;
  readonly tool?: string;
  readonly args?: string;
  readonly strict?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
FILE is a module (.ts, .js) that exports tools: an array or a record, as \`tools\` or as its default export. It is
imported, so its top level runs, uncontained: check only files that you would run.

Examples:
  $ tappass tools check ./tools.ts
  $ tappass tools check ./tools.ts --strict                  exit 1 when the effects of a tool are unknown
  $ tappass tools check ./tools.ts --tool write_file --args '{"path":"../x"}' --flags files=project`;

const loadTools = async (file: string): Promise<Tools> => {
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
  } catch (error) {
    throw new UsageError(
      `Expected ${file} to be a module that loads, but: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const tools = exported['tools'] ?? exported['default'];
  if (typeof tools === 'object' && tools !== null) return tools as Tools;
  throw new UsageError(
    `Expected ${file} to export tools (an array or a record) as \`tools\` or as default, got ${typeof tools}`,
  );
};

const parseArgs = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`Expected --args to be JSON, got ${JSON.stringify(text.slice(0, 80))}`);
  }
};

interface Checkable {
  readonly name: string;
  readonly tool: { readonly check: (...argv: unknown[]) => Promise<unknown> };
}

const isFunction = (tool: unknown): boolean => typeof tool === 'function';

const dryRun = async (governed: readonly Checkable[], name: string, options: CheckOptions): Promise<void> => {
  const found = governed.find((candidate) => candidate.name === name);
  if (found === undefined)
    throw new UsageError(`Expected --tool to name one of the tools, got ${JSON.stringify(name)}`);
  const { tool } = found;
  const args = parseArgs(options.args ?? '{}');
  const decision = (await (isFunction(tool) && Array.isArray(args)
    ? tool.check(...(args as unknown[]))
    : tool.check(args))) as {
    readonly allowed: boolean;
    readonly blockedBy?: string;
    readonly reason?: string;
  };
  if (options.json === true) printJson(decision);
  else if (decision.allowed) print(`${paint('green', 'allow')}  ${shown(name)}`);
  else
    print(
      `${paint('red', 'deny')}   ${shown(name)}  ${shown(decision.blockedBy ?? '')} — ${shown(decision.reason ?? '')}`,
    );
  if (!decision.allowed) process.exitCode = EXIT.blocked;
};

const check = async (file: string, options: CheckOptions): Promise<void> => {
  const tools = await loadTools(file);
  const settings: GovernOptions = {
    audit: false,
    ...(options.flags !== undefined && { flags: options.flags }),
    ...(options.workspace !== undefined && { workspace: options.workspace }),
  };
  const governed = govern(tools, settings);
  const entries = Object.entries(governed) as unknown as [string, Checkable['tool'] & { readonly name?: string }][];
  const named = entries.map(([key, tool]) => ({ name: Array.isArray(tools) ? (tool.name ?? key) : key, tool }));
  if (options.tool !== undefined) return dryRun(named, options.tool, options);
  const { coverage } = governed as unknown as {
    coverage: () => Record<'declared' | 'inferred' | 'unknown', readonly string[]>;
  };
  const covered = coverage();
  if (options.json === true) printJson(covered);
  else {
    const rows = (['declared', 'inferred', 'unknown'] as const).flatMap((basis) =>
      covered[basis].map((name) => [
        shown(name, 60),
        basis === 'unknown' ? paint('yellow', basis) : basis,
        MEANING[basis],
      ]),
    );
    print(table(['tool', 'effects', 'meaning'], rows));
  }
  if (options.strict === true && covered.unknown.length > 0) process.exitCode = EXIT.failed;
  return undefined;
};

const MEANING = {
  declared: 'judged by what it declares',
  inferred: 'judged by its name, schema and arguments; declare its effects to be exact',
  unknown: 'judged by its name alone, and refused under mode=lockdown',
} as const;

export const registerTools = (program: Command): void => {
  const tools = program.command('tools').description('look at tools before an agent gets them');
  tools
    .command('check <file>')
    .description('what is known of the tools that a module exports, and what would be decided of a call')
    .option('--flags <flags>', 'flags, as in TAPPASS_FLAGS')
    .option('--workspace <dir>', 'workspace for relative paths')
    .option('--tool <name>', 'decide a call of this tool, without running it')
    .option('--args <json>', 'its arguments')
    .option('--strict', 'exit 1 when the effects of any tool are unknown')
    .option('--json', 'one JSON document on stdout')
    .addHelpText('after', EXAMPLES)
    .action(check);
};
