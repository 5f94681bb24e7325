/** Keys that an issuer publishes: they come late, change, vanish; its server is slow, broken, away. Time is told. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import pino from 'pino';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../../test/support/fake-clock.ts';
import { config, logEntries, routeConfig } from '../../../test/support/config.ts';
import { ecdsa, startKeyServer, token, type KeyServer } from '../../../test/support/tokens.ts';
import { startUpstream } from '../../../test/support/upstream.ts';
import { until } from '../../../test/support/until.ts';
import { seededRandom } from '../../../src/clock.ts';
import { DocumentFollower } from '../../../src/control/documents.ts';
import type { ConsumerDirectory } from '../../../src/data/consumers.ts';
import { Documents } from '../../../src/data/documents.ts';
import type { Exchange } from '../../../src/data/exchange.ts';
import type { Principal } from '../../../src/data/principal.ts';
import type { PluginContext } from '../../../src/extension.ts';
import type { Authenticator } from '../method.ts';
import { Refusal } from '../refusal.ts';
import jwt from './index.ts';
import type { JwtOptions, ProviderOptions } from './schema.ts';

const COOLDOWN_MS = 30_000;
/** The server says that its keys are fresh for a minute; they are asked for again a little earlier. */
const FRESH_MS = 60_000;

const NOBODY = { version: 0, byName: () => undefined, byToken: () => undefined } as unknown as ConsumerDirectory;

interface Key {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: object;
}

const makeKey = (kid: string): Key => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid } };
};
const [old, next] = [makeKey('old'), makeKey('new')];

let issuer: KeyServer;
let clock: FakeClock;
let follower: DocumentFollower;
let documents: Documents;
let log: ReturnType<typeof logEntries>;
let warnings: string[];

beforeAll(async () => {
  issuer = await startKeyServer([]);
});

beforeEach(() => {
  issuer.keys = { keys: [old.jwk] };
  issuer.status = 200;
  issuer.clear();
  clock = new FakeClock();
  log = logEntries();
  warnings = [];
  follower = new DocumentFollower({
    clock,
    random: () => 0.5,
    log: log.log,
    publish: (document) => documents.receive(document),
  });
  documents = new Documents((url) => follower.refresh(url), clock);
  return () => follower.close();
});

async function authenticator(options: ProviderOptions = {}, changes: Partial<JwtOptions> = {}): Promise<Authenticator> {
  const written = { jwksUri: `${issuer.url}/keys`, ...options };
  const whole: JwtOptions = { ...written, header: 'authorization', cacheTokens: 100, ...changes };
  follower.follow(jwt.documents!(whole));
  const context = {
    route: routeConfig('orders'),
    config: config([]),
    clock,
    documents,
    consumers: NOBODY,
    log: pino({ base: null }, { write: (line) => void warnings.push(line) }),
  } as unknown as PluginContext;
  return jwt.create(whole, context);
}

const tokenOf = ({ kid, privateKey }: Key, claims: object = {}) =>
  token({ alg: 'ES256', kid }, { sub: 'ada', exp: clock.wall() / 1000 + 86_400, ...claims }, ecdsa(privateKey));

function ask(method: Authenticator, bearer: string): Promise<Principal | Refusal> {
  const exchange = { header: () => `Bearer ${bearer}`, upstream: { fields: [], target: '/' } } as unknown as Exchange;
  return new Promise((resolve) => {
    const outcome = method.authenticate(exchange, resolve);
    if (outcome !== undefined) resolve(outcome);
  });
}

const reason = async (method: Authenticator, bearer: string) => {
  const outcome = await ask(method, bearer);
  return outcome instanceof Refusal ? outcome.reason : 'ok';
};
const message = async (method: Authenticator, bearer: string) => ((await ask(method, bearer)) as Refusal).message;

const fetched = (times: number) => until(() => settledFetches() >= times, `${times} fetches`);
const settledFetches = () => follower.views.reduce((sum, { fetches }) => sum + fetches.ok + fetches.failed, 0);

/** Until the keys were asked for again because their freshness has ended. */
async function refetch(): Promise<void> {
  const before = settledFetches();
  clock.advance(FRESH_MS);
  await fetched(before + 1);
}

describe('keys', () => {
  it('are waited for by the first requests', async () => {
    const method = await authenticator();
    const first = Promise.all([reason(method, tokenOf(old)), reason(method, tokenOf(old))]);
    expect(await first).toEqual(['ok', 'ok']);
    expect(issuer.requests).toBe(1);
  });

  it('are waited for two seconds at most, and are used once they are there', async () => {
    const answers: (() => void)[] = [];
    const slow = await startUpstream('slow issuer', (_, response) => {
      answers.push(() => response.writeHead(200).end(JSON.stringify({ keys: [old.jwk] })));
    });
    const method = await authenticator({ jwksUri: `${slow.url}/keys` });
    const waiting = reason(method, tokenOf(old));
    await until(() => answers.length === 1, 'the question');
    clock.advance(1_999);
    const later = reason(method, tokenOf(old));
    clock.advance(1);
    expect(await waiting).toBe('unavailable');
    answers[0]!();
    expect(await later).toBe('ok');
  });

  it('that cannot be had make nobody wait', async () => {
    await issuer.kill();
    const method = await authenticator();
    await fetched(1);
    expect(await ask(method, tokenOf(old))).toMatchObject({ reason: 'unavailable', retryAfterSeconds: 5 });
    await issuer.revive();
    clock.advance(1_000);
    await fetched(2);
    expect(await reason(method, tokenOf(old))).toBe('ok');
  });

  it('that are new are asked for when a token names one', async () => {
    const method = await authenticator();
    expect(await reason(method, tokenOf(old))).toBe('ok');
    issuer.keys = { keys: [old.jwk, next.jwk] };
    clock.advance(COOLDOWN_MS);
    expect(await reason(method, tokenOf(next))).toBe('ok');
    expect(issuer.requests).toBe(2);
  });

  it('are asked for once in a cooldown, whatever a thousand tokens name', async () => {
    const method = await authenticator();
    const flood = () =>
      Promise.all(Array.from({ length: 1000 }, (_, at) => message(method, tokenOf({ ...next, kid: `kid-${at}` }))));
    await fetched(1);
    expect(new Set(await flood())).toEqual(new Set(['no key of the issuer fits the token']));
    expect(issuer.requests).toBe(1);
    clock.advance(COOLDOWN_MS);
    await flood();
    await flood();
    expect(issuer.requests).toBe(2);
    expect(await reason(method, tokenOf(old))).toBe('ok');
  });

  it('that were withdrawn prove nothing any more, remembered or not', async () => {
    const method = await authenticator();
    const bearer = tokenOf(old);
    expect(await reason(method, bearer)).toBe('ok');
    issuer.keys = { keys: [next.jwk] };
    await refetch();
    await until(async () => (await reason(method, bearer)) === 'invalid', 'the token to be refused');
    expect(await reason(method, tokenOf(next))).toBe('ok');
  });

  it.each<[string, (server: KeyServer) => void]>([
    ['none are there', (server) => (server.keys = { keys: [] })],
    ['there is no list of keys', (server) => (server.keys = { error: 'internal' })],
    ['it is a list', (server) => (server.keys = [old.jwk])],
    ['it is a text', (server) => (server.keys = 'internal error')],
    ['none can be used', (server) => (server.keys = { keys: [{ ...next.jwk, use: 'enc' }] })],
    ['there are too many', (server) => (server.keys = { keys: Array.from({ length: 101 }, () => next.jwk) })],
    ['it is too large', (server) => (server.keys = { keys: [next.jwk], pad: 'x'.repeat(1024 * 1024) })],
    ['the server fails', (server) => (server.status = 503)],
    ['the server redirects', (server) => (server.status = 302)],
  ])('stay what they were when %s', async (_, breakIt) => {
    const method = await authenticator();
    expect(await reason(method, tokenOf(old))).toBe('ok');
    breakIt(issuer);
    await refetch();
    expect(await reason(method, tokenOf(old, { jti: 'not remembered' }))).toBe('ok');
    const said = [...log.entries.map(({ message: text }) => text), ...warnings].join('\n');
    expect(said).toMatch(/the version before serves on|the keys before stay/);
    expect(said).not.toContain('internal error');
  });

  it('that a broken set follows come back with the next good one', async () => {
    const method = await authenticator();
    await fetched(1);
    issuer.keys = { keys: [{ kty: 'RSA' }] };
    await refetch();
    issuer.keys = { keys: [next.jwk] };
    await refetch();
    expect(await reason(method, tokenOf(next))).toBe('ok');
  });

  it('are shared by routes, and by tokens that name none', async () => {
    const method = await authenticator();
    const { privateKey } = old;
    const nameless = token({ alg: 'ES256' }, { exp: clock.wall() / 1000 + 60 }, ecdsa(privateKey));
    expect(await reason(method, nameless)).toBe('ok');
    expect(
      await reason(method, token({ alg: 'ES256' }, { exp: clock.wall() / 1000 + 60 }, ecdsa(next.privateKey))),
    ).toBe('invalid');
    expect(issuer.requests).toBe(1);
  });
});

describe('a discovery document', () => {
  const own = () => ({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys` });
  const discovering = async () => {
    const { jwksUri: _, ...options } = { jwksUri: '', issuer: issuer.url, discovery: true };
    const whole = { ...options, header: 'authorization', cacheTokens: 10 };
    follower.follow(jwt.documents!(whole));
    const context = { config: config([]), clock, documents, consumers: NOBODY, log: pino({ enabled: false }) };
    return jwt.create(whole, context as unknown as PluginContext);
  };
  const bearer = () => tokenOf(old, { iss: issuer.url });

  it('says where the keys are', async () => {
    issuer.discovery = own();
    expect(await reason(await discovering(), bearer())).toBe('ok');
    expect(follower.views.map(({ url }) => url)).toEqual([
      `${issuer.url}/.well-known/openid-configuration`,
      `${issuer.url}/keys`,
    ]);
  });

  it('of another issuer is none', async () => {
    issuer.discovery = { ...own(), issuer: 'https://evil.example.com' };
    expect(await reason(await discovering(), bearer())).toBe('unavailable');
    expect(log.entries[0]?.reason).toBe('a discovery document of another issuer');
  });

  it.each([undefined, 7, 'file:///etc/passwd', 'nonsense', 'https://user:secret@example.com/keys'])(
    'cannot lead to %s',
    async (link) => {
      issuer.discovery = { ...own(), jwks_uri: link };
      expect(await reason(await discovering(), bearer())).toBe('unavailable');
      expect(log.entries[0]?.reason).toBe('no jwks_uri that could be trusted');
    },
  );

  it('is followed when it leads elsewhere', async () => {
    issuer.discovery = own();
    const method = await discovering();
    expect(await reason(method, bearer())).toBe('ok');
    const elsewhere = await startKeyServer([next.jwk]);
    issuer.discovery = { ...own(), jwks_uri: `${elsewhere.url}/keys` };
    clock.advance(FRESH_MS);
    const moved = tokenOf(next, { iss: issuer.url });
    await until(async () => (await reason(method, moved)) === 'ok', 'the keys of the other place');
    expect(follower.views.map(({ url }) => url)).toContain(`${elsewhere.url}/keys`);
    expect(follower.views.map(({ url }) => url)).not.toContain(`${issuer.url}/keys`);
  });
});

describe('a token that was verified', () => {
  it('is refused from the moment it expires', async () => {
    const method = await authenticator({ clockTolerance: 0 });
    const bearer = tokenOf(old, { exp: clock.wall() / 1000 + 20 });
    expect(await reason(method, bearer)).toBe('ok');
    clock.advance(19_999);
    expect(await reason(method, bearer)).toBe('ok');
    clock.advance(1);
    expect(await reason(method, bearer)).toBe('expired');
  });

  it('is refused from the moment it is too old', async () => {
    const method = await authenticator({ clockTolerance: 0, maxAge: 10_000 });
    const bearer = tokenOf(old, { iat: clock.wall() / 1000 });
    expect(await reason(method, bearer)).toBe('ok');
    clock.advance(10_000);
    expect(await reason(method, bearer)).toBe('expired');
  });

  it('is who it was without another signature', async () => {
    const method = await authenticator();
    const bearer = tokenOf(old);
    expect(await ask(method, bearer)).toBe(await ask(method, bearer));
  });

  it('is another as soon as one letter is', async () => {
    const method = await authenticator();
    const bearer = tokenOf(old);
    expect(await reason(method, bearer)).toBe('ok');
    const random = seededRandom(7);
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=. ';
    for (let at = 0; at < bearer.length; at++) {
      const letter = letters[Math.floor(random() * letters.length)]!;
      const twin = bearer.slice(0, at) + letter + bearer.slice(at + 1);
      expect({ twin, reason: await reason(method, twin) }).toEqual({
        twin,
        reason: twin === bearer ? 'ok' : 'invalid',
      });
    }
  });

  it('is not remembered where nothing is to be', async () => {
    const method = await authenticator({}, { cacheTokens: 0 });
    const bearer = tokenOf(old);
    expect(await ask(method, bearer)).not.toBe(await ask(method, bearer));
  });
});
