/** Check digits, each a few lines, over a text of digits. */

const digitsOf = (text: string): readonly number[] => Array.from(text, (character) => character.charCodeAt(0) - 48);

/** Luhn (ISO/IEC 7812-1): cards, Swedish and South African numbers, Canadian SIN. */
export const luhn = (digits: string): boolean => {
  let sum = 0;
  for (let at = 0; at < digits.length; at += 1) {
    let value = digits.charCodeAt(digits.length - 1 - at) - 48;
    if (at % 2 === 1) value = value > 4 ? value * 2 - 9 : value * 2;
    sum += value;
  }
  return sum % 10 === 0;
};

/** The sum of digit × weight. */
export const weighted = (digits: string, weights: readonly number[]): number =>
  weights.reduce((sum, weight, at) => sum + weight * (digits.charCodeAt(at) - 48), 0);

/** ISO 7064 MOD 97-10, as in IBAN: letters count 10 … 35, and what is given is already rotated. */
export const mod97 = (text: string): number => {
  let rest = 0;
  for (const character of text) rest = Number(`${rest}${Number.parseInt(character, 36)}`) % 97;
  return rest;
};

/** ISO 7064 MOD 11,10: German tax ids. */
export const mod11_10 = (digits: string): boolean => {
  let product = 10;
  for (const digit of digitsOf(digits.slice(0, -1))) {
    const sum = (digit + product) % 10 || 10;
    product = (sum * 2) % 11;
  }
  return (11 - product) % 10 === digits.charCodeAt(digits.length - 1) - 48;
};

const VERHOEFF_PERMUTATION = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
const dihedral = (a: number, b: number): number =>
  a < 5 ? (b < 5 ? (a + b) % 5 : 5 + ((a + b) % 5)) : b < 5 ? 5 + ((a - b + 5) % 5) : (a - b + 5) % 5;

/** Verhoeff (1969): Aadhaar. */
export const verhoeff = (digits: string): boolean => {
  let check = 0;
  for (let at = 0; at < digits.length; at += 1) {
    let digit = digits.charCodeAt(digits.length - 1 - at) - 48;
    for (let times = at % 8; times > 0; times -= 1) digit = VERHOEFF_PERMUTATION[digit] as number;
    check = dihedral(check, digit);
  }
  return check === 0;
};
