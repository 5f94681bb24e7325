/** The gateway itself has more to do than it can: what matters most is served for longest, and operators always are. */
import { expect, it } from 'vitest';
import { gatewayFixture } from '../support/gateway.ts';
import { metric } from '../support/metrics.ts';
import { until } from '../support/until.ts';
import { startUpstream } from '../support/upstream.ts';

it('refuses the lowest priority first and the highest last, answers operators, and recovers', async () => {
  const upstream = await startUpstream('orders');
  const gateway = await gatewayFixture({
    files: {
      'orders.yaml': {
        pools: { orders: { endpoints: [upstream.url] } },
        routes: ['high', 'normal', 'low'].map((priority) => ({
          name: priority,
          match: { path: `/${priority}` },
          pool: 'orders',
          priority,
        })),
      },
    },
  });
  const status = async (path: string) => (await fetch(gateway.url + path)).status;
  expect(await status('/low')).toBe(200);

  // Whatever it does, it has more than this.
  await gateway.write('../gateway.yaml', { ...NEEDED, shed: { memory: '1MiB' } });
  expect((await gateway.reload()).status).toBe(200);
  const order: string[] = [];
  await until(async () => {
    for (const priority of ['high', 'normal', 'low']) {
      if (!order.includes(priority) && (await status(`/${priority}`)) === 503) order.push(priority);
    }
    return order.length === 3;
  }, 'all are refused');
  expect(order).toEqual(['low', 'normal', 'high']);

  const refused = await until(async () => {
    const response = await fetch(`${gateway.url}/low`);
    return response.status === 503 ? response : undefined;
  }, 'a refusal');
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(await refused.json()).toMatchObject({
    error: 'connection_limit_reached',
    detail: 'The gateway is overloaded.',
  });
  expect([(await gateway.admin('/readyz')).status, (await gateway.admin('/livez')).status]).toEqual([200, 200]);
  expect(await metric(gateway, 'aya_shed_total', '{priority="low"}')).toBeGreaterThan(0);
  expect(await metric(gateway, 'aya_shedding')).toBeGreaterThan(2);

  await gateway.write('../gateway.yaml', { ...NEEDED, shed: { memory: '64GiB' } });
  await gateway.reload();
  await until(async () => (await status('/high')) === 200, 'those that matter most are served again');
});

const NEEDED = {
  listen: [{ host: '127.0.0.1', port: 0 }],
  threads: 1,
  accessLog: { enabled: false },
  admin: { host: '127.0.0.1', port: 0 },
  drain: { delay: '0ms', timeout: '5s' },
};
