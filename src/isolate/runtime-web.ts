/**
 * The few web interfaces of the guest's world: TextEncoder, TextDecoder, URL, URLSearchParams, structuredClone, crypto.
 * Like `runtime.ts`, its text is evaluated inside the isolate: nothing from outside the function may be used.
 * URLs are parsed by the host's own WHATWG parser and come back as text; random bytes come as text too.
 */
import type { GuestAsk } from './runtime.ts';

export const installWeb = (world: Record<string, unknown>, ask: GuestAsk): void => {
  'use strict';
  const { defineProperty, getPrototypeOf, ownKeys } = Reflect;
  const { stringify, parse } = JSON;
  const { fromCharCode, fromCodePoint } = String;
  const text: (value: unknown) => string = String;
  const expose = (name: string, value: unknown): void => {
    defineProperty(world, name, { value, writable: true, enumerable: false, configurable: true });
  };

  // ── UTF-8 (WHATWG Encoding: ill-formed input becomes U+FFFD, lone surrogates too).
  const encode = (input: string): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(input.length * 3);
    let at = 0;
    for (let index = 0; index < input.length; index += 1) {
      let code = input.charCodeAt(index);
      if (code >= 0xd800 && code <= 0xdfff) {
        const low = code < 0xdc00 ? input.charCodeAt(index + 1) : Number.NaN;
        if (low >= 0xdc00 && low <= 0xdfff) {
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          index += 1;
        } else code = 0xfffd;
      }
      if (code < 0x80) bytes[at++] = code;
      else {
        if (code < 0x800) bytes[at++] = 0xc0 | (code >> 6);
        else {
          if (code < 0x10000) bytes[at++] = 0xe0 | (code >> 12);
          else {
            bytes[at++] = 0xf0 | (code >> 18);
            bytes[at++] = 0x80 | ((code >> 12) & 63);
          }
          bytes[at++] = 0x80 | ((code >> 6) & 63);
        }
        bytes[at++] = 0x80 | (code & 63);
      }
    }
    return bytes.slice(0, at);
  };
  /** Decodes up to the end; `rest` counts the bytes of an unfinished last character when more may follow. */
  const decode = (bytes: Uint8Array, fatal: boolean, more: boolean): { decoded: string; rest: number } => {
    let decoded = '';
    let index = 0;
    const bad = (): void => {
      if (fatal) throw new TypeError('The encoded data was not valid for encoding utf-8');
      decoded += '\ufffd';
    };
    while (index < bytes.length) {
      const first = bytes[index] as number;
      if (first < 0x80) {
        decoded += fromCharCode(first);
        index += 1;
        continue;
      }
      const length =
        first >= 0xc2 && first <= 0xdf
          ? 2
          : first >= 0xe0 && first <= 0xef
            ? 3
            : first >= 0xf0 && first <= 0xf4
              ? 4
              : 0;
      if (length === 0) {
        bad();
        index += 1;
        continue;
      }
      let code = first & (0xff >> (length + 1));
      let good = 1;
      for (; good < length; good += 1) {
        const next = bytes[index + good];
        if (next === undefined) break;
        const least = good > 1 ? 0x80 : first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
        const most = good > 1 ? 0xbf : first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
        if (next < least || next > most) break;
        code = (code << 6) | (next & 63);
      }
      if (good === length) decoded += fromCodePoint(code);
      else if (more && index + good >= bytes.length) return { decoded, rest: bytes.length - index };
      else bad();
      index += good;
    }
    return { decoded, rest: 0 };
  };
  const bytesOf = (input: unknown): Uint8Array => {
    if (input === undefined) return new Uint8Array(0);
    if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    return new Uint8Array(input as ArrayBuffer);
  };
  class TextEncoder_ {
    get encoding(): string {
      return 'utf-8';
    }
    encode(input?: unknown): Uint8Array {
      return encode(input === undefined ? '' : text(input));
    }
    encodeInto(input: string, target: Uint8Array): { read: number; written: number } {
      let read = 0;
      let written = 0;
      for (const character of input) {
        const bytes = encode(character);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        written += bytes.length;
        read += character.length;
      }
      return { read, written };
    }
  }
  class TextDecoder_ {
    readonly fatal: boolean;
    readonly ignoreBOM: boolean;
    #kept = new Uint8Array(0);
    #begun = false;
    constructor(label: unknown = 'utf-8', options: { fatal?: boolean; ignoreBOM?: boolean } = {}) {
      if (!/^\s*(?:utf-?8|unicode-1-1-utf-8)\s*$/iu.test(text(label))) {
        throw new RangeError(`Expected the encoding utf-8, the only one a guest has, got ${text(label)}`);
      }
      this.fatal = options.fatal === true;
      this.ignoreBOM = options.ignoreBOM === true;
    }
    get encoding(): string {
      return 'utf-8';
    }
    decode(input?: unknown, options: { stream?: boolean } = {}): string {
      const stream = options.stream === true;
      const fresh = bytesOf(input);
      const bytes = new Uint8Array(this.#kept.length + fresh.length);
      bytes.set(this.#kept);
      bytes.set(fresh, this.#kept.length);
      const { decoded, rest } = decode(bytes, this.fatal, stream);
      this.#kept = bytes.slice(bytes.length - rest);
      const dropsMark = !this.#begun && !this.ignoreBOM && decoded.charCodeAt(0) === 0xfeff;
      this.#begun = stream && (this.#begun || decoded !== '');
      return dropsMark ? decoded.slice(1) : decoded;
    }
  }
  expose('TextEncoder', TextEncoder_);
  expose('TextDecoder', TextDecoder_);

  // ── URLSearchParams (application/x-www-form-urlencoded).
  const formEncode = (plain: string): string => {
    let out = '';
    for (const byte of encode(plain)) {
      const character = fromCharCode(byte);
      if (/[A-Za-z0-9*\-._]/u.test(character)) out += character;
      else out += byte === 0x20 ? '+' : `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
    }
    return out;
  };
  const formDecode = (coded: string): string => {
    const bytes = encode(coded.replaceAll('+', ' '));
    const out = new Uint8Array(bytes.length);
    let at = 0;
    for (let index = 0; index < bytes.length; index += 1) {
      const pair = bytes[index] === 0x25 ? fromCharCode(bytes[index + 1] ?? 0, bytes[index + 2] ?? 0) : '';
      if (/^[0-9a-f]{2}$/iu.test(pair)) {
        out[at++] = Number.parseInt(pair, 16);
        index += 2;
      } else out[at++] = bytes[index] as number;
    }
    return decode(out.subarray(0, at), false, false).decoded;
  };
  type Pair = [string, string];
  const noChange = (): void => {};
  class URLSearchParams_ {
    #pairs: Pair[] = [];
    #changed: () => void = noChange;
    constructor(init: unknown = '') {
      if (typeof init === 'object' && init !== null) {
        const pairs: readonly (readonly unknown[])[] =
          Symbol.iterator in init ? [...(init as Iterable<readonly unknown[]>)] : Object.entries(init);
        for (const [name, value] of pairs) this.#pairs.push([text(name), text(value)]);
      } else this.#read(text(init));
    }
    static link(this: void, params: URLSearchParams_, search: string, changed: () => void): void {
      params.#read(search);
      params.#changed = changed;
    }
    #read(query: string): void {
      this.#pairs = [];
      for (const part of query.replace(/^\?/u, '').split('&')) {
        if (part === '') continue;
        const at = part.indexOf('=');
        this.#pairs.push(
          at < 0 ? [formDecode(part), ''] : [formDecode(part.slice(0, at)), formDecode(part.slice(at + 1))],
        );
      }
    }
    get size(): number {
      return this.#pairs.length;
    }
    append(name: unknown, value: unknown): void {
      this.#pairs.push([text(name), text(value)]);
      this.#changed();
    }
    delete(name: unknown, value?: unknown): void {
      this.#pairs = this.#pairs.filter(([n, v]) => n !== text(name) || (value !== undefined && v !== text(value)));
      this.#changed();
    }
    get(name: unknown): string | null {
      return this.#pairs.find(([n]) => n === text(name))?.[1] ?? null;
    }
    getAll(name: unknown): string[] {
      return this.#pairs.filter(([n]) => n === text(name)).map(([, value]) => value);
    }
    has(name: unknown, value?: unknown): boolean {
      return this.#pairs.some(([n, v]) => n === text(name) && (value === undefined || v === text(value)));
    }
    set(name: unknown, value: unknown): void {
      const first = this.#pairs.findIndex(([n]) => n === text(name));
      if (first < 0) this.#pairs.push([text(name), text(value)]);
      else {
        this.#pairs = this.#pairs.filter(([n], index) => index <= first || n !== text(name));
        this.#pairs[first] = [text(name), text(value)];
      }
      this.#changed();
    }
    sort(): void {
      this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      this.#changed();
    }
    forEach(callback: (value: string, name: string, params: unknown) => void, self?: unknown): void {
      for (const [name, value] of this.#pairs) callback.call(self, value, name, this);
    }
    *entries(): Generator<Pair> {
      for (const [name, value] of this.#pairs) yield [name, value];
    }
    *keys(): Generator<string> {
      for (const [name] of this.#pairs) yield name;
    }
    *values(): Generator<string> {
      for (const [, value] of this.#pairs) yield value;
    }
    [Symbol.iterator](): Generator<Pair> {
      return this.entries();
    }
    toString(): string {
      return this.#pairs.map(([name, value]) => `${formEncode(name)}=${formEncode(value)}`).join('&');
    }
  }
  const { link } = URLSearchParams_;
  Reflect.deleteProperty(URLSearchParams_, 'link');

  // ── URL: eleven texts and a search object.
  const PARTS = 'href protocol username password host hostname port pathname search hash'.split(' ');
  const resolveUrl = (request: readonly unknown[]): Record<string, string> | undefined => {
    const answer = ask('url', stringify(request));
    return answer === '' ? undefined : (parse(answer) as Record<string, string>);
  };
  class URL_ {
    #parts: Record<string, string>;
    readonly #params = new URLSearchParams_();
    constructor(url: unknown, base?: unknown) {
      const parts = resolveUrl(base === undefined ? [text(url)] : [text(url), text(base)]);
      if (parts === undefined) {
        const error = new TypeError('Invalid URL');
        defineProperty(error, 'code', { value: 'ERR_INVALID_URL' });
        throw error;
      }
      this.#parts = parts;
      link(this.#params, parts['search'] as string, () => {
        this.#write('search', this.#params.toString());
      });
    }
    static canParse(url: unknown, base?: unknown): boolean {
      return resolveUrl(base === undefined ? [text(url)] : [text(url), text(base)]) !== undefined;
    }
    static parse(url: unknown, base?: unknown): URL_ | null {
      return URL_.canParse(url, base) ? new URL_(url, base) : null;
    }
    static part(this: void, url: URL_, name: string): string {
      return url.#parts[name] as string;
    }
    static setPart(this: void, url: URL_, name: string, value: string): void {
      url.#write(name, value);
      link(url.#params, url.#parts['search'] as string, () => {
        url.#write('search', url.#params.toString());
      });
    }
    #write(name: string, value: string): void {
      const parts = resolveUrl([this.#parts['href'], null, name, value]);
      if (parts === undefined) throw new TypeError('Invalid URL');
      this.#parts = parts;
    }
    get origin(): string {
      return this.#parts['origin'] as string;
    }
    get searchParams(): URLSearchParams_ {
      return this.#params;
    }
    toString(): string {
      return this.#parts['href'] as string;
    }
    toJSON(): string {
      return this.#parts['href'] as string;
    }
  }
  const { part, setPart } = URL_;
  Reflect.deleteProperty(URL_, 'part');
  Reflect.deleteProperty(URL_, 'setPart');
  for (const name of PARTS) {
    defineProperty(URL_.prototype, name, {
      get(this: URL_) {
        return part(this, name);
      },
      set(this: URL_, value: unknown) {
        setPart(this, name, text(value));
      },
      enumerable: true,
      configurable: true,
    });
  }
  expose('URLSearchParams', URLSearchParams_);
  expose('URL', URL_);

  // ── structuredClone: what the algorithm carries, within one world.
  const cloneError = (what: string): Error => {
    const error = new Error(`${what} could not be cloned`);
    defineProperty(error, 'name', { value: 'DataCloneError' });
    return error;
  };
  const BOXES = new Set<object | null>([Boolean.prototype, Number.prototype, String.prototype]);
  const clone = (value: unknown, seen: Map<unknown, unknown>): unknown => {
    if (typeof value === 'function' || typeof value === 'symbol') throw cloneError(`A ${typeof value}`);
    if (typeof value !== 'object' || value === null) return value;
    if (seen.has(value)) return seen.get(value);
    const keep = <T>(copy: T): T => {
      seen.set(value, copy);
      return copy;
    };
    if (Array.isArray(value)) {
      const copy = keep(Array.from({ length: value.length }));
      for (const key of Object.keys(value)) {
        (copy as unknown as Record<string, unknown>)[key] = clone(
          (value as unknown as Record<string, unknown>)[key],
          seen,
        );
      }
      return copy;
    }
    if (value instanceof Date) return keep(new Date(value.getTime()));
    if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
    if (value instanceof Map) {
      const copy = keep(new Map());
      for (const [key, item] of value) copy.set(clone(key, seen), clone(item, seen));
      return copy;
    }
    if (value instanceof Set) {
      const copy = keep(new Set());
      for (const item of value) copy.add(clone(item, seen));
      return copy;
    }
    if (value instanceof ArrayBuffer) return keep(value.slice(0));
    if (ArrayBuffer.isView(value)) {
      const buffer = clone(value.buffer, seen) as ArrayBuffer;
      const Kind = value.constructor as new (buffer: ArrayBuffer, offset: number, length?: number) => unknown;
      return keep(new Kind(buffer, value.byteOffset, (value as { length?: number }).length ?? value.byteLength));
    }
    if (value instanceof Error) {
      const known = [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
      const Kind = known.find((type) => value.name === type.name) ?? Error;
      const copy = keep(new Kind(value.message));
      defineProperty(copy, 'stack', { value: value.stack, writable: true, configurable: true });
      return copy;
    }
    const inner = (value as { valueOf?: unknown }).valueOf;
    const boxed: unknown =
      typeof inner === 'function' && BOXES.has(getPrototypeOf(value)) ? value.valueOf() : undefined;
    if (boxed !== undefined && typeof boxed !== 'object') return keep(Object(boxed));
    if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) {
      throw cloneError(`A ${value.constructor.name}`);
    }
    const copy = keep({});
    for (const key of Object.keys(value)) {
      const item = clone((value as Record<string, unknown>)[key], seen);
      defineProperty(copy, key, { value: item, writable: true, enumerable: true, configurable: true });
    }
    return copy;
  };
  expose('structuredClone', (value: unknown, options?: { transfer?: readonly unknown[] }) => {
    if ((options?.transfer?.length ?? 0) > 0) throw cloneError('A transferred object');
    return clone(value, new Map());
  });

  // ── crypto: random bytes and identifiers only.
  const integerArrays = [
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    BigInt64Array,
    BigUint64Array,
  ];
  const prototypes = integerArrays.map((type) => type.prototype as object);
  const crypto_ = {
    getRandomValues(array: Uint8Array): Uint8Array {
      if (!ArrayBuffer.isView(array) || !prototypes.includes(getPrototypeOf(array) as object)) {
        throw new TypeError('Expected an integer typed array to fill');
      }
      if (array.byteLength > 65_536) throw new RangeError(`Expected at most 65536 bytes, got ${array.byteLength}`);
      const random = ask('random', array.byteLength);
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      for (let index = 0; index < bytes.length; index += 1) bytes[index] = random.charCodeAt(index);
      return array;
    },
    randomUUID(): string {
      const bytes = crypto_.getRandomValues(new Uint8Array(16));
      bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
      bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
      let id = '';
      for (let index = 0; index < 16; index += 1) {
        id += `${index === 4 || index === 6 || index === 8 || index === 10 ? '-' : ''}${((bytes[index] as number) + 256).toString(16).slice(1)}`;
      }
      return id;
    },
  };
  for (const key of ownKeys(crypto_)) defineProperty(crypto_, key, { enumerable: false });
  expose('crypto', crypto_);
};
