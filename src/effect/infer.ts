/**
 * What a call of an undeclared tool would do, from the names people give to tools and parameters and from the values
 * themselves. It errs towards restriction: a path is written to unless the name says that it is read, a text that could
 * be a statement is one. A declaration is always better; `coverage()` says which tools have none.
 */
import { unreachable, type Basis } from '../model/decision.ts';
import { accessOf, type Effect, type FileOperation } from '../model/effect.ts';
import { splitCommand } from './infer-command.ts';
import { inferEmail } from './infer-email.ts';
import { isRecord, traitsOf, type InferableTool, type Traits } from './infer-traits.ts';
import {
  filesOfPatch,
  isGenericPath,
  isUrl,
  looksLikeCode,
  looksLikePatch,
  looksLikePath,
  looksLikeSql,
  looksLikeUrl,
  statementFor,
  urlsIn,
} from './infer-values.ts';
import { fileOperationOf, wordsOf, type ParameterKind } from './infer-words.ts';

export type { InferableTool } from './infer-traits.ts';

export interface InferredEffects {
  readonly effects: readonly Effect[];
  readonly basis: Extract<Basis, 'inferred' | 'unknown'>;
}

export type Inference = (args: unknown) => InferredEffects;

export const inferEffects = (tool: InferableTool, args: unknown): InferredEffects => compileInference(tool)(args);

/** What the name, description and schema say is worked out once; the answer looks at the arguments alone. */
export const compileInference = (tool: InferableTool): Inference => {
  const traits = traitsOf(tool);
  return (args) => new InferenceRun(traits).infer(args);
};

const TELLING: ReadonlySet<ParameterKind> = new Set(['path', 'url', 'host', 'sql', 'command', 'patch']);

/** For `coverage()`: whether the tool's own name and parameters already tell what it would do. */
export const inferredBasis = (tool: InferableTool): InferredEffects['basis'] => {
  const traits = traitsOf(tool);
  const { declared, keyOf, shell, code, pure } = traits;
  if (pure || shell || code || [...declared].some((key) => TELLING.has(keyOf(key).kind))) return 'inferred';
  return new InferenceRun(traits).infer({}).basis;
};

const EDITOR_VERBS = new Set(
  'view create str_replace insert undo_edit delete rename read write edit append'.split(' '),
);

const pointerTo = (at: string, key: string): string =>
  `${at}/${/[~/]/u.test(key) ? key.replaceAll('~', '~0').replaceAll('/', '~1') : key}`;

class InferenceRun {
  readonly #traits: Traits;
  readonly #effects: Effect[] = [];
  #operation: FileOperation;
  #remote: boolean;
  #database: boolean;
  #method: string | undefined;
  /** Set while looking into a text: what is found there has no place of its own among the arguments. */
  #depth = 0;

  constructor(traits: Traits) {
    this.#traits = traits;
    this.#operation = traits.operation;
    this.#remote = traits.remote;
    this.#database = traits.database;
  }

  infer(args: unknown): InferredEffects {
    const { names, pure, sends } = this.#traits;
    const email = inferEmail(args, names, sends);
    if (email !== undefined) this.#effects.push(email);
    if (Array.isArray(args)) this.#positional(args);
    else if (isRecord(args)) this.#record(args, '', undefined);
    else this.#value(args, '', 'generic', '');
    if (this.#effects.length === 0) this.#fromNameAlone(args);
    return { effects: this.#effects, basis: this.#effects.length > 0 || pure ? 'inferred' : 'unknown' };
  }

  #add(effect: Effect): void {
    this.#effects.push(this.#depth > 0 ? { ...effect, derived: true } : effect);
  }

  #positional(args: readonly unknown[]): void {
    const names = this.#traits.names ?? [];
    const named = Object.fromEntries(args.map((value, index) => [names[index] ?? '', value]));
    this.#lookAround(names);
    const used = this.#splitCommand(named, '');
    for (const [index, value] of args.entries()) {
      const name = names[index] ?? '';
      const at = `/${index}`;
      if (used.includes(name)) continue;
      if (name === '' && isRecord(value)) this.#record(value, at, undefined);
      else this.#value(value, at, name === '' ? 'generic' : this.#traits.keyOf(name).kind, name);
    }
  }

  /** Arguments that tighten the meaning of others. What loosens it must stand in the schema: callers choose arguments. */
  #lookAround(keys: readonly string[]): void {
    this.#database ||= keys.some((key) => this.#traits.keyOf(key).table);
  }

  #record(record: Readonly<Record<string, unknown>>, at: string, parent: ParameterKind | undefined): void {
    const keys = Object.keys(record);
    this.#lookAround(keys);
    const outer = this.#operation;
    this.#operation = this.#operationFor(record) ?? outer;
    const used = this.#splitCommand(record, at);
    this.#method = typeof record['method'] === 'string' ? record['method'] : this.#method;
    for (const key of keys) {
      const here = pointerTo(at, key);
      if (used.includes(key)) continue;
      let kind = this.#traits.keyOf(key).kind;
      if (parent === 'path' && (kind === 'prose' || kind === 'unknown') && /^(?:name|key|uri)$/iu.test(key))
        kind = 'path';
      // `{files: {'src/a.ts': 'text'}}`: the names are the paths.
      if (parent === 'path' && kind === 'unknown' && /[./]/u.test(key) && typeof record[key] !== 'object') {
        this.#file(key, here, true);
        continue;
      }
      if (kind === 'command' && this.#isVerb(key, record[key])) continue;
      this.#value(record[key], here, kind, key);
    }
    this.#operation = outer;
  }

  /** A verb among the arguments (`command: 'view'`, `action: 'delete'`) says more than the tool's name. */
  #operationFor(record: Readonly<Record<string, unknown>>): FileOperation | undefined {
    for (const [key, value] of Object.entries(record)) {
      if (typeof value !== 'string' || value.length > 40) continue;
      const { kind, verb } = this.#traits.keyOf(key);
      if (!verb && !(kind === 'command' && this.#isVerb(key, value))) continue;
      const operation = fileOperationOf(wordsOf(value));
      if (accessOf(operation) === 'write' || this.#isTrustedVerb(key)) return operation;
    }
    return undefined;
  }

  /** Callers choose arguments: a verb makes a call harmless only where the tool itself offers that verb. */
  #isTrustedVerb(key: string): boolean {
    const { enums, declared, operation, editor, writes } = this.#traits;
    if (enums.has(key) || (editor && key === 'command')) return true;
    return declared.has(key) && (accessOf(operation) === 'read' || !writes);
  }

  #isVerb(key: string, value: unknown): boolean {
    const { enums, editor } = this.#traits;
    return enums.has(key) || (editor && typeof value === 'string' && EDITOR_VERBS.has(value));
  }

  /** Returns the keys that were used up. */
  #splitCommand(record: Readonly<Record<string, unknown>>, at: string): readonly string[] {
    const split = splitCommand(record, (key) => this.#traits.keyOf(key).kind === 'command');
    for (const command of split?.commands ?? []) this.#add({ kind: 'command', pointer: at, command });
    return split?.used ?? [];
  }

  #value(value: unknown, at: string, kind: ParameterKind, name: string): void {
    if (typeof value === 'string') this.#text(value, at, kind, name);
    else if (value instanceof URL) this.#text(value.href, at, kind, name);
    else if (value instanceof Uint8Array) this.#bytes(value, at, kind, name);
    else if (Array.isArray(value)) {
      if (kind === 'command' && value.length > 0 && value.every((one) => typeof one === 'string')) {
        this.#commandList(value, at, name);
        return;
      }
      for (const [index, one] of value.entries()) this.#value(one, `${at}/${index}`, kind, name);
    } else if (isRecord(value)) this.#record(value, at, kind);
  }

  /** A path or a statement may come as bytes; long ones are content. */
  #bytes(bytes: Uint8Array, at: string, kind: ParameterKind, name: string): void {
    if (bytes.length <= 64 * 1024) this.#text(new TextDecoder().decode(bytes), at, kind, name);
  }

  /** `command: ['git', 'status']` is one program; `commands: ['ls', 'git status']` are several texts. */
  #commandList(list: readonly string[], at: string, name: string): void {
    if (!/s$/iu.test(name)) {
      this.#add({ kind: 'command', pointer: at, command: list });
      return;
    }
    for (const [index, text] of list.entries()) {
      this.#add({ kind: 'command', pointer: `${at}/${index}`, command: text });
    }
  }

  #text(text: string, at: string, kind: ParameterKind, name: string): void {
    if (text === '') return;
    const { shell, code, fetch, file } = this.#traits;
    const database = this.#database;
    switch (kind) {
      case 'path':
        if (looksLikeUrl(text)) this.#url(text, at);
        else if (!this.#remote || looksLikePath(text)) this.#file(text, at);
        return;
      case 'url':
        if (looksLikePath(text) && !text.startsWith('//')) this.#file(text, at);
        else if (isUrl(text) || fetch || /^(?:\/\/|localhost\b|[\w-]+(?:\.[\w-]+)+)/u.test(text)) this.#url(text, at);
        return;
      case 'host':
        this.#url(isUrl(text) ? text : `https://${text}`, at);
        return;
      case 'sql':
        this.#add({ kind: 'sql', pointer: at, text, dialect: this.#traits.dialect });
        return;
      case 'command':
        this.#add({ kind: 'command', pointer: at, command: text });
        return;
      case 'code':
        if (shell || code || looksLikeCode(text)) this.#add({ kind: 'command', pointer: at, command: text });
        else this.#byValue(text, at);
        return;
      case 'patch':
        this.#patch(text, at);
        return;
      case 'generic':
        if (looksLikePatch(text) && !database) this.#patch(text, at);
        else if (!database && !shell && this.#json(text, at, kind)) return;
        else if (database) this.#add({ kind: 'sql', pointer: at, text, dialect: this.#traits.dialect });
        else if (shell || (code && name !== 'q')) this.#add({ kind: 'command', pointer: at, command: text });
        else if (fetch && this.#urlsIn(text, at)) return;
        else if (file && !this.#remote && isGenericPath(text, name)) this.#file(text, at);
        else this.#byValue(text, at);
        return;
      case 'prose':
        if (this.#knownTool()) return;
        this.#byValue(text, at);
        return;
      case 'verb':
      case 'unknown':
        this.#byValue(text, at);
        return;
      default:
        unreachable(kind);
    }
  }

  /** The text of a file or a message is content; the same text in a tool that nothing is known about may be anything. */
  #knownTool(): boolean {
    const { shell, file, mail, fetch } = this.#traits;
    return (file || mail || fetch || this.#effects.length > 0) && !this.#database && !shell;
  }

  /** Arguments inside a text: `'{"url": "https://…"}'`. */
  #json(text: string, at: string, kind: ParameterKind): boolean {
    if (!/^\s*[[{]/u.test(text) || text.length > 256 * 1024 || this.#depth > 3) return false;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return false;
    }
    this.#depth += 1;
    this.#valueInside(value, at, kind);
    this.#depth -= 1;
    return true;
  }

  #valueInside(value: unknown, at: string, kind: ParameterKind): void {
    const before = this.#effects.length;
    this.#value(value, '', kind, '');
    for (let index = before; index < this.#effects.length; index += 1) {
      const effect = this.#effects[index];
      if (effect !== undefined) this.#effects[index] = { ...effect, pointer: at };
    }
  }

  /** Every URL in the input of a tool that fetches. */
  #urlsIn(text: string, at: string): boolean {
    if (looksLikeUrl(text) || /^[\w-]+(?:\.[\w-]+)+(?:[/:?]|$)/u.test(text)) {
      this.#url(text.trim(), at);
      return true;
    }
    const urls = urlsIn(text);
    this.#depth += 1;
    for (const url of urls) this.#url(url, at);
    this.#depth -= 1;
    return urls.length > 0;
  }

  #byValue(text: string, at: string): void {
    if (this.#json(text, at, 'generic')) return;
    if (looksLikeUrl(text)) this.#url(text.trim(), at);
    else if (looksLikeSql(text)) this.#add({ kind: 'sql', pointer: at, text, dialect: this.#traits.dialect });
    else if (looksLikePath(text)) this.#file(text, at);
    else if (looksLikePatch(text)) this.#patch(text, at);
  }

  #file(path: string, at: string, derived = false): void {
    const operation = this.#operation;
    const access = accessOf(operation);
    this.#add({ kind: 'file', pointer: at, path, operation, access, ...(derived ? { derived } : {}) });
  }

  #patch(text: string, at: string): void {
    const files = filesOfPatch(text);
    for (const path of files.length > 0 ? files : ['.']) {
      this.#add({ kind: 'file', pointer: at, path, operation: 'write', access: 'write', derived: true });
    }
  }

  #url(url: string, at: string): void {
    const method = this.#method;
    this.#add({ kind: 'network', pointer: at, url, ...(method === undefined ? {} : { method }) });
  }

  /** A tool that says `delete_rows` or `write_file` does so, even where no argument shows what it acts on. */
  #fromNameAlone(args: unknown): void {
    const { words, file, mail } = this.#traits;
    if (mail || this.#remote) return;
    if (this.#database) {
      const text = statementFor(words, args);
      if (text !== undefined) this.#add({ kind: 'sql', pointer: '', text, dialect: 'postgres', derived: true });
    } else if (
      file &&
      words.some((word) => word.startsWith('file') || word.startsWith('director') || word === 'folder')
    ) {
      this.#add({
        kind: 'file',
        pointer: '',
        path: '.',
        operation: this.#operation,
        access: accessOf(this.#operation),
        derived: true,
      });
    }
  }
}
