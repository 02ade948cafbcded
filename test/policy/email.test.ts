import { describe, expect, test } from 'vitest';
import { checkEmail, type EmailMessage } from '../../src/check-email.ts';
import { decideEmail } from '../../src/policy/email.ts';

const INTERNAL = 'internal:company.example';
const MIRROR = 'mirror:me@company.example';

describe('internal', () => {
  test.each<EmailMessage>([
    { to: 'a@company.example', subject: 'x', text: 'mail bob@evil.example' },
    { to: 'A@COMPANY.EXAMPLE' },
    { to: 'Ann <a@company.example>, "Bob, B." <b@company.example>' },
    { to: ['a@company.example', { name: 'B', address: 'b@company.example' }], cc: [], bcc: '' },
    { to: 'team: a@company.example, b@company.example;' },
    { to: 'a@company.example (comment)' },
    { from: 'bot@elsewhere.example', to: 'a@company.example' },
    { from: 'bot@elsewhere.example', sender: 'bot@elsewhere.example', to: 'a@company.example' },
    { to: 'a@company.example', headers: { 'X-Note': 'hello', 'List-Unsubscribe': '<mailto:u@lists.example>' } },
    { to: 'a@company.example', messageId: '<1@elsewhere.example>', inReplyTo: '<2@elsewhere.example>' },
    {
      raw:
        'From: x@y.example\r\nTo: a@company.example\r\n b@company.example\r\n'.replace('\r\n b', ',\r\n b') +
        '\r\nTo: z@evil.example',
    },
    { personalizations: [{ to: [{ email: 'a@company.example' }] }], from: { email: 'b@elsewhere.example' } },
    { Destination: { ToAddresses: ['a@company.example'] }, Message: { Subject: { Data: 'x' } } },
    { message: { toRecipients: [{ emailAddress: { address: 'a@company.example' } }] } },
    { raw: btoa('To: a@company.example\n\nx').replaceAll('=', '') },
  ])('%j is allowed', (message) => {
    expect(checkEmail(message, INTERNAL)).toMatchObject({ allowed: true });
  });

  test.each<EmailMessage>([
    { to: 'a@sub.company.example' },
    { to: 'a@company.example.evil.example' },
    { to: 'a@evilcompany.example' },
    { to: 'a@company.example, x@evil.example' },
    { to: 'a@company.example', cc: 'x@evil.example' },
    { to: 'a@company.example', bcc: ['x@evil.example'] },
    { to: 'a@company.example', replyTo: 'x@evil.example' },
    { from: 'a@company.example', sender: 'x@evil.example', to: 'a@company.example' },
    { to: 'a@company.example', envelope: { to: 'x@evil.example' } },
    { to: 'a@company.example', headers: { bCC: 'x@evil.example' } },
    { to: 'a@company.example', headers: [{ key: 'Bcc', value: 'x@evil.example' }] },
    { to: 'a@company.example', headers: new Map([['Bcc', 'x@evil.example']]) },
    { to: 'a@company.example', headers: { 'B cc': 'x@evil.example' } },
    { to: 'a@company.example', headers: { 'X-Copy': 'hello x@evil.example' } },
    { to: 'a@company.example', headers: { 'X-SMTPAPI': '{"to":["x\\u0040evil.example"]}' } },
    { to: 'a@company.example', attachments: [{ content: 'x', headers: { Bcc: 'x@evil.example' } }] },
    { to: 'a@company.example', copies: ['x@evil.example'] },
    { to: '"a@company.example" <x@evil.example>' },
    { to: '"a@company.example"@evil.example' },
    { to: 'x%evil.example@company.example' },
    { to: 'evil.example!x@company.example' },
    { to: '<@evil.example:a@company.example>' },
    { to: 'a@company.example x@evil.example' },
    { to: 'a@company.example;x@evil.example' },
    { to: 'a@company.example\r\nBcc: x@evil.example' },
    { to: 'a@company.example\u2028x@evil.example' },
    { to: 'a\0@company.example' },
    { to: 'a@[127.0.0.1]' },
    { to: '=?utf-8?Q?x=40evil.example=3E?=@company.example' },
    { to: 'root' },
    { to: '' },
    {},
    { to: 'a@company.example', subject: 'x\r\nBcc: x@evil.example' },
    { raw: 'To: a@company.example\r\nBcc: x@evil.example\r\n\r\n' },
    { raw: 'To: a@company.example\r\n\tx@evil.example\r\n\r\n' },
    { raw: 'To: a@company.example\rBcc: x@evil.example\r\n\r\n' },
    { raw: 'not mime at all @ \n' },
    { raw: { path: '/tmp/mail.eml' } },
    { to: { name: 'x', address: 'a@company.example, x@evil.example' } },
    { to: { group: [{ address: 'x@evil.example' }] } },
    { to: [[['x@evil.example']]] },
    { to: 42 },
    { to: new URL('mailto:x@evil.example'), cc: 'a@company.example' },
    { to: Buffer.from('x@evil.example'), cc: 'a@company.example' },
    { to: 'a@company.example', list: 'x@evil.example' },
    { to: 'a@company.example', header_to: 'x@evil.example' },
    { to: [{ address: { email: 'a@company.example', header_to: 'x@evil.example' } }] },
    { to: 'a@company.example', 'h:Reply-To': 'x@evil.example' },
    { to: 'a@company.example', 'recipient-variables': '{"x@evil.example":{}}' },
    { to: 'a@company.example', dsn: { notify: 'success', recipient: 'x@evil.example' } },
  ])('%j is denied', (message) => {
    expect(checkEmail(message, INTERNAL)).toMatchObject({ allowed: false });
  });

  test('what is not in its plainest form is rebuilt', () => {
    const { message } = checkEmail({ to: '"B, Ob" <b@Company.Example> (hi), a@company.example' }, INTERNAL);
    expect(message.to).toBe('"B, Ob" <b@company.example>, a@company.example');
  });
});

describe('mirror', () => {
  test('one recipient is left, in the shape of the field', () => {
    const before = {
      from: 'bot@company.example',
      to: ['a@x.example', { name: 'B', address: 'b@x.example' }],
      cc: 'c@x.example',
      bcc: ['d@x.example'],
      replyTo: 'r@x.example',
      envelope: { from: 'bot@company.example', to: ['a@x.example'] },
      headers: { 'X-To': 'a@x.example', 'X-Other': '1', 'Resent-To': 'e@x.example' },
      subject: 'Hello',
      text: 'hi',
    };
    const decision = checkEmail(before, MIRROR);
    expect(decision.allowed).toBe(true);
    expect(decision.message).toEqual({
      from: 'bot@company.example',
      to: ['me@company.example'],
      cc: '',
      bcc: [],
      envelope: { from: 'bot@company.example', to: ['me@company.example'] },
      headers: { 'X-Other': '1' },
      subject: '[AI TEST] Hello',
      text: 'hi',
    });
    expect(decision.originalRecipients).toEqual(['a@x.example', 'b@x.example', 'c@x.example', 'd@x.example']);
    expect(before.to).toHaveLength(2);
  });

  test.each<EmailMessage>([
    { bcc: 'x@evil.example', subject: 'only hidden ones' },
    { Bcc: 'x@evil.example' },
    { ccList: ['x@evil.example', 'y@evil.example'] },
    { to: 'a@x.example', headers: ['Bcc: x@evil.example', 'X-A: b'] },
    {
      to: 'a@x.example',
      headers: [
        ['Bcc', 'x@evil.example'],
        ['X-B', ['b', 'c']],
      ],
    },
    {
      to: 'a@x.example',
      headers: { Bcc: ['x@evil.example', 'y@evil.example'], 'Resent-To': { value: 'q@evil.example' } },
    },
    { to: 'a@x.example', headers: { 'Reply-To': ['r@evil.example'], 'X-Original-To': 'x@evil.example' } },
    { personalizations: [{ to: [{ email: 'x@evil.example' }], cc: [{ email: 'y@evil.example' }] }], subject: 's' },
    {
      Destination: { ToAddresses: ['x@evil.example'] },
      Message: { Subject: { Data: 's' } },
      Source: 'me@company.example',
    },
    {
      message: {
        toRecipients: [{ emailAddress: { address: 'x@evil.example', name: 'X' } }],
        internetMessageHeaders: [{ name: 'X-Bcc', value: 'x@evil.example' }],
      },
    },
    { to: 'a@x.example', dsn: { recipient: 'x@evil.example' } },
    {
      to: 'a@x.example',
      attachments: [{ raw: 'To: x@evil.example\r\n\r\nhello' }],
      alternatives: [{ headers: { 'X-To': 'x@evil.example' } }],
    },
  ])('nobody else is left, however the message is written: %j', (message) => {
    expect(JSON.stringify(message)).toContain('evil.example');
    const decision = checkEmail(message, MIRROR);
    expect(decision.allowed).toBe(true);
    expect(JSON.stringify(decision.message)).not.toContain('evil.example');
    expect(JSON.stringify(decision.message)).toContain('me@company.example');
  });

  test('the subject is marked once', () => {
    const once = checkEmail({ to: 'a@x.example', subject: 'Hi' }, MIRROR).message;
    expect(checkEmail(once, MIRROR).message.subject).toBe('[AI TEST] Hi');
  });

  test('a raw message is rewritten in its own form', () => {
    const raw =
      'Received: x\r\nTo: A <a@x.example>,\r\n b@x.example\r\nCc: c@x.example\r\nX-Envelope-To: a@x.example\r\nSubject: Hi\r\n\r\nbody';
    expect(checkEmail({ raw }, MIRROR).message.raw).toBe(
      'To: me@company.example\r\nReceived: x\r\nSubject: [AI TEST] Hi\r\n\r\nbody',
    );
  });

  test('bytes come back as bytes that a mail library takes', () => {
    const raw = Buffer.from('To: a@x.example\n\nbody');
    const mirrored = checkEmail({ raw }, MIRROR).message.raw;
    expect(Buffer.isBuffer(mirrored)).toBe(true);
    expect(String(mirrored)).toBe('To: me@company.example\nSubject: [AI TEST]\n\nbody');
    expect(Buffer.isBuffer(checkEmail({ raw: Buffer.from('To: a@company.example\n\nx') }, INTERNAL).message.raw)).toBe(
      true,
    );
  });

  test('a recipient is not left in the subject, in the name of the sender or in an id', () => {
    const before = {
      from: '"for a@x.example" <bot@company.example>',
      to: 'a@x.example',
      subject: 'Re: A@X.EXAMPLE, hello',
      messageId: '<1.a@x.example>',
      attachments: [{ filename: 'a@x.example.pdf', content: 'x' }],
    };
    const { message } = checkEmail(before, MIRROR);
    expect(JSON.stringify(message).toLowerCase()).not.toContain('x.example');
    expect(message).toMatchObject({ from: 'bot@company.example', subject: '[AI TEST] Re: me@company.example, hello' });
  });

  test('a message without a recipient to replace is denied', () => {
    expect(checkEmail({ subject: 'x' }, MIRROR).allowed).toBe(false);
  });
});

test('block denies and allow leaves alone', () => {
  const message = { to: 'a@x.example' };
  expect(checkEmail(message, 'block')).toMatchObject({ allowed: false, originalRecipients: ['a@x.example'] });
  expect(checkEmail(message, 'allow')).toMatchObject({ allowed: true, message });
});

test.each([
  '',
  'internal',
  'internal:',
  'internal:a b',
  'mirror:',
  'mirror:x',
  'mirror:a@b.example, c@d.example',
  'Deny',
  'allow:x',
  'internal:a.example:b.example',
])('the unusable flag %j denies', (flag) => {
  expect(checkEmail({ to: 'a@company.example' }, flag).allowed).toBe(false);
});

test('a getter that changes its answer is asked once', () => {
  let asked = 0;
  const message = {
    get to() {
      return asked++ === 0 ? 'a@company.example' : 'x@evil.example';
    },
  };
  const decision = checkEmail(message, INTERNAL);
  expect(decision.allowed).toBe(true);
  expect(decision.message.to).toBe('a@company.example');
});

describe('positional arguments', () => {
  const judge = (message: readonly unknown[], parameterNames: readonly string[], flag: string) =>
    decideEmail({ kind: 'email', pointer: '', message, parameterNames }, flag);

  test('are judged under the names of their parameters and go back to their places', () => {
    const names = ['to', 'subject', 'body'];
    expect(judge(['a@x.example', 'Hi', 'text'], names, MIRROR)).toMatchObject({
      outcome: 'allow',
      rewrites: [{ pointer: '', value: ['me@company.example', '[AI TEST] Hi', 'text'] }],
      originalRecipients: ['a@x.example'],
    });
    expect(judge(['a@x.example', 'Hi', 'text'], names, INTERNAL).outcome).toBe('deny');
    expect(judge(['a@company.example', 'Hi', 'text'], names, INTERNAL)).toEqual({
      step: 'check_email',
      outcome: 'allow',
      originalRecipients: ['a@company.example'],
    });
  });

  test('without names a text that is an address is one', () => {
    for (const names of [[], ['', ''], ['a', 'a']]) {
      expect(judge(['a@x.example', 'Hi'], names, MIRROR).rewrites?.[0]?.value).toEqual(['me@company.example', 'Hi']);
      expect(judge(['a@company.example', 'x@evil.example'], names, INTERNAL).outcome).toBe('deny');
    }
  });
});

describe('single fields, declared one by one', () => {
  const judge = (message: unknown, flag: string) => decideEmail({ kind: 'email', pointer: '/cc', message }, flag);

  test('a field of recipients is judged like a message', () => {
    expect(judge('a@x.example', INTERNAL).outcome).toBe('deny');
    expect(judge(['a@company.example'], INTERNAL).outcome).toBe('allow');
    expect(judge(['a@x.example'], MIRROR).rewrites).toEqual([{ pointer: '/cc', value: ['me@company.example'] }]);
  });

  test('an empty one sends to nobody', () => {
    for (const flag of [INTERNAL, MIRROR])
      for (const value of ['', []]) expect(judge(value, flag).outcome).toBe('allow');
  });
});

test('hostile fields come to an end', () => {
  const long = [' ', 'a ', '(', '"', '<', 'a,', '@', 'a@b.example ', '\\', '[', 'é', 'a.', '=?utf-8?Q?', ':', ';'];
  for (const bit of long) {
    for (const text of [bit.repeat(4_000 / bit.length), bit.repeat(60_000 / bit.length), `a${bit.repeat(9_000)}b`]) {
      expect(checkEmail({ to: text, headers: { 'X-A': text }, raw: `To: ${text}\n\n` }, INTERNAL).allowed).toBe(false);
    }
  }
});

test('many slow fields come to an end too, and as many plain ones are read', () => {
  const slow = `"${String.raw`\"`.repeat(1_900)}" <a@company.example>`;
  expect(checkEmail({ to: slow }, INTERNAL).allowed).toBe(true);
  expect(checkEmail({ to: Array.from({ length: 1_000 }, () => slow) }, INTERNAL).allowed).toBe(false);
  const plain = Array.from({ length: 1_000 }, (_, index) => `User ${index} <user${index}@company.example>`);
  expect(checkEmail({ to: plain, cc: plain.join(', ') }, INTERNAL).allowed).toBe(true);
  expect(checkEmail({ to: plain, cc: plain.join(', ') }, MIRROR).message).toMatchObject({
    to: ['me@company.example'],
    cc: '',
  });
});
