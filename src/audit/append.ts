/** Putting one line into a file: by one native call where the addon is there, by `node:fs` otherwise. */
import { hash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { loadAddon } from '../native/addon.ts';
import { HASH_PREFIX } from './format.ts';

export interface LineWriter {
  /** The line's SHA-256 when all of it is in the kernel, else `-errno`, or the count of bytes of a short write. */
  append(fd: number, text: string): string | number;
  digest(text: string): string;
}

/** The slower way, also where there is no C compiler: the same bytes. */
export const portableWriter: LineWriter = {
  append(fd, text) {
    const digest = hash('sha256', text, 'hex');
    const line = Buffer.from(`${text.slice(0, -1)}${HASH_PREFIX}${digest}"}\n`);
    try {
      const written = writeSync(fd, line);
      return written === line.length ? digest : written;
    } catch (error) {
      const { errno } = error as NodeJS.ErrnoException;
      // Without an errno this was no system call: nothing is known about what was written, which counts as nothing.
      return errno ?? 0;
    }
  },
  digest: (text) => hash('sha256', text, 'hex'),
};

let chosen: LineWriter | undefined;

export const lineWriter = (): LineWriter => (chosen ??= choose());

const choose = (): LineWriter => {
  const loaded = loadAddon();
  if (!('addon' in loaded)) return portableWriter;
  const { journalAppend, journalDigest } = loaded.addon;
  if (journalAppend === undefined || journalDigest === undefined) return portableWriter;
  return { append: journalAppend, digest: journalDigest };
};
