/** The public surface: explicit named exports, nothing else. */
export * from './errors.ts';
export { govern } from './govern.ts';
export type { Coverage, Governed, GovernedOne, GovernOptions, Tools } from './govern.ts';
export { defineTool } from './tools/define.ts';
export type { Tool, ToolContext } from './tools/define.ts';
export { withFlags } from './with-flags.ts';
export type { CallFlags } from './with-flags.ts';
export { currentSession, tappassSession } from './session.ts';
export type { SessionOptions } from './session.ts';
export { parseFlags } from './policy/flags.ts';
export { checkPath } from './check-path.ts';
export type { CheckPathOptions, PathDecision } from './check-path.ts';
export { openJournal, openJournalSync, openMemoryJournal, readJournal, verifyJournal } from './audit-log.ts';
export type {
  AuditFilter,
  Journal,
  JournalFault,
  JournalOptions,
  MemoryJournal,
  MemoryJournalOptions,
  VerifyOptions,
  VerifyReport,
} from './audit-log.ts';
export type { Subject, ToolCall } from './model/call.ts';
export type { Basis, Classification, Decision, Detection, Outcome, Rewrite, Ruling, Step } from './model/decision.ts';
export type { Effect, EffectDeclaration } from './model/effect.ts';
export type { AuditEvent, CallDecided, CallEnded, EventSink, JournalEntry } from './model/event.ts';
export type { FlagName, Flags, FlagsInput, IgnoredFlag, ParsedFlags } from './model/flags.ts';
export type { Limits } from './model/limits.ts';
export type { CorrelationIds, Session } from './model/session.ts';
export type { Tier } from './model/tier.ts';
export { defineCommandTool } from './define-command-tool.ts';
export type { CommandToolDefinition } from './define-command-tool.ts';
export { CodeToolError, defineCodeTool } from './define-code-tool.ts';
export type { CodeToolDefinition } from './define-code-tool.ts';
export { declareTools, openCodePool, runCode } from './run-code.ts';
export type {
  Allowance,
  CodeError,
  CodeLimits,
  CodeLog,
  CodeOptions,
  CodePool,
  CodePoolOptions,
  CodeResult,
  CodeUsage,
  Isolation,
} from './run-code.ts';
export { runCommand } from './run-command.ts';
export type { CommandResult, RunCommandOptions } from './run-command.ts';
export { secure } from './secure.ts';
export type { SecureOptions, SecureReport } from './secure.ts';
export { checkCommand } from './check-command.ts';
export type { CheckCommandOptions, CommandDecision } from './check-command.ts';
export { checkContent } from './check-content.ts';
export type { ContentDecision } from './check-content.ts';
export { checkEmail } from './check-email.ts';
export type { EmailDecision, EmailMessage } from './check-email.ts';
export { checkSql, prepareSql } from './check-sql.ts';
export type { CheckSqlOptions, SqlDecision, SqlStatement } from './check-sql.ts';
export { checkUrl } from './check-url.ts';
export type { UrlDecision } from './check-url.ts';
export { emailTools, governTransport } from './email-tools.ts';
export type { EmailToolsOptions, GovernedTransport, MailTransport } from './email-tools.ts';
export { fetchTool } from './fetch-tool.ts';
export type { FetchResult, FetchToolOptions } from './fetch-tool.ts';
export { fileTools } from './file-tools.ts';
export type { FileTools, FileToolsOptions } from './file-tools.ts';
export { governPool, harmlessFunctionsOf, sqlTools } from './sql-tools.ts';
export type { GovernPoolOptions, SqlToolsOptions } from './sql-tools.ts';
export { createMemoryLedger, openSqliteLedger } from './budget.ts';
export type { LedgerStore, RateLimit } from './budget.ts';
export { PRESIDIO_ALIASES } from './content/presidio.ts';
export { registerEnvironmentSecrets, registerSecret } from './content/scanner.ts';
export type { Detector } from './content/text.ts';
