/** System calls of the journal. */
export interface JournalCalls {
  /**
   * Appends one line in one write(2): `text` (a JSON object) with its SHA-256 put in as the last member, and a line feed.
   * The SHA-256 in hex when the whole line is in the kernel, with a `+` behind it when `text` was not all ASCII (then its
   * length in bytes is not its length); `-errno` otherwise, and then a part of the
   * line may be in the file.
   */
  readonly journalAppend: (fd: number, text: string) => string | number;
  /** SHA-256 of the UTF-8 of `text`, in hex. */
  readonly journalDigest: (text: string) => string;
}
