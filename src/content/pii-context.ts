/** Words near a number that say what it is. They are noted while the text is read once, and asked for afterwards. */
import { ALNUM, KINDS, LOWER, UPPER } from './characters.ts';

export const TOPICS = [
  'phone',
  'line',
  'ssn',
  'passport',
  'license',
  'birth',
  'bank',
  'medical',
  'tax',
  'identity',
  'card',
  'version',
  'network',
  'crypto',
] as const;
export type Topic = (typeof TOPICS)[number];

/** Whole words (a plural `s` is allowed), in either case; `_`, digits and camelCase humps end a word. */
export const TOPIC_WORDS: Readonly<Record<Topic, readonly string[]>> = {
  phone: [
    'phone',
    'telephone',
    'cellphone',
    'mobile',
    'cell',
    'tel',
    'fax',
    'call',
    'dial',
    'whatsapp',
    'sms',
    'text me',
    'reach',
    'answering',
    'message',
    'contact',
    'landline',

    'hotline',
    'telefon',
    'telefono',
    'teléfono',
    'téléphone',
    'telefone',
    'handy',
    'mobil',
    'msisdn',
    'ring me',
    'phone number',
  ],
  line: ['office', 'desk', 'home', 'work', 'direct', 'mobile', 'fax', 'cell'],
  ssn: ['ssn', 'social security', 'social_security', 'socialsecurity', 'ssns', 'social insurance'],
  passport: [
    'passport',
    'travel document',
    'pass-nr',
    'pass nr',
    'passeport',
    'pasaporte',
    'reisepass',
    'passaporto',
    'passportnumber',
    'pass number',
  ],
  license: ['license', 'licence', 'dl', 'permit', 'lic', 'dlnumber', 'führerschein', 'driverslicense'],
  birth: [
    'born',
    'birth',
    'birthday',
    'birthdate',
    'dob',
    'birthday is',
    'date of birth',
    'geburtsdatum',
    'geboren',
    'naissance',
    'nacimiento',
    'nascita',
    'd.o.b',
    'dateofbirth',
  ],
  bank: [
    'bank',
    'account',
    'acct',
    'routing',
    'aba',
    'iban',
    'sort code',
    'bsb',
    'account number',
    'checking',
    'savings',
    'accountnumber',
    'debit',
  ],
  medical: [
    'medical',
    'patient',
    'mrn',
    'nhs',
    'medicare',
    'health',
    'npi',
    'mbi',
    'insurance',
    'krankenversicherung',
    'beneficiary',
    'lanr',
    'arztnummer',
  ],
  tax: [
    'tax',
    'tin',
    'itin',
    'ein',
    'vat',
    'tfn',
    'pan',
    'gstin',
    'steuer',
    'taxpayer',
    'cnpj',
    'abn',
    'acn',
    'fiscal',
    'partita iva',
    'p.iva',
    'steuer-id',
    'utr',
    'uen',
    'orgnummer',
    'organisationsnummer',
  ],
  identity: [
    'identity',
    'national id',
    'id number',
    'identification',
    'id card',
    'citizen',
    'aadhaar',
    'aadhar',
    'pesel',
    'nif',
    'nie',
    'dni',
    'cpf',
    'curp',
    'personnummer',
    'hetu',
    'nric',
    'fin',
    'sin',
    'bsn',
    'nino',
    'national insurance',
    'resident',
    'rrn',
    'uidai',
    'nin',
    'tckn',
    'nationalid',
    'ausweis',
    'personalausweis',
    'identity code',
    'id code',
    'idnr',
    'personal number',
    'kimlik',
    'id no',
    'voter',
    'codice',
    'registration',
  ],
  card: ['card', 'credit', 'visa', 'mastercard', 'amex', 'cc', 'pan', 'creditcard'],
  version: [
    'version',
    'ver',
    'release',
    'build',
    'chrome',
    'firefox',
    'safari',
    'driver version',
    'firmware',
    'assembly',
  ],
  network: ['ip', 'address', 'host', 'client', 'ipv', 'remote'],
  crypto: ['wallet', 'btc', 'bitcoin', 'crypto', 'eth', 'ethereum'],
};

const kind = (units: Uint16Array, index: number): number => KINDS[units[index] as number] as number;

/** Is `start…end` a word of its own? */
export const isWord = (units: Uint16Array, start: number, end: number): boolean => {
  const before = start === 0 ? 0 : kind(units, start - 1);
  const first = kind(units, start);
  if ((before & UPPER) !== 0 && (first & UPPER) !== 0) return false;
  if ((before & LOWER) !== 0 && (first & UPPER) === 0) return false;
  if ((before & UPPER) !== 0 && (first & LOWER) !== 0) return false;
  let after = end;
  if (units[after] === 115 || units[after] === 83) after += 1;
  const next = kind(units, after);
  const last = kind(units, end - 1);
  return (next & ALNUM & ~1) === 0 || ((next & UPPER) !== 0 && (last & LOWER) !== 0);
};

/** The same topics as numbers: rules ask for them at every number of a text. */
export const TOPIC = Object.fromEntries(TOPICS.map((topic, index) => [topic, index])) as Readonly<
  Record<Topic, number>
>;

/** Topics as the bits of one number. */
export const topicBits = (topics: Iterable<Topic>): number =>
  Array.from(topics).reduce((bits, topic) => bits | (1 << TOPIC[topic]), 0);

/** The words of one topic: where they end, in the order of the text, and how far the questions have come. */
interface Places {
  readonly ends: number[];
  next: number;
}

/** Where the words of each topic end. Questions come from left to right, or nearly so: each goes on where the last was. */
export class Topics {
  /** Topics of the label: they hold for the whole text. */
  readonly #always: number;
  #spoken: number;
  #places: (Places | undefined)[] | undefined;

  constructor(always: number) {
    this.#always = always;
    this.#spoken = always;
  }

  note(topic: number, end: number): void {
    this.#spoken |= 1 << topic;
    ((this.#places ??= [])[topic] ??= { ends: [], next: 0 }).ends.push(end);
  }

  /** Is one of these topics (bits) spoken of anywhere? */
  isAny(topics: number): boolean {
    return (this.#spoken & topics) !== 0;
  }

  /** Is `topic` the label's, or spoken of at most `before` characters before `start` or `after` behind `end`? */
  near(topic: number, start: number, end: number, before = 48, after = 0): boolean {
    if ((this.#spoken & (1 << topic)) === 0) return false;
    return (this.#always & (1 << topic)) !== 0 || this.#isClose(topic, start, end, before, after);
  }

  #isClose(topic: number, start: number, end: number, before: number, after: number): boolean {
    const places = this.#places?.[topic];
    if (places === undefined) return false;
    const { ends } = places;
    let { next } = places;
    while (next < ends.length && (ends[next] as number) <= start) next += 1;
    while (next > 0 && (ends[next - 1] as number) > start) next -= 1;
    places.next = next;
    if (next > 0 && start - (ends[next - 1] as number) <= before) return true;
    return after > 0 && next < ends.length && (ends[next] as number) - end <= after;
  }
}
