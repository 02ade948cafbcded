/**
 * The same text as a reader would see it, with the way back: compatibility forms folded (NFKC), characters without width
 * dropped, letters and digits that look alike made one (after Unicode Technical Standard 39), and escapes undone.
 */
import { PAD, giveUnits, isKept, roomSize, takeUnits } from './units.ts';

/** A derived text, good as long as the function that it was handed to runs; zeros stand behind its units. */
export interface DerivedText {
  readonly units: Uint16Array;
  readonly length: number;
  /** Where the original of character `index` begins. */
  startOf(index: number): number;
  /** And where it ends. */
  endOf(index: number): number;
  /** How the first of the characters from `start` to `end` that was disguised was; `undefined` when none was. */
  disguiseOf(start: number, end: number): 'percent' | 'unicode' | undefined;
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

/**
 * Signs of their own, not parts of a number or a word: `½`, units such as `㎯` (rad∕s2), and what stands before the items of a
 * list, `⑴`, `⒜`: the item begins behind it. (`⒛` is read: it could be the first part of an address.)
 */
const APART = /[\u2044\u2215]|^\(.+\)$/u;
/**
 * Longer forms are whole words, and up to eighteen characters for one (`ﷺ`): nothing that is spelled with them is looked
 * for, and a text of them would grow as much.
 */
const LONGEST_FOLD = 4;
const ASCII_SIGN = /[!-~]/u;

/** The folded form of a code point, or `undefined` when it stays as it is. */
const foldPoint = (point: number): string | undefined => {
  const character = String.fromCodePoint(point);
  if (DROPPED.test(character)) return '';
  if (DECIMAL.test(character)) return String(decimalValue(point));
  const compatible = character.normalize('NFKC');
  if (compatible === character || APART.test(compatible)) return undefined;
  let folded = '';
  for (const part of compatible) {
    const code = part.charCodeAt(0);
    const known = part.length === 1 && code > 0x7f ? folds[code] : undefined;
    folded += known !== undefined && known > LOOK_UP ? String.fromCharCode(known) : part;
  }
  return folded.length > 1 && (folded.length > LONGEST_FOLD || !ASCII_SIGN.test(folded)) ? undefined : folded;
};

const foldUnit = (code: number): number => {
  const folded = foldPoint(code);
  if (folded === undefined) return (folds[code] = KEEP);
  if (folded === '') return (folds[code] = DROP);
  if (folded.length === 1) return (folds[code] = folded.charCodeAt(0));
  longer.set(code, folded);
  return (folds[code] = LOOK_UP);
};

const NO_UNITS: Uint16Array = new Uint16Array(0);

/** A derived text while it is made, and the way back. */
class Builder implements DerivedText {
  units = NO_UNITS;
  length = 0;
  #starts = new Uint32Array(0);
  #widths = new Uint8Array(0);

  #original = NO_UNITS;

  /** Begins a text of about `length` characters, which `original` turns into. */
  begin(original: Uint16Array, length: number): void {
    this.length = 0;
    this.#original = original;
    const size = roomSize(length + 1);
    if (this.#starts.length < size) {
      this.#widths = new Uint8Array(size);
      this.#starts = new Uint32Array(size);
    }
    this.units = takeUnits(length);
  }

  add(code: number, start: number, width: number): void {
    const { length } = this;
    if (!this.#holds(length + 1)) this.#grow(length + 1);
    this.units[length] = code;
    this.#starts[length] = start;
    this.#widths[length] = width;
    this.length = length + 1;
  }

  /** What stays as it is. */
  copy(units: Uint16Array, from: number, to: number): void {
    if (!this.#holds(this.length + to - from)) this.#grow(this.length + to - from);
    const [into, starts, widths] = [this.units, this.#starts, this.#widths];
    let { length } = this;
    for (let at = from; at < to; at += 1) {
      into[length] = units[at] as number;
      starts[length] = at;
      widths[length] = 1;
      length += 1;
    }
    this.length = length;
  }

  startOf(index: number): number {
    return this.#starts[index] as number;
  }

  endOf(index: number): number {
    return (this.#starts[index] as number) + (this.#widths[index] as number);
  }

  disguiseOf(start: number, end: number): 'percent' | 'unicode' | undefined {
    const [units, starts, widths, original] = [this.units, this.#starts, this.#widths, this.#original];
    const ahead = (starts[start] as number) - start;
    for (let at = start; at < end; at += 1) {
      const from = starts[at] as number;
      const before = original[from] as number;
      if (from === at + ahead && widths[at] === 1 && units[at] === before) continue;
      return before < 0x80 && (widths[at] as number) > 1 ? 'percent' : 'unicode';
    }
    return undefined;
  }

  end(): void {
    giveUnits();
    this.units = NO_UNITS;
    this.#original = NO_UNITS;
    if (isKept(this.#starts.length)) return;
    this.#starts = new Uint32Array(0);
    this.#widths = new Uint8Array(0);
  }

  #holds(length: number): boolean {
    return length <= this.#starts.length && length + PAD <= this.units.length;
  }

  /** Either of the two may be the one that is too small. */
  #grow(length: number): void {
    const size = roomSize(length * 2);
    if (this.#starts.length < size) {
      this.#starts = moved(this.#starts, new Uint32Array(size));
      this.#widths = moved(this.#widths, new Uint8Array(size));
    }
    if (this.units.length < size + PAD) this.units = moved(this.units, new Uint16Array(size + PAD));
  }
}

const moved = <T extends Uint8Array | Uint16Array | Uint32Array>(old: T, made: T): T => {
  made.set(old);
  return made;
};

/** One for each derived text that is being read while another is: a detector may scan. */
const builders: Builder[] = [];
let depth = 0;

/**
 * Folds what only looks different, and undoes `%40`, `\\u0040`, `\\x40`, `&#64;`, `&#x40;` by one level, where they stand for
 * ASCII: everything we look for lives there. Both at once: a number may be disguised digit by digit, in one way and the other.
 * Hands nothing over when nothing would change.
 */
export const undisguise = (text: string, units: Uint16Array, found: (derived: DerivedText) => void): void => {
  const derived = (builders[depth] ??= new Builder());
  derived.begin(units, text.length);
  depth += 1;
  try {
    if (!undisguiseInto(derived, text, units)) return;
    derived.units.fill(0, derived.length, derived.length + PAD);
    found(derived);
  } finally {
    derived.end();
    depth -= 1;
  }
};

/** Returns whether anything changed. */
const undisguiseInto = (derived: Builder, text: string, units: Uint16Array): boolean => {
  const { length } = text;
  let kept = 0;
  let changed = false;
  for (let at = 0; at < length; at += 1) {
    const unit = units[at] as number;
    // % \ &
    if (unit < 0x80 && unit !== 37 && unit !== 92 && unit !== 38) continue;
    consumed = 1;
    const code = unit < 0x80 ? escapeAt(text, units, at) : foldAt(text, units, at);
    const from = at;
    at += consumed - 1;
    if (code === -KEEP) continue;
    derived.copy(units, kept, from);
    if (code >= 0) derived.add(code, from, consumed);
    else if (code === -LOOK_UP)
      for (let index = 0; index < longerForm.length; index += 1)
        derived.add(longerForm.charCodeAt(index), from, consumed);
    changed = true;
    kept = at + 1;
  }
  if (changed) derived.copy(units, kept, length);
  return changed;
};

/** How many units the last that was looked at takes. */
let consumed = 1;
/** And what it becomes, where that is longer than one. */
let longerForm = '';

/** The code that the character at `at` becomes, or what is done with it, as a negative number. */
const foldAt = (text: string, units: Uint16Array, at: number): number => {
  const unit = units[at] as number;
  if (unit < 0xd800 || unit >= 0xdc00) {
    const fold = folds[unit] || foldUnit(unit);
    if (fold === LOOK_UP) longerForm = longer.get(unit) as string;
    return fold > LOOK_UP ? fold : -fold;
  }
  const point = text.codePointAt(at) as number;
  if (point <= 0xffff) return -KEEP;
  consumed = 2;
  let folded = longer.get(point);
  if (folded === undefined) {
    folded = foldPoint(point) ?? STAYS;
    if (longer.size < 65_536) longer.set(point, folded);
  }
  if (folded === STAYS) return -KEEP;
  longerForm = folded;
  return -LOOK_UP;
};
/** What no character becomes. */
const STAYS = '\0';

const hexAt = (units: Uint16Array, at: number): number => {
  const code = units[at] as number;
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
};

/** The ASCII code of two hexadecimal digits at `at`. */
const byteAt = (units: Uint16Array, at: number): number => {
  const high = hexAt(units, at);
  const low = hexAt(units, at + 1);
  return high < 0 || high > 7 || low < 0 ? -KEEP : high * 16 + low;
};

const ENTITY = /&#(?:x0{0,4}([0-7]?[0-9a-f])|0{0,4}(\d{2,3}));/iuy;

/** `\\n`, `\\t`, `\\r` end a word, although the letter after the backslash looks like a part of the next. */
const CONTROLS = new Uint8Array(128);
for (const [letter, code] of Object.entries({ n: 10, t: 9, r: 13, '"': 34, "'": 39, '/': 47 }))
  CONTROLS[letter.charCodeAt(0)] = code;

const taken = (length: number, code: number): number => {
  if (code >= 0) consumed = length;
  return code;
};

/** The code that the escape at `at` stands for, as ASCII. */
const escapeAt = (text: string, units: Uint16Array, at: number): number => {
  const first = units[at];
  if (first === 37) return taken(3, byteAt(units, at + 1));
  if (first === 92) return backslashAt(units, at);
  if (first !== 38 || units[at + 1] !== 35) return -KEEP;
  ENTITY.lastIndex = at;
  const entity = ENTITY.exec(text);
  if (entity === null) return -KEEP;
  const code = entity[1] === undefined ? Number(entity[2]) : Number.parseInt(entity[1], 16);
  return taken(ENTITY.lastIndex - at, code < 0x80 ? code : -KEEP);
};

const backslashAt = (units: Uint16Array, at: number): number => {
  // Texts that were quoted twice and more carry several backslashes for one.
  let sign = at + 1;
  while (sign < at + 8 && units[sign] === 92) sign += 1;
  const letter = units[sign] as number;
  const plain = letter < 128 ? (CONTROLS[letter] as number) : 0;
  if (plain !== 0) return taken(sign + 1 - at, plain);
  if (letter === 120) return taken(sign + 3 - at, byteAt(units, sign + 1));
  // u00
  if (letter !== 117 || units[sign + 1] !== 48 || units[sign + 2] !== 48) return -KEEP;
  return taken(sign + 5 - at, byteAt(units, sign + 3));
};
