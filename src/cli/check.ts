/** `tappass check`: the decision and its explanation, without acting; for people, CI jobs and other languages. */
import type { Command } from 'commander';
import { checkCommand } from '../check-command.ts';
import { checkContent } from '../check-content.ts';
import { checkEmail } from '../check-email.ts';
import type { EmailMessage } from '../check-email.ts';
import { checkPath } from '../check-path.ts';
import { checkSql } from '../check-sql.ts';
import { checkUrl } from '../check-url.ts';
import { SQL_DIALECTS } from '../model/effect.ts';
import { DB_LEVELS, FILES_LEVELS, PII_ACTIONS, SECRETS_ACTIONS } from '../model/flags.ts';
import { EXIT, paint, print, printJson, readStdin, shown, UsageError } from './output.ts';

interface Verdict {
  readonly allowed: boolean;
  readonly reason?: string;
}

const textFrom = async (given: string | undefined): Promise<string> =>
  given === undefined || given === '-' ? (await readStdin()).replace(/\n$/u, '') : given;

const oneOf = <T extends string>(option: string, words: readonly T[], given: string): T => {
  const found = words.find((word) => word === given);
  if (found === undefined)
    throw new UsageError(`Expected ${option} to be one of ${words.join(', ')}, got ${JSON.stringify(given)}`);
  return found;
};

const report = (verdict: Verdict, json: boolean | undefined, details: readonly string[] = []): void => {
  if (json === true) printJson(verdict);
  else {
    const word = verdict.allowed ? paint('green', 'allow') : paint('red', 'deny');
    print(`${word}${verdict.reason === undefined ? '' : `  ${shown(verdict.reason)}`}`);
    for (const detail of details) print(`       ${shown(detail)}`);
  }
  if (!verdict.allowed) process.exitCode = EXIT.blocked;
};

interface Common {
  readonly json?: boolean;
}

const path = async (
  given: string | undefined,
  options: Common & { access: string; flag: string; workspace?: string },
): Promise<void> => {
  const decision = await checkPath(await textFrom(given), {
    access: oneOf('--access', ['read', 'write'], options.access),
    flag: oneOf('--flag', FILES_LEVELS, options.flag),
    ...(options.workspace !== undefined && { workspace: options.workspace }),
  });
  const { resolved } = decision;
  const where =
    resolved === undefined
      ? []
      : [`leads to ${resolved.beneath === undefined ? 'a place outside the workspace' : `./${resolved.beneath}`}`];
  report(decision, options.json, where);
};

const sql = async (
  given: string | undefined,
  options: Common & { level: string; dialect: string; harmless?: string[] },
): Promise<void> => {
  const decision = await checkSql(await textFrom(given), oneOf('--level', DB_LEVELS, options.level), {
    dialect: oneOf('--dialect', SQL_DIALECTS, options.dialect),
    ...(options.harmless !== undefined && { harmlessFunctions: options.harmless }),
  });
  const details = decision.statements.map(({ verb, access, relations, allowed, reason }) =>
    [allowed ? 'allow' : 'deny', verb, access, relations.join(', '), reason ?? ''].filter(Boolean).join('  '),
  );
  report(decision, options.json, [...details, ...decision.detections.map(({ type }) => `detected: ${type}`)]);
};

const email = async (given: string | undefined, options: Common & { flag: string }): Promise<void> => {
  const text = await textFrom(given);
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    // Not JSON: a raw message as it would go over the wire.
    message = { raw: text };
  }
  const decision = checkEmail(message as EmailMessage, options.flag);
  report(
    decision,
    options.json,
    decision.originalRecipients.map((recipient) => `recipient ${recipient}`),
  );
};

const url = async (given: string | undefined, options: Common & { allowDomain?: string[] }): Promise<void> => {
  const decision = checkUrl(
    await textFrom(given),
    options.allowDomain === undefined ? {} : { allowedDomains: options.allowDomain },
  );
  report(
    decision,
    options.json,
    decision.detections.map((type) => `detected: ${type}`),
  );
};

const command = async (
  words: readonly string[],
  options: Common & { flags?: string; allowCommand?: string[]; tier?: string },
): Promise<void> => {
  const given = words.length > 1 ? words : await textFrom(words[0]);
  const decision = checkCommand(given, {
    ...(options.flags !== undefined && { flags: options.flags }),
    ...(options.allowCommand !== undefined && { commands: options.allowCommand }),
    ...(options.tier !== undefined && { tier: oneOf('--tier', ['observer', 'worker', 'standard'], options.tier) }),
  });
  report(
    decision,
    options.json,
    (decision.commands ?? []).map((argv) => `starts ${argv.join(' ')}`),
  );
};

const content = async (
  given: string | undefined,
  options: Common & { pii: string; secrets: string },
): Promise<void> => {
  const text = await textFrom(given);
  const decision = checkContent(text, {
    pii: oneOf('--pii', PII_ACTIONS, options.pii),
    secrets: oneOf('--secrets', SECRETS_ACTIONS, options.secrets),
  });
  if (options.json === true) printJson(decision);
  else {
    report(decision, false, [
      `${decision.classification}: ${decision.because}`,
      ...decision.counts.map(({ type, count }) => `${String(count)} × ${type}`),
    ]);
    print(shown(String(decision.value)));
  }
  if (!decision.allowed) process.exitCode = EXIT.blocked;
};

const several = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

export const registerCheck = (program: Command): void => {
  const check = program
    .command('check')
    .description('decide without acting; exit 3 when the answer is no')
    .addHelpText(
      'after',
      `
Each takes its text as an argument, or from stdin (no argument, or -).

Examples:
  $ tappass check path ../notes.txt --access write --flag project
  $ tappass check sql "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d" --level read_only
  $ echo '{"to":"a@customer.com"}' | tappass check email --flag internal:company.com --json
  $ tappass check url http://169.254.169.254/ --allow-domain example.com
  $ tappass check command 'cat a.txt | sort' --flags files=read_only`,
    );
  const json = ['--json', 'one JSON document on stdout'] as const;
  check
    .command('path [path]')
    .description('would the `files` flag let a tool read or write this path?')
    .option('--access <access>', 'read or write', 'read')
    .option('--flag <flag>', FILES_LEVELS.join(', '), 'project')
    .option('--workspace <dir>', 'default: TAPPASS_WORKSPACE, else here')
    .option(...json)
    .action(path);
  check
    .command('sql [text]')
    .description('what would these statements do, and does the `db` flag allow it?')
    .option('--level <level>', DB_LEVELS.join(', '), 'safe_write')
    .option('--dialect <dialect>', SQL_DIALECTS.join(', '), 'postgres')
    .option('--harmless <function>', 'a function of yours without effects (again for more)', several)
    .option(...json)
    .action(sql);
  check
    .command('email [message]')
    .description('who would this message reach, and does the `email` flag allow it? (JSON or raw MIME)')
    .requiredOption('--flag <flag>', 'allow, block, internal:<domain> or mirror:<address>')
    .option(...json)
    .action(email);
  check
    .command('url [url]')
    .description('may data be sent there?')
    .option(
      '--allow-domain <host>',
      'an allowed host (again for more); none given: only the always-denied are',
      several,
    )
    .option(...json)
    .action(url);
  check
    .command('command [words...]')
    .description('what would this command start, and may it run?')
    .option('--flags <flags>', 'flags, as in TAPPASS_FLAGS')
    .option('--allow-command <name>', 'a program that may be started (again for more)', several)
    .option('--tier <tier>', 'as if it ran under this tier')
    .option(...json)
    .action(command);
  check
    .command('content [text]')
    .description('which secrets and personal data are in this text?')
    .option('--pii <action>', PII_ACTIONS.join(', '), 'mask')
    .option('--secrets <action>', SECRETS_ACTIONS.join(', '), 'redact')
    .option(...json)
    .action(content);
};
