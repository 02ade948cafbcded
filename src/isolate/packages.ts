/** npm packages for a guest: bundled here into one module each, so that the guest's own source stays as it was written. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TapPassConfigError } from '../model/errors.ts';
import { importNamesOf, type ProgramSource } from './prepare.ts';

interface Bundler {
  readonly build: (options: object) => Promise<{ readonly output: readonly { readonly code?: string }[] }>;
}

const BARE = /^(?:@[\w.-]+\/)?[\w.-]+(?:\/[\w./-]+)?$/u;

/** Adds a module for each import of the program that names a package and was not given. Reads files beneath `from`. */
export const addPackages = async (program: ProgramSource, from: string): Promise<ProgramSource> => {
  const wanted = (await importNamesOf(program)).filter(
    (name) => !Object.hasOwn(program.modules, name) && BARE.test(name) && !name.startsWith('.'),
  );
  if (wanted.length === 0) return program;
  const { build } = await loadBundler(from);
  const modules: Record<string, string> = { ...program.modules };
  for (const name of wanted) modules[name] = await bundle(build, name, from);
  return { ...program, modules };
};

/** An optional peer: found from the program's directory or from here. */
const loadBundler = async (from: string): Promise<Bundler> => {
  for (const base of [join(from, 'package.json'), import.meta.filename]) {
    try {
      return (await import(pathToFileURL(createRequire(base).resolve('rolldown')).href)) as Bundler;
    } catch {
      // Tried next, or told below.
    }
  }
  throw new TapPassConfigError(
    'Expected the package `rolldown` to bundle npm packages for the guest, got none: run `npm install rolldown`, or pass `modules` instead of `packagesFrom`',
    { code: 'TAPPASS_CONFIG_BUNDLER' },
  );
};

const ENTRY = '\0tappass-entry';

const bundle = async (build: Bundler['build'], name: string, from: string): Promise<string> => {
  const quoted = JSON.stringify(name);
  const source = `import * as all from ${quoted};export * from ${quoted};export default 'default' in all?all.default:all;`;
  try {
    const { output } = await build({
      input: ENTRY,
      cwd: from,
      platform: 'neutral',
      write: false,
      logLevel: 'silent',
      resolve: { mainFields: ['module', 'main'] },
      external: /^node:/u,
      output: { format: 'esm', codeSplitting: false },
      plugins: [
        {
          name: 'tappass-entry',
          resolveId: (id: string, importer?: string) =>
            id === ENTRY
              ? ENTRY
              : importer === ENTRY
                ? createRequire(join(from, 'package.json')).resolve(id)
                : undefined,
          load: (id: string) => (id === ENTRY ? source : undefined),
        },
      ],
    });
    return output[0]?.code ?? '';
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
    throw new TapPassConfigError(`Expected package ${quoted} to bundle for a guest, got: ${message.slice(0, 500)}`, {
      cause: error,
    });
  }
};
