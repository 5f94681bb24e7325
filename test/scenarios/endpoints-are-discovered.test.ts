/** Endpoints that name servers tell of. They come and go under load, and nobody notices. */
import { describe, expect, it } from 'vitest';
import { discoveringService, shown, startDiscovering, statusOf, urlsOf } from '../support/discovery.ts';
import { hasDnsmasq, nameServer } from '../support/dnsmasq.ts';
import { startLoad } from '../support/load.ts';
import { until } from '../support/until.ts';
import { byPath, echo, slow, startUpstream, status, type Answer, type Upstream } from '../support/upstream.ts';

const NAME = 'orders.internal';
/** Fast enough for a test. */
const REFRESH = { min: '100ms', max: '1s' };

/** As many instances of one service, on one port of different addresses. */
async function startInstances(count: number, answer: Answer = echo): Promise<Upstream[]> {
  const first = await startUpstream('orders-1', answer, { host: '127.0.77.1', port: 0 });
  const others = Array.from({ length: count - 1 }, (_, at) =>
    startUpstream(`orders-${at + 2}`, answer, { host: `127.0.77.${at + 2}`, port: first.port }),
  );
  return [first, ...(await Promise.all(others))];
}

const hostOf = ({ url }: Upstream) => new URL(url).hostname;
const zoneOf = (...instances: readonly Upstream[]) => ({ hosts: { [NAME]: instances.map(hostOf) } });

describe.skipIf(!hasDnsmasq)('by the addresses of a name', () => {
  const discover = (servers: string, port: number, more: object = {}) => ({
    discover: { dns: NAME, port, servers: [servers], refresh: REFRESH, ...more },
  });

  it('they come and go under load, and no request is lost', async () => {
    const [one, two, three] = (await startInstances(3, byPath({ slow: slow(700) }))) as [Upstream, Upstream, Upstream];
    const names = await nameServer(zoneOf(one, two));
    const gateway = await startDiscovering(discover(names.address, one.port), { threads: 2 });
    expect(await urlsOf(gateway)).toEqual([one.url, two.url]);
    const load = startLoad(gateway.url, { clients: 4, everyMs: 2 });
    await until(() => load.byInstance['orders-1'] && load.byInstance['orders-2'], 'load on both');
    const lasting = [1, 2, 3, 4].map(() => fetch(`${gateway.url}/orders/slow`));
    await until(() => one.requests + two.requests > load.served + 3, 'the slow ones');

    await names.serve(zoneOf(two, three));
    await until(() => load.byInstance['orders-3'], 'load on the new one');
    expect((await Promise.all(lasting)).map((answer) => answer.status)).toEqual([200, 200, 200, 200]);
    await until(() => one.open === 0, 'the end of connections to the one that left');
    const kept = two.connections;
    await names.serve(zoneOf(three, two, one));
    await until(async () => (await urlsOf(gateway)).length === 3, 'three');
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(two.connections - kept).toBeLessThanOrEqual(4);
  });

  it('they stay as they were when the name is gone or its server is, which is said and counted', async () => {
    const [one] = (await startInstances(1)) as [Upstream];
    const names = await nameServer(zoneOf(one));
    const gateway = await startDiscovering(discover(names.address, one.port));
    await names.serve({});
    const { discovery } = await until(async () => {
      const pool = await shown(gateway);
      return pool.discovery.failure === undefined ? undefined : pool;
    }, 'the failure to show');
    expect(discovery).toMatchObject({
      source: `dns ${NAME}`,
      endpoints: 1,
      failure: `${NAME}: no such name (NXDOMAIN)`,
    });
    await names.kill();
    await until(async () => (await shown(gateway)).discovery.failure!.includes('no name server'), 'the other failure');
    expect(await statusOf(gateway)).toBe(200);
    const { body } = await gateway.admin('/metrics');
    expect(body).toMatch(/aya_discovery_endpoints\{pool="orders"\} 1/);
    expect(body).toMatch(/aya_discovery_failures_total\{pool="orders"\} [1-9]/);
    expect(body).toMatch(/aya_discovery_failing\{pool="orders"\} 1/);
    expect(body).toMatch(/aya_discovery_age_seconds\{pool="orders"\} \d/);
    const told = gateway.logs.filter(({ event }) => event === 'discovery_failed');
    expect(told.map(({ reason }) => reason)).toEqual([...new Set(told.map(({ reason }) => reason))]);

    await names.serve(zoneOf(one));
    await until(async () => (await shown(gateway)).discovery.failure === undefined, 'its return');
  });

  it('there are none at a start without an answer: 503, until there is one', async () => {
    const [one] = (await startInstances(1)) as [Upstream];
    const names = await nameServer({});
    const gateway = await startDiscovering(discover(names.address, one.port));
    expect(await statusOf(gateway)).toBe(503);
    expect(gateway.logs.some(({ event, serves }) => event === 'discovery_failed' && serves === 0)).toBe(true);
    await names.serve(zoneOf(one));
    await until(async () => (await statusOf(gateway)) === 200, 'the endpoint');
  });

  it('one that joins takes nothing before its check has passed', async () => {
    let isWell = false;
    const answers: Answer = (request, response, upstream) =>
      request.url === '/healthz' && upstream.name === 'orders-2' && !isWell
        ? status(503)(request, response, upstream)
        : echo(request, response, upstream);
    const [one, two] = (await startInstances(2, answers)) as [Upstream, Upstream];
    const names = await nameServer(zoneOf(one));
    const active = { path: '/healthz', interval: '100ms', fastInterval: '50ms' };
    const gateway = await startDiscovering({ ...discover(names.address, one.port), health: { active } });
    const load = startLoad(gateway.url, { clients: 2, everyMs: 2 });
    await names.serve(zoneOf(one, two));
    await until(() => two.seen.length > 5, 'probes');
    expect((await shown(gateway)).endpoints.map(({ state }) => state)).toEqual([
      'available',
      expect.stringContaining('joining'),
    ]);
    expect(two.seen.map(({ target }) => target)).not.toContain('/orders/1');
    expect(load.byInstance['orders-2']).toBeUndefined();
    isWell = true;
    await until(() => load.byInstance['orders-2'], 'load on the new one');
    await load.stop();
    expect(load.failures).toEqual([]);
  });

  it('a pool changes from written endpoints to found ones under load', async () => {
    const [one, two] = (await startInstances(2)) as [Upstream, Upstream];
    const names = await nameServer(zoneOf(two));
    const gateway = await startDiscovering({ endpoints: [one.url] });
    const load = startLoad(gateway.url, { clients: 4, everyMs: 2 });
    await gateway.write('orders.yaml', discoveringService(discover(names.address, two.port)));
    expect((await gateway.reload()).status).toBe(200);
    await until(() => load.byInstance['orders-2'], 'load on the found one');
    await gateway.write(
      'orders.yaml',
      discoveringService({ ...discover(names.address, two.port), endpoints: [one.url] }),
    );
    expect((await gateway.reload()).status).toBe(200);
    expect((await shown(gateway)).endpoints.map(({ url, discoveredBy }) => [url, discoveredBy])).toEqual([
      [one.url, undefined],
      [two.url, `dns ${NAME}`],
    ]);
    await load.stop();
    expect(load.failures).toEqual([]);
  });

  it('an address outside of `allow` is refused, and what was before stays', async () => {
    const [one] = (await startInstances(1)) as [Upstream];
    const names = await nameServer(zoneOf(one));
    const gateway = await startDiscovering(discover(names.address, one.port, { allow: ['127.0.77.0/24'] }));
    await names.serve({ hosts: { [NAME]: ['169.254.169.254'] } });
    const failure = await until(async () => (await shown(gateway)).discovery.failure, 'the refusal');
    expect(failure).toBe(`${NAME}: 169.254.169.254 is not in a network of 'allow'`);
    expect(await urlsOf(gateway)).toEqual([one.url]);
  });
});

describe.skipIf(!hasDnsmasq)('by the services of a name', () => {
  it('they have its ports, weights and priorities, and follow them', async () => {
    const [one, two] = [await startUpstream('orders-1'), await startUpstream('orders-2')];
    const hosts = { 'a.internal': ['127.0.0.1'], 'b.internal': ['127.0.0.1'] };
    const record = (target: string, { port }: Upstream, priority: number, weight: number) =>
      `_http._tcp.${NAME},${target}.internal,${port},${priority},${weight}`;
    const names = await nameServer({ hosts, services: [record('a', one, 1, 30), record('b', two, 2, 5)] });
    const gateway = await startDiscovering({
      discover: { srv: `_http._tcp.${NAME}`, servers: [names.address], refresh: REFRESH },
    });
    const endpoints = async () =>
      (await shown(gateway)).endpoints.map(({ url, weight, backup }) => ({ url, weight, backup }));
    expect(await endpoints()).toEqual(
      expect.arrayContaining([
        { url: one.url, weight: 30, backup: false },
        { url: two.url, weight: 5, backup: true },
      ]),
    );
    const load = startLoad(gateway.url, { clients: 2, everyMs: 2 });
    await until(() => load.byInstance['orders-1']! > 20, 'load on the first');
    expect(load.byInstance['orders-2']).toBeUndefined();
    await names.serve({ hosts, services: [record('b', two, 7, 0), record('gone', one, 7, 10)] });
    await until(() => load.byInstance['orders-2']! > 20, 'load on the other');
    expect(await endpoints()).toEqual([{ url: two.url, weight: 1, backup: false }]);
    await load.stop();
    expect(load.failures).toEqual([]);
  });
});
