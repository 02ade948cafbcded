/** The permission for one effect, made from a decision and passed by hand to the broker that performs it. */
import type { Decision } from './decision.ts';
import type { Effect } from './effect.ts';

const granted = new WeakSet<object>();

/** Holding one is the permission: it cannot be made by writing an object of the same shape. */
export interface Grant<E extends Effect = Effect> {
  readonly effect: E;
  readonly callId: string;
  /** Milliseconds since the epoch after which the broker refuses. */
  readonly expiresAt: number;
  /** The effect was allowed because it loses no rows (`db=safe_write`): the broker holds the database to it. */
  readonly keepsRows: boolean;
}

/** Made from an allow only; a denied decision yields none. */
export const grantFor = <E extends Effect>(
  decision: Pick<Decision, 'allowed'>,
  effect: E,
  callId: string,
  expiresAt: number,
  keepsRows = false,
): Grant<E> | undefined => {
  if (!decision.allowed) return undefined;
  const grant: Grant<E> = Object.freeze({ effect, callId, expiresAt, keepsRows });
  granted.add(grant);
  return grant;
};

/** True only for a grant that `grantFor` made and that has not expired. */
export const isGranted = (grant: Grant | undefined, now: number): grant is Grant =>
  grant !== undefined && granted.has(grant) && now <= grant.expiresAt;
