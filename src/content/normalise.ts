/**
 * The same text as a reader would see it, with the way back: compatibility forms folded (NFKC), characters without width
 * dropped, letters and digits that look alike made one (after Unicode Technical Standard 39), and escapes undone.
 */

/** A derived text; character `i` of it stands for `[starts[i], ends[i])` of the original. */
export interface DerivedText {
  readonly text: string;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** Letters of other scripts that are drawn as ASCII letters, in pairs: what is written, what is seen. */
const LOOKALIKES =
  'аaеeоoрpсcуyхxѕsіiјjԁdһhӏlԛqԝwАAВBЕEЅSІIЈJКKМMНHОOРPСCТTУYХXҮYԌGԍg' +
  'οoαaεeιiκkνvρpτtυuχxΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXϲcϹCϳj' +
  'օoոnսuհhցgԱUՏSᎪAᏴBᏟCᎠDᎬEᏀGᎻHᏦKᏞLᎷMᏢPᎡRᏚSᎢTᏙVᏔWᏃZ' +
  'ɡgɩiıiȷjʀRɢGɴNʟLʏYßBᴏoᴠvᴡwᴢz' +
  '‐-‑-‒-–-—-―-−-﹘-⁃-․.。.．.∶:꞉:׃:⁄/∕/⧸/∖\\’\'‘\'‛\'′\'“"”"„"‟"″"«"»"⁎*∗*⸺-﹫@＠@≡=꓿=';

/** Format characters, combining marks and variation selectors, and the fillers that are drawn as nothing. */
const DROPPED = /[\p{Cf}\p{Mn}\u115F\u1160\u2800\u3164\uFFA0]/u;
const DECIMAL = /\p{Nd}/u;

const KEEP = 1;
const DROP = 2;
const LOOK_UP = 3;
/** What becomes of each code unit of the basic plane: 0 is not yet known, else one of the above, or the ASCII code. */
const folds = new Uint16Array(65_536);
const longer = new Map<number, string>();

for (let at = 0; at < LOOKALIKES.length; at += 2) folds[LOOKALIKES.charCodeAt(at)] = LOOKALIKES.charCodeAt(at + 1);

const decimalValue = (point: number): number => {
  let value = 0;
  while (value < 9 && DECIMAL.test(String.fromCodePoint(point - value - 1))) value += 1;
  return value;
};

/** The folded form of a code point, or `undefined` when it stays as it is. */
const foldPoint = (point: number): string | undefined => {
  const character = String.fromCodePoint(point);
  if (DROPPED.test(character)) return '';
  if (DECIMAL.test(character)) return String(decimalValue(point));
  const compatible = character.normalize('NFKC');
  if (compatible === character) return undefined;
  let folded = '';
  for (const part of compatible) {
    const code = part.charCodeAt(0);
    const known = part.length === 1 && code > 0x7f ? folds[code] : undefined;
    folded += known !== undefined && known > LOOK_UP ? String.fromCharCode(known) : part;
  }
  return folded;
};

const foldUnit = (code: number): number => {
  const folded = foldPoint(code);
  if (folded === undefined) return (folds[code] = KEEP);
  if (folded === '') return (folds[code] = DROP);
  if (folded.length === 1) return (folds[code] = folded.charCodeAt(0));
  longer.set(code, folded);
  return (folds[code] = LOOK_UP);
};

class Builder {
  #units: Uint16Array;
  #starts: Uint32Array;
  #ends: Uint32Array;
  #length = 0;

  constructor(capacity: number) {
    this.#units = new Uint16Array(capacity);
    this.#starts = new Uint32Array(capacity);
    this.#ends = new Uint32Array(capacity);
  }

  add(code: number, start: number, end: number): void {
    if (this.#length === this.#units.length) this.#grow();
    this.#units[this.#length] = code;
    this.#starts[this.#length] = start;
    this.#ends[this.#length] = end;
    this.#length += 1;
  }

  /** UTF-16 in the byte order of every machine that Node runs on. */
  done(): DerivedText {
    const text = new TextDecoder('utf-16le', { ignoreBOM: true }).decode(this.#units.subarray(0, this.#length));
    return { text, starts: this.#starts, ends: this.#ends };
  }

  #grow(): void {
    const wider = <T extends Uint16Array | Uint32Array>(old: T, made: T): T => {
      made.set(old);
      return made;
    };
    const size = this.#units.length * 2 + 16;
    this.#units = wider(this.#units, new Uint16Array(size));
    this.#starts = wider(this.#starts, new Uint32Array(size));
    this.#ends = wider(this.#ends, new Uint32Array(size));
  }
}

/** `undefined` when nothing would change: no disguise that this file knows. */
export const normaliseText = (text: string): DerivedText | undefined => {
  let changed = false;
  const { length } = text;
  const derived = new Builder(length);
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x80) {
      derived.add(code, at, at + 1);
      continue;
    }
    if (code >= 0xd800 && code < 0xdc00 && at + 1 < length) {
      const point = text.codePointAt(at) ?? code;
      if (point > 0xffff) {
        changed = foldAstral(derived, point, at) || changed;
        at += 1;
        continue;
      }
    }
    const fold = folds[code] || foldUnit(code);
    if (fold === KEEP) derived.add(code, at, at + 1);
    else {
      changed = true;
      if (fold === LOOK_UP) for (const unit of longer.get(code) ?? '') derived.add(unit.charCodeAt(0), at, at + 1);
      else if (fold !== DROP) derived.add(fold, at, at + 1);
    }
  }
  return changed ? derived.done() : undefined;
};

const foldAstral = (derived: Builder, point: number, at: number): boolean => {
  let folded = longer.get(point);
  if (folded === undefined) {
    folded = foldPoint(point) ?? String.fromCodePoint(point);
    if (longer.size < 65_536) longer.set(point, folded);
  }
  for (let unit = 0; unit < folded.length; unit += 1) derived.add(folded.charCodeAt(unit), at, at + 2);
  return folded !== String.fromCodePoint(point);
};

const hexAt = (text: string, at: number): number => {
  const code = text.charCodeAt(at);
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
};

/** The ASCII code of two hexadecimal digits at `at`, or -1. */
const byteAt = (text: string, at: number): number => {
  const high = hexAt(text, at);
  const low = hexAt(text, at + 1);
  return high < 0 || high > 7 || low < 0 ? -1 : high * 16 + low;
};

const ENTITY = /&#(?:x0{0,4}([0-7]?[0-9a-f])|0{0,4}(\d{2,3}));/iuy;

/** `\\n`, `\\t`, `\\r` end a word, although the letter after the backslash looks like a part of the next. */
const CONTROLS: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, '"': 34, "'": 39, '/': 47 };

let escapeEnd = 0;
/** The code that the escape at `at` stands for, or -1; leaves its end in `escapeEnd`. */
const escapeAt = (text: string, at: number): number => {
  const first = text.charCodeAt(at);
  if (first === 37) {
    escapeEnd = at + 3;
    return byteAt(text, at + 1);
  }
  if (first === 92) {
    // Texts that were quoted twice and more carry several backslashes for one.
    let sign = at + 1;
    while (sign < at + 8 && text.charCodeAt(sign) === 92) sign += 1;
    const plain = CONTROLS[text.charAt(sign)];
    if (plain !== undefined) {
      escapeEnd = sign + 1;
      return plain;
    }
    if (text.charCodeAt(sign) === 120) {
      escapeEnd = sign + 3;
      return byteAt(text, sign + 1);
    }
    if (!text.startsWith('u00', sign)) return -1;
    escapeEnd = sign + 5;
    return byteAt(text, sign + 3);
  }
  if (first !== 38 || text.charCodeAt(at + 1) !== 35) return -1;
  ENTITY.lastIndex = at;
  const entity = ENTITY.exec(text);
  if (entity === null) return -1;
  escapeEnd = ENTITY.lastIndex;
  const code = entity[1] === undefined ? Number(entity[2]) : Number.parseInt(entity[1], 16);
  return code < 0x80 ? code : -1;
};

/**
 * `%40`, `\\u0040`, `\\x40`, `&#64;`, `&#x40;`: one level undone; only ASCII, where everything we look for lives.
 * `undefined` when nothing is escaped.
 */
export const undoEscapes = (text: string): DerivedText | undefined => {
  let derived: Builder | undefined;
  for (let at = 0; at < text.length; at += 1) {
    const code = escapeAt(text, at);
    if (code === -1) {
      derived?.add(text.charCodeAt(at), at, at + 1);
      continue;
    }
    if (derived === undefined) {
      derived = new Builder(text.length);
      for (let before = 0; before < at; before += 1) derived.add(text.charCodeAt(before), before, before + 1);
    }
    derived.add(code, at, escapeEnd);
    at = escapeEnd - 1;
  }
  return derived?.done();
};
