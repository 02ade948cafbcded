/** The profile as its files are now, or as they last were when they were good: what each command asks before it starts. */
import { channel } from 'node:diagnostics_channel';
import { stampOf } from './grants.ts';
import { isBuiltIn, loadProfile, type LoadedProfile } from './profile-files.ts';

export type ProfileNotice =
  | { readonly kind: 'reloaded'; readonly profile: string; readonly files: readonly string[] }
  | { readonly kind: 'kept'; readonly profile: string; readonly reason: string };

/** Every notice about a profile, of this file and of watchers. */
export const profileNotices = channel('tappass:profile');

const lastGood = new Map<string, { readonly loaded: LoadedProfile; readonly stamp: string }>();

const stampsOf = ({ files }: LoadedProfile): string => files.map(stampOf).join();

/**
 * No watcher, one look at each file. The same object as long as nothing changed, so that what is compiled of it is found
 * again. A file that is broken since it was last read keeps the last good profile, with a notice on the channel
 * `tappass:profile`. Throws TapPassConfigError when there is no good one.
 */
export const currentProfile = (nameOrPath: string): LoadedProfile => {
  if (isBuiltIn(nameOrPath)) return loadProfile(nameOrPath);
  const last = lastGood.get(nameOrPath);
  const stamp = last === undefined ? '' : stampsOf(last.loaded);
  if (last !== undefined && stamp === last.stamp) return last.loaded;
  try {
    const loaded = loadProfile(nameOrPath);
    lastGood.set(nameOrPath, { loaded, stamp: stampsOf(loaded) });
    return loaded;
  } catch (error) {
    if (last === undefined) throw error;
    // Said once for each state of the files.
    lastGood.set(nameOrPath, { loaded: last.loaded, stamp });
    const reason = error instanceof Error ? error.message : String(error);
    profileNotices.publish({ kind: 'kept', profile: last.loaded.profile.name, reason } satisfies ProfileNotice);
    return last.loaded;
  }
};
