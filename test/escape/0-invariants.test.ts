/**
 * What holds inside a sandbox, numbered. An escape breaks one of these; its repair is a test for the trick, in the file of
 * its way, and here the statement that makes the trick a special case.
 *
 *  1. A path that no rule grants cannot be read, listed, written, made, moved, linked or removed, by whatever name, link,
 *     handle or descriptor of /proc it is reached.                                             files, processes
 *  2. An observer changes nothing on disk: no bytes, no names, no modes, owners, times or attributes.   metadata
 *  3. Only listed programs start; an observer starts none and has no second process.              programs
 *  4. No socket exists that the profile does not name by domain, type and protocol; one that does reaches listed TCP
 *     ports only.                                                                              network
 *  5. No process outside is reached: not its memory, descriptors, environment, limits or signals.        processes
 *  6. No Unix socket outside is reached, by path, abstract name, or a pair that sends elsewhere.           unix-sockets
 *  7. No call does its work past the filter: not by io_uring, another ABI, or high bits in an argument.   io-uring, foreign-abi
 *  8. Nothing widens what a process has: no namespace, mount, root, privilege or key.          namespaces, kernel
 *  9. Nothing is shared with processes outside by name: no System V, POSIX or queue IPC (observer, worker).  ipc
 * 10. The operator's terminal is not typed into, redirected or opened.                           terminal
 * 11. A crash leaves no core behind that holds what was in memory.                              core-dumps
 *
 * Considered and ruled out: existence probing (stat, access and readlink are not Landlock's; documented), reading extended
 * attributes (the same), watching folders by inotify in worker and standard (file watching is honest work; documented),
 * locks on readable files (flock keeps nobody from reading or writing), the loader starting an ELF file that may be read
 * (it starts with the same rights; unlisted programs are unreadable in worker and observer), scheduling of processes of the
 * same user (a nuisance, not a way out; gone in a pid namespace).
 */
import { expect, test } from 'vitest';
import { ATTACKS } from '../../src/kernel/attack-list.ts';
import { WAYS } from '../../src/kernel/attacks.ts';

const WAYS_OF_INVARIANTS = [
  'files',
  'metadata',
  'programs',
  'network',
  'processes',
  'unix-sockets',
  'io-uring',
  'foreign-abi',
  'namespaces',
  'kernel',
  'ipc',
  'terminal',
];

test('every way out belongs to an invariant, and has attacks', () => {
  expect([...WAYS].sort()).toEqual([...WAYS_OF_INVARIANTS].sort());
  for (const way of WAYS) expect(ATTACKS.some((attack) => attack.way === way)).toBe(true);
});
