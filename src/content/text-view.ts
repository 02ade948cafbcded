/** One text under examination, with the memory that keeps overlapping rules linear: no run is walked twice. */
import { ALNUM, DASH, runEnd, runStart } from './characters.ts';
import { Topics } from './pii-context.ts';
import type { PhoneCheck } from './pii-phone.ts';
import type { Emit } from './spans.ts';
import { textOfUnits, unitsOf } from './units.ts';

/**
 * So many characters of values are judged in any text, besides twice its length: values stand beside each other in honest
 * texts, or one in the other; texts that are made to cost lay them all over each other.
 */
const JUDGED = 200_000;

/** Alphabets are asked for by a handful of rules: each has a place of its own in the memory of a view. */
const slots = new Uint8Array(8_192);
let lastSlot = 0;
const slotOf = (alphabet: number): number => {
  const known = slots[alphabet] as number;
  if (known !== 0) return known;
  lastSlot += 1;
  if (lastSlot > 255) throw new RangeError('Expected rules to ask for at most 255 alphabets');
  return (slots[alphabet] = lastSlot);
};

export interface ViewOptions {
  readonly phoneCheck?: PhoneCheck | undefined;
  readonly names: boolean;
  readonly addresses: boolean;
}

export class TextView {
  /** The text, with zeros behind it; what rules read. */
  readonly units: Uint16Array;
  readonly length: number;
  #text: string | undefined;
  readonly emit: Emit;
  readonly topics: Topics;
  readonly phoneCheck: PhoneCheck | undefined;
  readonly names: boolean;
  readonly addresses: boolean;
  /** Rules that take long stretches (a key block, a URL) note here how far they took, so that inner words are skipped. */
  takenUntil = 0;
  /** As far as the last token reaches at the least: prefixes inside it are not looked at again. */
  tokenUntil = 0;
  /** Where the last token or key id ends at the latest: another may begin there, or before. */
  tokenEnd = 0;
  jwtRun = 0;
  jwtTries = 0;
  /** The last name that was judged. */
  nameStart = -1;
  nameEnd = 0;
  /** The last unquoted value that was walked. */
  valueStart = 0;
  valueEnd = 0;
  #toJudge: number;
  /** The `@` that ends the credentials of a URL: no e-mail address, whatever stands around it. */
  userinfoAt = -1;
  manifestUntil = 0;
  ipv6Until = 0;
  macUntil = 0;
  birthUntil = 0;
  /** By alphabet: where the last run that was walked begins and ends. */
  #runStarts: number[] | undefined;
  #runEnds: number[] | undefined;
  #dashedStart = 0;
  #dashedEnd = 0;
  #found: Map<string, number> | undefined;

  /** A text that is given by its units alone is made from them when a rule asks for it. */
  constructor(
    text: string | undefined,
    emit: Emit,
    options: ViewOptions,
    topics: number,
    units = unitsOf(text ?? ''),
    length = text?.length ?? 0,
  ) {
    this.#text = text;
    this.units = units;
    this.length = length;
    this.#toJudge = JUDGED + 2 * length;
    this.emit = emit;
    this.topics = new Topics(topics);
    this.phoneCheck = options.phoneCheck;
    this.names = options.names;
    this.addresses = options.addresses;
  }

  get text(): string {
    return (this.#text ??= textOfUnits(this.units, this.length));
  }

  /** False when more has been judged than any honest text asks for: from then on, what could be a secret is one. */
  judge(length: number): boolean {
    this.#toJudge -= length;
    return this.#toJudge > 0;
  }

  /** As `runEnd`, without end, remembering the last run of each alphabet: rules ask from left to right. */
  runEnd(from: number, alphabet: number): number {
    const slot = slotOf(alphabet);
    const starts = (this.#runStarts ??= []);
    const ends = (this.#runEnds ??= []);
    const known = ends[slot];
    if (known !== undefined && from < known && from >= (starts[slot] as number)) return known;
    while (ends.length <= slot) {
      starts.push(0);
      ends.push(0);
    }
    starts[slot] = from;
    return (ends[slot] = runEnd(this.units, from, alphabet));
  }

  /** As `runEnd` of letters, digits and dashes: asked for at every number. */
  dashedEnd(from: number): number {
    if (from >= this.#dashedStart && from < this.#dashedEnd) return this.#dashedEnd;
    this.#dashedStart = from;
    return (this.#dashedEnd = runEnd(this.units, from, ALNUM | DASH));
  }

  runStart(to: number, alphabet: number, limit: number): number {
    return runStart(this.units, to, alphabet, limit);
  }

  /** As `indexOf`, or -1; remembering the answer, so that a marker that never comes is looked for once. */
  indexOf(marker: string, from: number): number {
    const known = (this.#found ??= new Map()).get(marker);
    if (known !== undefined && (known === -1 || known >= from)) return known;
    const found = this.text.indexOf(marker, from);
    this.#found.set(marker, found);
    return found;
  }
}
