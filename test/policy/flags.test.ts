import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TapPassConfigError } from '../../src/model/errors.ts';
import { DEFAULT_FLAGS, FLAG_NAMES, parametersOf } from '../../src/model/flags.ts';
import { parseFlags, requireFlags } from '../../src/policy/flags.ts';

describe('grammar', () => {
  test('the eight flags have the documented defaults', () => {
    expect(parseFlags('').flags).toEqual({
      mode: 'enforce',
      email: 'allow',
      pii: 'off',
      budget: 'unlimited',
      tools: 'log',
      files: 'allow',
      db: 'safe_write',
      secrets: 'redact',
    });
    expect(FLAG_NAMES).toHaveLength(8);
  });

  test.each([
    [
      'mode=observe, pii=mask, email=internal:company.com',
      { mode: 'observe', pii: 'mask', email: 'internal:company.com' },
    ],
    ['pii=mask,email=block', { pii: 'mask', email: 'block' }],
    [
      'mode=observe, email=mirror:me@company.com, budget=dev',
      { mode: 'observe', email: 'mirror:me@company.com', budget: 'dev' },
    ],
    [
      'email=internal:company.com, pii=mask, secrets=redact',
      { email: 'internal:company.com', pii: 'mask', secrets: 'redact' },
    ],
    [
      'mode=lockdown, email=block, tools=block, files=read_only',
      { mode: 'lockdown', email: 'block', tools: 'block', files: 'read_only' },
    ],
    [
      'tools=block, pii=mask, secrets=redact, budget=custom:0.10:5',
      { tools: 'block', pii: 'mask', secrets: 'redact', budget: 'custom:0.10:5' },
    ],
    ['  MODE = Lockdown ,, Files=READ_ONLY ', { mode: 'lockdown', files: 'read_only' }],
    ['tools=allowlist:search:github%3Aget_issue', { tools: 'allowlist:search:github%3Aget_issue' }],
    ['email=internal:@company.com', { email: 'internal:company.com' }],
  ])('%s is read', (text, given) => {
    const parsed = parseFlags(text);
    expect(parsed.given).toEqual(given);
    expect(parsed.flags).toEqual({ ...DEFAULT_FLAGS, ...given });
    expect(parsed.ignored).toEqual([]);
  });

  test.each([
    ['unknown=1', 'unknown flag'],
    ['mode=banana', 'expected one of observe'],
    ['mode', 'expected key=value'],
    ['files=write', 'expected one of allow'],
    ['email=mirror', ''],
    ['budget=custom:1', 'expected unlimited'],
    ['budget=custom:-1:5', 'expected unlimited'],
    ['budget=custom:1e999:5', 'expected unlimited'],
    ['tools=denylist:%zz', 'expected denylist'],
    ['constructor=1', 'unknown flag'],
    ['__proto__=1', 'unknown flag'],
  ])('%s is ignored, reported and leaves the default', (text, reason) => {
    const { flags, ignored } = parseFlags(text);
    if (text === 'email=mirror') {
      // Known mode, unusable parameter: kept, and every message is denied, because the default would let mail out.
      expect(flags.email).toBe('mirror:');
      return;
    }
    expect(flags).toEqual(DEFAULT_FLAGS);
    expect(ignored).toHaveLength(1);
    expect(ignored[0]?.reason).toContain(reason);
  });

  test('the last of several values wins, and the earlier one is reported', () => {
    const parsed = parseFlags('mode=observe, mode=lockdown');
    expect(parsed.flags.mode).toBe('lockdown');
    expect(parsed.ignored).toEqual([{ flag: 'mode', value: 'observe', reason: 'given again: the last value wins' }]);
  });

  test('a record takes lists as arrays and encodes names that hold separators', () => {
    const parsed = parseFlags({ tools: { allowlist: ['search', 'server:tool', 'a,b', '100%'] } });
    expect(parametersOf(parsed.flags.tools)).toEqual(['search', 'server:tool', 'a,b', '100%']);
    expect(parseFlags({ tools: { allowlist: [1] } }).ignored).toHaveLength(1);
    expect(parseFlags({ mode: 7 as unknown as string }).ignored).toHaveLength(1);
    expect(parseFlags({ mode: undefined }).ignored).toEqual([]);
  });

  test('garbage of any kind never throws and never loosens a flag', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.dictionary(fc.string(), fc.anything())),
        (input) => {
          const { flags, ignored, given } = parseFlags(input);
          expect(Object.keys(flags).sort()).toEqual([...FLAG_NAMES].sort());
          for (const name of FLAG_NAMES) if (!(name in given)) expect(flags[name]).toBe(DEFAULT_FLAGS[name]);
          expect(Array.isArray(ignored)).toBe(true);
        },
      ),
    );
    for (const odd of [null, undefined, 7, true, Symbol('x'), () => 1]) {
      expect(parseFlags(odd as unknown as string).flags).toEqual(DEFAULT_FLAGS);
    }
    expect(parseFlags(`mode=${'x'.repeat(1_000_000)}`).ignored[0]?.reason).toContain('longer than');
  });

  test('tool names of any characters survive the text form', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ minLength: 1 }).filter((name) => name.trim() === name),
          { minLength: 1 },
        ),
        (names) => {
          expect(parametersOf(parseFlags({ tools: { allowlist: names } }).flags.tools)).toEqual(names);
        },
      ),
    );
  });
});

describe('strict flags', () => {
  test('an ignored flag throws, and says which', () => {
    expect(() => requireFlags('mode=banana')).toThrow(TapPassConfigError);
    expect(() => requireFlags('mode=banana')).toThrow(/`mode=banana`/u);
    expect(requireFlags('mode=warn').flags.mode).toBe('warn');
  });
});
