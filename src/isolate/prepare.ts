/**
 * A program as its author wrote it becomes a program that V8 runs inside a guest: types out, imports linked, the value
 * caught. The program becomes the body of one async function, so that top-level `await`, a thrown error and the value
 * of the last expression can all be had; V8's own modules offer none of the three through isolated-vm. Edits never move
 * a line, and the columns they move are known, so that every position can be told in the author's own terms.
 */
import { parse, type ImportDeclaration, type Node, type Program, type Statement, type ModuleDeclaration } from 'acorn';
import type { GuestModule } from './message.ts';
import { Edits, type Move, type Position } from './edits.ts';
import type { Strip } from './typescript.ts';

export const LANGUAGES = ['javascript', 'typescript'] as const;
export type Language = (typeof LANGUAGES)[number];

/** What is wrong in a source, in the author's own lines and columns (both from 1). */
export interface SourceFault {
  readonly file: string;
  readonly message: string;
  readonly line: number;
  readonly column: number;
  /** The module that is imported and was not given, where that is what is wrong. */
  readonly missing?: string;
}

/** A program without what changes from call to call, so that it can be kept for the next one: see `programCode`. */
export interface PreparedProgram {
  /** The name of the parameter that the body keeps its value in. */
  readonly slot: string;
  /** The body of an async function. */
  readonly body: string;
  readonly modules: readonly GuestModule[];
  readonly links: readonly string[];
  /** For `originalPosition`: from a position in `body` to the author's. */
  readonly moves: readonly Move[];
}

export type Preparation = PreparedProgram | { readonly fault: SourceFault };

/** Types must be taken out, and there is nothing here to do it with: prepare it again with a `Strip`. */
export const NEEDS_TYPES = Symbol('needs types');

export interface ProgramSource {
  readonly source: string;
  readonly file: string;
  /** Absent: JavaScript when it parses as that, else TypeScript. */
  readonly language: Language | undefined;
  readonly modules: Readonly<Record<string, string>>;
  readonly sourceBytes: number;
}

type Parsed = { readonly text: string; readonly program: Program } | { readonly fault: SourceFault };

class NeedsTypes extends Error {}

/** Everything that goes in and comes out is plain data, so that it can be done on another thread. */
export const prepareProgram = (given: ProgramSource, strip?: Strip): Preparation | typeof NEEDS_TYPES => {
  try {
    return prepare(given, strip);
  } catch (error) {
    if (error instanceof NeedsTypes) return NEEDS_TYPES;
    throw error;
  }
};

const prepare = (given: ProgramSource, strip: Strip | undefined): Preparation => {
  const entry = parseSource(given.source, given.file, given.language, given.sourceBytes, strip);
  if ('fault' in entry) return entry;
  const modules = prepareModules(importsOf(entry.program), given, strip);
  if ('fault' in modules) return modules;

  const edits = new Edits(entry.text);
  const rewritten = rewriteEntry(entry.program, entry.text, edits, given.file);
  if ('fault' in rewritten) return rewritten;
  const { slot, head, tail, links } = rewritten;
  if (head !== '') edits.insert(0, head);
  return {
    slot,
    body: `${edits.apply()}\n${tail}`,
    modules: modules.ready,
    links,
    moves: edits.moves(),
  };
};

/**
 * The call of `$$run` that V8 runs: `config` goes to the guest's runtime as it is, a text, which V8 reads quicker than an
 * object. In parentheses V8 compiles a function at once, rather than skip it first.
 */
export const programCode = (
  { slot, body, moves }: PreparedProgram,
  config: string,
): { readonly code: string; readonly moves: readonly Move[] } => {
  const opening = `$$run(${scriptSafe(JSON.stringify(config))},(async function(${slot}){"use strict";`;
  return { code: `${opening}${body}}));`, moves: [{ line: 1, column: 1, length: opening.length }, ...moves] };
};

/** JSON inside a script: U+2028 and U+2029 are line ends to no one since ES2019, and `<!--` opens a comment to some. */
const scriptSafe = (json: string): string => json.replaceAll('<', '\\u003c');

const parseSource = (
  source: string,
  file: string,
  language: Language | undefined,
  sourceBytes: number,
  strip: Strip | undefined,
): Parsed => {
  const bytes = Buffer.byteLength(source);
  if (bytes > sourceBytes) {
    return {
      fault: { file, message: `Expected a source of at most ${sourceBytes} bytes, got ${bytes}`, line: 1, column: 1 },
    };
  }
  const nul = source.indexOf('\0');
  if (nul >= 0) {
    const lines = source.slice(0, nul).split('\n');
    const column = (lines.at(-1) as string).length + 1;
    return {
      fault: { file, message: 'Expected source text, got binary data (a NUL character)', line: lines.length, column },
    };
  }
  // A hashbang is for shells; inside a function it would be an error.
  const text = source.startsWith('#!') ? `//${source.slice(2)}` : source;
  const plain = language === 'typescript' ? undefined : parseJavaScript(text, file);
  if (plain !== undefined && (!('fault' in plain) || language === 'javascript')) return plain;
  if (strip === undefined) throw new NeedsTypes();
  const stripped = strip(text, file);
  return 'fault' in stripped ? stripped : parseJavaScript(stripped.code, file);
};

const parseJavaScript = (text: string, file: string): Parsed => {
  try {
    return { text, program: parse(text, { ecmaVersion: 'latest', sourceType: 'module' }) };
  } catch (error) {
    const at = (error as { loc?: { line: number; column: number } }).loc;
    const message = error instanceof RangeError ? 'Expected less deeply nested code' : (error as Error).message;
    return {
      fault: {
        file,
        message: message.replace(/ \(\d+:\d+\)$/u, ''),
        line: at?.line ?? 1,
        column: (at?.column ?? 0) + 1,
      },
    };
  }
};

interface ImportSite {
  readonly name: string;
  readonly start: number;
}

const importsOf = (program: Program): readonly ImportSite[] =>
  program.body.flatMap((node) => {
    const from =
      node.type === 'ImportDeclaration' ||
      node.type === 'ExportAllDeclaration' ||
      node.type === 'ExportNamedDeclaration'
        ? node.source
        : undefined;
    return from === undefined || from === null ? [] : [{ name: String(from.value), start: from.start }];
  });

/** Parses every module that the program reaches, so that a missing one is an error with a position, not a crash. */
const prepareModules = (
  wanted: readonly ImportSite[],
  given: ProgramSource,
  strip: Strip | undefined,
): { readonly ready: readonly GuestModule[] } | { readonly fault: SourceFault } => {
  const ready = new Map<string, GuestModule>();
  // Taken from the end: the first import that is missing is the one that is told.
  const open = wanted.map((site) => ({ ...site, file: given.file, text: given.source })).toReversed();
  for (let site = open.pop(); site !== undefined; site = open.pop()) {
    if (ready.has(site.name)) continue;
    if (!Object.hasOwn(given.modules, site.name)) {
      const names = Object.keys(given.modules);
      const message =
        `Expected an import of ${names.length === 0 ? 'nothing, for no module was given' : `one of ${names.slice(0, 20).join(', ')}`}` +
        `, got ${JSON.stringify(site.name.slice(0, 200))}`;
      return { fault: { file: site.file, message, ...positionAt(site.text, site.start), missing: site.name } };
    }
    const source = given.modules[site.name] as string;
    const parsed = parseSource(source, site.name, undefined, given.sourceBytes, strip);
    if ('fault' in parsed) return parsed;
    ready.set(site.name, { name: site.name, code: parsed.text });
    open.push(...importsOf(parsed.program).map((next) => ({ ...next, file: next.name, text: source })));
  }
  return { ready: [...ready.values()] };
};

const positionAt = (text: string, offset: number): Position => {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1) as string).length + 1 };
};

interface Rewritten {
  readonly slot: string;
  readonly head: string;
  readonly tail: string;
  readonly links: readonly string[];
}

const rewriteEntry = (
  program: Program,
  text: string,
  edits: Edits,
  file: string,
): Rewritten | { readonly fault: SourceFault } => {
  let slot = '$$';
  while (text.includes(slot)) slot += '$';
  const links: string[] = [];
  const linkOf = (name: string): number => {
    const at = links.indexOf(name);
    return at >= 0 ? at : links.push(name) - 1;
  };
  let head = '';
  let tail = '';
  let hasDefault = false;
  for (const node of program.body) {
    switch (node.type) {
      case 'ImportDeclaration':
        head += bindingsOf(node, linkOf(String(node.source.value)), slot);
        edits.blank(node.start, node.end);
        break;
      case 'ExportAllDeclaration':
        linkOf(String(node.source.value));
        edits.blank(node.start, node.end);
        break;
      case 'ExportNamedDeclaration': {
        const link = node.source ? linkOf(String(node.source.value)) : undefined;
        for (const { local, exported } of node.specifiers) {
          if (nameOf(exported) !== 'default') continue;
          hasDefault = true;
          const name = nameOf(local);
          tail += `${slot}.v=${link === undefined ? name : `${slot}.g(${link},${JSON.stringify(name)})`};`;
        }
        if (node.declaration) edits.blank(node.start, node.declaration.start);
        else edits.blank(node.start, node.end);
        break;
      }
      case 'ExportDefaultDeclaration': {
        hasDefault = true;
        const { declaration } = node;
        const isNamed =
          (declaration.type === 'FunctionDeclaration' || declaration.type === 'ClassDeclaration') &&
          declaration.id !== null;
        if (isNamed) {
          edits.blank(node.start, declaration.start);
          tail += `${slot}.v=${declaration.id.name};`;
        } else {
          edits.blank(node.start, declaration.start);
          edits.insert(declaration.start, `${slot}.v=`);
          edits.insert(node.end, ';');
        }
        break;
      }
      default:
    }
  }
  if (!hasDefault) catchValue(program.body, text, edits, slot);
  const dynamic = /\bimport\s*\(/u.exec(text);
  if (dynamic !== null && hasDynamicImport(program)) {
    const message = 'Expected no import() in a guest: import statically what the caller gave';
    return { fault: { file, message, ...positionAt(text, dynamic.index) } };
  }
  return { slot, head, tail, links };
};

const nameOf = (node: { type: string; name?: string; value?: unknown }): string => node.name ?? String(node.value);

const bindingsOf = (node: ImportDeclaration, link: number, slot: string): string =>
  node.specifiers
    .map((specifier) => {
      const value =
        specifier.type === 'ImportNamespaceSpecifier'
          ? `${slot}.n(${link})`
          : `${slot}.g(${link},${JSON.stringify(specifier.type === 'ImportSpecifier' ? nameOf(specifier.imported) : 'default')})`;
      return `const ${specifier.local.name}=${value};`;
    })
    .join('');

/** Catches what the last statement comes to, through blocks and branches, as a script's value would be. */
const catchValue = (
  body: readonly (Statement | ModuleDeclaration)[],
  text: string,
  edits: Edits,
  slot: string,
): void => {
  const last = body.findLast((node) => !isSilent(node));
  if (last !== undefined) catchIn(last as Statement, text, edits, slot);
};

const isSilent = (node: Node): boolean => /^(?:Function|Class|Variable|Import|Export|Empty)/u.test(node.type);

const catchIn = (node: Statement, text: string, edits: Edits, slot: string): void => {
  switch (node.type) {
    case 'ExpressionStatement': {
      const ends = text[node.end - 1] === ';' ? node.end - 1 : node.end;
      edits.insert(node.start, `${slot}.v=(`);
      edits.insert(ends, ends === node.end ? ');' : ')');
      return;
    }
    case 'BlockStatement':
      catchValue(node.body, text, edits, slot);
      return;
    case 'IfStatement':
      catchIn(node.consequent, text, edits, slot);
      if (node.alternate) catchIn(node.alternate, text, edits, slot);
      return;
    case 'TryStatement':
      catchIn(node.block, text, edits, slot);
      if (node.handler) catchIn(node.handler.body, text, edits, slot);
      return;
    case 'LabeledStatement':
    case 'ForStatement':
    case 'ForOfStatement':
    case 'ForInStatement':
    case 'WhileStatement':
    case 'DoWhileStatement':
      catchIn(node.body, text, edits, slot);
      return;
    default:
  }
};

const hasDynamicImport = (program: Program): boolean => {
  const open: unknown[] = [program];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (typeof node !== 'object' || node === null) continue;
    if ((node as { type?: unknown }).type === 'ImportExpression') return true;
    for (const child of Object.values(node)) if (typeof child === 'object' && child !== null) open.push(child);
  }
  return false;
};
