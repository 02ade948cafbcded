/**
 * `head()` texts and signed lines. A head names file, seq and hash of a journal's last line: kept elsewhere, it makes a
 * truncated tail and a deleted file visible. Ed25519 (RFC 8032) signatures keep who can write the files but does not
 * hold the key from recomputing the chain.
 */
import { createPrivateKey, createPublicKey, sign, verify, KeyObject } from 'node:crypto';
import { canonicalize } from '../model/canonical.ts';
import { TapPassConfigError } from '../model/errors.ts';
import type { Position } from './format.ts';

/** A key object, or PEM. */
export type SigningKey = KeyObject | string;

const WORD = 'tappass-head-1';
const HEAD =
  /^tappass-head-1 (?<file>[^\s/]{1,255}) (?<seq>[1-9]\d{0,15}) (?<hash>[0-9a-f]{64})(?: ed25519:(?<signature>[\w-]{86}))?$/;

export interface Head extends Position {
  readonly signature?: string;
}

export const headText = (position: Position, key: KeyObject | undefined): string => {
  const text = plainHead(position);
  return key === undefined ? text : `${text} ed25519:${signText(text, key)}`;
};

/** `undefined` for a text that no `head()` gave. */
export const parseHead = (text: string): Head | undefined => {
  const groups = HEAD.exec(text.trim())?.groups;
  if (groups === undefined) return undefined;
  const { file = '', seq = '', hash = '', signature } = groups;
  return { file, seq: Number(seq), hash, ...(signature !== undefined && { signature }) };
};

export const isHeadSigned = (head: Head, key: KeyObject): boolean =>
  head.signature !== undefined && isSigned(plainHead(head), head.signature, key);

/** Signature over the canonical JSON of `event`, to stand in the event as `signature`. */
export const signatureOf = (event: object, key: KeyObject): string => signText(canonicalize(event), key);

/** True when `event` carries a signature of `key` over all its other fields (`hash` aside, which covers the signature). */
export const isEventSigned = (event: Readonly<Record<string, unknown>>, key: KeyObject): boolean => {
  const { signature, hash: _hash, ...signed } = event;
  return typeof signature === 'string' && isSigned(canonicalize(signed), signature, key);
};

export const privateKey = (key: SigningKey): KeyObject =>
  requireEd25519('signingKey', 'private', () => (typeof key === 'string' ? createPrivateKey(key) : key));

export const publicKey = (key: SigningKey): KeyObject =>
  requireEd25519('publicKey', 'public', () =>
    typeof key === 'string' || key.type === 'private' ? createPublicKey(key) : key,
  );

const plainHead = ({ file, seq, hash }: Position): string => `${WORD} ${file} ${seq} ${hash}`;

const signText = (text: string, key: KeyObject): string => sign(null, Buffer.from(text), key).toString('base64url');

const isSigned = (text: string, signature: string, key: KeyObject): boolean =>
  verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'));

const requireEd25519 = (option: string, type: 'private' | 'public', make: () => KeyObject): KeyObject => {
  const how = `Make one with \`openssl genpkey -algorithm ed25519\` and pass its PEM or a KeyObject.`;
  let key: KeyObject;
  try {
    key = make();
  } catch (error) {
    throw new TapPassConfigError(`Expected \`${option}\` to be an Ed25519 key, got one that cannot be read. ${how}`, {
      cause: error,
    });
  }
  if (!(key instanceof KeyObject) || key.type !== type || key.asymmetricKeyType !== 'ed25519') {
    const got = key instanceof KeyObject ? `a ${key.type} ${key.asymmetricKeyType ?? 'secret'} key` : typeof key;
    throw new TapPassConfigError(`Expected \`${option}\` to be a ${type} Ed25519 key, got ${got}. ${how}`);
  }
  return key;
};
