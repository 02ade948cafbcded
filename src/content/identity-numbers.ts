/**
 * Numbers of people that are digits alone: shapes and check digits as the issuing authorities publish them. A rule whose
 * proof is weak (one digit of ten) counts only where the text says what the number is.
 */
import { isRepeated, luhn, mod11_10, numberOf, verhoeff, weighted, type Digits } from './checksums.ts';
import { DAYS, type Rule } from './identity-rules.ts';

/** Weights of digits, as the authorities publish them. A list in the function itself would be made anew at each call. */
const PESEL = [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1];
const ODD = [1, 0, 1, 0, 1, 0, 1, 0, 1];
const EVEN = [0, 1, 0, 1, 0, 1, 0, 1];
const THAI = [13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2];
const FROM_TEN = [10, 9, 8, 7, 6, 5, 4, 3, 2];
const TFN = [1, 4, 3, 7, 5, 8, 6, 9, 10];
const ABN = [10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19];
const ACN = [8, 7, 6, 5, 4, 3, 2, 1];
const MEDICARE = [1, 3, 7, 9, 1, 3, 7, 9];
const BSN = [9, 8, 7, 6, 5, 4, 3, 2, -1];
const ABA = [3, 7, 1, 3, 7, 1, 3, 7, 1];
const FROM_ELEVEN = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2];
const AHV = [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1];
const LANR = [4, 9, 4, 9, 4, 9];
const BRN = [1, 3, 7, 1, 3, 7, 1, 3, 5];

/** A date whose parts are two digits each; the century is not known, so 29 February always passes. */
const isDay = (d: Digits, month: number, day: number): boolean => {
  const most = DAYS[numberOf(d, month, 2) - 1] ?? 0;
  const number = numberOf(d, day, 2);
  return number >= 1 && number <= most;
};
const isYymmdd = (d: Digits, at: number): boolean => isDay(d, at + 2, at + 4);

const isPesel = (d: Digits, at: number): boolean => {
  const month = numberOf(d, at + 2, 2) % 20;
  const day = numberOf(d, at + 4, 2);
  return day >= 1 && day <= (DAYS[month - 1] ?? 0) && weighted(d, at, PESEL) % 10 === 0;
};

const isTurkish = (d: Digits, at: number): boolean => {
  const odd = weighted(d, at, ODD);
  const even = weighted(d, at, EVEN);
  const tenth = (((odd * 7 - even) % 10) + 10) % 10;
  return d[at] !== 0 && tenth === d[at + 9] && (odd + even + tenth) % 10 === d[at + 10];
};

const counts = new Uint8Array(10);
/** German tax id: one digit twice or three times among the first ten, and ISO 7064. */
const isSteuerId = (d: Digits, at: number): boolean => {
  if (d[at] === 0 || !mod11_10(d, at, 11)) return false;
  counts.fill(0);
  let most = 0;
  for (let index = at; index < at + 10; index += 1) {
    const value = d[index] as number;
    const count = (counts[value] as number) + 1;
    counts[value] = count;
    most = Math.max(most, count);
  }
  return most === 2 || most === 3;
};

const isRrn = (d: Digits, at: number): boolean => {
  const century = d[at + 6] as number;
  return century >= 1 && century <= 8 && isYymmdd(d, at);
};

const isThai = (d: Digits, at: number): boolean => {
  const first = d[at] as number;
  const sum = weighted(d, at, THAI);
  return first >= 1 && first <= 8 && (11 - (sum % 11)) % 10 === d[at + 12];
};

/** Thirteen digits from 14… to 19… are milliseconds since 1970 far more often. */
const isTime = (d: Digits, at: number): boolean => d[at] === 1 && (d[at + 1] as number) >= 4;

const isSouthAfrican = (d: Digits, at: number): boolean =>
  (d[at + 10] as number) <= 1 && isYymmdd(d, at) && luhn(d, at, 13);

const isNhs = (d: Digits, at: number): boolean => {
  const check = 11 - (weighted(d, at, FROM_TEN) % 11);
  return (check === 11 ? 0 : check) === d[at + 9] && !isRepeated(d, at, 10);
};
/** The North American plan: area and exchange begin with 2 … 9. */
const isAmericanPhone = (d: Digits, at: number): boolean => (d[at] as number) >= 2 && (d[at + 3] as number) >= 2;

const isTfn = (d: Digits, at: number): boolean => weighted(d, at, TFN) % 11 === 0 && !isRepeated(d, at, 9);
const isAbn = (d: Digits, at: number): boolean => (weighted(d, at, ABN) - 10) % 89 === 0;
const isAcn = (d: Digits, at: number): boolean =>
  (10 - (weighted(d, at, ACN) % 10)) % 10 === d[at + 8] && !isRepeated(d, at, 9);
const isMedicare = (d: Digits, at: number): boolean =>
  (d[at] as number) >= 2 && (d[at] as number) <= 6 && weighted(d, at, MEDICARE) % 10 === d[at + 8];
const isSin = (d: Digits, at: number): boolean => d[at] !== 0 && d[at] !== 8 && luhn(d, at, 9) && !isRepeated(d, at, 9);
const isBsn = (d: Digits, at: number): boolean => weighted(d, at, BSN) % 11 === 0 && !isRepeated(d, at, 9);
/** Federal Reserve routing symbols: 00–12, 21–32, 61–72, 80. */
const isAba = (d: Digits, at: number): boolean => {
  const symbol = numberOf(d, at, 2);
  const issued = symbol <= 12 || (symbol >= 21 && symbol <= 32) || (symbol >= 61 && symbol <= 72) || symbol === 80;
  return issued && weighted(d, at, ABA) % 10 === 0 && !isRepeated(d, at, 9);
};
const isItin = (d: Digits, at: number): boolean => {
  const group = numberOf(d, at + 3, 2);
  return (
    d[at] === 9 &&
    group >= 50 &&
    group !== 66 &&
    group !== 67 &&
    group !== 68 &&
    group !== 69 &&
    group !== 89 &&
    group !== 93
  );
};
/** `80840` stands before the number when it is checked, and adds 24. */
const isNpi = (d: Digits, at: number): boolean => (d[at] === 1 || d[at] === 2) && luhn(d, at, 10, 24);
const isNir = (d: Digits, at: number): boolean =>
  (d[at] === 1 || d[at] === 2) && 97 - (numberOf(d, at, 13) % 97) === numberOf(d, at + 13, 2);
export const isBelgian = (d: Digits, at: number): boolean => {
  const check = numberOf(d, at + 9, 2);
  const base = numberOf(d, at, 9);
  return isYymmdd(d, at) && (97 - (base % 97) === check || 97 - ((base + 2_000_000_000) % 97) === check);
};
export const isCpf = (d: Digits, at: number): boolean =>
  !isRepeated(d, at, 11) &&
  ((weighted(d, at, FROM_TEN) * 10) % 11) % 10 === d[at + 9] &&
  ((weighted(d, at, FROM_ELEVEN) * 10) % 11) % 10 === d[at + 10];
const isAhv = (d: Digits, at: number): boolean => numberOf(d, at, 3) === 756 && weighted(d, at, AHV) % 10 === 0;
const isBrn = (d: Digits, at: number): boolean => {
  const sum = weighted(d, at, BRN) + Math.floor(((d[at + 8] as number) * 5) / 10);
  return (10 - (sum % 10)) % 10 === d[at + 9];
};
/** Swedish organisations: as persons, but where those have their month it is at least 20. */
const isOrganisation = (d: Digits, at: number): boolean => numberOf(d, at + 2, 2) >= 20 && luhn(d, at, 10);
/** German physicians: the seventh digit checks six, weighted 4 and 9 in turn; two more say the discipline. */
const isLanr = (d: Digits, at: number): boolean =>
  (10 - (weighted(d, at, LANR) % 10)) % 10 === d[at + 6] && !isRepeated(d, at, 7);
const isPersonnummer = (d: Digits, at: number): boolean => isYymmdd(d, at) && luhn(d, at, 10);

export interface DigitRule extends Rule {
  readonly shape: readonly number[];
  /** What may stand between the groups, the same throughout. Default: space, dash, dot, no-break space. */
  readonly gaps?: string;
  /** Given the digits, and where the first of them is. */
  readonly proves: (digits: Digits, at: number) => boolean;
}

/** Digits in groups: `shape` is the widths of the groups. */
export const DIGIT_RULES: readonly DigitRule[] = [
  { type: 'TAX_ID', rule: 'us-itin', shape: [3, 2, 4], proves: isItin },
  { type: 'TAX_ID', rule: 'us-itin', shape: [9], proves: isItin, needs: ['tax'] },
  {
    type: 'NATIONAL_ID',
    rule: 'se-personnummer',
    shape: [6, 4],
    gaps: '-+',
    proves: isPersonnummer,
  },
  {
    type: 'NATIONAL_ID',
    rule: 'se-personnummer',
    shape: [8, 4],
    gaps: '-+',
    proves: (d, at) => isPersonnummer(d, at + 2),
  },
  {
    type: 'NATIONAL_ID',
    rule: 'se-personnummer',
    shape: [12],
    proves: (d, at) => numberOf(d, at, 2) >= 18 && numberOf(d, at, 2) <= 20 && isPersonnummer(d, at + 2),
  },
  {
    type: 'NATIONAL_ID',
    rule: 'se-personnummer',
    shape: [10],
    proves: isPersonnummer,
    needs: ['identity'],
  },
  { type: 'NATIONAL_ID', rule: 'kr-rrn', shape: [6, 7], gaps: '-', proves: isRrn },
  {
    type: 'NATIONAL_ID',
    rule: 'kr-rrn',
    shape: [13],
    proves: (d, at) => isRrn(d, at) && !isTime(d, at),
    needs: ['identity'],
  },
  { type: 'NATIONAL_ID', rule: 'za-id', shape: [13], proves: isSouthAfrican },
  { type: 'NATIONAL_ID', rule: 'th-tnin', shape: [1, 4, 5, 2, 1], gaps: '-', proves: isThai },
  { type: 'NATIONAL_ID', rule: 'th-tnin', shape: [13], proves: (d, at) => isThai(d, at) && !isTime(d, at) },
  { type: 'NATIONAL_ID', rule: 'ch-ahv', shape: [3, 4, 4, 2], gaps: '.', proves: isAhv },
  { type: 'NATIONAL_ID', rule: 'be-national', shape: [2, 2, 2, 3, 2], proves: isBelgian },
  { type: 'NATIONAL_ID', rule: 'be-national', shape: [11], proves: isBelgian },
  { type: 'NATIONAL_ID', rule: 'fr-nir', shape: [1, 2, 2, 2, 3, 3, 2], proves: isNir },
  { type: 'NATIONAL_ID', rule: 'fr-nir', shape: [15], proves: isNir },
  { type: 'NATIONAL_ID', rule: 'tr-national', shape: [11], proves: isTurkish },
  { type: 'NATIONAL_ID', rule: 'pl-pesel', shape: [11], proves: isPesel },
  { type: 'NATIONAL_ID', rule: 'br-cpf', shape: [11], proves: isCpf },
  { type: 'TAX_ID', rule: 'de-tax', shape: [11], proves: isSteuerId },
  { type: 'TAX_ID', rule: 'de-tax', shape: [2, 3, 3, 3], gaps: ' ', proves: isSteuerId },
  { type: 'TAX_ID', rule: 'au-abn', shape: [11], proves: isAbn },
  { type: 'TAX_ID', rule: 'au-abn', shape: [2, 3, 3, 3], gaps: ' -', proves: isAbn },
  { type: 'TAX_ID', rule: 'it-vat', shape: [11], proves: (d, at) => luhn(d, at, 11), needs: ['tax'] },
  {
    type: 'NATIONAL_ID',
    rule: 'in-aadhaar',
    shape: [4, 4, 4],
    gaps: ' -',
    proves: (d, at) => (d[at] as number) >= 2 && verhoeff(d, at, 12),
  },
  {
    type: 'NATIONAL_ID',
    rule: 'in-aadhaar',
    shape: [12],
    proves: (d, at) => (d[at] as number) >= 2 && verhoeff(d, at, 12),
    needs: ['identity'],
  },
  { type: 'NATIONAL_ID', rule: 'ng-nin', shape: [11], proves: (d, at) => verhoeff(d, at, 11), needs: ['identity'] },
  { type: 'NATIONAL_ID', rule: 'ca-sin', shape: [3, 3, 3], gaps: '-', proves: isSin },
  { type: 'NATIONAL_ID', rule: 'ca-sin', shape: [3, 3, 3], proves: isSin, needs: ['identity', 'ssn'] },
  { type: 'TAX_ID', rule: 'au-tfn', shape: [3, 3, 3], proves: isTfn },
  { type: 'TAX_ID', rule: 'au-acn', shape: [3, 3, 3], proves: isAcn },
  { type: 'TAX_ID', rule: 'au-tfn', shape: [9], proves: isTfn, needs: ['tax'] },
  { type: 'TAX_ID', rule: 'au-acn', shape: [9], proves: isAcn, needs: ['tax'] },
  { type: 'NATIONAL_ID', rule: 'nl-bsn', shape: [9], proves: isBsn, needs: ['identity'] },
  { type: 'NATIONAL_ID', rule: 'ca-sin', shape: [9], proves: isSin, needs: ['identity', 'ssn'] },
  { type: 'MEDICAL_ID', rule: 'de-lanr', shape: [9], proves: isLanr, needs: ['medical'] },
  { type: 'TAX_ID', rule: 'se-organisation', shape: [6, 4], gaps: '-', proves: isOrganisation, needs: ['tax'] },
  { type: 'TAX_ID', rule: 'se-organisation', shape: [10], proves: isOrganisation, needs: ['tax'] },
  { type: 'BANK_ACCOUNT', rule: 'us-routing', shape: [9], proves: isAba, needs: ['bank'] },
  { type: 'BANK_ACCOUNT', rule: 'us-routing', shape: [4, 4, 1], gaps: '-', proves: isAba },
  { type: 'MEDICAL_ID', rule: 'au-medicare', shape: [4, 5, 1], proves: isMedicare },
  { type: 'MEDICAL_ID', rule: 'au-medicare', shape: [10], proves: isMedicare, needs: ['medical'] },
  {
    type: 'MEDICAL_ID',
    rule: 'uk-nhs',
    shape: [3, 3, 4],
    proves: (d, at) => isNhs(d, at) && !isAmericanPhone(d, at),
  },
  { type: 'MEDICAL_ID', rule: 'uk-nhs', shape: [3, 3, 4], proves: isNhs, needs: ['medical'] },
  { type: 'MEDICAL_ID', rule: 'uk-nhs', shape: [10], proves: isNhs, needs: ['medical'] },
  { type: 'MEDICAL_ID', rule: 'us-npi', shape: [10], proves: isNpi, needs: ['medical'] },
  { type: 'MEDICAL_ID', rule: 'us-npi', shape: [4, 3, 3], proves: isNpi },
  { type: 'TAX_ID', rule: 'kr-brn', shape: [3, 2, 5], gaps: '-', proves: isBrn },
  { type: 'BANK_ACCOUNT', rule: 'us-account', shape: [10], proves: () => true, needs: ['bank'] },
  { type: 'BANK_ACCOUNT', rule: 'us-account', shape: [12], proves: () => true, needs: ['bank'] },
];
