import { constant, anything, array, assert, dictionary, oneof, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Effect } from '../../src/model/effect.ts';
import { compileInference, inferEffects } from '../../src/effect/infer.ts';
import { TOOL_DEFINITIONS, type ToolDefinition } from '../fixtures/tool-definitions.ts';

const keyOf = (effect: Effect): string => {
  switch (effect.kind) {
    case 'file':
      return `${effect.access} ${effect.pointer}`;
    case 'network':
      return `url ${effect.pointer}`;
    case 'email':
      return 'email';
    case 'command':
      return `command ${effect.pointer}`.trim();
    case 'sql':
      return `sql ${effect.pointer}`;
    default:
      return effect satisfies never;
  }
};

const infer = ({ name, args, enums = [], parameterNames, description }: ToolDefinition) =>
  inferEffects(
    {
      name,
      ...(description === undefined ? {} : { description }),
      schema: {
        properties: Object.fromEntries(enums.map((key) => [key, { type: 'string', enum: ['view', 'create'] }])),
      },
      ...(parameterNames === undefined ? {} : { parameterNames }),
    },
    args,
  );

/** `right`; `restrictive`: more, or a write where a read was meant; `permissive`: something is missing. */
const verdictOn = (definition: ToolDefinition): 'right' | 'restrictive' | 'permissive' => {
  const found = new Set(infer(definition).effects.map(keyOf));
  const isCovered = (expected: string): boolean => {
    if (expected.endsWith('?'))
      return [...found].some((key) => key.startsWith(expected.slice(0, -1)) || key.startsWith('write'));
    return found.has(expected) || (expected.startsWith('read ') && found.has(expected.replace('read', 'write')));
  };
  if (!definition.effects.every(isCovered)) return 'permissive';
  const isExact = definition.effects.every((expected) => expected.endsWith('?') || found.has(expected));
  return isExact && found.size === definition.effects.length ? 'right' : 'restrictive';
};

describe('tools that people really use', () => {
  const verdicts = TOOL_DEFINITIONS.map((definition) => ({ definition, verdict: verdictOn(definition) }));

  test('none is inferred to do less than it does', () => {
    expect(TOOL_DEFINITIONS.length).toBeGreaterThanOrEqual(120);
    const permissive = verdicts.filter(({ verdict }) => verdict === 'permissive');
    expect(permissive.map(({ definition }) => [definition.from, definition.name, infer(definition).effects])).toEqual(
      [],
    );
  });

  test('at least nine of ten are inferred exactly', () => {
    const restrictive = verdicts.filter(({ verdict }) => verdict === 'restrictive');
    const list = restrictive.map(
      ({ definition }) => `${definition.name}: ${infer(definition).effects.map(keyOf).join(', ')}`,
    );
    expect(list.length, list.join('\n')).toBeLessThanOrEqual(TOOL_DEFINITIONS.length / 10);
  });
});
