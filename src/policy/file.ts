/** What the `files` flag says about one path. */
import { allowRuling, denyRuling, type Ruling } from '../model/decision.ts';
import { accessOf, type FileEffect } from '../model/effect.ts';
import type { FilesFlag } from '../model/flags.ts';

const STEP = 'check_files';

/**
 * `allow`: everything. `project`: reads anywhere, writes beneath the workspace. `read_only`: reads. `block`: nothing.
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
  decideResolved(effect, ({ name, isBeneath, changesParent }) =>
    isBeneath && !changesParent ? undefined : ['file.outside-workspace', `${name} is outside the workspace`],
  );

interface Facts {
  readonly isWrite: boolean;
  readonly isBeneath: boolean;
  /** Removing or moving the workspace itself changes the directory above it. */
  readonly changesParent: boolean;
  /** What may be said of the path. */
  readonly name: string;
}

type Denial = readonly [code: string, reason: string] | undefined;

const projectDenial = ({ isWrite, isBeneath, changesParent, name }: Facts): Denial =>
  !isWrite || (isBeneath && !changesParent)
    ? undefined
    : ['file.outside-workspace', `writing to ${name}, outside the workspace, is not allowed (files=project)`];

const readOnlyDenial = ({ isWrite, name }: Facts): Denial =>
  isWrite ? ['file.read-only', `writing to ${name} is not allowed (files=read_only)`] : undefined;

const decideResolved = (effect: FileEffect, denialOf: (facts: Facts) => Denial): Ruling => {
  const { resolved, operation } = effect;
  const name = nameOf(effect);
  if (resolved === undefined || effect.fault !== undefined) {
    return denyRuling(STEP, 'file.unresolvable', `${name}: ${effect.fault ?? 'the path was not resolved'}`);
  }
  const denial = denialOf({
    name,
    isWrite: effect.access !== 'read' || accessOf(operation) !== 'read',
    isBeneath: resolved.beneath !== undefined,
    changesParent: resolved.beneath === '' && (operation === 'remove' || operation === 'rename'),
  });
  if (denial !== undefined) return denyRuling(STEP, ...denial);
  return resolved.real === effect.path
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
