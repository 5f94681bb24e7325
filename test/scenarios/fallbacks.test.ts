/** What a client gets when a pool cannot serve: another pool, or an answer of the gateway's own. Never half of each. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import {
  byPath,
  closedPort,
  hang,
  startUpstream,
  status,
  type Answer,
  type Echo,
  type Upstream,
} from '../support/upstream.ts';
import { echoBytes, openSocket, startSocketUpstream } from '../support/web-socket.ts';

/** Says how long it is, and breaks off in the middle. */
const half: Answer = (incoming, response) => {
  response.writeHead(200, { 'content-length': '1000' }).write('half of it');
  setImmediate(() => incoming.socket.resetAndDestroy());
};
const cached: Answer = (_, response) =>
  void response.writeHead(200, { 'cache-control': 'max-age=1, stale-if-error=60' }).end('true');

let failing: Upstream;
let standby: Upstream;
let mortal: Upstream;
let gateway: GatewayFixture;
let accessLog: string;

beforeAll(async () => {
  failing = await startUpstream('failing', byPath({ 503: status(503), half, hang, 404: status(404) }));
  standby = await startUpstream('standby');
  const sockets = await startSocketUpstream('sockets', { bytes: echoBytes });
  mortal = await startUpstream('mortal', byPath({ cached }));
  const dead = `http://127.0.0.1:${await closedPort()}`;
  const logs = await mkdtemp(join(tmpdir(), 'aya-fallbacks-'));
  cleanup(() => rm(logs, { recursive: true }));
  accessLog = join(logs, 'access.log');
  const menu = join(logs, 'menu.json');
  await writeFile(menu, '{"items":[]}');
  const quiet = { passive: false };
  const other = (pool: string, more: object = {}) => ({ fallback: { pool, ...more } });
  const answer = (more: object = {}) => ({ fallback: { status: 200, body: '{"degraded":true}', ...more } });
  const pools = {
    standby: { endpoints: [standby.url] },
    moved: { endpoints: [dead], health: quiet, ...other('standby') },
    chained: { endpoints: [dead], health: quiet, ...other('moved') },
    poor: { endpoints: [dead], health: quiet, ...answer({ headers: { 'x-degraded': 'yes' } }) },
    menu: { endpoints: [dead], health: quiet, ...answer({ status: 203, body: { file: menu } }) },
    ends: { endpoints: [dead], health: quiet, ...other('poor') },
    failing: { endpoints: [failing.url], health: quiet, ...other('standby', { on: [503, 'timeout', 'reset'] }) },
    polite: { endpoints: [failing.url], health: quiet, ...answer({ status: 202, on: [503] }) },
    empty: { endpoints: [], ...answer() },
    broken: {
      endpoints: [failing.url],
      health: quiet,
      breaker: { consecutive: 2, openFor: '60s' },
      ...other('standby'),
    },
    mortal: { endpoints: [mortal.url], health: quiet, ...other('standby') },
    sockets: { endpoints: [sockets.url] },
    unplugged: { endpoints: [dead], health: quiet, ...other('sockets') },
  };
  const route = (name: string, more: object = {}) => ({ name, match: { path: `/${name}/*` }, pool: name, ...more });
  gateway = await gatewayFixture({
    gateway: { threads: 1, accessLog: { enabled: true, sample: '0%', file: accessLog } },
    files: {
      'all.yaml': {
        pools,
        routes: [
          ...Object.keys(pools).map((name) => route(name, name === 'failing' ? { timeout: { perTry: '400ms' } } : {})),
          route('told', { pool: 'moved', fallback: false }),
          { name: 'split', match: { path: '/split/*' }, split: [{ pool: 'moved' }] },
          { ...route('kept', { pool: 'mortal' }), cache: { ttl: '1s', staleIfError: '1h' } },
          { ...route('store', { pool: 'moved' }), cache: { ttl: '1h' } },
        ],
      },
    },
  });
});

const get = (path: string, init: RequestInit = {}) => fetch(gateway.url + path, init);
const instanceOf = async (answer: Response) => ((await answer.json()) as Echo).instance;

describe('another pool', () => {
  it.each([
    ['where nobody can be reached', '/moved/1'],
    ['at the end of a chain', '/chained/1'],
    ['of the pool that a split has chosen', '/split/1'],
    ['for a status that it is asked for', '/failing/503'],
  ])('serves %s', async (_, path) => {
    const answer = await get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('proxy-status')).toBeNull();
    expect(await instanceOf(answer)).toBe('standby');
  });

  it('serves when the pool’s breaker is open', async () => {
    for (let at = 0; at < 2; at++) expect((await get('/broken/503')).status).toBe(503);
    expect(await instanceOf(await get('/broken/503'))).toBe('standby');
  });

  it('gets the whole of a body of which nothing was sent', async () => {
    const body = 'x'.repeat(300_000);
    const answer = await get('/moved/1', { method: 'POST', body });
    expect(answer.status).toBe(200);
    expect(((await answer.json()) as Echo).body).toHaveLength(body.length);
  });

  it('gets nothing that may have been done already', async () => {
    const before = standby.requests;
    const answer = await get('/failing/503', { method: 'POST', body: 'order' });
    expect(answer.status).toBe(503);
    expect(standby.requests).toBe(before);
  });

  it('serves what took too long, and not what has begun', async () => {
    expect(await instanceOf(await get('/failing/hang'))).toBe('standby');
    const broken = await get('/failing/half');
    expect(broken.status).toBe(200);
    await expect(broken.text()).rejects.toThrow();
  });

  it('is not asked for what the pool itself says', async () => {
    expect((await get('/failing/404')).status).toBe(404);
  });

  it('is not asked on a route that wants none', async () => {
    const answer = await get('/told/1');
    expect(answer.status).toBe(502);
    expect(answer.headers.get('proxy-status')).toContain('connection_refused');
  });

  it('takes a WebSocket over, which has no answer of ours', async () => {
    const socket = await openSocket(gateway.port, '/unplugged/bytes');
    expect(socket.answer.status).toBe(101);
    socket.connection.close();
    const refused = await openSocket(gateway.port, '/poor/bytes');
    expect(refused.answer.status).toBe(502);
    refused.connection.close();
  });

  it('is not asked for a client that has left', async () => {
    const connection = await RawConnection.open(gateway.port);
    const { aborted, requests } = failing;
    const before = standby.requests;
    connection.send(request('GET', '/failing/hang', 'any.test'));
    await until(() => failing.requests > requests, 'the request');
    connection.close();
    await until(() => failing.aborted > aborted, 'its end');
    await until(
      async () => /aya_requests_in_flight 0/.test((await gateway.admin('/metrics')).body),
      'nothing in flight',
    );
    expect(standby.requests).toBe(before);
  });
});

describe('an answer of the gateway’s own', () => {
  it('is given as it is written, is not to be stored, and does not pass for the upstream’s', async () => {
    const answer = await get('/poor/1');
    expect([answer.status, await answer.text()]).toEqual([200, '{"degraded":true}']);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'application/json',
      'content-length': '17',
      'cache-control': 'no-store',
      'x-degraded': 'yes',
      'proxy-status': 'aya; error=connection_refused',
    });
  });

  it.each([
    ['/empty/1', 200, 'aya; error=destination_unavailable'],
    ['/polite/503', 202, 'aya; received-status=503'],
    ['/ends/1', 200, 'aya; error=connection_refused'],
  ])('to %s is %d and says why: %s', async (path, expected, why) => {
    const answer = await get(path);
    expect([answer.status, answer.headers.get('proxy-status')]).toEqual([expected, why]);
    expect(await answer.json()).toEqual({ degraded: true });
  });

  it('may lie in a file', async () => {
    const answer = await get('/menu/1');
    expect([answer.status, await answer.text()]).toEqual([203, '{"items":[]}']);
  });

  it('has no body for HEAD', async () => {
    const { responses } = await ask(
      gateway.port,
      request('HEAD', '/poor/1', 'any.test') + request('GET', '/poor/2', 'any.test'),
      {
        answers: 2,
        methods: ['HEAD', 'GET'],
      },
    );
    expect(responses.map((answer) => [answer.status, answer.text().length])).toEqual([
      [200, 0],
      [200, 17],
    ]);
  });

  it('is given to one that sends a body, and to one whose order may have been done', async () => {
    for (const path of ['/poor/1', '/polite/503']) {
      const answer = await get(path, { method: 'POST', body: 'x'.repeat(200_000) });
      expect(await answer.json()).toEqual({ degraded: true });
    }
  });
});

describe('the cache', () => {
  it('rather gives what it has: an old truth is better', async () => {
    expect(await (await get('/kept/cached')).text()).toBe('true');
    await mortal.kill();
    const answers = await until(async () => {
      const answer = await get('/kept/cached');
      const text = await answer.text();
      return answer.headers.get('cache-status')?.includes('stale') === true || text !== 'true' ? [text] : undefined;
    }, 'the answer to be old');
    expect(answers).toEqual(['true']);
    expect(await instanceOf(await get('/kept/unknown'))).toBe('standby');
  });

  it('does not keep what stood in', async () => {
    const before = standby.requests;
    for (let at = 0; at < 3; at++) expect(await instanceOf(await get('/store/1'))).toBe('standby');
    expect(standby.requests).toBe(before + 3);
  });
});

it('each is counted by route, and stands in the access log with its reason, whatever is sampled', async () => {
  await get('/poor/logged');
  await get('/moved/logged');
  const { body } = await gateway.admin('/metrics');
  expect(body).toMatch(/aya_fallbacks_total\{route="moved",to="pool"\} [1-9]/);
  expect(body).toMatch(/aya_fallbacks_total\{route="poor",to="answer"\} [1-9]/);
  const lines = await until(async () => {
    const text = await readFile(accessLog, 'utf8');
    const found = text.split('\n').filter((line) => line.includes('/logged'));
    return found.length === 2 ? found.map((line) => JSON.parse(line) as Record<string, unknown>) : undefined;
  }, 'the lines');
  expect(lines.map(({ pool, fallback }) => ({ pool, fallback }))).toMatchObject([
    { pool: 'poor', fallback: { from: 'poor', because: expect.stringContaining('ECONNREFUSED') as string } },
    { pool: 'standby', fallback: { from: 'moved' } },
  ]);
});
