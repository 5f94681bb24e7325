/** Circuit breakers between real clients and real services, on a gateway with two threads. */
import type { ServerResponse } from 'node:http';
import { beforeAll, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { metric } from '../support/metrics.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { echo, slow, startUpstream, status, type Answer, type Upstream } from '../support/upstream.ts';

/** A service whose answer a test changes while it runs. */
interface Service {
  readonly upstream: Upstream;
  answer: Answer;
}

async function startService(name: string, answer: Answer = status(503)): Promise<Service> {
  const upstream = await startUpstream(name, (...asked) => service.answer(...asked));
  const service: Service = { upstream, answer };
  return service;
}

/** Keeps what it is asked until the test lets it go. */
function keeper() {
  const kept: ServerResponse[] = [];
  const answer: Answer = (_, response) => void kept.push(response);
  const letGo = () => {
    for (const response of kept.splice(0)) response.writeHead(200, { 'content-length': '0' }).end();
  };
  return { kept, answer, letGo };
}

const SOON = { openFor: '100ms', maxOpenFor: '1s' };
/** Long enough for every test to end before it. */
const FOREVER = { openFor: '10m', maxOpenFor: '1h' };

/** By pool: its breaker, and what else it has. */
const POOLS = {
  share: { breaker: { failures: '50%', minRequests: 10, ...FOREVER } },
  row: { breaker: { consecutive: 3, minRequests: 1000, ...FOREVER } },
  slow: { breaker: { slow: { over: '40ms', share: '50%' }, minRequests: 4, ...FOREVER } },
  trickle: { breaker: { consecutive: 1, probes: 3, ...SOON } },
  leaving: { breaker: { consecutive: 1, probes: 1, ...SOON } },
  growing: { breaker: { consecutive: 1, probes: 1, ...SOON } },
  again: { breaker: { consecutive: 1, ...FOREVER } },
  spread: { breaker: { consecutive: 2, ...FOREVER } },
  whole: { breaker: { scope: 'pool', consecutive: 4, ...FOREVER } },
  kept: { breaker: { consecutive: 1, ...FOREVER } },
} as const;
type PoolName = keyof typeof POOLS;

const services = new Map<string, Service>();
let gateway: GatewayFixture;

const service = (name: string) => services.get(name)!;
const TWO: readonly PoolName[] = ['again', 'spread', 'whole'];
const namesOf = (pool: PoolName) => (TWO.includes(pool) ? [`${pool}-1`, `${pool}-2`] : [pool]);

function files(changes: object = {}) {
  const names = Object.keys(POOLS) as PoolName[];
  const pools = Object.fromEntries(
    names.map((name) => {
      const endpoints = namesOf(name).map((each) => service(each).upstream.url);
      return [name, { endpoints, balance: 'round-robin', health: { passive: false }, ...POOLS[name], ...changes }];
    }),
  );
  const routes = names.map((name) => ({
    name,
    match: { path: `/${name}` },
    pool: name,
    // The tests count what each service is asked.
    retry: name === 'again' ? { attempts: 2, on: [503], backoff: { base: '1ms', max: '5ms' }, budget: '100%' } : false,
  }));
  return { 'breakers.yaml': { pools, routes } };
}

beforeAll(async () => {
  for (const pool of Object.keys(POOLS) as PoolName[]) {
    for (const name of namesOf(pool)) services.set(name, await startService(name));
  }
  gateway = await gatewayFixture({ gateway: { threads: 2 }, files: files() });
});

const ask = (pool: PoolName) => fetch(`${gateway.url}/${pool}`);

async function statuses(pool: PoolName, count: number): Promise<number[]> {
  const found: number[] = [];
  for (let at = 0; at < count; at++) {
    const answer = await ask(pool);
    await answer.arrayBuffer();
    found.push(answer.status);
  }
  return found;
}

/** Each on a connection of its own, so that both threads get some; statuses, without those that wait. */
async function crowd(pool: PoolName, count: number): Promise<RawConnection[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => RawConnection.open(gateway.port)));
  for (const client of clients) client.send(request('GET', `/${pool}`, 'a'));
  return clients;
}

interface PoolPage {
  readonly name: string;
  readonly available: number;
  readonly breaker?: BreakerPage;
  readonly endpoints: readonly {
    readonly state: string;
    readonly breaker?: BreakerPage;
    readonly history: readonly { readonly reason: string }[];
  }[];
}

interface BreakerPage {
  readonly state: string;
  readonly reason: string;
  readonly opened: number;
  readonly probes: number;
}

async function poolPage(pool: PoolName): Promise<PoolPage> {
  const { body } = await gateway.admin('/pools');
  return (JSON.parse(body) as { pools: PoolPage[] }).pools.find(({ name }) => name === pool)!;
}

const breakerOf = async (pool: PoolName, at = 0) => (await poolPage(pool)).endpoints[at]!.breaker!;
const isIn = (pool: PoolName, state: string, at = 0) =>
  until(async () => (await breakerOf(pool, at)).state === state, `breaker of '${pool}' ${state}`);

/** What the client is told, and that the service is not asked. */
async function expectRefused(pool: PoolName, reason: string): Promise<void> {
  const asked = service(pool).upstream.requests;
  const answer = await ask(pool);
  expect(answer.status).toBe(503);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.headers.get('proxy-status')).toContain('error=destination_unavailable');
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(600);
  const body = await answer.text();
  expect(JSON.parse(body)).toMatchObject({ status: 503 });
  expect(body).not.toContain(service(pool).upstream.url);
  expect(service(pool).upstream.requests).toBe(asked);
  await isIn(pool, 'open');
  expect(await breakerOf(pool)).toMatchObject({ opened: 1, reason: expect.stringMatching(reason) as string });
}

it('opens when its share of answers failed; then clients get 503 with Retry-After and the service gets nothing', async () => {
  service('share').answer = echo;
  expect(await statuses('share', 5)).toEqual(Array.from({ length: 5 }, () => 200));
  service('share').answer = status(500);
  expect(await statuses('share', 5)).toEqual(Array.from({ length: 5 }, () => 500));
  await expectRefused('share', '^5 of 10 answers in 10 s failed; open for ');
});

it('opens after failures in a row, whichever thread saw them', async () => {
  service('row').answer = echo;
  await statuses('row', 1);
  service('row').answer = status(502);
  expect(await statuses('row', 3)).toEqual([502, 502, 502]);
  await expectRefused('row', '^3 failures in a row; open for ');
});

it('opens when too much is slow, though all of it is good', async () => {
  service('slow').answer = slow(80);
  expect(await statuses('slow', 4)).toEqual([200, 200, 200, 200]);
  await expectRefused('slow', String.raw`^4 of 4 answers in 10 s took longer than 0\.04 s; open for `);
});

it('says so in the log, in the metrics and in /pools', async () => {
  const endpoint = service('row').upstream.url;
  await isIn('row', 'open');
  expect(gateway.logs).toContainEqual(
    expect.objectContaining({ event: 'breaker_open', pool: 'row', endpoint, level: 40 }) as object,
  );
  expect(await metric(gateway, 'aya_endpoint_breaker_state', 'pool="row"')).toBe(2);
  const opened = (pool: string, cause: string) =>
    metric(
      gateway,
      'aya_breaker_opened_total',
      `pool="${pool}",endpoint="${service(pool).upstream.url}",cause="${cause}"`,
    );
  expect(await opened('row', 'consecutive-failures')).toBe(1);
  expect(await opened('share', 'failure-share')).toBe(1);
  expect(await opened('slow', 'slow-share')).toBe(1);
  const page = await poolPage('row');
  expect(page).toMatchObject({ available: 0, endpoints: [{ state: 'breaker open' }] });
  expect(page.endpoints[0]!.history.at(-1)!.reason).toMatch(/^breaker open: 3 failures in a row/);
});

it('lets a trickle through over both threads, one more for each that did well, and closes', async () => {
  const { upstream } = service('trickle');
  service('trickle').answer = status(500);
  await statuses('trickle', 1);
  await isIn('trickle', 'open');
  const { kept, answer, letGo } = keeper();
  service('trickle').answer = answer;
  const clients: RawConnection[] = [];
  // Those who are refused have their answer; those who are not wait for it.
  const refused = (among: RawConnection[]) => among.filter((client) => client.read().responses[0]?.status === 503);
  await until(async () => {
    clients.push(...(await crowd('trickle', 8)));
    return kept.length > 0;
  }, 'a first probe');
  for (const places of [1, 2, 3]) {
    const asking = await crowd('trickle', 16);
    clients.push(...asking);
    await until(() => kept.length + refused(clients).length === clients.length, 'all have been told');
    expect(kept.length).toBe(places);
    if (places === 3) break;
    // One probe does well: its place and a further one are free.
    const served = upstream.requests;
    kept.shift()!.writeHead(200, { 'content-length': '0' }).end();
    clients.splice(0, clients.length, ...clients.filter((client) => client.read().responses.length === 0));
    await until(
      () => clients.filter((client) => client.read().responses[0]?.status === 200).length === 1,
      'its client has it',
    );
    const waiting = clients.filter((client) => client.read().responses.length === 0);
    clients.splice(0, clients.length, ...waiting);
    expect(upstream.requests).toBe(served);
  }
  expect((await breakerOf('trickle')).state).toBe('half-open');
  expect((await breakerOf('trickle')).probes).toBe(3);
  letGo();
  await isIn('trickle', 'closed');
  service('trickle').answer = echo;
  expect(await statuses('trickle', 5)).toEqual([200, 200, 200, 200, 200]);
  for (const client of clients) client.close();
});

it('gives the place of a probe back when its client leaves', async () => {
  service('leaving').answer = status(500);
  await statuses('leaving', 1);
  const { kept, answer } = keeper();
  service('leaving').answer = answer;
  for (let round = 1; round <= 3; round++) {
    let clients: RawConnection[] = [];
    await until(async () => {
      for (const client of clients) client.close();
      clients = await crowd('leaving', 1);
      await until(() => kept.length === round || clients[0]!.read().responses.length === 1, 'a probe or its refusal');
      return kept.length === round;
    }, `probe ${round}`);
    expect((await breakerOf('leaving')).state).toBe('half-open');
    for (const client of clients) client.reset();
    await until(async () => (await breakerOf('leaving')).probes === 0, 'its place is free');
  }
  service('leaving').answer = echo;
  expect(await statuses('leaving', 1)).toEqual([200]);
  await isIn('leaving', 'closed');
});

it('stays open longer each time that a probe fails, within a bound', async () => {
  service('growing').answer = status(500);
  await until(async () => {
    await statuses('growing', 1);
    return (await breakerOf('growing')).opened >= 3;
  }, 'three openings in a row');
  const history = (await poolPage('growing')).endpoints[0]!.history.map(({ reason }) => reason);
  const openings = history.filter((reason) => reason.includes('open for'));
  const seconds = openings.slice(0, 3).map((reason) => Number(/open for (\d+\.\d) s/.exec(reason)![1]));
  expect(openings[1]).toMatch(/^breaker open: a probe failed; /);
  expect(seconds[0]).toBe(0.1);
  expect(seconds[1]).toBe(0.2);
  expect(seconds[2]).toBeGreaterThanOrEqual(0.4);
  expect(seconds[2]).toBeLessThanOrEqual(0.5);
});

it('a retry goes to another endpoint, and with the breaker open the first try does', async () => {
  service('again-2').answer = echo;
  expect(await statuses('again', 10)).toEqual(Array.from({ length: 10 }, () => 200));
  expect(service('again-1').upstream.requests).toBe(1);
  expect(service('again-2').upstream.requests).toBe(10);
  await isIn('again', 'open');
  expect((await poolPage('again')).available).toBe(1);
});

it('with one breaker open the others serve, and nobody is refused', async () => {
  service('spread-2').answer = echo;
  const seen = await statuses('spread', 20);
  expect(seen.filter((code) => code === 503)).toHaveLength(2);
  expect(service('spread-1').upstream.requests).toBe(2);
});

it('a pool as a whole has one: when it opens, no endpoint is asked', async () => {
  expect(await statuses('whole', 4)).toEqual([503, 503, 503, 503]);
  const asked = () => service('whole-1').upstream.requests + service('whole-2').upstream.requests;
  expect(asked()).toBe(4);
  const answer = await ask('whole');
  expect(answer.status).toBe(503);
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(600);
  expect(asked()).toBe(4);
  await until(async () => (await poolPage('whole')).breaker?.state === 'open', 'told in /pools');
  expect((await poolPage('whole')).endpoints[0]!.breaker).toBeUndefined();
  expect(await metric(gateway, 'aya_pool_breaker_state', 'pool="whole"')).toBe(2);
  expect(await metric(gateway, 'aya_pool_breaker_opened_total', 'pool="whole"')).toBe(1);
});

it('stays as it is through a reload', async () => {
  expect(await statuses('kept', 2)).toEqual([503, 503]);
  await isIn('kept', 'open');
  service('kept').answer = echo;
  await gateway.write('breakers.yaml', files({ connections: { max: 17 } })['breakers.yaml']);
  expect((await gateway.reload()).status).toBe(200);
  expect(await statuses('kept', 2)).toEqual([503, 503]);
  expect(service('kept').upstream.requests).toBe(1);
  expect((await breakerOf('kept')).opened).toBe(1);
});

it('a thread that dies gives back the probes that it had', async () => {
  const failing = await startService('mortal', status(500));
  const mortal = await gatewayFixture({
    gateway: { threads: 2 },
    crashes: true,
    files: {
      'mortal.yaml': {
        pools: {
          mortal: {
            endpoints: [failing.upstream.url],
            health: { passive: false },
            breaker: { consecutive: 1, probes: 1, ...SOON },
          },
        },
        routes: [{ name: 'mortal', match: { path: '/*' }, pool: 'mortal', retry: false }],
      },
    },
  });
  const again = () => fetch(mortal.url).then(({ status }) => status, String);
  expect(await again()).toBe(500);
  const { kept, answer } = keeper();
  failing.answer = answer;
  const waiting: Promise<unknown>[] = [];
  await until(() => {
    waiting.push(again());
    return kept.length === 1;
  }, 'a probe');
  expect(await again()).toBe(503);
  for (const thread of [...mortal.threads]) await thread.terminate();
  await Promise.all(waiting);
  failing.answer = echo;
  await until(async () => (await again()) === 200, 'the next probe does well');
});
