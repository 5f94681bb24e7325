/** A gateway with caches of all kinds, on two threads, before an upstream that counts. What is stale says so by its Age. */
import { request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import { createHash } from 'node:crypto';
import { beforeAll, beforeEach, expect } from 'vitest';
import { gatewayFixture, type GatewayFixture } from './gateway.ts';
import { startUpstream, type Upstream } from './upstream.ts';

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
  /** The parts of Cache-Status. */
  readonly cache: string;
}

export type Play = (request: IncomingMessage, response: ServerResponse) => void;

export let gateway: GatewayFixture;
export let upstream: Upstream;
/** Of its own for each test. */
export let path: string;
let paths = 0;
/** What the upstream does. */
export const origin: { play: Play } = { play: give() };

export const SECRET = 'a-key-that-mobile-sends-0001';
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** @param store `cache.store` of gateway.yaml. */
export function startCache(store: () => Promise<string>): void {
  beforeAll(async () => {
    upstream = await startUpstream('origin', (request, response) => {
      request.resume();
      upstream.seen.push({
        method: request.method!,
        target: request.url!,
        fields: request.rawHeaders,
        body: Buffer.alloc(0),
        trailers: [],
        connection: 0,
      });
      origin.play(request, response);
    });
    const route = (name: string, cache: object, more: object = {}) => ({
      name,
      match: { path: `/${name}/*` },
      pool: 'origin',
      retry: false,
      cache,
      ...more,
    });
    gateway = await gatewayFixture({
      gateway: {
        threads: 2,
        cache: { memory: '2MiB', maxEntry: '128KiB', store: await store() },
        consumers: [
          { name: 'mobile', apiKeys: [{ sha256: sha256(SECRET) }] },
          { name: 'web', apiKeys: [{ sha256: sha256(`${SECRET}-2`) }] },
        ],
      },
      files: {
        'origin.yaml': {
          pools: { origin: { endpoints: [upstream.url], health: { passive: { consecutiveFailures: 1000 } } } },
          routes: [
            route('plain', {}),
            route('ttl', { ttl: '1h', negativeTtl: '1h', staleIfError: '1h', staleWhileRevalidate: '0ms' }),
            route('keyed', { key: { query: { only: ['page'] }, headers: ['x-tenant'] } }),
            route('unpaired', { collapse: '100ms' }),
            route('obeying', { clients: 'obey', ttl: '1h' }),
            route('guarded', { ttl: '1h' }, { auth: { apiKey: { header: 'x-api-key' } } }),
            route('common', { ttl: '1h', partition: 'none' }, { auth: { apiKey: { header: 'x-api-key' } } }),
            { name: 'hosts', match: { path: '/hosts/*' }, pool: 'origin', cache: { ttl: '1h' } },
          ],
        },
      },
    });
  });

  beforeEach(() => {
    upstream.clear();
    nextPath();
    origin.play = give({ 'cache-control': 'max-age=60' });
  });
}

export function nextPath(): string {
  return (path = `/plain/${++paths}`);
}

/** An answer whose body counts up. */
export function give(headers: Record<string, string | string[]> = {}, status = 200, body?: string): Play {
  return (_, response) => {
    const text = body ?? `answer ${upstream.requests}`;
    response.writeHead(status, { 'content-length': String(text.length), ...headers }).end(text);
  };
}

export function get(target = path, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = ask(
      { port: gateway.port, host: '127.0.0.1', agent: false, path: target, headers, method },
      (response) => {
        let body = '';
        response.setEncoding('latin1');
        response.on('data', (text: string) => (body += text));
        response.on('error', reject);
        response.on('end', () => {
          const cache = String(response.headers['cache-status'] ?? '');
          resolve({ status: response.statusCode!, headers: response.headers, body, cache });
        });
      },
    );
    sent.on('error', reject).end();
  });
}

/** Answers to the same question twice. @returns whether the second came from the store. */
export async function isStored(headers: Record<string, string> = {}, target = path): Promise<boolean> {
  await get(target, headers);
  const before = upstream.requests;
  const { cache } = await get(target, headers);
  const isHit = upstream.requests === before;
  expect(cache.startsWith('aya; hit')).toBe(isHit);
  return isHit;
}
export const metrics = async () => (await gateway.admin('/metrics')).body;

export function metric(page: string, outcome: string, route: string): number {
  const found = new RegExp(`aya_cache_requests_total\\{route="${route}",outcome="${outcome}"\\} (\\d+)`).exec(page);
  return Number(found?.[1] ?? 0);
}
