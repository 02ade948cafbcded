/**
 * Reads a PostgreSQL text once, in linear time, before the parser sees it: what would make the parser slow or overflow
 * its stack is refused. Strings, quoted names, dollar quotes and comments are skipped as PostgreSQL's lexer skips them
 * (manual, 4.1 Lexical Structure), so that honest text is not refused for what it quotes. Nothing here allows anything:
 * a text that passes is still judged by the parser.
 */

export interface SqlLimits {
  /** Longest text, in UTF-16 units (default 262 144). Bounds the cost of one parse: about 0.3 s at worst. */
  readonly characters: number;
  /**
   * Most levels a parse tree may have by the tokens that can nest: 8 for a bracket or CASE, 1 for an operator in a row
   * of them (default 3000). Bounds the parser's stack, which overflows at about ten times as many.
   */
  readonly nesting: number;
  /** Longest run of operator characters (default 64: no PostgreSQL operator is longer). Its lexer is quadratic in them. */
  readonly operatorRun: number;
  /** Deepest nesting of comments (default 32). The lexer is quadratic in it. */
  readonly commentDepth: number;
}

export const SQL_LIMITS: SqlLimits = Object.freeze({
  characters: 262_144,
  nesting: 3000,
  operatorRun: 64,
  commentDepth: 32,
});

export interface Scan {
  /** Why the text is not given to the parser. */
  readonly refusal?: string;
  /** Where plain strings with a backslash before a quote begin: there, `standard_conforming_strings` changes the reading. */
  readonly ambiguous: readonly number[];
}

/** Words that join expressions or queries in a row, each one level deeper than the last. */
const CHAINING = new Set(
  (
    'not union intersect except join is isnull notnull collate at like ilike ' +
    'similar escape between in operator overlaps explain with'
  ).split(' '),
);
const BRACKET_WEIGHT = 8;

/** By the length and first letter of a word: whether it can be one of those, so that few words are looked up. */
const CAN_CHAIN = (() => {
  const can = new Uint8Array(10 * 32);
  for (const word of [...CHAINING, 'case', 'end']) can[word.length * 32 + (word.charCodeAt(0) & 31)] = 1;
  return can;
})();

const kindOf = { other: 0, space: 1, word: 2, digit: 3, operator: 4, quote: 5, open: 6, close: 7, comma: 8 } as const;

const CLASS = (() => {
  const classes = new Uint8Array(128);
  const put = (characters: string, value: number): void => {
    for (const character of characters) classes[character.charCodeAt(0)] = value;
  };
  put(' \t\n\r\f\v', kindOf.space);
  put('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_', kindOf.word);
  put('0123456789', kindOf.digit);
  put('+-*/<>=~!@#%^&|`?:', kindOf.operator);
  put('\'"$', kindOf.quote);
  put('([', kindOf.open);
  put(')]', kindOf.close);
  put(',;', kindOf.comma);
  return classes;
})();

const classAt = (text: string, at: number): number => {
  const code = text.charCodeAt(at);
  // Letters beyond ASCII are letters of names.
  return code < 128 ? (CLASS[code] ?? kindOf.other) : kindOf.word;
};

const isWordPart = (text: string, at: number): boolean => {
  const kind = classAt(text, at);
  return kind === kindOf.word || kind === kindOf.digit || text.charCodeAt(at) === 36;
};

/** After the closing quote of a string or quoted name that opens at `at`; beyond the end of the text when it stays open. */
const afterQuoted = (text: string, at: number, backslashEscapes: boolean): number => {
  const quote = text.charCodeAt(at);
  let next = at + 1;
  for (; next < text.length; next++) {
    const code = text.charCodeAt(next);
    if (backslashEscapes && code === 92) next++;
    else if (code === quote) {
      if (text.charCodeAt(next + 1) !== quote) return next + 1;
      next++;
    }
  }
  return text.length + 1;
};

const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/uy;

const afterDollar = (text: string, at: number): number => {
  DOLLAR_TAG.lastIndex = at;
  const tag = DOLLAR_TAG.exec(text)?.[0];
  if (tag === undefined) return at + 1;
  const end = text.indexOf(tag, at + tag.length);
  return end === -1 ? text.length : end + tag.length;
};

/** The end of the comment that opens at `at`, or `undefined` when it nests too deeply. */
const afterComment = (text: string, at: number, limit: number): number | undefined => {
  let depth = 1;
  let next = at + 2;
  while (next < text.length && depth > 0) {
    const code = text.charCodeAt(next);
    const following = text.charCodeAt(next + 1);
    if (code === 47 && following === 42) {
      if (++depth > limit) return undefined;
      next += 2;
    } else if (code === 42 && following === 47) {
      depth--;
      next += 2;
    } else next++;
  }
  return next;
};

/** `E'…'`: the letter stands directly before the quote and is a word of its own. */
const isEscapePrefix = (text: string, start: number, end: number): boolean =>
  end - start === 1 && (text.charCodeAt(start) | 32) === 101;

export const scanSql = (text: string, limits: SqlLimits = SQL_LIMITS): Scan => {
  const ambiguous: number[] = [];
  const refuse = (refusal: string): Scan => ({ refusal, ambiguous });
  if (text.length > limits.characters) {
    return refuse(`the text has ${text.length} characters; at most ${limits.characters} are read`);
  }
  if (text.includes('\0')) return refuse('the text contains a NUL character');
  const levels: number[] = [];
  let level = 0;
  let total = 0;
  const deepen = (weight: number): boolean => {
    level += weight;
    total += weight;
    return total > limits.nesting;
  };
  const tooDeep = `the text nests or chains more than ${limits.nesting} levels`;
  let at = 0;
  let escapes = false;
  while (at < text.length) {
    const kind = classAt(text, at);
    const wasEscapes = escapes;
    escapes = false;
    if (kind === kindOf.word) {
      const start = at;
      do at++;
      while (at < text.length && isWordPart(text, at));
      if (isEscapePrefix(text, start, at)) escapes = true;
      if (at - start < 10 && CAN_CHAIN[(at - start) * 32 + (text.charCodeAt(start) & 31)] === 1) {
        const word = text.slice(start, at).toLowerCase();
        if (word === 'case') {
          if (deepen(BRACKET_WEIGHT)) return refuse(tooDeep);
        } else if (word === 'end') {
          const weight = Math.min(level, BRACKET_WEIGHT);
          level -= weight;
          total -= weight;
        } else if (CHAINING.has(word) && deepen(1)) return refuse(tooDeep);
      }
    } else if (kind === kindOf.operator) {
      const code = text.charCodeAt(at);
      const following = text.charCodeAt(at + 1);
      if (code === 45 && following === 45) {
        at = nextLine(text, at);
      } else if (code === 47 && following === 42) {
        const end = afterComment(text, at, limits.commentDepth);
        if (end === undefined) return refuse(`comments nest more than ${limits.commentDepth} levels`);
        at = end;
      } else {
        const start = at;
        // Each character counts: `+-+-` may be many operators.
        while (at < text.length && classAt(text, at) === kindOf.operator && !opensComment(text, at)) at++;
        if (at - start > limits.operatorRun) {
          return refuse(`a run of more than ${limits.operatorRun} operator characters`);
        }
        if (deepen(text.charCodeAt(start) === 58 ? 1 : at - start)) return refuse(tooDeep);
      }
    } else if (kind === kindOf.quote) {
      const code = text.charCodeAt(at);
      if (code === 36) at = afterDollar(text, at);
      else {
        const start = at;
        at = afterQuoted(text, at, code === 39 && wasEscapes);
        if (code === 39 && !wasEscapes && hasEscapedQuote(text, start, at)) ambiguous.push(start);
      }
    } else if (kind === kindOf.open) {
      if (deepen(BRACKET_WEIGHT)) return refuse(tooDeep);
      levels.push(level);
      level = 0;
      at++;
    } else if (kind === kindOf.close) {
      total -= level;
      level = levels.pop() ?? 0;
      const weight = Math.min(level, BRACKET_WEIGHT);
      // `x[1][2]` and `f()()` nest on the left: one level stays.
      level -= weight - 1;
      total -= weight - 1;
      at++;
    } else if (kind === kindOf.comma) {
      total -= level;
      level = 0;
      at++;
    } else at++;
  }
  return { ambiguous };
};

const opensComment = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at);
  const following = text.charCodeAt(at + 1);
  return (code === 45 && following === 45) || (code === 47 && following === 42);
};

const nextLine = (text: string, at: number): number => {
  for (let next = at; next < text.length; next++) {
    const code = text.charCodeAt(next);
    if (code === 10 || code === 13) return next + 1;
  }
  return text.length;
};

const hasEscapedQuote = (text: string, start: number, end: number): boolean => {
  const found = text.indexOf("\\'", start + 1);
  return found !== -1 && found < end;
};

/** Strings that stand on lines of their own, one behind the other, are one string. */
const CONTINUATION = /(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:\s|--[^\n\r]*[\n\r])*(?=')/uy;

/**
 * The text as a server with `standard_conforming_strings = off` reads it: every plain string becomes an escape string.
 * `undefined` when a string then stays open, which such a server refuses.
 */
export const backslashReading = (text: string): string | undefined => {
  let result = '';
  let copied = 0;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 39) {
      const word = /(?:^|[^\w$\u0080-\uffff])([exbn]|u&)$/iu
        .exec(text.slice(Math.max(0, at - 3), at))?.[1]
        ?.toLowerCase();
      // Bits have no escapes; a Unicode string is refused by such a server.
      if (word === 'u&') return undefined;
      const escapes = word !== 'b' && word !== 'x';
      if (escapes && word !== 'e') {
        result += `${text.slice(copied, word === 'n' ? at - 1 : at)} E`;
        copied = at;
      }
      for (;;) {
        at = afterQuoted(text, at, escapes);
        if (at > text.length) return undefined;
        CONTINUATION.lastIndex = at;
        if (!CONTINUATION.test(text)) break;
        at = CONTINUATION.lastIndex;
      }
    } else if (code === 34) at = afterQuoted(text, at, false);
    else if (code === 36 && !(at > 0 && isWordPart(text, at - 1))) at = afterDollar(text, at);
    else if (opensComment(text, at)) {
      at = code === 45 ? nextLine(text, at) : (afterComment(text, at, SQL_LIMITS.commentDepth) ?? text.length);
    } else at++;
  }
  return result + text.slice(copied);
};
