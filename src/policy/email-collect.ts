/** Every address a message names, with what it is for, and everything in it that has no single reading. */
import { hasLineBreak, parseAddresses, parseMailbox, readingBudget, type Mailbox } from './email-address.ts';
import { isHeaderName, meaningOf, type Role } from './email-keys.ts';
import { namedArguments, placedPointer } from './email-positional.ts';
import { mapAddressTexts, walkMessage, type Visitor } from './email-walk.ts';

export interface Found {
  readonly role: Role;
  readonly at: string;
  readonly mailbox: Mailbox;
}

export interface EmailFault {
  readonly at: string;
  readonly what: string;
  /** An address that cannot be read: of no consequence where it is replaced. */
  readonly address?: string;
  readonly role?: Role;
}

export interface Collected {
  readonly found: readonly Found[];
  readonly faults: readonly EmailFault[];
  /** True when every address stands in its plainest form already. */
  readonly plain: boolean;
}

export const collectAddresses = (message: unknown): Collected => {
  const found: Found[] = [];
  const faults: EmailFault[] = [];
  let plain = true;
  const budget = readingBudget();
  const fault = (at: string, what: string): void => void faults.push({ at, what });

  const text = (value: string, role: Role, at: string, alone: boolean): void => {
    const read = parseAddresses(value, budget);
    if (read.fault !== undefined) {
      if (hasLineBreak(value)) fault(at, read.fault);
      else faults.push({ at, what: read.fault, address: value, role });
    } else if (alone && read.mailboxes.length > 1) {
      faults.push({ at, what: 'holds several addresses where one belongs', address: value, role });
    } else {
      plain &&= read.plain;
      for (const mailbox of read.mailboxes) found.push({ role, at, mailbox });
    }
  };
  const header = (name: string, value: string, at: string): boolean => {
    const meaning = meaningOf(name);
    if (meaning.is === 'addresses') text(value, meaning.role, at, false);
    else if (meaning.is === 'control') faults.push({ at, what: CONTROL, address: value, role: 'other' });
    else if (meaning.is !== 'line') {
      for (const token of addressLike(value)) {
        const mailbox = parseMailbox(token, budget);
        if (mailbox === undefined)
          faults.push({ at, what: 'holds an unreadable address', address: token, role: 'other' });
        else found.push({ role: 'other', at, mailbox });
      }
    }
    return true;
  };

  const visitor: Visitor = {
    addresses: (value, role, at) =>
      mapAddressTexts(
        value,
        at,
        (one, where, alone) => {
          text(one, role, where, alone);
          return one;
        },
        (where, what) => {
          if (what === 'holds a line break') fault(where, what);
          else faults.push({ at: where, what, address: '', role });
        },
      ),
    header,
    subject: (value) => value,
    mime: (mime, at) => {
      for (const { name, value } of mime.fields) {
        if (!isHeaderName(name)) fault(at, 'has a broken header');
        if (name.toLowerCase() !== 'subject') header(name, value, `${at}/${name}`);
      }
      return mime.form;
    },
    unknownText: (value, at) => {
      if (looksLikeAddresses(value)) text(value.replace(/^\s*mailto:/iu, ''), 'other', at, false);
      return value;
    },
    line: (value) => value,
    control: (value, at) => {
      if (value !== '' && value !== null) faults.push({ at, what: CONTROL, address: '', role: 'other' });
      return value;
    },
    record: () => undefined,
    fault,
  };
  walkMessage(message, visitor);
  return { found, faults, plain };
};

const CONTROL = 'steers the mail service from inside and is not read';

/** Every run with an `@` in it, wherever it stands. */
export const addressLike = (text: string): readonly string[] =>
  text.includes('@') ? text.split(/[\s<>"',;:()[\]{}]+/u).filter((run) => run.includes('@')) : [];

/** True for a text that is addresses and nothing else: a sentence that mentions one is content. */
export const looksLikeAddresses = (text: string): boolean => {
  if (text.length > 4096 || !text.includes('@')) return false;
  return text.split(/[,;\n]/u).every((piece) => !piece.includes('@') || isAddressPiece(piece.trim()));
};

/** `a@b`, whatever else is in it, or `any name <a@b>`. */
const isAddressPiece = (piece: string): boolean => {
  if (!/\s/u.test(piece)) return true;
  const angle = piece.lastIndexOf('<');
  return angle >= 0 && piece.endsWith('>') && !/\s/u.test(piece.slice(angle)) && piece.slice(angle).includes('@');
};

/**
 * Where in the arguments the addresses of a message stand, as JSON pointers: what masking must leave as it is. A message
 * that cannot be walked names none; it is denied by the rule that judges it.
 */
export const addressPointers = (
  message: unknown,
  base: string,
  parameterNames?: readonly string[],
): readonly string[] => {
  try {
    const { found } = collectAddresses(namedArguments(message, parameterNames));
    const names = Array.isArray(message) ? parameterNames : undefined;
    return [...new Set(found.map(({ at }) => base + (names === undefined ? at : placedPointer(at, names))))];
  } catch {
    return [];
  }
};
