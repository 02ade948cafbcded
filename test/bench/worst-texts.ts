/** Texts that cost a scanner most: everything that wakes a rule, repeated, counted up, and mixed at random. */

/** A small, seeded generator of numbers from 0 to 1: the same texts in every run. */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

export type Random = () => number;

/** One piece of hostile text; called again and again, so that no memory of earlier pieces helps. */
export interface Source {
  readonly name: string;
  readonly next: (random: Random) => string;
}

const pick = (random: Random, from: string | readonly string[]): string =>
  from[Math.floor(random() * from.length)] ?? '';
const some = (random: Random, alphabet: string, length: number): string => {
  let text = '';
  for (let index = 0; index < length; index += 1) text += alphabet[Math.floor(random() * alphabet.length)] ?? '';
  return text;
};
const DIGITS = '0123456789';
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const BASE64 = `${LETTERS}${DIGITS}+/`;

/** `9` a digit, `A` a capital, `a` a small letter, `*` any letter or digit; anything else stands for itself. */
const shaped = (random: Random, shape: string): string =>
  shape.replaceAll(/[9Aa*]/gu, (sign) =>
    sign === '9'
      ? some(random, DIGITS, 1)
      : sign === 'A'
        ? some(random, LETTERS.slice(26), 1)
        : some(random, sign === 'a' ? LETTERS.slice(0, 26) : LETTERS + DIGITS, 1),
  );

const SHAPES: readonly string[] = [
  '999-99-9999 ',
  '999 99 9999,',
  '999999999 ',
  '9999-9999-9999-9999 ',
  '4999 9999 9999 9999\n',
  '4999999999999999 ',
  '99999999999 ',
  '9999999999999 ',
  '(999) 999-9999 ',
  '999-999-9999 ',
  '999.999.9999 ',
  '+9 999 999 9999 ',
  '+99 99 9999 9999 ',
  '0099 999 999999 ',
  '099 9999 9999 ',
  '0999/999999 ',
  '99 99 99 99 99 ',
  '99-99-99 ',
  '99-',
  '9-',
  '9.',
  '9 ',
  '999.',
  '999 ',
  '999,',
  '9999 ',
  '999999-9999 ',
  '99.99.9999 ',
  '99.99.99-999.99 ',
  '9999-99-99T99:99:99.999Z ',
  '9999-99-99 99:99:99 ',
  '19.99.999.99 ',
  '192.168.9.9 ',
  '1.1.1.1/9 ',
  '2001:db8::9:9 ',
  'fe80::aaaa:9 ',
  'aa:9a:aa:99:aa:aa ',
  'AA-99-',
  '::9',
  ':9a',
  'GB99 AAAA 9999 9999 9999 99 ',
  'DE99999999999999999999 ',
  'FR99 9999 9999 99** **** ***9 999 ',
  'AA99',
  'A9999999 ',
  '99999999A ',
  'A99999999A ',
  'a9',
  '9a ',
  '9x9',
  '0x99,',
  'a@b.co ',
  'aaa.aaa@aaaa.aa ',
  '@',
  'a@',
  'a@a',
  'a.a.a.a@',
  'éé@éé.éé ',
  '********-****-****-****-************ ',
  '9.9.9 ',
  '^9.99.9", ',
  '$9,999.99 ',
  'tel 999 9999 ',
  'call 9 ',
  'phone: 999-9999 ',
  'ssn 999999999 ',
  'ssn 999-999999 ',
  'ssn 99999 9999 ',
  '9999 999999 99999 ',
  '999999 9999999999999 ',
  'card 9999999999999999 ',
  'account 9999999999 ',
  'passport A9999999 ',
  'license A999-9999-9999 ',
  'born 9/9/99 ',
  'dob ',
  'tax id 999999999 ',
  'bank ',
  'ip: 9.9.9.9 ',
  'pin 9999 ',
  'fax fax ',
];

const SECRETS: readonly string[] = [
  'password=*** ',
  'password="',
  'password: ********,',
  'password is aaaa ',
  'pass=',
  'key=',
  'key: ',
  '"key": "aaaa", ',
  "token='****************' ",
  'token: ',
  'api_key=aaaaaaaa;',
  'auth auth ',
  'secret.aaaa.',
  'a_key_a_key_',
  'key_id_',
  'access-access-',
  'Authorization: Bearer ',
  'Bearer ******** ',
  'Basic ',
  'eyJ**********************.',
  'eyJ.',
  'eyJhbGciOi',
  'sk-',
  'sk-****',
  'ghp_',
  'ghp_*********** ',
  'glpat-',
  'xoxb-9',
  'AIza*****',
  'AKIA',
  'AKIA**************** ',
  'SK****',
  's.',
  'SG.',
  'EAAA',
  'key-',
  'live_',
  'test_a',
  'AAAA',
  '://',
  '://a:a@a ',
  '://a:*',
  'http://a@b:c@d/',
  '-----BEGIN PRIVATE KEY-----',
  '-----BEGIN ',
  '-----END',
  '-----',
  'curl -u a:a ',
  ' -u a',
  ' --user ',
  'kind: Secret\ndata:\n  a: YWFh\n',
  'sig=********',
  '|9',
  '999999999999999|',
  'hooks.slack.com/',
  '.atlasv1.',
  '_mmk',
  '9Q~',
  ':A',
  '--password aaaa ',
  'key value=',
  'connection string=',
  'contraseña=aaaa ',
  'cGFzc3dvcmQ9aHVudGVyMjI=',
];

const DISGUISES: readonly string[] = [
  '%99',
  '%4a',
  '%3d',
  '\\u0099',
  '\\u0041',
  '\\n',
  '\\\\\\\\',
  '&#99;',
  '&#x41;',
  '&#',
  '\u200B9',
  '９９９-',
  'аре',
  '٣٣٣-',
  'é',
  '\u{1D7D8}',
  '\u{1D400}',
  'a\u0301',
  'ﬀ',
  '…',
  '⒇',
  '⒛',
  '⒐',
  'Ⅷ',
  '℡ ',
  'ﷺ',
  '½',
  '㎯',
  '９%2d',
  '%ef%bc%99',
];

const PLAIN: readonly string[] = [
  'a',
  'a ',
  ' ',
  '\n',
  '"',
  "'",
  '{"a":[',
  '=',
  ':',
  '-',
  '/',
  '.',
  '_',
  'a.',
  'A',
  'aA',
];

const bytesOf = (text: string): string =>
  Array.from(text, (c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');

const made = (shapes: readonly string[]): readonly Source[] =>
  shapes.flatMap((shape): Source[] => {
    const varying = /[9Aa*]/u.test(shape);
    return [
      ...(varying ? [{ name: shape, next: (random: Random) => shaped(random, shape) }] : []),
      { name: `=${shape}`, next: () => shape },
    ];
  });

export const SOURCES: readonly Source[] = [
  ...made(SHAPES),
  ...made(SECRETS),
  ...made(DISGUISES),
  ...made(PLAIN),
  { name: 'digits, endless', next: (random) => some(random, DIGITS, 32) },
  { name: 'hex, endless', next: (random) => some(random, '0123456789abcdef', 32) },
  { name: 'base64, endless', next: (random) => some(random, BASE64, 32) },
  { name: 'base64 in words', next: (random) => `${some(random, BASE64, 24)} ` },
  { name: 'base64 of a password', next: (random) => btoa(`password=${some(random, LETTERS, 8)}`) },
  { name: 'base64 of numbers', next: (random) => `${btoa(shaped(random, '999-99-9999 999-99-9999'))} ` },
  { name: 'hex of numbers', next: (random) => `${bytesOf(shaped(random, '999-99-9999 999-99-9999'))} ` },
  { name: 'percent of numbers', next: (random) => bytesOf(shaped(random, '999-99-9999 ')).replaceAll(/../gu, '%$&') },
  { name: 'percent of keys', next: (random) => bytesOf(shaped(random, 'key=aaa ')).replaceAll(/../gu, '%$&') },
  { name: 'numbers without width', next: (random) => shaped(random, '999-99-9999 ').replaceAll(/./gu, '$&\u200B') },
  { name: 'full-width numbers', next: (random) => shaped(random, '９９９-９９-９９９９ 999-99-9999 ') },
  // Disguised in one way and the other, piece by piece: read as it stands, and once for each disguise.
  {
    name: 'numbers disguised twice',
    next: (random) => shaped(random, '999-99-9999 ').replaceAll('9', () => pick(random, ['９', '%39'])),
  },
  { name: 'keys disguised twice', next: (random) => pick(random, ['ｋey=aaa%20', 'tok%65n:\u200B ', '%70аss=aaaa ']) },
  // A multiple of three bytes: one run of base64 without end.
  { name: 'base64 of digit groups', next: (random) => btoa(shaped(random, '9-9-99-99.9 9-9-99-99.9 ')) },
  { name: 'base64 of keys', next: (random) => btoa(shaped(random, 'key: token=aaa auth: ')) },
  { name: 'hex of keys', next: (random) => bytesOf(shaped(random, 'key: token=aaa auth: ')) },
  { name: 'base64, one run a line', next: (random) => `${btoa(shaped(random, 'pass=aaa 999-999-9999'))}\n` },
  { name: 'seldom a strange letter', next: (random) => (random() < 0.001 ? 'é' : 'aaaa 999 ') },
  { name: 'new names', next: (random) => `${some(random, LETTERS, 12)}_key: ` },
  { name: 'new names, dotted', next: (random) => `${some(random, LETTERS, 6)}.token.${some(random, LETTERS, 6)}=` },
  { name: 'separators and digits', next: (random) => some(random, `${DIGITS}-. ()/+`, 16) },
  { name: 'signs', next: (random) => some(random, `${DIGITS}aA-. ()/+@:=_"'\\%&#;~|`, 16) },
  { name: 'any characters', next: (random) => some(random, `${BASE64} -. ()@:="'\n`, 16) },
  {
    name: 'words of topics',
    next: (random) => `${pick(random, ['ssn', 'tel', 'bank', 'tax', 'ip', 'cc', 'dl', 'nie'])} `,
  },
];

/** As much of `sources`, one after the other at random, as makes `length` characters. */
export const textOf = (sources: readonly Source[], length: number, seed: number): string => {
  const random = seeded(seed);
  const parts: string[] = [];
  for (let size = 0; size < length;) {
    const source = sources[Math.floor(random() * sources.length)];
    const part = source?.next(random) ?? '';
    parts.push(part);
    size += part.length;
  }
  return parts.join('').slice(0, length);
};
