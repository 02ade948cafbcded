/**
 * What the fields of a message mean, over the libraries and services that tools hand messages to: nodemailer, SendGrid,
 * SES, Microsoft Graph, Gmail, Postmark, Mailgun, Mailjet, Mandrill, Resend. Names are compared without case and
 * separators (`Reply-To`, `replyTo`, `reply_to`).
 */

/** `bounce`: gets what could not be delivered. `reply`: gets answers, receipts and copies. `other`: looks like one. */
export type Role = 'to' | 'cc' | 'bcc' | 'reply' | 'bounce' | 'from' | 'other';

export type KeyMeaning =
  | { readonly is: 'addresses'; readonly role: Role }
  | { readonly is: 'subject' | 'headers' | 'raw' | 'envelope' | 'content' | 'body' | 'line' | 'control' | 'unknown' };

const meanings = new Map<string, KeyMeaning>();
const addresses = (role: Role, names: string): void => {
  for (const name of names.split(/\s+/u)) meanings.set(name, { is: 'addresses', role });
};
const others = (is: Exclude<KeyMeaning['is'], 'addresses'>, names: string): void => {
  for (const name of names.split(/\s+/u)) meanings.set(name, { is });
};

addresses(
  'to',
  `to tos recipient recipients recipientemail recipientemails recipientaddress recipientaddresses recipientlist
  receiver receivers receiveremail addressee addressees toaddress toaddresses toemail toemails tolist torecipient
  torecipients emailto mailto sendto sendtoemail emails emailaddress emailaddresses email rcpt rcptto destinations
  destination destinationaddress destinationaddresses forwardto redirectto invitee invitees attendees guests`,
);
addresses('cc', 'cc ccs ccaddress ccaddresses ccemail ccemails cclist ccrecipient ccrecipients carboncopy copyto');
addresses(
  'bcc',
  'bcc bccs bccaddress bccaddresses bccemail bccemails bcclist bccrecipient bccrecipients blindcopy blindcarboncopy',
);
addresses(
  'reply',
  `replyto replytos replytoaddress replytoaddresses replytoemail replytolist mailreplyto mailfollowupto
  dispositionnotificationto returnreceiptto readreceiptto xconfirmreadingto feedbackforwardingemailaddress
  resentto resentcc resentbcc resentreplyto resentfrom resentsender xto xcc xbcc xoriginalto xoriginalrecipient
  deliveredto envelopeto xenvelopeto xrcptto xforwardto xforwardedto apparentlyto originalrecipient finalrecipient`,
);
addresses('bounce', 'sender xsender senderemail returnpath errorsto bounceto bounceaddress mailfrom envelopefrom');
addresses('from', `from fromemail fromaddress fromemailaddress fromname source xfrom`);
others('subject', 'subject subjectline emailsubject mailsubject title');
others('headers', 'headers header customheaders internetmessageheaders extraheaders additionalheaders');
others('raw', 'raw rawmessage rawemail rawmime mime mimemessage rfc822 eml');
others('envelope', 'envelope smtpenvelope');
others(
  'content',
  `text html amp watchhtml icalevent attachments attachment alternatives markdown plaintext htmlbody textbody
  bodytext bodyhtml bodypreview templatedata dynamictemplatedata templatemodel defaulttemplatedata replacementtemplatedata
  substitutions mergevars globalmergevars variables mjml react images inlineimages files file tags
  signature preheader snippet summary description notes`,
);
others(
  'body',
  'body content contents defaultcontent template context message msg payload data requestbody resource params args arguments input',
);
others(
  'line',
  `messageid inreplyto references date priority importance contenttype filename cid contentid contentdisposition
  contenttransferencoding encoding charset threadid list listid listunsubscribe listunsubscribepost listhelp listarchive
  listpost listowner listsubscribe mimeversion useragent xmailer precedence autosubmitted feedbackid dkimsignature
  dkim fromemailaddressidentityarn sourcearn returnpatharn fromarn configurationsetname userid`,
);
// These steer a service from inside one value, in their own syntax: they can add recipients nobody else sees.
others('control', 'xsmtpapi xmsysapi recipientvariables recipientmetadata xmcmergevars xmailgunrecipientvariables');

const UNKNOWN: KeyMeaning = { is: 'unknown' };
const LINE: KeyMeaning = { is: 'line' };

/** Bounded: keys come from the caller. */
const known = new Map<string, KeyMeaning>();

export const meaningOf = (key: string): KeyMeaning => {
  const cached = known.get(key);
  if (cached !== undefined) return cached;
  const bare = key
    .replace(/^h:/iu, '')
    .toLowerCase()
    .replaceAll(/[\s_-]/gu, '');
  const meaning = meanings.get(bare) ?? (/(?:message|thread|draft|conversation)id$/u.test(bare) ? LINE : UNKNOWN);
  if (known.size < 2_000 && key.length < 80) known.set(key, meaning);
  return meaning;
};

/** Fields that hold one address inside an address object. */
export const isAddressKey = (key: string): boolean =>
  /^(?:e?mail|address|e?mail_?address|addr|mailbox|rcpt)$/iu.test(key);

/** Fields that hold further addresses inside an address object: groups, and the parsed form of mailparser. */
export const isMembersKey = (key: string): boolean =>
  /^(?:group|members|value|values|addresses|recipients|emailaddresses)$/iu.test(key);

export const isNameKey = (key: string): boolean =>
  /^(?:name|display_?name|label|first_?name|last_?name|full_?name|type|id|kind|role)$/iu.test(key);

/** RFC 5322 3.6.8: printable ASCII without the colon. Anything else is dropped by one writer and kept by another. */
export const isHeaderName = (name: string): boolean => /^[!-9;-~]+$/u.test(name);
