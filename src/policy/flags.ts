/**
 * Reading flags: `key=value, key=value` from a header or the environment, or a record in code.
 *
 * What cannot be read is ignored, as the documents of the hosted product promise, but never silently: it comes back in
 * `ignored`. Keys and mode words are case-insensitive; addresses, domains and tool names are kept as written.
 */
import { TapPassConfigError } from '../model/errors.ts';
import {
  DB_LEVELS,
  DEFAULT_FLAGS,
  encodeParameter,
  FILES_LEVELS,
  FLAG_NAMES,
  MODES,
  parametersOf,
  PII_ACTIONS,
  SECRETS_ACTIONS,
} from '../model/flags.ts';
import type { FlagName, FlagsInput, IgnoredFlag, ParsedFlags } from '../model/flags.ts';

/** What may hold flags: header or environment text, the typed record of code, or any record that came from outside. */
export type FlagText = string | FlagsInput | Readonly<Record<string, unknown>>;

/** The canonical text of a value, or the reason why it cannot be read. */
type Reading = { readonly value: string } | { readonly fault: string };

const oneOf =
  (words: readonly string[]) =>
  (text: string): Reading => {
    const word = text.toLowerCase();
    return words.includes(word) ? { value: word } : { fault: `expected one of ${words.join(', ')}` };
  };

const splitMode = (text: string): { word: string; rest: string | undefined } => {
  const colon = text.indexOf(':');
  return colon === -1
    ? { word: text.toLowerCase(), rest: undefined }
    : { word: text.slice(0, colon).trim().toLowerCase(), rest: text.slice(colon + 1).trim() };
};

const readEmail = (text: string): Reading => {
  const { word, rest } = splitMode(text);
  if ((word === 'allow' || word === 'block') && rest === undefined) return { value: word };
  // The mode was understood; a parameter that was not must never fall back to `allow`. Both forms are kept, and the
  // decider denies every message under `internal:` without a domain or `mirror:` without a usable address.
  if (word === 'internal') return { value: `internal:${rest?.replace(/^@/u, '') ?? ''}` };
  if (word === 'mirror') return { value: `mirror:${rest ?? ''}` };
  return { fault: 'expected allow, block, internal:<domain> or mirror:<address>' };
};

const readTools = (text: string): Reading => {
  const { word, rest } = splitMode(text);
  if ((word === 'log' || word === 'block') && rest === undefined) return { value: word };
  if (word === 'allowlist' || word === 'denylist') {
    const names = parametersOf(`:${rest ?? ''}`);
    const written = (rest ?? '').split(':').filter((part) => part.trim() !== '');
    // A denylist with a name that cannot be read would let that tool through; an allowlist without it is only tighter.
    if (word === 'denylist' && (names.length === 0 || names.length !== written.length)) {
      return { fault: 'expected denylist:<tool>:<tool>, each name percent-encoded where it holds `:` `,` or `%`' };
    }
    return { value: `${word}:${names.map(encodeParameter).join(':')}` };
  }
  return { fault: 'expected log, block, allowlist:<tool>:<tool> or denylist:<tool>:<tool>' };
};

const AMOUNT = /^\d{1,12}(?:\.\d{1,6})?$/u;

const readBudget = (text: string): Reading => {
  const { word, rest } = splitMode(text);
  if ((word === 'unlimited' || word === 'dev' || word === 'standard') && rest === undefined) return { value: word };
  const amounts = (rest ?? '').split(':').map((part) => part.trim());
  if (word === 'custom' && amounts.length === 2 && amounts.every((amount) => AMOUNT.test(amount))) {
    return { value: `custom:${amounts.join(':')}` };
  }
  return { fault: 'expected unlimited, dev, standard or custom:<per_call>:<per_session> in US dollars' };
};

const READERS: Readonly<Record<FlagName, (text: string) => Reading>> = {
  mode: oneOf(MODES),
  email: readEmail,
  pii: oneOf(PII_ACTIONS),
  budget: readBudget,
  tools: readTools,
  files: oneOf(FILES_LEVELS),
  db: oneOf(DB_LEVELS),
  secrets: oneOf(SECRETS_ACTIONS),
};

const isFlagName = (key: string): key is FlagName => (FLAG_NAMES as readonly string[]).includes(key);

/** `{allowlist: ['a', 'b']}` is the array form of `allowlist:a:b`. */
const listText = (value: object): string | undefined => {
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length !== 1 || first === undefined) return undefined;
  const [word, names] = first as [string, unknown];
  if ((word !== 'allowlist' && word !== 'denylist') || !Array.isArray(names)) return undefined;
  if (!names.every((name) => typeof name === 'string' && name !== '')) return undefined;
  return `${word}:${(names as readonly string[]).map(encodeParameter).join(':')}`;
};

type Pair = readonly [key: string, value: string];
type Pairs = { readonly pairs: readonly Pair[]; readonly ignored: readonly IgnoredFlag[] };

/** Longest flag text that is read, in characters. Bounds the work a hostile header can ask for. */
const MAX_TEXT = 64 * 1024;

const pairsOfText = (text: string): Pairs => {
  if (text.length > MAX_TEXT) {
    return { pairs: [], ignored: [{ flag: '', value: '', reason: `longer than ${String(MAX_TEXT)} characters` }] };
  }
  const pairs: Pair[] = [];
  const ignored: IgnoredFlag[] = [];
  for (const part of text.split(',')) {
    const trimmed = part.trim();
    if (trimmed === '') continue;
    const equals = trimmed.indexOf('=');
    if (equals === -1) ignored.push({ flag: trimmed, value: '', reason: 'expected key=value' });
    else pairs.push([trimmed.slice(0, equals).trim(), trimmed.slice(equals + 1).trim()]);
  }
  return { pairs, ignored };
};

const pairsOfRecord = (record: object): Pairs => {
  const pairs: Pair[] = [];
  const ignored: IgnoredFlag[] = [];
  for (const [key, value] of Object.entries(record) as [string, unknown][]) {
    if (value === undefined) continue;
    const text =
      typeof value === 'string'
        ? value.trim()
        : typeof value === 'object' && value !== null
          ? listText(value)
          : undefined;
    if (text === undefined)
      ignored.push({ flag: key, value: typeof value, reason: 'expected a text, or {allowlist: [names]}' });
    else pairs.push([key, text]);
  }
  return { pairs, ignored };
};

/**
 * Reads flags from text (`mode=observe, pii=mask`) or a record (`{mode: 'observe', tools: {allowlist: ['search']}}`).
 *
 * Never throws: unknown flags, invalid values and repeated keys come back in `ignored`, and the flag keeps its default.
 * The last of several values for one key wins.
 */
export const parseFlags = (input: FlagText): ParsedFlags => {
  const { pairs, ignored: unread } =
    typeof input === 'string'
      ? pairsOfText(input)
      : typeof input === 'object' && (input as unknown) !== null
        ? pairsOfRecord(input)
        : { pairs: [], ignored: [{ flag: '', value: typeof input, reason: 'expected a text or a record' }] };
  const ignored: IgnoredFlag[] = [...unread];
  const given: Record<string, string> = {};
  for (const [key, value] of pairs) {
    const name = key.trim().toLowerCase();
    if (!isFlagName(name)) {
      ignored.push({ flag: key, value, reason: 'unknown flag' });
      continue;
    }
    const reading = READERS[name](value);
    if ('fault' in reading) {
      ignored.push({ flag: name, value, reason: reading.fault });
      continue;
    }
    const earlier = given[name];
    if (earlier !== undefined) ignored.push({ flag: name, value: earlier, reason: 'given again: the last value wins' });
    given[name] = reading.value;
  }
  return { flags: { ...DEFAULT_FLAGS, ...given }, given, ignored };
};

/** As `parseFlags`, for programs that asked to be told (`strictFlags`): throws where something would be ignored. */
export const requireFlags = (input: FlagText): ParsedFlags => {
  const parsed = parseFlags(input);
  const [first] = parsed.ignored;
  if (first === undefined) return parsed;
  throw new TapPassConfigError(
    `Expected every flag to be understood, got \`${first.flag}=${first.value}\`: ${first.reason}. ` +
      'Correct it, or leave `strictFlags` out to have it ignored and reported.',
    { code: 'TAPPASS_CONFIG_FLAGS' },
  );
};
