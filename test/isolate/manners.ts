/** The two ways in which a host runs guests, and a number of hosts that makes a pool use each for a lone guest. */
export const MANNERS = [
  ['alone, on the main thread of a host', 2],
  ['beside others, on a thread of its own', 1],
] as const;
