/** Tokens alone, in this process: what it costs to verify one, and to know one that was verified. */
import { generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import pino from 'pino';
import { SignJWT } from 'jose';
import { systemClock } from '../../src/clock.ts';
import type { ConsumerDirectory } from '../../src/data/consumers.ts';
import type { Exchange } from '../../src/data/exchange.ts';
import { RequestView } from '../../src/data/match/request-view.ts';
import type { PluginContext } from '../../src/extension.ts';
import type { Authenticator } from '../../plugins/auth/method.ts';
import jwt from '../../plugins/auth/jwt/index.ts';
import type { JwtOptions } from '../../plugins/auth/jwt/schema.ts';
import { fixed, type Scenario } from './scenario.ts';

const KNOWN = 200_000;
const NEW = 2_000;
const ISSUER = 'https://id.example.com';

export const tokens: Scenario = {
  name: 'tokens',
  title: 'Tokens alone, without a request',
  async run({ rounds }) {
    const best = async (method: Authenticator, bearer: string, times: number) => {
      time(method, bearer, times); // compiled by V8 before it counts
      return Math.min(...Array.from({ length: rounds }, () => time(method, bearer, times)));
    };
    const found = await Promise.all(Object.entries(KINDS).map(([algorithm, make]) => issue(algorithm, make())));
    const figures = [];
    for (const { algorithm, bearer, verifying, knowing } of found) {
      const newNs = await best(verifying, bearer, NEW);
      const knownNs = await best(knowing, bearer, KNOWN);
      figures.push({ algorithm, bytes: bearer.length, newNs, knownNs });
    }
    return {
      columns: ['algorithm', 'bytes', 'µs/new token, best', 'ns/known token, best'],
      rows: figures.map(({ algorithm, bytes, newNs, knownNs }) => [
        algorithm,
        String(bytes),
        fixed(newNs / 1000),
        fixed(knownNs, 0),
      ]),
      budgets: [],
      figures,
    };
  },
};

interface Keys {
  readonly signs: KeyObject | Uint8Array;
  readonly options: Partial<JwtOptions>;
}

const asymmetric = ({ publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }): Keys => ({
  signs: privateKey,
  options: { publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string },
});

const KINDS: Readonly<Record<string, () => Keys>> = {
  HS256() {
    const secret = randomBytes(32).toString('hex');
    return { signs: Buffer.from(secret), options: { secret } };
  },
  RS256: () => asymmetric(generateKeyPairSync('rsa', { modulusLength: 2048 })),
  ES256: () => asymmetric(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  EdDSA: () => asymmetric(generateKeyPairSync('ed25519')),
};

async function issue(algorithm: string, { signs, options }: Keys) {
  const bearer = await new SignJWT({ scope: 'orders:read orders:write', tenant: 'acme', groups: ['partners'] })
    .setProtectedHeader({ alg: algorithm, typ: 'at+jwt', kid: '2026-11' })
    .setIssuer(ISSUER)
    .setAudience('orders')
    .setSubject('248289761001')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(signs);
  const of = (cacheTokens: number) =>
    jwt.create(
      { ...options, issuer: ISSUER, audience: 'orders', scopes: ['orders:read'], header: 'authorization', cacheTokens },
      context(),
    );
  return { algorithm, bearer, verifying: await of(0), knowing: await of(4096) };
}

function context(): PluginContext {
  const consumers = { version: 0, byToken: () => undefined } as unknown as ConsumerDirectory;
  const parts = { config: {}, clock: systemClock, consumers, log: pino({ enabled: false }) };
  return parts as unknown as PluginContext;
}

/** What a client's request has, so that the token has to be found among it. */
const FIELDS = ['host', 'api.example.com', 'user-agent', 'bench/1.0', 'accept', '*/*', 'accept-encoding', 'gzip'];
const BATCH = 1_000;

function time(method: Authenticator, bearer: string, times: number): number {
  let ns = 0n;
  for (let count = 0; count < times; count += BATCH) {
    const exchanges = Array.from({ length: BATCH }, () => request(bearer));
    const begun = process.hrtime.bigint();
    for (const exchange of exchanges) {
      const outcome = method.carries(exchange) ? method.authenticate(exchange, () => {}) : undefined;
      if (outcome === undefined || !('subject' in outcome)) throw new Error('a token was refused');
    }
    ns += process.hrtime.bigint() - begun;
  }
  return Number(ns) / times;
}

function request(bearer: string): Exchange {
  // As from the wire: another string each time, of which nothing is known yet.
  const fields = [...FIELDS, 'authorization', Buffer.from(`Bearer ${bearer}`, 'latin1').toString('latin1')];
  const view = new RequestView('GET', 'api.example.com', '/orders', '', fields, '127.0.0.1', 'http');
  return Object.assign(view, { upstream: { fields, target: '/orders' } }) as unknown as Exchange;
}
