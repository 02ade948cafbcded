/**
 * The governed copy of a tool: in everything the tool itself, except that its body, under whatever name it can be reached,
 * is the governed one.
 */
import { TapPassConfigError } from '../model/errors.ts';
import type { ToolSnapshot } from './integrity.ts';
import { SCHEMA_KEYS } from './shape.ts';
import type { AnyFunction, ToolShape } from './shape.ts';

/** Takes one call: `this` and the arguments. */
export type Call = (self: unknown, argv: readonly unknown[]) => unknown;

/** Methods by which frameworks run a tool, besides `execute`. */
const RUNS = [
  'invoke',
  'run',
  'call',
  'func',
  'fn',
  'handler',
  'callback',
  'action',
  'batch',
  'stream',
  '_call',
  '_run',
];

/** What the model reads of a tool. */
const READ_BY_MODELS = ['name', 'description', 'title', 'id', ...SCHEMA_KEYS];

const closed = (tool: string, method: string): AnyFunction =>
  function refused(): never {
    throw new TapPassConfigError(
      `Expected calls of \`${tool}\` to go through its governed body, got \`${method}\`, which would run ungoverned. ` +
        'Govern the tool in a shape whose only body is `execute`.',
      { code: 'TAPPASS_CONFIG_UNGOVERNED_METHOD' },
    );
  };

const define = (target: object, key: PropertyKey, value: unknown, enumerable: boolean): void => {
  Object.defineProperty(target, key, { value, enumerable, configurable: true, writable: true });
};

/** Every property of `original` down to the prototypes that the language itself made. */
const reachable = (original: object): ReadonlyMap<PropertyKey, PropertyDescriptor> => {
  const found = new Map<PropertyKey, PropertyDescriptor>();
  for (
    let at: object | null = original;
    at !== null && at !== Object.prototype && at !== Function.prototype;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    if (typeof at === 'function' && at !== original) break;
    for (const key of Reflect.ownKeys(at)) {
      const descriptor = Object.getOwnPropertyDescriptor(at, key);
      if (descriptor !== undefined && !found.has(key)) found.set(key, descriptor);
    }
  }
  return found;
};

/** Puts ours in the place of the body, and closes the other ways to run it. */
const closeWays = (face: object, original: object, { name, body, method }: ToolShape, ours: AnyFunction): void => {
  for (const [key, descriptor] of reachable(original)) {
    if (key === method || key === 'constructor') continue;
    const enumerable = descriptor.enumerable === true;
    if (descriptor.value === body) define(face, key, ours, enumerable);
    else if (typeof key === 'string' && RUNS.includes(key)) {
      if (descriptor.get !== undefined || typeof descriptor.value === 'function') {
        define(face, key, closed(name, key), enumerable);
      }
    }
  }
};

export const faceOfFunction = (shape: ToolShape, original: AnyFunction, call: Call): AnyFunction => {
  const face: AnyFunction = function face(this: unknown, ...argv: unknown[]) {
    return call(this, argv);
  };
  for (const key of Reflect.ownKeys(original)) {
    if (key === 'prototype' || key === 'arguments' || key === 'caller') continue;
    const descriptor = Object.getOwnPropertyDescriptor(original, key);
    if (descriptor !== undefined) Object.defineProperty(face, key, { ...descriptor, configurable: true });
  }
  Object.setPrototypeOf(face, Object.getPrototypeOf(original) as object | null);
  closeWays(face, original, shape, face);
  return face;
};

export const faceOfObject = (shape: ToolShape, original: object, call: Call): object => {
  const descriptors = Object.getOwnPropertyDescriptors(original);
  // A sealed original must still give a copy whose body is ours.
  for (const descriptor of Object.values(descriptors)) descriptor.configurable = true;
  const face = Object.create(Object.getPrototypeOf(original) as object | null, descriptors) as Record<string, unknown>;
  const execute: AnyFunction = function execute(this: unknown, ...argv: unknown[]): unknown {
    return call(this, argv);
  };
  define(face, shape.method, execute, true);
  closeWays(face, original, shape, execute);
  return face;
};

/** What models read must be what was approved: an accessor could tell them something else than the check. */
export const pinTexts = (face: object, original: object, approved: ToolSnapshot): void => {
  const ways = reachable(original);
  for (const key of READ_BY_MODELS) {
    const descriptor = ways.get(key);
    if (descriptor?.get === undefined) continue;
    const schema = approved.schemas.find((one) => one.key === key);
    const texts: Readonly<Record<string, unknown>> = { name: approved.name, description: approved.description };
    const value: unknown =
      schema?.schema ?? (key in texts ? texts[key] : (original as Readonly<Record<string, unknown>>)[key]);
    define(face, key, value, descriptor.enumerable === true);
  }
};
