/** Putting one line into a file: by one native call where the addon is there, by `node:fs` otherwise. */
import { hash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { constants as systemConstants } from 'node:os';
import { loadAddon } from '../native/addon.ts';
import { HASH_PREFIX, TAIL_LENGTH } from './format.ts';

export interface LineWriter {
  /**
   * The line's SHA-256 when all of it is in the kernel, else `-errno`: then a part of it may be in the file. Where the text was not all ASCII, a `+` stands behind the SHA-256: counting bytes costs as much as hashing them, and is
   * nearly always needless.
   */
  readonly append: (fd: number, text: string) => string | number;
  readonly digest: (text: string) => string;
}

/** The slower way, also where there is no C compiler: the same bytes. */
export const portableWriter: LineWriter = {
  append: (fd, text) => {
    const digest = hash('sha256', text, 'hex');
    const line = Buffer.from(`${text.slice(0, -1)}${HASH_PREFIX}${digest}"}\n`);
    try {
      for (let written = 0; written < line.length;) {
        const count = writeSync(fd, line, written);
        if (count === 0) return -systemConstants.errno.EIO;
        written += count;
      }
      return line.length === text.length + TAIL_LENGTH ? digest : `${digest}+`;
    } catch (error) {
      return (error as NodeJS.ErrnoException).errno ?? -systemConstants.errno.EIO;
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
