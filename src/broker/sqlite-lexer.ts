/** The words of a SQLite text, without what it quotes or comments: for what the authorizer is not told. */

const TOKEN =
  /'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\[[^\]]*(?:\]|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|;|\(|[^\s]/gu;

/** Each statement's words and marks in lower case; strings, quoted names and comments left out. */
export const sqliteWords = (text: string): readonly (readonly string[])[] => {
  const statements: string[][] = [[]];
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === ';') statements.push([]);
    else if (/^['"`[]/u.test(token)) statements.at(-1)?.push('?');
    else if (!/^(?:--|\/\*)/u.test(token)) statements.at(-1)?.push(token.toLowerCase());
  }
  return statements.filter((words) => words.length > 0);
};

/** `REPLACE INTO`, `INSERT OR REPLACE`, `UPDATE OR REPLACE` delete rows, and the authorizer is not told. */
export const replacesRows = (words: readonly string[]): boolean =>
  words.some(
    (word, index) =>
      word === 'replace' &&
      (words[index - 1] === 'or' || words[index + 1] === 'into' || index === 0 || words[index + 1] === '?'),
  );

/** `INSERT OR ROLLBACK` undoes the transaction that the program is in, and all that was added in it. */
export const undoesTransaction = (words: readonly string[]): boolean =>
  words.some((word, index) => word === 'rollback' && words[index - 1] === 'or');

/** The name that a token stands for, whichever way it is quoted. */
const nameOf = (token: string): string =>
  (/^['"`[]/u.test(token)
    ? token.slice(1, -1).replaceAll(/''|""|``/gu, (twice) => twice.charAt(0))
    : token
  ).toLowerCase();

/**
 * True for an INSERT into the column that has the name of its table: to a full-text table that is a command, and
 * `delete-all` is one (SQLite, FTS5 extension, 6: Special INSERT Commands).
 */
export const commandsTable = (text: string): boolean => {
  const tokens = Array.from(text.matchAll(TOKEN), ([token]) => token).filter((token) => !/^(?:--|\/\*)/u.test(token));
  return tokens.some((token, into) => {
    if (token.toLowerCase() !== 'into') return false;
    const open = tokens.indexOf('(', into);
    const close = tokens.indexOf(')', open);
    if (open === -1 || open - into > 6) return false;
    // `main.ft AS x`: each of the names may be the table's.
    const names = new Set(tokens.slice(into + 1, open).map(nameOf));
    return tokens
      .slice(open + 1, close === -1 ? undefined : close)
      .some((column) => column !== ',' && names.has(nameOf(column)));
  });
};
