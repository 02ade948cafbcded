/** A child of crash.test.ts: appends until it is killed, and says on stdout which call is recorded. */
import { writeSync } from 'node:fs';
import { openJournalSync } from '../../src/audit/journal.ts';
import { decided, ended } from './entries.ts';

const [dir = '', durability = 'write'] = process.argv.slice(2);
const journal = openJournalSync({ dir, durability: durability === 'fsync' ? 'fsync' : 'write' });
const agent = `writer-${process.pid}`;

for (let call = 0; ; call++) {
  const call_id = String(call);
  journal.append(decided({ agent, call_id, args: 'x'.repeat((call * 37) % 5000) }));
  await journal.settled();
  writeSync(1, `${call_id}\n`);
  journal.append(ended({ agent, call_id }));
}
