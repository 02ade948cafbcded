/** Door: judges a message without sending it. */
import { copyMessage } from './policy/email-copy.ts';
import { decideEmail } from './policy/email.ts';

/** A message in any of the shapes that mail libraries and services take; these fields are the commonest. */
export interface EmailMessage {
  readonly from?: unknown;
  readonly to?: unknown;
  readonly cc?: unknown;
  readonly bcc?: unknown;
  readonly replyTo?: unknown;
  readonly subject?: unknown;
  readonly text?: unknown;
  readonly html?: unknown;
  readonly headers?: unknown;
  readonly envelope?: unknown;
  /** MIME text, bytes, or base64url of MIME. */
  readonly raw?: unknown;
  readonly [field: string]: unknown;
}

export interface EmailDecision {
  readonly allowed: boolean;
  readonly reason?: string;
  readonly code?: string;
  /** What may be sent: a copy, rewritten where the flag asks for it. A denied message comes back as it was. */
  readonly message: EmailMessage;
  readonly originalRecipients: readonly string[];
}

/**
 * Judges `message` by the text of an `email` flag: `allow`, `block`, `internal:<domain>`, `mirror:<address>`. A flag that
 * cannot be read denies. Throws nothing.
 */
export const checkEmail = (message: EmailMessage, flag: string): EmailDecision => {
  // Copied before it is judged: a getter or proxy could answer the sender differently from the judge.
  const copy = copied(message);
  const ruling = decideEmail({ kind: 'email', pointer: '', message: copy ?? message }, flag);
  const rewritten = ruling.rewrites?.[0];
  return {
    allowed: ruling.outcome === 'allow',
    ...(ruling.reason === undefined ? {} : { reason: ruling.reason }),
    ...(ruling.code === undefined ? {} : { code: ruling.code }),
    message:
      rewritten === undefined
        ? ((withBuffers(copy) ?? message) as EmailMessage)
        : (withBuffers(rewritten.value) as EmailMessage),
    originalRecipients: ruling.originalRecipients,
  };
};

/** Mail libraries know bytes as Buffers. */
const withBuffers = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map(withBuffers);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withBuffers(inner)]));
};

/** `undefined` where it holds what cannot be copied, such as a stream: only `allow` lets that pass. */
const copied = (message: EmailMessage): EmailMessage | undefined => {
  try {
    return copyMessage(message) as EmailMessage;
  } catch {
    return undefined;
  }
};
