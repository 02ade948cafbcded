/**
 * Door-internal: asks the one decider that knows each kind of effect. What is decided here is decided for a function of
 * this process, a guest in an isolate and a command alike: there is no second opinion elsewhere.
 */
import { openWorkspace } from './broker/file.ts';
import type { Workspace } from './broker/file.ts';
import type { Resolution } from './broker/file-resolve.ts';
import type { Ruling } from './model/decision.ts';
import { denyRuling, unreachable } from './model/decision.ts';
import type { Effect, FileEffect } from './model/effect.ts';
import type { Flags } from './model/flags.ts';
import { decideCommand } from './policy/command.ts';
import type { CommandOptions } from './policy/command.ts';
import { decideEmail } from './policy/email.ts';
import { decideFile, isReserved } from './policy/file.ts';
import { decideNetwork } from './policy/network.ts';
import type { NetworkOptions } from './policy/network.ts';
import { decideSql } from './policy/sql.ts';
// Installs the parser that decideSql asks.
import './check-sql.ts';

export interface EffectRuling {
  /** The effect with what the world added to it (where a path leads). */
  readonly effect: Effect;
  readonly ruling: Ruling;
  /** Of a message: everybody it would have gone to, before any rewriting. For the journal only. */
  readonly recipients?: readonly string[];
}

export type EffectDeciders = (effect: Effect) => EffectRuling;

const workspaces = new Map<string, Workspace>();

/** One handle for each workspace of this process, opened when a path has to be resolved for the first time. */
const workspaceAt = (root: string): Workspace => {
  const known = workspaces.get(root);
  if (known !== undefined) return known;
  const workspace = openWorkspace(root);
  workspaces.set(root, workspace);
  return workspace;
};

/** True when `real` is `directory` or beneath it; both are real and absolute. */
const isWithin = (real: string, directory: string): boolean =>
  real === directory || real.startsWith(directory.endsWith('/') ? directory : `${directory}/`);

/** Writing in it, or taking away a directory above it. */
const reaches = ({ operation }: FileEffect, real: string, directory: string): boolean =>
  isWithin(real, directory) || ((operation === 'remove' || operation === 'rename') && isWithin(directory, real));

/** By another name that the file system of the workspace may have for the directory of the runtime. */
const reachesByOtherName = (beneath: string | undefined): boolean =>
  beneath !== undefined && isReserved(beneath) && isReserved(beneath.split('/', 1)[0] ?? '');

/** Written out where nothing is out of the ordinary: this is done for every path of every call. */
const withResolution = (effect: FileEffect, resolution: Resolution): FileEffect => {
  if ('fault' in resolution || effect.derived !== undefined) return { ...effect, ...resolution };
  const { kind, access, operation, path, pointer } = effect;
  return { kind, access, operation, path, pointer, resolved: resolution.resolved };
};

/** Options of single deciders, passed through unread. */
export interface DeciderExtras {
  /** Where data may be sent. Not configured: anywhere but to cloud metadata and link-local addresses. */
  readonly network?: NetworkOptions;
  /** Which programs shell-like tools may start outside a sandbox. */
  readonly commands?: Pick<CommandOptions, 'commands'>;
  /** Database functions of the program's own that have no effects. */
  readonly harmlessFunctions?: readonly string[];
}

export interface DeciderOptions {
  readonly flags: Flags;
  readonly workspace: string;
  /** The journal must not be among what a governed tool may write, not even inside the workspace. */
  readonly protectedPaths: readonly string[];
  readonly extras: DeciderExtras;
}

export const compileEffectDeciders = ({ flags, workspace, protectedPaths, extras }: DeciderOptions): EffectDeciders => {
  const reachesJournal = (effect: FileEffect): boolean => {
    const { resolved } = effect;
    return (
      effect.access === 'write' &&
      resolved !== undefined &&
      (protectedPaths.some((path) => reaches(effect, resolved.real, path)) || reachesByOtherName(resolved.beneath))
    );
  };
  const reason = 'writing to the journal is not allowed: a record that a tool can change proves nothing';
  // Under every mode: `observe` lets everything happen because it is recorded.
  const journalDenial: Ruling = { ...denyRuling('check_files', 'file.journal', reason), hard: true };

  const decideFileEffect = (effect: FileEffect): EffectRuling => {
    const isUnrestricted = flags.files === 'allow' || flags.files === 'block';
    // Where a reading leads changes nothing then, and asking the kernel for it costs a microsecond.
    if (isUnrestricted && effect.access === 'read') return { effect, ruling: decideFile(effect, flags.files) };
    const judged = withResolution(effect, workspaceAt(workspace).resolve(effect.path, effect));
    if (reachesJournal(judged)) return { effect: judged, ruling: journalDenial };
    return isUnrestricted
      ? { effect, ruling: decideFile(effect, flags.files) }
      : { effect: judged, ruling: decideFile(judged, flags.files) };
  };

  const { network = {}, commands = {}, harmlessFunctions } = extras;
  const sqlOptions = harmlessFunctions === undefined ? {} : { harmlessFunctions };
  const commandOptions: CommandOptions = {
    ...commands,
    networkLimited: network.allowedDomains !== undefined,
  };

  return (effect) => {
    switch (effect.kind) {
      case 'file':
        return decideFileEffect(effect);
      case 'sql':
        return { effect, ruling: decideSql(effect, flags.db, sqlOptions) };
      case 'email': {
        const { originalRecipients, ...ruling } = decideEmail(effect, flags.email);
        return { effect, ruling, recipients: originalRecipients };
      }
      case 'network':
        return { effect, ruling: decideNetwork(effect, network) };
      case 'command': {
        const { tier } = effect;
        return {
          effect,
          ruling: decideCommand(effect, flags, tier === undefined ? commandOptions : { ...commandOptions, tier }),
        };
      }
      default:
        return unreachable(effect);
    }
  };
};
