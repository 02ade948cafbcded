/**
 * Numbers of people that carry their own proof: shapes and check digits as the issuing authorities publish them. A rule
 * whose proof is weak (one digit of ten) counts only where the text says what the number is.
 */
import { luhn, mod11_10, mod97, verhoeff, weighted } from './checksums.ts';
import type { Topic } from './pii-context.ts';
import type { PiiType } from '../model/content.ts';

export interface IdentityRule {
  readonly type: PiiType;
  readonly rule: string;
  /** Letters and digits, upper case, without separators; or digits alone. */
  readonly proves: (compact: string) => boolean;
  /** Counts only when one of these is spoken of near it. */
  readonly needs?: readonly Topic[];
}

const digit = (text: string, at: number): number => text.charCodeAt(at) - 48;

const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** A date as six digits; the century is not known, so 29 February always passes. */
const isDate = (year: string, month: string, day: string): boolean => {
  const [m, d] = [Number(month), Number(day)];
  return /^\d+$/u.test(year) && d >= 1 && d <= (DAYS[m - 1] ?? 0);
};
const yymmdd = (text: string): boolean => isDate(text.slice(0, 2), text.slice(2, 4), text.slice(4, 6));
const ddmmyy = (text: string): boolean => isDate(text.slice(4, 6), text.slice(2, 4), text.slice(0, 2));

const same = (text: string): boolean => /^(\d)\1+$/u.test(text);

const NIF_LETTERS = 'TRWAGMYFPDXBNJZSQVHLCKE';
const HETU_LETTERS = '0123456789ABCDEFHJKLMNPRSTUVWXY';

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

/** Tokens of letters and digits, by pattern. */
export const TOKEN_RULES: readonly (IdentityRule & {
  readonly pattern: RegExp;
  readonly lengths: readonly [number, number];
})[] = [
  { type: 'NATIONAL_ID', rule: 'es-nif', lengths: [9, 9], pattern: /^\d{8}[A-Z]$/u, proves: isNif },
  { type: 'NATIONAL_ID', rule: 'es-nie', lengths: [9, 9], pattern: /^[XYZ]\d{7}[A-Z]$/u, proves: isNie },
  {
    type: 'NATIONAL_ID',
    rule: 'it-fiscal-code',
    lengths: [16, 16],
    pattern: /^[A-Z]{6}[\dL-V]{2}[A-EHLMPRST][\dL-V]{2}[A-Z][\dL-V]{3}[A-Z]$/u,
    proves: isFiscalCode,
  },
  {
    type: 'NATIONAL_ID',
    rule: 'uk-nino',
    lengths: [9, 9],
    pattern: /^(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]$/u,
    proves: () => true,
  },
  { type: 'NATIONAL_ID', rule: 'sg-nric', lengths: [9, 9], pattern: /^[STFGM]\d{7}[A-Z]$/u, proves: isNric },
  { type: 'NATIONAL_ID', rule: 'cn-resident', lengths: [18, 18], pattern: /^[1-9]\d{16}[\dX]$/u, proves: isChineseId },
  {
    type: 'NATIONAL_ID',
    rule: 'mx-curp',
    lengths: [18, 18],
    pattern: /^[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[A-Z\d]\d$/u,
    proves: (text) => yymmdd(text.slice(4)),
  },
  { type: 'NATIONAL_ID', rule: 'de-social-security', lengths: [12, 12], pattern: /^\d{8}[A-Z]\d{3}$/u, proves: isVsnr },
  {
    type: 'NATIONAL_ID',
    rule: 'de-id-card',
    lengths: [10, 10],
    pattern: /^[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ\d]{8}\d$/u,
    proves: (text) => icao(text.slice(0, 9)) === digit(text, 9),
  },
  {
    type: 'NATIONAL_ID',
    rule: 'de-id-card',
    lengths: [9, 9],
    pattern: /^[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ\d]{8}$/u,
    proves: () => true,
    needs: ['identity'],
  },
  {
    type: 'NATIONAL_ID',
    rule: 'in-voter',
    lengths: [10, 10],
    pattern: /^[A-Z]{3}\d{7}$/u,
    proves: () => true,
    needs: ['identity'],
  },
  {
    type: 'NATIONAL_ID',
    rule: 'it-id-card',
    lengths: [9, 9],
    pattern: /^(?:C[A-Z]\d{5}[A-Z]{2}|[A-Z]{2}\d{7})$/u,
    proves: () => true,
    needs: ['identity'],
  },
  {
    type: 'TAX_ID',
    rule: 'in-pan',
    lengths: [10, 10],
    pattern: /^[A-Z]{3}[ABCFGHLJPTK][A-Z]\d{4}[A-Z]$/u,
    proves: () => true,
  },
  {
    type: 'TAX_ID',
    rule: 'in-gstin',
    lengths: [15, 15],
    pattern: /^[0-3]\d[A-Z]{5}\d{4}[A-Z][A-Z\d]Z[A-Z\d]$/u,
    proves: isGstin,
  },
  {
    type: 'MEDICAL_ID',
    rule: 'us-mbi',
    lengths: [11, 11],
    pattern: /^[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y\d]\d[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y\d]\d[AC-HJKMNP-RT-Y]{2}\d{2}$/u,
    proves: () => true,
  },
  { type: 'MEDICAL_ID', rule: 'de-health-insurance', lengths: [10, 10], pattern: /^[A-Z]\d{9}$/u, proves: isKvnr },
  {
    type: 'MEDICAL_ID',
    rule: 'us-dea',
    lengths: [9, 9],
    pattern: /^[ABFGMPR][A-Z]\d{7}$/u,
    proves: (text) =>
      (digit(text, 2) + digit(text, 4) + digit(text, 6) + 2 * (digit(text, 3) + digit(text, 5) + digit(text, 7))) %
        10 ===
      digit(text, 8),
  },
  {
    type: 'DRIVERS_LICENSE',
    rule: 'uk-driving-licence',
    lengths: [16, 16],
    pattern: /^[A-Z]{1,5}9{0,4}\d[0156]\d[0-3]\d{2}[A-Z9]{2}[A-Z\d][A-Z]{2}$/u,
    proves: (text) => text.length === 16 && isUkLicence(text),
  },
  {
    type: 'CRYPTO_ADDRESS',
    rule: 'bitcoin',
    lengths: [26, 35],
    pattern: /^[13][A-HJ-NP-Za-km-z1-9]{25,34}$/u,
    proves: () => true,
    needs: ['crypto'],
  },
];

const isPesel = (text: string): boolean => {
  const month = Number(text.slice(2, 4)) % 20;
  return weighted(text, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 === 0 && isDate('00', String(month), text.slice(4, 6));
};

const isTurkish = (text: string): boolean => {
  const odd = digit(text, 0) + digit(text, 2) + digit(text, 4) + digit(text, 6) + digit(text, 8);
  const even = digit(text, 1) + digit(text, 3) + digit(text, 5) + digit(text, 7);
  const tenth = (((odd * 7 - even) % 10) + 10) % 10;
  return text[0] !== '0' && tenth === digit(text, 9) && (odd + even + tenth) % 10 === digit(text, 10);
};

/** German tax id: one digit twice or three times among the first ten, and ISO 7064. */
const isSteuerId = (text: string): boolean => {
  if (text[0] === '0' || !mod11_10(text)) return false;
  const counts = new Map<string, number>();
  for (const character of text.slice(0, 10)) counts.set(character, (counts.get(character) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return most === 2 || most === 3;
};

const isRrn = (text: string): boolean => yymmdd(text) && /^[1-8]$/u.test(text.charAt(6));

const isThai = (text: string): boolean => {
  const sum = weighted(text, [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
  return /^[1-8]/u.test(text) && (11 - (sum % 11)) % 10 === digit(text, 12);
};

const isSouthAfrican = (text: string): boolean => yymmdd(text) && /^[01]$/u.test(text.charAt(10)) && luhn(text);

const isNhs = (text: string): boolean => {
  const check = 11 - (weighted(text, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11);
  return (check === 11 ? 0 : check) === digit(text, 9) && !same(text);
};

const isTfn = (text: string): boolean => weighted(text, [1, 4, 3, 7, 5, 8, 6, 9, 10]) % 11 === 0 && !same(text);
const isAbn = (text: string): boolean => (weighted(text, [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) - 10) % 89 === 0;
const isAcn = (text: string): boolean =>
  (10 - (weighted(text, [8, 7, 6, 5, 4, 3, 2, 1]) % 10)) % 10 === digit(text, 8) && !same(text);
const isMedicare = (text: string): boolean =>
  /^[2-6]/u.test(text) && weighted(text, [1, 3, 7, 9, 1, 3, 7, 9]) % 10 === digit(text, 8);
const isSin = (text: string): boolean => /^[1-79]/u.test(text) && luhn(text) && !same(text);
const isBsn = (text: string): boolean =>
  (weighted(text, [9, 8, 7, 6, 5, 4, 3, 2]) - digit(text, 8)) % 11 === 0 && !same(text);
const isAba = (text: string): boolean =>
  /^(?:0[0-9]|1[0-2]|2[1-9]|3[0-2]|6[1-9]|7[0-2]|80)/u.test(text) &&
  weighted(text, [3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 === 0 &&
  !same(text);
const isItin = (text: string): boolean => /^9\d\d(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])\d{4}$/u.test(text);
const isNpi = (text: string): boolean => /^[12]/u.test(text) && luhn(`80840${text}`);
const isNir = (text: string): boolean =>
  /^[12]/u.test(text) && 97 - Number(BigInt(text.slice(0, 13)) % 97n) === Number(text.slice(13));
const isBelgian = (text: string): boolean => {
  const check = Number(text.slice(9));
  const base = text.slice(0, 9);
  return (
    isDate('00', text.slice(2, 4), text.slice(4, 6)) &&
    (97 - (Number(base) % 97) === check || 97 - (Number(`2${base}`) % 97) === check)
  );
};
export const isCpf = (text: string): boolean => {
  const check = (length: number): number => {
    let sum = 0;
    for (let at = 0; at < length; at += 1) sum += digit(text, at) * (length + 1 - at);
    return ((sum * 10) % 11) % 10;
  };
  return !same(text) && check(9) === digit(text, 9) && check(10) === digit(text, 10);
};
const isAhv = (text: string): boolean =>
  text.startsWith('756') && weighted(text, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0;
const isBrn = (text: string): boolean => {
  const sum = weighted(text, [1, 3, 7, 1, 3, 7, 1, 3, 5]) + Math.floor((digit(text, 8) * 5) / 10);
  return (10 - (sum % 10)) % 10 === digit(text, 9);
};

/**
 * Digits in groups: `shape` is the lengths of the groups with the separators that may stand between them. An empty list
 * of separators means any one of space, dash and dot, the same throughout.
 */
export const DIGIT_RULES: readonly (IdentityRule & { readonly shape: readonly number[]; readonly gaps?: string })[] = [
  { type: 'TAX_ID', rule: 'us-itin', shape: [3, 2, 4], proves: isItin },
  { type: 'TAX_ID', rule: 'us-itin', shape: [9], proves: isItin, needs: ['tax'] },
  {
    type: 'NATIONAL_ID',
    rule: 'se-personnummer',
    shape: [6, 4],
    gaps: '-+',
    proves: (text) => yymmdd(text) && luhn(text),
  },
  {
    type: 'NATIONAL_ID',
    rule: 'se-personnummer',
    shape: [8, 4],
    gaps: '-+',
    proves: (text) => yymmdd(text.slice(2)) && luhn(text.slice(2)),
  },
  {
    type: 'NATIONAL_ID',
    rule: 'se-personnummer',
    shape: [12],
    proves: (text) => /^(?:18|19|20)/u.test(text) && yymmdd(text.slice(2)) && luhn(text.slice(2)),
  },
  {
    type: 'NATIONAL_ID',
    rule: 'se-personnummer',
    shape: [10],
    proves: (text) => yymmdd(text) && luhn(text),
    needs: ['identity'],
  },
  { type: 'NATIONAL_ID', rule: 'kr-rrn', shape: [6, 7], gaps: '-', proves: isRrn },
  {
    type: 'NATIONAL_ID',
    rule: 'kr-rrn',
    shape: [13],
    proves: (text) => isRrn(text) && !/^1[4-9]/u.test(text),
    needs: ['identity'],
  },
  { type: 'NATIONAL_ID', rule: 'za-id', shape: [13], proves: isSouthAfrican },
  { type: 'NATIONAL_ID', rule: 'th-tnin', shape: [1, 4, 5, 2, 1], gaps: '-', proves: isThai },
  { type: 'NATIONAL_ID', rule: 'th-tnin', shape: [13], proves: (text) => isThai(text) && !/^1[4-9]/u.test(text) },
  { type: 'NATIONAL_ID', rule: 'ch-ahv', shape: [3, 4, 4, 2], gaps: '.', proves: isAhv },
  { type: 'NATIONAL_ID', rule: 'be-national', shape: [2, 2, 2, 3, 2], proves: isBelgian },
  { type: 'NATIONAL_ID', rule: 'fr-nir', shape: [1, 2, 2, 2, 3, 3, 2], proves: isNir },
  { type: 'NATIONAL_ID', rule: 'fr-nir', shape: [15], proves: isNir },
  { type: 'NATIONAL_ID', rule: 'tr-national', shape: [11], proves: isTurkish },
  { type: 'NATIONAL_ID', rule: 'pl-pesel', shape: [11], proves: isPesel },
  { type: 'NATIONAL_ID', rule: 'br-cpf', shape: [11], proves: isCpf },
  { type: 'TAX_ID', rule: 'de-tax', shape: [11], proves: isSteuerId },
  { type: 'TAX_ID', rule: 'de-tax', shape: [2, 3, 3, 3], gaps: ' ', proves: isSteuerId },
  { type: 'TAX_ID', rule: 'au-abn', shape: [11], proves: isAbn },
  { type: 'TAX_ID', rule: 'au-abn', shape: [2, 3, 3, 3], gaps: ' -', proves: isAbn },
  { type: 'TAX_ID', rule: 'it-vat', shape: [11], proves: luhn, needs: ['tax'] },
  {
    type: 'NATIONAL_ID',
    rule: 'in-aadhaar',
    shape: [4, 4, 4],
    gaps: ' -',
    proves: (text) => /^[2-9]/u.test(text) && verhoeff(text),
  },
  {
    type: 'NATIONAL_ID',
    rule: 'in-aadhaar',
    shape: [12],
    proves: (text) => /^[2-9]/u.test(text) && verhoeff(text),
    needs: ['identity'],
  },
  { type: 'NATIONAL_ID', rule: 'ng-nin', shape: [11], proves: verhoeff, needs: ['identity'] },
  { type: 'NATIONAL_ID', rule: 'ca-sin', shape: [3, 3, 3], gaps: '-', proves: isSin },
  { type: 'NATIONAL_ID', rule: 'ca-sin', shape: [3, 3, 3], proves: isSin, needs: ['identity', 'ssn'] },
  { type: 'TAX_ID', rule: 'au-tfn', shape: [3, 3, 3], proves: isTfn },
  { type: 'TAX_ID', rule: 'au-acn', shape: [3, 3, 3], proves: isAcn },
  { type: 'TAX_ID', rule: 'au-tfn', shape: [9], proves: isTfn, needs: ['tax'] },
  { type: 'TAX_ID', rule: 'au-acn', shape: [9], proves: isAcn, needs: ['tax'] },
  { type: 'NATIONAL_ID', rule: 'nl-bsn', shape: [9], proves: isBsn, needs: ['identity'] },
  { type: 'NATIONAL_ID', rule: 'ca-sin', shape: [9], proves: isSin, needs: ['identity', 'ssn'] },
  { type: 'BANK_ACCOUNT', rule: 'us-routing', shape: [9], proves: isAba, needs: ['bank'] },
  { type: 'BANK_ACCOUNT', rule: 'us-routing', shape: [4, 4, 1], gaps: '-', proves: isAba },
  { type: 'MEDICAL_ID', rule: 'au-medicare', shape: [4, 5, 1], proves: isMedicare },
  { type: 'MEDICAL_ID', rule: 'au-medicare', shape: [10], proves: isMedicare, needs: ['medical'] },
  {
    type: 'MEDICAL_ID',
    rule: 'uk-nhs',
    shape: [3, 3, 4],
    proves: (text) => isNhs(text) && !/^[2-9]\d\d[2-9]/u.test(text),
  },
  { type: 'MEDICAL_ID', rule: 'uk-nhs', shape: [3, 3, 4], proves: isNhs, needs: ['medical'] },
  { type: 'MEDICAL_ID', rule: 'uk-nhs', shape: [10], proves: isNhs, needs: ['medical'] },
  { type: 'MEDICAL_ID', rule: 'us-npi', shape: [10], proves: isNpi, needs: ['medical'] },
  { type: 'MEDICAL_ID', rule: 'us-npi', shape: [4, 3, 3], proves: isNpi },
  { type: 'TAX_ID', rule: 'kr-brn', shape: [3, 2, 5], gaps: '-', proves: isBrn },
  { type: 'BANK_ACCOUNT', rule: 'us-account', shape: [10], proves: () => true, needs: ['bank'] },
  { type: 'BANK_ACCOUNT', rule: 'us-account', shape: [12], proves: () => true, needs: ['bank'] },
];

/** Finnish: six digits of a date, a sign of the century, three digits, a check of 31. `YYMMDD` never; `DDMMYY`. */
export const isHetu = (text: string): boolean =>
  ddmmyy(text) && HETU_LETTERS[Number(text.slice(0, 6) + text.slice(7, 10)) % 31] === text[10];

/** `GB29NWBK…` → 1 when the check digits are right. */
export const ibanRest = (compact: string): number => mod97(compact.slice(4) + compact.slice(0, 4));
