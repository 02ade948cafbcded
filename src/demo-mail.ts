/** Door-internal: a real SMTP server on loopback that keeps what it receives, and a transport that sends to it. */
import type { AddressInfo } from 'node:net';
import { createTransport } from 'nodemailer';
import type { MailTransport } from './email-tools.ts';

export interface MailSink {
  readonly transport: MailTransport;
  /** Each message as it came over the wire, the envelope's recipients first. */
  received(): readonly string[];
  close(): Promise<void>;
}

interface SmtpServerModule {
  readonly SMTPServer: new (options: object) => {
    listen(port: number, host: string, done: () => void): void;
    close(done: () => void): void;
    readonly server: { address(): AddressInfo | string | null };
  };
}

interface Session {
  readonly envelope: { readonly rcptTo: readonly { readonly address: string }[] };
}

/** `undefined` where `smtp-server`, which only demonstrations and tests need, is not installed. */
export const openMailSink = async (): Promise<MailSink | undefined> => {
  let library: SmtpServerModule;
  try {
    // Named through a variable: the types of an optional peer must not be needed to compile this package.
    const name = 'smtp-server';
    library = (await import(name)) as SmtpServerModule;
  } catch {
    return undefined;
  }
  const messages: string[] = [];
  const server = new library.SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData: (stream: AsyncIterable<Buffer>, session: Session, done: (error?: Error) => void) => {
      const collect = async (): Promise<void> => {
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk);
        const recipients = session.envelope.rcptTo.map(({ address }) => `RCPT TO:<${address}>`).join('\r\n');
        messages.push(`${recipients}\r\n${Buffer.concat(chunks).toString('utf8')}`);
      };
      collect().then(
        () => done(),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      );
    },
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.server.address() as AddressInfo;
  const transport = createTransport({ host: '127.0.0.1', port, secure: false, ignoreTLS: true });
  return {
    transport: transport as unknown as MailTransport,
    received: () => [...messages],
    close: async () => {
      transport.close();
      await new Promise<void>((resolve) => {
        server.close(resolve);
      });
    },
  };
};
