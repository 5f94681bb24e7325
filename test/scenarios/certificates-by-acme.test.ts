/** Certificates by ACME, from Let's Encrypt's own test server: ordered, proven, shown, kept, renewed, refused. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock, type Clock } from '../../src/clock.ts';
import { acmeFrom, acmeGateway, certificatesPage, failure, get, issued, storageDir } from '../support/acme.ts';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture } from '../support/gateway.ts';
import { hasPebble, startPebble, type Pebble } from '../support/pebble.ts';
import { ask, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { closedPort, startUpstream, type Upstream } from '../support/upstream.ts';

const FILE = 'test/scenarios/certificates-by-acme.test.ts';
const HOST = '127.0.0.1';
/** How often it is looked whether it is time. */
const LOOK_MS = 1_000;
const FIVE_YEARS_MS = 5 * 365 * 86_400_000;

describe.skipIf(!hasPebble(FILE))('a certificate by ACME', () => {
  let upstream: Upstream;
  let pebble: Pebble;
  /** Where pebble asks. */
  let port = 0;
  let root = '';

  beforeAll(async () => {
    upstream = await startUpstream('users');
    port = await closedPort();
    pebble = await startPebble({ httpPort: port, refusedNonces: 25 });
    root = await pebble.root();
  });

  const start = (acme: object, proven = true) =>
    gatewayFixture(acmeGateway(acme, upstream, { port: proven ? port : 0 }));

  it('is ordered, proven behind a redirect to https, shown to clients and kept where nobody else may read', async () => {
    const storage = storageDir();
    const gateway = await gatewayFixture(acmeGateway(acmeFrom(pebble, { storage }), upstream, { port, threads: 2 }));
    const { status, certificate } = await issued(gateway, root);
    expect(status).toBe(200);
    expect(certificate.subjectAltName).toBe('DNS:api.test, DNS:www.api.test');
    expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    for (const file of readdirSync(storage)) expect(statSync(join(storage, file)).mode & 0o777).toBe(0o600);
    expect((await certificatesPage(gateway)).certificates).toMatchObject([{ file: 'acme:api.test' }]);
    const { body } = await gateway.admin('/metrics');
    expect(body).toContain('file="acme:api.test"');
    expect(body).toContain('aya_acme_orders_total{certificate="api.test",outcome="ok"} 1');
    expect(body).toContain('aya_acme_failures{certificate="api.test"} 0');
  });

  it('is renewed while connections live, and those are not dropped', async () => {
    let aheadMs = 0;
    let looks = 0;
    const clock: Clock = {
      ...systemClock,
      wall: () => systemClock.wall() + aheadMs,
      // Twenty looks a second instead of one.
      every: (periodMs, run) =>
        periodMs !== LOOK_MS
          ? systemClock.every(periodMs, run)
          : systemClock.every(LOOK_MS / 20, () => (looks++, run())),
    };
    const gateway = await gatewayFixture({ ...acmeGateway(acmeFrom(pebble), upstream, { port }), clock });
    const { certificate: first } = await issued(gateway, root);
    const connection = connectTls({ host: HOST, port: gateway.ports[1]!, servername: 'api.test', ca: root });
    cleanup(async () => void connection.destroy());
    let answers = '';
    connection.setEncoding('utf8').on('data', (text: string) => (answers += text));
    const askAgain = async () => {
      answers = '';
      connection.write(request('GET', '/x', 'api.test'));
      await until(() => answers.startsWith('HTTP/1.1 200 '), 'an answer on the old connection');
    };
    await askAgain();
    const { orders } = pebble;
    aheadMs = FIVE_YEARS_MS - 86_400_000;
    const isNew = async () => (await get(gateway, root)).certificate.serialNumber !== first.serialNumber;
    await until(isNew, 'the next certificate', 15_000);
    await askAgain();
    expect((await certificatesPage(gateway)).acme).toMatchObject([{ state: 'issued', orders: { ok: 2, failed: 0 } }]);
    // By this clock it was old when it came: it is not ordered again and again.
    const before = looks;
    await until(() => looks > before + 10, 'ten more looks');
    expect(pebble.orders - orders).toBe(1);
  });

  it('is taken from the storage by the next start, without an order; what is broken there is ordered anew', async () => {
    const storage = storageDir();
    const before = await start(acmeFrom(pebble, { storage }));
    const { certificate } = await issued(before, root);
    await before.close();
    const { orders } = pebble;

    const restarted = await start(acmeFrom(pebble, { storage }));
    // The first handshake of all.
    expect((await get(restarted, root)).certificate.serialNumber).toBe(certificate.serialNumber);
    await restarted.close();
    expect(pebble.orders).toBe(orders);

    for (const file of readdirSync(storage)) {
      const whole = readFileSync(join(storage, file), 'utf8');
      writeFileSync(join(storage, file), whole.slice(0, whole.length / 2));
    }
    const mended = await start(acmeFrom(pebble, { storage }));
    const { certificate: other } = await issued(mended, root);
    expect(other.serialNumber).not.toBe(certificate.serialNumber);
    expect(pebble.orders).toBe(orders + 1);
    expect(readdirSync(storage).filter((file) => file.endsWith('.broken'))).toHaveLength(3);
    const told = JSON.stringify(mended.logs);
    expect(told).toContain('acme_entry_broken');
    expect(told).not.toContain('PRIVATE KEY');
  });

  it('that cannot be proven is missed: others serve, the reason is told, and nobody asks again soon', async () => {
    const storage = storageDir();
    const acme = acmeFrom(pebble, { domains: ['lost.test'], storage });
    const { orders } = pebble;
    const gateway = await start(acme, false);
    const state = await failure(gateway);
    expect(state).toMatchObject({ state: 'missing', failures: 1, orders: { ok: 0, failed: 1 } });
    expect(state.failure).toMatch(/^lost\.test: connection: .*refused/);
    expect(Date.parse(String(state.tryAgainAt)) - Date.now()).toBeGreaterThan(50_000);
    const { responses } = await ask(gateway.port, request('GET', '/x', 'a.test', ['Connection: close']));
    expect(responses[0]?.status).toBe(308);
    await expect(get(gateway, root, 'lost.test')).rejects.toThrow(/handshake failure|alert/i);
    expect((await gateway.admin('/metrics')).body).toContain('aya_acme_failures{certificate="lost.test"} 1');

    // Nor does one who starts again.
    await gateway.close();
    const restarted = await start(acme, false);
    expect(await failure(restarted)).toMatchObject({ failures: 1, failure: state.failure, orders: { failed: 0 } });
    expect(pebble.orders).toBe(orders + 1);
  });

  it('is not asked for while it could not be kept', async () => {
    const { orders } = pebble;
    const file = join(storageDir(), 'a-file');
    writeFileSync(file, '');
    const gateway = await start(acmeFrom(pebble, { storage: join(file, 'below') }));
    expect((await failure(gateway)).failure).toContain('ENOTDIR');
    expect(pebble.orders).toBe(orders);
  });

  it('is another one when a reload names other domains', async () => {
    const gateway = await start(acmeFrom(pebble));
    await issued(gateway, root);
    const written = JSON.parse(readFileSync(join(gateway.dir, 'gateway.yaml'), 'utf8')) as object;
    const other = acmeGateway(acmeFrom(pebble, { domains: ['more.test'], keyType: 'rsa2048' }), upstream, { port });
    await gateway.write('../gateway.yaml', { ...written, ...other.gateway });
    expect((await gateway.reload()).status).toBe(200);
    const { certificate } = await issued(gateway, root, 'more.test');
    expect(certificate.publicKey.asymmetricKeyType).toBe('rsa');
    expect((await certificatesPage(gateway)).acme).toMatchObject([{ domains: ['more.test'] }]);
  });

  it('may need an account that the authority knows from elsewhere, whose key shows nowhere', async () => {
    const externalAccount = {
      keyId: 'kid-1',
      macKey: 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W',
    };
    const bound = await startPebble({ httpPort: port, externalAccount });
    const without = await start(acmeFrom(bound), false);
    expect((await failure(without)).failure).toMatch(/^externalAccountRequired: /);

    const gateway = await start(acmeFrom(bound, { externalAccount }));
    await issued(gateway, await bound.root());
    const pages = await Promise.all(['/config', '/certificates', '/metrics'].map((path) => gateway.admin(path)));
    for (const text of [...pages.map(({ body }) => body), JSON.stringify(gateway.logs)]) {
      expect(text).not.toContain(externalAccount.macKey);
      expect(text).not.toContain('PRIVATE KEY');
    }
  });
});
