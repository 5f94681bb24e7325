/** `identity` as it was written → with what its key file holds, or what is wrong with it. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import type { Document } from './document.ts';
import type { Interpreted } from './interpret.ts';
import { optionFiles } from './option-files.ts';
import type { IdentityConfig } from './schema.ts';
import { algorithmsOf, isSymmetric, secretBytes } from './signature-algorithms.ts';

const AT = '/identity/jwt';
/** Below it clocks that differ a little matter more than the token. */
const SHORTEST_TTL_MS = 5_000;

/** @param dir what the key's path is relative to. */
export function interpretIdentity(
  { jwt }: IdentityConfig,
  document: Document,
  dir: string,
): Interpreted<IdentityConfig> {
  const fail = (key: string, message: string, hint?: string) => ({
    problems: [
      document.error(document.valueAt(`${AT}${key}`), `identity.jwt${key.replace('/', '.')}: ${message}`, hint),
    ],
  });
  const { algorithm, key: path, secret, ttl } = jwt;
  if (ttl < SHORTEST_TTL_MS) return fail('/ttl', 'is shorter than 5s');
  if ((path === undefined) === (secret === undefined)) return fail('', 'needs one of key and secret');
  if (isSymmetric(algorithm) !== (secret !== undefined)) {
    return fail(
      document.has(`${AT}/algorithm`) ? '/algorithm' : '',
      `${algorithm} needs a ${isSymmetric(algorithm) ? 'secret' : 'key'}`,
    );
  }
  if (secret !== undefined) {
    const [bytes, needed] = [Buffer.byteLength(secret), secretBytes(algorithm)];
    if (bytes >= needed) return { meaning: { jwt }, problems: [] };
    return fail('/secret', `has ${bytes} bytes: RFC 7518 §3.2 asks for at least ${needed}`);
  }
  try {
    const key = normalKey(optionFiles(dir, document.attached).text(path!), algorithm);
    return { meaning: { jwt: { ...jwt, key } }, problems: [] };
  } catch (error) {
    return fail('/key', (error as Error).message);
  }
}

/** @throws Error with a sentence. */
function normalKey(pem: string, algorithm: IdentityConfig['jwt']['algorithm']): string {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new Error('holds no private key in PEM that can be read without a passphrase');
  }
  const fitting = algorithmsOf(createPublicKey(key));
  if (fitting.includes(algorithm)) return key.export({ type: 'pkcs8', format: 'pem' }) as string;
  if (fitting.length === 0) throw new Error('holds a key that is too weak, or of a kind that signs no tokens');
  throw new Error(`holds a key for ${fitting.join(', ')}, not for ${algorithm}`);
}
