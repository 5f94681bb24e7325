/** Clients that hold, flood and leave, in numbers: each is cut at its limit, and the others are served meanwhile. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { byPath, hang, slow, startUpstream, type Answer, type Upstream } from '../support/upstream.ts';

let upstream: Upstream;
let gateway: GatewayFixture;

/** A first byte, and the rest when the client is gone or never. */
const begun: Answer = (_request, response) => {
  response.writeHead(200, { 'content-length': '1000' });
  response.write('x');
};

beforeAll(async () => {
  upstream = await startUpstream('upstream', byPath({ hang, slow: slow(100), begun }));
  gateway = await gatewayFixture({
    gateway: {
      listen: [
        {
          host: '127.0.0.1',
          port: 0,
          limits: { headersTimeout: '1s', requestTimeout: '2s', keepAlive: '2s', connectionsPerClient: 2_000 },
        },
      ],
    },
    files: {
      'clients.yaml': {
        pools: { all: { endpoints: [upstream.url], health: { passive: false } } },
        routes: [{ name: 'all', pool: 'all', retry: false }],
      },
    },
  });
});

beforeEach(() => upstream.clear());

const openMany = (count: number) => Promise.all(Array.from({ length: count }, () => RawConnection.open(gateway.port)));

async function expectServed(): Promise<void> {
  const { responses } = await ask(gateway.port, request('GET', '/probe', 'any.test'));
  expect(responses.map(({ status }) => status)).toEqual([200]);
}

const closed = (connections: readonly RawConnection[]) => connections.every((one) => one.closed !== 'open');

describe('in numbers', () => {
  it('heads that never end are cut at their limit, and others are served meanwhile', async () => {
    const connections = await openMany(200);
    for (const connection of connections) connection.send('GET /x HTTP/1.1\r\nHost: any.test\r\n');
    // A byte now and then is no progress.
    const drip = setInterval(() => {
      for (const connection of connections) if (connection.closed === 'open') connection.send('X');
    }, 100);
    await expectServed();
    await until(() => closed(connections), 'all cut', 8_000).finally(() => clearInterval(drip));
    for (const connection of connections) {
      for (const { status } of connection.read().responses) expect(status).toBe(408);
    }
    expect(upstream.seen.map(({ target }) => target)).toEqual(['/probe']);
    for (const connection of connections) connection.close();
  });

  it('bodies that never end are cut at their limit, and their upstream connections with them', async () => {
    const connections = await openMany(100);
    const head = 'POST /x HTTP/1.1\r\nHost: any.test\r\nContent-Length: 1000\r\n\r\n';
    for (const connection of connections) connection.send(`${head}half`);
    await until(() => upstream.requests === 100, 'all heads at the upstream');
    await expectServed();
    await until(() => closed(connections), 'all cut');
    await until(() => upstream.open <= 1, 'no upstream connection held');
    expect(upstream.seen.map(({ target }) => target)).toEqual(['/probe']);
    for (const connection of connections) connection.close();
  });

  it('a GET that announces a body and sends none is cut too', async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send('GET /x HTTP/1.1\r\nHost: any.test\r\nContent-Length: 10\r\n\r\n');
    await connection.wait(() => false, 'the close');
    for (const { status } of connection.read().responses) expect(status).toBe(408);
    expect(upstream.seen).toEqual([]);
    connection.close();
  });

  it('idle connections cost no service, and are closed at their limit', async () => {
    const connections = await openMany(1_000);
    await expectServed();
    await until(() => closed(connections), 'all closed');
    for (const connection of connections) connection.close();
    await expectServed();
  });

  it('requests that do not wait for their answers are bounded on each connection', async () => {
    const bytes = request('GET', '/slow', 'any.test') + request('GET', '/x', 'any.test').repeat(3_000);
    const result = await ask(gateway.port, bytes, { answers: 0 });
    const statuses = result.responses.map(({ status }) => status);
    expect(statuses.slice(0, -1)).toEqual(Array(128).fill(200));
    expect(statuses.at(-1)).toBe(503);
    expect(result.responses.at(-1)?.field('connection')).toBe('close');
    expect(result.closed).not.toBe('open');
    expect(upstream.requests).toBe(128);
    await expectServed();
  });
});

describe('a reset at any stage', () => {
  /** What the client has sent, and what must have happened, when it goes. */
  type Stage = [stage: string, bytes: string, when: (connection: RawConnection) => boolean];
  const atOnce = () => true;
  const STAGES: Stage[] = [
    ['before a byte', '', atOnce],
    ['inside the request line', 'GET /x', atOnce],
    ['inside the head', 'GET /x HTTP/1.1\r\nHost: any', atOnce],
    ['behind the head', 'POST /x HTTP/1.1\r\nHost: any.test\r\nContent-Length: 10\r\n\r\n', atOnce],
    [
      'waiting for 100',
      'POST /x HTTP/1.1\r\nHost: any.test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n',
      atOnce,
    ],
    ['inside the body', 'POST /x HTTP/1.1\r\nHost: any.test\r\nContent-Length: 10\r\n\r\nhalf', atOnce],
    ['inside a chunk', 'POST /x HTTP/1.1\r\nHost: any.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe', atOnce],
    [
      'inside the trailers',
      'POST /hang HTTP/1.1\r\nHost: any.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-',
      atOnce,
    ],
    ['behind the request', request('GET', '/hang', 'any.test'), atOnce],
    ['inside the answer', request('GET', '/begun', 'any.test'), (connection) => connection.received.includes('\r\nx')],
    ['behind a refusal', 'GET /x HTTP/1.1\r\n\r\n', (connection) => connection.received.includes('400')],
    ['with a second request waiting', request('GET', '/hang', 'any.test') + request('GET', '/x', 'any.test'), atOnce],
  ];

  it.each(STAGES)('leaves nothing behind, forty times: %s', async (_stage, bytes, when) => {
    const connections = await openMany(40);
    for (const connection of connections) if (bytes !== '') connection.send(bytes);
    // Half as soon as may be, half when what was sent has got as far as it will.
    for (const connection of connections.slice(20)) connection.reset();
    for (const connection of connections.slice(0, 20)) await connection.wait(() => when(connection), 'the stage');
    await expectServed();
    for (const connection of connections.slice(0, 20)) connection.reset();
    await until(() => upstream.open <= 20, 'no upstream connection in use');
    await until(async () => (await inFlight()) === 0, 'nothing in flight');
    await expectServed();
  });

  async function inFlight(): Promise<number> {
    const { body } = await gateway.admin('/pools');
    const { pools } = JSON.parse(body) as { pools: { endpoints: { inFlight: number }[] }[] };
    return pools[0]!.endpoints[0]!.inFlight;
  }
});
