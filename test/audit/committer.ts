/** A child of durability.test.ts: a hundred calls in one turn of the event loop. */
import { openJournalSync } from '../../src/audit/journal.ts';
import { decided } from './entries.ts';

const journal = openJournalSync({ dir: process.argv[2] ?? '', durability: 'fsync' });
await Promise.all(
  Array.from({ length: 100 }, async () => {
    journal.append(decided());
    await journal.settled();
  }),
);
await journal.close();
