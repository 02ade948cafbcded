/** Edits of a source text that keep every line where it is, and the way back from an edited position. */

/** Both from 1, columns in UTF-16 units, as V8 counts them. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Where something was inserted, in the author's terms, and how many columns it takes. Plain data: it crosses threads. */
export interface Move extends Position {
  readonly length: number;
}

interface Edit {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** Where the author wrote what stands at `position` of the edited text. `moves` as `Edits` gave them, in their order. */
export const originalPosition = (moves: readonly Move[], position: Position): Position => {
  let { column } = position;
  for (const move of moves) {
    if (move.line !== position.line) continue;
    if (column >= move.column + move.length) column -= move.length;
    else if (column > move.column) column = move.column;
  }
  return { line: position.line, column: Math.max(1, column) };
};

export class Edits {
  readonly #text: string;
  readonly #edits: Edit[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** Line ends in `text` would move lines: there must be none. At one offset, the earlier call comes later. */
  insert(at: number, text: string): void {
    this.#edits.push({ from: at, to: at, text });
  }

  /** Everything but line ends becomes a blank. Ranges must not overlap each other or hold an insert. */
  blank(from: number, to: number): void {
    const text = this.#text
      .slice(from, to)
      .replaceAll(/[^\n\r\u2028\u2029]/gu, (character) => ' '.repeat(character.length));
    this.#edits.push({ from, to, text });
  }

  apply(): string {
    const parts: string[] = [];
    let at = 0;
    for (const { from, to, text } of this.#sorted()) {
      parts.push(this.#text.slice(at, from), text);
      at = to;
    }
    parts.push(this.#text.slice(at));
    return parts.join('');
  }

  moves(): readonly Move[] {
    const moves: Move[] = [];
    let line = 1;
    let start = 0;
    for (const { from, to, text } of this.#sorted()) {
      if (from !== to) continue;
      for (
        let next = this.#text.indexOf('\n', start);
        next >= 0 && next < from;
        next = this.#text.indexOf('\n', start)
      ) {
        line += 1;
        start = next + 1;
      }
      moves.push({ line, column: from - start + 1, length: text.length });
    }
    return moves;
  }

  #sorted(): readonly Edit[] {
    return this.#edits.toReversed().toSorted((a, b) => a.from - b.from || a.to - b.to);
  }
}
