/** Just enough of Go and Python to read the literals in other projects' tests: strings, lists, calls that make samples. */

export type Literal = string | number | null | readonly Literal[];

interface GoRule {
  readonly name: string;
  readonly truePositives: readonly string[];
  readonly falsePositives: readonly string[];
}

/** A small, seeded generator: the same samples in every run. */
const random = ((state: number) => () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
})(42);

/** Text for the simple patterns of gitleaks' generators: classes, literals, alternatives, counts. */
const sampleOf = (pattern: string): string => {
  let at = 0;
  const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
  const classAt = (): readonly string[] => {
    const set: string[] = [];
    at += 1;
    while (pattern[at] !== ']') {
      let first = pattern[at] ?? '';
      if (first === '\\') first = pattern[(at += 1)] ?? '';
      if (first === 'w' && pattern[at - 1] === '\\')
        set.push(...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_'.split(''));
      else if (pattern[at + 1] === '-' && pattern[at + 2] !== ']') {
        for (let code = first.charCodeAt(0); code <= pattern.charCodeAt(at + 2); code += 1)
          set.push(String.fromCharCode(code));
        at += 2;
      } else set.push(first);
      at += 1;
    }
    at += 1;
    return set;
  };
  const times = (): number => {
    const count = /^\{(\d+)(?:,(\d*))?\}/u.exec(pattern.slice(at));
    if (count === null) {
      if (pattern[at] === '?') return (at += 1) && random() < 0.5 ? 1 : 0;
      return 1;
    }
    at += count[0].length;
    const low = Number(count[1]);
    const high = count[2] === undefined ? low : Number(count[2] || low + 20);
    return low + Math.floor(random() * (high - low + 1));
  };
  const sequence = (): string => {
    const options = [''];
    while (at < pattern.length && pattern[at] !== ')') {
      if (pattern[at] === '|') {
        at += 1;
        options.push('');
        continue;
      }
      const start = at;
      let make: () => string;
      if (pattern[at] === '[') {
        const set = classAt();
        make = () => pick(set);
      } else if (pattern[at] === '(') {
        at += pattern.startsWith('(?:', at) ? 3 : pattern.startsWith('(?i)', at) ? 0 : 1;
        if (pattern.startsWith('(?i)', at)) {
          at += 4;
          continue;
        }
        const inner = sequence();
        at += 1;
        make = () => inner;
      } else if (pattern[at] === '\\') {
        const escaped = pattern[at + 1] ?? '';
        at += 2;
        make = () =>
          escaped === 'd' ? pick('0123456789'.split('')) : escaped === 'w' ? pick('abcXYZ019_'.split('')) : escaped;
      } else {
        const literal = pattern[at] ?? '';
        at += 1;
        make = () => literal;
      }
      let made = '';
      for (let count = times(); count > 0; count -= 1) made += make();
      options[options.length - 1] += made;
      if (at === start) break;
    }
    return pick(options);
  };
  return sequence();
};

type GoValue = string | readonly string[];

class GoReader {
  readonly #source: string;
  readonly #formats: readonly string[];
  readonly variables = new Map<string, GoValue>();
  #at = 0;

  constructor(source: string, formats: readonly string[]) {
    this.#source = source;
    this.#formats = formats;
  }

  evaluate(at: number): GoValue {
    this.#at = at;
    return this.#expression();
  }

  #skip(): void {
    const found = /^(?:\s|\/\/[^\n]*\n|\/\*[\s\S]*?\*\/)*/u.exec(this.#source.slice(this.#at));
    this.#at += found?.[0].length ?? 0;
  }

  #expression(): GoValue {
    let value = this.#term();
    for (;;) {
      this.#skip();
      if (this.#source[this.#at] !== '+') return value;
      this.#at += 1;
      const next = this.#term();
      if (typeof value !== 'string' || typeof next !== 'string') throw new Error('list in a sum');
      value += next;
    }
  }

  #items(close: string): GoValue[] {
    const items: GoValue[] = [];
    for (;;) {
      this.#skip();
      if (this.#source[this.#at] === close) break;
      let item = this.#expression();
      this.#skip();
      if (this.#source[this.#at] === ':') {
        this.#at += 1;
        item = this.#expression();
        this.#skip();
      }
      if (this.#source.startsWith('...', this.#at)) this.#at += 3;
      items.push(item);
      this.#skip();
      if (this.#source[this.#at] === ',') this.#at += 1;
    }
    this.#at += 1;
    return items;
  }

  #term(): GoValue {
    this.#skip();
    const rest = this.#source.slice(this.#at);
    const raw = /^`([^`]*)`/u.exec(rest);
    if (raw !== null) {
      this.#at += raw[0].length;
      return raw[1] ?? '';
    }
    const quoted = /^"(?:[^"\\\n]|\\.)*"/u.exec(rest);
    if (quoted !== null) {
      this.#at += quoted[0].length;
      return JSON.parse(quoted[0].replaceAll(/\\x([0-9a-f]{2})/giu, '\\u00$1')) as string;
    }
    const name = /^(?:\[\]string|map\[string\]string|[\w.]+)/u.exec(rest)?.[0];
    if (name === undefined) throw new Error(`cannot read ${rest.slice(0, 30)}`);
    this.#at += name.length;
    if (name === '[]string' || name === 'map[string]string') {
      this.#at += 1;
      return this.#items('}').flat();
    }
    if (this.#source[this.#at] === '(') {
      this.#at += 1;
      return this.#call(name, this.#items(')'));
    }
    const known = this.variables.get(name);
    if (known === undefined) throw new Error(`unknown ${name}`);
    return known;
  }

  #call(name: string, values: readonly GoValue[]): GoValue {
    const [first = '', second = ''] = values.map((value) => (typeof value === 'string' ? value : ''));
    const samples = (identifier: string, secret: string): readonly string[] =>
      this.#formats.map((format) =>
        format.replaceAll('{i}', identifier).replaceAll('{I}', identifier.toUpperCase()).replaceAll('{s}', secret),
      );
    switch (name) {
      case 'append':
        return values.flat();
      case 'utils.GenerateSampleSecrets':
        return samples(first, second);
      case 'utils.GenerateSampleSecret':
        return `${first}_api_token = "${second}"`;
      case 'secrets.NewSecret':
      case 'newPlausibleSecret':
        return sampleOf(first);
      case 'utils.Numeric':
        return `[0-9]{${first}}`;
      case 'utils.Hex':
        return `[a-f0-9]{${first}}`;
      case 'utils.AlphaNumeric':
        return `[a-z0-9]{${first}}`;
      case 'utils.AlphaNumericExtendedShort':
        return `[a-z0-9_-]{${first}}`;
      case 'utils.AlphaNumericExtended':
        return `[a-z0-9=_\\-]{${first}}`;
      case 'utils.AlphaNumericExtendedLong':
        return `[a-z0-9\\/=_\\+\\-]{${first}}`;
      case 'utils.Hex8_4_4_4_12':
        return '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
      case 'strings.ToUpper':
        return first.toUpperCase();
      case 'strings.ToLower':
        return first.toLowerCase();
      case 'string':
        return first;
      default:
        throw new Error(`unknown call ${name}`);
    }
  }
}

export const unread: string[] = [];

/** The `tps` and `fps` of every rule function in one file of gitleaks. */
export const parseGo = (source: string, formats: readonly string[]): readonly GoRule[] => {
  const functions = source.split(/^func /mu).slice(1);
  return functions.map((body) => {
    const name = /^\w+/u.exec(body)?.[0] ?? '';
    const reader = new GoReader(body, formats);
    for (const statement of body.matchAll(/^\t(?:var )?(\w+) :?= (?=["`[\w])/gmu)) {
      const variable = statement[1] ?? '';
      if (variable === 'r') continue;
      try {
        reader.variables.set(variable, reader.evaluate(statement.index + statement[0].length));
      } catch (error) {
        if (variable === 'tps' || variable === 'fps') unread.push(`${name} ${variable}: ${String(error)}`);
      }
    }
    const listOf = (variable: string): readonly string[] => [reader.variables.get(variable) ?? []].flat();
    return { name, truePositives: listOf('tps'), falsePositives: listOf('fps') };
  });
};

/** The rows of every `parametrize` list: tuples of literals; names and calls are read as null. */
export const parsePython = (source: string): readonly (readonly Literal[])[] => {
  const rows: (readonly Literal[])[] = [];
  for (const found of source.matchAll(/parametrize\(\s*(?:"[^"]*"|\([^)]*\)|\[[^\]]*\]),\s*(?=\[)/gu)) {
    const { value } = pythonValue(source, found.index + found[0].length);
    if (Array.isArray(value))
      for (const row of value as readonly Literal[]) if (Array.isArray(row)) rows.push(row as readonly Literal[]);
  }
  return rows;
};

const skipPython = (source: string, at: number): number =>
  at + (/^(?:\s|#[^\n]*\n|\\\n)*/u.exec(source.slice(at, at + 2_000))?.[0].length ?? 0);

const pythonValue = (source: string, from: number): { readonly value: Literal; readonly end: number } => {
  let at = skipPython(source, from);
  const open = source[at];
  if (open === '[' || open === '(') {
    const items: Literal[] = [];
    at = skipPython(source, at + 1);
    while (at < source.length && source[at] !== ']' && source[at] !== ')') {
      const item = pythonValue(source, at);
      items.push(item.value);
      at = skipPython(source, item.end);
      if (source[at] === ',') at = skipPython(source, at + 1);
    }
    return { value: items, end: at + 1 };
  }
  let text: string | undefined;
  for (;;) {
    const part = /^[rfbu]?("""[\s\S]*?"""|"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*')/iu.exec(
      source.slice(at, at + 20_000),
    );
    if (part === null) break;
    const quotes = (part[1] ?? '').startsWith('"""') ? 3 : 1;
    text =
      (text ?? '') +
      (part[1] ?? '')
        .slice(quotes, -quotes)
        .replaceAll(
          /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|([\s\S]))/giu,
          (_all, byte: string | undefined, unit: string | undefined, single: string | undefined) => {
            if (byte !== undefined || unit !== undefined)
              return String.fromCharCode(Number.parseInt(byte ?? unit ?? '', 16));
            return { n: '\n', t: '\t', r: '\r', '\n': '' }[single ?? ''] ?? single ?? '';
          },
        );
    at = skipPython(source, at + part[0].length);
  }
  if (text !== undefined) return { value: text, end: at };
  const number = /^-?\d+(?:\.\d*)?|^\.\d+/u.exec(source.slice(at, at + 40));
  if (number !== null) return { value: Number(number[0]), end: at + number[0].length };
  // A name, a call, an expression: skipped with its brackets.
  let depth = 0;
  while (at < source.length) {
    const character = source.charAt(at);
    if (depth === 0 && /[,\])]/u.test(character)) break;
    if (/[([{]/u.test(character)) depth += 1;
    if (/[)\]}]/u.test(character)) depth -= 1;
    at += 1;
  }
  return { value: null, end: at };
};
