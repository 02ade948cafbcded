/**
 * How much is found, how much is mistaken, and how fast: on the examples of gitleaks, secretlint, Presidio and
 * presidio-research (see `detect-corpora.ts` for how to fetch them), beside other detectors in the same run.
 *
 *   node test/bench/detect.bench.ts
 */
import Table from 'cli-table3';
import { createContentScanner } from '../../src/content/scanner.ts';
import { PRESIDIO_ALIASES } from '../../src/content/presidio.ts';
import type { Expected, Sample } from './detect-corpora.ts';
import { gitleaksSamples, presidioSamples, researchSamples, secretlintSamples } from './detect-corpora.ts';
import { peer } from './peers.ts';

interface Found {
  readonly start: number;
  readonly end: number;
  readonly type: string;
}

interface Detector {
  readonly name: string;
  readonly find: (text: string) => Promise<readonly Found[]> | readonly Found[];
}

const STRUCTURED = new Set(['EMAIL', 'PHONE_NUMBER', 'SSN', 'CREDIT_CARD', 'IBAN', 'IP_ADDRESS']);
/** How others call the same types. */
const SAME: Readonly<Record<string, string>> = {
  ...PRESIDIO_ALIASES,
  PHONE: 'PHONE_NUMBER',
  PHONE_US: 'PHONE_NUMBER',
  PHONE_UK: 'PHONE_NUMBER',
  PHONE_INTERNATIONAL: 'PHONE_NUMBER',
  PHONE_LANDLINE: 'PHONE_NUMBER',
  IPV4: 'IP_ADDRESS',
  IPV6: 'IP_ADDRESS',
  STREET_ADDRESS: 'ADDRESS',
  NAME: 'PERSON',
  US_SOCIAL_SECURITY: 'SSN',
};
const typeOf = (type: string): string => SAME[type] ?? type;

const overlaps = (a: Found | Expected, b: Found | Expected): boolean => a.start < b.end && b.start < a.end;

interface Score {
  hit: number;
  missed: number;
  mistaken: number;
  /** Found beside the marked places of texts in which only some is marked: neither right nor wrong by their word. */
  beside: number;
}
const noScore = (): Score => ({ hit: 0, missed: 0, mistaken: 0, beside: 0 });

const scoreSecrets = async (detector: Detector, samples: readonly Sample[]): Promise<Score> => {
  const score = noScore();
  for (const { text, expected, partial = false } of samples) {
    const found = await detector.find(text);
    if (expected === 'any') {
      if (found.length > 0) score.hit += 1;
      else score.missed += 1;
      continue;
    }
    for (const place of expected) {
      if (found.some((span) => overlaps(span, place))) score.hit += 1;
      else score.missed += 1;
    }
    // A sample in which nothing should be found counts once; beside expected places, each finding counts.
    const wrong = found.filter((span) => !expected.some((place) => overlaps(span, place)));
    if (partial) score.beside += wrong.length;
    else score.mistaken += expected.length === 0 ? Math.min(1, wrong.length) : wrong.length;
  }
  return score;
};

const scoreTypes = async (
  detector: Detector,
  samples: readonly Sample[],
  types: ReadonlySet<string>,
): Promise<Score> => {
  const score = noScore();
  for (const { corpus, text, expected } of samples) {
    if (expected === 'any') continue;
    const found = (await detector.find(text))
      .map((span) => ({ ...span, type: typeOf(span.type) }))
      .filter(({ type }) => types.has(type));
    const wanted = expected
      .map((place) => ({ ...place, type: typeOf(place.type) }))
      .filter(({ type }) => types.has(type));
    for (const place of wanted) {
      if (found.some((span) => span.type === place.type && overlaps(span, place))) score.hit += 1;
      else score.missed += 1;
    }
    // Presidio's cases name one recogniser's findings only: another type beside them is no mistake.
    if (corpus === 'presidio' && expected.length > 0) continue;
    score.mistaken += found.filter(
      (span) => !wanted.some((place) => span.type === place.type && overlaps(span, place)),
    ).length;
  }
  return score;
};

const scanner = createContentScanner({ pii: 'mask' });
const secretsOnly = createContentScanner();
const own: Detector = { name: 'tappass', find: (text) => scanner.scanText(text).filter(({ kind }) => kind === 'pii') };
const namesToo = createContentScanner({ pii: 'mask', names: true, addresses: true });
const optIn: Detector = { name: 'tappass, names and addresses', find: (text) => namesToo.scanText(text) };
const ownSecrets: Detector = { name: 'tappass', find: (text) => secretsOnly.scanText(text) };

/** @secretlint, in memory; installed as a peer, so that nobody who only runs tests downloads it. */
const secretlint = async (): Promise<Detector | string> => {
  const core = await peer('@secretlint/core', '13.0.7');
  const preset = await peer('@secretlint/secretlint-rule-preset-recommend', '13.0.7');
  if ('missing' in core) return core.missing;
  if ('missing' in preset) return preset.missing;
  const lintSource = core.module['lintSource'] as (
    request: unknown,
  ) => Promise<{ messages: { range: [number, number] }[] }>;
  const config = {
    rules: [{ id: '@secretlint/secretlint-rule-preset-recommend', rule: preset.module['creator'], options: {} }],
  };
  return {
    name: '@secretlint',
    find: async (text) => {
      const { messages } = await lintSource({
        source: { filePath: 'a.txt', content: text, ext: '.txt', contentType: 'text' },
        options: { config, noPhysicFilePath: true },
      });
      return messages.map(({ range: [start, end] }) => ({ start, end, type: 'SECRET' }));
    },
  };
};

const openredaction = async (): Promise<Detector | string> => {
  const module = await peer('openredaction', '1.1.5');
  if ('missing' in module) return module.missing;
  interface Redaction {
    readonly detections: readonly { readonly type: string; readonly position: readonly [number, number] }[];
  }
  const Redactor = module.module['OpenRedaction'] as new (options: object) => {
    detect: (text: string) => Promise<Redaction> | Redaction;
  };
  const redactor = new Redactor({ includeNames: false, includeAddresses: false });
  return {
    name: 'openredaction',
    find: async (text) =>
      (await redactor.detect(text)).detections.map(({ type, position: [start, end] }) => ({ type, start, end })),
  };
};

const openaiGuardrails = async (): Promise<Detector | string> => {
  const module = await peer('@openai/guardrails', '0.2.1');
  if ('missing' in module) return module.missing;
  const pii = module.module['pii'];
  if (typeof pii !== 'function') return '@openai/guardrails@0.2.1 exports no check of personal data';
  const check = pii as (
    context: object,
    text: string,
    config: object,
  ) => Promise<{ info?: { detected_entities?: Record<string, string[]> } }>;
  return {
    name: '@openai/guardrails',
    find: async (text) => {
      const { info } = await check({}, text, { entities: Object.keys(PRESIDIO_ALIASES), block: false });
      return Object.entries(info?.detected_entities ?? {}).flatMap(([type, values]) =>
        values.map((value) => ({ type, start: text.indexOf(value), end: text.indexOf(value) + value.length })),
      );
    },
  };
};

/** What either finds. */
const both = (one: Detector, other: Detector): Detector => ({
  name: `${one.name} + ${other.name}`,
  find: async (text) => [...(await one.find(text)), ...(await other.find(text))],
});

/** Regions whose numbers are tried for a number that says none: those of the examples, and the largest. */
const REGIONS = ['US', 'GB', 'DE', 'FR', 'ES', 'IT', 'SE', 'IN', 'AU', 'BR', 'MX', 'JP', 'CN', 'PH', 'TR', 'IL', 'CH'];

/** Our telephone numbers, only those that libphonenumber holds for valid somewhere; and its own search in texts. */
const phones = async (): Promise<readonly Detector[] | string> => {
  const module = await peer('libphonenumber-js', '1.13.16', 'libphonenumber-js/max');
  if ('missing' in module) return module.missing;
  const lib = module.module as unknown as {
    readonly isValidPhoneNumber: (text: string, region?: string) => boolean;
    readonly findPhoneNumbersInText: (
      text: string,
      region: string,
    ) => readonly { readonly startsAt: number; readonly endsAt: number }[];
  };
  const isValid = (text: string): boolean =>
    /^\(?\+/u.test(text)
      ? lib.isValidPhoneNumber(text)
      : REGIONS.some((region) => lib.isValidPhoneNumber(text, region));
  return [
    {
      name: 'tappass, then libphonenumber-js',
      find: async (text) =>
        (await own.find(text)).filter(
          ({ type, start, end }) => type !== 'PHONE_NUMBER' || isValid(text.slice(start, end)),
        ),
    },
    {
      name: 'libphonenumber-js alone (US)',
      find: (text) =>
        lib
          .findPhoneNumbersInText(text, 'US')
          .map(({ startsAt: start, endsAt: end }) => ({ start, end, type: 'PHONE_NUMBER' })),
    },
  ];
};

const percent = (part: number, whole: number): string => (whole === 0 ? '–' : (part / whole).toFixed(3));
const table = new Table({ head: ['what', 'detector', 'recall', 'precision', 'hit', 'missed', 'mistaken', 'beside'] });
const addScore = (what: string, name: string, { hit, missed, mistaken, beside }: Score): void => {
  table.push([what, name, percent(hit, hit + missed), percent(hit, hit + mistaken), hit, missed, mistaken, beside]);
};

const secretSets: readonly (readonly [string, readonly Sample[]])[] = [
  ['secrets: gitleaks', gitleaksSamples()],
  ['secrets: secretlint', secretlintSamples()],
];
const piiSets: readonly (readonly [string, readonly Sample[]])[] = [
  ['PII: presidio-research', researchSamples()],
  [
    'PII: Presidio, structured',
    presidioSamples().filter(({ group }) => /^(?:email|phone|credit_card|iban|ip|us_ssn)$/u.test(group)),
  ],
];
const every = new Set(Object.values(PRESIDIO_ALIASES).filter((type) => type !== 'PERSON' && type !== 'ADDRESS'));
const unless = (detector: Detector | string): readonly Detector[] => {
  if (typeof detector !== 'string') return [detector];
  table.push([{ colSpan: 8, content: `missing: ${detector}` }]);
  return [];
};

const secretPeers = unless(await secretlint());
const piiPeers = [...unless(await openredaction()), ...unless(await openaiGuardrails())];
for (const [what, samples] of secretSets) {
  if (samples.length === 0) table.push([{ colSpan: 8, content: `${what}: not in .cache/detect-corpora` }]);
  for (const detector of [ownSecrets, ...secretPeers, ...secretPeers.map((other) => both(ownSecrets, other))])
    addScore(what, detector.name, await scoreSecrets(detector, samples));
}
for (const [what, samples] of piiSets) {
  if (samples.length === 0) table.push([{ colSpan: 8, content: `${what}: not in .cache/detect-corpora` }]);
  for (const detector of [own, ...piiPeers])
    addScore(what, detector.name, await scoreTypes(detector, samples, STRUCTURED));
}
const PHONES = new Set(['PHONE_NUMBER']);
const phonePeers = await phones();
const phoneSets: readonly (readonly [string, readonly Sample[]])[] = [
  ['telephones: presidio-research', researchSamples()],
  ['telephones: Presidio', presidioSamples().filter(({ group }) => /phone|mobile/u.test(group))],
];
for (const [what, samples] of phoneSets) {
  for (const detector of [own, ...(typeof phonePeers === 'string' ? unless(phonePeers) : phonePeers)])
    addScore(what, detector.name, await scoreTypes(detector, samples, PHONES));
}
for (const type of ['PERSON', 'ADDRESS'])
  addScore(`${type}: presidio-research`, optIn.name, await scoreTypes(optIn, researchSamples(), new Set([type])));
addScore('PII: Presidio, all its recognisers', own.name, await scoreTypes(own, presidioSamples(), every));

/** Enough that the steps in which kernels count processor time do not show, in milliseconds. */
const MEASURED = 150;

/** Processor time of one run on this thread, in milliseconds: other programs on the machine do not count. */
const costOf = async (work: () => unknown): Promise<number> => {
  for (let warm = 0; warm < 3; warm += 1) await work();
  const before = process.threadCpuUsage();
  for (let runs = 1; ; runs += 1) {
    await work();
    const { user, system } = process.threadCpuUsage(before);
    const spent = (user + system) / 1_000;
    if (spent >= MEASURED) return spent / runs;
  }
};

const WORDS =
  'The quick results of this report were read by nobody in particular and then some more ordinary prose follows about systems documents and their owners'.split(
    ' ',
  );
const prose = (length: number): string => {
  let text = '';
  for (let index = 0; text.length < length; index += 1)
    text += `${WORDS[(index * 7) % WORDS.length]}${index % 11 === 10 ? '. ' : ' '}`;
  return text.slice(0, length);
};
const json = (length: number): unknown =>
  Array.from({ length: Math.ceil(length / 120) }, (_, id) => ({
    id,
    name: `Item ${id}`,
    description: prose(60),
    tags: ['alpha', 'beta'],
    price: id / 4,
  }));

const speed = new Table({ head: ['text', 'detector', 'ms of processor', 'MB/s'] });
const addSpeed = async (text: string, name: string, bytes: number, work: () => unknown): Promise<void> => {
  const ms = await costOf(work);
  speed.push([text, name, ms.toFixed(4), (bytes / 1e6 / (ms / 1e3)).toFixed(0)]);
};
const MB = 1 << 20;
const clean = prose(MB);
const small = { path: 'src/index.ts', content: prose(900), options: { recursive: true, depth: 3 } };
const result = json(10_240);
await addSpeed('1 KB of arguments, clean', 'tappass secrets', 1_000, () => secretsOnly.transform(small));
await addSpeed('1 KB of arguments, clean', 'tappass both', 1_000, () => scanner.transform(small));
await addSpeed('10 KB result, clean', 'tappass both', JSON.stringify(result).length, () => scanner.transform(result));
await addSpeed('1 MB of prose, clean', 'tappass secrets', MB, () => secretsOnly.scanText(clean));
await addSpeed('1 MB of prose, clean', 'tappass both', MB, () => scanner.scanText(clean));
const tenth = clean.slice(0, MB / 10);
for (const detector of [...secretPeers, ...piiPeers])
  await addSpeed('100 KB of prose, clean', detector.name, MB / 10, () => detector.find(tenth));
/** The worst that was found by repeating every word and sign that wakes a rule (see `test/content/linear.test.ts`). */
for (const unit of [
  '00-',
  '12-',
  '123-45-6789 ',
  '415-555-0132 ',
  'key: ',
  'ghp_',
  'eyJ.',
  '%41',
  '4111-',
  'cGFzc3dvcmQ9aHVudGVyMjI=',
]) {
  const text = unit.repeat(Math.ceil(MB / unit.length));
  await addSpeed(`1 MB of ${JSON.stringify(unit)}`, 'tappass both', MB, () => scanner.scanText(text));
}

process.stdout.write(`${table.toString()}\n${speed.toString()}\n`);
