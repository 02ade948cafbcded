/**
 * Reads MySQL and MariaDB text into words, and refuses what servers, versions and modes read differently: executable
 * comments, `#` and `--x` comments, backslashes before quotes. What is left means the same to all of them.
 */

export interface MysqlScan {
  readonly refusal?: string;
  /** Each statement's words and marks in lower case; a string or quoted name begins with `?`. */
  readonly statements: readonly (readonly string[])[];
}

const TOKEN =
  /\/\*[\s\S]*?(?:\*\/|$)|--[^\n]*|#[^\n]*|'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|@{0,2}[\w$\u0080-\uffff]+|:=|[^\s]/gu;

const refusalOf = (token: string): string | undefined => {
  if (token.startsWith('/*!') || /^\/\*M!/iu.test(token)) return 'a comment that some servers execute';
  if (token.startsWith('/*+')) return 'a comment with optimizer hints, which can set variables';
  if (token.startsWith('/*') && token.slice(2).includes('/*')) return 'a comment inside a comment';
  if (token.startsWith('#')) return 'a comment that begins with #';
  if (/^--[^\s]/u.test(token)) return '-- without a space behind it, which is not always a comment';
  if (/^['"]/u.test(token) && token.includes('\\'))
    return 'a backslash in a string: its meaning depends on the mode of the server';
  if (/^(?:'|"|`)/u.test(token) && (token.length === 1 || !token.endsWith(token.charAt(0))))
    return 'a string that stays open';
  if (token.startsWith('/*') && !token.endsWith('*/')) return 'a comment that stays open';
  return undefined;
};

export const scanMysql = (text: string, maxCharacters = 100_000): MysqlScan => {
  const refuse = (refusal: string): MysqlScan => ({ refusal, statements: [] });
  if (text.length > maxCharacters) return refuse(`more than ${maxCharacters} characters`);
  if (text.includes('\0')) return refuse('a NUL character');
  const statements: string[][] = [[]];
  let depth = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    const refusal = refusalOf(token);
    if (refusal !== undefined) return refuse(refusal);
    if (token.startsWith('/*') || token.startsWith('--')) continue;
    if (token === '(') depth++;
    if (token === ')') depth--;
    if (depth > 100) return refuse('more than 100 levels of brackets');
    if (token === ';') statements.push([]);
    else statements.at(-1)?.push(/^['"`]/u.test(token) ? `?${token.slice(1, -1).toLowerCase()}` : token.toLowerCase());
  }
  return { statements: statements.filter((words) => words.length > 0) };
};
