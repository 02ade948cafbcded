/** Door: the ambient session, whose ids stand on every event and every governance error made inside it. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, randomUUID } from 'node:crypto';
import { type OptionRules, requireOptions, SIGNAL } from './model/options.ts';
import type { Subject } from './model/call.ts';
import type { Flags, FlagsInput, IgnoredFlag } from './model/flags.ts';
import type { Session } from './model/session.ts';
import { parseFlags } from './policy/flags.ts';

export interface SessionOptions {
  /** Flags for everything inside, between those of `govern()` and those of a single call. */
  readonly flags?: string | FlagsInput;
  readonly subject?: Subject;
  /** Default: the session around this one, else a new id. */
  readonly sessionId?: string;
  /** Default: a new id. */
  readonly taskId?: string;
  /** Where events can be looked at; `auditUrl` is a page beneath it. Default: `TAPPASS_URL`, else none. */
  readonly auditBaseUrl?: string;
  /** Cancels every governed call inside. */
  readonly signal?: AbortSignal;
}

const OPTIONS: OptionRules<SessionOptions> = {
  flags: true,
  subject: true,
  sessionId: true,
  taskId: true,
  auditBaseUrl: true,
  signal: SIGNAL,
};

/** What the doors know of the scope they are called in, beyond the public session. */
export interface Scope {
  readonly session: Session;
  readonly given: Partial<Flags>;
  readonly ignored: readonly IgnoredFlag[];
  readonly signal: AbortSignal | undefined;
  readonly auditBaseUrl: string | undefined;
}

const scopes = new AsyncLocalStorage<Scope>();

/** A UUID (version 8, RFC 9562) made from a name, so that one agent has one id in every process. */
export const uuidOf = (name: string): string => {
  const hex = createHash('sha256').update(`tappass:${name}`).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
};

export const auditUrlOf = (base: string | undefined, sessionId: string): string | null =>
  base === undefined ? null : `${base.replace(/\/+$/u, '')}/audit?session=${encodeURIComponent(sessionId)}`;

export const ambientAuditBaseUrl = (): string | undefined => process.env['TAPPASS_URL'];

/**
 * Runs `fn` inside a session; everything that it calls, awaited or not, inherits its ids. A nested session keeps the
 * outer `sessionId` and gets a `taskId` of its own. Parallel sessions never mix.
 */
export const tappassSession = <R>(options: SessionOptions, fn: (session: Session) => R): R => {
  requireOptions('tappassSession', options, OPTIONS);
  const outer = scopes.getStore();
  const parsed = parseFlags(options.flags ?? {});
  const subject = options.subject ?? outer?.session?.subject;
  const sessionId = options.sessionId ?? outer?.session?.sessionId ?? randomUUID();
  const auditBaseUrl = options.auditBaseUrl ?? outer?.auditBaseUrl ?? ambientAuditBaseUrl();
  const given = { ...outer?.given, ...parsed.given };
  const session: Session = Object.freeze({
    sessionId,
    taskId: options.taskId ?? randomUUID(),
    agentUuid: uuidOf(`agent:${subject?.agent ?? 'agent'}`),
    pipelineUuid: uuidOf(`pipeline:${JSON.stringify(given)}`),
    auditUrl: auditUrlOf(auditBaseUrl, sessionId),
    flags: Object.freeze(given),
    ...(subject !== undefined && { subject: Object.freeze({ ...subject }) }),
  });
  const signals = [options.signal, outer?.signal].filter((signal) => signal !== undefined);
  const scope: Scope = Object.freeze({
    session,
    given,
    ignored: [...(outer?.ignored ?? []), ...parsed.ignored],
    signal: signals.length > 1 ? AbortSignal.any(signals) : signals[0],
    auditBaseUrl,
  });
  return scopes.run(scope, () => fn(session));
};

/** The session this code runs in, or `null`. */
export const currentSession = (): Session | null => scopes.getStore()?.session ?? null;

export const currentScope = (): Scope | undefined => scopes.getStore();

export { withParentCall } from './call-context.ts';
