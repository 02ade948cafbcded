/** Decisions by text, least recently used first out; a decision is pure, so an old one is as good as a new one. */
import type { SqlDecision } from '../model/sql.ts';

/** Most decisions kept for one level (default 1000), and the longest text kept (default 8192 characters): 8 MB at most. */
const MAX_ENTRIES = 1000;
const MAX_CHARACTERS = 8192;

export interface SqlCache {
  get(text: string): SqlDecision | undefined;
  set(text: string, decision: SqlDecision): void;
}

export const createSqlCache = (): SqlCache => {
  // Two generations instead of a linked list: a hit in the older one moves the entry to the younger.
  let young = new Map<string, SqlDecision>();
  let old = new Map<string, SqlDecision>();
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
      if (text.length <= MAX_CHARACTERS) put(text, decision);
    },
  };
};
