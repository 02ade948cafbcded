/** Text from a guest becomes data: bounded in depth, and without keys that would reach a prototype. */

/** True when the nesting of `text` stays within `depth`; reads the text once and builds nothing. */
export const isWithinDepth = (text: string, depth: number): boolean => {
  let level = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (inString) {
      if (code === 0x5c) index += 1;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x5b || code === 0x7b) {
      if ((level += 1) > depth) return false;
    } else if (code === 0x5d || code === 0x7d) level -= 1;
  }
  return true;
};

/** Own `__proto__` keys are data to JSON and a trap to whoever merges the value into another: they are left out. */
const withoutPrototypeKeys = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__');
  for (const item of Object.values(value)) withoutPrototypeKeys(item);
  return value;
};

export type ParsedJson = { readonly value: unknown } | { readonly fault: string };

/** Parses what a guest says is JSON. `undefined` text is the value `undefined`. */
export const parseGuestJson = (text: string | undefined, limits: { chars: number; depth: number }): ParsedJson => {
  if (text === undefined) return { value: undefined };
  if (text.length > limits.chars) {
    return { fault: `Expected at most ${limits.chars} characters of JSON, got ${text.length}` };
  }
  if (!isWithinDepth(text, limits.depth)) return { fault: `Expected at most ${limits.depth} levels of nesting` };
  try {
    const value: unknown = JSON.parse(text);
    // An escape may spell the name too; texts without either are the rule.
    return { value: text.includes('__proto__') || text.includes('\\u') ? withoutPrototypeKeys(value) : value };
  } catch {
    return { fault: 'Expected JSON, got other text' };
  }
};
