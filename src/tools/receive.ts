/**
 * The private copy of a call's arguments: cloned once, bounded, frozen. What is judged, recorded and run is this copy,
 * so that nothing the caller does afterwards can change it (time of check to time of use).
 *
 * Every property is read exactly once; accessors and Proxies run then and never again. What has no meaning as data
 * (functions, symbols, instances of classes) is refused rather than copied wrongly.
 */
import type { Limits } from '../model/limits.ts';

export type Received =
  /** `isJson`: JSON carries the copy as it is, without `asJson`. */
  { readonly value: unknown; readonly isJson: boolean } | { readonly fault: ArgumentFault };

export interface ArgumentFault {
  readonly code:
    | 'arguments.circular'
    | 'arguments.too-deep'
    | 'arguments.too-large'
    | 'arguments.not-data'
    | 'arguments.threw';
  /** JSON pointer of the value that cannot be taken. */
  readonly at: string;
  readonly expected: string;
}

class Refusal extends Error {
  readonly fault: ArgumentFault;
  constructor(fault: ArgumentFault) {
    super(fault.expected);
    this.fault = fault;
  }
}

interface Budget {
  nodes: number;
  bytes: number;
  isJson: boolean;
}

/** Copies `value`, or says what in it cannot be taken and where. Never throws, whatever the value does when read. */
export const receive = (value: unknown, limits: Limits): Received => {
  const budget: Budget = { nodes: limits.argumentNodes, bytes: limits.argumentBytes, isJson: true };
  const path: string[] = [];
  try {
    const copy = copyOf(value, budget, limits.argumentDepth, path, new Set());
    return { value: copy, isJson: budget.isJson };
  } catch (error) {
    if (error instanceof Refusal) return { fault: error.fault };
    const at = pointerOf(path);
    return {
      fault: { code: 'arguments.threw', at, expected: 'expected arguments that can be read, but reading them threw' },
    };
  }
};

const pointerOf = (path: readonly string[]): string =>
  path
    .slice(0, 20)
    .map((key) => `/${key.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('') + (path.length > 20 ? '/…' : '');

const refuse = (code: ArgumentFault['code'], path: readonly string[], expected: string): never => {
  throw new Refusal({ code, at: pointerOf(path), expected });
};

const spend = (budget: Budget, bytes: number, path: readonly string[]): void => {
  budget.bytes -= bytes;
  budget.nodes -= 1;
  if (budget.bytes < 0 || budget.nodes < 0) {
    refuse(
      'arguments.too-large',
      path,
      'expected smaller arguments (see `limits.argumentBytes` and `limits.argumentNodes`)',
    );
  }
};

const copyOf = (value: unknown, budget: Budget, depth: number, path: string[], above: Set<object>): unknown => {
  switch (typeof value) {
    case 'string':
      spend(budget, value.length, path);
      if (!value.isWellFormed()) budget.isJson = false;
      return value;
    case 'number':
      spend(budget, 8, path);
      if (!Number.isFinite(value)) budget.isJson = false;
      return value;
    case 'boolean':
      spend(budget, 8, path);
      return value;
    case 'undefined':
    case 'bigint':
      spend(budget, 8, path);
      budget.isJson = false;
      return value;
    case 'object':
      return value === null ? null : copyOfObject(value, budget, depth, path, above);
    case 'function':
    case 'symbol':
      return refuse(
        'arguments.not-data',
        path,
        `expected data, got a ${typeof value}: pass a value; what a framework hands over beside the input is passed on to tools ` +
          'that are objects with `execute`',
      );
    default:
      return refuse('arguments.not-data', path, 'expected data');
  }
};

const copyOfObject = (value: object, budget: Budget, depth: number, path: string[], above: Set<object>): unknown => {
  if (depth === 0)
    refuse('arguments.too-deep', path, 'expected less deeply nested arguments (see `limits.argumentDepth`)');
  if (above.has(value)) refuse('arguments.circular', path, 'expected arguments without cycles');
  spend(budget, 2, path);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    above.add(value);
    const copy: unknown[] = [];
    const { length } = value;
    if (length > budget.nodes)
      refuse('arguments.too-large', path, 'expected fewer elements (see `limits.argumentNodes`)');
    for (let index = 0; index < length; index += 1) {
      path.push(String(index));
      copy.push(copyOf(value[index], budget, depth - 1, path, above));
      path.pop();
    }
    above.delete(value);
    return Object.freeze(copy);
  }
  if (prototype === Object.prototype || prototype === null || isForeignPlain(value, prototype)) {
    above.add(value);
    const copy: Record<string, unknown> = {};
    for (const key of Object.keys(value)) {
      path.push(key);
      spend(budget, key.length, path);
      if (!key.isWellFormed()) budget.isJson = false;
      const item = copyOf((value as Record<string, unknown>)[key], budget, depth - 1, path, above);
      // An own `__proto__` (JSON.parse makes one) must stay a plain property and never become the prototype.
      if (key === '__proto__') Object.defineProperty(copy, key, { value: item, enumerable: true });
      else copy[key] = item;
      path.pop();
    }
    above.delete(value);
    return Object.freeze(copy);
  }
  return copyOfBuiltin(value, budget, path);
};

/** A plain object of another realm (a `vm` context, an iframe) has another Object.prototype. */
export const isForeignPlain = (value: object, prototype: unknown): boolean =>
  typeof prototype === 'object' &&
  prototype !== null &&
  Object.getPrototypeOf(prototype) === null &&
  Object.hasOwn(prototype, 'isPrototypeOf') &&
  Object.prototype.toString.call(value) === '[object Object]';

const copyOfBuiltin = (value: object, budget: Budget, path: string[]): unknown => {
  budget.isJson = false;
  const copy = privateCopy(value);
  if (copy === undefined) {
    return refuse(
      'arguments.not-data',
      path,
      'expected plain data (objects, arrays, texts, numbers, dates, bytes, URLs), got an instance of a class, a Map, a Set or a stream',
    );
  }
  if (ArrayBuffer.isView(copy) || copy instanceof ArrayBuffer) spend(budget, copy.byteLength, path);
  return copy;
};

/** By the getters of the language's own prototypes: no property of a value can answer in their place. */
const tagOfView = (value: object): unknown => Reflect.get(VIEW, Symbol.toStringTag, value);
const VIEW = Object.getPrototypeOf(Uint8Array.prototype) as object;
/** Throws for what only looks like a signal. */
const requireSignal = (value: object): void => {
  Reflect.get(AbortSignal.prototype, 'aborted', value);
};

type MakeView = new (buffer: ArrayBufferLike) => object;
const VIEWS: ReadonlyMap<unknown, MakeView> = new Map(
  [
    Int8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
  ].map((View) => [View.name, View]),
);

/**
 * A copy of what the language itself makes (bytes, dates, URLs …); `undefined` for anything else. Nothing that the value
 * says of itself is called: a constructor or a `slice` of its own would hand back what somebody else still holds.
 */
export const privateCopy = (value: object): object | undefined => {
  if (ArrayBuffer.isView(value)) {
    if (value instanceof DataView) return undefined;
    // The bytes of a pooled Buffer or a SharedArrayBuffer could still change: only a copy of them is ours.
    const { buffer } = Uint8Array.from(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    if (value instanceof Uint8Array) return Buffer.from(buffer);
    const View = VIEWS.get(tagOfView(value));
    return View === undefined ? undefined : new View(buffer);
  }
  if (value instanceof ArrayBuffer) return Uint8Array.from(new Uint8Array(value)).buffer;
  if (value instanceof Date) return new Date(Date.prototype.getTime.call(value));
  if (value instanceof URL) return new URL(value.href);
  if (value instanceof AbortSignal) {
    requireSignal(value);
    return value;
  }
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  return undefined;
};

/**
 * The arguments as JSON can carry them, for the journal and its digest: bytes, dates, URLs and bigints become tagged
 * texts, so that two different arguments never have one digest. Returns the same reference where nothing needs it.
 */
export const asJson = (value: unknown): unknown => {
  switch (typeof value) {
    case 'undefined':
      return { $undefined: true };
    case 'bigint':
      return { $bigint: String(value) };
    case 'number':
      return Number.isFinite(value) ? value : { $number: String(value) };
    case 'string':
      return value.isWellFormed() ? value : { $utf16: Buffer.from(value, 'utf16le').toString('hex') };
    case 'object':
      return value === null ? null : objectAsJson(value);
    default:
      return value;
  }
};

const objectAsJson = (value: object): unknown => {
  if (Array.isArray(value)) {
    const items = value.map(asJson);
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (ArrayBuffer.isView(value))
    return { $bytes: base64Of(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
  if (value instanceof ArrayBuffer) return { $bytes: base64Of(new Uint8Array(value)) };
  if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString() };
  if (value instanceof URL) return { $url: value.href };
  if (value instanceof AbortSignal) return { $signal: true };
  if (value instanceof RegExp) return { $regexp: String(value) };
  let changed = false;
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const json = asJson(item);
    const safe = key.isWellFormed() ? key : key.toWellFormed();
    if (json !== item || safe !== key) changed = true;
    if (safe === '__proto__') Object.defineProperty(copy, safe, { value: json, enumerable: true, configurable: true });
    else copy[safe] = json;
  }
  return changed || Object.getPrototypeOf(value) !== Object.prototype ? copy : value;
};

/**
 * As `asJson`, for the eyes of readers: bytes are named by their digest, because a secret in base64 is still a secret, and
 * no scanner can be sure to find it there.
 */
export const asRecord = (value: unknown, digestOf: (bytes: Uint8Array) => string): unknown => {
  if (typeof value !== 'object' || value === null) return asJson(value);
  if (Array.isArray(value)) return value.map((item) => asRecord(item, digestOf));
  const bytes = ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : value instanceof ArrayBuffer
      ? new Uint8Array(value)
      : undefined;
  if (bytes !== undefined) return { $bytes: bytes.length, sha256: digestOf(bytes) };
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return asJson(value);
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const json = asRecord(item, digestOf);
    Object.defineProperty(copy, key.toWellFormed(), { value: json, enumerable: true, configurable: true });
  }
  return copy;
};

const base64Of = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
