/** One invocation of a tool, as the runtime holds it: a private, bounded, frozen copy of what the caller passed. */

export interface Subject {
  readonly agent: string;
  readonly user?: string;
  readonly org?: string;
}

export interface ToolCall {
  readonly callId: string;
  readonly tool: string;
  /** Plain data: the frozen clone that is judged, recorded and run. Positional calls hold an array. */
  readonly args: unknown;
  readonly subject: Subject;
  /** The call from inside which this one was made (a guest's tool call), if any. */
  readonly parentCallId?: string;
  /** Milliseconds since the epoch: time comes in with the call, so that `policy` stays pure. */
  readonly time: number;
}

/** One parameter of a function, as its source shows it. */
export interface Parameter {
  /** `''` for a destructured one. */
  readonly name: string;
  /** It takes all arguments from its place on. */
  readonly rest: boolean;
  /** Words inside a destructured one: what it takes out of its argument is among them. */
  readonly inside: readonly string[];
}

export interface FunctionParameters {
  readonly list: readonly Parameter[];
  /** False where the source shows no more than the beginning (native code, bound functions, Proxies, patterns). */
  readonly complete: boolean;
}
