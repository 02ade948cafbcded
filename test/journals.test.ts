/** The journals that doors open by themselves: shared by those who ask for the same, and only by them. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { govern } from '../src/govern.ts';
import { sharedJournal } from '../src/journals.ts';

const directory = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'journals-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return dir;
};

test('the same settings are one journal and one file', () => {
  const dir = directory();
  const { privateKey } = generateKeyPairSync('ed25519');
  expect(sharedJournal({ dir })).toBe(
    sharedJournal({ dir: `${dir}/../${dir.slice(dir.lastIndexOf('/'))}`, lazy: true }),
  );
  expect(sharedJournal({ dir, signingKey: privateKey })).toBe(sharedJournal({ dir, signingKey: privateKey }));
  expect(readdirSync(dir)).toHaveLength(2);
});

test('whoever asks for fsync or a signature does not get the journal of one who did not', () => {
  const dir = directory();
  const keys = [1, 2].map(() => generateKeyPairSync('ed25519').privateKey);
  const journals = [
    {},
    { durability: 'fsync' as const },
    { checkpointEvery: 5 },
    ...keys.map((signingKey) => ({ signingKey })),
  ];
  const opened = journals.map((settings) => sharedJournal({ dir, ...settings }));
  expect(new Set(opened).size).toBe(opened.length);
  expect(opened.map(({ durability }) => durability)).toEqual(['write', 'fsync', 'write', 'write', 'write']);
  const [plain, , , signed] = opened.map((journal) => journal.head());
  expect(signed).not.toEqual(plain);
  expect(signed?.split(' ').length).toBeGreaterThan(plain?.split(' ').length ?? 0);
});

test.each([
  [
    'a link in the place of the folder',
    (workspace: string, elsewhere: string) => symlinkSync(elsewhere, join(workspace, '.tappass')),
  ],
  [
    'a link inside it',
    (workspace: string, elsewhere: string) => {
      mkdirSync(join(workspace, '.tappass'));
      symlinkSync(elsewhere, join(workspace, '.tappass', 'audit'));
    },
  ],
  ['a file', (workspace: string) => writeFileSync(join(workspace, '.tappass'), '')],
])('%s: no call runs, and nothing is written where it leads', (_, plant) => {
  const [workspace, elsewhere] = [directory(), directory()];
  let ran = 0;
  const tools = { act: () => (ran += 1) };
  plant(workspace, elsewhere);
  const { act } = govern(tools, { workspace });
  expect(() => act()).toThrow(/to be a directory of this runtime's own/u);
  expect({ ran, written: readdirSync(elsewhere) }).toEqual({ ran: 0, written: [] });
  rmSync(join(workspace, '.tappass'), { recursive: true });
  expect(govern(tools, { workspace }).act()).toBe(1);
  expect(readdirSync(join(workspace, '.tappass', 'audit'))).toHaveLength(1);
});
