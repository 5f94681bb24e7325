/** One line per request at its end, whatever the end was; and nothing in it that should not be known. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { Http2Client } from '../support/http2-client.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { byPath, closedPort, hang, startUpstream, type Upstream } from '../support/upstream.ts';

type Line = Readonly<Record<string, unknown>>;

let gateway: GatewayFixture;
let upstream: Upstream;

beforeAll(async () => {
  upstream = await startUpstream('one', byPath({ hang }));
  gateway = await gatewayFixture({
    gateway: { accessLog: { file: 'access.log' } },
    files: {
      'orders.yaml': {
        pools: {
          orders: { endpoints: [upstream.url] },
          dead: { endpoints: [`http://127.0.0.1:${await closedPort()}`] },
        },
        routes: [
          { name: 'orders', match: { path: '/*' }, pool: 'orders' },
          { name: 'old', match: { path: '/old' }, redirect: { path: '/new', status: 308 } },
          { name: 'dead', match: { path: '/dead' }, pool: 'dead', retry: { attempts: 1 } },
        ],
      },
    },
  });
});

async function lineOf(path: string): Promise<Line> {
  return until(async () => {
    const text = await readFile(join(gateway.dir, 'access.log'), 'utf8').catch(() => '');
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Line).find((line) => line['path'] === path);
  }, `the line of ${path}`);
}

it('of an answered request: where it went and how long that took, without query and credentials', async () => {
  const secret = 'canary-4711';
  await fetch(`${gateway.url}/one?token=${secret}`, {
    method: 'POST',
    body: 'hello',
    headers: { authorization: `Bearer ${secret}`, cookie: `session=${secret}`, 'user-agent': 'test"\u00e9' },
  });
  const line = await lineOf('/one');
  expect(line).toMatchObject({
    event: 'request',
    method: 'POST',
    protocol: 'HTTP/1.1',
    status: 200,
    route: 'orders',
    pool: 'orders',
    endpoint: upstream.url,
    attempts: 1,
    client: '127.0.0.1',
  });
  expect(line['requestId']).toMatch(/^[0-9a-f]{16}-/);
  expect(line['durationMs']).toBeGreaterThanOrEqual(line['upstreamMs'] as number);
  expect(line['bytesOut']).toBeGreaterThan(10);
  expect(await readFile(join(gateway.dir, 'access.log'), 'utf8')).not.toContain(secret);
});

it('of one that came as a stream of HTTP/2: that it did, and what it sent and got', async () => {
  const client = await Http2Client.connect(gateway.url);
  const { body } = await client.ask('/two', [':method', 'POST'], 'hello');
  expect(await lineOf('/two')).toMatchObject({ protocol: 'HTTP/2.0', status: 200, bytesIn: 5, bytesOut: body.length });
});

it('of one that no upstream took: the error, its reason and the tries', async () => {
  await fetch(`${gateway.url}/dead`);
  expect(await lineOf('/dead')).toMatchObject({ status: 502, route: 'dead', attempts: 2, error: 'connection_refused' });
});

it('of one that was refused: why', async () => {
  await fetch(`${gateway.url}/large`, { method: 'PUT', body: 'x'.repeat(2 * 1024 * 1024) }).catch(() => {});
  expect(await lineOf('/large')).toMatchObject({ status: 413, error: 'http_request_denied', attempts: 0 });
});

it('of one that was answered here: with which status', async () => {
  await fetch(`${gateway.url}/old`, { redirect: 'manual' });
  expect(await lineOf('/old')).toMatchObject({ status: 308, route: 'old', attempts: 0 });
});

it('of one whose client left: that it left', async () => {
  const connection = await RawConnection.open(gateway.port);
  upstream.clear();
  connection.send(request('GET', '/hang', 'any.test'));
  await until(() => upstream.requests === 1, 'the request at the upstream');
  connection.reset();
  expect(await lineOf('/hang')).toMatchObject({ status: 0, clientLeft: true, endpoint: upstream.url });
});
