/** Door-internal: the journals that doors are given, or open by themselves, one for each directory of this process. */
import { lstatSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { openJournalSync } from './audit/journal.ts';
import type { Journal, JournalOptions } from './audit/journal.ts';
import { TapPassError } from './model/errors.ts';
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

/**
 * The journal of a workspace that names no other place. A command that ran there before could have put a link in the way:
 * then the record would be written wherever that leads, with our rights.
 */
export const ownJournal = (workspace: string): Journal => {
  const folder = join(workspace, OWN_FOLDER);
  const dir = join(folder, 'audit');
  for (const place of [folder, dir]) {
    const found = lstatSync(place, { throwIfNoEntry: false });
    if (found === undefined || found.isDirectory()) continue;
    throw new TapPassError(
      `Expected ${place} to be a directory of this runtime's own, got ${found.isSymbolicLink() ? 'a link' : 'something else'}. ` +
        'Remove it, or say where the journal is to be with `audit: { dir }`.',
      { code: 'TAPPASS_JOURNAL' },
    );
  }
  return sharedJournal({ dir });
};

const closeAll = (): void => {
  for (const { journal } of open) journal[Symbol.dispose]();
};
