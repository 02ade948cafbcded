/** Any value that a call carries: its texts scanned wherever they stand, and rebuilt only where something changed. */
import { NO_FINDINGS, type Finding, type FindingKind, type Findings } from '../model/content.ts';
import {
  bytesLike,
  closed,
  copyOfList,
  cyclesIn,
  foreignCollection,
  isForeignError,
  isOfClass,
  freeName,
  indexesOf,
  isPlain,
  LONGEST_DENSE,
  met,
  readMember,
  shellOf,
  tagOf,
  textInside,
  textOf,
  UNDER_WAY,
  withShells,
  type Seen,
} from './copies.ts';
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

/** Most cycles are known after one walk, some only in copies; objects that show others each time are not worth more. */
const MOST_WALKS = 8;

/** Names under which objects carry the name of what is in `value`: `{name: 'API_TOKEN', value: '…'}`. */
const NAMING = ['name', 'key', 'variable', 'header', 'field', 'id', 'label'] as const;

export class ValueWalk {
  readonly #text: TextScanner;
  readonly #options: WalkOptions;
  readonly #exempt: ReadonlySet<string> | undefined;
  #findings: Finding[] = [];
  /** Made when there is an object to see twice. */
  #seen: Seen | undefined;
  /** The same for what is met inside of an object of a class, where it becomes something else. */
  #seenInClass: Seen | undefined;
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
      const known = cyclesIn(this.#seen) + cyclesIn(this.#seenInClass);
      const result = this.#value(value, '');
      // What leads back led to the object as it was: where something changed, once more, with copies that are there first.
      if (result === value || cyclesIn(this.#seen) + cyclesIn(this.#seenInClass) === known) {
        const findings = this.#findings.length === 0 ? NO_FINDINGS : this.#findings;
        return { value: result, findings, changed: result !== value };
      }
      this.#seen = withShells(this.#seen);
      this.#seenInClass = withShells(this.#seenInClass);
      this.#findings = [];
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
    if (!this.#insideClass && isOfClass(value)) return this.#inside(value, label);
    const seen = this.#insideClass ? (this.#seenInClass ??= {}) : (this.#seen ??= {});
    const objects = (seen.objects ??= new Map());
    const known = objects.get(value);
    if (known === UNDER_WAY) return met(seen, value);
    if (known !== undefined) return known;
    if (this.#path.length > DEEPEST) throw new RangeError(`Expected a value at most ${DEEPEST} levels deep`);
    objects.set(value, UNDER_WAY);
    let result = this.#rebuilt(value, label);
    if (seen.cycles !== undefined) result = closed(seen, value, result);
    objects.set(value, result);
    return result;
  }

  #rebuilt(value: object, label: string): unknown {
    if (Array.isArray(value)) return this.#array(value, label);
    if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return this.#buffer(value, label);
    if (ArrayBuffer.isView(value)) return this.#view(value, label);
    if (value instanceof Error) return this.#error(value);
    if (value instanceof Map) return this.#map(value);
    if (value instanceof Set) return this.#set(value, label);
    if (value instanceof URL) {
      const text = value.toString();
      const masked = this.#string(text, label);
      return masked === text ? value : (URL.parse(masked) ?? masked);
    }
    if (value instanceof URLSearchParams) return this.#pairs(value, (pairs) => new URLSearchParams(pairs));
    // Node loads `Headers`, and much with it, when it is first named.
    if (tagOf(value) === 'Headers' && value instanceof Headers)
      return this.#pairs(value, (pairs) => new Headers(pairs));
    if (this.#insideClass && !isPlain(value)) return this.#ofClass(value, label);
    return this.#asJson(value, label) ?? this.#record(value);
  }

  #inside(value: object, label: string): unknown {
    this.#insideClass = true;
    try {
      return this.#object(value, label);
    } finally {
      this.#insideClass = false;
    }
  }

  #ofClass(value: object, label: string): unknown {
    const text = textInside(value);
    if (text !== undefined) {
      const masked = this.#string(text, label);
      return masked === text ? value : masked;
    }
    if (isForeignError(value)) return this.#error(value);
    const foreign = foreignCollection(value);
    if (foreign === undefined) return this.#asJson(value, label) ?? this.#record(value);
    const masked = foreign instanceof Map ? this.#map(foreign) : this.#set(foreign, label);
    return masked === foreign ? value : masked;
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
    const before = this.#insideClass;
    this.#insideClass = true;
    try {
      const masked = Array.isArray(json)
        ? this.#array(json, label)
        : typeof json === 'object' && json !== null
          ? this.#record(json)
          : this.#primitive(json, label);
      return masked === json ? undefined : masked;
    } finally {
      this.#insideClass = before;
    }
  }

  #pairs<P extends Iterable<readonly [string, string]>>(value: P, make: (pairs: [string, string][]) => P): unknown {
    const pairs = [...value] as [string, string][];
    const masked = this.#array(pairs, '');
    return masked === pairs ? value : make(masked as [string, string][]);
  }

  /** Goes to a member; returns whether it is exempt. A walk that throws is not gone on with: nothing need be undone then. */
  #enter(step: string | number, shown = step): boolean {
    this.#path.push(step);
    this.#shown.push(shown);
    const exempt = this.#exempt?.has(this.#pointer()) === true;
    if (exempt) this.#exemptDepth += 1;
    return exempt;
  }

  #leave(exempt: boolean): void {
    if (exempt) this.#exemptDepth -= 1;
    this.#path.pop();
    this.#shown.pop();
  }

  #step(step: string | number, item: unknown, label: string, shown = step): unknown {
    const exempt = this.#enter(step, shown);
    const masked = this.#value(item, label);
    this.#leave(exempt);
    return masked;
  }

  #array(list: readonly unknown[], label: string): unknown {
    let copy: unknown[] | undefined;
    const indexes = list.length > LONGEST_DENSE ? indexesOf(list) : undefined;
    for (let nth = 0; nth < (indexes ?? list).length; nth += 1) {
      const index = indexes === undefined ? nth : (indexes[nth] as number);
      const item = list[index];
      if (item === null || item === undefined || typeof item === 'boolean') continue;
      const masked = this.#step(index, item, optionBefore(list, index) || label);
      if (masked !== item) (copy ??= copyOfList(list))[index] = masked;
    }
    return Object.hasOwn(list, 'input') ? this.#match(list as RegExpMatchArray, copy) : (copy ?? list);
  }

  /** What a regular expression found carries the whole text that it was found in. */
  #match(list: RegExpMatchArray, copy: unknown[] | undefined): unknown {
    const { index, input, groups } = list;
    const text = this.#step('input', input, '');
    const named = this.#step('groups', groups, '');
    if (copy === undefined && text === input && named === groups) return list;
    return Object.assign(copy ?? copyOfList(list), { index, input: text, groups: named });
  }

  /** Own enumerable members, their names as well; a prototype is kept. Getters are read once, as any reader would. */
  #record(record: object): unknown {
    const naming = this.#naming(record as Readonly<Record<string, unknown>>);
    let copy: Record<string, unknown> | undefined;
    let renamed = false;
    let taken: Map<string, number> | undefined;
    const names = Object.keys(record);
    const shown: unknown[] = [];
    for (const [index, name] of names.entries()) {
      const item = (record as Readonly<Record<string, unknown>>)[name];
      const [maskedName, told] = this.#name(name);
      const masked =
        item === null || item === undefined || typeof item === 'boolean'
          ? item
          : this.#step(name, item, name === 'value' && naming !== undefined ? naming : name, told);
      if (copy === undefined && (masked !== item || maskedName !== name)) {
        copy = this.#copyOf(record, names, index, shown);
      }
      shown.push(masked);
      if (copy === undefined) continue;
      renamed ||= maskedName !== name;
      const target = maskedName === name ? name : freeName(maskedName, copy, record, (taken ??= new Map()));
      Object.defineProperty(copy, target, { value: masked, enumerable: true, writable: true, configurable: true });
    }
    if (renamed) this.#options.changed?.(this.#pointer(), copy);
    return copy ?? record;
  }

  /** With the first of its members, as they were read, and what names do not show: symbols, members that are hidden. */
  #copyOf(record: object, names: readonly string[], count: number, shown: readonly unknown[]): Record<string, unknown> {
    const copy = Object.create(Object.getPrototypeOf(record) as object | null) as Record<string, unknown>;
    for (let index = 0; index < count; index += 1) {
      const value = shown[index];
      Object.defineProperty(copy, names[index] ?? '', { value, enumerable: true, writable: true, configurable: true });
    }
    for (const key of Reflect.ownKeys(record)) {
      const { enumerable = false } = Reflect.getOwnPropertyDescriptor(record, key) ?? {};
      if (typeof key === 'string' && enumerable) continue;
      const name = String(key);
      const read = readMember(record, key);
      // An object that is hidden may hide more: it is left out, as what cannot be read is.
      if (read === undefined || (typeof read.value === 'object' && read.value !== null)) continue;
      const value = this.#step(name, read.value, name);
      Object.defineProperty(copy, key, { value, enumerable, writable: true, configurable: true });
    }
    return copy;
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
      const masked = this.#step(name, item, name, shown);
      changed ||= maskedKey !== key || masked !== item;
      return [maskedKey, masked] as const;
    });
    return changed ? new Map(entries) : map;
  }

  #set(set: ReadonlySet<unknown>, label: string): unknown {
    let changed = false;
    const items = [...set].map((item, index) => {
      const masked = this.#step(index, item, label);
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
      const masked = this.#step(name, item, name);
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
