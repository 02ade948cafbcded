/**
 * Reads the test data of other projects out of `.cache/detect-corpora` (never committed). To fill it:
 *
 *   mkdir -p .cache/detect-corpora && cd .cache/detect-corpora
 *   git clone --depth 1 https://github.com/gitleaks/gitleaks
 *   git clone --depth 1 https://github.com/secretlint/secretlint
 *   git clone --depth 1 https://github.com/microsoft/presidio
 *   git clone --depth 1 https://github.com/microsoft/presidio-research
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseGo, parsePython, type Literal } from './detect-literals.ts';

export interface Expected {
  readonly start: number;
  readonly end: number;
  /** Type name of the corpus; `SECRET` for secrets. */
  readonly type: string;
}

/** One text and what its authors say is in it. */
export interface Sample {
  readonly corpus: string;
  /** The rule or recogniser it was written for. */
  readonly group: string;
  readonly text: string;
  /** `'any'`: something is in it, the place is not said. */
  readonly expected: readonly Expected[] | 'any';
  /** Only what one rule of theirs finds is marked; more may be in it. */
  readonly partial?: true;
}

const home = resolve(import.meta.dirname, '..', '..', '.cache', 'detect-corpora');
const read = (...path: string[]): string => readFileSync(join(home, ...path), 'utf8');
const has = (...path: string[]): boolean => existsSync(join(home, ...path));
const list = (...path: string[]): readonly string[] => readdirSync(join(home, ...path)).sort();

/** gitleaks: every `tps` and `fps` of its rules, with its own sample formats around the secrets. */
export const gitleaksSamples = (): readonly Sample[] => {
  const rules = ['gitleaks', 'cmd', 'generate', 'config', 'rules'];
  if (!has(...rules)) return [];
  const formats = [
    ...read('gitleaks', 'cmd', 'generate', 'config', 'utils', 'generate.go').matchAll(
      /^\t\t"[^"\n]+":\s+("(?:[^"\\\n]|\\.)*"|`[^`]*`),/gmu,
    ),
  ].map((found) => unquote(found[1] ?? ''));
  const samples: Sample[] = [];
  for (const file of list(...rules).filter((name) => name.endsWith('.go') && !name.endsWith('_test.go'))) {
    for (const { name, truePositives, falsePositives } of parseGo(read(...rules, file), formats)) {
      const group = `${file.slice(0, -3)}/${name}`;
      for (const text of truePositives) samples.push({ corpus: 'gitleaks', group, text, expected: 'any' });
      for (const text of falsePositives) samples.push({ corpus: 'gitleaks', group, text, expected: [] });
    }
  }
  return samples;
};

const unquote = (literal: string): string =>
  literal.startsWith('`') ? literal.slice(1, -1) : (JSON.parse(literal) as string);

/**
 * Inputs whose verdict is an option of the rule (`allows`, `enableIDScanRule: false`), not a property of the text: the same
 * text is a finding in the sample beside it.
 */
const BY_OPTION = /(?:^|\.)allows$|--/u;

/** secretlint: the inputs of its recommended preset, and the ranges its own snapshots hold. */
export const secretlintSamples = (): readonly Sample[] => {
  const root = ['secretlint', 'packages', '@secretlint', 'secretlint-rule-preset-recommend', 'test', 'snapshots'];
  if (!has(...root)) return [];
  const samples: Sample[] = [];
  for (const rule of list(...root)) {
    for (const name of list(...root, rule)) {
      const files = list(...root, rule, name);
      const input = files.find((file) => file.startsWith('input'));
      if (input === undefined || !files.includes('output.json') || rule.endsWith('filter-comments')) continue;
      if (BY_OPTION.test(name)) continue;
      if (/\.(?:p12|bin|pfx)$/u.test(input)) continue;
      const output = JSON.parse(read(...root, rule, name, 'output.json')) as {
        messages?: { range: [number, number] }[];
      };
      const expected = (output.messages ?? []).map(({ range: [start, end] }) => ({ start, end, type: 'SECRET' }));
      samples.push({
        corpus: 'secretlint',
        group: `${rule.replace('secretlint-rule-', '')}/${name}`,
        text: read(...root, rule, name, input),
        expected,
        ...(expected.length > 0 ? { partial: true } : {}),
      });
    }
  }
  return samples;
};

/** Presidio: the parametrised cases of its recogniser tests. Matches that Presidio itself rates below 0.4 are left out. */
export const presidioSamples = (): readonly Sample[] => {
  const tests = ['presidio', 'presidio-analyzer', 'tests'];
  if (!has(...tests)) return [];
  const samples: Sample[] = [];
  for (const file of list(...tests)) {
    const name = /^test_(?<name>.+)_recognizer\.py$/u.exec(file)?.groups?.['name'];
    if (name === undefined) continue;
    const source = read(...tests, file);
    const entity = /return \["([A-Z_]+)"\]/u.exec(source)?.[1] ?? /\["([A-Z_]{3,})"/u.exec(source)?.[1];
    if (entity === undefined) continue;
    for (const row of parsePython(source)) {
      const sample = presidioSample(row, name, entity);
      if (sample !== undefined) samples.push(sample);
    }
  }
  return samples;
};

const isPair = (value: Literal): value is readonly [number, number] =>
  Array.isArray(value) &&
  value.length === 2 &&
  value.every((part) => typeof part === 'number' && Number.isInteger(part));

const presidioSample = (row: readonly Literal[], group: string, entity: string): Sample | undefined => {
  const [text, count] = row;
  if (typeof text !== 'string' || typeof count !== 'number') return undefined;
  const lists = row.slice(2).filter((value): value is readonly Literal[] => Array.isArray(value));
  const places = lists.find((value) => value.length === count && value.every(isPair)) as
    | readonly (readonly [number, number])[]
    | undefined;
  if (count > 0 && places === undefined) return undefined;
  const ranges = lists.find(
    (value) =>
      value.length === count && value !== places && value.every((part) => Array.isArray(part) && part.length === 2),
  );
  const rated = (index: number): number => {
    const range = ranges?.[index] as readonly Literal[] | undefined;
    const top = range?.[1];
    return typeof top === 'number' ? top : 1;
  };
  const weak = (places ?? []).some((_, index) => rated(index) < 0.4);
  if (weak) return undefined;
  return {
    corpus: 'presidio',
    group,
    text,
    expected: (places ?? []).map(([start, end]) => ({ start, end, type: entity })),
  };
};

/** presidio-research: 1,500 synthetic sentences with spans. */
export const researchSamples = (): readonly Sample[] => {
  const path = ['presidio-research', 'data', 'synth_dataset_v2.json'];
  if (!has(...path)) return [];
  const sentences = JSON.parse(read(...path)) as readonly {
    readonly full_text: string;
    readonly spans: readonly {
      readonly entity_type: string;
      readonly start_position: number;
      readonly end_position: number;
    }[];
  }[];
  return sentences.map(({ full_text: text, spans }) => ({
    corpus: 'presidio-research',
    group: 'sentences',
    text,
    expected: spans.map(({ entity_type: type, start_position: start, end_position: end }) => ({ type, start, end })),
  }));
};
