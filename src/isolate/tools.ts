/** The tools a guest may call, by name: governed tools only, whatever their shape. */
import { TapPassConfigError } from '../model/errors.ts';

/** A function, or an object with `execute`, as `govern()` returned it. */
export type GuestTool = Function | { readonly execute: Function };
export type GuestTools = readonly GuestTool[] | Readonly<Record<string, GuestTool>>;

export interface CallableTool {
  readonly name: string;
  /** What the program passed: where descriptions and schemas are read. */
  readonly tool: GuestTool;
  /** Calls it with the guest's arguments. */
  readonly call: (args: readonly unknown[], context: object) => unknown;
}

/** The body of a tool that was governed; `undefined` for one that was not. The door knows. */
export type GovernedBody = (tool: object) => ((this: unknown, ...args: unknown[]) => unknown) | undefined;

const MAX_NAME = 200;

/** Throws TapPassConfigError. */
export const callableTools = (
  tools: GuestTools | undefined,
  governedBody: GovernedBody,
): ReadonlyMap<string, CallableTool> => {
  const callable = new Map<string, CallableTool>();
  if (tools === undefined) return callable;
  if (typeof tools !== 'object' || tools === null)
    throw misuse('`tools`', 'an array or a record of governed tools', tools);
  const entries: readonly (readonly [string | undefined, unknown])[] = Array.isArray(tools)
    ? tools.map((tool: unknown) => [undefined, tool] as const)
    : Object.entries(tools);
  for (const [key, tool] of entries) {
    const made = callableTool(key, tool, governedBody);
    if (callable.has(made.name)) throw misuse('the names in `tools`', 'no two tools of one name', made.name);
    callable.set(made.name, made);
  }
  return callable;
};

const callableTool = (key: string | undefined, tool: unknown, governedBody: GovernedBody): CallableTool => {
  if ((typeof tool !== 'object' && typeof tool !== 'function') || tool === null) {
    throw misuse('each of `tools`', 'a governed tool', tool);
  }
  const name = key ?? (tool as { readonly name?: unknown }).name;
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME) {
    throw misuse('each of `tools`', `to have a name of at most ${MAX_NAME} characters`, name);
  }
  const body = governedBody(tool);
  if (body === undefined) {
    throw new TapPassConfigError(
      `Expected tool \`${name}\` to be governed, got ${came(tool)}: pass what \`govern()\` returned, itself and not a copy, so that each call of the guest is judged and recorded`,
      { code: 'TAPPASS_CONFIG_TOOL_NOT_GOVERNED' },
    );
  }
  if (typeof tool === 'function') return { name, tool, call: (args) => body(...args) };
  return {
    name,
    tool: tool as GuestTool,
    // The input alone is the guest's; what frameworks pass beside it comes from this side.
    call: ([input], context) => body.call(tool, input ?? {}, context),
  };
};

const came = (tool: object): string =>
  'check' in tool ? `${nounOf(tool)} with a \`check\` that \`govern()\` did not make` : `a bare ${typeof tool}`;

const nounOf = (tool: object): string => (typeof tool === 'function' ? 'a function' : 'an object');

const misuse = (what: string, expected: string, got: unknown): TapPassConfigError =>
  new TapPassConfigError(
    `Expected ${what} to be ${expected}, got ${typeof got === 'string' ? JSON.stringify(got.slice(0, 100)) : got === null ? 'null' : typeof got}`,
  );
