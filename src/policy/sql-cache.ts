/** Decisions by text, least recently used first out; a decision is pure, so an old one is as good as a new one. */
import type { SqlDecision } from '../model/sql.ts';

/** Most decisions kept for one level (default 1000), and the longest text kept (default 8192 characters): 8 MB at most. */
const MAX_ENTRIES = 1000;
const MAX_CHARACTERS = 8192;

/** How many texts seen once are remembered, by a hash only. */
const SEEN = 4096;

/** A hash of the text (FNV-1a, 32 bits). A collision only means that a text is kept one sight early. */
const hashOf = (text: string): number => {
  let hash = 0x81_1c_9d_c5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01_00_01_93);
  return hash >>> 0;
};

export interface SqlCache {
  get(text: string): SqlDecision | undefined;
  set(text: string, decision: SqlDecision): void;
}

export const createSqlCache = (): SqlCache => {
  // Two generations instead of a linked list: a hit in the older one moves the entry to the younger.
  let young = new Map<string, SqlDecision>();
  let old = new Map<string, SqlDecision>();
  const seen = new Uint32Array(SEEN);
  const put = (text: string, decision: SqlDecision): void => {
    if (young.size >= MAX_ENTRIES / 2) {
      old = young;
      young = new Map();
    }
    young.set(text, decision);
  };
  return {
    get(text) {
      const recent = young.get(text);
      if (recent !== undefined) return recent;
      const decision = old.get(text);
      if (decision !== undefined) put(text, decision);
      return decision;
    },
    set(text, decision) {
      if (text.length > MAX_CHARACTERS) return;
      // Most texts with literals in them come once; to keep them would cost more than it saves.
      const hash = hashOf(text);
      if (seen[hash % SEEN] === hash) put(text, decision);
      else seen[hash % SEEN] = hash;
    },
  };
};
