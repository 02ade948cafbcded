/** A misspelled option must not be a limit that somebody believes in. */
import { expect, test } from 'vitest';
import { govern, runCode, runCommand, tappassSession } from '../src/index.ts';
import { openJournal, openMemoryJournal } from '../src/audit-log.ts';

const anything = (options: object): never => options as never;

test('unknown options are errors of the program, with the known ones named', async () => {
  await expect(runCommand(['true'], anything({ teir: 'observer' }))).rejects.toThrow(/`runCommand`.*tier.*got `teir`/u);
  await expect(runCommand(['true'], anything({ memoryMb: 100 }))).rejects.toThrow(/limits.*got `memoryMb`/u);
  await expect(runCode('1', anything({ timeout: 1 }))).rejects.toThrow(/`runCode`.*timeoutMs.*got `timeout`/u);
  expect(() => tappassSession(anything({ flag: 'files=block' }), () => 1)).toThrow(/`tappassSession`.*got `flag`/u);
  expect(tappassSession({ flags: 'files=block' }, () => 1)).toBe(1);
  expect(await runCommand(['true'], { tier: 'observer' })).toMatchObject({ status: 'exited', exitCode: 0 });
});

test('a journal that cannot be is an error of the program, not of its first call', async () => {
  await expect(openJournal(anything({ dir: 'audit', durable: 'fsync' }))).rejects.toThrow(/durability.*got `durable`/u);
  expect(() => openMemoryJournal(anything({ size: 1 }))).toThrow(/capacity.*got `size`/u);
  expect(() => govern({}, { audit: anything({ directory: 'audit' }) })).toThrow(/dir, durability.*got `directory`/u);
  expect(() => govern({}, { audit: 'audit' as never })).toThrow(/`\{ dir \}`\), got "audit"/u);
  expect(() => govern({}, { audit: true as never })).toThrow(/got true/u);
  expect(() => govern({}, { audit: { dir: '/nowhere', durability: 'fsync' } })).not.toThrow();
});

test('no tool takes the place of coverage()', () => {
  expect(() => govern({ coverage: () => 1 }, { audit: false })).toThrow(/no tool under the key `coverage`/u);
  expect(
    govern(
      [
        function coverage() {
          return 1;
        },
      ],
      { audit: false },
    ).coverage(),
  ).toMatchObject({ declared: [] });
});
