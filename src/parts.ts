/** Door-internal: what a result holds that works on after it was handed over. The call ends with the last part of it. */
import { higher } from './content/classify.ts';
import type { Ended, Run } from './ending.ts';
import { end } from './ending.ts';
import type { Released } from './fulfil.ts';
import type { CallOutcome } from './model/event.ts';

export class Parts {
  readonly #run: Run;
  #open = 0;
  /** Of the result itself; until it is there, no end of a part is the last. */
  #released: Released | undefined;
  #outcome: CallOutcome = 'returned';
  #thrown: Ended['thrown'];
  readonly #ended: Released[] = [];

  constructor(run: Run) {
    this.#run = run;
  }

  /** A run for one part. */
  open(): Run {
    const { verdict, recordMs, runsFrom } = this.#run;
    this.#open += 1;
    return { verdict, recordMs, runsFrom, isEnded: false, onEnd: (outcome, ended) => this.#note(outcome, ended) };
  }

  /** No more parts come: the result is handed over. */
  close(released: Released): void {
    this.#released = released;
    this.#finish();
  }

  #note(outcome: CallOutcome, { thrown, released }: Ended): void {
    this.#open -= 1;
    if (released !== undefined) this.#ended.push(released);
    // What went wrong first says how the call ended.
    if (this.#outcome === 'returned') {
      this.#outcome = outcome;
      this.#thrown = thrown;
    }
    this.#finish();
  }

  #finish(): void {
    if (this.#open > 0 || this.#released === undefined) return;
    const whole = this.#ended.reduce(both, this.#released);
    end(this.#run, this.#outcome, { released: whole, ...(this.#thrown !== undefined && { thrown: this.#thrown }) });
  }
}

/** One record of both: the value of the first, and what was found in either. */
const both = (first: Released, second: Released): Released => {
  const withheld = first.withheld ?? second.withheld;
  return {
    value: first.value,
    detections: [...first.detections, ...second.detections],
    classification: higher(first.classification, second.classification),
    redactions: first.redactions,
    ...(withheld !== undefined && { withheld }),
  };
};
