/** What a reader asks for, and which lines can be skipped without parsing them. */
import { quote } from '../model/canonical.ts';
import { TapPassConfigError } from '../model/errors.ts';
import type { AuditEvent } from '../model/event.ts';

export interface AuditFilter {
  readonly agent?: string;
  readonly tool?: string;
  readonly session?: string;
  readonly callId?: string;
  readonly type?: AuditEvent['type'] | readonly AuditEvent['type'][];
  readonly blocked?: boolean;
  /** RFC 3339; events at that instant included. */
  readonly after?: string;
  /** RFC 3339; events at that instant excluded, so that two ranges that meet share none. */
  readonly before?: string;
  /** Stop after so many (default: all). */
  readonly limit?: number;
}

export interface Query {
  readonly limit: number;
  readonly after: number;
  readonly before: number;
  /** False only for a line that cannot match: its text lacks what every match has. */
  mayMatch(line: Buffer): boolean;
  matches(event: AuditEvent): boolean;
}

export const parseFilter = (filter: AuditFilter): Query => {
  const { agent, tool, session, callId, type, blocked, limit = Number.POSITIVE_INFINITY } = filter;
  if (limit !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(limit) || limit < 0)) {
    throw new TapPassConfigError(`Expected \`limit\` to be a whole number from 0, got ${JSON.stringify(limit)}.`);
  }
  const types = type === undefined ? undefined : new Set<string>(typeof type === 'string' ? [type] : type);
  const wanted = [
    ['agent', agent],
    ['tool', tool],
    ['session_id', session],
    ['call_id', callId],
    ['blocked', blocked],
    ['type', typeof type === 'string' ? type : undefined],
  ].flatMap(([key, value]) => (value === undefined ? [] : [[String(key), value] as const]));
  // The journal writes canonical text: an equal value has equal bytes.
  const needles = wanted.map(([key, value]) =>
    Buffer.from(`"${key}":${typeof value === 'string' ? quote(value) : String(value)}`),
  );
  return {
    limit,
    after: filter.after === undefined ? Number.NEGATIVE_INFINITY : parseInstant('after', filter.after),
    before: filter.before === undefined ? Number.POSITIVE_INFINITY : parseInstant('before', filter.before),
    mayMatch: (line) => needles.every((needle) => line.includes(needle)),
    matches(event) {
      const fields: Readonly<Record<string, unknown>> = { ...event };
      return wanted.every(([key, value]) => fields[key] === value) && (types === undefined || types.has(event.type));
    },
  };
};

/** RFC 3339 5.6: a full date, `T` or a space, a full time, `Z` or an offset. Date.parse alone takes far more. */
const RFC_3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

const parseInstant = (option: string, text: string): number => {
  const instant = RFC_3339.test(text) ? Date.parse(text.replace(' ', 'T').toUpperCase()) : Number.NaN;
  if (!Number.isNaN(instant)) return instant;
  throw new TapPassConfigError(
    `Expected \`${option}\` to be an RFC 3339 time such as 2026-03-01T00:00:00Z, got ${JSON.stringify(text)}.`,
  );
};
