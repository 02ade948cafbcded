/** What nodemailer would deliver to, and what a MIME reader would see, is what was judged. */
import {
  array,
  assert,
  asyncProperty,
  constant,
  constantFrom,
  oneof,
  property,
  record,
  string,
  tuple,
  type Arbitrary,
} from 'fast-check';
import addressParser from 'nodemailer/lib/addressparser';
import MailComposer from 'nodemailer/lib/mail-composer';
import PostalMime from 'postal-mime';
import { expect, test } from 'vitest';
import { checkEmail, type EmailMessage } from '../../src/check-email.ts';
import { addressOf, canonicalDomain, parseAddresses } from '../../src/policy/email-address.ts';

const DOMAIN = 'ok.example';
const INTERNAL = `internal:${DOMAIN}`;
const MIRROR = 'mirror:me@mirror.example';

/** Bits that mean something to one reader or another; joined at random they make most known tricks and many unknown ones. */
const bit = constantFrom(
  ...`a@ok.example b@ok.example x@evil.example evil.example ok.example a @ , ; : < > " ' \\ ( ) [ ] . % ! | = / 。 é ｅ`.split(
    ' ',
  ),
  '=?utf-8?Q?',
  '=40',
  '?=',
  'Name',
  'xn--',
  'group:',
  'Bcc:',
  'A@OK.EXAMPLE',
  '<a@ok.example>',
  '(c)',
  ' ',
  '\t',
  '\r\n',
  '\n',
  '\0',
  '\u2028',
  '\u00a0',
  '\u200b',
  '\u00ad',
  '"q" <a@ok.example>',
  'team: a@ok.example;',
);
const nearlyAddresses: Arbitrary<string> = array(bit, { minLength: 1, maxLength: 7 }).map((bits) => bits.join(''));
const plain = constantFrom('a@ok.example', 'Ann <a@ok.example>', '"B, b" <b@ok.example>', 'a@ok.example, b@ok.example');
const mostlyPlain = oneof(
  { weight: 6, arbitrary: plain },
  { weight: 1, arbitrary: nearlyAddresses },
  { weight: 1, arbitrary: constant('x@evil.example') },
);
const field: Arbitrary<unknown> = oneof(
  { weight: 12, arbitrary: plain },
  { weight: 2, arbitrary: nearlyAddresses },
  array(mostlyPlain, { maxLength: 3 }),
  record({ name: nearlyAddresses, address: mostlyPlain }),
  constant(''),
);
const headerName = constantFrom(
  'to',
  'Cc',
  'BCC',
  'X-To',
  'B cc',
  'Bcc\n',
  'bcc:',
  'Reply-To',
  'X-Other',
  'Subject',
  '',
);
const headers = oneof(
  tuple(headerName, mostlyPlain).map(([key, value]) => ({ [key]: value })),
  array(record({ key: headerName, value: mostlyPlain }), { maxLength: 2 }),
);
const message: Arbitrary<EmailMessage> = record(
  {
    from: constant('bot@elsewhere.example'),
    to: field,
    cc: field,
    bcc: field,
    subject: oneof(constant('Hi'), nearlyAddresses),
    text: constant('hello'),
    headers,
    envelope: record({ from: constant('bot@elsewhere.example'), to: field }),
    attachments: headers.map((own) => [{ content: 'x', headers: own }]),
  },
  { requiredKeys: ['to'] },
);

const composed = (sent: EmailMessage) => new MailComposer(structuredClone(sent) as never).compile();
const deliveredTo = (sent: EmailMessage): readonly string[] =>
  composed(sent)
    .getEnvelope()
    .to.map((to) => to.toLowerCase());

const build = (sent: EmailMessage): Promise<Buffer> => {
  const node = composed(sent);
  node.keepBcc = true;
  return node.build();
};

const seenBy = async (mime: string | Uint8Array): Promise<readonly string[]> => {
  const parsed = await PostalMime.parse(mime);
  return [parsed.to, parsed.cc, parsed.bcc, parsed.replyTo]
    .flatMap((list) => list ?? [])
    .flatMap(({ address, group }) => [address, ...(group ?? []).map((one) => one.address)])
    .filter((address) => address !== undefined && address !== '')
    .map((address) => String(address).toLowerCase());
};

/** How many of the generated messages were let through: a property over none of them would prove nothing. */
const tally = () => {
  const count = { allowed: 0, denied: 0 };
  const see = (allowed: boolean): void => {
    count[allowed ? 'allowed' : 'denied'] += 1;
  };
  return { count, see };
};

const inside = (address: string): boolean =>
  address.endsWith(`@${DOMAIN}`) && address.indexOf('@') === address.lastIndexOf('@');

test('under internal nodemailer delivers to the domain alone', async () => {
  const { count, see } = tally();
  await assert(
    asyncProperty(message, async (candidate) => {
      const { allowed, message: sent } = checkEmail(candidate, INTERNAL);
      see(allowed);
      if (!allowed) return;
      expect(deliveredTo(sent).filter((address) => !inside(address))).toEqual([]);
      const seen = await seenBy(await build(sent));
      expect(seen.filter((address) => !inside(address))).toEqual([]);
    }),
    { numRuns: 1_200 },
  );
  expect(count.allowed).toBeGreaterThan(60);
  expect(count.denied).toBeGreaterThan(60);
});

test('under mirror nodemailer delivers to the mirror alone, and no header names anybody else', async () => {
  const { count, see } = tally();
  await assert(
    asyncProperty(message, async (candidate) => {
      const { allowed, message: sent } = checkEmail(candidate, MIRROR);
      see(allowed);
      if (!allowed) return;
      expect(new Set(deliveredTo(sent))).toEqual(new Set(['me@mirror.example']));
      const [head = ''] = (await build(sent)).toString('latin1').split('\r\n\r\n');
      expect(head.replaceAll(/^Subject: .*(?:\r\n[ \t].*)*/gimu, '')).not.toMatch(/@(?:ok|evil)\.example/iu);
    }),
    { numRuns: 1_200 },
  );
  expect(count.allowed).toBeGreaterThan(60);
  expect(count.denied).toBeGreaterThan(60);
});

test('every list that is read has one reading', () => {
  const { count, see } = tally();
  const text = oneof(
    nearlyAddresses,
    string({ unit: 'grapheme', maxLength: 20 }).map((local) => `${local}@ok.example`),
    string({ unit: 'grapheme', maxLength: 20 }).map((name) => `${name} <a@ok.example>`),
  );
  assert(
    property(text, (candidate) => {
      const read = parseAddresses(candidate);
      see(read.fault === undefined);
      if (read.fault !== undefined) return;
      const other = addressParser(candidate, { flatten: true }).map(({ address }) => {
        const [local, domain] = [
          address.slice(0, address.lastIndexOf('@')),
          address.slice(address.lastIndexOf('@') + 1),
        ];
        return `${local}@${canonicalDomain(domain) ?? domain}`;
      });
      expect(read.mailboxes.map(addressOf)).toEqual(other);
    }),
    { numRuns: 6_000 },
  );
  expect(count.allowed).toBeGreaterThan(500);
});

const rawLine = oneof(
  tuple(constantFrom('To', 'Cc', 'BCC', 'Reply-To', 'X-To', 'Subject', 'X-Other'), oneof(plain, nearlyAddresses)).map(
    ([name, value]) => `${name}: ${value}`,
  ),
  constantFrom('To: a@ok.example,', ' b@ok.example', '\tx@evil.example', '', ' ', 'To : x@evil.example', 'Bcc'),
  constantFrom('From x@evil.example', '\rBcc: x@evil.example', 'Subject: x'),
);
const rawMessage = tuple(array(rawLine, { maxLength: 4 }), constantFrom('\r\n', '\n', '\r\n', '\r')).map(
  ([lines, newline]) => ['To: a@ok.example', ...lines, '', 'body x@evil.example'].join(newline),
);

test('a raw message that passes names nobody outside to another reader', async () => {
  const { count, see } = tally();
  await assert(
    asyncProperty(rawMessage, constantFrom(INTERNAL, MIRROR), async (raw, flag) => {
      const { allowed, message: sent } = checkEmail({ raw }, flag);
      see(allowed);
      if (!allowed) return;
      const end = flag === INTERNAL ? '@ok.example' : 'me@mirror.example';
      expect((await seenBy(sent.raw as string)).filter((address) => !address.endsWith(end))).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
  expect(count.allowed).toBeGreaterThan(60);
});

test('the body of a raw message is not touched, whatever its bytes', () => {
  const head = new TextEncoder().encode('To: x@evil.example\r\nSubject: s\r\n\r\n');
  assert(
    property(array(constantFrom(0, 10, 13, 65, 128, 255), { maxLength: 50 }), (bytes) => {
      const sent = checkEmail({ raw: new Uint8Array([...head, ...bytes]) }, MIRROR).message.raw as Uint8Array;
      expect([...sent.subarray(sent.length - bytes.length)]).toEqual(bytes);
    }),
  );
});
