/** The same message, to one address and nobody else, marked as a test. */
import { unreachable } from '../model/decision.ts';
import { addressOf, parseAddresses } from './email-address.ts';
import { addressLike, looksLikeAddresses, type Collected } from './email-collect.ts';
import { isAddressKey, isMembersKey, meaningOf, type Role } from './email-keys.ts';
import { buildMime, type MimeMessage } from './email-mime.ts';
import { isRecord, OMIT, walkMessage, type Visitor } from './email-walk.ts';

export const MIRROR_PREFIX = '[AI TEST] ';

export const mirrorMessage = (message: unknown, address: string, { found }: Collected): unknown => {
  const senders = new Set(found.filter(({ role }) => role === 'from').map(({ mailbox }) => addressOf(mailbox)));
  const recipients = new Set(
    found.filter(({ role }) => role !== 'from' && role !== 'bounce').map(({ mailbox }) => addressOf(mailbox)),
  );
  const originals = found.filter(({ role }) => role !== 'from').map(({ mailbox }) => addressOf(mailbox).toLowerCase());
  const namesOriginal = (text: string): boolean => {
    const lower = text.toLowerCase();
    return originals.some((original) => lower.includes(original));
  };
  let addressed = false;
  let subjected = false;

  /** The sender of the message may also be told what could not be delivered; without one, whoever is no recipient. */
  const isSender = (value: unknown): boolean =>
    textsOf(value).every((text) => {
      const read = parseAddresses(text);
      return (
        read.fault === undefined &&
        read.mailboxes.every((mailbox) =>
          senders.size > 0 ? senders.has(addressOf(mailbox)) : !recipients.has(addressOf(mailbox)),
        )
      );
    });
  const subject = (text: string): string => {
    subjected = true;
    const clean = addressLike(text)
      .filter(namesOriginal)
      .reduce((line, run) => line.replaceAll(run, address), text);
    return clean.startsWith(MIRROR_PREFIX) ? clean : MIRROR_PREFIX + clean;
  };
  const forRole = (value: unknown, role: Role): unknown => {
    switch (role) {
      case 'from':
        return textsOf(value).some(namesOriginal) ? withoutNames(value) : value;
      case 'to':
      case 'other':
        addressed ||= role === 'to';
        return mirrored(value, address);
      case 'cc':
      case 'bcc':
        return emptied(value);
      case 'bounce':
        return isSender(value) ? value : mirrored(value, address);
      case 'reply':
        return OMIT;
      default:
        return unreachable(role);
    }
  };
  const keepsHeader = (name: string, value: string): boolean => {
    const meaning = meaningOf(name);
    if (meaning.is === 'addresses') return meaning.role === 'from' && !namesOriginal(value);
    if (meaning.is === 'control') return false;
    return meaning.is === 'line' ? !namesOriginal(value) : addressLike(value).length === 0;
  };
  const mime = (before: MimeMessage): string | Uint8Array => {
    const fields: string[] = [`To: ${address}`];
    let hasSubject = false;
    for (const { name, value, text } of before.fields) {
      const lower = name.toLowerCase();
      // The signature covers what is replaced here.
      if (lower === 'dkim-signature') continue;
      if (lower === 'subject') {
        hasSubject = true;
        fields.push(`${name}: ${subject(value)}`);
      } else if (keepsHeader(name, value)) fields.push(text);
    }
    if (!hasSubject) fields.push(`Subject: ${subject('').trim()}`);
    addressed = true;
    return buildMime(before, fields);
  };

  const visitor: Visitor = {
    addresses: (value, role) => forRole(value, role),
    header: keepsHeader,
    subject,
    mime,
    unknownText: (text) => (looksLikeAddresses(text) ? address : text),
    line: (value) => (textsOf(value).some(namesOriginal) ? OMIT : value),
    control: () => OMIT,
    record: (before, after) => {
      addMissingTo(before, after, address, () => (addressed = true));
    },
    fault: () => undefined,
  };
  const result = walkMessage(message, visitor);
  if (!isRecord(result)) return result;
  return {
    ...result,
    ...(addressed ? {} : { to: address }),
    ...(subjected ? {} : { subject: MIRROR_PREFIX.trim() }),
  };
};

/** One recipient in the shape of the field: a text stays a text, a list a list, an object an object. */
const mirrored = (value: unknown, address: string): unknown => {
  if (Array.isArray(value)) {
    const first: unknown = value.find((one) => one !== null && one !== undefined && one !== '');
    return [first === undefined ? address : mirrored(first, address)];
  }
  if (!isRecord(value)) return address;
  const key = Object.keys(value).find(isAddressKey);
  if (key !== undefined) return { [key]: isRecord(value[key]) ? mirrored(value[key], address) : address };
  const members = Object.keys(value).find(isMembersKey);
  return members === undefined ? address : { [members]: mirrored(value[members], address) };
};

/** The sender may not carry a recipient in its display name either. */
const withoutNames = (value: unknown): unknown => {
  if (typeof value === 'string') {
    const read = parseAddresses(value);
    return read.fault === undefined ? read.mailboxes.map(addressOf).join(', ') : OMIT;
  }
  if (Array.isArray(value)) return value.map(withoutNames).filter((one) => one !== OMIT);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => isAddressKey(key) || isMembersKey(key)));
};

const emptied = (value: unknown): unknown => {
  if (Array.isArray(value)) return [];
  return typeof value === 'string' ? '' : OMIT;
};

/** Where only copies were asked for, the field that becomes `to` is spelt as its neighbours are (`CcAddresses`). */
const addMissingTo = (
  before: Readonly<Record<string, unknown>>,
  after: Record<string, unknown>,
  address: string,
  added: () => void,
): void => {
  const roleOf = (key: string): Role | undefined => {
    const meaning = meaningOf(key);
    return meaning.is === 'addresses' ? meaning.role : undefined;
  };
  const keys = Object.keys(before).filter((key) => before[key] !== null && before[key] !== undefined);
  if (keys.some((key) => roleOf(key) === 'to' || meaningOf(key).is === 'raw')) return;
  const copy = keys.find((key) => roleOf(key) === 'cc' || roleOf(key) === 'bcc');
  if (copy === undefined) return;
  const key = copy.replace(/b?cc/iu, (letters) => (/^[A-Z]/u.test(letters) ? 'To' : 'to'));
  if (key === copy || roleOf(key) !== 'to') return;
  after[key] = mirrored(before[copy], address);
  added();
};

const textsOf = (value: unknown): readonly string[] => {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(textsOf);
  return isRecord(value) ? Object.values(value).flatMap(textsOf) : [];
};
