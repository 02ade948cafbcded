/** What a value looks like, where its name says nothing. */

/** An absolute path, a home path, an explicitly relative one, or a `file:` URL. */
export const looksLikePath = (text: string): boolean =>
  text.length <= 4096 &&
  /^(?:\/(?!\/)[^\s/]|\/$|~(?:[\w.-]*)(?:\/|$)|\.{1,2}(?:\/|$)|[A-Za-z]:[\\/]|\\\\|file:)/u.test(text) &&
  !text.includes('\n');

/** A text that names a file when a parameter for paths holds it: anything that is not plainly something else. */
export const isUrl = (text: string): boolean => /^[A-Za-z][A-Za-z0-9+.-]*:\/\//u.test(text) && !/^file:/iu.test(text);

export const looksLikeUrl = (text: string): boolean =>
  text.length <= 16_384 && isUrl(text.trim()) && !/\s/u.test(text.trim());

/** Statements by their first words, narrow enough that a sentence which begins with "select" or "explain" is not one. */
const STATEMENTS = [
  String.raw`select\b[\s\S]*\bfrom\b`,
  String.raw`select\s+[\w.]+\(`,
  String.raw`insert\s+into\b`,
  String.raw`update\s+[\w."[\]\x60]+\s+(?:as\s+\w+\s+)?set\b`,
  String.raw`delete\s+from\b`,
  String.raw`drop\s+(?:table|database|schema|view|index|role|user|function|trigger|materialized|sequence|type|extension)\b`,
  String.raw`truncate\s+(?:table\s+)?[\w."]+\s*(?:[;,]|$|cascade|restart)`,
  String.raw`alter\s+(?:table|database|schema|role|user|system|view|default)\b`,
  String.raw`create\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+|unlogged\s+|unique\s+)?(?:table|database|schema|view|index|role|user|function|extension|trigger)\b`,
  String.raw`with\s+(?:recursive\s+)?\w+(?:\s*\([^)]*\))?\s+as\s+(?:not\s+materialized\s+|materialized\s+)?\(`,
  String.raw`explain\s+(?:analyze\s+|verbose\s+|\([^)]*\)\s*)*(?:select|insert|update|delete|with)\b`,
  String.raw`merge\s+into\b`,
  String.raw`(?:grant|revoke)\s+[\w,\s]+?\s+(?:on|to|from)\s`,
  String.raw`copy\s+(?:[\w."]+(?:\s*\([^)]*\))?\s+(?:from|to)\b|\()`,
  String.raw`vacuum(?:\s+\w+)*\s*;?\s*$`,
  String.raw`call\s+[\w.]+\(`,
  String.raw`do\s+\$`,
  String.raw`pragma\s+\w+\s*[=(;]`,
  String.raw`attach\s+database\b`,
];
const SQL = new RegExp(String.raw`^[\s(;]*(?:(?:--[^\n]*\n|\/\*[\s\S]*?\*\/)\s*)*(?:${STATEMENTS.join('|')})`, 'iu');

export const looksLikeSql = (text: string): boolean => text.length <= 1_000_000 && SQL.test(text);

/** The files that a patch text names: unified diffs, git's renames, and the `*** Update File:` form. */
export const filesOfPatch = (text: string): readonly string[] => {
  const files = new Set<string>();
  for (const line of text.split('\n')) {
    const match =
      /^\*\*\* (?:Update|Add|Delete|Move to):? ?(?:File: ?)?(.+)$/u.exec(line) ??
      /^(?:\+\+\+|---) (?:[ab]\/)?([^\t\n]+)/u.exec(line) ??
      /^(?:rename|copy) (?:from|to) (.+)$/u.exec(line);
    const file = match?.[1]?.trim();
    if (file !== undefined && file !== '/dev/null' && file !== '') files.add(file);
  }
  return [...files];
};

export const looksLikePatch = (text: string): boolean =>
  /^\*\*\* Begin Patch|^\*\*\* (?:Update|Add|Delete) File: |^--- [^\n]+\n\+\+\+ |^diff --git /mu.test(text);

/** More than a code of letters and digits: a call, an assignment, a block, several lines. */
export const looksLikeCode = (text: string): boolean => /[(){};=\n]|^\s*(?:import|from|print|return)\b/u.test(text);

export const isGenericPath = (text: string, name: string): boolean =>
  name !== 'query' && name !== 'q' && text.length < 1024 && !/[\n<>|*"]/u.test(text) && !/\s\S+\s/u.test(text);

/** Stands in for the statement that the tool will make by itself. */
export const statementFor = (words: readonly string[], args: unknown): string | undefined => {
  const has = (verbs: string): boolean => words.some((word) => ` ${verbs} `.includes(` ${word} `));
  if (has('drop truncate alter')) return 'DROP TABLE t';
  if (has('delete remove purge clear erase')) return 'DELETE FROM t';
  if (has('create') && has('table database schema index view collection')) return 'CREATE TABLE t (a int)';
  if (has('update upsert replace modify set rename')) return 'UPDATE t SET a = a WHERE false';
  if (has('insert add append create save put write store')) return 'INSERT INTO t DEFAULT VALUES';
  const targets =
    typeof args === 'object' && args !== null && Object.keys(args).some((key) => /^(?:table|collection)/iu.test(key));
  return has('list describe show get select find count read query search aggregate explain') || targets
    ? 'SELECT 1'
    : undefined;
};
