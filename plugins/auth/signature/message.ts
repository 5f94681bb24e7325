/** The signatures that a request carries (RFC 9421 §4). */
import { isInnerList, parseDictionary, type InnerList } from 'structured-headers';

export interface MessageSignature {
  readonly covered: InnerList;
  readonly signature: Buffer;
  readonly keyId: string;
  /** Seconds since the epoch. */
  readonly created: number;
  readonly expires: number | undefined;
  readonly nonce: string | undefined;
  /** What the message says of it; never what decides. */
  readonly algorithm: string | undefined;
}

/** A request is signed by its sender, perhaps once more by somebody between. */
const MOST_SIGNATURES = 4;

/** @returns undefined when the fields are not what the RFC wants. */
export function readSignatures(input: string, signatures: string | undefined): MessageSignature[] | undefined {
  if (signatures === undefined) return undefined;
  try {
    const inputs = parseDictionary(input);
    const values = parseDictionary(signatures);
    if (inputs.size > MOST_SIGNATURES) return undefined;
    return [...inputs].map(([label, covered]) => {
      const value = values.get(label)?.[0];
      if (!isInnerList(covered) || !(value instanceof ArrayBuffer)) throw new TypeError(label);
      return messageSignature(covered, Buffer.from(value));
    });
  } catch {
    return undefined;
  }
}

function messageSignature(covered: InnerList, signature: Buffer): MessageSignature {
  const parameters = covered[1];
  const created = parameters.get('created');
  const keyId = parameters.get('keyid');
  if (!Number.isSafeInteger(created) || typeof keyId !== 'string') throw new TypeError('created and keyid are needed');
  const expires = parameters.get('expires');
  if (expires !== undefined && !Number.isSafeInteger(expires)) throw new TypeError('expires');
  return {
    covered,
    signature,
    keyId,
    created: created as number,
    expires: expires as number | undefined,
    nonce: textOf(parameters.get('nonce')),
    algorithm: textOf(parameters.get('alg')),
  };
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw new TypeError('a parameter is no text');
}
