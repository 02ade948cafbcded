/**
 * Goes through a message of any shape once and offers every place that can name an address to a visitor, which answers
 * with what shall stand there. Collecting, checking and rewriting all use this one walk, so that none of them knows a
 * place that another forgets.
 */
import { unreachable } from '../model/decision.ts';
import { hasLineBreak } from './email-address.ts';
import { isAddressKey, isHeaderName, isMembersKey, isNameKey, meaningOf, type Role } from './email-keys.ts';
import { parseMime, type MimeMessage } from './email-mime.ts';

/** The visitor's answer for a field that shall not be there at all. */
export const OMIT: unique symbol = Symbol('omit');

export interface Visitor {
  /** A whole recipient field: a text, an object, a list of either. */
  readonly addresses: (value: unknown, role: Role, at: string) => unknown;
  /** A header, one value at a time; false drops it. */
  readonly header: (name: string, value: string, at: string) => boolean;
  readonly subject: (text: string) => string;
  readonly mime: (message: MimeMessage, at: string) => unknown;
  /** Text in a field nobody knows. */
  readonly unknownText: (text: string, at: string) => unknown;
  /** A field that must be one line and names no recipient, such as `messageId`. */
  readonly line: (value: unknown, at: string) => unknown;
  readonly control: (value: unknown, at: string) => unknown;
  readonly record: (before: Readonly<Record<string, unknown>>, after: Record<string, unknown>) => void;
  readonly fault: (at: string, what: string) => void;
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return !(value instanceof Uint8Array || value instanceof Date);
};

/** A JSON pointer (RFC 6901), one step deeper. */
const under = (at: string, key: string): string =>
  `${at}/${/[~/]/u.test(key) ? key.replaceAll('~', '~0').replaceAll('/', '~1') : key}`;

/** The whole value that carries a message. A text is a list of recipients, or a raw message. */
export const walkMessage = (message: unknown, visitor: Visitor): unknown => {
  if (message instanceof Uint8Array) return walkRaw(message, '', visitor);
  if (typeof message === 'string' && message !== '' && (message.includes('\n') || !message.includes('@'))) {
    return walkRaw(message, '', visitor);
  }
  return isRecord(message) ? walkRecord(message, '', visitor) : walkField('to', message, '', visitor);
};

const walkRecord = (record: Readonly<Record<string, unknown>>, at: string, visitor: Visitor): unknown => {
  const after: Record<string, unknown> = {};
  for (const key of Object.keys(record)) {
    const next = walkField(key, record[key], under(at, key), visitor);
    if (next !== OMIT) after[key] = next;
  }
  visitor.record(record, after);
  return after;
};

const walkAny = (value: unknown, at: string, visitor: Visitor): unknown => {
  if (typeof value === 'string') return visitor.unknownText(value, at);
  if (Array.isArray(value)) return walkList(value, (one, index) => walkAny(one, `${at}/${index}`, visitor));
  return isRecord(value) ? walkRecord(value, at, visitor) : value;
};

const walkList = (list: readonly unknown[], each: (one: unknown, index: number) => unknown): unknown[] =>
  list.map(each).filter((one) => one !== OMIT);

const walkField = (key: string, value: unknown, at: string, visitor: Visitor): unknown => {
  if (value === null || value === undefined) return value;
  const meaning = meaningOf(key);
  switch (meaning.is) {
    case 'addresses':
      return walkAddresses(value, meaning.role, at, visitor);
    case 'headers':
      return walkHeaders(value, at, visitor);
    case 'raw':
      return walkRaw(value, at, visitor);
    case 'envelope':
      return walkEnvelope(value, at, visitor);
    case 'subject':
      return walkSubject(value, at, visitor);
    case 'content':
      return walkContent(value, at, visitor);
    case 'body':
      return typeof value === 'string' || value instanceof Uint8Array ? value : walkAny(value, at, visitor);
    case 'line':
      // A mailing list is one line in nodemailer's `list` object, and a recipient where a tool takes its address.
      if (/^list$/iu.test(key) && typeof value === 'string') return visitor.unknownText(value, at);
      requireLines(value, at, visitor);
      return visitor.line(value, at);
    case 'control':
      return visitor.control(value, at);
    case 'unknown':
      return key.toLowerCase().startsWith('h:') && typeof value === 'string'
        ? walkHeader(key.slice(2), value, at, visitor)
        : walkAny(value, at, visitor);
    default:
      return unreachable(meaning);
  }
};

/** An address field whose value is itself a message or a set of address fields (`Destination: {ToAddresses}`). */
const isContainer = (value: unknown): boolean =>
  isRecord(value) &&
  Object.keys(value).some((key) => {
    const { is } = meaningOf(key);
    return (is === 'addresses' && !isAddressKey(key) && !isMembersKey(key)) || is === 'raw' || is === 'headers';
  });

const walkAddresses = (value: unknown, role: Role, at: string, visitor: Visitor): unknown => {
  if (isContainer(value)) return walkAny(value, at, visitor);
  if (Array.isArray(value) && value.some((one) => isContainer(one))) {
    return walkList(value, (one, index) => walkAddresses(one, role, `${at}/${index}`, visitor));
  }
  return visitor.addresses(value, role, at);
};

const walkEnvelope = (value: unknown, at: string, visitor: Visitor): unknown => {
  if (!isRecord(value)) return visitor.addresses(value, 'to', at);
  const after: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const meaning = meaningOf(key);
    const next =
      meaning.is === 'addresses' && meaning.role === 'from'
        ? visitor.addresses(value[key], 'bounce', under(at, key))
        : walkField(key, value[key], under(at, key), visitor);
    if (next !== OMIT) after[key] = next;
  }
  visitor.record(value, after);
  return after;
};

const walkSubject = (value: unknown, at: string, visitor: Visitor): unknown => {
  requireLines(value, at, visitor);
  if (typeof value === 'string') return visitor.subject(value);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key,
      typeof one === 'string' && /^(?:data|value|content|text)$/iu.test(key) ? visitor.subject(one) : one,
    ]),
  );
};

/** Texts and attachments. Their own headers count: nodemailer makes those of a lone part the headers of the message. */
const walkContent = (value: unknown, at: string, visitor: Visitor): unknown => {
  if (Array.isArray(value)) return walkList(value, (one, index) => walkContent(one, `${at}/${index}`, visitor));
  if (!isRecord(value)) return value;
  const after: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const { is } = meaningOf(key);
    const next =
      is === 'headers' || is === 'raw' || is === 'line'
        ? walkField(key, value[key], under(at, key), visitor)
        : walkContent(value[key], under(at, key), visitor);
    if (next !== OMIT) after[key] = next;
  }
  return after;
};

/** `mime: 'text/html'` names a type. As base64 none of these words begins a header. */
const MEDIA_TYPE = /^(?:text|image|audio|video|application|multipart|message|font|model)\/[a-z0-9.+-]+$/iu;

const walkRaw = (value: unknown, at: string, visitor: Visitor): unknown => {
  if (typeof value === 'string' && MEDIA_TYPE.test(value)) return value;
  if (typeof value === 'string' || value instanceof Uint8Array) {
    if (value.length === 0) return value;
    const message = parseMime(value);
    if (message !== undefined) return visitor.mime(message, at);
  } else if (isRecord(value)) {
    const keys = Object.keys(value);
    const inner = keys.find((key) => /^(?:data|content|value|raw|bytes)$/iu.test(key));
    if (inner !== undefined && keys.length === 1) return { [inner]: walkRaw(value[inner], `${at}/${inner}`, visitor) };
  } else if (value === false) {
    return value;
  }
  visitor.fault(at, 'is not a raw message with one reading');
  return OMIT;
};

const walkHeaders = (value: unknown, at: string, visitor: Visitor): unknown => {
  if (value === null || value === undefined) return value;
  if (typeof value === 'string') return walkHeaderLine(value, at, visitor);
  if (Array.isArray(value)) return walkList(value, (one, index) => walkHeaderEntry(one, `${at}/${index}`, visitor));
  if (!isRecord(value)) {
    visitor.fault(at, 'is not a set of headers');
    return OMIT;
  }
  const after: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const next = walkHeader(name, value[name], under(at, name), visitor);
    if (next !== OMIT) after[name] = next;
  }
  return after;
};

/** `{key, value}`, `{name, value}`, `[name, value]` or `Name: value`. */
const walkHeaderEntry = (entry: unknown, at: string, visitor: Visitor): unknown => {
  if (typeof entry === 'string') return walkHeaderLine(entry, at, visitor);
  if (Array.isArray(entry) && entry.length === 2 && typeof entry[0] === 'string') {
    const next = walkHeader(entry[0], entry[1], at, visitor);
    return next === OMIT ? OMIT : [entry[0], next];
  }
  if (isRecord(entry)) {
    const names = Object.keys(entry).filter((key) => /^(?:key|name|header|field)$/iu.test(key));
    const values = Object.keys(entry).filter((key) => /^values?$/iu.test(key));
    const [name] = names;
    const [value] = values;
    if (names.length === 0 && values.length === 0) return walkHeaders(entry, at, visitor);
    if (names.length === 1 && name !== undefined && typeof entry[name] === 'string') {
      if (value === undefined) return entry;
      const next = values.length === 1 ? walkHeader(entry[name], entry[value], at, visitor) : OMIT;
      if (values.length !== 1) visitor.fault(at, 'has several values');
      return next === OMIT ? OMIT : { ...entry, [value]: next };
    }
  }
  visitor.fault(at, 'is not a header');
  return OMIT;
};

const walkHeaderLine = (line: string, at: string, visitor: Visitor): unknown => {
  const match = /^([^:]*):(.*)$/su.exec(line);
  if (line.trim() === '') return line;
  if (match === null) {
    visitor.fault(at, 'is not a header');
    return OMIT;
  }
  const next = walkHeader(match[1] ?? '', (match[2] ?? '').trim(), at, visitor);
  return next === OMIT ? OMIT : `${match[1]}: ${String(next)}`;
};

const walkHeader = (name: string, value: unknown, at: string, visitor: Visitor): unknown => {
  if (!isHeaderName(name)) {
    visitor.fault(at, 'is not a header name');
    return OMIT;
  }
  if (Array.isArray(value)) {
    const kept = walkList(value, (one, index) => walkHeader(name, one, `${at}/${index}`, visitor));
    return kept.length === 0 && value.length > 0 ? OMIT : kept;
  }
  if (isRecord(value)) {
    if (typeof value['value'] !== 'string') return visitor.addresses(value, roleOfHeader(name), at);
    const next = walkHeader(name, value['value'], at, visitor);
    return next === OMIT ? OMIT : { ...value, value: next };
  }
  if (value === null || value === undefined || typeof value === 'boolean') return value;
  if (value instanceof Date) return value;
  if (typeof value !== 'string' && typeof value !== 'number') {
    visitor.fault(at, 'is not a header value');
    return OMIT;
  }
  const text = String(value);
  if (hasLineBreak(text)) visitor.fault(at, 'holds a line break');
  if (name.toLowerCase() === 'subject') return visitor.subject(text);
  return visitor.header(name, text, at) ? value : OMIT;
};

const roleOfHeader = (name: string): Role => {
  const meaning = meaningOf(name);
  return meaning.is === 'addresses' ? meaning.role : 'other';
};

const requireLines = (value: unknown, at: string, visitor: Visitor): void => {
  if (typeof value === 'string') {
    if (hasLineBreak(value)) visitor.fault(at, 'holds a line break');
  } else if (Array.isArray(value)) {
    for (const one of value) requireLines(one, at, visitor);
  } else if (isRecord(value)) {
    for (const one of Object.values(value)) requireLines(one, at, visitor);
  }
};

/** Offers each address text inside a recipient field; what is neither text nor an address object is a fault. */
export const mapAddressTexts = (
  value: unknown,
  at: string,
  onText: (text: string, at: string, alone: boolean) => unknown,
  onFault: (at: string, what: string) => void,
): unknown => {
  if (value === null || value === undefined || value === false) return value;
  if (typeof value === 'string') return onText(value, at, false);
  if (Array.isArray(value)) return value.map((one, index) => mapAddressTexts(one, `${at}/${index}`, onText, onFault));
  if (!isRecord(value)) {
    onFault(at, 'is not an address');
    return value;
  }
  let named = false;
  const after: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    const here = under(at, key);
    if (isAddressKey(key)) {
      named = true;
      after[key] =
        typeof inner === 'string' ? onText(inner, here, true) : mapAddressTexts(inner, here, onText, onFault);
    } else if (isMembersKey(key) && typeof inner === 'object') {
      named = true;
      after[key] = mapAddressTexts(inner, here, onText, onFault);
    } else {
      if (typeof inner === 'string') {
        if (hasLineBreak(inner)) onFault(here, 'holds a line break');
        else if (!isNameKey(key) && inner.includes('@')) onText(inner, here, false);
      } else if (typeof inner === 'object' && inner !== null) {
        mapAddressTexts(inner, here, onText, onFault);
      }
      after[key] = inner;
    }
  }
  if (!named && Object.keys(value).length > 0) onFault(at, 'is an object without an address');
  return after;
};
