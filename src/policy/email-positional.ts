/** Positional arguments as a message: judged under the names of their parameters, put back to their places. */
import { isRecord } from './email-walk.ts';

/** A parameter without a name of its own (destructured, or not known) keeps its number. */
const placeName = (names: readonly string[], index: number): string => {
  const name = names[index] ?? '';
  return name === '' || /^\d+$/u.test(name) || names.indexOf(name) !== index ? String(index) : name;
};

export const namedArguments = (message: unknown, names: readonly string[] | undefined): unknown =>
  names === undefined || !Array.isArray(message)
    ? message
    : Object.fromEntries(message.map((value: unknown, index) => [placeName(names, index), value]));

export const placedArguments = (message: unknown, names: readonly string[] | undefined): unknown => {
  if (names === undefined || !isRecord(message)) return message;
  const values: unknown[] = [];
  for (const [key, value] of Object.entries(message)) {
    if (/^\d+$/u.test(key)) values[Number(key)] = value;
    else if (names.includes(key)) values[names.indexOf(key)] = value;
  }
  return Array.from(values);
};

/** `/to/0` of the named arguments is `/1/0` of the positional ones. */
export const placedPointer = (at: string, names: readonly string[]): string => {
  const [first = '', ...rest] = at.slice(1).split('/');
  const index = names.indexOf(first);
  return index < 0 ? at : ['', String(index), ...rest].join('/');
};
