/** The filters that are compiled beforehand: of which profiles, for which hosts. */
import { gapsOf } from '../../src/kernel/landlock.ts';
import { filtersOf, READY_MADE, readyMadeFile, sourceOf, writeReadyMade } from '../../src/kernel/filters.ts';
import { loadProfile } from '../../src/kernel/profile-files.ts';

/** Landlock of Linux 6.2 and later; for older ones filters are compiled when they are needed. */
const ABIS = [3, 4, 5, 6, 7, 8, 9, 10];

/** What each file holds, made by the compiler: by no name, so that no file is asked. */
export const readyMadeFiles = (): ReadonlyMap<string, string> =>
  new Map(
    READY_MADE.flatMap((name) => {
      const { profile } = loadProfile(name);
      const connects = name === 'worker' ? [profile.network.connect, [443]] : [profile.network.connect];
      return (['x64', 'arm64'] as const).flatMap((architecture) =>
        connects.flatMap((connect) =>
          ABIS.map((abi) => {
            const source = sourceOf(profile, architecture, connect, gapsOf(abi));
            return [readyMadeFile(name, source), writeReadyMade(filtersOf('', source))] as const;
          }),
        ),
      );
    }),
  );
