import type { FastifyReply } from 'fastify';
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/data/exchange.ts';
import type { PluginContext } from '../../src/extension.ts';
import rewrite from './index.ts';

/** Path, query and host as they leave, and what `done` was given. */
function pass(options: Parameters<typeof rewrite.create>[0], path: string) {
  const upstream = { target: `${path}?q=1`, fields: ['host', 'a.test'] };
  const exchange = { path, search: 'q=1', matchedPrefix: '/orders', upstream } as unknown as Exchange;
  const given: unknown[] = [];
  rewrite.create(options, {} as PluginContext).onRequest!(exchange, {} as FastifyReply, (error) => given.push(error));
  return { upstream, given };
}

describe('the rewrite of a route', () => {
  it('changes what leaves and goes on', () => {
    expect(pass({ prefix: '/v1', host: 'orders.internal' }, '/orders/7')).toEqual({
      upstream: { target: '/v1/7?q=1', fields: ['host', 'orders.internal'] },
      given: [undefined],
    });
  });

  it('refuses with 400 when the new path is unsafe', () => {
    const { given, upstream } = pass({ regex: '^/orders', to: '' }, '/orders../admin');
    expect(given).toMatchObject([{ status: 400 }]);
    expect(upstream.target).toBe('/orders../admin?q=1');
  });
});
