/** The words of a SQLite text, without what it quotes or comments: for what the authorizer is not told. */

/** Each statement's words and marks in lower case; strings, quoted names and comments left out. */
export const sqliteWords = (text: string): readonly (readonly string[])[] => {
  const statements: string[][] = [[]];
  const pattern =
    /'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\[[^\]]*(?:\]|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|;|\(|[^\s]/gu;
  for (const [token] of text.matchAll(pattern)) {
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
