/**
 * Tokens that say themselves what they are: a published prefix, an alphabet, a length. Written from the issuers' own
 * documentation of their formats; a row is data, and matching walks the alphabet once, so no row can run away.
 */
import {
  ALNUM,
  BASE64,
  BASE64URL,
  DASH,
  DIGIT,
  DOT,
  EQUALS,
  HEX,
  HEX_LOWER,
  KINDS,
  LOWER,
  PERCENT,
  PLUS_SLASH,
  UNDERSCORE,
  UPPER,
  WORD,
  entropyOf,
} from './characters.ts';
import { isFiller, isJumbled } from './secret-values.ts';
import type { TextView } from './text-view.ts';
import { standsAt } from './units.ts';

/** Prefix (exact case), rule, alphabet of the rest, fewest and (where the format is fixed) most characters. */
type Row = readonly [prefix: string, rule: string, alphabet: number, min: number, max?: number];

const HEXL = DIGIT | HEX_LOWER;
const B64URL_DOT = BASE64URL | DOT;

const many = (prefixes: string, ...rest: [rule: string, alphabet: number, min: number, max?: number]): Row[] =>
  prefixes.split(' ').map((prefix) => [prefix, ...rest] as const);

export const TOKEN_ROWS: readonly Row[] = [
  ...many('ghp_ gho_ ghu_ ghs_ ghr_', 'github-token', ALNUM, 36),
  ['github_pat_', 'github-token', WORD, 36],
  ...many('glpat- gldt- glrt- glcbt- glptt- glft- glimt- glsoat- gloas- glffct- glwt-', 'gitlab-token', B64URL_DOT, 20),
  ['glagent-', 'gitlab-token', B64URL_DOT, 50],
  ['GR1348941', 'gitlab-token', BASE64URL, 20],
  ['_gitlab_session=', 'gitlab-session', ALNUM, 32],
  ...many('xoxb- xoxp- xoxa- xoxr- xoxs- xoxo- xoxe- xoxc- xoxd-', 'slack-token', ALNUM | DASH | PERCENT, 14),
  ['xoxe.', 'slack-token', ALNUM | DASH | DOT, 60],
  ['xapp-', 'slack-token', ALNUM | DASH, 20],
  ...many('sk-proj- sk-svcacct- sk-admin- sk-None-', 'openai-key', BASE64URL, 20),
  ...many('sk-ant- sk-or-v1-', 'model-key', BASE64URL, 20),
  ['sk-', 'openai-key', ALNUM, 32],
  ['sk-lf-', 'langfuse-key', BASE64URL, 32],
  ['gsk_', 'groq-key', ALNUM, 52, 52],
  ['xai-', 'xai-key', ALNUM, 60],
  ['r8_', 'replicate-key', ALNUM, 37],
  ['nvapi-', 'nvidia-key', BASE64URL, 40],
  ['tgp_v1_', 'together-key', BASE64URL, 40],
  ...many('hf_ api_org_', 'huggingface-token', LOWER | UPPER, 34),
  ['pplx-', 'perplexity-key', ALNUM, 40],
  ['AIza', 'google-key', BASE64URL, 35, 35],
  ['ya29.', 'google-token', BASE64URL, 30],
  ['1//0', 'google-token', BASE64URL, 40],
  ['GOCSPX-', 'google-client-secret', BASE64URL, 28],
  ['ABSK', 'bedrock-key', BASE64 | EQUALS, 109, 271],
  ['bedrock-api-key-', 'bedrock-key', BASE64 | EQUALS, 28],
  ...many('sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_', 'stripe-key', ALNUM, 24),
  ['whsec_', 'webhook-secret', BASE64 | EQUALS, 24],
  ['SG.', 'sendgrid-key', B64URL_DOT | EQUALS, 60],
  ['SK', 'twilio-key', HEX, 32, 32],
  ['xkeysib-', 'brevo-key', ALNUM | DASH, 60],
  ['key-', 'mailgun-key', HEXL, 32, 32],
  ['npm_', 'npm-token', ALNUM, 36],
  ['pypi-', 'pypi-token', BASE64URL, 60],
  ['rubygems_', 'rubygems-key', HEXL, 48],
  ['CLOJARS_', 'clojars-token', ALNUM, 60],
  ...many('dckr_pat_ dckr_oat_', 'docker-token', BASE64URL, 20),
  ['dapi', 'databricks-token', HEX, 32, 32],
  ...many('dop_v1_ doo_v1_ dor_v1_', 'digitalocean-token', HEXL, 64),
  ...many('shpat_ shpca_ shppa_ shpss_', 'shopify-token', ALNUM, 32),
  ...many('sq0atp- sq0csp-', 'square-token', BASE64URL, 22),
  ['EAAA', 'square-token', BASE64URL, 56],
  ...many('EAAM EAAC EAAG EAAB EAAE EAAI EAAD', 'facebook-token', ALNUM, 80),
  ['PMAK-', 'postman-key', HEXL | DASH, 59, 59],
  ['pul-', 'pulumi-token', HEXL, 40],
  ...many('lin_api_ lin_oauth_', 'linear-key', ALNUM, 32),
  ['ntn_', 'notion-token', ALNUM, 46, 46],
  ['secret_', 'notion-token', ALNUM, 43, 43],
  ...many('figd_ figu_ figo_ figur_ figor_ figoh_ figuh_', 'figma-token', BASE64URL, 32),
  ...many('hvs. hvb. hvr.', 'vault-token', BASE64URL, 24),
  ['s.', 'vault-token', ALNUM, 24, 24],
  ...many('ATATT3 ATCTT3 ATBB', 'atlassian-token', BASE64URL | EQUALS, 24),
  ['sntrys_', 'sentry-token', BASE64 | EQUALS | UNDERSCORE, 60],
  ['sntryu_', 'sentry-token', HEXL, 64],
  ['glsa_', 'grafana-token', WORD, 41],
  ['glc_', 'grafana-token', BASE64 | EQUALS, 32],
  ...many('NRAK- NRJS- NRRA- NRIQ-', 'newrelic-key', ALNUM, 19),
  ['NRII-', 'newrelic-key', ALNUM | DASH, 32],
  ['rdme_', 'readme-token', ALNUM, 70],
  ['sgp_', 'sourcegraph-token', WORD, 40],
  ...many('shippo_live_ shippo_test_', 'shippo-token', HEX, 40),
  ...many('pscale_tkn_ pscale_pw_ pscale_oauth_', 'planetscale-token', B64URL_DOT | EQUALS, 32),
  ['tfp_', 'typeform-token', B64URL_DOT | EQUALS, 40],
  ['tk-us-', 'scalingo-token', BASE64URL, 48],
  ['pnu_', 'prefect-key', ALNUM, 36],
  ['p8e-', 'adobe-secret', ALNUM, 32],
  ['LTAI', 'alibaba-key', ALNUM, 12, 24],
  ['AKCp', 'artifactory-key', ALNUM, 60],
  ['cmVmd', 'artifactory-token', ALNUM, 59, 59],
  ['ops_eyJ', '1password-token', BASE64 | EQUALS, 100],
  ['A3-', '1password-key', UPPER | DIGIT | DASH, 33, 40],
  ['AGE-SECRET-KEY-1', 'age-key', UPPER | DIGIT, 58],
  ...many('EZAK EZTK', 'easypost-key', ALNUM, 54, 54),
  ...many('duffel_test_ duffel_live_', 'duffel-token', BASE64URL | EQUALS, 40),
  ['dt0c01.', 'dynatrace-token', ALNUM | DOT, 80],
  ...many('FLWSECK_TEST- FLWPUBK_TEST- FLWSECK- FLWPUBK-', 'flutterwave-key', ALNUM, 12),
  ...many('fo1_ fm1_ fm1a_ fm1r_ fm2_', 'fly-token', BASE64 | BASE64URL | EQUALS, 40),
  ['FlyV1 fm2_', 'fly-token', BASE64 | BASE64URL | EQUALS, 40],
  ['fio-u-', 'frameio-token', BASE64URL | EQUALS, 60],
  ['pat.', 'harness-token', ALNUM | DOT, 60],
  ['sat.', 'harness-token', ALNUM | DOT, 60],
  ['HRKU-', 'heroku-key', BASE64URL, 32],
  ['ico-', 'infracost-token', ALNUM, 32],
  ['s-s4t2ud-', 'intra42-secret', HEXL, 64],
  ['s-s4t2af-', 'intra42-secret', HEXL, 64],
  ['API-', 'octopus-key', UPPER | DIGIT, 26, 26],
  ['sha256~', 'openshift-token', BASE64URL, 43, 43],
  ...many('sm_aat_ sm_pat_ sm_sat_', 'settlemint-token', ALNUM, 16),
  ['sk.eyJ', 'mapbox-token', B64URL_DOT, 40],
  ...many('tskey- tskey-auth- tskey-api- tskey-client-', 'tailscale-key', ALNUM | DASH, 20),
  ...many('vcp_ vci_ vca_ vcr_ vck_', 'vercel-token', ALNUM, 24),
  ['v1.0-', 'cloudflare-ca-key', HEXL | DASH, 160],
  ...many('cfut_ cfat_ cfk_', 'cloudflare-token', BASE64URL, 40, 48),
  ['AQVN', 'yandex-key', BASE64URL, 35, 38],
  ['t1.', 'yandex-token', B64URL_DOT | EQUALS, 90],
  ['y0_', 'yandex-token', BASE64URL, 50],
  ['phc_', 'posthog-key', ALNUM, 43],
  ['phx_', 'posthog-key', ALNUM, 43],
  ['sbp_', 'supabase-token', HEXL, 40],
  ['sb_secret_', 'supabase-key', BASE64URL, 20],
  ['rnd_', 'render-key', ALNUM, 28],
  ['doppler.', 'doppler-token', B64URL_DOT, 40],
  ...many('dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.', 'doppler-token', B64URL_DOT, 40),
  ['lsv2_pt_', 'langsmith-key', WORD, 40],
  ['lsv2_sk_', 'langsmith-key', WORD, 40],
  ['pcsk_', 'pinecone-key', WORD, 40],
  ['re_', 'resend-key', WORD, 32, 36],
  ['tvly-', 'tavily-key', BASE64URL, 28],
  ['jina_', 'jina-key', WORD, 50],
  ['live_', 'lob-key', HEXL, 35, 35],
  ['test_', 'lob-key', HEXL, 35, 35],
  ['4b1d', 'cisco-key', ALNUM, 38, 38],
  ['AKPX', 'apify-key', ALNUM, 32],
  ['apify_api_', 'apify-key', ALNUM, 36],
  ['ddp_', 'datadog-key', ALNUM, 34],
  ['A'.repeat(22), 'twitter-token', ALNUM | PERCENT, 60],
  ['tp_', 'tappass-key', BASE64URL, 24],
  ['CFPAT-', 'contentful-token', BASE64URL, 43],
  ['ak_', 'api-key', HEXL, 32],
  ['PRIVATE-AI-', 'api-key', ALNUM, 32],
  ['dG9rO', 'intercom-token', BASE64 | EQUALS, 55],
  ['eyJrIjoi', 'grafana-key', BASE64 | EQUALS, 60],
];

/** So much of a token is looked at to tell it from a filler. */
const LONGEST_JUDGED = 256;

/** Reads the token whose prefix was found at `start`, and emits it when what follows has the right shape. */
export const matchToken = (view: TextView, row: Row, start: number): void => {
  const [prefix, rule, alphabet, min, max] = row;
  const { units } = view;
  if (start < view.tokenUntil || !standsAt(units, start, prefix)) return;
  const before = start === 0 ? 0 : (KINDS[units[start - 1] as number] as number);
  // A token may begin in what could still be the rest of the one before it.
  const isBehindToken = start <= view.tokenEnd && view.tokenEnd > 0;
  if ((before & ALNUM) !== 0 && prefix.length < 12 && !isBehindToken) return;
  if (prefix.length < 5 && (before & (DOT | DASH | UNDERSCORE)) !== 0) return;
  const from = start + prefix.length;
  let end = view.runEnd(from, alphabet);
  // Punctuation that ends a sentence is no part of a token.
  while (end > from && ((KINDS[units[end - 1] as number] as number) & (DOT | DASH)) !== 0) end -= 1;
  const length = end - from;
  if (length < min || (max !== undefined && length > max)) return;
  const judged = Math.min(end, from + LONGEST_JUDGED);
  view.tokenUntil = from + min;
  view.tokenEnd = end;
  if (isFiller(units, from, judged) || isOneDigit(units, from, judged)) return;
  if (prefix.startsWith('xox') && !isSlack(units, from)) return;
  if (prefix === 'ntn_' && !/^\d{11}$/u.test(view.text.slice(from, from + 11))) return;
  if (prefix.length < 5 && !mixed(units, from, judged)) return;
  view.emit({ start, end, kind: 'secret', type: 'SECRET', rule, score: 0.95 });
};

/** One digit over and over, twice at the least. */
const isOneDigit = (units: Uint16Array, from: number, end: number): boolean => {
  const first = units[from] as number;
  if (first < 48 || first > 57 || end - from < 2) return false;
  for (let at = from + 1; at < end; at += 1) if (units[at] !== first) return false;
  return true;
};

/** A number, an escaped one, another prefix. */
const isSlack = (units: Uint16Array, from: number): boolean => {
  const first = units[from] as number;
  return (first >= 48 && first <= 57) || first === 37 || standsAt(units, from, 'xox');
};

/** More surprise in a letter than names made of words have, which are seldom so long. */
const SURPRISING = 3.9;

/** After a short prefix, a rest without any digit or capital is more likely a word than a key. */
const mixed = (units: Uint16Array, from: number, end: number): boolean => {
  let kinds = 0;
  for (let at = from; at < end; at += 1) kinds |= KINDS[units[at] as number] as number;
  if ((kinds & (DIGIT | PLUS_SLASH)) !== 0) return true;
  if ((kinds & (UPPER | LOWER)) !== (UPPER | LOWER)) return false;
  return isJumbled(units, from, end) || entropyOf(units, from, end) >= SURPRISING;
};
