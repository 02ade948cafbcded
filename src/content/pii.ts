/** All rules for personal data: the words and signs that wake them, and the walk over the digits. */
import type { Trigger } from './secrets.ts';
import { matchEmail, matchIpv6, matchMac } from './pii-addresses.ts';
import { TOPIC, TOPICS, TOPIC_WORDS, isWord, type Topic } from './pii-context.ts';
import { matchBirth } from './pii-identities.ts';

const topicTrigger = (topic: Topic, word: string): Trigger => {
  const number = TOPIC[topic];
  return {
    word,
    match: (view, start, end) => {
      if (isWord(view.units, start, end)) view.topics.note(number, end);
    },
  };
};

const birthTrigger = (word: string): Trigger => ({
  word,
  match: (view, start, end) => {
    if (isWord(view.units, start, end)) matchBirth(view, end);
  },
});

export const TOPIC_TRIGGERS: readonly Trigger[] = TOPICS.flatMap((topic) =>
  TOPIC_WORDS[topic].map((word) => topicTrigger(topic, word)),
);

export const PII_TRIGGERS: readonly Trigger[] = [
  { word: '@', match: (view, start) => matchEmail(view, start) },
  {
    word: ':',
    match: (view, start) => {
      matchIpv6(view, start);
      matchMac(view, start);
    },
  },
  ...TOPIC_TRIGGERS,
  ...TOPIC_WORDS.birth.map(birthTrigger),
];
