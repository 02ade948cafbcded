/** `tappass exec`: one untrusted script in an isolate. Input on stdin, value on stdout, logs on stderr. */
import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidArgumentError, type Command } from 'commander';
import { fileTools } from '../file-tools.ts';
import { govern, type GovernOptions, type Tools } from '../govern.ts';
import { declareTools, runCode, type CodeOptions, type CodeResult } from '../run-code.ts';
import { EXIT, note, print, printJson, readStdin, shown, UsageError } from './output.ts';

interface ExecOptions {
  readonly tools?: readonly string[];
  readonly flags?: string;
  readonly workspace?: string;
  readonly timeout?: number;
  readonly memory?: number;
  readonly module?: Readonly<Record<string, string>>;
  readonly packages?: string;
  readonly allow?: CodeOptions['allow'];
  readonly declarations?: boolean;
  readonly audit: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
FILE is JavaScript or TypeScript. It may do nothing but compute, and call the tools that --tools names, as
\`await tools.<name>({…})\`. JSON on stdin is its \`input\`; its default export, or last expression, goes to stdout as
JSON, its console to stderr. A default export that is a function is called with the input when there is one.

Examples:
  $ echo '{"n": 20}' | tappass exec double.ts
  $ tappass exec report.ts --tools files --flags files=read_only --workspace ./project
  $ tappass exec report.ts --tools ./my-tools.ts --timeout 5 --memory 64 --json
  $ tappass exec report.ts --tools files --declarations      what a model needs to know of the tools

Exit codes: 0 a value, 1 the script failed or was ended, 2 usage, 3 a tool call was blocked by policy and the script did
not catch it, 4 this machine cannot lock the process that the script would run in.`;

const loadTools = async (source: string, workspace: string): Promise<Tools> => {
  if (source === 'files') return fileTools(workspace);
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(resolve(source)).href)) as Record<string, unknown>;
  } catch (error) {
    throw new UsageError(`Expected --tools to name \`files\` or a module that loads, got ${source}: ${String(error)}`);
  }
  const tools = exported['tools'] ?? exported['default'];
  if (typeof tools === 'object' && tools !== null) return tools as Tools;
  throw new UsageError(`Expected ${source} to export tools as \`tools\` or as default, got ${typeof tools}`);
};

/** Governs each source of tools and joins them by name. */
const governedTools = async (options: ExecOptions): Promise<NonNullable<CodeOptions['tools']>> => {
  const settings: GovernOptions = {
    ...(options.flags !== undefined && { flags: options.flags }),
    ...(options.workspace !== undefined && { workspace: options.workspace }),
    ...(!options.audit && { audit: false as const }),
  };
  const joined: Record<string, Function> = {};
  for (const source of options.tools ?? []) {
    const tools = govern(await loadTools(source, options.workspace ?? process.cwd()), settings);
    for (const [key, tool] of Object.entries(tools) as [string, Function & { readonly name?: string }][]) {
      const name = Array.isArray(tools) ? tool.name : key;
      if (name in joined) throw new UsageError(`Expected no two tools named ${name}: ${source} brings another one`);
      joined[name] = tool;
    }
  }
  return joined;
};

const exec = async (file: string, options: ExecOptions): Promise<void> => {
  const source = readSource(file);
  const tools = await governedTools(options);
  if (options.declarations === true) {
    print(declareTools(tools).trimEnd());
    return;
  }
  const modules = Object.entries(options.module ?? {}).map(([name, path]) => [name, readSource(path)] as const);
  const input = await readInput();
  const result = await runCode(source, {
    tools,
    file: basename(file)
      .replaceAll(/[^\w.-]/gu, '_')
      .slice(0, 100),
    modules: Object.fromEntries(modules),
    ...(input !== undefined && { input }),
    ...(options.timeout !== undefined && { timeoutMs: Math.round(options.timeout * 1000) }),
    ...(options.memory !== undefined && { memoryMb: options.memory }),
    ...(options.packages !== undefined && { packagesFrom: resolve(options.packages) }),
    ...(options.allow !== undefined && { allow: options.allow }),
    ...(options.json !== true && { onLog: ({ text }) => note(shown(text)) }),
  });
  tell(result, options.json === true);
};

const tell = (result: CodeResult, json: boolean): void => {
  if (json) printJson(result);
  else if (result.status === 'ok') print(JSON.stringify(result.value ?? null));
  else note(`tappass: ${result.status}: ${shown(result.error?.stack ?? result.error?.message ?? 'no reason given')}`);
  if (result.status === 'ok') return;
  if (result.status === 'refused') process.exitCode = EXIT.unenforceable;
  else process.exitCode = result.error?.blockedBy === undefined ? EXIT.failed : EXIT.blocked;
};

const readSource = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`Expected a source that can be read, got ${file}: ${(error as Error).message}`);
  }
};

/** A terminal is no input: nobody should have to press Ctrl-D. */
const readInput = async (): Promise<unknown> => {
  if (process.stdin.isTTY) return undefined;
  const text = await readStdin();
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError('Expected the input on stdin to be JSON, or empty');
  }
};

const parseNumber = (text: string): number => {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number) || number <= 0)
    throw new InvalidArgumentError('Expected a positive number.');
  return number;
};

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

const collectModule = (
  value: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> => {
  const at = value.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Expected NAME=FILE.');
  return { ...before, [value.slice(0, at)]: value.slice(at + 1) };
};

export const registerExec = (program: Command): void => {
  program
    .command('exec <file>')
    .description('run an untrusted script in an isolate, with the tools it is given and nothing else')
    .option(
      '--tools <files|module>',
      'tools it may call: the workspace file tools, or a module that exports tools; repeatable',
      collect,
    )
    .option('--flags <flags>', 'flags for its tool calls, as in TAPPASS_FLAGS')
    .option('--workspace <dir>', 'workspace of its tools (default: the current directory)')
    .option('--timeout <seconds>', 'deadline (default 30)', parseNumber)
    .option('--memory <mb>', 'memory limit (default 128)', parseNumber)
    .option('--module <name=file>', 'a module that it may import; repeatable', collectModule)
    .option('--packages <dir>', 'bundle its other imports from the node_modules of a directory (needs rolldown)')
    .option('--allow <names...>', 'eval, wasm, shared-memory')
    .option('--declarations', 'print the TypeScript declarations of its tools and stop')
    .option('--no-audit', 'keep no journal of its tool calls')
    .option('--json', 'the whole result as one JSON document on stdout')
    .addHelpText('after', EXAMPLES)
    .action(exec);
};
