/** Streams whose reader stalls or leaves, or whose service dies: nothing piles up, nothing is passed off as whole. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { byPath, startUpstream, type Answer, type Upstream } from '../support/upstream.ts';

const MIB = 1024 * 1024;
const READERS = 40;

/** Streams that a service has begun, and has not been told the end of. */
const open = new Set<ServerResponse>();

const begin = (response: ServerResponse): void => {
  open.add(response);
  response.on('close', () => open.delete(response));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
};

/** Events as fast as they are taken. */
const flood: Answer = (_request, response) => {
  begin(response);
  const event = Buffer.from(`data: ${'x'.repeat(64 * 1024)}\n\n`);
  const write = (): void => {
    while (response.write(event));
  };
  response.on('drain', write);
  write();
};

/** Ten tokens, as if more were to come. */
const tokens: Answer = (_request, response) => {
  begin(response);
  for (let at = 0; at < 10; at++) response.write(`data: token ${at}\n\n`);
};

const DEATHS: readonly (readonly [string, (socket: Socket) => void])[] = [
  ['by a reset', (socket) => socket.resetAndDestroy()],
  ['by a close', (socket) => socket.end()],
  ['in the middle of a chunk', (socket) => socket.end('ff\r\ndata: tok')],
  ['with a chunk that is none', (socket) => socket.end('zz\r\n')],
];

/** One event, and nothing more. */
const still: Answer = (_request, response) => {
  begin(response);
  response.write('data: first\n\n');
};

let upstream: Upstream;
let gateway: GatewayFixture;

beforeAll(async () => {
  upstream = await startUpstream('models', byPath({ flood, tokens, still }));
  gateway = await gatewayFixture({
    // Else one address may have 200 connections.
    gateway: { trustedProxies: ['127.0.0.0/8'] },
    files: {
      'models.yaml': {
        pools: {
          models: { endpoints: [upstream.url], health: { passive: false }, connections: { max: 1_000 } },
        },
        routes: [
          {
            name: 'models',
            match: { path: '/*' },
            pool: 'models',
            retry: { attempts: 3, on: ['connect', 'reset', 'timeout', 502, 503, 504], budget: '100%' },
          },
          {
            name: 'stalled',
            match: { path: '/stalled/*' },
            pool: 'models',
            timeout: { streamIdle: '1500ms' },
          },
        ],
      },
    },
  });
});

beforeEach(() => upstream.clear());
afterEach(() => open.forEach((response) => response.destroy()));

const connections = (count: number) =>
  Promise.all(Array.from({ length: count }, () => RawConnection.open(gateway.port)));

describe('readers that stall in an event stream', () => {
  it('hold up their upstreams, take bounded memory, and are cut when they have stood still for the limit', async () => {
    const before = process.memoryUsage.rss();
    const readers = await connections(READERS);
    for (const { socket } of readers) socket.pause();
    for (const reader of readers) reader.send(request('GET', '/stalled/flood', 'any.test'));
    // On a busy machine the first may be cut before the last begins.
    await until(() => upstream.requests === READERS, 'all streams to begin');
    await until(() => [...open].every(({ writableNeedDrain }) => writableNeedDrain), 'all upstreams to wait');
    const grown = (process.memoryUsage.rss() - before) / MIB;
    // Gateway, service and clients are one process here. What the kernel holds of each stream, megabytes, is not in it.
    expect(grown).toBeLessThan(64);
    await until(() => open.size === 0, 'the cut');
    for (const reader of readers) reader.reset();
  });
});

describe('a stream of tokens whose service dies', () => {
  async function hearTen(version: string): Promise<{ client: RawConnection; service: Socket }> {
    const [client] = (await connections(1)) as [RawConnection];
    client.send(`GET /tokens HTTP/${version}\r\nHost: any.test\r\n\r\n`);
    await client.wait(() => client.received.includes('data: token 9\n\n'), 'the tenth token');
    const [response] = open;
    return { client, service: response!.socket! };
  }

  it.each(DEATHS)('%s breaks at the client, and is not asked for again', async (_death, die) => {
    const { client, service } = await hearTen('1.1');
    die(service);
    await until(() => client.closed !== 'open', 'the end');
    const text = client.received.toString();
    for (let at = 0; at < 10; at++) expect(text.split(`data: token ${at}\n\n`)).toHaveLength(2);
    expect(text).not.toMatch(/\r\n0\r\n/);
    expect(client.read().responses).toEqual([]);
    expect(upstream.requests).toBe(1);
  });

  it('breaks also for a client of HTTP/1.0, to whom an ordinary close would be the end', async () => {
    const { client, service } = await hearTen('1.0');
    service.end();
    await until(() => client.closed !== 'open', 'the end');
    expect(client.closed).toBe('reset');
    expect(upstream.requests).toBe(1);
  });
});

describe('a client that leaves its stream', () => {
  it('a thousand times leaves no stream and no connection at the upstream', async () => {
    for (let round = 0; round < 10; round++) {
      const clients = await connections(100);
      for (const client of clients) client.send(request('GET', '/still', 'any.test'));
      for (const client of clients) await client.wait(() => client.received.includes('first'), 'the first event');
      for (const [at, client] of clients.entries()) client[at % 2 === 0 ? 'reset' : 'close']();
      await until(() => open.size === 0, 'all streams to be left');
    }
    expect(upstream.requests).toBe(1_000);
    await until(() => upstream.open === 0, 'no connection at the upstream');
    const { body } = await gateway.admin('/metrics');
    expect(body).toMatch(/^aya_requests_in_flight 0$/m);
  });
});
