/**
 * What browsers keep for us: encrypted and authenticated at once (A256GCM), so that nothing in it can be read, changed or
 * put together from two. Why something cannot be opened is nobody's business: there is one answer to all of it.
 */
import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

/** What it is for, and whose: nothing that was sealed for one purpose or client opens as another's. */
export interface SealPurpose {
  readonly purpose: 'session' | 'login';
  readonly issuer: string;
  readonly clientId: string;
}

export interface SealKeys {
  readonly secret: string;
  readonly previousSecret?: string;
}

export interface Seal<Content extends object> {
  seal(content: Content): Promise<string>;
  /** @returns undefined for whatever was not sealed here for this. Never rejects. */
  open(text: string): Promise<Content | undefined>;
}

const DECRYPT = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] };

export async function createSeal<Content extends object>(
  { secret, previousSecret }: SealKeys,
  purpose: SealPurpose,
): Promise<Seal<Content>> {
  const [{ CompactEncrypt }, { compactDecrypt }] = await Promise.all([
    import('jose/jwe/compact/encrypt'),
    import('jose/jwe/compact/decrypt'),
  ]);
  const keys = [secret, previousSecret].flatMap((each) => (each === undefined ? [] : deriveKey(each, purpose)));
  const [key] = keys as [KeyObject];
  return {
    seal: (content) =>
      new CompactEncrypt(Buffer.from(JSON.stringify(content)))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .encrypt(key),
    async open(text) {
      let content: Content | undefined;
      // Each key is tried whatever came of the one before: all that cannot be opened takes as long.
      for (const each of keys) {
        try {
          const { plaintext } = await compactDecrypt(text, each, DECRYPT);
          content ??= JSON.parse(Buffer.from(plaintext).toString('utf8')) as Content;
        } catch {
          // Not this one.
        }
      }
      return content;
    },
  };
}

/** Counts up when what is sealed takes another form: what older versions have sealed does not open then. */
const FORM = 1;

/** RFC 5869: whatever the secret looks like, keys are 256 bits that look like chance. */
function deriveKey(secret: string, { purpose, issuer, clientId }: SealPurpose): KeyObject {
  const info = JSON.stringify(['aya oidc', FORM, purpose, issuer, clientId]);
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', info, 32)));
}
