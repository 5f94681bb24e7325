/** Endpoints that fail: what is tried again, what is left alone, and what the others feel of it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { reloadedGateway, type GatewayFixture } from '../support/gateway.ts';
import { ask, RawConnection, request, type RawResponse } from '../support/raw-client.ts';
import { timed, until } from '../support/until.ts';
import {
  closedPort,
  echo,
  slow,
  startUpstream,
  status,
  type Answer,
  type Echo,
  type Upstream,
} from '../support/upstream.ts';

const RETRY = { attempts: 2, on: ['connect', 'reset', 'timeout', 502, 503, 504] };

const reloaded = reloadedGateway();
let pools = 0;

function gatewayTo(pool: object, route: object = {}): Promise<GatewayFixture> {
  const name = `pool-${++pools}`;
  return reloaded({
    'pool.yaml': { pools: { [name]: pool }, routes: [{ name, pool: name, limits: { body: 'none' }, ...route }] },
  });
}

async function send(gateway: GatewayFixture, method = 'GET', body = ''): Promise<RawResponse> {
  const { responses } = await ask(gateway.port, request(method, '/x', 'any.test', ['Connection: close'], body), {
    answers: 0,
  });
  return responses[0]!;
}

async function sendMany(gateway: GatewayFixture, count: number, method = 'GET', body = ''): Promise<number[]> {
  const statuses: number[] = [];
  for (let at = 0; at < count; at++) statuses.push((await send(gateway, method, body)).status);
  return statuses;
}

const instanceOf = (answer: RawResponse) => (JSON.parse(answer.text()) as Echo).instance;
const resetWhole: Answer = (incoming) =>
  void incoming.on('data', () => {}).on('end', () => incoming.socket.resetAndDestroy());

/** A service that misbehaves only for as long as it is told to. */
function switchable(bad: Answer, good: Answer = echo): Answer & { isBad: boolean } {
  const answer = (...args: Parameters<Answer>) => (answer.isBad ? bad : good)(...args);
  answer.isBad = true;
  return answer;
}

describe('a retry', () => {
  let good: Upstream;

  beforeEach(async () => {
    good = await startUpstream('good');
  });

  it('of a GET goes to another endpoint when the first resets', async () => {
    const bad = await startUpstream('bad', resetWhole);
    const gateway = await gatewayTo(
      { endpoints: [bad.url, good.url], balance: 'round-robin', health: { passive: false } },
      { retry: { ...RETRY, budget: '100%' } },
    );
    expect(await sendMany(gateway, 10)).toEqual(Array(10).fill(200));
    expect(good.seen).toHaveLength(10);
    expect(bad.requests).toBeGreaterThan(0);
  });

  it('of a POST is not made once it was sent: it may have been done', async () => {
    const bad = await startUpstream('bad', resetWhole);
    const gateway = await gatewayTo(
      { endpoints: [bad.url, good.url], balance: 'round-robin', health: { passive: false } },
      { retry: { ...RETRY, budget: '100%' } },
    );
    const statuses = await sendMany(gateway, 10, 'POST', 'order');
    expect(statuses.filter((code) => code === 502)).toHaveLength(bad.requests);
    expect(statuses.filter((code) => code === 200)).toHaveLength(good.requests);
    expect(bad.requests + good.requests).toBe(10);
  });

  it('of a POST is made when nothing was sent', async () => {
    const dead = `http://127.0.0.1:${await closedPort()}`;
    const gateway = await gatewayTo(
      { endpoints: [dead, good.url], balance: 'round-robin', health: { passive: false } },
      { retry: { ...RETRY, budget: '100%' } },
    );
    expect(await sendMany(gateway, 10, 'POST', 'order')).toEqual(Array(10).fill(200));
    expect(good.seen.map(({ body }) => body.toString())).toEqual(Array(10).fill('order'));
  });

  it('of a body that was streamed is not made', async () => {
    const dying: Answer = (incoming) => {
      let length = 0;
      incoming.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > 2_000_000) incoming.socket.resetAndDestroy();
      });
      incoming.on('error', () => {});
    };
    const bad = await startUpstream('bad', dying);
    const gateway = await gatewayTo(
      { endpoints: [bad.url, { url: good.url, backup: true }], health: { passive: false } },
      { retry: { ...RETRY, budget: '100%' } },
    );
    const connection = await RawConnection.open(gateway.port);
    connection.send(`PUT /x HTTP/1.1\r\nHost: any.test\r\nContent-Length: 4000000\r\n\r\n${'x'.repeat(4_000_000)}`);
    expect((await connection.answer('PUT')).status).toBe(502);
    expect(good.requests).toBe(0);
    connection.close();
  });

  it('is bounded by its budget: an outage is not made worse', async () => {
    const failing = await startUpstream('failing', status(503));
    const gateway = await gatewayTo({ endpoints: [failing.url], health: { passive: false } }, { retry: RETRY });
    const statuses: number[] = [];
    for (let batch = 0; batch < 30; batch++) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => send(gateway)));
      statuses.push(...answers.map((answer) => answer.status));
    }
    expect(statuses).toEqual(Array(300).fill(503));
    expect(failing.requests).toBeLessThanOrEqual(300 * 1.2 + 10);
  });

  it('never makes the whole longer than the route’s limit', async () => {
    const slowly = await startUpstream('slowly', slow(5_000));
    const gateway = await gatewayTo(
      { endpoints: [slowly.url], health: { passive: false } },
      { retry: { ...RETRY, attempts: 5, budget: '100%' }, timeout: { head: '600ms', perTry: '250ms' } },
    );
    const { value, ms } = await timed(() => send(gateway));
    expect(value.status).toBe(504);
    expect(ms).toBeGreaterThan(450);
    // The service itself takes five seconds.
    expect(ms).toBeLessThan(3_000);
    expect(slowly.requests).toBeGreaterThan(1);
  });
});

describe('a kept connection', () => {
  it('that the service closes at the moment of reuse costs a GET nothing, retry or not', async () => {
    const closing: Answer = (incoming, response, upstream) => {
      echo(incoming, response, upstream);
      response.once('finish', () => setImmediate(() => incoming.socket.resetAndDestroy()));
    };
    const upstream = await startUpstream('closing', closing);
    const gateway = await gatewayTo({ endpoints: [upstream.url], health: { passive: false } });
    const connection = await RawConnection.open(gateway.port);
    const statuses: number[] = [];
    for (let at = 0; at < 60; at++) {
      connection.send(request('GET', `/${at}`, 'any.test'));
      statuses.push((await connection.answer()).status);
    }
    expect(statuses).toEqual(Array(60).fill(200));
    connection.close();
  });
});

describe('passive health', () => {
  it('takes a service that fails at once out of rotation', async () => {
    const hole = await startUpstream('hole', status(500));
    const good = [await startUpstream('good-1'), await startUpstream('good-2')];
    const gateway = await gatewayTo({ endpoints: [hole.url, ...good.map(({ url }) => url)], balance: 'round-robin' });
    await until(async () => {
      const before = hole.requests;
      const statuses = await sendMany(gateway, 6);
      return hole.requests === before && statuses.every((code) => code === 200);
    }, 'the ejection');
    expect(hole.requests).toBeLessThanOrEqual(12);
  });

  it('never ejects the last endpoint', async () => {
    const failing = await startUpstream('failing', status(500));
    const gateway = await gatewayTo({ endpoints: [failing.url] });
    expect(await sendMany(gateway, 20)).toEqual(Array(20).fill(500));
  });

  it('ejects no more than half of a pool', async () => {
    const failing = await Promise.all(['1', '2', '3', '4'].map((name) => startUpstream(name, status(500))));
    const gateway = await gatewayTo({ endpoints: failing.map(({ url }) => url), balance: 'round-robin' });
    await sendMany(gateway, 60);
    for (const upstream of failing) upstream.clear();
    await sendMany(gateway, 20);
    expect(failing.filter(({ requests }) => requests > 0).length).toBeGreaterThanOrEqual(2);
  });

  it('wins over a health endpoint that lies', async () => {
    const liar: Answer = (incoming, response, upstream) =>
      (incoming.url === '/healthz' ? echo : status(500))(incoming, response, upstream);
    const lying = await startUpstream('lying', liar);
    const good = await startUpstream('good');
    const gateway = await gatewayTo({
      endpoints: [lying.url, good.url],
      balance: 'round-robin',
      health: {
        active: { path: '/healthz', interval: '50ms', fastInterval: '50ms' },
        passive: { consecutiveFailures: 3, ejectFor: '30s' },
      },
    });
    await sendMany(gateway, 12);
    const answers = await sendMany(gateway, 10);
    expect(answers).toEqual(Array(10).fill(200));
  });

  it('brings an endpoint back when its time is over and it serves', async () => {
    const answer = switchable(status(500));
    const ill = await startUpstream('ill', answer);
    const good = await startUpstream('good');
    const gateway = await gatewayTo({
      endpoints: [ill.url, good.url],
      balance: 'round-robin',
      health: { passive: { consecutiveFailures: 3, ejectFor: '300ms' } },
    });
    await sendMany(gateway, 10);
    answer.isBad = false;
    await until(async () => instanceOf(await send(gateway)) === 'ill', 'the return');
  });
});

describe('active health', () => {
  const probe = {
    path: '/healthz',
    interval: '100ms',
    fastInterval: '50ms',
    timeout: '50ms',
    healthyAfter: 2,
    unhealthyAfter: 2,
  };

  it('takes a dead endpoint out before a request meets it, and back within two intervals', async () => {
    const [one, two] = [await startUpstream('one'), await startUpstream('two')];
    const gateway = await gatewayTo({
      endpoints: [one.url, two.url],
      balance: 'round-robin',
      health: { active: probe, passive: false, panic: { below: '10%' } },
    });
    await one.kill();
    await until(async () => (await gateway.admin('/pools')).body.includes('unhealthy'), 'the verdict');
    expect(await sendMany(gateway, 10)).toEqual(Array(10).fill(200));
    await one.revive();
    one.clear();
    const { ms } = await timed(() => until(async () => instanceOf(await send(gateway)) === 'one', 'the return'));
    expect(ms).toBeLessThan(5_000);
  });

  it.each([
    ['spread', 200],
    ['fail', 503],
  ] as const)('with all endpoints unhealthy, %s as configured', async (then, expected) => {
    const lost: Answer = (incoming, response, upstream) =>
      (incoming.url === '/healthz' ? status(500) : echo)(incoming, response, upstream);
    const upstreams = [await startUpstream('one', lost), await startUpstream('two', lost)];
    const gateway = await gatewayTo({
      endpoints: upstreams.map(({ url }) => url),
      health: { active: probe, passive: false, panic: { then } },
    });
    const isOut = async () => (await gateway.admin('/pools')).body.match(/"unhealthy"/g)?.length === 2;
    await until(isOut, 'both verdicts');
    const answer = await send(gateway);
    expect(answer.status).toBe(expected);
    if (then === 'fail') {
      expect(answer.field('retry-after')).toBeDefined();
      expect(answer.field('proxy-status')).toMatch(/error=destination_unavailable/);
    }
  });
});

describe('a pool whose endpoints are all dead', () => {
  it('says so, and other routes feel nothing', async () => {
    const live = await startUpstream('live');
    const dead = await Promise.all([closedPort(), closedPort()]);
    const gateway = await reloaded({
      'pools.yaml': {
        pools: {
          dead: { endpoints: dead.map((port) => `http://127.0.0.1:${port}`) },
          live: { endpoints: [live.url] },
        },
        routes: [
          { name: 'dead', match: { path: '/x' }, pool: 'dead' },
          { name: 'live', match: { path: '/live' }, pool: 'live' },
        ],
      },
    });
    for (const code of await sendMany(gateway, 40)) expect([502, 503]).toContain(code);
    const { responses } = await ask(gateway.port, request('GET', '/live', 'any.test'));
    expect(responses[0]?.status).toBe(200);
  });
});

describe('a slow endpoint', () => {
  it('of three gets under a tenth of the requests', async () => {
    const slowly = await startUpstream('slowly', slow(200));
    const fast = [await startUpstream('fast-1', slow(5)), await startUpstream('fast-2', slow(5))];
    const gateway = await gatewayTo({ endpoints: [slowly.url, ...fast.map(({ url }) => url)] });
    const client = async () => void (await sendMany(gateway, 40));
    await Promise.all(Array.from({ length: 12 }, client));
    const share = slowly.requests / (12 * 40);
    expect(share).toBeLessThan(0.1);
    expect(share).toBeGreaterThan(0);
  });
});
