/**
 * Tokens about the caller that the gateway signs for upstreams (`identity` in gateway.yaml): who is in front of them is
 * then proven, also to a service that others can reach. One is used for half its life, so that signatures cost little.
 */
import { createPublicKey } from 'node:crypto';
import type { JWT } from '@fastify/jwt';
import type { Clock } from '../../src/clock.ts';
import type { Config, IdentityTokenConfig } from '../../src/config/schema.ts';
import type { Principal } from '../../src/data/principal.ts';
import type { PluginContext } from '../../src/extension.ts';

type Sign = (claims: object) => string;

/** What all routes share. */
interface Signing {
  readonly sign: Sign;
  /** By what they say. */
  readonly known: Map<string, { readonly token: string; readonly renewAt: number }>;
}

const MOST_KNOWN = 8192;

export class IdentityTokens {
  readonly header: string;
  readonly #options: IdentityTokenConfig;
  readonly #route: string;
  readonly #signing: Signing;
  readonly #clock: Clock;

  constructor(options: IdentityTokenConfig, route: string, signing: Signing, clock: Clock) {
    this.header = options.header;
    this.#options = options;
    this.#route = route;
    this.#signing = signing;
    this.#clock = clock;
  }

  /** What the token says is what tells callers apart: not every method has one principal for all requests of a caller. */
  about({ subject, consumer, groups, scopes }: Principal): string {
    const { sign, known } = this.#signing;
    const said = JSON.stringify([this.#route, subject, consumer?.name, groups, scopes]);
    const now = this.#clock.wall();
    const latest = known.get(said);
    if (latest !== undefined && now < latest.renewAt && now >= latest.renewAt - this.#options.ttl) return latest.token;
    const iat = Math.floor(now / 1000);
    const token = sign({
      ...(subject === '' ? {} : { sub: subject }),
      ...(consumer === undefined ? {} : { consumer: consumer.name }),
      ...(groups.length === 0 ? {} : { groups }),
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
      route: this.#route,
      iat,
      exp: iat + Math.floor(this.#options.ttl / 1000),
    });
    known.delete(said);
    const [oldest] = known.size < MOST_KNOWN ? [] : known.keys();
    if (oldest !== undefined) known.delete(oldest);
    known.set(said, { token, renewAt: now + this.#options.ttl / 2 });
    return token;
  }
}

const signings = new WeakMap<Config, Promise<Signing>>();

/** Undefined where gateway.yaml asks for none. */
export async function identityTokens({ config, route, clock }: PluginContext): Promise<IdentityTokens | undefined> {
  const options = config.gateway.identity?.jwt;
  if (options === undefined) return undefined;
  let signing = signings.get(config);
  if (signing === undefined) signings.set(config, (signing = createSigning(options)));
  return new IdentityTokens(options, route.name, await signing, clock);
}

/** @fastify/jwt belongs to a server: this one never listens. */
async function createSigning({ key, secret, algorithm, issuer, audience }: IdentityTokenConfig): Promise<Signing> {
  const [{ fastify }, { default: jwt }] = await Promise.all([import('fastify'), import('@fastify/jwt')]);
  const app = fastify({ logger: false });
  const sign = { algorithm, iss: issuer, ...(audience === undefined ? {} : { aud: audience }) };
  if (key === undefined) {
    await app.register(jwt, { secret: secret!, sign });
  } else {
    const publicKey = createPublicKey(key);
    const { calculateJwkThumbprint } = await import('jose');
    // RFC 7638: whoever has the public key knows its name.
    const kid = await calculateJwkThumbprint(publicKey.export({ format: 'jwk' }) as Record<string, string>);
    const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
    await app.register(jwt, { secret: { private: key, public: pem }, sign: { ...sign, kid } });
  }
  await app.ready();
  const signer = (app as unknown as { jwt: JWT }).jwt;
  return { sign: (claims) => signer.sign(claims), known: new Map() };
}
