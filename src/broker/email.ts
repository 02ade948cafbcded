/**
 * Sends messages that were allowed: the only file here that holds a mail transport. What nodemailer would deliver to is
 * worked out by nodemailer itself, compared with who was judged, and fixed as the envelope.
 */
import MailComposer from 'nodemailer/lib/mail-composer';
import { TapPassError } from '../model/errors.ts';

/** What is used of a nodemailer transporter. */
export interface MailTransport {
  readonly sendMail: (message: never) => Promise<unknown>;
}

export interface EmailBroker {
  /** `judged`: every address that the decision saw, as `local@domain`. Rejects with `EmailRefusal` for anybody else. */
  readonly perform: (message: Readonly<Record<string, unknown>>, judged: readonly string[]) => Promise<unknown>;
}

export class EmailRefusal extends TapPassError {
  constructor(reason: string) {
    super(`Message refused: ${reason}`, { code: 'TAPPASS_EMAIL_REFUSED' });
  }
}

export const openEmailBroker = (transport: MailTransport): EmailBroker => ({
  perform: async (message, judged) => {
    const reading = findReading(message, 0);
    if (reading !== undefined) {
      throw new EmailRefusal(
        `\`${reading}\` would make the mail library read a file or URL; pass the content itself, read by a governed tool`,
      );
    }
    const envelope = envelopeOf(message);
    const seen = new Set(judged.map(comparable));
    const stranger = envelope.to.find((address) => !seen.has(comparable(address)));
    if (stranger !== undefined)
      throw new EmailRefusal('the mail library would deliver to an address that was not judged');
    if (envelope.to.length === 0) throw new EmailRefusal('the message has no recipient');
    const sealed = { ...withBuffers(message), envelope, disableFileAccess: true, disableUrlAccess: true };
    return (transport.sendMail as (message: unknown) => Promise<unknown>)(sealed);
  },
});

interface Envelope {
  readonly from: string | false;
  readonly to: readonly string[];
}

/** Composed from a copy: composing changes what it is given. */
const envelopeOf = (message: Readonly<Record<string, unknown>>): Envelope => {
  const composed = new MailComposer(withBuffers(message)).compile().getEnvelope();
  return { from: composed.from, to: composed.to };
};

const comparable = (address: string): string => {
  const at = address.lastIndexOf('@');
  return address.slice(0, at) + address.slice(at).toLowerCase();
};

/** nodemailer knows bytes as Buffers only. */
const withBuffers = (value: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withBuffer(inner)]));

const withBuffer = (value: unknown): unknown => {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(withBuffer);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return withBuffers(value as Readonly<Record<string, unknown>>);
};

/** nodemailer opens `path` and `href` wherever it takes content. */
const findReading = (value: unknown, depth: number, at = ''): string | undefined => {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || depth > 8) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const here = at === '' ? key : `${at}.${key}`;
    if ((key === 'path' || key === 'href') && inner !== undefined && inner !== null && inner !== false) {
      if (typeof inner !== 'string' || !/^data:/iu.test(inner)) return here;
    }
    const found = findReading(inner, depth + 1, here);
    if (found !== undefined) return found;
  }
  return undefined;
};
