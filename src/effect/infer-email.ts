/** Whether arguments are a message that somebody will get. */
import type { EmailEffect } from '../model/effect.ts';

/** Fields that only recipients stand in. */
const RECIPIENTS =
  /^(?:to|cc|bcc|recipients?|to_?(?:address(?:es)?|emails?|recipients|list)|attendees|guests|invitees|recipient_?emails?|email_?to|mail_?to|send_?to|personalizations|destinations?|envelope)$/iu;
/** Fields that hold an address, of a recipient or of anybody else. */
const ADDRESSES = /^(?:addresse?s?|contacts?|targets?|emails?|email_?address(?:es)?)$/iu;
const TEXT =
  /^(?:subject|body|text|html|message|content|msg|template_?id|template|(?:body|email|html|text|plain|message)_?(?:body|text|html|content|subject))$/iu;
const DETAIL = /^(?:title|summary|description|start|event|attachments|notes?)$/iu;
const RAW = /^(?:raw|mime|rfc822|eml|raw_?message)$/iu;

/** `sends`: the tool's own words say that it sends mail. The whole arguments are the message: nothing in them is missed. */
export const inferEmail = (
  args: unknown,
  parameterNames: readonly string[] | undefined,
  sends: boolean,
): EmailEffect | undefined => {
  if (typeof args !== 'object' || args === null) return undefined;
  const isMessage =
    sends || (Array.isArray(args) ? isPositionalMessage(args, parameterNames ?? []) : hasMessage(args, 0));
  if (!isMessage) return undefined;
  return {
    kind: 'email',
    pointer: '',
    message: args,
    ...(Array.isArray(args) ? { parameterNames: parameterNames ?? [] } : {}),
  };
};

const isPositionalMessage = (args: readonly unknown[], names: readonly string[]): boolean =>
  hasMessage(Object.fromEntries(args.map((value, index) => [names[index] ?? `argument${index}`, value])), 0);

type Part = 'recipients' | 'addresses' | 'text' | 'detail' | 'raw' | 'other';
const parts = new Map<string, Part>();

const partOf = (key: string): Part => {
  const cached = parts.get(key);
  if (cached !== undefined) return cached;
  const part = readPart(key);
  // Callers choose keys: the memory of them is bounded.
  if (parts.size < 2_000 && key.length < 100) parts.set(key, part);
  return part;
};

const readPart = (key: string): Part => {
  if (RECIPIENTS.test(key)) return 'recipients';
  if (ADDRESSES.test(key)) return 'addresses';
  if (RAW.test(key)) return 'raw';
  if (TEXT.test(key)) return 'text';
  return DETAIL.test(key) ? 'detail' : 'other';
};

/** Recipients with anything to tell them, an address with a text for it (`create_contact` has none), or a raw message. */
const hasMessage = (value: unknown, depth: number): boolean => {
  if (typeof value === 'string') return depth > 0 && isMessageText(value);
  if (typeof value !== 'object' || value === null || depth > 4) return false;
  if (Array.isArray(value)) return value.some((one) => hasMessage(one, depth + 1));
  const seen = new Set<Part>();
  for (const [key, inner] of Object.entries(value)) {
    const part = partOf(key);
    if (part === 'text' || part === 'detail') seen.add(part);
    else if (part === 'raw') {
      if (isMime(inner)) return true;
    } else if (part !== 'other' && mentionsAddress(inner, 0)) seen.add(part);
  }
  if (seen.has('recipients') && (seen.has('text') || seen.has('detail'))) return true;
  if (seen.has('addresses') && seen.has('text')) return true;
  return Object.values(value).some((inner) => hasMessage(inner, depth + 1));
};

const startsAsMime = (text: string): boolean =>
  /^[!-9;-~]+:/u.test(text) && /^(?:resent-)?(?:to|cc|bcc):/imu.test(text);

/** The beginning is enough: a message begins with its headers. */
const isMime = (value: unknown): boolean => {
  if (value instanceof Uint8Array) return startsAsMime(new TextDecoder('latin1').decode(value.subarray(0, 4096)));
  if (typeof value !== 'string') return false;
  const start = value.slice(0, 4096);
  if (startsAsMime(start)) return true;
  const base64 = start
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .replaceAll(/[^A-Za-z0-9+/]/gu, '');
  try {
    return base64.length >= 16 && startsAsMime(atob(base64.slice(0, base64.length - (base64.length % 4))));
  } catch {
    return false;
  }
};

/** A message inside a text of JSON. */
const isMessageText = (text: string): boolean => {
  if (!/^\s*[[{]/u.test(text) || !text.includes('@') || text.length > 256 * 1024) return false;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && hasMessage(value, 2);
  } catch {
    return false;
  }
};

const mentionsAddress = (value: unknown, depth: number): boolean => {
  if (typeof value === 'string') return value.includes('@');
  if (value instanceof URL) return value.href.includes('@');
  if (typeof value !== 'object' || value === null || depth > 5) return false;
  return Object.values(value).some((inner) => mentionsAddress(inner, depth + 1));
};
