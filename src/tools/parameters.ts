/**
 * The parameters of a function, read from its source: a declaration that names an argument is only as good as the place
 * that the name stands for. What cannot be read with certainty is reported as incomplete, never guessed.
 */
import type { FunctionParameters, Parameter } from '../model/call.ts';

/** Longest beginning of a source that is looked at. */
const LONGEST = 20_000;

const UNREADABLE: FunctionParameters = Object.freeze({ list: [], complete: false });
const WORD = /[\p{ID_Start}$_][\p{ID_Continue}$]*/gu;
const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** Where a text literal that begins at `start` ends; -1 for one that holds code (a template) or never ends. */
const afterText = (source: string, start: number): number => {
  const quote = source[start];
  for (let at = start + 1; at < source.length; at += 1) {
    if (source[at] === '\\') at += 1;
    else if (source[at] === quote) return at + 1;
    else if (quote === '`' && source.startsWith('${', at)) return -1;
  }
  return -1;
};

interface Piece {
  /** Without comments; text literals are emptied. */
  readonly text: string;
  /** Behind what ended it. */
  readonly next: number;
  readonly ended: string;
}

/** Reads from `start` to the first of `ends` outside brackets; `undefined` where that cannot be told with certainty. */
const pieceFrom = (source: string, start: number, ends: readonly string[]): Piece | undefined => {
  const open: string[] = [];
  let text = '';
  let at = start;
  while (at < source.length) {
    const here = source[at] as string;
    const ended = open.length === 0 ? ends.find((end) => source.startsWith(end, at)) : undefined;
    if (ended !== undefined) return { text: text.trim(), next: at + ended.length, ended };
    if (source.startsWith('//', at) || source.startsWith('/*', at)) {
      const close = source[at + 1] === '*' ? '*/' : '\n';
      const end = source.indexOf(close, at + 2);
      if (end === -1) return undefined;
      at = end + close.length;
      text += ' ';
      continue;
    }
    if (here === '"' || here === "'" || here === '`') {
      at = afterText(source, at);
      if (at === -1) return undefined;
      text += '""';
      continue;
    }
    // A division or a pattern: which of the two, only a parser knows.
    if (here === '/') return undefined;
    const closing = CLOSING[here];
    if (closing !== undefined) open.push(closing);
    else if (here === open.at(-1)) open.pop();
    text += here;
    at += 1;
  }
  return undefined;
};

const parameterOf = (text: string): Parameter | undefined => {
  const rest = text.startsWith('...');
  const bare = rest ? text.slice(3).trim() : text;
  if (/^[{[]/u.test(bare)) return { name: '', rest, inside: bare.match(WORD) ?? [] };
  const name = /^[\p{ID_Start}$_][\p{ID_Continue}$]*(?=\s*(?:=|$))/u.exec(bare)?.[0];
  return name === undefined ? undefined : { name, rest, inside: [] };
};

/** Reads what stands between the parentheses. */
const listFrom = (source: string, start: number): FunctionParameters => {
  const list: Parameter[] = [];
  let next = start;
  for (;;) {
    const piece = pieceFrom(source, next, [',', ')']);
    if (piece === undefined) return { list, complete: false };
    const parameter = piece.text === '' ? undefined : parameterOf(piece.text);
    if (parameter !== undefined) list.push(parameter);
    else if (piece.text !== '') return { list, complete: false };
    if (piece.ended === ')') return { list, complete: true };
    ({ next } = piece);
  }
};

/** Not from `body.toString`, which says what its author likes. */
export const parametersOf = (body: Function): FunctionParameters => {
  const source = Function.prototype.toString.call(body).slice(0, LONGEST);
  if (/\{\s*\[native code\]\s*\}$/u.test(source)) return UNREADABLE;
  // A computed name of a method stands in brackets, so that its parentheses end nothing.
  const head = pieceFrom(source, 0, ['=>', '(']);
  if (head === undefined) return UNREADABLE;
  if (head.ended === '(') return listFrom(source, head.next);
  const only = parameterOf(head.text.replace(/^async\s+/u, ''));
  return only === undefined ? UNREADABLE : { list: [only], complete: true };
};
