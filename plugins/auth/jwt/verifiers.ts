/**
 * Signatures are verified by @fastify/jwt. It is made for one key per server, so each set of keys has a Fastify of its own,
 * which never listens, with a namespace for each key. Keys are given as text and options once: else it would build a new
 * verifier for each token. It is asked about the signature alone; what a token says is judged in claims.ts, by our clock.
 */
import type { JWT } from '@fastify/jwt';
import type { Algorithm } from '../../../src/config/signature-algorithms.ts';
import type { JsonObject } from '../token-json.ts';

export interface KeyMaterial {
  /** A public key in PEM, or a shared secret. */
  readonly key: string;
  readonly isSecret: boolean;
  /** The only ones it verifies. */
  readonly algorithms: readonly Algorithm[];
}

/** @returns the claims of a token that the key has signed. @throws for any other. */
export type Verify = (token: string) => JsonObject;

export async function createVerifiers(keys: readonly KeyMaterial[]): Promise<Verify[]> {
  const [{ fastify }, { default: jwt }] = await Promise.all([import('fastify'), import('@fastify/jwt')]);
  const app = fastify({ logger: false });
  keys.forEach(({ key, isSecret, algorithms }, at) => {
    app.register(jwt, {
      namespace: namespace(at),
      secret: isSecret ? key : { public: key },
      verify: { algorithms: [...algorithms], ignoreExpiration: true, ignoreNotBefore: true },
    });
  });
  await app.ready();
  const verifiers = app.jwt as unknown as Readonly<Record<string, JWT>>;
  return keys.map((_, at) => {
    const verifier = verifiers[namespace(at)]!;
    return (token) => verifier.verify<JsonObject>(token);
  });
}

const namespace = (at: number): string => `key${at}`;
