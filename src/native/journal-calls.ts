/** System calls of the journal. */
export interface JournalCalls {
  /**
   * Appends one line in one write(2): `text` (a JSON object) with its SHA-256 put in as the last member, and a line feed.
   * The SHA-256 in hex when the whole line is in the kernel; a number otherwise: `-errno`, or how many bytes a short
   * write got in.
   */
  journalAppend(fd: number, text: string): string | number;
  /** SHA-256 of the UTF-8 of `text`, in hex. */
  journalDigest(text: string): string;
}
