/** What the `files` flag says about one path. */
import { allowRuling, denyRuling, type Ruling } from '../model/decision.ts';
import { accessOf, type FileEffect } from '../model/effect.ts';
import type { FilesFlag } from '../model/flags.ts';

const STEP = 'check_files';

/**
 * The runtime's own directory, with the journal: a tool that may write the workspace must not rewrite what is
 * remembered of it. Compared without case, and under the names that Windows file systems have for it besides, for file
 * systems that do the same: dots and spaces behind it, streams, short names (as git does since CVE-2014-9390).
 */
const RESERVED = /(?:^|\/)(?:\.tappass[. ]*(?:[/:]|$)|(?:tappas|ta[0-9a-f]{4})~\d+[. ]*(?:[/:]|$))/iu;
const NOT_PLAIN = /[^ -~]/u;
const IGNORED = /\p{Default_Ignorable_Code_Point}/gu;

/** Folded as ext4, F2FS and HFS+ do: decomposed, what cannot be seen left out, both forms of `ß` as `ss`. */
const folded = (name: string): string =>
  name.normalize('NFD').replaceAll(IGNORED, '').toLowerCase().toUpperCase().toLowerCase();

/** Whether any file system may take this path, relative to the workspace, for one in the runtime's own directory. */
export const isReserved = (beneath: string): boolean =>
  RESERVED.test(beneath) || (NOT_PLAIN.test(beneath) && RESERVED.test(folded(beneath)));

/**
 * `allow`: everything. `project`: reads anywhere, writes beneath the workspace, except in `.tappass`. `read_only`: reads.
 * `block`: nothing.
 * Under `project` and `read_only` a path that was not resolved is denied, and one that was is rewritten to its real
 * form, so that the tool opens what was judged. Any other flag denies.
 */
export const decideFile = (effect: FileEffect, flag: FilesFlag): Ruling => {
  switch (flag) {
    case 'allow':
      return allowRuling(STEP);
    case 'project':
      return decideResolved(effect, projectDenial);
    case 'read_only':
      return decideResolved(effect, readOnlyDenial);
    case 'block':
      return denyRuling(STEP, 'file.blocked', 'file operations are not allowed (files=block)');
    default:
      return denyRuling(STEP, 'file.unknown-flag', 'the `files` flag is none of allow, project, read_only, block');
  }
};

/** For tools that live in the workspace whatever the flags say: nothing outside it, reads included. */
export const decideConfined = (effect: FileEffect): Ruling =>
  decideResolved(effect, (facts) =>
    facts.isBeneath && !facts.changesParent
      ? reservedDenial(facts)
      : ['file.outside-workspace', (name) => `${name} is outside the workspace`],
  );

interface Facts {
  readonly isWrite: boolean;
  readonly isBeneath: boolean;
  /** Removing or moving the workspace itself changes the directory above it. */
  readonly changesParent: boolean;
  readonly isReserved: boolean;
}

/** The reason takes what may be said of the path. */
type Denial = readonly [code: string, reason: (name: string) => string] | undefined;

const projectDenial = (facts: Facts): Denial =>
  !facts.isWrite || (facts.isBeneath && !facts.changesParent)
    ? reservedDenial(facts)
    : ['file.outside-workspace', (name) => `writing to ${name}, outside the workspace, is not allowed (files=project)`];

const reservedDenial = ({ isWrite, isReserved }: Facts): Denial =>
  isWrite && isReserved
    ? ['file.reserved', (name) => `${name} belongs to the runtime, which keeps its journal there`]
    : undefined;

const readOnlyDenial = ({ isWrite }: Facts): Denial =>
  isWrite ? ['file.read-only', (name) => `writing to ${name} is not allowed (files=read_only)`] : undefined;

const decideResolved = (effect: FileEffect, denialOf: (facts: Facts) => Denial): Ruling => {
  const { resolved, operation } = effect;
  if (resolved === undefined || effect.fault !== undefined) {
    return denyRuling(STEP, 'file.unresolvable', `${nameOf(effect)}: ${effect.fault ?? 'the path was not resolved'}`);
  }
  const isWrite = effect.access !== 'read' || accessOf(operation) !== 'read';
  const denial = denialOf({
    isWrite,
    isBeneath: resolved.beneath !== undefined,
    isReserved: isWrite && isReserved(resolved.beneath ?? ''),
    changesParent: resolved.beneath === '' && (operation === 'remove' || operation === 'rename'),
  });
  if (denial !== undefined) {
    const [code, reason] = denial;
    return denyRuling(STEP, code, reason(nameOf(effect)));
  }
  return resolved.real === effect.path || effect.derived === true
    ? allowRuling(STEP)
    : allowRuling(STEP, { rewrites: [{ pointer: effect.pointer, value: resolved.real }] });
};

const LONGEST_NAME = 200;

/** A path outside the workspace is not repeated: it may tell the model how the host is laid out. */
const nameOf = ({ path, resolved }: FileEffect): string => {
  const name = resolved?.beneath ?? (isPlainRelative(path) ? path : undefined);
  if (name === undefined) return 'the path';
  const text = name === '' ? '.' : name;
  return JSON.stringify(text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME)}…` : text);
};

const isPlainRelative = (path: string): boolean =>
  !/^(?:[/~\\]|[a-z][\w+.-]*:)/iu.test(path) && !path.split(/[/\\]/u).includes('..');
