/** What this process has locked itself into, for the doors that must know. Set once per tightening, never widened. */
import type { Tier } from '../model/tier.ts';
import type { CompiledProfile } from './compiled.ts';

export interface LockState {
  readonly tier: Tier;
  readonly profile: CompiledProfile;
  /** Where in the program the lock-down was called for. */
  readonly site: () => string;
}

let state: LockState | undefined;
let broken: string | undefined;

export const lockState = (): LockState | undefined => state;
export const lockedTier = (): Tier | undefined => state?.tier;
export const setLockState = (next: LockState): void => {
  state = next;
};

/** A lock-down that failed half-way: some threads are confined, and nothing may pretend that all are. */
export const lockDownFault = (): string | undefined => broken;
export const setLockDownFault = (fault: string): void => {
  broken = fault;
};
