/** More is asked of a service than it can take: its limit holds, who waits is served or told, and what it does is of use. */
import { readFile } from 'node:fs/promises';
import { request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { metric } from '../support/metrics.ts';
import { until, within } from '../support/until.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

/** A service that answers when it is told, or works on so many at once and lets the others wait with it. */
class Bench {
  readonly held: ServerResponse[] = [];
  holds = false;
  now = 0;
  most = 0;
  /** How much it had to do at each moment that it finished something, that included. */
  readonly levels: number[] = [];
  #waiting: ServerResponse[] = [];
  #working = 0;

  readonly answer = (request: IncomingMessage, response: ServerResponse): void => {
    request.resume();
    this.now += 1;
    this.most = Math.max(this.most, this.now);
    response.once('close', () => {
      this.levels.push(this.now);
      this.now -= 1;
    });
    if (this.holds) return void this.held.push(response);
    this.#waiting.push(response);
    this.#work();
  };

  release(): void {
    this.holds = false;
    for (const response of this.held.splice(0)) response.end('late');
  }

  #work(): void {
    while (this.#working < 4 && this.#waiting.length > 0) {
      const response = this.#waiting.shift()!;
      this.#working += 1;
      setTimeout(() => {
        this.#working -= 1;
        response.end('done');
        this.#work();
      }, 10);
    }
  }
}

const [one, two] = [new Bench(), new Bench()];
let upstreams: readonly [Upstream, Upstream];
let gateway: GatewayFixture;

const queue = { max: 10, timeout: '4s', target: '3s' };

function files(max = 4) {
  const [first, second] = upstreams;
  return {
    'orders.yaml': {
      pools: {
        orders: { endpoints: [first.url], maxInFlight: { max, queue } },
        strict: { endpoints: [first.url], maxInFlight: { max: 1, queue: false } },
        brisk: { endpoints: [first.url], maxInFlight: { max: 8, queue: { max: 50, target: '10ms' } } },
        pair: {
          endpoints: [
            { url: first.url, maxInFlight: 1 },
            { url: second.url, maxInFlight: 3 },
          ],
        },
      },
      routes: [
        ...['orders', 'strict', 'brisk', 'pair'].map((pool) => ({ name: pool, match: { path: `/${pool}` }, pool })),
        { name: 'urgent', match: { path: '/urgent' }, pool: 'orders', priority: 'high' },
        { name: 'batch', match: { path: '/batch' }, pool: 'orders', priority: 'low' },
      ],
    },
  };
}

beforeAll(async () => {
  upstreams = [await startUpstream('one', one.answer), await startUpstream('two', two.answer)];
  gateway = await gatewayFixture({
    gateway: { threads: 2, accessLog: { enabled: true, file: 'access.log' } },
    files: files(),
  });
});

beforeEach(() => {
  for (const bench of [one, two]) Object.assign(bench, { holds: false, most: 0 });
  one.levels.length = 0;
});

interface PoolPage {
  readonly name: string;
  readonly saturation: { readonly inFlight: number; readonly limit?: number; readonly waiting: number };
  readonly endpoints: readonly { readonly inFlight: number; readonly maxInFlight?: number }[];
}

async function pool(name: string): Promise<PoolPage> {
  const { pools } = JSON.parse((await gateway.admin('/pools')).body) as { pools: PoolPage[] };
  return pools.find((page) => page.name === name)!;
}

const displaced = () => metric(gateway, 'aya_pool_refused_total', '{pool="orders",reason="displaced"}');
const waiting = async (name = 'orders') => (await pool(name)).saturation.waiting;
const get = (path: string, signal?: AbortSignal) => fetch(gateway.url + path, signal && { signal });

/** Starts requests, each on a connection of its own: so they are of any thread. */
function begin(path: string, count: number) {
  return Array.from({ length: count }, () => {
    let status = 0;
    const request = ask(gateway.url + path, { agent: false }, (response) => {
      status = response.statusCode!;
      response.resume();
    });
    request.on('error', () => (status = -1)).end();
    return { status: () => status, leave: () => request.destroy() };
  });
}

describe('a pool with a limit', () => {
  it('never has more at once, over all threads, and serves all who wait', async () => {
    one.holds = true;
    const asked = Promise.all(Array.from({ length: 14 }, async () => (await get('/orders')).status));
    await until(async () => (await waiting()) === 10, 'all to be there');
    one.release();
    expect(new Set(await asked)).toEqual(new Set([200]));
    expect(one.most).toBe(4);
    expect(await pool('orders')).toMatchObject({ saturation: { inFlight: 0, limit: 4, waiting: 0 } });
  });

  it('answers 503 beyond its queue, with the time to come again, and the reason where operators look', async () => {
    one.holds = true;
    begin('/strict', 1);
    await until(() => one.held.length === 1, 'the first is there');
    const refused = await get('/strict');
    expect([refused.status, refused.headers.get('retry-after'), refused.headers.get('proxy-status')]).toEqual([
      503,
      '1',
      'aya; error=connection_limit_reached',
    ]);
    expect(await refused.json()).toMatchObject({ detail: 'The service is at its limit.' });
    one.release();
    const log = await until(async () => {
      const text = await readFile(join(gateway.dir, 'access.log'), 'utf8');
      return text.includes("pool 'strict': at its limit") && text;
    }, 'its line in the access log');
    expect(log).toContain('"error":"connection_limit_reached"');
    expect(await metric(gateway, 'aya_pool_refused_total', '{pool="strict",reason="full"}')).toBe(1);
  });

  it('has a place for another as soon as one who waits has left', async () => {
    one.holds = true;
    begin('/orders', 4);
    await until(() => one.held.length === 4, 'all places are taken');
    const waiters = begin('/orders', 3);
    await until(async () => (await waiting()) === 3, 'they wait');
    for (const waiter of waiters) waiter.leave();
    await until(async () => (await waiting()) === 0, 'nobody waits');
    const [next] = begin('/orders', 1);
    await until(async () => (await waiting()) === 1, 'another waits');
    one.release();
    await until(() => next!.status() === 200, 'it is served');
    expect((await pool('orders')).saturation.inFlight).toBe(0);
  });

  it('has room for those of a higher priority in a queue that is full of lower ones', async () => {
    one.holds = true;
    begin('/orders', 4);
    await until(() => one.held.length === 4, 'all places are taken');
    const low = begin('/batch', 10);
    await until(async () => (await waiting()) === 10, 'those of low priority wait');
    // Its half of the queue is each thread's own, whatever the other has.
    const high = begin('/urgent', 5);
    await until(async () => (await waiting()) + (await displaced()) >= 15, 'those of high priority have come');
    one.release();
    await until(() => [...low, ...high].every(({ status }) => status() > 0), 'all are answered');
    expect(high.filter(({ status }) => status() !== 200)).toEqual([]);
  });

  it('lets those who wait go on waiting through a reload, and takes its new limit', async () => {
    one.holds = true;
    begin('/orders', 4);
    await until(() => one.held.length === 4, 'all places are taken');
    const waiters = begin('/orders', 2);
    await until(async () => (await waiting()) === 2, 'they wait');
    await gateway.write('orders.yaml', files(6)['orders.yaml']);
    expect((await gateway.reload()).status).toBe(200);
    const more = begin('/orders', 2);
    await until(() => one.held.length === 6, 'two more have come in');
    one.release();
    await until(() => [...waiters, ...more].every(({ status }) => status() === 200), 'all are served');
    await gateway.write('orders.yaml', files()['orders.yaml']);
    await gateway.reload();
  });

  it('says in the access log for how long a request has waited', async () => {
    await Promise.all(Array.from({ length: 12 }, () => get('/orders')));
    const lines = await until(async () => {
      const text = await readFile(join(gateway.dir, 'access.log'), 'utf8');
      return text.includes('"queuedMs":') && text;
    }, 'a line of one that waited');
    expect(lines).toMatch(/"durationMs":[\d.]+,"queuedMs":[\d.]+/);
    expect(await metric(gateway, 'aya_pool_waited_total', '{pool="orders"}')).toBeGreaterThan(0);
    expect(await metric(gateway, 'aya_pool_waited_seconds_total', '{pool="orders"}')).toBeGreaterThan(0);
  });
});

describe('an endpoint with a limit', () => {
  it('is passed over when it is full, and the others have their own', async () => {
    one.holds = true;
    two.holds = true;
    const asked = begin('/pair', 6);
    await until(() => one.held.length + two.held.length === 4, 'both are full');
    await until(async () => (await waiting('pair')) === 2, 'the others wait');
    expect([one.held.length, two.held.length]).toEqual([1, 3]);
    expect((await pool('pair')).endpoints).toMatchObject([
      { inFlight: 1, maxInFlight: 1 },
      { inFlight: 3, maxInFlight: 3 },
    ]);
    two.release();
    await until(() => asked.filter(({ status }) => status() === 200).length === 5, 'those who waited are served');
    expect(one.held.length).toBe(1);
    one.release();
    await until(() => asked.every(({ status }) => status() === 200), 'all are served');
  });
});

describe('a service of which several times its capacity is asked', () => {
  it('always has work, and all that it does is still waited for', async () => {
    const patience = () => AbortSignal.timeout(2_000);
    let [served, refused] = [0, 0];
    const client = async () => {
      while (served < 400) {
        const status = await get('/brisk', patience()).then(
          async (response) => (await response.text(), response.status),
          () => 0,
        );
        if (status === 200) served += 1;
        else if (status === 503) refused += 1;
      }
    };
    await within(Promise.all(Array.from({ length: 24 }, client)), 'four hundred are served', 40_000);
    const busy = one.levels.slice(20, 380);
    expect(one.most).toBe(8);
    // Of the four that it works on at once, on average: but for what a busy machine takes from clients and service alike.
    const worked = busy.reduce((sum, level) => sum + Math.min(level, 4), 0) / busy.length;
    expect(worked).toBeGreaterThanOrEqual(0.75 * 4);
    expect(served / one.levels.length).toBeGreaterThanOrEqual(0.9);
    expect(refused).toBeGreaterThan(0);
  });
});

it('has the places of a thread that dies, and whoever waits in another is served', async () => {
  const bench = new Bench();
  const upstream = await startUpstream('three', bench.answer);
  const fragile = await gatewayFixture({
    crashes: true,
    gateway: { threads: 2 },
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url], maxInFlight: { max: 4, queue } } },
        routes: [{ name: 'orders', pool: 'orders', retry: false }],
      },
    },
  });
  bench.holds = true;
  const statuses: number[] = [];
  const begun = Array.from({ length: 9 }, () => {
    const asked = ask(fragile.url, { agent: false }, (response) => {
      statuses.push(response.statusCode!);
      response.resume();
    });
    asked.on('error', () => statuses.push(-1)).end();
    return asked;
  });
  await until(() => bench.held.length === 4, 'all places are taken');
  await fragile.threads[0]!.terminate();
  await until(() => fragile.logs.some(({ event }) => event === 'thread_restarted'), 'the new thread');
  bench.release();
  await until(() => statuses.length === begun.length, 'all have ended');
  expect(statuses.filter((status) => status !== 200 && status !== -1)).toEqual([]);
  const after = await Promise.all(Array.from({ length: 12 }, async () => (await fetch(fragile.url)).status));
  expect(new Set(after)).toEqual(new Set([200]));
  const { body } = await fragile.admin('/pools');
  expect(JSON.parse(body)).toMatchObject({ pools: [{ saturation: { inFlight: 0, waiting: 0 } }] });
});
