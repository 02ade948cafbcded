/** Step `filter_tools`: may a tool of this name run at all? Names match exactly, case included. */
import { allowRuling, denyRuling } from '../model/decision.ts';
import type { Ruling } from '../model/decision.ts';
import { parametersOf } from '../model/flags.ts';

/** Compiled once for a set of flags, asked for every call. */
export const compileTools = (flag: string): ((tool: string) => Ruling) => {
  const allow = allowRuling('filter_tools');
  const word = flag.split(':', 1)[0];
  const names = new Set(parametersOf(flag));
  switch (word) {
    case 'log':
      return () => allow;
    case 'block':
      return () => denyRuling('filter_tools', 'tools.blocked', 'Tool not allowed: tools=block allows no tool calls');
    case 'allowlist':
      return (tool) =>
        names.has(tool)
          ? allow
          : denyRuling('filter_tools', 'tools.not-listed', `Tool not allowed: ${shown(tool)} is not on the allowlist`);
    case 'denylist':
      return (tool) =>
        names.has(tool)
          ? denyRuling('filter_tools', 'tools.denied', `Tool not allowed: ${shown(tool)} is on the denylist`)
          : allow;
    default:
      return () => denyRuling('filter_tools', 'tools.unreadable', 'Tool not allowed: the flag `tools` cannot be read');
  }
};

/** A tool's name may come from a model: it is cut, and control characters do not reach a terminal or a log. */
const shown = (tool: string): string => JSON.stringify(tool.length > 80 ? `${tool.slice(0, 80)}…` : tool);
