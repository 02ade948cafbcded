/** Secrets and personal data on their way in, out and into the journal. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { govern, openMemoryJournal, PolicyBlockError, RedactionApplied } from '../src/index.ts';

const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'tappass-content-')));
afterAll(() => {
  rmSync(workspace, { recursive: true });
});

// Assembled, so that no scanner takes this file for a leak.
const SECRET = ['ghp', 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'].join('_');
const EMAIL = 'ada.lovelace@customer.example';

const echo = (flags: string, more: object = {}) => {
  const journal = openMemoryJournal();
  const tools = govern(
    {
      echo: (value: unknown) => value,
      later: async (value: unknown) => value,
      fail: (value: unknown): never => {
        throw new Error(String(value), { cause: new Error(String(value)) });
      },
      *each(values: readonly unknown[]) {
        yield* values;
      },
    },
    {
      flags,
      workspace,
      audit: journal,
      effects: { echo: { none: true }, later: { none: true }, fail: { none: true }, each: { none: true } },
      ...more,
    },
  );
  return { tools, journal, text: () => journal.lines().join('\n') };
};

describe('secrets', () => {
  test('are redacted by default in arguments, results, errors, streams and the record', async () => {
    const { tools, text } = echo('');
    expect(tools.echo({ note: `key ${SECRET}`, plain: 'x' })).toEqual({ note: 'key [REDACTED]', plain: 'x' });
    expect(await tools.later([SECRET])).toEqual(['[REDACTED]']);
    expect(() => tools.fail(SECRET)).toThrow('[REDACTED]');
    expect([...tools.each(['a', SECRET])]).toEqual(['a', '[REDACTED]']);
    expect(text()).not.toContain(SECRET);
    expect(text()).toContain('[REDACTED]');
  });

  test('block stops a call whose arguments hold one, and withholds a result that does', () => {
    const { tools, journal, text } = echo('secrets=block');
    expect(() => tools.echo(SECRET)).toThrow(PolicyBlockError);
    const [reveal] = govern(
      [
        function reveal() {
          return `token=${SECRET}`;
        },
      ],
      { flags: 'secrets=block', workspace, audit: journal },
    );
    expect(() => reveal()).toThrow(/Request blocked by detect_secrets/u);
    expect(text()).not.toContain(SECRET);
    expect(tools.echo('nothing here')).toBe('nothing here');
  });

  test('flag lets it through and still keeps it out of the record', () => {
    const { tools, text } = echo('secrets=flag');
    expect(tools.echo(SECRET)).toBe(SECRET);
    expect(text()).not.toContain(SECRET);
    expect(text()).toContain('detect_secrets');
  });

  test('no secret stays in the journal, wherever it is planted', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 3 }),
        fc.constantFrom('argument', 'result', 'error', 'key'),
        fc.nat(),
        fc.constantFrom('', 'observe', 'flag', 'block'),
        (value, where, seed, how) => {
          const planted = JSON.parse(
            plant(JSON.stringify({ value, list: [value, 'x'] }), seed, where === 'key'),
          ) as unknown;
          const journal = openMemoryJournal();
          const flags = how === 'observe' ? 'mode=observe, secrets=block' : how === '' ? '' : `secrets=${how}`;
          const { give } = govern(
            {
              give: (_given: unknown) => {
                if (where === 'error') throw new Error(JSON.stringify(planted));
                return where === 'result' ? planted : 'done';
              },
            },
            { flags, workspace, audit: journal },
          );
          try {
            give(where === 'argument' || where === 'key' ? planted : 'plain');
          } catch {
            // A block or the planted error: the record is what is looked at.
          }
          expect(journal.lines().join('\n')).not.toContain(SECRET);
        },
      ),
      { numRuns: 150 },
    );
  });
});

/** Puts the secret at one of the strings of a JSON text, or makes it a key. */
const plant = (json: string, seed: number, asKey: boolean): string => {
  if (asKey) return json.replace('"list"', JSON.stringify(`list ${SECRET}`));
  const spots = [...json.matchAll(/"x"/gu)].map(({ index }) => index);
  const spot = spots[seed % spots.length] ?? 0;
  return `${json.slice(0, spot)}${JSON.stringify(`see ${SECRET}.`)}${json.slice(spot + 3)}`;
};

describe('personal data', () => {
  test('off by default; masked, blocked or flagged when asked', () => {
    expect(echo('').tools.echo(EMAIL)).toBe(EMAIL);
    expect(echo('pii=mask').tools.echo({ to: EMAIL })).toEqual({ to: '[MASKED_EMAIL]' });
    expect(echo('pii=flag').tools.echo(EMAIL)).toBe(EMAIL);
    expect(() => echo('pii=block').tools.echo(`${EMAIL} or +1 202 555 0143`)).toThrow(
      'Request blocked by detect_pii — PII detected: EMAIL, PHONE_NUMBER',
    );
  });

  test('masks stand under observe, and any finding blocks under lockdown', () => {
    expect(echo('mode=observe, pii=mask').tools.echo(EMAIL)).toBe('[MASKED_EMAIL]');
    expect(echo('mode=observe, pii=block').tools.echo(EMAIL)).toBe(EMAIL);
    expect(() => echo('mode=lockdown, pii=flag').tools.echo(EMAIL)).toThrow(PolicyBlockError);
  });

  test('the classification of a call says what was found', () => {
    const { tools, journal } = echo('pii=flag');
    tools.echo('hello');
    tools.echo(EMAIL);
    tools.echo('card 4111 1111 1111 1111');
    const classes = [...journal.read()].toReversed().filter(({ type }) => type === 'call-ended');
    expect(classes.map((event) => (event as { classification?: string }).classification)).toEqual([
      'PUBLIC',
      'CONFIDENTIAL',
      'RESTRICTED',
    ]);
  });

  test('raiseOnRedaction hands the redacted result over in an error', () => {
    const { tools } = echo('pii=mask', { raiseOnRedaction: true });
    const [look] = govern(
      [
        function look() {
          return `write to ${EMAIL}`;
        },
      ],
      { flags: 'pii=mask', workspace, audit: false, raiseOnRedaction: true },
    );
    try {
      look();
      throw new Error('expected RedactionApplied');
    } catch (error) {
      expect(error).toBeInstanceOf(RedactionApplied);
      expect(error).toMatchObject({
        redactions: [{ type: 'EMAIL', count: 1 }],
        redactedContent: 'write to [MASKED_EMAIL]',
      });
    }
    expect(tools.echo('clean')).toBe('clean');
  });
});
