/** How sensitive a call is, by what was found in it, and why. */
import { CLASSIFICATIONS, type Classification } from '../model/decision.ts';
import { typesOf, type Findings } from '../model/content.ts';

export interface Classified {
  readonly classification: Classification;
  /** For people: `RESTRICTED: secrets, CREDIT_CARD`. Never the text that was found. */
  readonly because: string;
}

/** Theft of one of these does harm by itself, to one known person. */
const RESTRICTED_TYPES = new Set([
  'SSN',
  'CREDIT_CARD',
  'IBAN',
  'BANK_ACCOUNT',
  'PASSPORT',
  'DRIVERS_LICENSE',
  'NATIONAL_ID',
  'TAX_ID',
  'MEDICAL_ID',
]);
/** Addresses of machines: of interest inside, no person's by themselves. */
const INTERNAL_TYPES = new Set(['IP_ADDRESS', 'MAC_ADDRESS']);
/** This many different personal findings make a list of people rather than a mention of one. */
const BULK = 100;

/**
 * RESTRICTED: a secret, a number that identifies or pays for a person, or personal data in bulk. CONFIDENTIAL: other
 * personal data. INTERNAL: addresses of machines, or anything that touches more than the tool's own memory
 * (`touches`). PUBLIC: nothing found.
 */
export const classify = (findings: Findings, touches = false): Classified => {
  const secrets = findings.some(({ kind }) => kind === 'secret');
  const types = typesOf(findings, 'pii');
  const restricted = types.filter((type) => RESTRICTED_TYPES.has(type));
  const bulk = findings.length - (secrets ? 1 : 0) >= BULK;
  if (secrets || restricted.length > 0 || (bulk && types.length > 0)) {
    const reasons = [...(secrets ? ['secrets'] : []), ...restricted, ...(bulk ? [`${findings.length} findings`] : [])];
    return { classification: 'RESTRICTED', because: reasons.join(', ') };
  }
  const personal = types.filter((type) => !INTERNAL_TYPES.has(type));
  if (personal.length > 0) return { classification: 'CONFIDENTIAL', because: personal.join(', ') };
  if (types.length > 0) return { classification: 'INTERNAL', because: types.join(', ') };
  return touches
    ? { classification: 'INTERNAL', because: 'declared effects' }
    : { classification: 'PUBLIC', because: 'nothing found' };
};

/** The higher of two: the result of a call may be more sensitive than its arguments. */
export const higher = (a: Classification, b: Classification): Classification =>
  CLASSIFICATIONS.indexOf(a) >= CLASSIFICATIONS.indexOf(b) ? a : b;
