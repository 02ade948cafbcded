/** A real SMTP server on loopback: what counts is what crossed the wire. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createTransport } from 'nodemailer';
import { SMTPServer } from 'smtp-server';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { emailTools, governTransport } from '../src/email-tools.ts';
import { PolicyBlockError } from '../src/errors.ts';
import { govern } from '../src/govern.ts';

const MIRROR = 'mirror:me@mirror.example';
const wire: Buffer[] = [];
const delivered: string[] = [];
const open = new Set<Socket>();
let smtp: SMTPServer;
let tap: ReturnType<typeof createServer>;
let port: number;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tappass-mail-'));
  smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onRcptTo: ({ address }, _session, done) => {
      delivered.push(address);
      done();
    },
    onData: (stream, _session, done) => {
      stream.on('end', () => done()).resume();
    },
  });
  await new Promise<void>((resolve) => {
    smtp.listen(0, '127.0.0.1', resolve);
  });
  // Between client and server: every byte that the client sends.
  tap = createServer((client) => {
    const upstream = connect((smtp.server.address() as AddressInfo).port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (chunk) => wire.push(chunk));
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => {
    tap.listen(0, '127.0.0.1', resolve);
  });
  port = (tap.address() as AddressInfo).port;
});

afterAll(async () => {
  for (const socket of open) socket.destroy();
  tap.close();
  await new Promise<void>((resolve) => {
    smtp.close(() => resolve());
  });
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(() => {
  wire.length = 0;
  delivered.length = 0;
});

const transport = () => createTransport({ host: '127.0.0.1', port, secure: false, ignoreTLS: true });

/** As it stands, and with every base64 run and quoted-printable escape decoded. */
const everythingOnTheWire = (): string => {
  const text = Buffer.concat(wire).toString('latin1');
  const base64 = text.split('\r\n').map((line) => Buffer.from(line, 'base64').toString('latin1'));
  const quoted = text
    .replaceAll('=\r\n', '')
    .replaceAll(/=([0-9A-F]{2})/gu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return [text, quoted, ...base64].join('\n').toLowerCase();
};

const options = { audit: false } as const;
const message = {
  from: 'bot@company.example',
  to: ['"Victim, A." <victim@customer.example>', { name: 'Second', address: 'second@customer.example' }],
  cc: 'third@customer.example',
  bcc: 'fourth@customer.example',
  replyTo: 'fifth@customer.example',
  headers: { 'X-Original-To': 'victim@customer.example', 'Disposition-Notification-To': 'sixth@customer.example' },
  envelope: { from: 'bot@company.example', to: ['victim@customer.example'] },
  subject: 'Your invoice',
  text: 'Hello',
  attachments: [{ filename: 'a.txt', content: 'x'.repeat(200), headers: { 'X-To': 'victim@customer.example' } }],
};

describe('governTransport', () => {
  test('under mirror the original recipient is nowhere on the wire; without it every one is', async () => {
    const mirrored = governTransport(transport(), { email: MIRROR }, options);
    await mirrored.sendMail(message);
    expect(delivered).toEqual(['me@mirror.example']);
    expect(everythingOnTheWire()).not.toContain('customer.example');
    expect(everythingOnTheWire()).toContain('subject: [ai test] your invoice');

    wire.length = 0;
    delivered.length = 0;
    await governTransport(transport(), { email: 'allow' }, options).sendMail({ ...message, envelope: undefined });
    expect(delivered).toHaveLength(4);
    expect(everythingOnTheWire()).toContain('victim@customer.example');
  });

  test('a raw message is mirrored too', async () => {
    const raw =
      'From: bot@company.example\r\nTo: victim@customer.example\r\nBcc: fourth@customer.example\r\nSubject: Hi\r\n\r\nbody';
    await governTransport(transport(), { email: MIRROR }, options).sendMail({
      raw,
      envelope: { from: 'bot@company.example', to: 'victim@customer.example' },
    });
    expect(delivered).toEqual(['me@mirror.example']);
    expect(everythingOnTheWire()).not.toContain('customer.example');
  });

  test('internal keeps strangers out before a connection is made', async () => {
    const inside = governTransport(transport(), { email: 'internal:company.example' }, options);
    await expect(inside.sendMail(message)).rejects.toThrow(PolicyBlockError);
    expect(wire).toHaveLength(0);
    await inside.sendMail({ from: 'bot@company.example', to: 'Ann <ann@company.example>', subject: 's', text: 't' });
    expect(delivered).toEqual(['ann@company.example']);
  });

  test('observe blocks nothing and still mirrors', async () => {
    await governTransport(transport(), { mode: 'observe', email: MIRROR }, options).sendMail({
      to: 'victim@customer.example',
      subject: 's',
    });
    expect(delivered).toEqual(['me@mirror.example']);
    await governTransport(transport(), { mode: 'observe', email: 'block' }, options).sendMail({
      to: 'victim@customer.example',
      subject: 's',
    });
    expect(delivered).toEqual(['me@mirror.example', 'victim@customer.example']);
  });

  test('files and URLs are not read for an attachment; the same bytes are sent', async () => {
    const sender = governTransport(transport(), { email: 'allow' }, options);
    const path = join(directory, 'secret.txt');
    writeFileSync(path, 'secret-content-of-the-file');
    const to = 'ann@company.example';
    await expect(transport().sendMail({ to, attachments: [{ path }] })).resolves.toBeDefined();
    expect(everythingOnTheWire()).toContain('secret-content');
    wire.length = 0;
    for (const part of [
      { attachments: [{ path }] },
      { attachments: { href: 'http://127.0.0.1:1/' } },
      { html: { path } },
      { text: { content: { path } } },
      { icalEvent: { path } },
      { raw: { path } },
    ]) {
      await expect(sender.sendMail({ to, ...part })).rejects.toThrow(/refused/u);
    }
    expect(wire).toHaveLength(0);
    await sender.sendMail({ to, attachments: [{ filename: 'a', content: Buffer.from('content-as-bytes') }] });
    expect(everythingOnTheWire()).toContain('content-as-bytes');
  });

  test('a stream cannot be judged and is refused', async () => {
    const sender = governTransport(transport(), { email: 'allow' }, options);
    await expect(
      sender.sendMail({ to: 'ann@company.example', raw: Readable.from(['To: x@evil.example\r\n\r\n']) }),
    ).rejects.toThrow(/data|clone|stream/u);
    expect(wire).toHaveLength(0);
  });
});

test('the tool for agents sends, is mirrored and is blocked like any other', async () => {
  const tools = emailTools({ transport: transport(), from: 'bot@company.example' });
  const call = { to: 'victim@customer.example', subject: 's', text: 't' };
  await expect(govern(tools, { flags: { email: 'block' }, ...options }).send_email.execute(call)).rejects.toThrow(
    /check_email/u,
  );
  expect(delivered).toEqual([]);
  const sent = await govern(tools, { flags: { email: MIRROR }, ...options }).send_email.execute(call);
  expect(sent.accepted).toEqual(['me@mirror.example']);
  expect(delivered).toEqual(['me@mirror.example']);
});
