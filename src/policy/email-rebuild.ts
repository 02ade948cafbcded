/** The same message with every recipient field in its plainest form, so that the tool can read it in one way only. */
import { formatMailbox, parseAddresses } from './email-address.ts';
import { meaningOf } from './email-keys.ts';
import { buildMime } from './email-mime.ts';
import { mapAddressTexts, walkMessage, type Visitor } from './email-walk.ts';

/** Returns `message` itself when nothing in it had to change. Expects a message whose addresses were all read. */
export const rebuildMessage = (message: unknown): unknown => {
  let changed = false;
  const plain = (text: string): string => {
    const read = parseAddresses(text);
    if (read.fault !== undefined || read.plain) return text;
    changed = true;
    return read.mailboxes.map(formatMailbox).join(', ');
  };
  const addresses = (value: unknown, at: string): unknown => mapAddressTexts(value, at, plain, () => undefined);
  const visitor: Visitor = {
    addresses: (value, role, at) => (role === 'from' ? value : addresses(value, at)),
    header: () => true,
    subject: (text) => text,
    mime: (mime) => {
      let rewritten = false;
      const fields = mime.fields.map(({ name, value, text }) => {
        const meaning = meaningOf(name);
        if (meaning.is !== 'addresses' || meaning.role === 'from') return text;
        const read = parseAddresses(value);
        if (read.fault !== undefined || read.plain) return text;
        rewritten = true;
        return `${name}: ${read.mailboxes.map(asciiMailbox).join(`,${mime.newline} `)}`;
      });
      if (rewritten) changed = true;
      return buildMime(mime, fields);
    },
    unknownText: (text) => text,
    line: (value) => value,
    control: (value) => value,
    record: () => undefined,
    fault: () => undefined,
  };
  const rebuilt = walkMessage(message, visitor);
  return changed ? rebuilt : message;
};

/** An encoded word must not be quoted: a quoted one is shown as it stands. */
const asciiMailbox = (mailbox: Parameters<typeof formatMailbox>[0]): string =>
  mailbox.name?.includes('=?') === true
    ? `${mailbox.name} <${formatMailbox({ ...mailbox, name: '' })}>`
    : formatMailbox(mailbox);
