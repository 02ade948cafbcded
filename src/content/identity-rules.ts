/**
 * Numbers of people that carry their own proof: shapes and check digits as the issuing authorities publish them. A rule
 * whose proof is weak (one digit of ten) counts only where the text says what the number is.
 */
import type { Topic } from './pii-context.ts';
import type { PiiType } from '../model/content.ts';

export interface Rule {
  readonly type: PiiType;
  readonly rule: string;
  /** Counts only when one of these is spoken of near it. */
  readonly needs?: readonly Topic[];
}

export interface TokenRule extends Rule {
  /** For each character: `9` a digit, `A` a letter, `?` either. Read first: most tokens end here. */
  readonly shapes: readonly string[];
  readonly pattern: RegExp;
  /** Given letters and digits, upper case, without separators. */
  readonly proves: (compact: string) => boolean;
}

const digit = (text: string, at: number): number => text.charCodeAt(at) - 48;

export const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** A date as six digits; the century is not known, so 29 February always passes. */
const isDate = (year: string, month: string, day: string): boolean => {
  const [m, d] = [Number(month), Number(day)];
  return /^\d+$/u.test(year) && d >= 1 && d <= (DAYS[m - 1] ?? 0);
};
const yymmdd = (text: string): boolean => isDate(text.slice(0, 2), text.slice(2, 4), text.slice(4, 6));
const ddmmyy = (text: string): boolean => isDate(text.slice(4, 6), text.slice(2, 4), text.slice(0, 2));

const NIF_LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE';
const HETU_LETTERS = '0123456789ABCDEFHJKLMNPRSTUVWXY';

const weighted = (text: string, weights: readonly number[]): number =>
  weights.reduce((sum, weight, at) => sum + weight * digit(text, at), 0);

const isNif = (text: string): boolean => NIF_LETTERS[Number(text.slice(0, 8)) % 23] === text[8];
const isNie = (text: string): boolean => isNif('XYZ'.indexOf(text.charAt(0)) + text.slice(1));

/** Codice fiscale: odd places have values of their own (D.M. 23.12.1976). */
const CF_ODD = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
const isFiscalCode = (text: string): boolean => {
  let sum = 0;
  for (let at = 0; at < 15; at += 1) {
    const code = text.charCodeAt(at);
    const value = code >= 65 ? code - 65 : code - 48;
    sum += at % 2 === 0 ? (CF_ODD[value] as number) : value;
  }
  return String.fromCharCode(65 + (sum % 26)) === text[15];
};

const isNric = (text: string): boolean => {
  const prefix = text.charAt(0);
  const sum =
    weighted(text.slice(1, 8), [2, 7, 6, 5, 4, 3, 2]) + (prefix === 'T' || prefix === 'G' ? 4 : prefix === 'M' ? 3 : 0);
  const letters = prefix === 'S' || prefix === 'T' ? 'JZIHGFEDCBA' : prefix === 'M' ? 'KLJNPQRTUWX' : 'XWUTRQPNMLK';
  return (
    letters[prefix === 'M' ? 10 - (sum % 11) : sum % 11] === text[8] ||
    (prefix === 'M' && letters[sum % 11] === text[8])
  );
};

const GSTIN_ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const isGstin = (text: string): boolean => {
  let sum = 0;
  for (let at = 0; at < 14; at += 1) {
    const product = GSTIN_ALPHABET.indexOf(text.charAt(at)) * (at % 2 === 0 ? 1 : 2);
    sum += Math.floor(product / 36) + (product % 36);
  }
  return GSTIN_ALPHABET[(36 - (sum % 36)) % 36] === text[14];
};

/** German identity documents (ICAO 9303 weights 7, 3, 1 over letters from 10). */
const icao = (text: string): number => {
  let sum = 0;
  for (let at = 0; at < text.length; at += 1) sum += Number.parseInt(text.charAt(at), 36) * ([7, 3, 1][at % 3] ?? 0);
  return sum % 10;
};

const isKvnr = (text: string): boolean => {
  const digits = String(text.charCodeAt(0) - 64).padStart(2, '0') + text.slice(1);
  let sum = 0;
  for (let at = 0; at < 10; at += 1) {
    const product = digit(digits, at) * (at % 2 === 0 ? 1 : 2);
    sum += product > 9 ? product - 9 : product;
  }
  return sum % 10 === digit(digits, 10);
};

const isVsnr = (text: string): boolean => {
  const digits = text.slice(0, 8) + String(text.charCodeAt(8) - 64).padStart(2, '0') + text.slice(9);
  let sum = 0;
  for (const [at, weight] of [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1].entries()) {
    const product = digit(digits, at) * weight;
    sum += Math.floor(product / 10) + (product % 10);
  }
  const day = Number(text.slice(2, 4));
  return (
    sum % 10 === digit(text, 11) &&
    day >= 1 &&
    (day <= 31 || (day >= 51 && day <= 81)) &&
    Number(text.slice(4, 6)) <= 12
  );
};

const isChineseId = (text: string): boolean =>
  isDate(text.slice(6, 10), text.slice(10, 12), text.slice(12, 14)) &&
  '10X98765432'[weighted(text, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11] === text[17];

const isUkLicence = (text: string): boolean => {
  const month = Number(text.slice(6, 8)) % 50;
  return isDate('00', String(month), text.slice(8, 10)) && month <= 12;
};

/** Unique entity numbers of Singapore (ACRA): businesses, companies, and others with a year and a kind. */
const isUen = (text: string): boolean => {
  if (text.length === 9) return 'XMKECAWLJDB'[weighted(text, [10, 4, 9, 3, 8, 2, 7, 1]) % 11] === text[8];
  if (text.charCodeAt(0) < 65) return 'ZKCMDNERGWH'[weighted(text, [10, 8, 6, 4, 9, 7, 5, 3, 1]) % 11] === text[9];
  const alphabet = 'ABCDEFGHJKLMNPQRSTUVWX0123456789';
  const weights = [4, 3, 5, 3, 10, 2, 2, 5, 7];
  const sum = weights.reduce((total, weight, at) => total + weight * alphabet.indexOf(text.charAt(at)), 0);
  return alphabet[(sum - 5) % 11] === text[9];
};

/** Tokens of letters and digits. */
export const TOKEN_RULES: readonly TokenRule[] = [
  { type: 'NATIONAL_ID', rule: 'es-nif', shapes: ['99999999A'], pattern: /^\d{8}[A-Z]$/u, proves: isNif },
  { type: 'NATIONAL_ID', rule: 'es-nie', shapes: ['A9999999A'], pattern: /^[XYZ]\d{7}[A-Z]$/u, proves: isNie },
  {
    type: 'NATIONAL_ID',
    rule: 'it-fiscal-code',
    shapes: ['AAAAAA??A??A???A'],
    pattern: /^[A-Z]{6}[\dL-V]{2}[A-EHLMPRST][\dL-V]{2}[A-Z][\dL-V]{3}[A-Z]$/u,
    proves: isFiscalCode,
  },
  {
    type: 'NATIONAL_ID',
    rule: 'uk-nino',
    shapes: ['AA999999A'],
    pattern: /^(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]$/u,
    proves: () => true,
  },
  { type: 'NATIONAL_ID', rule: 'sg-nric', shapes: ['A9999999A'], pattern: /^[STFGM]\d{7}[A-Z]$/u, proves: isNric },
  {
    type: 'NATIONAL_ID',
    rule: 'cn-resident',
    shapes: ['99999999999999999?'],
    pattern: /^[1-9]\d{16}[\dX]$/u,
    proves: isChineseId,
  },
  {
    type: 'NATIONAL_ID',
    rule: 'mx-curp',
    shapes: ['AAAA999999AAAAAA?9'],
    pattern: /^[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[A-Z\d]\d$/u,
    proves: (text) => yymmdd(text.slice(4)),
  },
  {
    type: 'NATIONAL_ID',
    rule: 'de-social-security',
    shapes: ['99999999A999'],
    pattern: /^\d{8}[A-Z]\d{3}$/u,
    proves: isVsnr,
  },
  {
    type: 'NATIONAL_ID',
    rule: 'de-id-card',
    shapes: ['A????????9'],
    pattern: /^[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ\d]{8}\d$/u,
    proves: (text) => icao(text.slice(0, 9)) === digit(text, 9),
  },
  {
    type: 'NATIONAL_ID',
    rule: 'de-id-card',
    shapes: ['A????????'],
    pattern: /^[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ\d]{8}$/u,
    proves: () => true,
    needs: ['identity'],
  },
  {
    type: 'NATIONAL_ID',
    rule: 'in-voter',
    shapes: ['AAA9999999'],
    pattern: /^[A-Z]{3}\d{7}$/u,
    proves: () => true,
    needs: ['identity'],
  },
  {
    type: 'NATIONAL_ID',
    rule: 'it-id-card',
    shapes: ['AA99999??'],
    pattern: /^(?:C[A-Z]\d{5}[A-Z]{2}|[A-Z]{2}\d{7})$/u,
    proves: () => true,
    needs: ['identity'],
  },
  {
    type: 'TAX_ID',
    rule: 'in-pan',
    shapes: ['AAAAA9999A'],
    pattern: /^[A-Z]{3}[ABCFGHLJPTK][A-Z]\d{4}[A-Z]$/u,
    proves: () => true,
  },
  {
    type: 'TAX_ID',
    rule: 'in-gstin',
    shapes: ['99AAAAA9999A?A?'],
    pattern: /^[0-3]\d[A-Z]{5}\d{4}[A-Z][A-Z\d]Z[A-Z\d]$/u,
    proves: isGstin,
  },
  {
    type: 'TAX_ID',
    rule: 'sg-uen',
    shapes: ['99999999A', '999999999A', 'A99AA9999A'],
    pattern: /^(?:\d{8}[XMKECAWLJDB]|(?:18|19|20)\d{7}[ZKCMDNERGWH]|[RST]\d\d[A-HJ-NP-X]{2}\d{4}[A-HJ-L])$/u,
    proves: isUen,
    needs: ['tax'],
  },
  {
    type: 'MEDICAL_ID',
    rule: 'us-mbi',
    shapes: ['9A?9A?9AA99'],
    pattern: /^[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y\d]\d[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y\d]\d[AC-HJKMNP-RT-Y]{2}\d{2}$/u,
    proves: () => true,
  },
  { type: 'MEDICAL_ID', rule: 'de-health-insurance', shapes: ['A999999999'], pattern: /^[A-Z]\d{9}$/u, proves: isKvnr },
  {
    type: 'MEDICAL_ID',
    rule: 'us-dea',
    shapes: ['AA9999999'],
    pattern: /^[ABFGMPR][A-Z]\d{7}$/u,
    proves: (text) =>
      (digit(text, 2) + digit(text, 4) + digit(text, 6) + 2 * (digit(text, 3) + digit(text, 5) + digit(text, 7))) %
        10 ===
      digit(text, 8),
  },
  {
    type: 'DRIVERS_LICENSE',
    rule: 'uk-driving-licence',
    shapes: ['A????999999???AA'],
    pattern: /^(?=.{16}$)[A-Z]{1,5}9{0,4}\d[0156]\d[0-3]\d{2}[A-Z9]{2}[A-Z\d][A-Z]{2}$/u,
    proves: isUkLicence,
  },
  {
    type: 'CRYPTO_ADDRESS',
    rule: 'bitcoin',
    shapes: Array.from({ length: 10 }, (_, more) => `9${'?'.repeat(25 + more)}`),
    pattern: /^[13][A-HJ-NP-Za-km-z1-9]{25,34}$/u,
    proves: () => true,
    needs: ['crypto'],
  },
];

/** Finnish: six digits of a date, a sign of the century, three digits, a check of 31. `YYMMDD` never; `DDMMYY`. */
export const isHetu = (text: string): boolean =>
  ddmmyy(text) && HETU_LETTERS[Number(text.slice(0, 6) + text.slice(7, 10)) % 31] === text[10];
