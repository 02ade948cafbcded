/** Check digits, each a few lines, over digits as numbers: `length` of them from `from` on. */

export type Digits = Uint8Array;

/** The digits of a text; other characters are left out. */
export const digitsOf = (text: string): Digits =>
  Uint8Array.from(text.replaceAll(/\D/gu, ''), (character) => character.charCodeAt(0) - 48);

/** Luhn (ISO/IEC 7812-1): cards, Swedish and South African numbers, Canadian SIN. `sum` is what a fixed prefix adds. */
export const luhn = (digits: Digits, from: number, length: number, sum = 0): boolean => {
  let doubled = false;
  let total = sum;
  for (let at = from + length - 1; at >= from; at -= 1) {
    const value = digits[at] as number;
    total += doubled ? (value > 4 ? value * 2 - 9 : value * 2) : value;
    doubled = !doubled;
  }
  return total % 10 === 0;
};

/** The sum of digit × weight. */
export const weighted = (digits: Digits, from: number, weights: readonly number[]): number => {
  let sum = 0;
  for (let at = 0; at < weights.length; at += 1) sum += (weights[at] as number) * (digits[from + at] as number);
  return sum;
};

/** The digits as one number; at most fifteen of them. */
export const numberOf = (digits: Digits, from: number, length: number): number => {
  let number = 0;
  for (let at = from; at < from + length; at += 1) number = number * 10 + (digits[at] as number);
  return number;
};

/** One digit over and over. */
export const isRepeated = (digits: Digits, from: number, length: number): boolean => {
  const first = digits[from];
  for (let at = from + 1; at < from + length; at += 1) if (digits[at] !== first) return false;
  return length > 1;
};

/** ISO 7064 MOD 97-10 so far, and one more character: letters count 10 … 35. `code` is a digit or a letter. */
export const mod97Step = (rest: number, code: number): number =>
  code <= 57 ? (rest * 10 + code - 48) % 97 : (rest * 100 + (code | 32) - 87) % 97;

/** ISO 7064 MOD 11,10: German tax ids. */
export const mod11_10 = (digits: Digits, from: number, length: number): boolean => {
  let product = 10;
  for (let at = from; at < from + length - 1; at += 1)
    product = ((((digits[at] as number) + product) % 10 || 10) * 2) % 11;
  return (11 - product) % 10 === digits[from + length - 1];
};

const dihedral = (a: number, b: number): number =>
  a < 5 ? (b < 5 ? (a + b) % 5 : 5 + ((a + b) % 5)) : b < 5 ? 5 + ((a - b + 5) % 5) : (a - b + 5) % 5;

/** `VERHOEFF[(place % 8) * 100 + check * 10 + digit]`: the permutation of that place, then the dihedral product. */
const VERHOEFF = (() => {
  const permutation = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
  const table = new Uint8Array(800);
  for (let place = 0; place < 8; place += 1) {
    for (let digit = 0; digit < 10; digit += 1) {
      let moved = digit;
      for (let times = place; times > 0; times -= 1) moved = permutation[moved] as number;
      for (let check = 0; check < 10; check += 1) table[place * 100 + check * 10 + digit] = dihedral(check, moved);
    }
  }
  return table;
})();

/** Verhoeff (1969): Aadhaar. */
export const verhoeff = (digits: Digits, from: number, length: number): boolean => {
  let check = 0;
  for (let place = 0; place < length; place += 1)
    check = VERHOEFF[(place % 8) * 100 + check * 10 + (digits[from + length - 1 - place] as number)] as number;
  return check === 0;
};
