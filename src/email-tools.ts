/** Door: sending mail under the `email` flag, as a tool for agents or around a transport that a program already has. */
import { z } from 'zod';
import { openEmailBroker, type EmailBroker, type MailTransport } from './broker/email.ts';
import { govern, type GovernOptions } from './govern.ts';
import { requireOptions, TEXT, type OptionRules } from './model/options.ts';
import { collectAddresses } from './policy/email-collect.ts';
import { addressOf } from './policy/email-address.ts';
import { defineTool, type Tool } from './tools/define.ts';

export type { MailTransport } from './broker/email.ts';

const recipients = z.union([z.string(), z.array(z.string())]);

const input = z.object({
  to: recipients.describe('Recipients: name@example.com or Name <name@example.com>'),
  cc: recipients.optional(),
  bcc: recipients.optional(),
  replyTo: z.string().optional(),
  subject: z.string(),
  text: z.string().optional(),
  html: z.string().optional(),
  attachments: z
    .array(z.object({ filename: z.string(), content: z.string(), encoding: z.enum(['utf8', 'base64']).optional() }))
    .optional(),
});

export interface SentMail {
  readonly messageId?: string;
  readonly accepted: readonly string[];
}

export interface EmailToolsOptions {
  /** A nodemailer transporter. */
  readonly transport: MailTransport;
  /** Who the mail is from. Default: what the transport has as its own. */
  readonly from?: string;
}

export type SendEmailTool = Tool<'send_email', typeof input, Promise<SentMail>>;

/** Tools for `govern()`: `send_email`. */
export const emailTools = (options: EmailToolsOptions): { readonly send_email: SendEmailTool } => {
  requireOptions('emailTools', options, { transport: true, from: TEXT } satisfies OptionRules<EmailToolsOptions>);
  const { transport, from } = options;
  const broker = openEmailBroker(transport);
  return {
    send_email: defineTool({
      name: 'send_email',
      description: 'Sends an e-mail.',
      input,
      effects: { email: true },
      execute: async (message) => sentMail(await deliver(broker, from === undefined ? message : { ...message, from })),
    }),
  };
};

export type TransportOptions = Omit<GovernOptions, 'flags' | 'effects'>;

export interface GovernedTransport {
  /** As nodemailer's. Rejects with `PolicyBlockError` where the flags say no. */
  readonly sendMail: (message: Readonly<Record<string, unknown>>) => Promise<unknown>;
}

/**
 * A transport that sends only what `flags` allow, recorded like every governed call. Give this one to tools and keep the
 * other to yourself. Content comes as text or bytes: streams, `path` and `href` are refused, because nobody could say
 * beforehand what they hold. Throws `TapPassConfigError` for flags that would be ignored, unless `strictFlags` is false.
 */
export const governTransport = (
  transport: MailTransport,
  flags: NonNullable<GovernOptions['flags']>,
  options: TransportOptions = {},
): GovernedTransport => {
  const broker = openEmailBroker(transport);
  const { send_email } = govern(
    { send_email: (message: Readonly<Record<string, unknown>>): Promise<unknown> => deliver(broker, message) },
    { strictFlags: true, ...options, flags, effects: { send_email: { email: true } } },
  );
  return Object.freeze({ sendMail: async (message: Readonly<Record<string, unknown>>) => send_email(message) });
};

const deliver = (broker: EmailBroker, message: Readonly<Record<string, unknown>>): Promise<unknown> =>
  broker.perform(
    message,
    collectAddresses(message).found.map(({ mailbox }) => addressOf(mailbox)),
  );

const sentMail = (sent: unknown): SentMail => {
  const { messageId, accepted } = (typeof sent === 'object' && sent !== null ? sent : {}) as Record<string, unknown>;
  return {
    ...(typeof messageId === 'string' ? { messageId } : {}),
    accepted: Array.isArray(accepted) ? accepted.map(String) : [],
  };
};
