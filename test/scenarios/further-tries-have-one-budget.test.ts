/** Retries and hedges through real sockets: what they give a client, and what they must not cost a service. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { metric } from '../support/metrics.ts';
import { ask, RawConnection, request } from '../support/raw-client.ts';
import { timed, until } from '../support/until.ts';
import { echo, hang, slow, startUpstream, status, type Answer, type Echo, type Upstream } from '../support/upstream.ts';

const PASSIVE_OFF = { passive: false };

/** What the two instances of the fleet do now. */
const behaviour: { one: Answer; two: Answer } = { one: echo, two: echo };
let one: Upstream;
let two: Upstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  one = await startUpstream('one', (...args) => behaviour.one(...args));
  two = await startUpstream('two', (...args) => behaviour.two(...args));
  const pool = (endpoints: readonly Upstream[], rest: object = {}) => ({
    endpoints: endpoints.map(({ url }) => url),
    balance: 'round-robin',
    health: PASSIVE_OFF,
    ...rest,
  });
  const first = [one.url, { url: two.url, backup: true }];
  const route = (name: string, rest: object = {}) => ({ name, match: { path: `/${name}/*` }, pool: name, ...rest });
  gateway = await gatewayFixture({
    gateway: { threads: 2, accessLog: { file: 'access.log' } },
    files: {
      'fleet.yaml': {
        pools: {
          brownout: pool([one, two]),
          storm: pool([one]),
          asked: pool([one]),
          hedged: pool([one, two]),
          learnt: pool([one, two]),
          killed: pool([one, two], { health: {} }),
          alone: { endpoints: first, health: PASSIVE_OFF },
        },
        routes: [
          route('brownout', { retry: { attempts: 2, on: ['reset', 503] } }),
          route('storm', {
            retry: { attempts: 1, budget: '100%', backoff: { base: '600ms', max: '600ms' } },
            timeout: { head: '10s' },
          }),
          route('asked', { retry: { on: [503], budget: '100%', retryAfter: '2s' }, timeout: { head: '3s' } }),
          route('hedged', { hedge: { after: '50ms' }, retry: { budget: '100%' } }),
          route('learnt', { hedge: {}, retry: { budget: '100%' } }),
          route('killed'),
          route('alone', { hedge: { after: '20ms' }, retry: { budget: '100%' } }),
        ],
      },
    },
  });
});

beforeEach(() => {
  behaviour.one = behaviour.two = echo;
  one.clear();
  two.clear();
});

const get = (path: string, init: RequestInit = {}) => fetch(gateway.url + path, init);
const instanceOf = async (answer: Response) => ((await answer.json()) as Echo).instance;

async function lineOf(path: string): Promise<Record<string, unknown>> {
  return until(async () => {
    const text = await readFile(join(gateway.dir, 'access.log'), 'utf8').catch(() => '');
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>).find((line) => line['path'] === path);
  }, `the line of ${path}`);
}

describe('in a brown-out', () => {
  it('a service that answers nothing but 503 gets at most 1.1 times what the clients send', async () => {
    behaviour.one = behaviour.two = status(503);
    const load = startLoad(gateway.url, { clients: 16, path: '/brownout/x', everyMs: 2 });
    await until(() => load.failed >= 600, 'six hundred requests', 30_000);
    await load.stop();
    expect(load.served).toBe(0);
    const tries = one.requests + two.requests;
    expect(tries).toBeLessThanOrEqual(load.failed * 1.1 + 10);
    // It is the budget that bounds them, not that nobody tried.
    expect(tries).toBeGreaterThan(load.failed * 1.05);
    expect(await metric(gateway, 'aya_retries_withheld_total', 'route="brownout",reason="budget"')).toBeGreaterThan(0);
  });

  it('a POST that was sent is never sent again, and that is counted', async () => {
    behaviour.one = behaviour.two = status(503);
    const before = await metric(gateway, 'aya_retries_withheld_total', 'reason="method"');
    for (let at = 0; at < 5; at++) expect((await get('/brownout/x', { method: 'POST', body: 'x' })).status).toBe(503);
    expect(one.requests + two.requests).toBe(5);
    expect(await metric(gateway, 'aya_retries_withheld_total', 'reason="method"')).toBe(before + 5);
  });
});

it('all that an instance had open when it was killed is served by the other, a few at a time', async () => {
  behaviour.one = behaviour.two = slow(60);
  const load = startLoad(gateway.url, { clients: 60, path: '/killed/x' });
  await until(() => load.served > 500 && two.requests > 200, 'load');
  await two.kill();
  const atKill = load.served;
  await until(() => load.served > atKill + 300, 'load without it');
  await load.stop();
  await two.revive();
  expect(load.failures).toEqual([]);
});

it('a hundred clients that fail together do not return together, nor later than the route allows', async () => {
  const began: (() => void)[] = [];
  /** In the order of their return; they began in the order of their numbers. */
  const returned: number[] = [];
  behaviour.one = (incoming, response, upstream) => {
    if (upstream.requests > 100) {
      returned.push(Number(incoming.url!.split('/').at(-1)));
      return echo(incoming, response, upstream);
    }
    began.push(() => incoming.socket.resetAndDestroy());
    if (began.length === 100) for (const fail of began) fail();
  };
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, at) => get(`/storm/${at}`, { headers: { connection: 'close' } })),
  );
  expect(answers.map((answer) => answer.status)).toEqual(Array(100).fill(200));
  expect(returned).toHaveLength(100);
  // Without jitter they would return as they failed; of a shuffled pair, one in two has changed places.
  const swapped = returned.flatMap((first, at) => returned.slice(at + 1).filter((second) => second < first)).length;
  expect(swapped / (50 * 99)).toBeGreaterThan(0.25);
});

describe('an answer that asks to be left alone', () => {
  const busyFor = (seconds: string): Answer => {
    let asked = 0;
    return (incoming, response, upstream) => {
      if (asked++ > 0) return echo(incoming, response, upstream);
      response.writeHead(503, { 'retry-after': seconds, 'content-length': '0' }).end();
    };
  };

  it('is asked again when that time is over', async () => {
    behaviour.one = busyFor('1');
    const { value, ms } = await timed(() => get('/asked/soon'));
    expect(value.status).toBe(200);
    expect(ms).toBeGreaterThanOrEqual(1_000);
  });

  it.each(['3', '3600'])('is the client’s when it asks for %s seconds', async (seconds) => {
    behaviour.one = busyFor(seconds);
    const answer = await get('/asked/later');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, seconds]);
    expect(one.requests).toBe(1);
  });
});

describe('a hedge', () => {
  it('gives the client another instance’s answer when one hangs, and leaves the other at once', async () => {
    behaviour.one = hang;
    for (let at = 0; at < 6; at++) expect(await instanceOf(await get(`/hedged/${at}`))).toBe('two');
    await until(() => one.aborted === one.requests, 'it is left');
    expect(one.requests).toBeGreaterThan(0);
    expect(await metric(gateway, 'aya_hedges_total', 'route="hedged",result="won"')).toBe(one.requests);
    const lines = await Promise.all([0, 1, 2, 3, 4, 5].map((at) => lineOf(`/hedged/${at}`)));
    expect(lines.filter((line) => line['hedged'] === 1 && line['attempts'] === 2)).toHaveLength(one.requests);
    for (const line of lines) expect(line['endpoint']).toBe(two.url);
  });

  it('teaches the averages how long was waited, without a verdict', async () => {
    behaviour.one = hang;
    for (let at = 0; at < 4; at++) await get('/hedged/x');
    const { body } = await gateway.admin('/pools');
    const { pools } = JSON.parse(body) as {
      pools: { name: string; endpoints: { url: string; averageMs: number }[] }[];
    };
    const [waitedFor] = pools.find(({ name }) => name === 'hedged')!.endpoints.filter(({ url }) => url === one.url);
    expect(waitedFor!.averageMs).toBeGreaterThanOrEqual(50);
    expect(
      await metric(gateway, 'aya_upstream_attempts_total', `pool="hedged",endpoint="${one.url}",outcome="failure"`),
    ).toBe(0);
  });

  it('is not made of a POST, nor of a body that streams, nor of a WebSocket', async () => {
    behaviour.one = behaviour.two = slow(150);
    const body = () => new ReadableStream({ start: (stream) => (stream.enqueue(Buffer.from('x')), stream.close()) });
    await get('/hedged/post', { method: 'POST', body: 'x' });
    await get('/hedged/put', { method: 'PUT', body: body(), duplex: 'half' } as RequestInit);
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    await ask(gateway.port, request('GET', '/hedged/ws', 'any.test', [...upgrade, `Sec-WebSocket-Key: ${KEY}`]));
    expect(one.requests + two.requests).toBe(3);
    await get('/hedged/get');
    expect(one.requests + two.requests).toBe(5);
  });

  it('is not made when all others are only backups, and says so', async () => {
    behaviour.one = slow(100);
    expect(await instanceOf(await get('/alone/x'))).toBe('one');
    expect(two.requests).toBe(0);
    expect(await metric(gateway, 'aya_hedges_withheld_total', 'route="alone",reason="endpoint"')).toBe(1);
  });

  it('comes when 95 of 100 answers would have, once that is learnt', async () => {
    for (let at = 0; at < 80; at++) expect((await get('/learnt/x')).status).toBe(200);
    behaviour.one = hang;
    for (let at = 0; at < 6; at++) expect(await instanceOf(await get('/learnt/y'))).toBe('two');
    expect(one.requests).toBeGreaterThan(0);
    expect(await metric(gateway, 'aya_pool_p95_seconds', 'pool="learnt"')).toBeGreaterThan(0);
    const { pools } = JSON.parse((await gateway.admin('/pools')).body) as {
      pools: { name: string; furtherTries: { extra: number; underWay: number } }[];
    };
    const { furtherTries } = pools.find(({ name }) => name === 'learnt')!;
    expect(furtherTries.underWay).toBe(0);
    expect(furtherTries.extra).toBeGreaterThan(0);
  });

  it('passes large answers on whole, and a client that leaves ends both tries', async () => {
    const whole = 'x'.repeat(300_000);
    behaviour.one = hang;
    behaviour.two = (_incoming, response) => void response.end(whole);
    for (let at = 0; at < 2; at++) expect(await (await get('/hedged/large')).text()).toBe(whole);
    one.clear();
    two.clear();
    behaviour.two = hang;
    const client = await RawConnection.open(gateway.port);
    client.send(request('GET', '/hedged/gone', 'any.test'));
    await until(() => one.requests + two.requests === 2, 'both are asked');
    client.close();
    await until(() => one.aborted + two.aborted === 2, 'both are left');
  });
});

const KEY = Buffer.alloc(16).toString('base64');
