/** Whether arguments are a message that somebody will get. */
import type { EmailEffect } from '../model/effect.ts';

const RECIPIENTS =
  /^(?:to|cc|bcc|recipients?|to_?(?:address(?:es)?|emails?|recipients|list)|attendees|guests|invitees|addresse?s?|contacts?|targets?|(?:recipient_?)?emails?|email_?(?:to|address)|mail_?to|send_?to|personalizations|destinations?|envelope)$/iu;
const CONTENT =
  /^(?:subject|body|text|html|message|content|msg|raw|template_?id|template|attachments|title|summary|description|start|event|(?:body|email|html|text|plain)_?\w*)$/iu;

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

type Part = 'recipients' | 'content' | 'other';
const parts = new Map<string, Part>();

const partOf = (key: string): Part => {
  const cached = parts.get(key);
  if (cached !== undefined) return cached;
  const part = RECIPIENTS.test(key) ? 'recipients' : CONTENT.test(key) ? 'content' : 'other';
  // Callers choose keys: the memory of them is bounded.
  if (parts.size < 2_000 && key.length < 100) parts.set(key, part);
  return part;
};

const hasMessage = (value: unknown, depth: number): boolean => {
  if (typeof value === 'string') return depth > 0 && isMessageText(value);
  if (typeof value !== 'object' || value === null || depth > 4) return false;
  if (Array.isArray(value)) return value.some((one) => hasMessage(one, depth + 1));
  let recipients = false;
  let content = false;
  for (const [key, inner] of Object.entries(value)) {
    const part = partOf(key);
    recipients ||= part === 'recipients' && mentionsAddress(inner, 0);
    content ||= part === 'content';
    if (recipients && content) return true;
  }
  return Object.values(value).some((inner) => hasMessage(inner, depth + 1));
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
