/** A directory of its own for each test, gone afterwards. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';

export interface TestDirectory {
  readonly path: string;
  names(): string[];
  file(index?: number): string;
  lines(index?: number): string[];
  write(lines: readonly string[], index?: number): void;
}

export const testDirectory = (): TestDirectory => {
  let path = '';
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'tappass-journal-'));
  });
  afterEach(() => {
    rmSync(path, { recursive: true, force: true });
  });
  const names = (): string[] => readdirSync(path).sort();
  const file = (index = 0): string => join(path, names()[index] ?? 'missing');
  return {
    get path() {
      return path;
    },
    names,
    file,
    lines: (index) => readFileSync(file(index), 'utf8').split('\n').slice(0, -1),
    write: (lines, index) => {
      writeFileSync(file(index), lines.map((line) => `${line}\n`).join(''));
    },
  };
};
