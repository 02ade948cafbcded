/** Door-internal: what a call leaves in the journal, before it acts and after. No record, no act. */
import { channel } from 'node:diagnostics_channel';
import { decidedEntry, endedEntry } from './call-events.ts';
import type { Ending } from './call-events.ts';
import type { Request } from './call.ts';
import type { Verdict } from './judge.ts';
import { TapPassError } from './model/errors.ts';
import type { CallDecided, EventSink, JournalEntry } from './model/event.ts';

/** Published for every event, after it is in the journal: for dashboards, traces and tests. */
const events = channel('tappass:event');

/**
 * Ends that could not be written when they happened (the disk was full after the body had run). They go first when the
 * journal can be written again; until then every call is denied. Bounded by the calls that were running at that moment.
 */
const owed = new WeakMap<EventSink, JournalEntry[]>();

const sinksOf = (request: Request): readonly EventSink[] => {
  const { layers } = request.tool;
  if (layers.length === 1) return layers[0].sinks();
  return [...new Set(layers.flatMap((layer) => layer.sinks()))];
};

const payDebts = (sink: EventSink): void => {
  const entries = owed.get(sink);
  if (entries === undefined) return;
  while (entries.length > 0) {
    sink.append(entries[0] as JournalEntry);
    entries.shift();
  }
  owed.delete(sink);
};

/** Where nobody takes an event, none is made. */
const isHeard = ({ tool }: Request): boolean =>
  events.hasSubscribers || tool.layers.some(({ onEvent }) => onEvent !== undefined);

const tell = (request: Request, entry: JournalEntry): void => {
  for (const { onEvent } of request.tool.layers) {
    try {
      onEvent?.(entry);
    } catch (error) {
      // A listener is the program's own code: its error must not change what happens to the call.
      events.publish({ type: 'notice', reason: 'onEvent threw', error });
    }
  }
  if (events.hasSubscribers) events.publish(entry);
};

const journalError = (cause: unknown): TapPassError =>
  new TapPassError(
    `No record, no act: expected the journal to take the decision before the tool runs, but ${cause instanceof Error ? cause.message : String(cause)}. ` +
      'The tool did not run. Make the journal writable again (space, permissions); calls go on as soon as it is.',
    { code: 'TAPPASS_JOURNAL', cause },
  );

/** An async `append` fits the type, and would promise a record instead of making one. */
const refuseLater = (answer: Promise<unknown>): never => {
  answer.catch(() => undefined);
  throw new TypeError('its `append` answered with a promise: it must have the record, or have thrown, when it returns');
};

/** Step 4. Throws when the journal cannot take it; `durable` waits for the disk where the journal promises that. */
export const recordDecided = (verdict: Verdict, durable: boolean): void => {
  const { request } = verdict;
  let entry: CallDecided;
  try {
    const sinks = sinksOf(request);
    if (sinks.length === 0 && !isHeard(request)) return;
    entry = decidedEntry(verdict);
    for (const sink of sinks) {
      payDebts(sink);
      const answer: unknown = durable && sink.durability !== 'write' ? sink.appendDurable(entry) : sink.append(entry);
      if (answer instanceof Promise) refuseLater(answer);
    }
  } catch (error) {
    throw journalError(error);
  }
  tell(request, entry);
};

/** For bodies that may wait: resolves when what was appended is as durable as the journal promises. */
export const recorded = async (request: Request): Promise<void> => {
  try {
    for (const sink of sinksOf(request)) await sink.settled();
  } catch (error) {
    throw journalError(error);
  }
};

/** True when a body must wait for `recorded` before it runs. */
export const mustWait = (request: Request): boolean =>
  sinksOf(request).some(({ durability }) => durability !== 'write');

/** Step 7. Never throws: the body has run, so an end that cannot be written now is owed and denies the next call. */
export const recordEnded = ({ request, decision }: Verdict, ending: Ending): void => {
  const sinks = sinksOf(request);
  if (sinks.length === 0 && !isHeard(request)) return;
  const entry = endedEntry(request, decision, ending);
  for (const sink of sinks) {
    try {
      payDebts(sink);
      sink.append(entry);
    } catch (error) {
      const entries = owed.get(sink) ?? [];
      // A copy: listeners are told of the entry before it is written.
      entries.push(structuredClone(entry));
      owed.set(sink, entries);
      events.publish({ type: 'notice', reason: 'the end of a call could not be recorded yet', error });
    }
  }
  tell(request, entry);
};
