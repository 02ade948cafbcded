/**
 * Who may be written to: `allow`, `block`, `internal:<domain>` and `mirror:<address>`. Where a message is let through under
 * a rule, the tool gets it rebuilt from what was understood, so that no other reader can see another recipient in it.
 */
import { allowRuling, denyRuling, unreachable, type Ruling } from '../model/decision.ts';
import type { EmailEffect } from '../model/effect.ts';
import { parametersOf } from '../model/flags.ts';
import { addressOf, canonicalDomain, parseMailbox } from './email-address.ts';
import { collectAddresses, type Collected, type EmailFault, type Found } from './email-collect.ts';
import { copyMessage, UncopyableMessage } from './email-copy.ts';
import { mirrorMessage } from './email-mirror.ts';
import { namedArguments, placedArguments } from './email-positional.ts';
import { rebuildMessage } from './email-rebuild.ts';

export interface EmailRuling extends Ruling {
  /** Every address the message would have gone to, once, before any rewriting. For the journal. */
  readonly originalRecipients: readonly string[];
}

const STEP = 'check_email';

/**
 * Judges one message by the text of the `email` flag. A flag that cannot be read denies. `mirror` allows with a rewrite of
 * the value at `effect.pointer`; `internal` does too where the message was not already in its plainest form.
 */
export const decideEmail = (effect: EmailEffect, flag: string): EmailRuling => {
  try {
    return judge(effect, flag);
  } catch {
    return deny('email.unreadable', 'the message cannot be read', []);
  }
};

const judge = (effect: EmailEffect, flag: string): EmailRuling => {
  const rule = parseEmailRule(flag);
  if (rule === undefined) {
    return deny(
      'email.flag-unusable',
      'the `email` flag is not allow, block, internal:<domain> or mirror:<address>',
      [],
    );
  }
  let message: unknown;
  try {
    message = namedArguments(copyMessage(effect.message), effect.parameterNames);
  } catch (error) {
    if (rule.is === 'allow') return { ...allowRuling(STEP), originalRecipients: [] };
    const why = error instanceof UncopyableMessage ? error.message : 'the message cannot be read';
    return deny('email.unreadable', why, []);
  }
  const collected = collectAddresses(message);
  const originals = originalRecipients(collected);
  switch (rule.is) {
    case 'allow':
      return { ...allowRuling(STEP), originalRecipients: originals };
    case 'block':
      return deny('email.blocked', 'sending e-mail is not allowed (email=block)', originals);
    case 'internal':
      return decideInternal(effect, message, collected, rule.domain, originals);
    case 'mirror':
      return decideMirror(effect, message, collected, rule.address, originals);
    default:
      return unreachable(rule);
  }
};

export type EmailRule =
  | { readonly is: 'allow' | 'block' }
  | { readonly is: 'internal'; readonly domain: string }
  | { readonly is: 'mirror'; readonly address: string };

/** `undefined` for every text that is not exactly one of the four rules. */
export const parseEmailRule = (flag: unknown): EmailRule | undefined => {
  if (typeof flag !== 'string') return undefined;
  const word = (flag.split(':', 1)[0] ?? '').trim().toLowerCase();
  const parameters = parametersOf(flag);
  if (word === 'allow' || word === 'block') return flag.includes(':') ? undefined : { is: word };
  const [parameter] = parameters;
  if (parameter === undefined || parameters.length !== 1) return undefined;
  if (word === 'internal') {
    const domain = canonicalDomain(parameter.replace(/^@/u, ''));
    return domain === undefined ? undefined : { is: 'internal', domain };
  }
  if (word === 'mirror') {
    const mailbox = parseMailbox(parameter);
    if (mailbox === undefined || mailbox.domain.startsWith('[')) return undefined;
    return { is: 'mirror', address: addressOf(mailbox) };
  }
  return undefined;
};

const decideInternal = (
  effect: EmailEffect,
  message: unknown,
  { found, faults, plain }: Collected,
  domain: string,
  originals: readonly string[],
): EmailRuling => {
  const fault = faults.find(({ role }) => role !== 'from');
  if (fault !== undefined) return denyFault(fault, originals);
  const senders = new Set(found.filter(({ role }) => role === 'from').map(({ mailbox }) => addressOf(mailbox)));
  const judged = found.filter(
    ({ role, mailbox }) =>
      role !== 'from' && (role !== 'bounce' || (senders.size > 0 && !senders.has(addressOf(mailbox)))),
  );
  const outside = judged.find(({ mailbox }) => mailbox.domain !== domain);
  if (outside !== undefined) {
    return deny(
      'email.external-recipient',
      `${place(outside.at)} is at ${outside.mailbox.domain}, not at @${domain}`,
      originals,
    );
  }
  if (!judged.some(isRecipient) && !isEmptyField(message)) return denyNobody(originals);
  return allowWith(effect, message, plain ? message : rebuildMessage(message), originals);
};

const decideMirror = (
  effect: EmailEffect,
  message: unknown,
  collected: Collected,
  address: string,
  originals: readonly string[],
): EmailRuling => {
  const fault = collected.faults.find((one) => one.address === undefined);
  if (fault !== undefined) return denyFault(fault, originals);
  if (originals.length === 0) {
    return isEmptyField(message) ? { ...allowRuling(STEP), originalRecipients: [] } : denyNobody(originals);
  }
  const mirrored = mirrorMessage(message, address, collected);
  // Judged once more by the same reading: whoever is still named besides the mirror was not understood.
  const left = collectAddresses(mirrored);
  const stranger = left.found.find(
    ({ role, mailbox }) => role !== 'from' && role !== 'bounce' && addressOf(mailbox) !== address,
  );
  const misread = left.faults.find(({ role }) => role !== 'from');
  if (stranger !== undefined || misread !== undefined) {
    return deny('email.mirror-incomplete', `${place((stranger ?? misread)?.at ?? '')} cannot be redirected`, originals);
  }
  return allowWith(effect, message, mirrored, originals);
};

const allowWith = (effect: EmailEffect, before: unknown, after: unknown, originals: readonly string[]): EmailRuling => {
  if (before === after) return { ...allowRuling(STEP), originalRecipients: originals };
  const value = placedArguments(after, effect.parameterNames);
  return { ...allowRuling(STEP, { rewrites: [{ pointer: effect.pointer, value }] }), originalRecipients: originals };
};

const RANK: Readonly<Record<Found['role'], number>> = { to: 0, cc: 1, bcc: 2, other: 3, reply: 4, bounce: 5, from: 6 };

const isRecipient = ({ role }: { readonly role?: Found['role'] }): boolean =>
  role === 'to' || role === 'cc' || role === 'bcc' || role === 'other';

const originalRecipients = ({ found, faults }: Collected): readonly string[] => {
  const all = found
    .filter(isRecipient)
    .sort((left, right) => RANK[left.role] - RANK[right.role])
    .map(({ mailbox }) => addressOf(mailbox));
  const unread = faults
    .filter(isRecipient)
    .flatMap(({ address }) => (address === undefined || address === '' ? [] : [address]));
  return [...new Set([...all, ...unread])];
};

/** Where single fields are declared as recipients, an empty one sends to nobody. */
const isEmptyField = (message: unknown): boolean =>
  message === null || message === undefined || message === '' || (Array.isArray(message) && message.length === 0);

const place = (at: string): string => (at === '' ? 'the message' : `\`${at.slice(1).slice(0, 80)}\``);

const denyFault = ({ at, what }: EmailFault, originals: readonly string[]): EmailRuling =>
  deny('email.unparsable', `${place(at)} ${what}`, originals);

const denyNobody = (originals: readonly string[]): EmailRuling =>
  deny('email.no-recipient', 'the message names no recipient that could be checked', originals);

const deny = (code: string, reason: string, originals: readonly string[]): EmailRuling => ({
  ...denyRuling(STEP, code, reason),
  originalRecipients: originals,
});
