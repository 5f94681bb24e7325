/** Certificates by ACME, from Let's Encrypt's own test server: ordered, proven, shown, kept, renewed, shared, refused. */
import type { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture, type GatewayFixtureOptions } from '../support/gateway.ts';
import { hasPebble, startPebble, type Pebble } from '../support/pebble.ts';
import { ask } from '../support/raw-client.ts';
import { hasRedis, redisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { closedPort, startUpstream, type Upstream } from '../support/upstream.ts';

const FILE = 'test/scenarios/certificates-by-acme.test.ts';
const HOST = '127.0.0.1';
const FIVE_YEARS_MS = 5 * 365 * 86_400_000;

describe.skipIf(!hasPebble(FILE))('a certificate by ACME', { timeout: 30_000 }, () => {
  let upstream: Upstream;
  let pebble: Pebble;
  /** Where pebble asks. */
  let httpPort = 0;
  let root = '';

  beforeAll(async () => {
    upstream = await startUpstream('users');
    httpPort = await closedPort();
    pebble = await startPebble({ httpPort, refusedNonces: 40 });
    root = await pebble.root();
  });

  const acme = (storage: string, changes = {}) => ({
    domains: ['api.test', 'WWW.api.test'],
    email: 'ops@api.test',
    directory: pebble.directory,
    ca: pebble.ca,
    termsAgreed: true,
    storage,
    ...changes,
  });

  const options = (own: object, port: number, changes: object = {}): GatewayFixtureOptions => ({
    gateway: {
      listen: [
        { host: HOST, port },
        { host: HOST, port: 0, tls: { acme: own } },
      ],
      threads: 2,
      ...changes,
    },
    files: {
      'users.yaml': {
        pools: { users: { endpoints: [upstream.url], health: { passive: false } } },
        routes: [
          { name: 'users', match: { path: '/*' }, pool: 'users' },
          { name: 'to-https', match: { scheme: 'http' }, redirect: { scheme: 'https', status: 308 } },
        ],
      },
    },
  });

  const storageDir = () => {
    const dir = mkdtempSync(join(tmpdir(), 'aya-acme-'));
    cleanup(async () => rmSync(dir, { recursive: true, force: true }));
    return dir;
  };

  /** As any client of the names would. */
  const get = (gateway: GatewayFixture, servername = 'www.api.test') =>
    new Promise<{ status: number; certificate: X509Certificate }>((resolve, reject) => {
      const where = { host: HOST, port: gateway.ports[1], servername, ca: root, agent: false as const };
      const asking = request({ ...where, path: '/x', headers: { host: servername } }, (response) => {
        const certificate = (response.socket as TLSSocket).getPeerX509Certificate()!;
        response.resume().on('end', () => resolve({ status: response.statusCode!, certificate }));
      });
      asking.on('error', reject);
      asking.end();
    });

  const page = async (gateway: GatewayFixture) =>
    JSON.parse((await gateway.admin('/certificates')).body) as {
      certificates: { file: string; daysLeft: number }[];
      acme: Record<string, unknown>[];
    };

  const stateIs = (gateway: GatewayFixture, state: string) =>
    until(async () => (await page(gateway)).acme.every((one) => one.state === state), `it to be ${state}`, 15_000);

  const issued = async (gateway: GatewayFixture) => {
    await stateIs(gateway, 'issued');
    return until(() => get(gateway).catch(() => undefined), 'it to be shown');
  };

  it('is ordered, proven behind a redirect to https, shown to clients and kept where nobody else may read', async () => {
    const storage = storageDir();
    const gateway = await gatewayFixture(options(acme(storage), httpPort));
    const { status, certificate } = await issued(gateway);
    expect(status).toBe(200);
    expect(certificate.subjectAltName).toBe('DNS:api.test, DNS:www.api.test');
    expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    for (const file of readdirSync(storage)) expect(statSync(join(storage, file)).mode & 0o777).toBe(0o600);
    expect((await page(gateway)).certificates).toMatchObject([{ file: 'acme:api.test' }]);
    const metrics = (await gateway.admin('/metrics')).body;
    expect(metrics).toContain('file="acme:api.test"');
    expect(metrics).toContain('aya_acme_orders_total{certificate="api.test",outcome="ok"} 1');
    expect(metrics).toContain('aya_acme_failures{certificate="api.test"} 0');
  });

  it('is renewed while connections live, and those are not dropped', async () => {
    let aheadMs = 0;
    const clock = { ...systemClock, wall: () => systemClock.wall() + aheadMs };
    const gateway = await gatewayFixture({ ...options(acme(storageDir()), httpPort), clock });
    const { certificate: first } = await issued(gateway);
    const connection = connectTls({ host: HOST, port: gateway.ports[1]!, servername: 'api.test', ca: root });
    cleanup(async () => void connection.destroy());
    const answers: string[] = [];
    connection.setEncoding('utf8').on('data', (text: string) => answers.push(text));
    const again = async () => {
      const before = answers.length;
      connection.write('GET /x HTTP/1.1\r\nHost: api.test\r\n\r\n');
      await until(() => answers.length > before, 'an answer on the old connection');
      expect(answers.at(-1)).toMatch(/^HTTP\/1.1 200 /);
    };
    await again();
    const orders = pebble.orders;
    aheadMs = FIVE_YEARS_MS - 86_400_000;
    const { certificate: second } = await until(
      async () => {
        const shown = await get(gateway);
        return shown.certificate.serialNumber === first.serialNumber ? undefined : shown;
      },
      'the next certificate',
      15_000,
    );
    expect(second.subjectAltName).toBe(first.subjectAltName);
    await again();
    expect((await page(gateway)).acme).toMatchObject([{ state: 'issued', failures: 0, orders: { ok: 2, failed: 0 } }]);
    // It is old when it comes, by this clock: that is no reason to order again and again.
    await until(() => gateway.logs.filter(({ event }) => event === 'acme_certificate').length === 2, 'both');
    expect(pebble.orders - orders).toBe(1);
  });

  it('is taken from the storage by the next start, without an order; what is broken there is ordered anew', async () => {
    const storage = storageDir();
    const before = await gatewayFixture(options(acme(storage), httpPort));
    const { certificate } = await issued(before);
    await before.close();
    const orders = pebble.orders;

    const restarted = await gatewayFixture(options(acme(storage), httpPort));
    expect((await get(restarted)).certificate.serialNumber).toBe(certificate.serialNumber);
    await stateIs(restarted, 'issued');
    await restarted.close();
    expect(pebble.orders).toBe(orders);

    for (const file of readdirSync(storage)) {
      const whole = readFileSync(join(storage, file), 'utf8');
      writeFileSync(join(storage, file), whole.slice(0, whole.length / 2));
    }
    const mended = await gatewayFixture(options(acme(storage), httpPort));
    const { certificate: other } = await issued(mended);
    expect(other.serialNumber).not.toBe(certificate.serialNumber);
    expect(pebble.orders).toBe(orders + 1);
    expect(readdirSync(storage).filter((file) => file.endsWith('.broken'))).toHaveLength(3);
    const told = JSON.stringify(mended.logs);
    expect(told).toContain('acme_entry_broken');
    expect(told).not.toContain('PRIVATE KEY');
  });

  it('that the authority cannot prove is missed: other listeners serve, the reason is told, and it is not asked again soon', async () => {
    // Nobody listens where the authority asks.
    const gateway = await gatewayFixture(options(acme(storageDir(), { domains: ['lost.test'] }), 0));
    const orders = pebble.orders;
    const [state] = await until(
      async () => {
        const { acme: states } = await page(gateway);
        return states[0]!.failures === 1 ? states : undefined;
      },
      'the failure',
      15_000,
    );
    expect(state).toMatchObject({
      state: 'missing',
      failure: expect.stringMatching(/^lost\.test: connection: .*refused/),
    });
    const waitMs = Date.parse(String(state!.tryAgainAt)) - Date.now();
    expect(waitMs).toBeGreaterThan(50_000);
    expect(pebble.orders).toBe(orders + 1);
    expect((await ask(gateway.port, 'GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')).status).toBe(200);
    await expect(get(gateway, 'lost.test')).rejects.toThrow(/handshake failure|alert/i);
    expect((await gateway.admin('/metrics')).body).toContain('aya_acme_failures{certificate="lost.test"} 1');
  });

  it('is not asked for again by a restart in the time after a failure, nor while nothing can be kept', async () => {
    const storage = storageDir();
    const own = acme(storage, { domains: ['lost.test'] });
    const first = await gatewayFixture(options(own, 0));
    await until(async () => (await page(first)).acme[0]!.failures === 1, 'the failure', 15_000);
    await first.close();
    const orders = pebble.orders;
    const second = await gatewayFixture(options(own, 0));
    expect((await page(second)).acme).toMatchObject([{ failures: 1, failure: expect.stringContaining('lost.test') }]);
    await second.close();

    const file = join(storage, 'a-file');
    writeFileSync(file, '');
    const nowhere = await gatewayFixture(options(acme(join(file, 'below')), 0));
    await until(async () => (await page(nowhere)).acme[0]!.failure, 'a reason');
    expect((await page(nowhere)).acme[0]!.failure).toMatch(/ENOTDIR/);
    expect(pebble.orders).toBe(orders);
  });

  it('begins when a reload asks for it, beside those of files', async () => {
    const gateway = await gatewayFixture(options(acme(storageDir()), httpPort));
    await issued(gateway);
    const listen = options(acme(storageDir(), { domains: ['more.test'], keyType: 'rsa2048' }), httpPort)
      .gateway as object;
    const written = JSON.parse(readFileSync(join(gateway.dir, 'gateway.yaml'), 'utf8')) as object;
    await gateway.write('../gateway.yaml', { ...written, ...listen });
    expect((await gateway.reload()).status).toBe(200);
    const { certificate } = await until(
      () => get(gateway, 'more.test').catch(() => undefined),
      'the other name',
      15_000,
    );
    expect(certificate.publicKey.asymmetricKeyType).toBe('rsa');
    expect((await page(gateway)).acme).toMatchObject([{ domains: ['more.test'] }]);
  });

  it('may want an account that the authority knows from elsewhere; its key shows nowhere', async () => {
    const macKey = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W';
    const bound = await startPebble({ httpPort, externalAccount: { keyId: 'kid-1', macKey } });
    const changes = { directory: bound.directory, ca: bound.ca };
    const without = await gatewayFixture(options(acme(storageDir(), changes), 0));
    await until(async () => (await page(without)).acme[0]!.failures === 1, 'the refusal', 15_000);
    expect((await page(without)).acme[0]!.failure).toContain('externalAccountRequired');

    const own = acme(storageDir(), { ...changes, externalAccount: { keyId: 'kid-1', macKey } });
    const gateway = await gatewayFixture(options(own, httpPort));
    await stateIs(gateway, 'issued');
    const shown = [
      (await gateway.admin('/config')).body,
      JSON.stringify(await page(gateway)),
      JSON.stringify(gateway.logs),
    ];
    for (const text of shown) {
      expect(text).not.toContain(macKey);
      expect(text).not.toContain('PRIVATE KEY');
    }
  });

  describe.skipIf(!hasRedis)('of a fleet', () => {
    it('is ordered by one gateway, proven by another, and shown by all', async () => {
      const redis = await redisServer();
      const fleet: GatewayFixture[] = [];
      // Where the authority asks: as a balancer that only ever picks the gateway which has not ordered.
      const balancer = createServer((client) => {
        const other = fleet.find(({ logs }) => logs.every(({ event }) => event !== 'acme_order'));
        const server = connect(other!.port, HOST);
        client.pipe(server).pipe(client);
        for (const socket of [client, server]) socket.on('error', () => {});
      }).listen(0, HOST);
      await until(() => balancer.listening, 'the balancer');
      cleanup(async () => void balancer.close());
      const shared = await startPebble({ httpPort: (balancer.address() as AddressInfo).port });
      const changes = { directory: shared.directory, ca: shared.ca };
      const start = () => gatewayFixture(options(acme(storageDir(), changes), 0, { store: redis.url }));
      fleet.push(...(await Promise.all([start(), start()])));
      root = await shared.root();
      const [one, other] = await Promise.all(fleet.map(issued));
      expect(one!.certificate.serialNumber).toBe(other!.certificate.serialNumber);
      expect(shared.orders).toBe(1);
      expect(await redis.command('EXISTS', 'aya:acme:challenges')).toBe(':0\r\n');

      // A store that has forgotten everything learns it again, and who comes later orders nothing.
      await redis.kill();
      await redis.start();
      await until(async () => (await redis.command('HLEN', 'aya:acme')) !== ':0\r\n', 'the store to know', 15_000);
      const late = await start();
      expect((await issued(late)).certificate.serialNumber).toBe(one!.certificate.serialNumber);
      expect(shared.orders).toBe(1);
    });
  });
});
