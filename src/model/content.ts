/** What was found in the content of a call: words for secrets and personal data, where they stand, and how sure we are. */

export const FINDING_KINDS = ['secret', 'pii'] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

/** The public type names: what stands in `[MASKED_<TYPE>]` and in `PII detected: …`. */
export const PII_TYPES = [
  'EMAIL',
  'PHONE_NUMBER',
  'SSN',
  'CREDIT_CARD',
  'IBAN',
  'IP_ADDRESS',
  'DATE_OF_BIRTH',
  'PASSPORT',
  'DRIVERS_LICENSE',
  'NATIONAL_ID',
  'TAX_ID',
  'BANK_ACCOUNT',
  'MEDICAL_ID',
  'MAC_ADDRESS',
  'CRYPTO_ADDRESS',
  'PERSON',
  'ADDRESS',
] as const;
export type PiiType = (typeof PII_TYPES)[number];

/** How the text was hidden where it was found: as it stands, or behind one level of encoding. */
export const DISGUISES = ['unicode', 'base64', 'hex', 'percent'] as const;
export type Disguise = (typeof DISGUISES)[number];

/** One thing found. It says where and what, and never holds the text itself: findings go to the journal. */
export interface Finding {
  readonly kind: FindingKind;
  /** A `PiiType`, `SECRET`, or the type of a detector that the program brought. */
  readonly type: string;
  /** The rule that found it, for people who tune: `github-token`, `card-luhn`, `assignment`. */
  readonly rule: string;
  /** JSON pointer (RFC 6901) of the string, number or bytes that hold it; `''` is the value itself. */
  readonly pointer: string;
  /** UTF-16 offsets in that string, end exclusive; in the name of a member when `inKey`. */
  readonly start: number;
  readonly end: number;
  readonly inKey?: true;
  readonly disguise?: Disguise;
}

export type Findings = readonly Finding[];

export const NO_FINDINGS: Findings = Object.freeze([]);

/** The types of `kind` among the findings, each once, in the order in which they are declared, then by name. */
export const typesOf = (findings: Findings, kind: FindingKind): readonly string[] => {
  const types = new Set(findings.filter((finding) => finding.kind === kind).map(({ type }) => type));
  const known = PII_TYPES.filter((type) => types.delete(type));
  return [...known, ...[...types].sort()];
};

/** How many of each type: what `RedactionApplied` carries. */
export const countByType = (findings: Findings): readonly { readonly type: string; readonly count: number }[] => {
  const counts = new Map<string, number>();
  for (const { type } of findings) counts.set(type, (counts.get(type) ?? 0) + 1);
  return [...counts].map(([type, count]) => ({ type, count }));
};
