/**
 * The dearest text that can be found: every source of `worst-texts.ts` alone, then random mixes of them, the dearest mixed
 * further. Processor time of this thread, the least of several runs, for 1 MB (2^20 characters), with personal data and
 * secrets both masked; beside it what `JSON.stringify` and a bare loop over the character codes take for the same text.
 *
 *   node test/bench/worst.bench.ts [seconds to search for mixes, default 20]
 */
import Table from 'cli-table3';
import { createContentScanner } from '../../src/content/scanner.ts';
import { SOURCES, seeded, textOf, type Source } from './worst-texts.ts';

const MB = 1 << 20;
const PROBE = 1 << 16;
const scanner = createContentScanner({ pii: 'mask' });

const spent = (work: () => unknown): number => {
  const before = performance.now();
  work();
  return performance.now() - before;
};
const least = (runs: number, work: () => unknown): number => {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run += 1) best = Math.min(best, spent(work));
  return best;
};

let sink = 0;
const loop = (text: string): void => {
  for (let at = 0; at < text.length; at += 1) sink = (sink + text.charCodeAt(at)) | 0;
};

interface Mix {
  readonly name: string;
  readonly sources: readonly Source[];
}
const nameOf = (sources: readonly Source[]): string => sources.map(({ name }) => JSON.stringify(name)).join(' + ');
const probe = (sources: readonly Source[], seed: number): number => {
  const text = textOf(sources, PROBE, seed);
  return least(3, () => scanner.transformText(text)) * (MB / PROBE);
};

for (const source of SOURCES) scanner.transformText(textOf([source], 8_192, 1));
const scored = SOURCES.map((source) => ({ sources: [source], cost: probe([source], 1) }));
const dearest = (): typeof scored => scored.toSorted((a, b) => b.cost - a.cost);

const seconds = Number(process.argv[2] ?? 20);
const random = seeded(20_261_121);
const until = performance.now() + seconds * 1_000;
let tried = 0;
while (performance.now() < until) {
  tried += 1;
  const parents = dearest().slice(0, 24);
  const base = random() < 0.6 ? (parents[Math.floor(random() * parents.length)]?.sources ?? []) : [];
  const more = Array.from(
    { length: 1 + Math.floor(random() * 3) },
    () => SOURCES[Math.floor(random() * SOURCES.length)],
  );
  const sources = [...base, ...more.filter((source) => source !== undefined)].slice(-6);
  const cost = probe(sources, tried);
  scored.push({ sources: [...sources], cost });
}

const table = new Table({ head: ['1 MB of', 'ms', 'JSON.stringify', 'bare loop'] });
const alone: Mix[] = SOURCES.map((source) => ({ name: nameOf([source]), sources: [source] }));
const mixes: Mix[] = dearest()
  .filter(({ sources }) => sources.length > 1)
  .slice(0, 12)
  .map(({ sources }) => ({ name: nameOf(sources), sources }));
const measured = [...alone, ...mixes].map(({ name, sources }) => {
  const text = textOf(sources, MB, 7);
  return {
    name,
    ms: least(sources.length > 1 ? 5 : 3, () => scanner.transformText(text)),
    json: least(2, () => JSON.stringify(text)),
    bare: least(2, () => loop(text)),
  };
});
for (const { name, ms, json, bare } of measured.toSorted((a, b) => b.ms - a.ms).slice(0, 40))
  table.push([name.slice(0, 90), ms.toFixed(1), json.toFixed(1), bare.toFixed(1)]);
const over = measured.filter(({ ms }) => ms > 50).length;
process.stdout.write(
  `${table.toString()}\n${measured.length} texts of 1 MB (${tried} mixes tried): ${over} above 50 ms${sink === 1 ? ' ' : ''}\n`,
);
