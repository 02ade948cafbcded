/**
 * Many words found in one pass, each code unit looked at once, however the text is made: an Aho–Corasick automaton
 * (Aho and Corasick, 1975) flattened into a table. Letters match in either case; the rules behind the words look closer.
 */

const CLASS_BITS = 6;
const CLASSES = 1 << CLASS_BITS;
/** Beside the class of a code unit. */
const IS_DIGIT = 128;

export interface KeywordMachine {
  /** Class of each code unit, 0 for "in no keyword"; and whether it is a digit. */
  readonly classes: Uint8Array;
  /** `next[(state << CLASS_BITS) | class]`. States from `accepting` on end at least one keyword. */
  readonly next: Uint16Array;
  readonly accepting: number;
  /** For state `accepting + i`: indexes of the keywords that end there, longest first. */
  readonly matches: readonly (readonly number[])[];
  readonly keywords: readonly string[];
}

interface Node {
  readonly children: Map<number, Node>;
  readonly ends: number[];
  fail: Node | undefined;
  state: number;
}

const newNode = (): Node => ({ children: new Map(), ends: [], fail: undefined, state: 0 });

/** At most 63 distinct characters and 65 535 states: both are checked, since a wrapped number would lose matches. */
export const compileKeywords = (keywords: readonly string[]): KeywordMachine => {
  const classes = new Uint8Array(65_536);
  let used = 1;
  const classOf = (code: number): number => {
    if (classes[code] === 0) {
      if (used === CLASSES) throw new RangeError(`Expected keywords of at most ${CLASSES - 1} distinct characters`);
      const upper = String.fromCharCode(code).toUpperCase().charCodeAt(0);
      classes[code] = used;
      classes[upper] = used;
      used += 1;
    }
    return classes[code] ?? 0;
  };

  const root = newNode();
  for (const [index, keyword] of keywords.entries()) {
    let node = root;
    for (const character of keyword.toLowerCase()) {
      const symbol = classOf(character.charCodeAt(0));
      let child = node.children.get(symbol);
      if (child === undefined) node.children.set(symbol, (child = newNode()));
      node = child;
    }
    node.ends.push(index);
  }

  const nodes: Node[] = [root];
  for (const node of nodes) {
    for (const [symbol, child] of node.children) {
      let fail = node.fail;
      while (fail !== undefined && !fail.children.has(symbol)) fail = fail.fail;
      child.fail = fail?.children.get(symbol) ?? root;
      child.ends.push(...child.fail.ends);
      nodes.push(child);
    }
  }
  if (nodes.length > 65_535) throw new RangeError(`Expected at most 65535 keyword states, got ${nodes.length}`);

  const ordered = [...nodes.filter((node) => node.ends.length === 0), ...nodes.filter((node) => node.ends.length > 0)];
  for (const [state, node] of ordered.entries()) node.state = state;
  const accepting = ordered.findIndex((node) => node.ends.length > 0);
  const next = new Uint16Array(ordered.length << CLASS_BITS);
  for (const node of nodes) {
    for (let symbol = 0; symbol < used; symbol += 1) {
      const child = node.children.get(symbol);
      // Breadth first: the row of the shorter suffix is already complete.
      const target = child?.state ?? (node.fail === undefined ? 0 : next[(node.fail.state << CLASS_BITS) | symbol]);
      next[(node.state << CLASS_BITS) | symbol] = symbol === 0 ? 0 : (target ?? 0);
    }
  }
  for (let code = 48; code <= 57; code += 1) classes[code] = (classes[code] as number) | IS_DIGIT;
  return {
    classes,
    next,
    accepting: accepting === -1 ? ordered.length : accepting,
    matches: ordered.filter((node) => node.ends.length > 0).map(({ ends }) => ends),
    keywords,
  };
};

/**
 * Calls `found(keyword index, end offset)` for every occurrence in the first `length` units. Returns whether one of them is
 * a digit: known from the same pass.
 */
export const eachKeyword = (
  machine: KeywordMachine,
  units: Uint16Array,
  length: number,
  found: (keyword: number, end: number) => void,
): boolean => {
  const { classes, next, accepting, matches } = machine;
  let state = 0;
  let seen = 0;
  for (let at = 0; at < length; at += 1) {
    const symbol = classes[units[at] as number] as number;
    seen |= symbol;
    state = next[(state << CLASS_BITS) | (symbol & (CLASSES - 1))] as number;
    if (state >= accepting) {
      const ended = matches[state - accepting] as readonly number[];
      for (let index = 0; index < ended.length; index += 1) found(ended[index] as number, at + 1);
    }
  }
  return (seen & IS_DIGIT) !== 0;
};
