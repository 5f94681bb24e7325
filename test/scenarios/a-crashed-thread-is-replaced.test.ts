/** One data thread dies, or stops turning its loop; the others do not notice. */
import { expect, it } from 'vitest';
import { gatewayFixture } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { timed, until } from '../support/until.ts';
import { slow, startUpstream } from '../support/upstream.ts';

async function start(threads: number) {
  const upstream = await startUpstream('orders', slow(5));
  const gateway = await gatewayFixture({
    crashes: true,
    gateway: { accessLog: { enabled: false }, threads },
    files: {
      'orders.yaml': { pools: { orders: { endpoints: [upstream.url] } }, routes: [{ name: 'orders', pool: 'orders' }] },
    },
  });
  return { gateway, upstream };
}

it('a thread that dies is soon replaced, and only its own connections feel it', async () => {
  const { gateway } = await start(2);
  const clients = 8;
  const load = startLoad(gateway.url, { clients, everyMs: 5 });
  await until(() => load.served > 100, 'load');
  const { ms } = await timed(async () => {
    await gateway.threads[0]!.terminate();
    await until(() => gateway.threads.length === 3, 'a new thread');
    await until(() => gateway.logs.some(({ event }) => event === 'thread_restarted'), 'its readiness');
  });
  expect(ms).toBeLessThan(6_000);
  const served = load.served;
  await until(() => load.served > served + 100, 'load behind the restart');
  await load.stop();
  // One request per connection was in flight at most, or began on a socket of the dying thread.
  expect(load.failed).toBeLessThanOrEqual(clients);
});

it('what a dead thread had in flight is taken out of the counts', async () => {
  const { gateway } = await start(2);
  const load = startLoad(gateway.url, { clients: 8 });
  await until(() => load.served > 50, 'load');
  await gateway.threads[0]!.terminate();
  await until(() => gateway.logs.some(({ event }) => event === 'thread_restarted'), 'the new thread');
  await load.stop();
  await until(async () => /"inFlight":\s*0\b/.test((await gateway.admin('/pools')).body), 'nothing in flight');
});

it('a gateway whose only thread dies serves again', async () => {
  const { gateway } = await start(1);
  await gateway.threads[0]!.terminate();
  await until(async () => (await fetch(`${gateway.url}/x`).catch(() => undefined))?.status === 200, 'an answer');
});

it('reloads reach a thread that was born after the start', async () => {
  const { gateway, upstream } = await start(1);
  await gateway.threads[0]!.terminate();
  await until(() => gateway.logs.some(({ event }) => event === 'thread_restarted'), 'the new thread');
  await gateway.write('orders.yaml', {
    pools: { orders: { endpoints: [upstream.url] } },
    routes: [{ name: 'new', match: { path: '/new' }, pool: 'orders' }],
  });
  expect((await gateway.reload()).status).toBe(200);
  expect((await fetch(`${gateway.url}/new`)).status).toBe(200);
  expect((await fetch(`${gateway.url}/x`)).status).toBe(404);
});
