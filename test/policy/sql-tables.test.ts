/** The generated tables are what their generators make today, and the grammar has no node without a rule. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { HARMLESS_FUNCTIONS } from '../../src/policy/sql/functions.ts';
import { rules } from '../../src/policy/sql-enter.ts';
import { NODE_FIELDS } from '../../src/policy/sql/node-fields.ts';
import { CLOSED_STATEMENTS, NEVER, OPEN_STATEMENTS, PARTS } from '../../src/policy/sql-rules.ts';
import { functionsFile, generateFunctions } from '../generate/sql-functions.ts';
import { generateNodeFields, nodeFieldsFile } from '../generate/sql-nodes.ts';

/** What a formatter may change does not count. */
const bare = (text: string): string => text.replaceAll(/[\s,]+/gu, '');

test('the table of nodes is that of the installed grammar', () => {
  expect(bare(readFileSync(nodeFieldsFile, 'utf8'))).toBe(bare(generateNodeFields()));
});

test('the table of functions is that of the embedded PostgreSQL and the review', async () => {
  expect(bare(readFileSync(functionsFile, 'utf8'))).toBe(bare(await generateFunctions()));
  expect(HARMLESS_FUNCTIONS.split(/\s+/u).length).toBeGreaterThan(2000);
}, 240_000);

test('every node has exactly one rule', () => {
  const ruled = [...PARTS, ...NEVER, ...Object.keys(OPEN_STATEMENTS), ...Object.keys(CLOSED_STATEMENTS)];
  expect(new Set(ruled).size).toBe(ruled.length);
  expect(ruled.toSorted()).toEqual(Object.keys(NODE_FIELDS).toSorted());
});

test('what is passed by without a look is constants and names', () => {
  const inert = [...rules.values()].filter(({ isInert }) => isInert === true).map(({ type }) => type);
  expect(inert.toSorted().join(' ')).toBe(
    'A_Const A_Star BitString Boolean Float Integer JsonFormat JsonReturning ParamRef ReturningOption String VariableShowStmt',
  );
});
