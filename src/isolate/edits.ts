/** Edits of a source text that keep every line where it is, and the way back from an edited position. */

/** Both from 1, columns in UTF-16 units, as V8 counts them. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export class Edits {
  readonly #text: string;
  readonly #inserts: { readonly at: number; readonly text: string }[] = [];
  readonly #blanks: { readonly from: number; readonly to: number }[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** Line ends in `text` would move lines: there must be none. At one offset, the earlier call comes later. */
  insert(at: number, text: string): void {
    this.#inserts.push({ at, text });
  }

  /** Everything but line ends becomes a blank. */
  blank(from: number, to: number): void {
    this.#blanks.push({ from, to });
  }

  apply(): string {
    let text = this.#text;
    for (const { from, to } of this.#blanks) {
      text = text.slice(0, from) + text.slice(from, to).replaceAll(/[^\n\r\u2028\u2029]/gu, ' ') + text.slice(to);
    }
    // From the end backwards, so that the offsets before each insert stay true.
    for (const { at, text: inserted } of this.#sorted().toReversed())
      text = text.slice(0, at) + inserted + text.slice(at);
    return text;
  }

  /** Where the author wrote what stands at `position` of the edited text. */
  original(position: Position): Position {
    let { column } = position;
    for (const { at, text } of this.#sorted()) {
      const start = this.#positionAt(at);
      if (start.line !== position.line) continue;
      if (column >= start.column + text.length) column -= text.length;
      else if (column > start.column) column = start.column;
    }
    return { line: position.line, column: Math.max(1, column) };
  }

  #sorted(): readonly { readonly at: number; readonly text: string }[] {
    return this.#inserts.toReversed().toSorted((a, b) => a.at - b.at);
  }

  #positionAt(offset: number): Position {
    const start = offset === 0 ? 0 : this.#text.lastIndexOf('\n', offset - 1) + 1;
    let line = 1;
    for (let at = this.#text.indexOf('\n'); at >= 0 && at < start; at = this.#text.indexOf('\n', at + 1)) line += 1;
    return { line, column: offset - start + 1 };
  }
}
