/** Door-internal: the journals that doors are given, or open by themselves, one for each directory of this process. */
import { resolve } from 'node:path';
import { openJournalSync } from './audit/journal.ts';
import type { Journal, JournalOptions } from './audit/journal.ts';
import type { EventSink } from './model/event.ts';

export type JournalSettings = JournalOptions;

export const isSink = (audit: object): audit is EventSink =>
  typeof (audit as { append?: unknown }).append === 'function';

/** Throws when the journal cannot be opened: no record, no act. */
export const sinkOf = (audit: EventSink | JournalSettings): EventSink => (isSink(audit) ? audit : sharedJournal(audit));

const open = new Map<string, Journal>();

/** Opens at the first call, so that a program that never calls a tool leaves no file behind. Throws when it cannot. */
export const sharedJournal = (settings: JournalSettings): Journal => {
  const dir = resolve(settings.dir);
  const known = open.get(dir);
  if (known !== undefined) return known;
  const journal = openJournalSync({ ...settings, dir });
  if (open.size === 0) process.once('exit', closeAll);
  open.set(dir, journal);
  return journal;
};

const closeAll = (): void => {
  for (const journal of open.values()) journal[Symbol.dispose]();
};
