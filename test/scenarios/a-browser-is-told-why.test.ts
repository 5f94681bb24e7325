/** A page of another origin in front of a route with everything on: what its browser lets it do, and lets it read. */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { ask, request, type RawResponse } from '../support/raw-client.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const APP = 'https://app.test';
const KEY = 'a-key-that-nobody-guesses';
const SENT = [`X-Api-Key: ${KEY}`];
const AMBIENT = [`Cookie: key=${KEY}`];

let gateway: GatewayFixture;
let upstream: Upstream;

const guarded = (name: string, pool: string) => ({
  name,
  match: { path: `/${name}/*`, methods: ['GET', 'POST'] },
  pool,
  cors: { allowOrigins: [APP], allowHeaders: ['x-api-key'], allowCredentials: true },
  auth: { apiKey: { header: 'x-api-key', cookie: 'key' } },
  csrf: true,
  rateLimit: { max: 2, per: '1h', by: 'route' },
  securityHeaders: true,
});

beforeAll(async () => {
  upstream = await startUpstream('orders');
  const sha256 = createHash('sha256').update(KEY).digest('hex');
  gateway = await gatewayFixture({
    gateway: { consumers: [{ name: 'mobile', apiKeys: [{ sha256 }] }] },
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url] }, none: { endpoints: [] } },
        routes: [guarded('orders', 'orders'), guarded('limited', 'orders'), guarded('down', 'none')],
      },
    },
  });
});

async function send(method: string, path: string, fields: readonly string[] = []): Promise<RawResponse> {
  const { responses } = await ask(gateway.port, request(method, path, 'api.test', [`Origin: ${APP}`, ...fields]));
  return responses[0]!;
}

function expectReadable(answer: RawResponse, status: number): void {
  expect(answer.status).toBe(status);
  expect(answer.field('access-control-allow-origin')).toBe(APP);
  expect(answer.field('access-control-allow-credentials')).toBe('true');
  expect(answer.field('vary')).toContain('Origin');
  expect(answer.field('x-content-type-options')).toBe('nosniff');
}

describe('a page of another origin', () => {
  it('may ask first, without credentials, and is charged nothing for it', async () => {
    for (let times = 0; times < 5; times++) {
      const answer = await send('OPTIONS', '/orders/1', ['Access-Control-Request-Method: POST']);
      expectReadable(answer, 204);
      expect(answer.field('access-control-allow-headers')).toBe('x-api-key');
    }
    expect(upstream.requests).toBe(0);
    expectReadable(await send('POST', '/orders/1', SENT), 200);
  });

  it('reads that it has no credentials', async () => {
    expectReadable(await send('GET', '/orders/1'), 401);
  });

  it('reads that no service is there', async () => {
    expectReadable(await send('GET', '/down/1', SENT), 503);
  });

  it('reads that it asked too often', async () => {
    await send('GET', '/limited/1', SENT);
    await send('GET', '/limited/1', SENT);
    expectReadable(await send('GET', '/limited/1', SENT), 429);
  });

  it('may not act by credentials that came by themselves, and reads that too', async () => {
    upstream.clear();
    expectReadable(await send('POST', '/orders/1', AMBIENT), 403);
    expect(upstream.requests).toBe(0);
    expectReadable(await send('GET', '/orders/1', AMBIENT), 200);
  });
});
