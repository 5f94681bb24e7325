/** Clients of HTTP/2 that keep to its letter, and would hold for ever what they have asked for. */
import { once } from 'node:events';
import http2, { type ClientHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { cleanup } from '../support/cleanup.ts';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { answerOf, Http2Client } from '../support/http2-client.ts';
import { goaway, headers, PREFACE, settings } from '../support/h2-frames.ts';
import { metric } from '../support/metrics.ts';
import { until, within } from '../support/until.ts';
import { byPath, hang, startUpstream, type Echo } from '../support/upstream.ts';

let gateway: GatewayFixture;

beforeAll(async () => {
  const upstream = await startUpstream(
    'users',
    byPath({
      hang,
      large: (_request, response) => void response.end(Buffer.alloc(256 * 1024)),
      refused: (_request, response) => void response.writeHead(403).end('not you'),
    }),
  );
  gateway = await gatewayFixture({
    gateway: {
      listen: [
        {
          host: '127.0.0.1',
          port: 0,
          limits: { keepAlive: '300ms', headersTimeout: '300ms', requestTimeout: '300ms' },
        },
      ],
      defaults: { timeout: { idle: '300ms', head: '300ms' } },
    },
    files: {
      'users.yaml': {
        pools: { users: { endpoints: [upstream.url], health: { passive: false } } },
        routes: [
          { name: 'users', pool: 'users' },
          { name: 'known', match: { path: '/known' }, pool: 'users', auth: { apiKey: {} } },
          {
            name: 'judged',
            match: { path: '/judged' },
            pool: 'users',
            validate: { body: { schema: { type: 'object' } } },
          },
          {
            name: 'asked',
            match: { path: '/asked' },
            pool: 'users',
            auth: { forwardAuth: { pool: 'users', path: '/refused' } },
          },
        ],
      },
    },
  });
});

/** A request of a client that lets nothing of any answer but its head come. */
async function closedWindow(path: string): Promise<ClientHttp2Stream> {
  const session = http2.connect(gateway.url, { settings: { initialWindowSize: 0 } });
  session.on('error', () => {});
  cleanup(async () => session.destroy());
  await within(new Promise((resolve) => session.once('remoteSettings', resolve)), 'the settings');
  const stream = session.request({ ':path': path });
  stream.on('error', () => {});
  return stream;
}

describe('a client that opens no window is not waited for', () => {
  it.each([
    ['what it asks is refused', '/known', 401],
    ['what it asks is no request', '/../x', 400],
    ['nobody answers', '/hang', 504],
    ['a plugin answers', '/asked', 403],
  ])('where %s', async (_, path, status) => {
    const stream = await closedWindow(path);
    let answered = 0;
    stream.on('response', (headers) => (answered = headers[':status'] ?? 0));
    await until(() => stream.closed || undefined, 'the end of the stream');
    expect([answered, stream.rstCode]).toEqual([status, 2]);
    await until(
      async () => (await metric(gateway, 'aya_requests_in_flight')) === 0 || undefined,
      'the end of the request',
    );
    await until(() => stream.session === undefined || undefined, 'the end of the connection');
  });
});

it.each(['/x', '/judged'])('a body that does not come in its time is not waited for, at %s', async (path) => {
  const client = await Http2Client.connect(gateway.url);
  const stream = client.open([':method', 'POST', ':path', path, 'content-type', 'application/json']);
  stream.write('{');
  const { status, body } = await answerOf(stream);
  expect([status, body.toString()]).toEqual([408, expect.stringContaining('limits.requestTimeout')]);
});

describe('a client that keeps its side of a connection open', () => {
  const goodbye = goaway(0);
  const asked = headers(1, [
    [':method', 'GET'],
    [':path', '/'],
    [':scheme', 'http'],
    [':authority', 'a.test'],
  ]);

  it.each([
    ['it was told to go', []],
    ['it has had its answer', [asked]],
    ['it has said goodbye', [asked, goodbye]],
  ])('is not waited for once %s', async (_, frames) => {
    const socket = connect({ host: '127.0.0.1', port: gateway.port, allowHalfOpen: true });
    cleanup(async () => void socket.destroy());
    socket.resume().write(Buffer.concat([PREFACE, settings(), ...frames]));
    await until(async () => (await metric(gateway, 'aya_connections', 'downstream')) >= 1, 'the connection');
    await until(async () => (await metric(gateway, 'aya_connections', 'downstream')) === 0, 'its end');
  });
});

it('a client that gives up without an error, and says goodbye, leaves nothing of what it has not taken', async () => {
  const stream = await closedWindow('/large');
  const { session } = stream;
  await within(once(stream, 'response'), 'the head');
  stream.close(0);
  session!.close();
  await until(
    async () => (await metric(gateway, 'aya_requests_in_flight')) === 0 || undefined,
    'the end of the request',
  );
  await until(async () => (await metric(gateway, 'aya_connections', 'downstream')) === 0, 'the end of its connection');
});

describe('an expectation', () => {
  it('is met however it is spelt', async () => {
    const client = await Http2Client.connect(gateway.url);
    const stream = client.open([':method', 'POST', ':path', '/x', 'expect', '100-Continue']);
    stream.once('continue', () => stream.end('now'));
    const { status, body } = await answerOf(stream);
    expect([status, (JSON.parse(body.toString()) as Echo).body]).toEqual([200, 'now']);
  });

  it('that nobody knows is refused', async () => {
    const client = await Http2Client.connect(gateway.url);
    expect((await client.ask('/x', [':method', 'POST', 'expect', 'fancy'], 'x')).status).toBe(417);
  });
});
