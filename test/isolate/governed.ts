/** Stands where `govern()` does, in tests of the isolate alone: the same shape, judged by nobody. */
type Body = (...args: never[]) => unknown;
export const governed = <T extends Readonly<Record<string, Body>>>(tools: T): T =>
  Object.fromEntries(
    Object.entries(tools).map(([name, body]) => {
      const tool = (...args: unknown[]): unknown => (body as (...given: unknown[]) => unknown)(...args);
      return [name, Object.assign(tool, { check: () => Promise.resolve({ allowed: true }) })];
    }),
  ) as unknown as T;
