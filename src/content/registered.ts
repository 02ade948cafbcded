/**
 * Secrets that the program itself knows: matched exactly, in any encoding that carries them unchanged. A window of four
 * code units is hashed while the text is read; only where the hash is known are whole values compared.
 */
import { secretName } from './secret-names.ts';
import { isPlaceholder, isRandom } from './secret-values.ts';
import { readable, standsAt } from './units.ts';

/** Shorter values would redact ordinary words. */
export const SHORTEST_REGISTERED = 6;

const TABLE_BITS = 16;
const slotOf = (window: number): number => (Math.imul(window, 0x9e3779b1) >>> (32 - TABLE_BITS)) | 0;
const windowOf = (first: number, second: number, third: number, fourth: number): number =>
  ((first & 0xff) << 24) | ((second & 0xff) << 16) | ((third & 0xff) << 8) | (fourth & 0xff);

const encodeUtf8 = (text: string): string => {
  let bytes = '';
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
};

/** The three texts that stay the same in the base64 of anything that contains `bytes`, whatever comes before it. */
const base64Cores = (bytes: string): readonly string[] =>
  [0, 1, 2].map((phase) => {
    const encoded = btoa('\0'.repeat(phase) + bytes).replaceAll('=', '');
    const first = Math.ceil((phase * 8) / 6);
    const last = Math.floor(((phase + bytes.length) * 8) / 6);
    return encoded.slice(first, last);
  });

/** Every form in which `secret` may stand in a text. */
export const formsOf = (secret: string): ReadonlySet<string> => {
  const bytes = encodeUtf8(secret);
  const hex = Array.from(bytes, (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('');
  const cores = base64Cores(bytes);
  const json = JSON.stringify(secret).slice(1, -1);
  const forms = [
    secret,
    json,
    JSON.stringify(json).slice(1, -1),
    secret.replaceAll('/', '\\/'),
    encodeURIComponent(wellFormed(secret)),
    encodeURIComponent(wellFormed(secret)).replaceAll('%20', '+'),
    Array.from(bytes, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`).join(''),
    secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
    hex,
    hex.toUpperCase(),
    ...cores,
    ...cores.map((core) => core.replaceAll('+', '-').replaceAll('/', '_')),
  ];
  return new Set(forms.filter((form) => form.length >= SHORTEST_REGISTERED));
};

const wellFormed = (text: string): string => text.toWellFormed();

export class SecretRegistry {
  readonly #secrets = new Set<string>();
  readonly #known = new Uint8Array(1 << TABLE_BITS);
  readonly #bySlot = new Map<number, string[]>();

  #longest = 0;

  /** Characters of the longest form of any. */
  get longest(): number {
    return this.#longest;
  }

  /** Throws for a value too short to be told from ordinary words. Registering twice is harmless. */
  add(secret: string): void {
    if (secret.length < SHORTEST_REGISTERED) {
      throw new RangeError(
        `Expected a secret of at least ${SHORTEST_REGISTERED} characters, got ${secret.length}: shorter ones would redact ordinary words`,
      );
    }
    if (this.#secrets.has(secret)) return;
    this.#secrets.add(secret);
    for (const form of formsOf(secret)) {
      this.#longest = Math.max(this.#longest, form.length);
      const slot = slotOf(windowOf(form.charCodeAt(0), form.charCodeAt(1), form.charCodeAt(2), form.charCodeAt(3)));
      this.#known[slot] = 1;
      const forms = this.#bySlot.get(slot);
      if (forms === undefined) this.#bySlot.set(slot, [form]);
      else if (!forms.includes(form)) forms.push(form);
    }
  }

  /** Registers the values of variables that hold secrets, by name or by look; returns the names it took. */
  addEnvironment(environment: Readonly<Record<string, string | undefined>>): readonly string[] {
    const taken: string[] = [];
    for (const [name, value] of Object.entries(environment)) {
      if (value === undefined || !isWorthRegistering(name, value)) continue;
      this.add(value);
      taken.push(name);
    }
    return taken;
  }

  /** Calls `found` for every place where a registered secret stands in the first `length` units. */
  search(units: Uint16Array, length: number, found: (start: number, end: number) => void): void {
    if (this.#secrets.size === 0) return;
    const known = this.#known;
    let window = windowOf(0, units[0] as number, units[1] as number, units[2] as number);
    for (let at = 3; at < length; at += 1) {
      window = (window << 8) | ((units[at] as number) & 0xff);
      const slot = slotOf(window);
      if (known[slot] === 0) continue;
      const from = at - 3;
      let longest = 0;
      for (const form of this.#bySlot.get(slot) ?? []) {
        if (form.length > longest && from + form.length <= length && standsAt(units, from, form)) longest = form.length;
      }
      if (longest === 0) continue;
      const end = from + longest;
      found(from, end);
      window = windowOf(0, units[end] as number, units[end + 1] as number, units[end + 2] as number);
      at = end + 2;
    }
  }
}

const isWorthRegistering = (name: string, value: string): boolean => {
  if (value.length < 8 || /^(?:\/|\.\.?\/|[A-Za-z]:\\)/u.test(value)) return false;
  const source = readable(value);
  if (isPlaceholder(source, 0, value.length)) return false;
  const strength = secretName(name);
  if (strength === undefined) return false;
  return strength !== 'weak' || isRandom(source, 0, value.length);
};
