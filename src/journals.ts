/** Door-internal: the journals that doors are given, or open by themselves, one for each directory of this process. */
import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { openJournalSync } from './audit/journal.ts';
import type { Journal, JournalOptions } from './audit/journal.ts';
import type { EventSink } from './model/event.ts';

/** In a workspace: what belongs to this runtime, the journal above all. */
export const OWN_FOLDER = '.tappass';

export type JournalSettings = JournalOptions;

export const isSink = (audit: object): audit is EventSink =>
  typeof (audit as { append?: unknown }).append === 'function';

/** Throws when the journal cannot be opened: no record, no act. */
export const sinkOf = (audit: EventSink | JournalSettings): EventSink => (isSink(audit) ? audit : sharedJournal(audit));

interface Shared {
  readonly settings: JournalSettings;
  readonly journal: Journal;
}

const open: Shared[] = [];

/**
 * Opens at the first call, so that a program that never calls a tool leaves no file behind. Throws when it cannot.
 * Shared by those who ask for the same: whoever asks for `fsync` or a signature does not get a journal without.
 */
export const sharedJournal = (settings: JournalSettings): Journal => {
  const { dir, durability = 'write', signingKey, checkpointEvery = 1024 } = settings;
  const wanted = { dir: resolve(dir), durability, checkpointEvery, ...(signingKey !== undefined && { signingKey }) };
  const known = open.find((one) => isDeepStrictEqual(one.settings, wanted));
  if (known !== undefined) return known.journal;
  const journal = openJournalSync(wanted);
  if (open.length === 0) process.once('exit', closeAll);
  open.push({ settings: wanted, journal });
  return journal;
};

const closeAll = (): void => {
  for (const { journal } of open) journal[Symbol.dispose]();
};
