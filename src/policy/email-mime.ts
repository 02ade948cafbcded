/**
 * The header block of a raw message (RFC 5322), read so that nothing is left over: a line that is neither a field nor its
 * continuation, a lone CR, a control character, or a blank continuation is refused, because readers disagree on it. The
 * body is never looked at, so an attached message stays content.
 */

export interface MimeField {
  readonly name: string;
  /** Unfolded. */
  readonly value: string;
  /** As it stood, with its line ends. */
  readonly text: string;
}

export interface MimeMessage {
  readonly fields: readonly MimeField[];
  readonly newline: string;
  /** From the blank line on, untouched. */
  readonly body: Uint8Array;
  readonly form: 'text' | 'bytes' | 'base64url' | 'base64';
}

const LONGEST_HEADER_BLOCK = 256 * 1024;
const utf8 = new TextEncoder();

/** `undefined` when it is not a message with one reading. */
export const parseMime = (raw: string | Uint8Array): MimeMessage | undefined => {
  if (typeof raw !== 'string') return parseBytes(raw, 'bytes');
  if (raw.includes(':')) return raw.isWellFormed() ? parseBytes(utf8.encode(raw), 'text') : undefined;
  const compact = raw.replaceAll(/[\r\n]/gu, '');
  if (compact === '' || !/^[A-Za-z0-9+/_-]+={0,2}$/u.test(compact)) return undefined;
  const bytes = bytesOfBase64(compact);
  return bytes === undefined ? undefined : parseBytes(bytes, /[+/=]/u.test(compact) ? 'base64' : 'base64url');
};

/** The message with other fields, in the form in which it came. */
export const buildMime = (message: MimeMessage, fields: readonly string[]): string | Uint8Array => {
  const head = utf8.encode(fields.map((field) => `${field}${message.newline}`).join(''));
  const bytes = new Uint8Array(head.length + message.body.length);
  bytes.set(head);
  bytes.set(message.body, head.length);
  if (message.form === 'bytes') return bytes;
  if (message.form === 'text') return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const base64 = base64OfBytes(bytes);
  return message.form === 'base64' ? base64 : base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
};

const parseBytes = (bytes: Uint8Array, form: MimeMessage['form']): MimeMessage | undefined => {
  const end = endOfHeaders(bytes);
  if (end > LONGEST_HEADER_BLOCK) return undefined;
  let head: string;
  try {
    head = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, end));
  } catch {
    return undefined;
  }
  const newline = head.includes('\r\n') || !head.includes('\n') ? '\r\n' : '\n';
  const fields: { name: string; value: string; text: string }[] = [];
  const lines = head.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const line of lines) {
    const content = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (/[^\P{Cc}\t]|[\u2028\u2029\ufeff]/u.test(content)) return undefined;
    if (content.startsWith(' ') || content.startsWith('\t')) {
      const last = fields.at(-1);
      if (last === undefined || content.trim() === '') return undefined;
      last.value += ` ${content.trim()}`;
      last.text += newline + content;
      continue;
    }
    const match = /^([!-9;-~]+):(.*)$/u.exec(content);
    if (match === null) return undefined;
    fields.push({ name: match[1] ?? '', value: (match[2] ?? '').trim(), text: content });
  }
  if (fields.length === 0) return undefined;
  return { fields, newline, body: bytes.subarray(end), form };
};

/** Where the blank line begins: the first LF that is followed by LF or CRLF; else the end. */
const endOfHeaders = (bytes: Uint8Array): number => {
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at + 1] === 10 || (bytes[at + 1] === 13 && bytes[at + 2] === 10)) return at + 1;
  }
  return bytes.length;
};

const bytesOfBase64 = (text: string): Uint8Array | undefined => {
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
};

const base64OfBytes = (bytes: Uint8Array): string => {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(binary);
};
