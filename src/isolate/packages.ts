/** npm packages for a guest: bundled here into one module each, so that the guest's own source stays as it was written. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TapPassConfigError } from '../model/errors.ts';

interface Bundler {
  readonly build: (options: object) => Promise<{ readonly output: readonly { readonly code?: string }[] }>;
}

/** A package, or a file that a package exports: no path, no protocol. */
const PACKAGE = /^(?:@[\w-][\w.-]*\/)?[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/u;

export const isPackageName = (name: string): boolean => name.length <= 200 && PACKAGE.test(name);

/** The source of one module that exports what the package does. Reads files beneath `from` and where it resolves to. */
export const bundlePackage = async (name: string, from: string): Promise<string> => {
  const { build } = await loadBundler(from);
  const quoted = JSON.stringify(name);
  // What CommonJS exports is known when it has run: the guest's runtime looks for such names in `$$all`.
  const source =
    `import * as all from ${quoted};export * from ${quoted};` +
    `export default 'default' in all?all.default:all;export{all as $$all};`;
  try {
    const { output } = await build({
      input: ENTRY,
      cwd: from,
      platform: 'neutral',
      write: false,
      logLevel: 'silent',
      resolve: { mainFields: ['module', 'main'] },
      output: { format: 'esm', codeSplitting: false },
      plugins: [entryPlugin(source, join(from, 'package.json'))],
    });
    return output[0]?.code ?? '';
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
    throw new TapPassConfigError(`Expected package ${quoted} to bundle for a guest, got: ${message.slice(0, 500)}`, {
      cause: error,
    });
  }
};

const ENTRY = '\0tappass-entry';

const entryPlugin = (source: string, base: string): object => ({
  name: 'tappass-entry',
  resolveId: (id: string, importer?: string) => {
    if (id === ENTRY) return ENTRY;
    return importer === ENTRY ? createRequire(base).resolve(id) : undefined;
  },
  load: (id: string) => (id === ENTRY ? source : undefined),
});

/** An optional peer: found from the program's directory, or from here. */
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
