/**
 * Names of people and street addresses, on request only. They have no check digit: what is found are titles and
 * salutations followed by capitalised words, and house numbers with the words that streets have.
 */
import type { Trigger } from './secrets.ts';
import type { TextView } from './text-view.ts';

const emit = (view: TextView, start: number, end: number, type: 'PERSON' | 'ADDRESS', rule: string): void =>
  view.emit({ start, end, kind: 'pii', type, rule, score: 0.5 });

const INTRODUCTIONS = [
  'mr.',
  'mrs.',
  'ms.',
  'dr.',
  'prof.',
  'mr ',
  'mrs ',
  'ms ',
  'miss ',
  'dear ',
  'my name is ',
  'name: ',
  'signed, ',
  'sincerely, ',
  'regards, ',
  'herr ',
  'frau ',
  'señor ',
  'madame ',
  'monsieur ',
];
const NAME =
  /\s{0,2}((?:\p{Lu}[\p{Ll}'’-]{1,24}|\p{Lu}\.)(?: (?:(?:van|von|de|der|den|da|dos|del|di|la|le|bin|al) ){0,2}(?:\p{Lu}[\p{L}'’-]{1,24}|\p{Lu}\.)){0,3})/uy;
const STREETS = [
  'street',
  'avenue',
  'road',
  'boulevard',
  ' lane',
  ' drive',
  ' st.',
  ' ave',
  ' rd',
  ' blvd',
  ' dr.',
  ' ln',
  ' court',
  ' way',
  ' place',
  ' square',
  'straße',
  'strasse',
  ' weg',
  ' platz',
];
const BEFORE_STREET = /\d{1,5}[a-z]?,? (?:[NSEW]\.? )?(?:\p{Lu}[\p{L}'’.-]{0,24} ){0,4}$/u;
const AFTER_STREET =
  /^\.?(?:,? (?:apt|suite|unit|ste|#)\.? ?\w{1,6})?(?:,? \p{Lu}[\p{L} ]{1,24})?(?:,? [A-Z]{2})?(?:,? \d{4,5}(?:-\d{4})?)?/iu;

export const NAME_TRIGGERS: readonly Trigger[] = [
  ...INTRODUCTIONS.map((word): Trigger => ({
    word,
    match: (view, start, end) => {
      if (!view.names || (start > 0 && /\p{L}/u.test(view.text.charAt(start - 1)))) return;
      NAME.lastIndex = end;
      const found = NAME.exec(view.text);
      if (found?.[1] !== undefined)
        emit(view, NAME.lastIndex - found[1].length, NAME.lastIndex, 'PERSON', 'name-introduced');
    },
  })),
  ...STREETS.map((word): Trigger => ({
    word,
    match: (view, start, end) => {
      if (!view.addresses || /\p{L}/u.test(view.text.charAt(end))) return;
      const from = Math.max(0, start - 100);
      const before = BEFORE_STREET.exec(view.text.slice(from, start + (word.startsWith(' ') ? 1 : 0)));
      if (before === null) return;
      const after = AFTER_STREET.exec(view.text.slice(end, end + 100));
      emit(view, from + before.index, end + (after?.[0].length ?? 0), 'ADDRESS', 'street');
    },
  })),
];
