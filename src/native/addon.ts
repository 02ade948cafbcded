/** Finds and loads the native part: one N-API module that makes system calls and decides nothing. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FileCalls } from './file-calls.ts';
import type { JournalCalls } from './journal-calls.ts';
import type { KernelCalls } from './kernel-calls.ts';

/** Each call is absent when its part was not built. */
export interface NativeAddon extends Partial<FileCalls>, Partial<JournalCalls>, Partial<KernelCalls> {}

export type NativeLoad = { readonly addon: NativeAddon } | { readonly missing: string };

const root = join(import.meta.dirname, '..', '..');
const platform = `${process.platform}-${process.arch}`;

/** Where a native file stands: a build of this checkout first, else what the published package brought. */
export const nativeFile = (name: string): string | undefined =>
  [join(root, 'build', platform, name), join(root, 'prebuilds', platform, name)].find((file) => existsSync(file));

let loaded: NativeLoad | undefined;

/** Loads once; afterwards the same answer. A missing or broken addon is a value with its reason, never a throw. */
export const loadAddon = (): NativeLoad => (loaded ??= load());

const load = (): NativeLoad => {
  const file = nativeFile('tappass.node');
  if (file === undefined) {
    return {
      missing: `no native addon for ${platform}: expected tappass.node in build/ or prebuilds/; run \`npm rebuild\``,
    };
  }
  try {
    // What `require` does in the end; on the way there it would ask the file system a dozen questions more.
    const module: { readonly exports: NativeAddon } = { exports: {} };
    process.dlopen(module, file);
    return { addon: module.exports };
  } catch (error) {
    return {
      missing: `the native addon ${file} does not load: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
};
