/** Clients that keep their connections are let go from time to time, so that a balancer can spread them anew. */
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { byPath, slow, startUpstream, type Upstream } from '../support/upstream.ts';

const HOST = '127.0.0.1';
const GET = request('GET', '/x', 'api.test');

let upstream: Upstream;
let gateway: GatewayFixture;
/** Ports of the listeners. */
let three = 0;
let young = 0;
let both = 0;
let unlimited = 0;

beforeAll(async () => {
  upstream = await startUpstream('users', byPath({ slow: slow(700) }));
  const at = (limits: object) => ({ host: HOST, port: 0, limits });
  gateway = await gatewayFixture({
    gateway: {
      listen: [
        at({ maxRequestsPerConnection: 3 }),
        at({ maxConnectionAge: '400ms' }),
        at({ maxConnectionAge: '100ms', maxRequestsPerConnection: 10 }),
        at({ maxConnectionAge: '0s' }),
      ],
    },
    files: {
      'users.yaml': {
        pools: { users: { endpoints: [upstream.url], health: { passive: false } } },
        routes: [
          { name: 'users', pool: 'users' },
          { name: 'moved', match: { path: '/moved' }, redirect: { to: 'https://b.test/' } },
        ],
      },
    },
  });
  [three = 0, young = 0, both = 0, unlimited = 0] = gateway.ports;
});

async function opened(): Promise<number> {
  const { body } = await gateway.admin('/metrics');
  return Number(/^aya_connections_opened_total\{side="downstream"\} (\d+)/m.exec(body)?.[1] ?? 0);
}

describe('the answer to the last request', () => {
  it('that a connection may bring says so, and the ones before it do not', async () => {
    const connection = await RawConnection.open(three);
    const ends: (string | undefined)[] = [];
    for (let at = 0; at < 3; at++) {
      connection.send(GET);
      ends.push((await connection.answer()).field('connection'));
    }
    expect(ends).toEqual(['keep-alive', 'keep-alive', 'close']);
    await connection.wait(() => false, 'the close');
    expect(connection.closed).toBe('fin');
  });

  it('says so too when a plugin gives it, or when it is a refusal', async () => {
    for (const last of [request('GET', '/moved', 'api.test'), request('TRACE', '/x', 'api.test')]) {
      const connection = await RawConnection.open(three);
      for (const each of [GET, GET, last]) connection.send(each);
      await connection.wait(() => false, 'the close');
      const { responses, closed } = connection.read();
      expect(responses.map((response) => response.field('connection'))).toEqual(['keep-alive', 'keep-alive', 'close']);
      expect(closed).toBe('fin');
    }
  });

  it('is the last: what was sent behind it in one packet reaches no upstream', async () => {
    upstream.clear();
    const connection = await RawConnection.open(three);
    connection.send(GET.repeat(5));
    await connection.wait(() => false, 'the close');
    const { responses, leftover } = connection.read();
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(leftover.length).toBe(0);
    expect(upstream.requests).toBe(3);
  });
});

describe('a connection that is old', () => {
  it('ends with its next answer', async () => {
    const connection = await RawConnection.open(young);
    const ends: (string | undefined)[] = [];
    while (connection.closed === 'open' && ends.at(-1) !== 'close') {
      connection.send(GET);
      ends.push((await connection.answer()).field('connection'));
    }
    expect(ends[0]).toBe('keep-alive');
    expect(ends.at(-1)).toBe('close');
  });

  it('is not cut while it waits for an answer', async () => {
    const connection = await RawConnection.open(young);
    connection.send(request('GET', '/slow', 'api.test'));
    const answer = await connection.answer();
    expect([answer.status, answer.field('connection')]).toEqual([200, 'keep-alive']);
    connection.send(GET);
    expect((await connection.answer()).field('connection')).toBe('close');
  });

  it('is not cut while a request arrives, and is let go when it is idle', async () => {
    const connection = await RawConnection.open(young);
    for (const byte of GET.slice(0, -1)) {
      connection.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    connection.send(GET.slice(-1));
    expect((await connection.answer()).status).toBe(200);
    const idle = await RawConnection.open(young);
    await idle.wait(() => false, 'the close');
    expect(idle.closed).toBe('fin');
  });
});

it('no request is lost while connections come and go, and clients do come back', async () => {
  const before = await opened();
  const load = startLoad(`http://${HOST}:${both}`, { clients: 8, everyMs: 2 });
  await until(() => load.served > 1_000, 'load');
  await load.stop();
  expect(load.failures).toEqual([]);
  // 8 connections of at most 10 requests: at least 100 for 1,000.
  expect((await opened()) - before).toBeGreaterThanOrEqual(100);
});

it('without limits connections stay', async () => {
  const before = await opened();
  const load = startLoad(`http://${HOST}:${unlimited}`, { clients: 4, everyMs: 2 });
  await until(() => load.served > 500, 'load');
  await load.stop();
  expect(load.failures).toEqual([]);
  expect((await opened()) - before).toBe(4);
});
