/** A host that says what a test wants: the parent's side of the channel with any bytes on the other end. */
import { PassThrough } from 'node:stream';
import { encodeFrame } from '../../src/isolate/channel.ts';
import { IsolateHost, type HostEnd, type HostRun } from '../../src/isolate/host.ts';

export interface ScriptedHost {
  readonly host: IsolateHost;
  readonly ends: HostEnd[];
  readonly logs: string[];
  readonly calls: string[];
  readonly kills: () => number;
  readonly say: (bytes: Uint8Array) => void;
  readonly sayFrame: (message: unknown) => void;
  readonly start: () => ReturnType<IsolateHost['start']>;
}

export const scriptedHost = (single = false, timeoutMs = 60_000): ScriptedHost => {
  const input = new PassThrough();
  input.resume();
  const output = new PassThrough();
  let kills = 0;
  const ended = Promise.withResolvers<string>();
  const host = new IsolateHost(
    {
      input,
      output,
      errors: new PassThrough(),
      kill: () => {
        kills += 1;
        ended.resolve('it got SIGKILL');
      },
      hold: () => {},
      ended: ended.promise,
    },
    { onChange: () => {} },
    single,
  );
  const ends: HostEnd[] = [];
  const logs: string[] = [];
  const calls: string[] = [];
  const run: HostRun = {
    message: { code: '', file: 'code.ts', modules: [], links: [], timeoutMs, memoryMb: 64, allow: '' },
    onLog: (_, text) => logs.push(text),
    onDropped: () => logs.push('dropped'),
    onCall: (_, tool) => {
      calls.push(tool);
      return tool === 'known';
    },
    onEnd: (end) => ends.push(end),
  };
  // Straight to the listener: a broken stream would hide what the parser does with the bytes.
  const say = (bytes: Uint8Array): void => void output.emit('data', Buffer.from(bytes));
  return {
    host,
    ends,
    logs,
    calls,
    kills: () => kills,
    say,
    sayFrame: (message) => say(encodeFrame(message)),
    start: () => host.start(run),
  };
};
