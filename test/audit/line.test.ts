import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { generalText, lineText } from '../../src/audit/line.ts';
import { canonicalJson, canonicalize } from '../../src/model/canonical.ts';
import { CLASSIFICATIONS, OUTCOMES, STEPS } from '../../src/model/decision.ts';
import { CALL_OUTCOMES } from '../../src/model/event.ts';
import type { CallDecided, CallEnded, JournalEntry } from '../../src/model/event.ts';
import { DEFAULT_FLAGS } from '../../src/model/flags.ts';
import { decided, ended, isMisread } from './entries.ts';

const hash = 'ab'.repeat(32);
const time = '2026-11-21T13:29:33.560Z';

const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '"', '\u2028', '\ud800', '\\'),
);
const anyJson = fc.jsonValue();
const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const step = fc.constantFrom(...STEPS);
const timing = fc.record(
  { step: anyText, duration_ms: number, outcome: anyText },
  { requiredKeys: ['step', 'duration_ms'] },
);
const detection = fc.record(
  { step, type: anyText, detail: anyText, at: anyText, count: fc.nat() },
  { requiredKeys: ['step', 'type'] },
);
/** As ids are: with one that must be escaped in every event, nothing would take the quick way, and nothing would test it. */
const idText = fc.oneof(
  { weight: 40, arbitrary: fc.stringMatching(/^[a-z0-9 -]{1,12}$/) },
  { weight: 1, arbitrary: anyText },
);
const ids = {
  session_id: idText,
  task_id: idText,
  agent_uuid: idText,
  pipeline_uuid: idText,
  audit_url: fc.option(anyText),
  agent: idText,
  tool: idText,
  call_id: idText,
};
const optionalIds = { user: anyText, org: anyText, parent_call_id: anyText };
const common = {
  blocked: fc.boolean(),
  detections: fc.array(detection, { maxLength: 2 }),
  classification: fc.constantFrom(...CLASSIFICATIONS),
  steps: fc.array(timing, { maxLength: 3 }),
};
const optionalCommon = { blocked_by: step, reason: anyText };

/** As the decider of files makes them; then with a key missing or one too many. */
const whereTo = { beneath: anyText, exists: fc.boolean(), real: anyText };
const fileFields = { kind: fc.constant('file'), operation: anyText, pointer: anyText };
const fileFacts = fc.oneof(
  fc.record({ ...fileFields, resolved: fc.record(whereTo) }),
  fc.record(
    {
      ...fileFields,
      fault: anyText,
      resolved: fc.oneof(anyJson, fc.record({ ...whereTo, more: number }, { requiredKeys: [] })),
    },
    { requiredKeys: ['kind'] },
  ),
);
const replacement = fc.record({ pointer: anyText, value: fc.oneof(anyText, anyJson) }, { requiredKeys: ['value'] });

const anyDecided = fc.record(
  {
    ...ids,
    ...common,
    ...optionalIds,
    ...optionalCommon,
    type: fc.constant('call-decided' as const),
    outcome: fc.constantFrom(...OUTCOMES),
    args: fc.oneof(anyJson, anyJson.map(canonicalJson)),
    args_truncated: fc.boolean(),
    args_sha256: idText,
    effects: fc.constantFrom('declared', 'inferred', 'unknown'),
    effect_list: fc.array(fc.oneof(anyJson, fileFacts), { maxLength: 2 }),
    rewrites: fc.oneof(anyJson, fc.array(replacement, { maxLength: 2 })),
    reason_code: anyText,
    would_block: fc.record({ blocked_by: step, reason: anyText, reason_code: anyText }),
    flagged: fc.boolean(),
    flags: fc.constantFrom(
      DEFAULT_FLAGS,
      { ...DEFAULT_FLAGS },
      Object.freeze({ ...DEFAULT_FLAGS, mode: 'observe' as const }),
    ),
    ignored_flags: fc.array(fc.record({ flag: anyText, value: anyText, reason: anyText }), { maxLength: 2 }),
  },
  {
    requiredKeys: [
      ...(Object.keys(ids) as (keyof typeof ids)[]),
      ...(Object.keys(common) as (keyof typeof common)[]),
      'type',
      'outcome',
      'args',
      'args_sha256',
      'effects',
      'effect_list',
      'flags',
    ],
  },
) as fc.Arbitrary<CallDecided>;

const anyEnded = fc.record(
  {
    ...ids,
    ...common,
    ...optionalIds,
    ...optionalCommon,
    type: fc.constant('call-ended' as const),
    outcome: fc.constantFrom(...CALL_OUTCOMES),
    error: fc.record({ name: anyText, message: anyText }),
    duration_ms: number,
    usage: fc.dictionary(anyText, number),
  },
  {
    requiredKeys: [
      ...(Object.keys(ids) as (keyof typeof ids)[]),
      ...(Object.keys(common) as (keyof typeof common)[]),
      'type',
      'outcome',
      'duration_ms',
    ],
  },
) as fc.Arbitrary<CallEnded>;

describe('the text of a line', () => {
  test.each([
    ['call-decided', anyDecided],
    ['call-ended', anyEnded],
  ] as readonly [string, fc.Arbitrary<JournalEntry>][])('of any %s is its canonical JSON', (_type, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, fc.option(anyJson), fc.integer({ min: 1 }), (known, extra, seq) => {
        const entry = extra === null ? known : { ...known, extra };
        const text = lineText(entry, seq, time, hash);
        expect(text).toBe(generalText(entry, seq, time, hash));
        expect(isMisread(text) ? text : canonicalize(JSON.parse(text))).toBe(text);
        expect(text).not.toContain('\n');
      }),
      { numRuns: 400 },
    );
  });

  test('follows entries whose values change from call to call', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(anyDecided, anyEnded), { minLength: 2, maxLength: 6 }), (entries) => {
        const texts = [...entries, ...entries].map((entry, index) => lineText(entry, index + 1, time, hash));
        expect(texts).toEqual(
          [...entries, ...entries].map((entry, index) => generalText(entry, index + 1, time, hash)),
        );
      }),
    );
  });

  const resolved = { beneath: 'a', exists: true, real: '/w/a' };
  const write = { kind: 'file', operation: 'write', pointer: '/path', resolved };
  test.each([
    ['as the decider makes it', { effect_list: [write], rewrites: [{ pointer: '/path', value: '/w/a' }] }],
    ['of another kind', { effect_list: [{ ...write, kind: 'sql' }] }],
    ['that leads outside', { effect_list: [{ ...write, resolved: { exists: true, real: '/a' } }] }],
    ['with more than is known', { effect_list: [{ ...write, resolved: { ...resolved, owner: 'root' } }] }],
    ['beside a rewrite with more than is known', { rewrites: [{ pointer: '/path', value: '/w/a', from: 'a' }] }],
  ] as const)('of an effect %s is its canonical JSON', (_what, fields) => {
    const entry = decided(fields);
    expect(lineText(entry, 1, time, hash)).toBe(generalText(entry, 1, time, hash));
  });

  test('does not keep the text of flags that can still change', () => {
    const flags = { ...DEFAULT_FLAGS };
    expect(lineText(decided({ flags }), 1, time, hash)).toContain('"mode":"enforce"');
    Object.assign(flags, { mode: 'observe' });
    expect(lineText(decided({ flags }), 1, time, hash)).toContain('"mode":"observe"');
    let reads = 0;
    const sly = Object.freeze(
      Object.defineProperty({ ...DEFAULT_FLAGS }, 'mode', {
        get: () => (reads++ < 5 ? 'enforce' : 'observe'),
        enumerable: true,
      }),
    );
    const modes = Array.from({ length: 10 }, () => lineText(decided({ flags: sly }), 1, time, hash));
    expect(modes[0]).toContain('"mode":"enforce"');
    expect(modes[9]).toContain('"mode":"observe"');
  });

  test.each(['seq', 'time', 'prev_hash', 'hash', 'signature'])('refuses an entry that brings its own %s', (field) => {
    expect(() => lineText({ ...decided(), [field]: 1 }, 1, time, hash)).toThrow(`without \`${field}\``);
    expect(() => lineText({ type: 'notice', [field]: 1 }, 1, time, hash)).toThrow(`without \`${field}\``);
    expect(lineText({ type: 'notice', other: 1 }, 1, time, hash)).toContain('"other":1');
  });

  const sly = <T extends object>(entry: T, field: keyof T, later: unknown, after: number): T => {
    let reads = 0;
    const first = entry[field];
    const get = (): unknown => ((reads += 1) > after ? later : first);
    return Object.defineProperty(entry, field, { get, enumerable: true });
  };

  test.each([
    ['call-decided', decided],
    ['call-ended', ended],
  ] as const)(
    'writes of a %s what it looked at, whichever field answers otherwise when it is read again',
    (_type, make) => {
      for (const field of Object.keys(make()) as (keyof ReturnType<typeof make>)[]) {
        for (let after = 0; after < 4; after += 1) {
          let text = '{}';
          try {
            text = lineText(sly(make(), field, 'x","seq":99,"z":"', after), 1, time, hash);
          } catch {
            // Refused is as good.
          }
          expect(text).toBe(canonicalize(JSON.parse(text)));
        }
      }
    },
  );

  test.each(['journal-opened', 'journal-closed', 'checkpoint'] as const)('refuses a %s from outside', (type) => {
    expect(() => lineText({ type }, 1, time, hash)).toThrow(/which only the journal writes/);
    for (let after = 0; after < 5; after += 1) {
      let text = '';
      try {
        text = lineText(sly<JournalEntry>({ type: 'notice' }, 'type', type, after), 1, time, hash);
      } catch {
        // Refused is as good.
      }
      expect(text).not.toContain(type);
    }
  });

  test('refuses what JSON cannot hold, and says where', () => {
    expect(() => lineText(decided({ args: { when: 1n } }), 1, time, hash)).toThrow(/at \/when, got bigint/);
    expect(() => lineText(ended({ duration_ms: Number.NaN }), 1, time, hash)).toThrow(/finite number/);
  });
});
