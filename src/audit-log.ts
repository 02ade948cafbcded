/** Door: the journal, for programs and commands that write, read or verify one by themselves. */
export { openJournal, openJournalSync } from './audit/journal.ts';
export type { Journal, JournalOptions } from './audit/journal.ts';
export { openMemoryJournal } from './audit/memory.ts';
export type { MemoryJournal, MemoryJournalOptions } from './audit/memory.ts';
export { readJournal } from './audit/read.ts';
export { verifyJournal } from './audit/verify.ts';
export type { JournalFault, VerifyOptions, VerifyReport } from './audit/verify.ts';
export type { AuditFilter } from './audit/filter.ts';
export { EXPORT_FORMATS, exportJournal } from './audit/export.ts';
export type { ExportFormat } from './audit/export.ts';
