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
  String.raw`select [\w.]+\(`,
  String.raw`insert into\b`,
  String.raw`update [\w."[\]\x60]+ (?:as \w+ )?set\b`,
  String.raw`delete from\b`,
  String.raw`drop (?:table|database|schema|view|index|role|user|function|trigger|materialized|sequence|type|extension)\b`,
  String.raw`truncate (?:table )?[\w."]+ ?(?:[;,]|$|cascade|restart)`,
  String.raw`alter (?:table|database|schema|role|user|system|view|default)\b`,
  String.raw`create (?:or replace )?(?:temp(?:orary)? |unlogged |unique )?(?:table|database|schema|view|index|role|user|function|extension|trigger)\b`,
  String.raw`with (?:recursive )?\w+ ?(?:\([^)]*\) ?)?as (?:not materialized |materialized )?\(`,
  String.raw`explain (?:analyze |verbose |\([^)]*\) ?)*(?:select|insert|update|delete|with)\b`,
  String.raw`merge into\b`,
  String.raw`(?:grant|revoke) (?:(?:select|insert|update|delete|all|usage|execute|create|connect|references)\b|\w+ (?:to|from) \w+ ?;? ?$)`,
  String.raw`copy (?:[\w."]+ ?(?:\([^)]*\) ?)?(?:from|to)\b|\()`,
  String.raw`vacuum(?: \w+)* ?;? ?$`,
  String.raw`call [\w.]+\(`,
  String.raw`do \$`,
  String.raw`pragma \w+ ?[=(;]`,
  String.raw`attach database\b`,
  String.raw`(?:set|reset) (?:session |local )?(?:role|authorization)\b`,
];
const STATEMENT = new RegExp(`^(?:${STATEMENTS.join('|')})`, 'iu');

const SQL_TOKEN = /(\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|([\w."$[\]`]+|[\s\S])/uy;

// The first words, without comments and with single spaces, so that `DROP/**/TABLE` is `DROP TABLE`. Bounds what the pattern reads.
const headOf = (text: string): string => {
  let head = '';
  SQL_TOKEN.lastIndex = 0;
  for (let tokens = 0; tokens < 40 && SQL_TOKEN.lastIndex < text.length;) {
    const match = SQL_TOKEN.exec(text);
    if (match === null) break;
    if (match[1] !== undefined) {
      if (head !== '' && !head.endsWith(' ')) head += ' ';
      continue;
    }
    tokens += 1;
    const token = match[2] ?? '';
    if (head !== '' || (token !== '(' && token !== ';')) head += token.slice(0, 200);
  }
  return head;
};

export const looksLikeSql = (text: string): boolean => {
  if (!/[a-z]/iu.test(text)) return false;
  const head = headOf(text);
  return STATEMENT.test(head) || (/^select\b/iu.test(head) && /\bfrom\b/iu.test(text));
};

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

/** Every URL in a text, found from its `://`: a pattern that searched for the scheme would take quadratic time. */
export const urlsIn = (text: string): readonly string[] => {
  const urls: string[] = [];
  let from = 0;
  for (let at = text.indexOf('://'); at !== -1; at = text.indexOf('://', from)) {
    const scheme = /[a-z][a-z0-9+.-]*$/iu.exec(text.slice(Math.max(from, at - 20), at))?.[0];
    const rest = /^:\/\/[^\s"'<>,\\]+/u.exec(text.slice(at, at + 16_384))?.[0];
    if (scheme !== undefined && rest !== undefined) urls.push(scheme + rest);
    from = at + (rest?.length ?? 3);
  }
  return urls;
};
