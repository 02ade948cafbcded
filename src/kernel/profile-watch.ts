/**
 * A profile that follows its files. What changes holds for the next use: a sandbox that runs keeps the rules it was born
 * with, since the kernel has no way to widen them. A file that is broken, or gone, keeps the last good profile, and says so.
 */
import { watch } from 'chokidar';
import { profileNotices, type ProfileNotice } from './profile-current.ts';
import { loadProfile, type LoadedProfile } from './profile-files.ts';

export interface WatchedProfile {
  /** The last good one. */
  current(): LoadedProfile;
  close(): Promise<void>;
}

const SETTLE_MS = 50;

/**
 * Tells of each change as it comes, by `onNotice` and on the channel `tappass:profile`. Throws TapPassConfigError when the
 * profile is broken from the start: there is no good one to keep.
 */
export const watchProfile = async (
  nameOrPath: string,
  onNotice: (notice: ProfileNotice) => void = () => undefined,
): Promise<WatchedProfile> => {
  let loaded = loadProfile(nameOrPath);
  let text = JSON.stringify(loaded);
  const tell = (notice: ProfileNotice): void => {
    profileNotices.publish(notice);
    onNotice(notice);
  };
  const watcher = watch([...loaded.files], {
    ignoreInitial: true,
    awaitWriteFinish: { stabilityThreshold: SETTLE_MS, pollInterval: 10 },
  });
  const reload = (): void => {
    try {
      const next = loadProfile(nameOrPath);
      const nextText = JSON.stringify(next);
      if (nextText === text) return;
      watcher.add([...next.files]);
      [loaded, text] = [next, nextText];
      tell({ kind: 'reloaded', profile: next.profile.name, files: next.files });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      tell({ kind: 'kept', profile: loaded.profile.name, reason });
    }
  };
  watcher.on('all', reload);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  watcher.once('ready', () => resolve());
  watcher.once('error', reject);
  await promise;
  return { current: () => loaded, close: () => watcher.close() };
};
