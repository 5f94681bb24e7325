import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cleanup } from '../../test/support/cleanup.ts';
import { gatewayFixture } from '../../test/support/gateway.ts';
import { until } from '../../test/support/until.ts';
import { closedPort, startUpstream } from '../../test/support/upstream.ts';
import { explain } from './explain.ts';
import { plan } from './plan.ts';

const TOKEN = 'a-token-of-sixteen';

/** A gateway that runs, and a checkout of its files. */
async function startGateway() {
  const upstream = await startUpstream('orders');
  const refusing = `http://127.0.0.1:${await closedPort()}`;
  const health = { active: { interval: '50ms', unhealthyAfter: 1 }, panic: { below: '10%' } };
  const files = {
    'orders.yaml': {
      pools: { orders: { endpoints: [upstream.url, refusing], health } },
      routes: [{ name: 'orders', match: { path: '/orders/*' }, pool: 'orders' }],
    },
  };
  const gateway = await gatewayFixture({ gateway: { admin: { host: '127.0.0.1', port: 0, token: TOKEN } }, files });
  const dir = await mkdtemp(join(tmpdir(), 'aya-'));
  cleanup(() => rm(dir, { recursive: true, force: true }));
  await cp(gateway.dir, dir, { recursive: true });
  return { gateway, dir, upstream, refusing, files, admin: { admin: gateway.adminUrl, token: TOKEN } };
}

describe('against a running gateway', () => {
  it('plan finds nothing to change in a checkout of the same files', async () => {
    const { dir, admin } = await startGateway();
    expect(await plan(dir, { ...admin, exitCode: true })).toMatchObject({
      exitCode: 0,
      out: `nothing would change in the gateway at ${admin.admin}`,
    });
  });

  it('plan names what was added, removed and changed, and what only a restart brings', async () => {
    const { dir, admin, upstream, refusing, files } = await startGateway();
    const { pools, routes } = files['orders.yaml'];
    const next = {
      pools: { orders: { ...pools.orders, balance: 'random', endpoints: [upstream.url] } },
      routes: [
        { ...routes[0], timeout: { total: '3s' } },
        { name: 'returns', match: { path: '/returns/*' }, pool: 'orders' },
      ],
    };
    await writeFile(join(dir, 'routes.d/orders.yaml'), JSON.stringify(next));
    await writeFile(
      join(dir, 'gateway.yaml'),
      JSON.stringify({ listen: [{ host: '127.0.0.1', port: 0 }], threads: 2 }),
    );

    const { out = '', exitCode } = await plan(dir, { ...admin, exitCode: true });
    expect(exitCode).toBe(3);
    expect(out).toMatch(/^~ gateway\.yaml: .*\bthreads\b/m);
    expect(out).toMatch(/^~ pool orders: balance$/m);
    expect(out).toContain(`- endpoint orders ${refusing}`);
    expect(out).toMatch(/^~ route orders: timeout\.total$/m);
    expect(out).toMatch(/^\+ route returns$/m);
    expect(out).toMatch(/only a restart brings .*threads/);
    // Without --exit-code a plan that could be made is a success.
    expect((await plan(dir, admin)).exitCode).toBe(0);
  });

  it('plan asks for the token that the admin server wants', async () => {
    const { dir, gateway } = await startGateway();
    await expect(plan(dir, { admin: gateway.adminUrl, token: 'another-token-here' })).rejects.toThrow(
      'AYA_ADMIN_TOKEN',
    );
  });

  it('explain shows the state that the gateway sees, and that it serves other files', async () => {
    const { gateway, dir, admin, refusing } = await startGateway();
    await until(async () => {
      const answer = await fetch(`${gateway.adminUrl}/pools`, { headers: { authorization: `Bearer ${TOKEN}` } });
      return (await answer.text()).includes('unhealthy');
    }, 'the refusing endpoint to be unhealthy');
    const asked = { dir, header: [], client: '127.0.0.1', ...admin };
    const { out = '' } = await explain('GET', '/orders/7', asked);
    expect(out).toMatch(new RegExp(`skipped +${refusing} .*unhealthy since .*refused`));
    expect(out).toContain(`state as the gateway at ${gateway.adminUrl} sees it`);
    expect(out).not.toContain('another configuration');

    await writeFile(
      join(dir, 'routes.d/more.yaml'),
      JSON.stringify({ routes: [{ name: 'more', match: { path: '/more' }, pool: 'orders' }] }),
    );
    expect((await explain('GET', '/orders/7', asked)).out).toContain('another configuration than these files');
  });
});
