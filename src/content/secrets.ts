/** All rules for secrets, behind the words that wake them. */
import { NAME_WORDS, matchAssignment } from './secret-assignments.ts';
import {
  WEBHOOK_MARKERS,
  matchAwsKeyId,
  matchCredentials,
  matchEntraSecret,
  matchJwt,
  matchKeyBlock,
  matchCurlUser,
  matchManifest,
  matchMaxMindKey,
  matchPipeToken,
  matchSignature,
  matchTelegramToken,
  matchTerraformToken,
  matchUrl,
  matchWebhook,
} from './secret-shapes.ts';
import { TOKEN_ROWS, matchToken } from './secret-tokens.ts';
import type { TextView } from './text-view.ts';

/** A word, and what to do where it stands. Words match in either case: rules that care look again. */
export interface Trigger {
  readonly word: string;
  readonly match: (view: TextView, start: number, end: number) => void;
}

export const SECRET_TRIGGERS: readonly Trigger[] = [
  ...TOKEN_ROWS.map((row): Trigger => ({ word: row[0], match: (view, start) => matchToken(view, row, start) })),
  ...NAME_WORDS.map((word): Trigger => ({ word, match: matchAssignment })),
  ...WEBHOOK_MARKERS.map((word): Trigger => ({ word, match: matchWebhook })),
  ...['AKIA', 'ASIA', 'ABIA', 'ACCA', 'A3T'].map((word): Trigger => ({ word, match: matchAwsKeyId })),
  { word: '-----begin', match: matchKeyBlock },
  { word: 'eyj', match: matchJwt },
  { word: '://', match: matchUrl },
  { word: 'q~', match: matchEntraSecret },
  { word: ':a', match: matchTelegramToken },
  { word: '.atlasv1.', match: matchTerraformToken },
  { word: '_mmk', match: matchMaxMindKey },
  { word: 'sig=', match: (view, _start, end) => matchSignature(view, end) },
  { word: '|', match: matchPipeToken },
  { word: 'kind', match: matchManifest },
  { word: 'bearer ', match: matchCredentials },
  { word: 'basic ', match: matchCredentials },
  { word: ' -u ', match: matchCurlUser },
  { word: ' --user ', match: matchCurlUser },
];
