/** An option that nobody reads may be a limit that somebody believes in. */
import { TapPassConfigError } from './errors.ts';

/** Throws for the first key that `known` does not have. `of` names whose options they are. */
export const requireKnownOptions = (of: string, given: object, known: Readonly<Record<string, true>>): void => {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(known, name));
  if (unknown === undefined) return;
  throw new TapPassConfigError(
    `Expected the options of \`${of}\` to be among ${Object.keys(known).join(', ')}, got \`${unknown}\``,
    { code: 'TAPPASS_CONFIG_OPTION' },
  );
};
