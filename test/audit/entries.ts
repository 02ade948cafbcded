/** Entries as the doors write them, for the tests of the journal. */
import type { CallDecided, CallEnded } from '../../src/model/event.ts';
import { DEFAULT_FLAGS } from '../../src/model/flags.ts';

const ids = {
  session_id: '0b6e1f7e-5a34-4b58-9c6a-3f0f4c1d2e3a',
  task_id: '6f1d2c3b-4a59-4867-9b8a-7c6d5e4f3a2b',
  agent_uuid: '11111111-2222-4333-8444-555555555555',
  pipeline_uuid: '66666666-7777-4888-9999-aaaaaaaaaaaa',
  audit_url: null,
} as const;

export const decided = (extra: Partial<CallDecided> = {}): CallDecided => ({
  type: 'call-decided',
  ...ids,
  agent: 'researcher',
  tool: 'read_file',
  call_id: '99999999-8888-4777-a666-555555555555',
  outcome: 'allow',
  args: { path: 'notes/today.md' },
  args_sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  effects: 'declared',
  effect_list: [{ access: 'read', kind: 'file', operation: 'read', path: 'notes/today.md', pointer: '/path' }],
  blocked: false,
  flags: DEFAULT_FLAGS,
  detections: [],
  classification: 'INTERNAL',
  steps: [
    { step: 'filter_tools', duration_ms: 0.001, outcome: 'allow' },
    { step: 'check_files', duration_ms: 0.012, outcome: 'allow' },
  ],
  ...extra,
});

export const ended = (extra: Partial<CallEnded> = {}): CallEnded => ({
  type: 'call-ended',
  ...ids,
  agent: 'researcher',
  tool: 'read_file',
  call_id: '99999999-8888-4777-a666-555555555555',
  outcome: 'returned',
  blocked: false,
  detections: [],
  classification: 'INTERNAL',
  duration_ms: 0.131,
  steps: [{ step: 'run', duration_ms: 0.118 }],
  ...extra,
});

/**
 * V8 13.6 (Node 24.21) misreads some keys that are one escaped character: after objects with the key `\\`, it reads
 * `{"a":0,"\\"":0}` as having the key `\\`. What such a text is parsed to says nothing about the text.
 */
export const isMisread = (text: string): boolean => /"\\(?:[^u]|u[0-9a-f]{4})":/.test(text);
