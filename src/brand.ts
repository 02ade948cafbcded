/**
 * Door-internal: what `govern()` made. Known by identity, because any object can be given a `check` of its own: a tool
 * that only looks governed would run unjudged and unrecorded wherever governed tools are asked for.
 */
import type { AnyFunction } from './tools/shape.ts';

const bodies = new WeakMap<object, AnyFunction>();

/** `face`: a tool as `govern()` returns it; `body`: the function that takes its calls through all steps. */
export const markGoverned = (face: object, body: AnyFunction): void => {
  bodies.set(face, body);
};

/** The body that was governed, whatever has been put in its place since; `undefined` for every other object. */
export const governedBody = (tool: object): AnyFunction | undefined => bodies.get(tool);
