/** Any value that a call carries: its texts scanned wherever they stand, and rebuilt only where something changed. */
import { NO_FINDINGS, type Finding, type FindingKind, type Findings } from '../model/content.ts';
import { bytesLike, filled, freeName, isPlain, shellOf, tagOf, textOf, withHidden } from './copies.ts';
import { secretName } from './secret-names.ts';
import { findingOf, replaceSpans, resolveSpans, spansOf, type Span } from './spans.ts';
import type { TextScanner } from './text.ts';

export interface Transformed {
  /** The same reference as what came in when nothing was replaced. */
  readonly value: unknown;
  readonly findings: Findings;
  readonly changed: boolean;
}

export interface WalkOptions {
  readonly replace: (kind: FindingKind) => boolean;
  /** What takes the place of an object that cannot be read yet (a stream, a promise); `undefined` for any other. */
  readonly live?: ((value: object) => object | undefined) | undefined;
  readonly exempt?: readonly string[];
  readonly changed?: (pointer: string, value: unknown) => void;
}

/** Deeper values are refused: the caller's limits are lower, and a stack is not endless. */
const DEEPEST = 1_000;

const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

/** What is being rebuilt, while it is: met again, it stands in a cycle. */
const UNDER_WAY = Symbol('under way');
/** Cycles are known after one walk; objects that show others each time are not worth more. */
const MOST_WALKS = 3;

/** Names under which objects carry the name of what is in `value`: `{name: 'API_TOKEN', value: '…'}`. */
const NAMING = ['name', 'key', 'variable', 'header', 'field', 'id', 'label'] as const;

export class ValueWalk {
  readonly #text: TextScanner;
  readonly #options: WalkOptions;
  readonly #exempt: ReadonlySet<string> | undefined;
  #findings: Finding[] = [];
  /** Made when there is an object to see twice. */
  #seen: Map<object, unknown> | undefined;
  #seenInClass: Map<object, unknown> | undefined;
  /** Objects that lead back to themselves, and the copy of each, which is there before what it holds. */
  #cycles: Map<object, object | undefined> | undefined;
  readonly #path: (string | number)[] = [];
  /** The path as findings may say it: a member name that is itself a secret is masked there. */
  readonly #shown: (string | number)[] = [];
  #exemptDepth = 0;
  #lives: Map<object, object> | undefined;
  /** Inside an object of a class: its members are its own affair, and stay the ones that its methods know. */
  #insideClass = false;

  constructor(text: TextScanner, options: WalkOptions) {
    this.#text = text;
    this.#options = options;
    if (options.exempt !== undefined && options.exempt.length > 0) this.#exempt = new Set(options.exempt);
  }

  run(value: unknown): Transformed {
    if (this.#exempt?.has('') === true) this.#exemptDepth += 1;
    for (let walks = 0; walks < MOST_WALKS; walks += 1) {
      const known = this.#cycles?.size;
      const result = this.#value(value, '');
      // What leads back led to the object as it was: where something changed, once more, with copies that are there first.
      if (result === value || this.#cycles?.size === known) {
        const findings = this.#findings.length === 0 ? NO_FINDINGS : this.#findings;
        return { value: result, findings, changed: result !== value };
      }
      this.#seen = undefined;
      this.#seenInClass = undefined;
      this.#findings = [];
      for (const met of this.#cycles?.keys() ?? []) this.#cycles?.set(met, shellOf(met));
    }
    throw new RangeError('Expected a value that shows the same objects each time it is read');
  }

  #pointer(path: readonly (string | number)[] = this.#path): string {
    return path.map((step) => `/${typeof step === 'number' ? step : escapePointer(step)}`).join('');
  }

  #value(value: unknown, label: string): unknown {
    return typeof value === 'object' && value !== null ? this.#object(value, label) : this.#primitive(value, label);
  }

  #primitive(value: unknown, label: string): unknown {
    if (typeof value === 'string') return this.#string(value, label);
    return typeof value === 'number' || typeof value === 'bigint' ? this.#number(value, label) : value;
  }

  #report(spans: readonly Span[], inKey = false): readonly Span[] {
    const pointer = this.#pointer(this.#shown);
    for (const span of spans) this.#findings.push(findingOf(span, pointer, inKey));
    if (this.#exemptDepth > 0) return [];
    return resolveSpans(spansOf(spans, this.#options.replace));
  }

  #string(text: string, label: string): string {
    const spans = this.#text.scan(text, label);
    if (spans.length === 0) return text;
    const replaced = this.#report(spans);
    if (replaced.length === 0) return text;
    const masked = replaceSpans(text, replaced);
    this.#options.changed?.(this.#pointer(), masked);
    return masked;
  }

  /** Numbers of seven digits and more may be a card, a telephone, an account; a masked number becomes a text. */
  #number(value: number | bigint, label: string): unknown {
    const short =
      typeof value === 'number' && !(Number.isSafeInteger(value) && (value >= 1_000_000 || value <= -1_000_000));
    if (short && secretName(label) !== 'password') return value;
    const text = String(value);
    const masked = this.#string(text, label);
    return masked === text ? value : masked;
  }

  #object(value: object, label: string): unknown {
    const live = this.#live(value);
    if (live !== undefined) return live;
    const seen = this.#insideClass ? (this.#seenInClass ??= new Map()) : (this.#seen ??= new Map());
    const known = seen.get(value);
    if (known === UNDER_WAY) return this.#cycle(value);
    if (known !== undefined) return known;
    if (this.#path.length > DEEPEST) throw new RangeError(`Expected a value at most ${DEEPEST} levels deep`);
    seen.set(value, UNDER_WAY);
    let result = this.#rebuilt(value, label);
    if (this.#cycles !== undefined) result = this.#closed(value, result);
    seen.set(value, result);
    return result;
  }

  #closed(value: object, rebuilt: unknown): unknown {
    const shell = this.#cycles?.get(value);
    return shell === undefined || typeof rebuilt !== 'object' ? rebuilt : filled(shell, rebuilt as object);
  }

  #cycle(value: object): object {
    const cycles = (this.#cycles ??= new Map());
    const shell = cycles.get(value);
    if (shell === undefined) cycles.set(value, undefined);
    return shell ?? value;
  }

  #rebuilt(value: object, label: string): unknown {
    if (Array.isArray(value)) return this.#array(value, label);
    if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return this.#buffer(value, label);
    if (ArrayBuffer.isView(value)) return this.#view(value, label);
    if (value instanceof Error) return this.#error(value);
    if (value instanceof Map || value instanceof Set) return this.#collection(value, label);
    if (value instanceof URL) {
      const text = value.toString();
      const masked = this.#string(text, label);
      return masked === text ? value : (URL.parse(masked) ?? masked);
    }
    if (value instanceof URLSearchParams) return this.#pairs(value, (pairs) => new URLSearchParams(pairs));
    // Node loads `Headers`, and much with it, when it is first named.
    if (tagOf(value) === 'Headers' && value instanceof Headers)
      return this.#pairs(value, (pairs) => new Headers(pairs));
    if (this.#insideClass || isPlain(value)) return this.#asJson(value, label) ?? this.#record(value);
    return this.#ofClass(value, label);
  }

  #collection(value: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>, label: string): unknown {
    return value instanceof Map
      ? this.#within(value, Map.prototype, () => this.#map(value))
      : this.#within(value, Set.prototype, () => this.#set(value, label));
  }

  #ofClass(value: object, label: string): unknown {
    const text: unknown = Object.prototype.toString.call(value) === '[object String]' ? value.valueOf() : undefined;
    if (typeof text === 'string') {
      const masked = this.#string(text, label);
      return masked === text ? value : masked;
    }
    return this.#within(value, undefined, () => this.#asJson(value, label) ?? this.#record(value));
  }

  /** As inside of a class, unless `value` is of the very class `own`. */
  #within(value: object, own: object | undefined, visit: () => unknown): unknown {
    if (this.#insideClass || Object.getPrototypeOf(value) === own) return visit();
    this.#insideClass = true;
    try {
      return visit();
    } finally {
      this.#insideClass = false;
    }
  }

  /** What takes its place, if anything does: one and the same in two places stays one. */
  #live(value: object): object | undefined {
    const { live } = this.#options;
    if (live === undefined || this.#insideClass || Array.isArray(value)) return undefined;
    const known = this.#lives?.get(value);
    if (known !== undefined) return known;
    const found = live(value);
    if (found !== undefined) (this.#lives ??= new Map()).set(value, found);
    return found;
  }

  /** What an object says of itself to JSON may be nothing that its members show; where that has to be masked, it takes its place. */
  #asJson(value: object, label: string): unknown {
    const { toJSON } = value as { readonly toJSON?: unknown };
    if (typeof toJSON !== 'function' || value instanceof Date) return undefined;
    const json: unknown = Reflect.apply(toJSON, value, ['']);
    // Asked once, as JSON.stringify does.
    if (json === value) return undefined;
    // Only for what has to be masked: a promise in it is no reason to be its JSON.
    const masked = this.#within(value, undefined, () => {
      if (Array.isArray(json)) return this.#array(json, label);
      return typeof json === 'object' && json !== null ? this.#record(json) : this.#primitive(json, label);
    });
    return masked === json ? undefined : masked;
  }

  #pairs<P extends Iterable<readonly [string, string]>>(value: P, make: (pairs: [string, string][]) => P): unknown {
    const pairs = [...value] as [string, string][];
    const masked = this.#array(pairs, '');
    return masked === pairs ? value : make(masked as [string, string][]);
  }

  #step<T>(step: string | number, visit: () => T, shown = step): T {
    this.#path.push(step);
    this.#shown.push(shown);
    const exempt = this.#exempt?.has(this.#pointer()) === true;
    if (exempt) this.#exemptDepth += 1;
    try {
      return visit();
    } finally {
      if (exempt) this.#exemptDepth -= 1;
      this.#path.pop();
      this.#shown.pop();
    }
  }

  #array(list: readonly unknown[], label: string): unknown {
    let copy: unknown[] | undefined;
    for (let index = 0; index < list.length; index += 1) {
      const item = list[index];
      if (item === null || item === undefined || typeof item === 'boolean') continue;
      const masked = this.#step(index, () => this.#value(item, optionBefore(list, index) || label));
      if (masked !== item) (copy ??= list.slice())[index] = masked;
    }
    return Object.hasOwn(list, 'input') ? this.#match(list as RegExpMatchArray, copy) : (copy ?? list);
  }

  /** What a regular expression found carries the whole text that it was found in. */
  #match(list: RegExpMatchArray, copy: unknown[] | undefined): unknown {
    const { index, input, groups } = list;
    const text = this.#step('input', () => this.#value(input, ''));
    const named = this.#step('groups', () => this.#value(groups, ''));
    if (copy === undefined && text === input && named === groups) return list;
    return Object.assign(copy ?? list.slice(), { index, input: text, groups: named });
  }

  /** Own enumerable members, their names as well; a prototype is kept. Getters are read once, as any reader would. */
  #record(record: object): unknown {
    const naming = this.#naming(record as Readonly<Record<string, unknown>>);
    let copy: Record<string, unknown> | undefined;
    let renamed = false;
    let taken: Map<string, number> | undefined;
    const names = Object.keys(record);
    for (const [index, name] of names.entries()) {
      const item = (record as Readonly<Record<string, unknown>>)[name];
      const [maskedName, shown] = this.#name(name);
      const masked =
        item === null || item === undefined || typeof item === 'boolean'
          ? item
          : this.#step(name, () => this.#value(item, name === 'value' && naming !== undefined ? naming : name), shown);
      if (copy === undefined && (masked !== item || maskedName !== name)) {
        copy = this.#copyOf(record, names.slice(0, index));
      }
      if (copy === undefined) continue;
      renamed ||= maskedName !== name;
      const target = maskedName === name ? name : freeName(maskedName, copy, record, (taken ??= new Map()));
      Object.defineProperty(copy, target, { value: masked, enumerable: true, writable: true, configurable: true });
    }
    if (renamed) this.#options.changed?.(this.#pointer(), copy);
    return copy ?? record;
  }

  /** With what names do not show, and the members of `names`: what a getter gave once it may not give again. */
  #copyOf(record: object, names: readonly string[]): Record<string, unknown> {
    const copy = Object.create(Object.getPrototypeOf(record) as object | null) as Record<string, unknown>;
    for (const name of names) {
      const given = Object.getOwnPropertyDescriptor(record, name);
      const shown: unknown =
        given?.get === undefined ? given?.value : this.#step(name, () => this.#value(Reflect.get(record, name), name));
      Object.defineProperty(copy, name, { value: shown, enumerable: true, writable: true, configurable: true });
    }
    return withHidden(copy, record);
  }

  /** A member name as it should become, and as findings may show it. */
  #name(name: string): readonly [masked: string, shown: string] {
    const spans = this.#text.scan(name);
    if (spans.length === 0) return [name, name];
    return [replaceSpans(name, this.#report(spans, true)), replaceSpans(name, resolveSpans(spans))];
  }

  #naming(record: Readonly<Record<string, unknown>>): string | undefined {
    if (typeof record['value'] !== 'string') return undefined;
    for (const naming of NAMING) {
      const name = record[naming];
      if (typeof name === 'string' && name.length <= 96 && secretName(name) !== undefined) return name;
    }
    return undefined;
  }

  #map(map: ReadonlyMap<unknown, unknown>): unknown {
    let changed = false;
    const entries = [...map].map(([key, item]) => {
      const name = typeof key === 'string' ? key : '';
      const [maskedName, shown] = this.#name(name);
      const maskedKey = typeof key === 'string' ? maskedName : this.#value(key, '');
      const masked = this.#step(name, () => this.#value(item, name), shown);
      changed ||= maskedKey !== key || masked !== item;
      return [maskedKey, masked] as const;
    });
    return changed ? new Map(entries) : map;
  }

  #set(set: ReadonlySet<unknown>, label: string): unknown {
    let changed = false;
    const items = [...set].map((item, index) => {
      const masked = this.#step(index, () => this.#value(item, label));
      changed ||= masked !== item;
      return masked;
    });
    return changed ? new Set(items) : set;
  }

  /** Message, stack, cause, the errors of an AggregateError and own members; the class stays, through its prototype. */
  #error(error: Error): unknown {
    const changes = new Map<string, unknown>();
    for (const name of Object.getOwnPropertyNames(error)) {
      const item: unknown = (error as unknown as Readonly<Record<string, unknown>>)[name];
      if (item === null || item === undefined || typeof item === 'boolean' || typeof item === 'function') continue;
      const masked = this.#step(name, () => this.#value(item, name));
      if (masked !== item) changes.set(name, masked);
    }
    if (changes.size === 0) return error;
    const copy = shellOf(error);
    Object.defineProperties(copy, Object.getOwnPropertyDescriptors(error));
    for (const [name, value] of changes) {
      Object.defineProperty(copy, name, {
        value,
        writable: true,
        configurable: true,
        enumerable: Object.prototype.propertyIsEnumerable.call(error, name),
      });
    }
    return copy;
  }

  /** Of the views of bytes only those of single bytes can take a mask of any length: of others the bytes come back. */
  #view(view: ArrayBufferView, label: string): unknown {
    if (view instanceof Uint8Array) return this.#bytes(view, label);
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    const masked = this.#bytes(bytes, label);
    return masked === bytes ? view : masked;
  }

  #buffer(buffer: ArrayBufferLike, label: string): unknown {
    const bytes = new Uint8Array(buffer);
    const masked = this.#bytes(bytes, label);
    return masked instanceof Uint8Array && masked !== bytes ? masked.slice().buffer : buffer;
  }

  /** UTF-8 and UTF-16 that decode without a fault are text; anything else is left alone. */
  #bytes(bytes: Uint8Array, label: string): unknown {
    if (bytes.length < 3) return bytes;
    const text = textOf(bytes);
    if (text === undefined) return bytes;
    const masked = this.#string(text, label);
    if (masked === text) return bytes;
    return bytesLike(bytes, masked);
  }
}

/** `['--password', 'hunter2x']`, `['X-Api-Key', 'k3y…']`: what stands before a value names it, unless both are just words. */
const optionBefore = (list: readonly unknown[], index: number): string => {
  const [before, value] = [list[index - 1], list[index]];
  if (typeof before !== 'string' || typeof value !== 'string' || before.length > 64 || value.startsWith('-')) return '';
  if (!before.startsWith('-') && (list.length !== 2 || !/\d|[^\w.-]/u.test(value))) return '';
  return secretName(before) === undefined ? '' : before;
};
