/** Time as the journal writes it: RFC 3339, UTC, milliseconds; never backwards within one journal, so that files stay sorted. */
export class Clock {
  #milliseconds = 0;
  #text = '';

  /** The clock's own milliseconds, which may run backwards. Formatting costs more than a hash, so that a text serves for its whole millisecond. */
  tick(): number {
    const now = Date.now();
    if (now > this.#milliseconds) {
      this.#milliseconds = now;
      this.#text = new Date(now).toISOString();
    }
    return now;
  }

  /** Of the last tick. */
  get text(): string {
    return this.#text;
  }
}
