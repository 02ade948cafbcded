import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFrame, FrameFault, FrameReader } from '../../src/isolate/channel.ts';

test('what is encoded is read back, however it is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 5 }), fc.integer({ min: 1, max: 64 }), (messages, step) => {
      const bytes = Buffer.concat(messages.map((message) => encodeFrame(message)));
      const reader = new FrameReader(1e6);
      const read: unknown[] = [];
      for (let at = 0; at < bytes.length; at += step) {
        for (const text of reader.read(bytes.subarray(at, at + step))) read.push(JSON.parse(text));
      }
      expect(read).toEqual(messages.map((message) => JSON.parse(JSON.stringify(message)) as unknown));
    }),
  );
});

test('a frame of exactly the limit is read, one byte more is refused before its body comes', () => {
  const frame = encodeFrame('x'.repeat(98));
  expect([...new FrameReader(100).read(frame)]).toHaveLength(1);
  expect(() => [...new FrameReader(99).read(frame.subarray(0, 4))]).toThrow(FrameFault);
});

test('a frame that comes byte by byte takes little more than its bytes', () => {
  const reader = new FrameReader(1e9);
  const frame = encodeFrame('x'.repeat(5e5));
  const before = process.memoryUsage().rss;
  const read: string[] = [];
  for (let at = 0; at < frame.length; at += 1) read.push(...reader.read(frame.subarray(at, at + 1)));
  expect(read).toHaveLength(1);
  expect(process.memoryUsage().rss - before).toBeLessThan(1e8);
});

test('after a fault nothing more is read', () => {
  const reader = new FrameReader(1);
  expect(() => [...reader.read(encodeFrame('long'))]).toThrow(FrameFault);
  expect(() => [...reader.read(encodeFrame(1))]).toThrow(FrameFault);
});
