/** Door-internal: what a result holds that works on after it was handed over. The call ends with the last part of it. */
import { higher } from './content/classify.ts';
import type { Ended, Run } from './ending.ts';
import { end, settleCost } from './ending.ts';
import { MOST_DETECTIONS, type Released } from './fulfil.ts';
import type { Classification, Detection } from './model/decision.ts';
import type { CallOutcome } from './model/event.ts';

export interface Part {
  readonly run: Run;
  /** What stands in its place. */
  readonly reader: object;
}

/**
 * All parts of one call, those that came out of other parts as well. Holds neither a part nor the result: what nobody can
 * reach any more must be seen to be so.
 */
export class Parts {
  readonly #run: Run;
  #open = 1;
  #outcome: CallOutcome = 'returned';
  #thrown: Ended['thrown'];
  #withheld: Released['withheld'];
  #classification: Classification = 'PUBLIC';
  readonly #detections: Detection[] = [];
  /** What stands in the place of what: a promise may come to the very result that holds it. */
  readonly #readers = new WeakMap<object, WeakRef<object>>();

  constructor(run: Run) {
    this.#run = run;
  }

  /** The governed one for `original`, if there is one already. */
  readerOf(original: object): object | undefined {
    return this.#readers.get(original)?.deref();
  }

  /** Makes it. A stream that cannot be governed, since somebody reads it, fails alone. */
  take(drive: (run: Run) => object, original: object): Part {
    const { verdict, recordMs, runsFrom, look } = this.#run;
    const run: Run = { verdict, recordMs, runsFrom, look, isEnded: false, parts: this };
    this.#open += 1;
    try {
      const reader = drive(run);
      this.#readers.set(original, new WeakRef(reader));
      return { run, reader };
    } catch (error) {
      end(run, 'threw', { thrown: { error } });
      if (original instanceof ReadableStream) return { run, reader: failing(error) };
      if (Object.prototype.toString.call(original) === '[object Response]')
        return { run, reader: new Response(failing(error)) };
      throw error;
    }
  }

  /** No more parts come of the result itself, or of what was thrown: it is handed over. */
  close(outcome: CallOutcome, ended: Ended): void {
    if (outcome === 'returned') settleCost(this.#run, ended.released?.value);
    this.#run.isWaiting = true;
    this.note(outcome, ended);
  }

  /** The end of one. */
  note(outcome: CallOutcome, { thrown, released }: Ended): void {
    // What went wrong first says how the call ended.
    if (this.#outcome === 'returned') {
      this.#outcome = outcome;
      this.#thrown = thrown;
    }
    if (released !== undefined) this.#add(released);
    this.#open -= 1;
    if (this.#open > 0 || this.#run.isEnded) return;
    this.#run.isWaiting = false;
    const [detections, classification, withheld, found] = [
      this.#detections,
      this.#classification,
      this.#withheld,
      this.#thrown,
    ];
    end(this.#run, this.#outcome, {
      released: {
        value: undefined,
        detections,
        classification,
        redactions: [],
        ...(withheld !== undefined && { withheld }),
      },
      ...(found !== undefined && { thrown: found }),
    });
  }

  #add({ detections, classification, withheld }: Released): void {
    this.#detections.push(...detections.slice(0, MOST_DETECTIONS - this.#detections.length));
    this.#classification = higher(this.#classification, classification);
    this.#withheld ??= withheld;
  }
}

const failing = (error: unknown): ReadableStream =>
  new ReadableStream({ start: (controller) => controller.error(error) });
