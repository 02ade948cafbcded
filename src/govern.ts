/** Door: wraps tools so that each call is judged by what it would do, recorded, and only then run. */
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { markGoverned } from './brand.ts';
import type { GovernedTool } from './call.ts';
import { derivationOf } from './derivation.ts';
import { createRepeatGuard } from './budget.ts';
import { type GovernOptions, requireGovernOptions } from './govern-options.ts';
import { isSink, OWN_FOLDER, ownJournal, sharedJournal } from './journals.ts';
import type { Layer } from './layer.ts';
import { makeLayer } from './layer.ts';
import type { Basis, Decision } from './model/decision.ts';
import { TapPassConfigError } from './model/errors.ts';
import type { EventSink } from './model/event.ts';
import { DEFAULT_FLAGS } from './model/flags.ts';
import { DEFAULT_LIMITS } from './model/limits.ts';
import { overDefaults } from './model/options.ts';
import { parseFlags, requireFlags } from './policy/flags.ts';
import { callTool, checkCall } from './run.ts';
import { requireHarmless } from './sql-denied.ts';
import { faceOfFunction, faceOfObject, pinTexts } from './tools/faces.ts';
import type { Call } from './tools/faces.ts';
import { snapshotOf } from './tools/integrity.ts';
import type { AnyFunction } from './tools/shape.ts';
import { shapeOf } from './tools/shape.ts';

/** Which tools are judged by what they declare, by inference, or by name alone. */
export interface Coverage {
  readonly declared: readonly string[];
  readonly inferred: readonly string[];
  readonly unknown: readonly string[];
}

export type { GovernOptions } from './govern-options.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- a constraint that every tool signature must satisfy
type ToolFunction = (...args: any[]) => unknown;
// oxlint-disable-next-line typescript/no-explicit-any -- as above
type ToolObject = { readonly execute: (input: any, ...context: any[]) => unknown };
export type Governable = ToolFunction | ToolObject;
export type Tools = readonly Governable[] | Readonly<Record<string, Governable>>;

/** The tool itself, exactly as typed, with a dry run beside it. */
export type GovernedOne<T> = T extends (...args: infer A) => unknown
  ? T & { check: (...args: A) => Promise<Decision> }
  : T extends { readonly execute: (input: infer I, ...context: never[]) => unknown }
    ? T & { check: (input: I) => Promise<Decision> }
    : never;

/** The same array, tuple or record, each tool governed. */
export type Governed<T extends Tools> = { -readonly [K in keyof T]: GovernedOne<T[K]> } & { coverage: () => Coverage };

const governed = new WeakMap<object, GovernedTool>();

const NO_SINKS: readonly EventSink[] = Object.freeze([]);

const workspaceOf = (option: string | undefined): string => {
  const path = resolve(option ?? process.env['TAPPASS_WORKSPACE'] ?? process.cwd());
  try {
    return realpathSync(path);
  } catch (error) {
    throw new TapPassConfigError(`Expected \`workspace\` to be an existing directory, got ${JSON.stringify(path)}`, {
      code: 'TAPPASS_CONFIG_WORKSPACE',
      cause: error,
    });
  }
};

/** Where effects will be resolved to: symlinks followed as far as there is something. */
const realDirectory = (dir: string): string => {
  const path = resolve(dir);
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realDirectory(parent), basename(path));
  }
};

const layerOf = (options: GovernOptions, inherits: boolean): Layer => {
  requireGovernOptions(options);
  const { flags = {}, strictFlags = false, audit } = options;
  const read = strictFlags ? requireFlags : parseFlags;
  const environment = read(process.env['TAPPASS_FLAGS'] ?? '');
  const parsed = read(flags);
  const workspace = workspaceOf(options.workspace);
  let sinks: () => readonly EventSink[];
  if (audit === false || (audit === undefined && inherits)) sinks = () => NO_SINKS;
  else if (audit !== undefined && isSink(audit)) {
    const given = [audit];
    sinks = () => given;
  } else {
    let opened: readonly EventSink[] | undefined;
    sinks = () => (opened ??= [audit === undefined ? ownJournal(workspace) : sharedJournal(audit)]);
  }
  const { network, commands, harmlessFunctions, content, rate, ledger, loopGuard } = options;
  requireHarmless(harmlessFunctions);
  return makeLayer({
    parsed,
    environment,
    base: { ...DEFAULT_FLAGS, ...environment.given, ...parsed.given },
    locked: new Set(options.locked),
    limits: overDefaults(DEFAULT_LIMITS, options.limits),
    subject: options.subject === undefined ? undefined : Object.freeze({ ...options.subject }),
    workspace,
    signal: options.signal,
    onEvent: options.onEvent,
    sinks,
    protectedPaths: [
      join(workspace, OWN_FOLDER),
      ...(typeof audit === 'object' && typeof audit.dir === 'string' ? [realDirectory(audit.dir)] : []),
    ],
    extras: {
      ...(network !== undefined && { network }),
      ...(commands !== undefined && { commands }),
      ...(harmlessFunctions !== undefined && { harmlessFunctions }),
      ...(content !== undefined && { content }),
      ...(rate !== undefined && { rate }),
      ...(ledger !== undefined && { ledger }),
    },
    repeatGuard: loopGuard === undefined ? undefined : createRepeatGuard(loopGuard === true ? {} : loopGuard),
    raiseOnRedaction: options.raiseOnRedaction === true,
  });
};

const defineHidden = (target: object, name: string, value: unknown): void => {
  Object.defineProperty(target, name, { value, enumerable: false, configurable: true, writable: true });
};

interface Wrapped {
  readonly tool: unknown;
  readonly state: GovernedTool;
}

const wrap = (tool: unknown, key: string | undefined, where: string, options: GovernOptions, layer: Layer): Wrapped => {
  const inner = typeof tool === 'object' || typeof tool === 'function' ? governed.get(tool as object) : undefined;
  const shape = inner?.shape ?? shapeOf(tool, key, where);
  const original = inner?.original ?? (tool as object);
  const faces: object[] = inner === undefined ? [original] : [...inner.faces];
  const { effects = {} } = options;
  const given = Object.hasOwn(effects, shape.name) ? effects[shape.name] : undefined;
  const derivation =
    inner !== undefined && given === undefined
      ? { derive: inner.derives[0], basis: inner.basis }
      : derivationOf(shape, given ?? shape.declared);
  const snapshot = snapshotOf(original, shape);
  const state: GovernedTool = {
    shape,
    original,
    faces,
    snapshot,
    derives: inner === undefined ? [derivation.derive] : [derivation.derive, ...inner.derives],
    basis: derivation.basis,
    layers: inner === undefined ? [layer] : [layer, ...inner.layers],
  };
  const call: Call = (self, argv) => callTool(state, self, argv);
  const face =
    shape.kind === 'function'
      ? faceOfFunction(shape, tool as AnyFunction, call)
      : faceOfObject(shape, tool as object, call);
  pinTexts(face, original, snapshot);
  faces.push(face);
  defineHidden(face, 'check', (...argv: unknown[]) => checkCall(state, argv));
  governed.set(face, state);
  markGoverned(face, shape.kind === 'function' ? (face as AnyFunction) : (face as { execute: AnyFunction }).execute);
  return { tool: face, state };
};

const coverageOf = (states: readonly GovernedTool[]): Coverage => {
  const named = (basis: Basis): readonly string[] =>
    states.filter((state) => state.basis === basis).map((state) => state.shape.name);
  return { declared: named('declared'), inferred: named('inferred'), unknown: named('unknown') };
};

const requireUnique = (states: readonly GovernedTool[]): void => {
  const seen = new Set<string>();
  for (const { shape } of states) {
    if (seen.has(shape.name)) {
      throw new TapPassConfigError(
        `Expected every tool to have a name of its own, got two named ${JSON.stringify(shape.name)}: flags and records go by name`,
      );
    }
    seen.add(shape.name);
  }
};

const requireKnown = (options: GovernOptions, states: readonly GovernedTool[]): void => {
  const names = new Set(states.map(({ shape }) => shape.name));
  const stray = Object.keys(options.effects ?? {}).find((name) => !names.has(name));
  if (stray !== undefined) {
    throw new TapPassConfigError(
      `Expected \`effects\` to name governed tools (${[...names].join(', ')}), got ${JSON.stringify(stray)}`,
    );
  }
};

/**
 * Governs an array or a record of tools: functions, or objects with a name, a schema and `execute`. Returns the same
 * shape with the same types; each tool gains `check(...)`, a dry run over the same code path, and the whole gains
 * `coverage()`.
 *
 * A denied call throws `PolicyBlockError` and its body never runs. Tools that run in this process are *governed*, not
 * *contained*: what they do beyond their arguments is not held by anything here.
 *
 * @throws TapPassConfigError for what cannot be governed, for unknown options and, with `strictFlags`, for flags that
 *   would be ignored.
 */
export const govern = <const T extends Tools>(tools: T, options: GovernOptions = {}): Governed<T> => {
  const isList = Array.isArray(tools);
  if (!isList && (typeof tools !== 'object' || (tools as unknown) === null)) {
    throw new TapPassConfigError(
      `Expected an array or a record of tools, got ${typeof tools}; wrap a single tool: govern([tool])`,
    );
  }
  const entries = Object.entries(tools) as [string, unknown][];
  const inherits = entries.length > 0 && entries.every(([, tool]) => governed.has(tool as object));
  const layer = layerOf(options, inherits);
  const result: Record<string, unknown> | unknown[] = isList ? [] : {};
  const states: GovernedTool[] = [];
  for (const [key, tool] of entries) {
    const where = isList ? `tools[${key}]` : `tools.${key}`;
    const wrapped = wrap(tool, isList ? undefined : key, where, options, layer);
    states.push(wrapped.state);
    Object.defineProperty(result, key, { value: wrapped.tool, enumerable: true, configurable: true, writable: true });
  }
  requireUnique(states);
  requireKnown(options, states);
  if (Object.hasOwn(result, 'coverage')) {
    throw new TapPassConfigError('Expected no tool under the key `coverage`, which is what the whole gains');
  }
  defineHidden(result, 'coverage', () => coverageOf(states));
  return result as unknown as Governed<T>;
};
