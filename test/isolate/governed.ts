/** Stands where `govern()` does, in tests of the isolate alone: the same brand, judged by nobody. */
import { markGoverned } from '../../src/brand.ts';

type Body = (...args: never[]) => unknown;
export const governed = <T extends Readonly<Record<string, Body | { readonly execute: Body }>>>(tools: T): T => {
  for (const tool of Object.values(tools)) markGoverned(tool, typeof tool === 'function' ? tool : tool.execute);
  return tools;
};
