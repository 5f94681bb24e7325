/** SIGTERM: readiness fails first, then nothing new, and what was begun is finished. */
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { gatewayFixture, type GatewayFixture } from '../support/gateway.ts';
import { startLoad } from '../support/load.ts';
import { RawConnection, request } from '../support/raw-client.ts';
import { timed, until } from '../support/until.ts';
import { byPath, hang, slow, startUpstream, type Answer, type Upstream } from '../support/upstream.ts';

/** Events until the client leaves. */
const events: Answer = (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write('data: first\n\n');
};

async function start(drain: object): Promise<{ gateway: GatewayFixture; upstream: Upstream }> {
  const upstream = await startUpstream('orders', byPath({ slow: slow(400), hang, events }));
  const gateway = await gatewayFixture({
    gateway: { accessLog: { enabled: false }, threads: 2, drain },
    files: {
      'orders.yaml': { pools: { orders: { endpoints: [upstream.url] } }, routes: [{ name: 'orders', pool: 'orders' }] },
    },
  });
  return { gateway, upstream };
}

describe('a drain', () => {
  it('completes every request that was begun, and tells kept connections to go', async () => {
    const { gateway, upstream } = await start({ delay: '0ms', timeout: '30s' });
    const connections = await Promise.all(Array.from({ length: 50 }, () => RawConnection.open(gateway.port)));
    for (const connection of connections) connection.send(request('GET', '/slow', 'any.test'));
    await until(() => upstream.requests === 50, 'all requests at the upstream');
    const { ms } = await timed(async () => {
      const closed = gateway.close();
      const answers = await Promise.all(connections.map((connection) => connection.answer()));
      expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
      for (const answer of answers) expect(answer.field('connection')).toBe('close');
      await closed;
    });
    expect(ms).toBeLessThan(10_000);
  });

  it('fails readiness at once and goes on serving for its delay', async () => {
    const { gateway } = await start({ delay: '500ms', timeout: '30s' });
    expect((await gateway.admin('/readyz')).status).toBe(200);
    const closed = gateway.close();
    expect((await gateway.admin('/readyz')).status).toBe(503);
    expect((await gateway.admin('/livez')).status).toBe(200);
    expect((await fetch(`${gateway.url}/x`)).status).toBe(200);
    await closed;
    await expect(RawConnection.open(gateway.port)).rejects.toThrow('ECONNREFUSED');
  });

  it('loses nothing under load while a balancer takes the gateway out', async () => {
    const { gateway } = await start({ delay: '300ms', timeout: '30s' });
    const load = startLoad(gateway.url, { clients: 6, everyMs: 5 });
    await until(() => load.served > 50, 'load');
    const closed = gateway.close();
    await until(async () => (await gateway.admin('/readyz')).status === 503, 'readiness to fail');
    await load.stop();
    await closed;
    expect(load.failures).toEqual([]);
  });

  it('closes idle connections instead of waiting for them', async () => {
    const { gateway } = await start({ delay: '0ms', timeout: '30s' });
    const idle = await RawConnection.open(gateway.port);
    idle.send(request('GET', '/x', 'any.test'));
    await idle.answer();
    const silent = connect(gateway.port, '127.0.0.1');
    await new Promise((resolve) => silent.once('connect', resolve));
    silent.on('error', () => {});
    const { ms } = await timed(() => gateway.close());
    expect(ms).toBeLessThan(10_000);
    silent.destroy();
  });

  it('cuts what is not done at its deadline, and not much later', async () => {
    const { gateway, upstream } = await start({ delay: '0ms', timeout: '500ms' });
    const hung = await RawConnection.open(gateway.port);
    hung.send(request('GET', '/hang', 'any.test'));
    const streaming = await RawConnection.open(gateway.port);
    streaming.send(request('GET', '/events', 'any.test'));
    await streaming.wait(() => streaming.received.includes('data: first'), 'the first event');
    await until(() => upstream.requests === 2, 'both at the upstream');
    const { ms } = await timed(() => gateway.close());
    expect(ms).toBeGreaterThan(400);
    expect(ms).toBeLessThan(5_000);
    await streaming.wait(() => false, 'the end of the stream');
    expect(streaming.closed).not.toBe('open');
  });
});
